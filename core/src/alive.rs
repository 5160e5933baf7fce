//! Which connections are there: the generation of each slot's present owner, for handles to see.
//!
//! In: what a shard's router attaches, closes and detaches. Out: yes or no to anybody, at once and
//! without a lock. Each shard has one and is the only one to write it. Rank 0.

use crate::sync::{AtomicU32, OnceLock, Ordering};

/// The first chunk holds so many slots, each other as many as all before it.
const FIRST: usize = 1024;
/// Enough for the 2^24 slots that an id has bits for.
const CHUNKS: usize = 15;

#[derive(Default)]
pub(crate) struct Alive {
    /// A slot whose connection is not there holds 0, which is no connection's generation.
    chunks: [OnceLock<Box<[AtomicU32]>>; CHUNKS],
}

/// The chunk of a slot, and the chunk's first slot.
fn place(slot: usize) -> (usize, usize) {
    match slot / FIRST {
        0 => (0, 0),
        n => (n.ilog2() as usize + 1, FIRST << n.ilog2()),
    }
}

impl Alive {
    /// The connection of this generation came into a slot; 0 when its owner is gone.
    pub(crate) fn set(&self, slot: u32, generation: u32) {
        let (chunk, begin) = place(slot as usize);
        let len = begin.max(FIRST);
        let chunk =
            self.chunks[chunk].get_or_init(|| (0..len).map(|_| AtomicU32::new(0)).collect());
        chunk[slot as usize - begin].store(generation, Ordering::Relaxed);
    }

    /// Whether the connection of this generation is in the slot now.
    pub(crate) fn has(&self, slot: u32, generation: u32) -> bool {
        let (chunk, begin) = place(slot as usize);
        let chunk = self.chunks.get(chunk).and_then(OnceLock::get);
        let cell = chunk.and_then(|cells| cells.get(slot as usize - begin));
        generation != 0 && cell.is_some_and(|g| g.load(Ordering::Relaxed) == generation)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let alive = Alive::default();
        let slots = [
            0,
            1,
            1023,
            1024,
            2047,
            2048,
            4095,
            4096,
            100_000,
            (1 << 24) - 1,
        ];
        for slot in slots {
            assert!(!alive.has(slot, slot + 1), "{slot}");
            alive.set(slot, slot + 1);
        }
        for slot in slots {
            assert!(
                alive.has(slot, slot + 1) && !alive.has(slot, slot + 2),
                "{slot}"
            );
            alive.set(slot, 0);
            assert!(!alive.has(slot, slot + 1) && !alive.has(slot, 0), "{slot}");
        }
    }
}
