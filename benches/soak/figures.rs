//! What the kernel says of a process, and straight lines. Numbers out; any thread.

use std::fs;

/// Nanoseconds of CPU that all living threads of a process have used.
pub fn cpu_ns(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let of = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    threads.flatten().filter_map(of).sum()
}

/// Resident bytes of a process, exact.
pub fn rss_bytes(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Descriptors and threads of a process.
pub fn descriptors_and_threads(pid: u32) -> (usize, usize) {
    let entries = |what| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
    (entries("fd"), entries("task"))
}

/// How much a series rises by its fitted line, from its first to its last value, as a share of
/// its mean; and the mean.
pub fn rise(series: &[f64]) -> (f64, f64) {
    let n = series.len() as f64;
    let mean = series.iter().sum::<f64>() / n.max(1.0);
    let middle = (n - 1.0) / 2.0;
    let (mut above, mut below) = (0.0, 0.0);
    for (at, value) in series.iter().enumerate() {
        let x = at as f64 - middle;
        above += x * (value - mean);
        below += x * x;
    }
    let slope = if below > 0.0 { above / below } else { 0.0 };
    let share = if mean > 0.0 {
        slope * (n - 1.0) / mean
    } else {
        0.0
    };
    (share, mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found() {
        let series: Vec<f64> = (0..=10).map(|x| 95.0 + f64::from(x)).collect();
        let (share, mean) = rise(&series);
        assert!((share - 0.1).abs() < 1e-9 && (mean - 100.0).abs() < 1e-9);
        assert_eq!(rise(&[5.0; 7]).0, 0.0);
        assert_eq!(rise(&[]).0, 0.0);
    }

    #[test]
    fn the_kernel_knows_this_process() {
        let me = std::process::id();
        let (descriptors, threads) = descriptors_and_threads(me);
        assert!(descriptors >= 3 && threads >= 1 && rss_bytes(me) > 0 && cpu_ns(me) > 0);
    }
}
