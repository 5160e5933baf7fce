//! The little of RFC 6455 that a bench needs: headers of whole frames, unmasking, the accept key,
//! the request line. Byte slices in, values out; fragments and extensions are no part of it. Must
//! never know sockets or time. Any thread.

use sha1::{Digest, Sha1};

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The longest header that a server sends.
pub const HEADER_MAX: usize = 10;

/// One whole frame at the start of a buffer.
#[derive(Clone, Copy)]
pub struct Frame {
    pub opcode: u8,
    pub masked: bool,
    /// Where the payload starts.
    pub start: usize,
    /// Where the frame ends.
    pub end: usize,
}

/// The frame at the start of `buf`, or `None` while it is not there in full.
#[inline]
pub fn parse(buf: &[u8]) -> Option<Frame> {
    if buf.len() < 2 {
        return None;
    }
    let masked = buf[1] & 0x80 != 0;
    let (mut start, len): (usize, usize) = match buf[1] & 0x7f {
        126 => (
            4,
            usize::from(u16::from_be_bytes([*buf.get(2)?, *buf.get(3)?])),
        ),
        127 => (
            10,
            u64::from_be_bytes(buf.get(2..10)?.try_into().ok()?) as usize,
        ),
        short => (2, usize::from(short)),
    };
    if masked {
        start += 4;
    }
    let end = start.checked_add(len)?;
    (end <= buf.len()).then_some(Frame {
        opcode: buf[0] & 0x0f,
        masked,
        start,
        end,
    })
}

/// Unmasks the payload of `frame`, which `buf` starts with, where it lies.
#[inline]
pub fn unmask(buf: &mut [u8], frame: Frame) {
    let key: [u8; 4] = buf[frame.start - 4..frame.start]
        .try_into()
        .expect("four bytes");
    let payload = &mut buf[frame.start..frame.end];
    let half = u64::from(u32::from_ne_bytes(key));
    let wide = half | half << 32;
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let word = u64::from_ne_bytes((&*chunk).try_into().expect("eight bytes"));
        chunk.copy_from_slice(&(word ^ wide).to_ne_bytes());
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Appends an unmasked frame, header and payload.
#[inline]
pub fn push_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    push_header(out, opcode, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// Appends a frame masked with `key`, as clients must send them.
pub fn push_masked(out: &mut Vec<u8>, opcode: u8, key: [u8; 4], payload: &[u8]) {
    push_header(out, opcode, payload.len(), 0x80);
    out.extend_from_slice(&key);
    out.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}

#[inline]
fn push_header(out: &mut Vec<u8>, opcode: u8, len: usize, mask_bit: u8) {
    out.push(0x80 | opcode);
    if len < 126 {
        out.push(mask_bit | len as u8);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(mask_bit | 126);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(mask_bit | 127);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

/// The value of Sec-WebSocket-Accept for a key.
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut out = [b'='; 28];
    for (group, four) in digest.chunks(3).zip(out.chunks_exact_mut(4)) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, char) in four.iter_mut().enumerate().take(group.len() + 1) {
            *char = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
        }
    }
    out
}

/// What a client asks for in the head of its upgrade request.
pub struct Request<'a> {
    pub target: &'a str,
    pub key: &'a [u8],
    /// Where the head ends and frames may begin.
    pub end: usize,
}

/// The head at the start of `buf`: `None` while incomplete, an error when it is no upgrade.
pub fn request(buf: &[u8]) -> Option<Result<Request<'_>, &'static str>> {
    let end = buf.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let mut lines = buf[..end].split(|&byte| byte == b'\n');
    let first = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    let Some(target) = first
        .strip_prefix("GET ")
        .and_then(|rest| rest.split(' ').next())
    else {
        return Some(Err("not a GET"));
    };
    const NAME: &[u8] = b"sec-websocket-key:";
    let key = lines.find_map(|line| {
        let named = line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME);
        named.then(|| line[NAME.len()..].trim_ascii())
    });
    Some(key.map(|key| Request { target, key, end }).ok_or("no key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_that_of_the_rfc() {
        assert_eq!(
            &accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn a_masked_frame_comes_back_as_it_was() {
        for len in [0, 1, 7, 64, 125, 126, 1024, 70_000] {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut buf = Vec::new();
            push_masked(&mut buf, BINARY, [1, 2, 3, 4], &payload);
            assert!(parse(&buf[..buf.len() - 1]).is_none());
            let frame = parse(&buf).expect("a whole frame");
            unmask(&mut buf, frame);
            assert_eq!(
                (frame.opcode, &buf[frame.start..frame.end]),
                (BINARY, &payload[..])
            );
        }
    }

    #[test]
    fn a_head_yields_target_and_key() {
        let head = b"GET /room/a HTTP/1.1\r\nHost: x\r\nsec-websocket-KEY: k1 \r\n\r\nrest";
        let request = request(head).expect("complete").expect("an upgrade");
        assert_eq!(
            (request.target, request.key, request.end),
            ("/room/a", &b"k1"[..], 57)
        );
    }
}
