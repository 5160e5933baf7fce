//! Dialects: what the bytes say, whatever carries them.
//!
//! In: messages that a transport has put together. Out: what the host is told; and for egress, the
//! payload that a transport frames. Knows no sockets, no framing, no rooms. Shard thread, and the
//! publisher's for encoding.

pub(crate) mod raw;

/// What decides the bytes of a frame. Members of a room with the same wire kind are sent the same
/// frame and form one delivery group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WireKind {
    /// The raw dialect in plain WebSocket frames.
    #[default]
    Raw,
    /// The same, compressed with a window of 32 KiB where that makes it smaller.
    Deflate15,
    /// The same with a window of 512 bytes, for peers that have no more memory.
    Deflate9,
}

impl WireKind {
    /// The kind that was numbered so by `as u8`.
    pub(crate) fn of(number: u8) -> Self {
        match number {
            1 => WireKind::Deflate15,
            2 => WireKind::Deflate9,
            _ => WireKind::Raw,
        }
    }
}
