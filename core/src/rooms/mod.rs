//! Rooms: names, what all shards share about each, and what is published to them.
//!
//! In: joins and publications from any thread. Out: numbers, counts and markers in inboxes, in an
//! order that every shard agrees on. Knows no connections.

pub(crate) mod directory;
pub(crate) mod encoded;
pub(crate) mod framed;
pub(crate) mod history;
pub(crate) mod options;
pub(crate) mod presence;
mod shrink;

pub(crate) use directory::{Directory, RoomState};
