//! What became of a publication that was tracked.

use roomcast::Delivery;

/// What became of a tracked publication by the time that all members in step had been offered it.
/// The members that the room had when its shards came to the publication are each counted once.
///
/// Found in an event, and the library's; later versions may add counts at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_delivery {
    /// The number that `roomcast_engine_publish_tracked` or `roomcast_room_publish_tracked` gave.
    pub token: u64,
    /// Its number in the room; 0 where the room did not exist.
    pub offset: u64,
    /// Members whose sockets took it.
    pub reached: usize,
    /// Members that did not ask for it, by their filters or their keys.
    pub filtered: usize,
    /// Members that were left out: excluded by the publisher, or volatile and not writable.
    pub skipped: usize,
    /// Members for whom a newer publication of its key took its place within the interval.
    pub conflated: usize,
    /// Members whose sockets are behind: they get it later, or meet their policy.
    pub lagging: usize,
}

impl From<Delivery> for roomcast_delivery {
    fn from(from: Delivery) -> Self {
        roomcast_delivery {
            token: from.token,
            offset: from.offset.unwrap_or(0),
            reached: from.reached,
            filtered: from.filtered,
            skipped: from.skipped,
            conflated: from.conflated,
            lagging: from.lagging,
        }
    }
}
