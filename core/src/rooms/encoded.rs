//! Encoded: one publication as all shards share it, and its use again when they are done with it.
//!
//! In: a room and a payload, on the publisher's thread. Out: the frame that every tape takes its
//! bytes from. A publication is allocated by one thread and let go of by another; going back to
//! the publishers instead spares both the allocator's lock. Knows no shards. Any thread.

use smallvec::SmallVec;

use super::RoomState;
use super::framed::Framed;
use crate::delivery::SharedTracker;
use crate::labels::Labels;
use crate::outbound::FRAME_OVERHEAD;
use crate::payload::{ConnectionId, Kind};
use crate::sync::{Arc, Mutex};

/// Publications that are kept, and bytes of a frame that may be kept with one.
const SPARE_MAX: usize = 1024;
const SPARE_BYTES: usize = 1024;

/// What an allocator adds to a publication, its frame and its labels.
const ALLOCATIONS: usize = 3 * 16;

/// A publication, encoded.
#[derive(Default)]
pub(crate) struct Encoded {
    pub(crate) framed: Framed,
    /// Nanoseconds of the engine's clock when it was published.
    pub(crate) since_ns: u64,
    /// The room that it goes to; None for a union. Kept for the next one, which often goes there.
    room: Option<Arc<RoomState>>,
    /// Its number in that room.
    pub(crate) offset: u64,
    pub(crate) labels: Labels,
    pub(crate) except: SmallVec<[ConnectionId; 1]>,
    pub(crate) except_rooms: Box<[Arc<RoomState>]>,
    pub(crate) tracker: Option<SharedTracker>,
}

impl AsRef<[u8]> for Encoded {
    fn as_ref(&self) -> &[u8] {
        self.framed.as_ref()
    }
}

impl Encoded {
    /// Makes it this publication, to everybody in the room.
    pub(crate) fn fill(
        &mut self,
        room: Option<&Arc<RoomState>>,
        kind: Kind,
        data: &[u8],
        since_ns: u64,
    ) {
        self.framed.fill(kind, data);
        self.since_ns = since_ns;
        match (&self.room, room) {
            (Some(mine), Some(room)) if Arc::ptr_eq(mine, room) => {}
            _ => self.room = room.cloned(),
        }
    }

    /// The one room that it goes to.
    pub(crate) fn room(&self) -> Option<&Arc<RoomState>> {
        self.room.as_ref()
    }

    /// Numbers it, before anybody else holds it.
    pub(crate) fn number(&mut self, offset: u64) {
        self.offset = offset;
        if let Some(tracker) = self.tracker.as_mut().and_then(Arc::get_mut) {
            tracker.number(Some(offset));
        }
    }

    /// What it counts for in an inbox or a history: what it holds in memory.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>() + ALLOCATIONS + self.framed.len() + self.labels.bytes()
    }

    /// What it counts for in a room's *ahead*.
    pub(crate) fn cost(&self) -> usize {
        self.framed.len() + FRAME_OVERHEAD
    }
}

/// Publications that nobody needs any more, to be filled again. Apart from its neighbours in
/// memory, which are only read.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Spare(Mutex<Vec<Arc<Encoded>>>);

impl Spare {
    /// A publication that nobody else holds. A new one is cheaper than a wait for another thread.
    pub(crate) fn take(&self) -> Arc<Encoded> {
        let spare = self.0.try_lock().and_then(|mut spare| spare.pop());
        spare.unwrap_or_default()
    }

    /// Takes back what nobody else holds, and drops the rest.
    pub(crate) fn give(&self, spent: &mut Vec<Arc<Encoded>>) {
        spent.retain_mut(|publication| match Arc::get_mut(publication) {
            Some(own) if own.framed.capacity() + own.labels.capacity() <= SPARE_BYTES => {
                own.tracker = None;
                own.except.clear();
                own.except_rooms = Box::default();
                true
            }
            _ => false,
        });
        let mut spare = self.0.lock();
        spent.truncate(SPARE_MAX.saturating_sub(spare.len()));
        spare.append(spent);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::rooms::Directory;

    #[test]
    fn a_publication_is_used_again_when_nobody_holds_it() {
        let (spare, directory) = (Spare::default(), Directory::new(1, 1, Default::default()));
        let (room, other) = (directory.hold("a"), directory.hold("b"));
        let mut one = spare.take();
        let own = Arc::get_mut(&mut one).unwrap();
        own.fill(Some(&room), Kind::Text, b"hello", 7);
        own.except.push(ConnectionId::new(0, 1, 2));
        own.except_rooms = [room.clone()].into();
        let held = one.clone();
        spare.give(&mut vec![one]);
        assert!(spare.0.lock().is_empty(), "another shard still has it");

        let place = Arc::as_ptr(&held);
        spare.give(&mut vec![held]);
        let mut again = spare.take();
        assert_eq!(Arc::as_ptr(&again), place);
        let own = Arc::get_mut(&mut again).unwrap();
        assert!(own.except.is_empty() && own.except_rooms.is_empty());
        own.fill(Some(&other), Kind::Binary, b"longer than before", 8);
        assert_eq!(own.as_ref(), b"\x82\x12longer than before");
        assert!(Arc::ptr_eq(own.room().unwrap(), &other));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let spare = Spare::default();
        let with = |bytes: usize| {
            let mut encoded = Encoded::default();
            encoded.fill(None, Kind::Binary, &vec![0; bytes], 1);
            Arc::new(encoded)
        };
        spare.give(&mut vec![with(SPARE_BYTES), with(10)]);
        assert_eq!(spare.0.lock().len(), 1, "the large one is not kept");
        spare.give(&mut (0..2 * SPARE_MAX).map(|_| with(10)).collect());
        assert_eq!(spare.0.lock().len(), SPARE_MAX);
    }
}
