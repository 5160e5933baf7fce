//! Doors into the transports for fuzzing and benches, which are packages of their own: each takes
//! bytes as a peer might send them and panics where a promise is broken.
//!
//! Only with the feature `internal-testing`; nothing here is part of the API. Any thread.

use super::http::{self, HeadLimits, Route};
use super::ws::deflate::{Deflater, Inflater, Window};
use super::ws::{self, ReadLimits, Reader, oracle};
use crate::config::Origins;
use crate::request::Request;

/// A request head in a buffer of 1 KiB, and every answer to it.
///
/// # Panics
/// Where a longer buffer unsays what a shorter one said, or an answer is not HTTP.
pub fn http_head(bytes: &[u8]) {
    let limits = HeadLimits {
        head_bytes_max: 1024,
        headers_max: 32,
    };
    let whole = http::parse(bytes, &limits);
    let taken = whole
        .as_ref()
        .map(|head| head.as_ref().map(|(_, taken)| *taken));
    // A head is parsed again whenever more of it has come, so what was said must stand.
    for len in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        match (http::parse(&bytes[..len], &limits), taken) {
            (Ok(Some((_, early))), late) => assert_eq!(Ok(Some(early)), late, "cut at {len}"),
            (Ok(None), Ok(Some(taken))) => assert!(len < taken, "cut at {len} of {taken}"),
            (Ok(None), _) => {}
            (Err(early), late) => assert!(late.is_err(), "cut at {len}: {early:?}, then {late:?}"),
        }
    }
    match whole {
        Ok(Some((head, taken))) => {
            assert!(taken <= bytes.len() && taken <= limits.head_bytes_max);
            answer(&Request::new(head, None));
        }
        Ok(None) => assert!(bytes.len() < limits.head_bytes_max),
        Err(reject) => assert_response(&reject.to_bytes(false)),
    }
}

fn answer(request: &Request) {
    let offered = request.subprotocols().next();
    match http::route(request) {
        Route::WebSocket => {
            let deflate = http::offered_deflate(request);
            assert_response(&http::switching(request, offered, deflate));
        }
        Route::Plain => {
            let named = [
                ("X-Path", request.path()),
                ("X-Host", request.host().unwrap_or("")),
            ];
            assert_response(&http::response(200, &named, b"body", false));
        }
        Route::Reject(reject) => assert_response(&reject.to_bytes(false)),
    }
    http::origin_allowed(request, &Origins::SameHost);
    if let (1, Some(origin)) = (
        request.headers().get_all("origin").iter().count(),
        request.origin(),
    ) {
        let listed = Origins::Listed(vec![origin.into()]);
        assert!(http::origin_allowed(request, &listed), "{origin} is listed");
    }
    for (name, _) in request.cookies() {
        assert!(request.cookie(name).is_some());
    }
    for pair in request.query().unwrap_or("").split('&') {
        let _ = request.query_value(pair);
    }
    assert!(!format!("{request:?}").is_empty());
}

fn assert_response(bytes: &[u8]) {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = response.parse(bytes).expect("what we answer is HTTP");
    let httparse::Status::Complete(head_len) = parsed else {
        panic!("the head is whole")
    };
    let length = response
        .headers
        .iter()
        .find(|field| field.name == "Content-Length");
    let body_len = length.map_or(0, |field| {
        let text = std::str::from_utf8(field.value).expect("our lengths are digits");
        text.parse::<usize>().expect("our lengths are digits")
    });
    assert_eq!(
        head_len + body_len,
        bytes.len(),
        "the body is as long as the head says"
    );
}

/// A stream of frames, cut in the given places and in others: what is read is the same.
///
/// # Panics
/// Where it is not, or where the reader holds more than its limits allow.
pub fn frames(bytes: &[u8], cuts: &[u8], message_bytes_max: usize) {
    let limits = ReadLimits {
        message_bytes_max,
        fragments_max: 8,
    };
    let whole = oracle::ours(&[bytes], &limits);
    let cut = oracle::ours(&oracle::pieces(bytes, cuts), &limits);
    assert_eq!(whole, cut, "cut at {cuts:?}");
    let single = oracle::ours(&bytes.chunks(1).collect::<Vec<_>>(), &limits);
    assert_eq!(whole, single, "byte by byte");
}

/// The same for tungstenite's `WebSocketContext`; its reader and ours differ only where ours
/// does on purpose.
///
/// # Panics
/// Where they disagree.
pub fn frames_beside_tungstenite(bytes: &[u8], cuts: &[u8], message_bytes_max: usize) {
    let limits = ReadLimits {
        message_bytes_max,
        fragments_max: u32::MAX,
    };
    if let Some(difference) = oracle::disagreement(bytes, cuts, &limits) {
        panic!("{difference}");
    }
}

/// A compressed message as a peer might send it, inflated within a limit.
///
/// # Panics
/// Where more comes out than may, or what comes out is not the same when compressed and inflated
/// again.
pub fn deflated(bytes: &[u8], message_bytes_max: usize) {
    let mut inflater = Inflater::default();
    let Ok(payload) = inflater.inflate(bytes, message_bytes_max) else {
        return;
    };
    assert!(payload.len() <= message_bytes_max, "the limit is kept");
    for window in [Window::Bits9, Window::Bits15] {
        if let Some(again) = Deflater::new(1).deflate(window, &payload) {
            assert!(again.len() < payload.len(), "or it would go as it is");
            assert_eq!(inflater.inflate(&again, payload.len()), Ok(payload.clone()));
        }
    }
}

/// Messages that lie whole in `buf`, read in place; the count. For benches.
///
/// # Panics
/// Where `buf` breaks a rule.
pub fn read_in_place(buf: &mut [u8]) -> usize {
    let limits = ReadLimits {
        message_bytes_max: 1 << 20,
        fragments_max: 4096,
    };
    let (mut reader, mut at, mut count) = (Reader::new(), 0, 0);
    while let Some(item) = reader.next(buf, &mut at, &limits).expect("lawful frames") {
        std::hint::black_box(&item);
        count += 1;
    }
    count
}

/// The header of an unmasked text frame, as it stands before each publication. For benches.
pub fn text_header(payload_len: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    let len = ws::write_header(ws::Opcode::Text, payload_len, &mut header);
    (header, len)
}
