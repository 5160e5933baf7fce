//! Policies: what happens to members that are too slow, and to peers that say too much.
//!
//! Plain values, chosen in a config, carried out by outbound and by the shard's rates. Rank 0, any
//! thread.

/// What happens to a member whose socket took no bytes until its room's tape had no place left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowPolicy {
    /// Close the connection with code 4008 ("too slow"), which invites the client to come back.
    #[default]
    Disconnect,
    /// Jump ahead to the newest publication and tell the host how much was missed.
    Skip,
    /// Of what it has not got, keep the newest publication of each key: a slow reader of 1,000
    /// tickers gets 1,000 current values, and the host is told how many older ones it was not
    /// sent. Whom the newest one excludes is sent none. Publications without a key are kept; where
    /// the tape has no place for all, it jumps as under `Skip`.
    Latest,
    /// What is published while its socket takes no bytes is dropped at once, and counted
    /// (`volatile_dropped`) without a word to the host. For news that is worthless when it is late.
    Volatile,
    /// Catch up from the room's history
    /// ([`RoomOptions::history`](crate::RoomOptions::history)) when its socket takes bytes
    /// again. What the history does not have any more it misses, and the host is told: a range of
    /// numbers, whether or not a filter would have kept some of them from it. So in a room without
    /// a history this is `Skip`. Its order is kept within the room, but not with other rooms while
    /// it catches up.
    Replay,
}

/// What happens to what a peer says beyond `message_rate_max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageRatePolicy {
    /// It is dropped before the host is told, and counted (`messages_refused`). A ping gets no
    /// pong. The peer is not told, so its messages must be such that some may be lost.
    #[default]
    Refuse,
    /// The connection is closed with code 1008 and the limit's name.
    Close,
}
