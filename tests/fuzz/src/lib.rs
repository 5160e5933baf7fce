//! The fuzz targets as plain functions over bytes: a target panics where roomcast breaks a promise.
//!
//! `tests/smoke.rs` runs all of them over the kept corpus and mutations of it; the programs in
//! `fuzz_targets/` hand the same functions to libFuzzer. A new target is a function here, a line in
//! [`TARGETS`], a folder in `corpus/` and a program.

#![forbid(unsafe_code)]

pub mod filters;
mod rooms;

use roomcast::testing::{peers, probe, tokens};

/// A target's name, its folder in `corpus/`, and what it does with an input.
pub type Target = (&'static str, &'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("http_head", "http_head", http_head),
    ("frames", "frames", frames),
    (
        "frames_beside_tungstenite",
        "frames",
        frames_beside_tungstenite,
    ),
    ("deflated", "deflated", deflated),
    ("proxy_header", "proxy_header", proxy_header),
    ("forwarded", "forwarded", forwarded),
    ("rooms", "rooms", rooms),
    ("filter_text", "filter_text", filters::text),
    ("filter_tree", "filter_tree", filters::tree),
    ("jwt_claims", "jwt_claims", jwt_claims),
    ("jwks", "jwks", jwks),
];

/// An HTTP request head.
pub fn http_head(input: &[u8]) {
    probe::http_head(input);
}

/// A stream of WebSocket frames: see [`Stream`].
pub fn frames(input: &[u8]) {
    if let Some(stream) = Stream::new(input) {
        probe::frames(stream.bytes, stream.cuts, stream.message_bytes_max);
    }
}

/// A stream of WebSocket frames, read by us and by tungstenite.
pub fn frames_beside_tungstenite(input: &[u8]) {
    if let Some(stream) = Stream::new(input) {
        probe::frames_beside_tungstenite(stream.bytes, stream.cuts, stream.message_bytes_max);
    }
}

/// A compressed message behind one byte for the limit on what comes out of it: that byte squared,
/// times four, so that tight limits and 256 KiB are both near.
pub fn deflated(input: &[u8]) {
    if let [limit, bytes @ ..] = input {
        probe::deflated(bytes, usize::from(*limit).pow(2) * 4);
    }
}

/// The beginning of a connection through a proxy.
pub fn proxy_header(input: &[u8]) {
    peers::proxy_header(input);
}

/// Lines of `X-Forwarded-For` or `Forwarded`, from a sender that is trusted or not.
pub fn forwarded(input: &[u8]) {
    peers::forwarded(input);
}

/// Operations on rooms, connections and time, the engine beside a naive model.
pub fn rooms(input: &[u8]) {
    rooms::run(input);
}

/// The claims of a token, and its header.
pub fn jwt_claims(input: &[u8]) {
    tokens::claims(input);
}

/// A set of keys.
pub fn jwks(input: &[u8]) {
    tokens::jwks(input);
}

/// A stream of frames as an input spells it: one byte for the message limit (times four, plus
/// 125, since tungstenite holds control frames to it too), one for the number of cuts (modulo 16),
/// the cuts, the bytes.
struct Stream<'a> {
    message_bytes_max: usize,
    cuts: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Stream<'a> {
    fn new(input: &'a [u8]) -> Option<Self> {
        let [limit, count, rest @ ..] = input else {
            return None;
        };
        let (cuts, bytes) = rest.split_at_checked(usize::from(*count % 16))?;
        Some(Stream {
            message_bytes_max: 125 + usize::from(*limit) * 4,
            cuts,
            bytes,
        })
    }
}
