//! Timers: one hashed wheel per shard, one entry of eight bytes per connection.
//!
//! In: a slot and a tick. Out: slots whose tick has come, which the shard then looks at; an entry
//! that a newer one replaced says nothing. Knows no clock: ticks are given to it. Shard thread.

/// Milliseconds of a tick.
pub(crate) const TICK_MS: u64 = 8;
const BUCKETS: usize = 2048;
/// No entry.
pub(crate) const NEVER: u32 = u32::MAX;

pub(crate) struct Wheel {
    buckets: Vec<Vec<(u32, u32)>>,
    occupied: [u64; BUCKETS / 64],
    now: u32,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Wheel {
            buckets: vec![Vec::new(); BUCKETS],
            occupied: [0; BUCKETS / 64],
            now: 0,
        }
    }

    /// Adds an entry; one that is further away than the wheel is looked at on the way.
    pub(crate) fn add(&mut self, slot: u32, due: u32) {
        let near = due.clamp(self.now + 1, self.now + BUCKETS as u32 - 1);
        let bucket = near as usize % BUCKETS;
        self.buckets[bucket].push((slot, due));
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
    }

    /// Moves to `now` and adds the entries (slot, due) whose bucket was passed.
    pub(crate) fn advance(&mut self, now: u32, passed: &mut Vec<(u32, u32)>) {
        let steps = now.saturating_sub(self.now).min(BUCKETS as u32);
        let first = now - steps;
        for tick in first + 1..=now {
            let bucket = tick as usize % BUCKETS;
            if self.occupied[bucket / 64] & 1 << (bucket % 64) != 0 {
                self.occupied[bucket / 64] &= !(1 << (bucket % 64));
                passed.append(&mut self.buckets[bucket]);
                if self.buckets[bucket].capacity() > 1024 {
                    self.buckets[bucket] = Vec::new();
                }
            }
        }
        self.now = now.max(self.now);
    }

    /// Ticks until the next entry, if there is one.
    pub(crate) fn next(&self) -> Option<u32> {
        let start = (self.now as usize + 1) % BUCKETS;
        let mut ahead = 0;
        while ahead < BUCKETS {
            let bucket = (start + ahead) % BUCKETS;
            let word = self.occupied[bucket / 64] >> (bucket % 64);
            if word != 0 {
                return Some(ahead as u32 + 1 + word.trailing_zeros());
            }
            ahead += 64 - bucket % 64;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_in_time_and_once() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next(), None);
        wheel.add(1, 10);
        wheel.add(2, 100_000);
        assert_eq!(wheel.next(), Some(10));
        let mut passed = Vec::new();
        wheel.advance(9, &mut passed);
        assert!(passed.is_empty());
        assert_eq!(wheel.next(), Some(1));
        wheel.advance(10, &mut passed);
        assert_eq!(passed, [(1, 10)]);
        assert!(wheel.next().is_some_and(|n| n < 2048));
        passed.clear();
        wheel.advance(99_999, &mut passed);
        assert_eq!(passed, [(2, 100_000)], "looked at on the way");
        passed.clear();
        wheel.add(2, 100_000);
        wheel.advance(100_000, &mut passed);
        assert_eq!(passed, [(2, 100_000)]);
        assert_eq!(wheel.next(), None);
    }
}
