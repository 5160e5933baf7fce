//! One frame: its header read and written, its mask undone, and the control frames that we send.
//!
//! In comes the beginning of a peer's frame, out goes what its header says, held against the rules
//! that a header alone can break; in come an opcode and a length, out go the bytes of our header.
//! Knows nothing of what came before (that is `ws`). Pure functions, any thread.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::Violation;

/// The largest payload of a control frame (RFC 6455 §5.5).
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// The reserved bit of a frame's first byte that begins a compressed message.
pub(crate) const RSV1: u8 = 0x40;

/// What kind of frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continue,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }

    pub(super) fn from_wire(code: u8) -> Option<Self> {
        Some(match code {
            0 => Opcode::Continue,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return None,
        })
    }

    pub(super) fn code(self) -> OpCode {
        match self {
            Opcode::Continue => OpCode::Data(Data::Continue),
            Opcode::Text => OpCode::Data(Data::Text),
            Opcode::Binary => OpCode::Data(Data::Binary),
            Opcode::Close => OpCode::Control(Control::Close),
            Opcode::Ping => OpCode::Control(Control::Ping),
            Opcode::Pong => OpCode::Control(Control::Pong),
        }
    }
}

/// A frame whose header has been read and found lawful.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    /// RSV1: it begins a compressed message (RFC 7692 §6).
    pub(super) compressed: bool,
    /// Turned so that its first byte is for the next byte of payload.
    pub(super) mask: [u8; 4],
    /// Payload bytes that are still to come.
    pub(super) left: usize,
}

impl Frame {
    /// Whether it is a data message of its own, and plain.
    pub(super) fn is_message(&self) -> bool {
        self.fin && matches!(self.opcode, Opcode::Text | Opcode::Binary) && !self.compressed
    }
}

/// Reads a header from the front of `bytes`: the frame and the number of bytes the header took, or
/// `None` when it is not complete. Checks what a header alone can break; `lawful` are the reserved
/// bits that an extension has given a meaning.
///
/// Not tungstenite's `FrameHeader::parse`, which took 11 ns more per frame and leaves these
/// checks to us; a test holds the two against each other.
#[inline(always)]
pub(super) fn parse_header(bytes: &[u8], lawful: u8) -> Result<Option<(Frame, usize)>, Violation> {
    let [first, second, tail @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0x70 & !lawful != 0 {
        return Err(Violation::ReservedBits);
    }
    let opcode = Opcode::from_wire(first & 0x0f).ok_or(Violation::Opcode)?;
    if second & 0x80 == 0 {
        return Err(Violation::Unmasked);
    }
    let (len, tail) = match (second & 0x7f, tail) {
        (126, [a, b, tail @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), tail),
        (127, [a, b, c, d, e, f, g, h, tail @ ..]) => {
            (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), tail)
        }
        (126 | 127, _) => return Ok(None),
        (short, tail) => (u64::from(short), tail),
    };
    let minimal = match second & 0x7f {
        126 => len > 125,
        127 => len > u64::from(u16::MAX) && len >> 63 == 0,
        _ => true,
    };
    if !minimal {
        return Err(Violation::Length);
    }
    let [a, b, c, d, tail @ ..] = tail else {
        return Ok(None);
    };
    // What does not fit a usize is larger than any limit, which `admit` says.
    let left = usize::try_from(len).unwrap_or(usize::MAX);
    let frame = Frame {
        opcode,
        fin: first & 0x80 != 0,
        compressed: first & RSV1 != 0,
        mask: [*a, *b, *c, *d],
        left,
    };
    Ok(Some((frame, bytes.len() - tail.len())))
}

#[inline]
pub(super) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let long = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ long).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Writes the header of a whole, unmasked frame to the front of `out` and returns its length.
pub(crate) fn write_header(opcode: Opcode, payload_len: usize, out: &mut [u8; 10]) -> usize {
    let header = FrameHeader {
        opcode: opcode.code(),
        ..FrameHeader::default()
    };
    let mut left = &mut out[..];
    header
        .format(payload_len as u64, &mut left)
        .expect("an unmasked header has at most 10 bytes");
    let unused = left.len();
    10 - unused
}

/// The first byte and the payload of a whole, unmasked frame that was written here.
pub(crate) fn split(frame: &[u8]) -> (u8, &[u8]) {
    let header_len = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    (frame[0], &frame[header_len..])
}

/// A whole ping, pong or close frame. Of a payload above 125 bytes the beginning is sent, which
/// only a host's own mistake can cause: a peer's ping is never longer.
pub(crate) fn control(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    debug_assert!(opcode.is_control() && payload.len() <= CONTROL_BYTES_MAX);
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let mut header = [0; 10];
    let header_len = write_header(opcode, payload.len(), &mut header);
    [&header[..header_len], payload].concat()
}

/// A close frame; the reason is cut, between characters, to the 123 bytes that fit. The codes that
/// stand for the absence of one (0, 1005, 1006, 1015) make an empty frame.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    if matches!(code, 0 | 1005 | 1006 | 1015) {
        return control(Opcode::Close, b"");
    }
    let mut end = reason.len().min(CONTROL_BYTES_MAX - 2);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    control(
        Opcode::Close,
        &[&code.to_be_bytes(), &reason.as_bytes()[..end]].concat(),
    )
}
