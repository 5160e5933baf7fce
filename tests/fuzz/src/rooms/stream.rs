//! What a peer was sent, taken apart: an HTTP head, then frames of a server.
//!
//! In: all bytes of one connection. Out: the whole frames behind the 101, and whether a part of one
//! is left at the end. Panics at what no server may send. Any thread.

pub const CLOSE: u8 = 8;

/// Opcode and payload.
pub type Frame = (u8, Vec<u8>);

/// The frames, and whether there is a rest. A head that is not whole is a rest.
pub fn frames(stream: &[u8]) -> (Vec<Frame>, bool) {
    let Some(end) = stream.windows(4).position(|w| w == b"\r\n\r\n") else {
        return (Vec::new(), !stream.is_empty());
    };
    assert!(stream.starts_with(b"HTTP/1.1 101"), "the host accepts all");
    let mut rest = &stream[end + 4..];
    let mut found = Vec::new();
    while let Some((frame, len)) = first(rest) {
        found.push(frame);
        rest = &rest[len..];
    }
    (found, !rest.is_empty())
}

/// The first frame, if it is whole, and how long it is.
fn first(bytes: &[u8]) -> Option<(Frame, usize)> {
    let [opcode, len, rest @ ..] = bytes else {
        return None;
    };
    let known = matches!(opcode, 0x81 | 0x82 | 0x88 | 0x89 | 0x8a);
    assert!(known, "a server sends no frame that begins {opcode:#x}");
    let extra = match len {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let (extended, rest) = rest.split_at_checked(extra)?;
    let long = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
    let len = match extra {
        0 => usize::from(*len),
        _ => extended.iter().fold(0, long),
    };
    let payload = rest.get(..len)?;
    Some(((opcode & 15, payload.to_vec()), 2 + extra + len))
}
