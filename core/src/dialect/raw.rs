//! The raw dialect: each message is a message, each publication is a message; no envelope.
//!
//! In: a complete message. Out: what it means to the host. It never knows which transport carried
//! it, or to whom a publication goes. Any thread.

use crate::payload::Kind;

/// What a message from a peer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is for the host, as it is.
    Message(Kind),
}

/// In this dialect the host is told of every message.
pub(crate) fn on_message(kind: Kind) -> Heard {
    Heard::Message(kind)
}

/// The payload of the wire message that carries a publication.
pub(crate) fn envelope(data: &[u8]) -> &[u8] {
    data
}
