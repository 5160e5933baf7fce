//! The CPU time of the thread that asks: a clock that std does not offer.
//!
//! In: nothing. Out: nanoseconds, 0 where the system has no such clock. Shard thread.
#![allow(unsafe_code)]

/// Nanoseconds of CPU that this thread has taken so far.
#[cfg(unix)]
pub(super) fn thread_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec, at the address of ours, and keeps no pointer to it.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    match result {
        0 => time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
        _ => 0,
    }
}

#[cfg(not(unix))]
pub(super) fn thread_ns() -> u64 {
    0
}

#[cfg(all(test, not(loom), unix))]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_time_and_waiting_takes_none() {
        let before = thread_ns();
        let mut sum = 0u64;
        while thread_ns() - before < 2_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        let worked = thread_ns();
        std::thread::park_timeout(std::time::Duration::from_millis(30));
        assert!(thread_ns() - worked < 20_000_000, "{sum}");
    }
}
