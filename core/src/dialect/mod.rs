//! Dialects: what the bytes say, whatever carries them.
//!
//! In: messages that a transport has put together. Out: what the host is told; and for egress, the
//! payload that a transport frames. Knows no sockets, no framing, no rooms. Shard thread, and the
//! publisher's for encoding.

pub(crate) mod raw;

/// What decides the bytes of a frame. Members of a room with the same wire kind are sent the same
/// frame and form one delivery group. One kind exists so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireKind {
    /// The raw dialect in plain WebSocket frames.
    Raw,
}
