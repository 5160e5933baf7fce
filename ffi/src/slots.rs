//! Values that C knows by a number: a slot and its generation. A stale number finds nothing.
//!
//! In: values. Out: numbers, and the values again, on any thread. Looking one up takes the lock of
//! its slot only, for reading.

use std::sync::OnceLock;

use parking_lot::{Mutex, RwLock};

/// The first chunk holds so many slots, each other as many as all before it.
const FIRST: usize = 64;
const CHUNKS: usize = 26;

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

type Chunk<T> = Box<[RwLock<Slot<T>>]>;

pub(crate) struct Slots<T> {
    chunks: [OnceLock<Chunk<T>>; CHUNKS],
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    slots: Vec<u32>,
    used: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots {
            chunks: std::array::from_fn(|_| OnceLock::new()),
            free: Mutex::default(),
        }
    }
}

/// The chunk of a slot, and the chunk's first slot.
fn place(slot: usize) -> (usize, usize) {
    match slot / FIRST {
        0 => (0, 0),
        n => (n.ilog2() as usize + 1, FIRST << n.ilog2()),
    }
}

impl<T> Slots<T> {
    fn slot(&self, slot: u32) -> Option<&RwLock<Slot<T>>> {
        let (chunk, begin) = place(slot as usize);
        self.chunks.get(chunk)?.get()?.get(slot as usize - begin)
    }

    /// Keeps a value; None when there are 2^31 already.
    pub(crate) fn keep(&self, value: T) -> Option<u64> {
        let slot = self.vacant()?;
        let (chunk, begin) = place(slot as usize);
        let make = |_| {
            RwLock::new(Slot {
                generation: 0,
                value: None,
            })
        };
        let len = begin.max(FIRST);
        let slots = self.chunks[chunk].get_or_init(|| (0..len).map(make).collect());
        let cell = &slots[slot as usize - begin];
        let mut cell = cell.write();
        cell.generation += 1;
        cell.value = Some(value);
        Some(u64::from(cell.generation) << 32 | u64::from(slot))
    }

    fn vacant(&self) -> Option<u32> {
        let mut free = self.free.lock();
        if let Some(slot) = free.slots.pop() {
            return Some(slot);
        }
        let slot = free.used;
        free.used = slot.checked_add(1).filter(|used| *used <= 1 << 31)?;
        Some(slot)
    }

    /// Does something with the value of a number; None where the number is stale.
    pub(crate) fn with<R>(&self, number: u64, work: impl FnOnce(&T) -> R) -> Option<R> {
        let cell = self.slot(number as u32)?;
        let cell = cell.read();
        let same = cell.generation == (number >> 32) as u32;
        cell.value.as_ref().filter(|_| same).map(work)
    }

    /// Takes the value of a number out.
    pub(crate) fn take(&self, number: u64) -> Option<T> {
        let cell = self.slot(number as u32)?;
        let mut cell = cell.write();
        if cell.generation != (number >> 32) as u32 {
            return None;
        }
        let value = cell.value.take()?;
        // A slot whose generations are used up is not used again.
        let again = cell.generation < u32::MAX;
        drop(cell);
        if again {
            let mut free = self.free.lock();
            free.slots.push(number as u32);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_number_finds_nothing() {
        let slots = Slots::default();
        let first = slots.keep("a").unwrap();
        assert_eq!(slots.with(first, |v| *v), Some("a"));
        assert_eq!(slots.take(first), Some("a"));
        assert_eq!((slots.take(first), slots.with(first, |_| ())), (None, None));
        let second = slots.keep("b").unwrap();
        assert_eq!(second as u32, first as u32);
        assert_eq!(slots.with(first, |_| ()), None);
        assert_eq!(slots.with(second, |v| *v), Some("b"));
        for number in [0, 1 << 32 | 77, u64::MAX] {
            assert_eq!(slots.take(number), None, "{number:x}");
        }
    }

    #[test]
    fn numbers_of_all_chunks_are_different() {
        let slots = Slots::default();
        let numbers: Vec<_> = (0..1000).map(|i| slots.keep(i).unwrap()).collect();
        for (i, number) in numbers.iter().enumerate() {
            assert_eq!(slots.with(*number, |v| *v), Some(i));
        }
    }
}
