//! Latencies, counted in buckets. In go nanoseconds, out come quantiles. Must never know what was
//! measured. Any thread.

/// Latencies in buckets of 1/32 of their size.
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    pub fn new() -> Self {
        Self {
            buckets: vec![0; 60 * 32],
            count: 0,
        }
    }

    #[inline]
    pub fn record(&mut self, ns: u64) {
        let shift = (ns | 32).ilog2() - 5;
        self.buckets[(shift as usize) * 32 + (ns >> shift) as usize] += 1;
        self.count += 1;
    }

    /// The value below which `part` (0 to 1) of all lie, in nanoseconds.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut left = (self.count as f64 * part) as u64;
        for (at, &bucket) in self.buckets.iter().enumerate() {
            if bucket > left {
                let shift = (at / 32).saturating_sub(1);
                return ((at - shift * 32) << shift) as f64;
            }
            left -= bucket;
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut latency = Histogram::new();
        (1..=100_000).for_each(|ns| latency.record(ns));
        for part in [0.01, 0.5, 0.99] {
            let (found, exact) = (latency.quantile(part), part * 100_000.0);
            assert!((found / exact - 1.0).abs() < 0.035, "{part}: {found}");
        }
    }
}
