//! Timers: one hashed wheel per shard, eight bytes per connection, nothing allocated per entry.
//!
//! In: a slot and a tick. Out: slots whose bucket has come, which the shard then looks at. Each
//! slot has one entry at most, in a list through its bucket. Knows no clock: ticks are given to
//! it. Shard thread.

/// Milliseconds of a tick.
pub(crate) const TICK_MS: u64 = 8;
const BUCKETS: usize = 2048;
/// No tick.
pub(crate) const NEVER: u32 = u32::MAX;
/// No slot.
const NONE: u32 = u32::MAX;
/// The entry is the first of its bucket, whose number is in the other bits.
const FIRST: u32 = 1 << 31;

#[derive(Clone, Copy)]
struct Entry {
    before: u32,
    next: u32,
}

const ABSENT: Entry = Entry {
    before: NONE,
    next: NONE,
};

pub(crate) struct Wheel {
    firsts: Vec<u32>,
    entries: Vec<Entry>,
    /// A bit for each bucket with an entry, and one for each word of those.
    occupied: [u64; BUCKETS / 64],
    words: u32,
    now: u32,
}

const _: () = assert!(BUCKETS / 64 == u32::BITS as usize, "a bit for each word");

impl Wheel {
    pub(crate) fn new() -> Self {
        Wheel {
            firsts: vec![NONE; BUCKETS],
            entries: Vec::new(),
            occupied: [0; BUCKETS / 64],
            words: 0,
            now: 0,
        }
    }

    /// Bytes that the entries take.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Sets the slot's entry; one that is further away than the wheel is looked at on the way.
    pub(crate) fn set(&mut self, slot: u32, due: u32) {
        let at = slot as usize;
        if at >= self.entries.len() {
            let more = (self.entries.len() / 8)
                .max(1024)
                .max(at + 1 - self.entries.len());
            self.entries.reserve_exact(more);
            self.entries.resize(self.entries.capacity(), ABSENT);
        }
        self.remove(slot);
        let near = due.clamp(self.now + 1, self.now + BUCKETS as u32 - 1);
        let bucket = near as usize % BUCKETS;
        let next = std::mem::replace(&mut self.firsts[bucket], slot);
        if next != NONE {
            self.entries[next as usize].before = slot;
        }
        self.entries[at] = Entry {
            before: FIRST | bucket as u32,
            next,
        };
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.words |= 1 << (bucket / 64);
    }

    /// The bucket has no entry any more.
    fn vacate(&mut self, bucket: usize) {
        let word = &mut self.occupied[bucket / 64];
        *word &= !(1 << (bucket % 64));
        if *word == 0 {
            self.words &= !(1 << (bucket / 64));
        }
    }

    /// Removes the slot's entry, if it has one.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot as usize) else {
            return;
        };
        let Entry { before, next } = std::mem::replace(entry, ABSENT);
        if before == NONE {
            return;
        }
        if next != NONE {
            self.entries[next as usize].before = before;
        }
        if before & FIRST == 0 {
            self.entries[before as usize].next = next;
            return;
        }
        let bucket = (before & !FIRST) as usize;
        self.firsts[bucket] = next;
        if next == NONE {
            self.vacate(bucket);
        }
    }

    /// Moves to `now`; takes out the slots whose buckets were passed and adds them to `passed`.
    pub(crate) fn advance(&mut self, now: u32, passed: &mut Vec<u32>) {
        let steps = now.saturating_sub(self.now).min(BUCKETS as u32);
        let first = now - steps;
        for tick in first + 1..=now {
            let bucket = tick as usize % BUCKETS;
            if self.occupied[bucket / 64] & 1 << (bucket % 64) == 0 {
                continue;
            }
            self.vacate(bucket);
            let mut slot = std::mem::replace(&mut self.firsts[bucket], NONE);
            while slot != NONE {
                passed.push(slot);
                slot = std::mem::replace(&mut self.entries[slot as usize], ABSENT).next;
            }
        }
        self.now = now.max(self.now);
    }

    /// Ticks until the next entry is looked at, if there is one.
    pub(crate) fn next(&self) -> Option<u32> {
        let start = (self.now as usize + 1) % BUCKETS;
        let (word, bit) = (start / 64, start as u32 % 64);
        let rest = self.occupied[word] >> bit;
        if rest != 0 {
            return Some(1 + rest.trailing_zeros());
        }
        // The words behind it, in a circle: the last is this one again, with its earlier bits.
        let behind = self.words.rotate_right(word as u32 + 1);
        let ahead = behind.trailing_zeros();
        let found = self.occupied[(word + 1 + ahead as usize) % self.occupied.len()];
        (behind != 0).then(|| 1 + (64 - bit) + ahead * 64 + found.trailing_zeros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(wheel: &mut Wheel, now: u32) -> Vec<u32> {
        let mut slots = Vec::new();
        wheel.advance(now, &mut slots);
        slots.sort_unstable();
        slots
    }

    #[test]
    fn entries_come_in_time_and_once() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next(), None);
        wheel.set(1, 10);
        wheel.set(2, 100_000);
        assert_eq!(wheel.next(), Some(10));
        assert!(passed(&mut wheel, 9).is_empty());
        assert_eq!(wheel.next(), Some(1));
        assert_eq!(passed(&mut wheel, 10), [1]);
        assert!(wheel.next().is_some_and(|n| n < 2048));
        assert_eq!(passed(&mut wheel, 99_999), [2], "looked at on the way");
        wheel.set(2, 100_000);
        assert_eq!(passed(&mut wheel, 100_000), [2]);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn the_next_entry_is_found_wherever_it_stands() {
        for now in [0u32, 1, 62, 63, 64, 100, 2000, 2047, 2048, 5000] {
            for ahead in [1u32, 2, 63, 64, 65, 128, 1000, 1984, 2046, 2047] {
                let mut wheel = Wheel::new();
                wheel.advance(now, &mut Vec::new());
                wheel.set(3, now + ahead);
                assert_eq!(wheel.next(), Some(ahead), "{ahead} behind {now}");
                wheel.set(4, now + ahead);
                wheel.remove(3);
                assert_eq!(wheel.next(), Some(ahead), "the other one");
                assert_eq!(passed(&mut wheel, now + ahead), [4]);
                assert_eq!(wheel.next(), None);
            }
        }
    }

    #[test]
    fn an_entry_is_replaced_and_removed_wherever_it_stands() {
        let mut wheel = Wheel::new();
        (0..5).for_each(|slot| wheel.set(slot, 7));
        wheel.remove(4);
        wheel.remove(2);
        wheel.remove(2);
        wheel.set(0, 9);
        assert_eq!(passed(&mut wheel, 7), [1, 3]);
        assert_eq!(passed(&mut wheel, 9), [0]);
        wheel.set(1, 20);
        wheel.remove(1);
        assert_eq!(wheel.next(), None);
        wheel.remove(77);
    }
}
