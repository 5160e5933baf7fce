//! Durations in buckets: recorded by one thread, read by any, as a snapshot shows them.
//!
//! In: nanoseconds. Out: counts by bucket, their sum, quantiles. Two buckets for each power of two,
//! so that a bound is never off by more than a half. Rank 0.

use crate::metrics::Counter;
use crate::sync::{AtomicU64, Ordering};

/// Two buckets for each power of two of nanoseconds, from 1 us up to 68 s.
const BUCKETS: usize = 54;

/// Durations, in buckets of a factor of 1.5 at most.
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_ns: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_ns: Counter::default(),
        }
    }
}

fn bucket(ns: u64) -> usize {
    let ns = ns.max(1024);
    let power = 63 - ns.leading_zeros() as usize;
    let half = (ns >> (power - 1)) as usize & 1;
    ((power - 10) * 2 + half).min(BUCKETS - 1)
}

fn upper_ns(bucket: usize) -> u64 {
    let base = 1u64 << (bucket / 2 + 10);
    base + base / 2 * (bucket as u64 % 2 + 1)
}

impl Histogram {
    pub(crate) fn record(&self, ns: u64) {
        let cell = &self.counts[bucket(ns)];
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.sum_ns.add(ns);
    }
}

/// How long something took, counted in buckets whose bounds grow by a factor of 1.5 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    counts: Vec<u64>,
    sum_ns: u64,
}

impl Durations {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        self.counts.resize(BUCKETS, 0);
        for (sum, cell) in self.counts.iter_mut().zip(&histogram.counts) {
            *sum += cell.load(Ordering::Relaxed);
        }
        self.sum_ns += histogram.sum_ns.load();
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in nanoseconds.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// An upper bound in nanoseconds of the duration below which this share (0 to 1) of them lie;
    /// 0 when nothing was recorded.
    #[must_use]
    pub fn quantile_ns(&self, share: f64) -> u64 {
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (i, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= rank && seen > 0 {
                return upper_ns(i);
            }
        }
        0
    }

    /// Upper bounds in nanoseconds, ascending, and how many were recorded below each and above the
    /// one before; empty ones are left out.
    #[must_use]
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let counts = self.counts.iter().copied().enumerate();
        let filled = counts.filter(|(_, count)| *count > 0);
        filled.map(|(i, count)| (upper_ns(i), count)).collect()
    }

    /// How many of them are at most so long: exact at the bounds of buckets, estimated inside one.
    pub(crate) fn up_to(&self, ns: u64) -> u64 {
        let mut below = 0.0;
        let mut lower = 0;
        for (i, count) in self.counts.iter().enumerate() {
            let upper = upper_ns(i);
            let share = (ns.saturating_sub(lower) as f64 / (upper - lower) as f64).min(1.0);
            below += *count as f64 * share;
            lower = upper;
        }
        below as u64
    }

    /// What was recorded since an earlier snapshot.
    #[must_use]
    pub fn since(&self, earlier: &Durations) -> Durations {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        Durations {
            counts: self.counts.iter().zip(before).map(|(n, b)| n - b).collect(),
            sum_ns: self.sum_ns - earlier.sum_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_bound_what_they_hold() {
        let mut last = 0;
        for ns in [
            1,
            1024,
            1500,
            1536,
            2047,
            2048,
            1_000_000,
            50_000_000_000,
            u64::MAX,
        ] {
            let b = bucket(ns);
            assert!(b >= last, "{ns}");
            assert!(ns > 60_000_000_000 || upper_ns(b) >= ns, "{ns}");
            assert!(upper_ns(b) as f64 <= (ns.max(1024) as f64) * 1.51 || ns > 60_000_000_000);
            last = b;
        }
    }

    #[test]
    fn quantiles_count() {
        let histogram = Histogram::default();
        for i in 0..100 {
            histogram.record(if i < 99 { 10_000 } else { 10_000_000 });
        }
        let mut all = Durations::default();
        all.add(&histogram);
        assert_eq!(all.count(), 100);
        assert_eq!(all.sum_ns(), 99 * 10_000 + 10_000_000);
        assert!(all.quantile_ns(0.5) < 20_000);
        assert!(all.quantile_ns(1.0) >= 10_000_000);
        assert_eq!(all.since(&all.clone()).count(), 0);
        let buckets = all.buckets();
        assert_eq!((buckets.len(), buckets[0].1, buckets[1].1), (2, 99, 1));
        assert!(buckets[0].0 >= 10_000 && buckets[1].0 >= 10_000_000);
        let up_to = [0, 1_000_000, 100_000_000, u64::MAX].map(|ns| all.up_to(ns));
        assert_eq!(up_to, [0, 99, 100, 100]);
    }

    #[test]
    fn a_part_of_a_bucket_is_estimated_and_never_falls() {
        let histogram = Histogram::default();
        (0..1000).for_each(|_| histogram.record(1_100_000));
        let mut all = Durations::default();
        all.add(&histogram);
        let counts: Vec<u64> = (0..2_000).map(|us| all.up_to(us * 1_000)).collect();
        assert!(counts.is_sorted() && counts[1_040] == 0 && counts[1_600] == 1_000);
        assert!((1..1_000).contains(&counts[1_300]), "{}", counts[1_300]);
    }
}
