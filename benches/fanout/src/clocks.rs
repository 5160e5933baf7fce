//! Clocks and counters of the kernel: monotonic time, CPU time of any process to the nanosecond,
//! ksoftirqd's CPU, resident and socket memory. In goes a process id, out come numbers; nothing is
//! averaged here. Must never know scenarios. Any thread.

use std::fs;
use std::io;

/// Nanoseconds of the monotonic clock.
#[inline]
pub fn now_ns() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC).expect("the monotonic clock is always there")
}

fn read_clock(clock: libc::clockid_t) -> io::Result<u64> {
    let mut at = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `at` lives across the call.
    match unsafe { libc::clock_gettime(clock, &mut at) } {
        0 => Ok(at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64),
        _ => Err(io::Error::last_os_error()),
    }
}

/// CPU time of all threads of a process, user and system, without tick sampling.
#[derive(Clone, Copy)]
pub struct CpuClock(libc::clockid_t);

impl CpuClock {
    pub fn of(pid: u32) -> io::Result<Self> {
        let mut clock = 0;
        // SAFETY: `clock` lives across the call.
        match unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) } {
            0 => Ok(Self(clock)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    pub fn own() -> Self {
        Self(libc::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// Nanoseconds so far; 0 once the process is gone.
    pub fn read(self) -> u64 {
        read_clock(self.0).unwrap_or(0)
    }
}

/// The threads to which the kernel moves network work that it does not do in a system call.
pub struct Softirq {
    paths: Vec<String>,
}

impl Softirq {
    /// One path per core, in order of cores; none where /proc does not show them.
    pub fn find() -> Self {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let dir = entry.path();
            let comm = fs::read_to_string(dir.join("comm")).unwrap_or_default();
            let core = comm
                .trim()
                .strip_prefix("ksoftirqd/")
                .and_then(|n| n.parse::<usize>().ok());
            if let Some(core) = core {
                found.push((core, format!("{}/schedstat", dir.display())));
            }
        }
        found.sort();
        Self {
            paths: found.into_iter().map(|(_, path)| path).collect(),
        }
    }

    /// Nanoseconds on this core so far.
    pub fn read(&self, core: usize) -> u64 {
        let text = self
            .paths
            .get(core)
            .and_then(|path| fs::read_to_string(path).ok());
        let first = text
            .as_deref()
            .and_then(|text| text.split_whitespace().next());
        first.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

/// Busy time of all cores in nanoseconds, sampled by the tick: coarse, but nobody escapes it.
pub fn machine_busy_ns() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; a tick is 10 ms.
    let busy = |at: usize| ticks.get(at).copied().unwrap_or(0);
    [0, 1, 2, 5, 6, 7].into_iter().map(busy).sum::<u64>() * 10_000_000
}

/// CPU time that a process spent outside the kernel: the tick's split of an exact sum.
pub fn user_ns(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold spaces; user time is the twelfth field behind it.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks = behind
        .split_whitespace()
        .nth(11)
        .and_then(|n| n.parse::<u64>().ok());
    ticks.unwrap_or(0) * 10_000_000
}

/// Resident bytes of a process, exact (not the cached counters of `status`).
pub fn rss_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .unwrap_or_default();
    let kib = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Kernel memory of all TCP sockets of the machine, in bytes.
pub fn tcp_memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with("TCP:"))
        .unwrap_or_default();
    let pages = line
        .split_whitespace()
        .skip_while(|word| *word != "mem")
        .nth(1);
    pages.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Bytes waiting in the send queues of the sockets whose local port this is.
pub fn send_queue_bytes(port: u16) -> u64 {
    let text = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let local = format!(":{port:04X}");
    let queue = |line: &str| {
        let mut words = line.split_whitespace();
        let ours = words.nth(1).is_some_and(|addr| addr.ends_with(&local));
        let queues = words.nth(2)?;
        let bytes = u64::from_str_radix(queues.split(':').next()?, 16).ok()?;
        ours.then_some(bytes)
    };
    text.lines().skip(1).filter_map(queue).sum()
}
