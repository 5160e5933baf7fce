//! Place in the process' table of descriptors, made before there are thousands.
//!
//! In: a descriptor, and how many there may be. Out: a table that need not grow. Linux grows it by
//! doubling, and with several threads waits for all processors at each step (`synchronize_rcu`):
//! without this, `accept` took 14 ms now and then while the first thousands came. Any thread.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Descriptors that a process has beside its connections, roughly.
const OTHERS: usize = 256;

/// Has the table hold so many connections, or as many as the process may open. Eight bytes of
/// kernel memory each; nothing where the table is as large already.
pub(crate) fn make_place(any: RawFd, connections_max: usize) {
    let most = i32::try_from(connections_max.saturating_add(OTHERS)).unwrap_or(i32::MAX);
    let mut number = most;
    while number > 1024 {
        // SAFETY: it gives a new descriptor or -1, and touches no memory of ours.
        let made = unsafe { libc::fcntl(any, libc::F_DUPFD_CLOEXEC, number) };
        if made >= 0 {
            // SAFETY: the descriptor was made in the line above and is nobody else's.
            drop(unsafe { OwnedFd::from_raw_fd(made) });
            return;
        }
        // Beyond what the process may open (RLIMIT_NOFILE).
        number /= 2;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn table_size() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
        line.unwrap().trim().parse().unwrap()
    }

    #[test]
    fn the_table_has_place_and_nothing_stays_open() {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let any = std::fs::File::open("/dev/null").unwrap();
        let before = open();
        make_place(any.as_raw_fd(), 1_500);
        assert!(table_size() >= 1_500, "{}", table_size());
        make_place(any.as_raw_fd(), usize::MAX);
        assert!(open() <= before + 16, "other tests run beside");
    }
}
