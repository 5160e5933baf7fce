//! Newest: of each key of a group, which frame on its tape is the newest.
//!
//! In: a key with the sequence of its frame. Out: the sequence of the frame that it takes the place
//! of. Entries whose frames have left the tape are of no use, and are thrown out now and then.
//! Shard thread.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// Entries beyond the frames on the tape that are kept, so that keys of a room that publishes on
/// need no allocation.
const KEPT: usize = 4096;

#[derive(Default)]
pub(super) struct Newest {
    sequences: HashMap<Box<str>, u64, RandomState>,
}

impl Newest {
    /// The frame of this sequence is the newest of the key; gives back which one was.
    pub(super) fn set(&mut self, key: &str, sequence: u64) -> Option<u64> {
        match self.sequences.get_mut(key) {
            Some(newest) => Some(std::mem::replace(newest, sequence)),
            None => {
                self.sequences.insert(key.into(), sequence);
                None
            }
        }
    }

    /// Throws out what stands before `first`, where there is much more than `frames`.
    pub(super) fn tidy(&mut self, frames: usize, first: u64) {
        if self.sequences.len() > 2 * frames + KEPT {
            self.sequences.retain(|_, sequence| *sequence >= first);
            self.sequences.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let mut newest = Newest::default();
        assert_eq!(newest.set("a", 1), None);
        assert_eq!(newest.set("a", 2), Some(1));
        for sequence in 3..10_000 {
            newest.set(&sequence.to_string(), sequence);
            newest.tidy(10, sequence.saturating_sub(10));
        }
        assert!(newest.sequences.len() <= KEPT + 21);
        assert_eq!(newest.set("9999", 10_000), Some(9999));
    }
}
