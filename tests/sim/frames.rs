//! What a peer was sent, taken apart: an HTTP head, then frames of a server.
//!
//! Comes in: the bytes of one connection from its first on. Goes out: the whole frames in order,
//! inflated where they were compressed. A peer that was cut off has a frame in part at the end,
//! which is left out. Any thread.

use flate2::{Decompress, FlushDecompress};

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;

/// Opcode and payload.
pub type Frame = (u8, Vec<u8>);

/// The frames behind a 101; None where the head is not whole or says something else.
pub fn frames(stream: &[u8]) -> Option<Vec<Frame>> {
    let end = stream.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    if !stream.starts_with(b"HTTP/1.1 101") {
        return None;
    }
    let mut rest = &stream[end..];
    let mut found = Vec::new();
    while let Some((frame, len)) = first(rest) {
        found.push(frame);
        rest = &rest[len..];
    }
    Some(found)
}

/// The first frame, if it is whole, and how long it is.
fn first(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&opcode, &len) = (bytes.first()?, bytes.get(1)?);
    let (from, len) = match len {
        126 => {
            let long = bytes.get(2..4)?;
            (4, usize::from(u16::from_be_bytes([long[0], long[1]])))
        }
        127 => {
            let long: [u8; 8] = bytes.get(2..10)?.try_into().expect("eight bytes");
            let len = usize::try_from(u64::from_be_bytes(long)).expect("it fits");
            (10, len)
        }
        short => (2, usize::from(short)),
    };
    assert!(
        matches!(opcode, 0x81 | 0x82 | 0x88 | 0x89 | 0x8a | 0xc1 | 0xc2),
        "a server sends no frame that begins with {opcode:#x}"
    );
    let payload = bytes.get(from..from + len)?;
    let payload = match opcode & 0x40 {
        0 => payload.to_vec(),
        _ => inflated(payload),
    };
    Some(((opcode & 15, payload), from + len))
}

/// By flate2 itself, with a window of its own for each message.
fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut inflater = Decompress::new(false);
    let mut out = Vec::with_capacity(64 * 1024);
    for input in [payload, &[0, 0, 0xff, 0xff]] {
        let done = inflater.decompress_vec(input, &mut out, FlushDecompress::Sync);
        done.expect("what a server sends inflates");
    }
    out
}

/// The payloads of the text frames among them.
pub fn texts(frames: &[Frame]) -> Vec<String> {
    let texts = frames.iter().filter(|(opcode, _)| *opcode == TEXT);
    texts
        .map(|(_, payload)| String::from_utf8(payload.clone()).expect("text is UTF-8"))
        .collect()
}
