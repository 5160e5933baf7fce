//! Rooms: names, and what all shards share about each.
//!
//! In: joins and publications from any thread. Out: numbers, counts and markers in inboxes, in an
//! order that every shard agrees on. Knows no connections and no frames.

pub(crate) mod directory;

pub(crate) use directory::{Directory, RoomState};
