//! The reader beside tungstenite's `WebSocketContext`: same bytes in the same pieces, and whether
//! they heard the same. For tests and fuzzing only.
//!
//! Where the two may differ, each difference being ours on purpose:
//! - ours fails as soon as a rule is broken, the oracle when the frame is complete (so a frame that
//!   broke a rule is completed with zeros for the oracle before the two are compared);
//! - ours refuses lengths that are not minimal; the oracle takes them;
//! - of a frame that breaks a rule and the size limit, ours names the rule, the oracle the limit;
//! - the oracle holds control frames to the message limit too, so limits are to be 125 or more;
//! - ours takes close code 1014; a code that may not be sent is an error of ours, and a close with
//!   code 1002 of the oracle's.

use std::io::{self, Read, Write};

use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::{Item, ReadLimits, Reader, Violation};

/// What a reader said of a stream of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) said: Vec<Said>,
    pub(crate) end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// More bytes could follow.
    Open,
    Closed,
    /// With this close code.
    Broken(u16),
}

/// Reads `pieces` with our reader. Panics where its own promises are broken.
pub(crate) fn ours(pieces: &[&[u8]], limits: &ReadLimits) -> (Heard, Option<Violation>) {
    let mut reader = Reader::new();
    let mut heard = Heard {
        said: Vec::new(),
        end: End::Open,
    };
    for piece in pieces {
        let (mut buf, mut at) = (piece.to_vec(), 0);
        loop {
            let before = at;
            let item = match reader.next(&mut buf, &mut at, limits) {
                Ok(Some(item)) => item,
                Ok(None) => break,
                Err(violation) => {
                    assert_eq!(reader.held_bytes(), 0, "an ended reader holds nothing");
                    heard.end = End::Broken(violation.close_code());
                    return (heard, Some(violation));
                }
            };
            assert!(before < at && at <= buf.len(), "an item takes bytes");
            heard.said.push(said(&item, &buf));
            if matches!(item, Item::Close { .. }) {
                heard.end = End::Closed;
                return (heard, None);
            }
        }
        assert_eq!(at, buf.len(), "without an item all is taken");
        let held_max = limits.message_bytes_max * 2 + 1024;
        assert!(
            reader.held_bytes() <= held_max,
            "{} bytes held",
            reader.held_bytes()
        );
    }
    (heard, None)
}

fn said(item: &Item, buf: &[u8]) -> Said {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text is proven UTF-8");
    match item {
        Item::Text(payload) => Said::Text(text(payload.bytes(buf))),
        Item::Binary(payload) => Said::Binary(payload.bytes(buf).to_vec()),
        Item::Deflated { .. } => unreachable!("no extension was agreed on"),
        Item::Ping(payload) => Said::Ping(payload.bytes(buf).to_vec()),
        Item::Pong(payload) => Said::Pong(payload.bytes(buf).to_vec()),
        Item::Close { code, reason } => Said::Close(*code, text(reason.bytes(buf))),
    }
}

/// Reads `pieces` with tungstenite.
pub(crate) fn oracle(pieces: &[&[u8]], limits: &ReadLimits) -> Heard {
    let config = WebSocketConfig::default()
        .read_buffer_size(512)
        .max_message_size(Some(limits.message_bytes_max))
        .max_frame_size(Some(limits.message_bytes_max));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut heard = Heard {
        said: Vec::new(),
        end: End::Open,
    };
    for piece in pieces {
        let mut stream = Memory(piece);
        while heard.end == End::Open {
            match context.read(&mut stream) {
                Ok(Message::Text(text)) => heard.said.push(Said::Text(text.as_str().into())),
                Ok(Message::Binary(bytes)) => heard.said.push(Said::Binary(bytes.to_vec())),
                Ok(Message::Ping(bytes)) => heard.said.push(Said::Ping(bytes.to_vec())),
                Ok(Message::Pong(bytes)) => heard.said.push(Said::Pong(bytes.to_vec())),
                Ok(Message::Close(frame)) => {
                    let code = frame.as_ref().map(|frame| frame.code.into());
                    let reason = frame.map_or(String::new(), |frame| frame.reason.as_str().into());
                    heard.said.push(Said::Close(code, reason));
                    heard.end = End::Closed;
                }
                Ok(Message::Frame(_)) => unreachable!("reading never gives a bare frame"),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(Error::Protocol(_)) => heard.end = End::Broken(1002),
                Err(Error::Utf8(_)) => heard.end = End::Broken(1007),
                Err(Error::Capacity(_)) => heard.end = End::Broken(1009),
                Err(other) => unreachable!("reading from memory: {other}"),
            }
        }
    }
    heard
}

/// Cuts `bytes` at each of `cuts` (taken modulo what is left) and reads them with both. `None`
/// when they agree, else what each of them heard.
pub(crate) fn disagreement(bytes: &[u8], cuts: &[u8], limits: &ReadLimits) -> Option<String> {
    debug_assert!(limits.message_bytes_max >= super::CONTROL_BYTES_MAX);
    let mut pieces = pieces(bytes, cuts);
    let (ours, violation) = ours(&pieces, limits);
    let mut oracle_heard = oracle(&pieces, limits);
    if oracle_heard.end == End::Open && violation.is_some() {
        // A frame that fits the limit, plus the longest header that may still be incomplete.
        let rest = vec![0; limits.message_bytes_max.saturating_add(14)];
        pieces.push(&rest);
        oracle_heard = oracle(&pieces, limits);
    }
    match same(&ours, violation, &oracle_heard) {
        true => None,
        false => Some(format!(
            "ours: {ours:?} {violation:?}\noracle: {oracle_heard:?}"
        )),
    }
}

pub(crate) fn pieces<'a>(mut bytes: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = bytes.split_at(usize::from(*cut) % (bytes.len() + 1));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

fn same(ours: &Heard, violation: Option<Violation>, oracle: &Heard) -> bool {
    let count = ours.said.len();
    match violation {
        Some(Violation::Length | Violation::Fragments) => oracle.said.starts_with(&ours.said),
        Some(Violation::CloseCode) => match oracle.said.split_last() {
            Some((last, before)) => before == ours.said && is_bad_code(last),
            None => false,
        },
        Some(rule) if rule.close_code() == 1002 => {
            oracle.said == ours.said && matches!(oracle.end, End::Broken(1002 | 1009))
        }
        _ if matches!(ours.said.last(), Some(Said::Close(Some(1014), _))) => {
            oracle.said[..count - 1] == ours.said[..count - 1]
                && oracle.said.last().is_some_and(is_bad_code)
        }
        _ => ours == oracle,
    }
}

fn is_bad_code(said: &Said) -> bool {
    matches!(said, Said::Close(Some(1002), reason) if reason == "Protocol violation")
}

/// What is left of a piece, as a stream that blocks at its end and takes every answer.
struct Memory<'a>(&'a [u8]);

impl Read for Memory<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.is_empty() {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => self.0.read(buf),
        }
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
