//! Doors into who is at the other end, for fuzzers: the PROXY header, and the headers of proxies.
//!
//! In: bytes as a stranger might send them, alone or through a proxy. Out: nothing, or a panic
//! where a promise is broken. Any thread.

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use crate::address::{ForwardedHeader, Proxies, Sender, Trusted};
use crate::transport::proxy::{self, Header, Invalid};

/// What a stranger may write in front of what a proxy adds.
const FORGED: &[&str] = &[
    "6.6.6.6",
    "for=6.6.6.6",
    "for=\"6.6.6.6",
    "\"",
    "\\",
    "for=\"\\",
    "10.0.0.1",
    "",
];
/// Beginnings that are all looked at; of longer ones only some.
const LINE: usize = 128;
/// Below this many elements one more is still looked at.
const FEW: usize = 32;

/// The beginning of a connection, whole and in all its beginnings.
///
/// # Panics
/// Where a longer text unsays what a shorter one said, or a header names an address that it does
/// not hold.
pub fn proxy_header(bytes: &[u8]) {
    let whole = proxy::parse(bytes);
    let (first, others) = (bytes.len().min(LINE), 1 + bytes.len() / 64);
    for len in (0..first).chain((first..bytes.len()).step_by(others)) {
        match (proxy::parse(&bytes[..len]), whole) {
            (Ok(None), Ok(Some(header))) => assert!(len < header.len, "cut at {len}"),
            (Ok(None), _) => {}
            (early, late) => assert_eq!(early, late, "cut at {len}"),
        }
    }
    let Ok(Some(Header { peer, len })) = whole else {
        return;
    };
    assert!(len <= bytes.len().min(4_096));
    let said = &bytes[..len];
    let is_line = said.starts_with(b"PROXY ");
    match peer {
        None => {}
        Some(Sender::Unix) => panic!("nobody becomes a neighbour by a header"),
        Some(Sender::Unknown) => assert!(!is_line && said[13] >> 4 == 3),
        Some(Sender::Address(address)) if is_line => {
            let text = std::str::from_utf8(said).expect("a line of text");
            let words: Vec<&str> = text.trim_end().split(' ').collect();
            assert_eq!(words[2].parse(), Ok(address.ip()));
            assert_eq!(words[4], address.port().to_string());
            assert!(words.len() == 6 && text.ends_with("\r\n"));
        }
        Some(Sender::Address(address)) => {
            let (octets, ports) = match address.ip() {
                IpAddr::V4(four) => (four.octets().to_vec(), 24),
                IpAddr::V6(six) => (six.octets().to_vec(), 48),
            };
            assert_eq!(said[16..16 + octets.len()], octets);
            assert_eq!(said[ports..ports + 2], address.port().to_be_bytes());
        }
    }
    let mut other = said.to_vec();
    other[0] ^= 0x80;
    assert_eq!(proxy::parse(&other), Err(Invalid));
}

/// Lines of a forwarding header behind one byte, of which one bit says which header it is and two
/// from whom it comes.
///
/// # Panics
/// Where the answer is nobody who was named, where it is not that of a naive reading, or where what
/// a stranger writes in front changes it.
pub fn forwarded(input: &[u8]) {
    let [how, text @ ..] = input else {
        return;
    };
    let (ours, theirs) = ([10, 0, 0, 9], [192, 0, 2, 200]);
    let sender = match how >> 1 & 3 {
        0 => Sender::Address((ours, 1).into()),
        1 => Sender::Address((theirs, 1).into()),
        2 => Sender::Unix,
        _ => Sender::Unknown,
    };
    let texts = ["10.0.0.0/8", "2001:db8:1::/48", "unix"].map(String::from);
    let proxies = Proxies {
        trusted: Trusted::parse(texts).expect("good networks"),
        header: match how & 1 {
            0 => ForwardedHeader::XForwardedFor,
            _ => ForwardedHeader::Forwarded,
        },
    };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let Some(answer) = answer(&proxies, sender, &lines) else {
        return;
    };
    if !proxies.trusted.has(sender) {
        return assert_eq!(answer, sender.ip());
    }
    let Some(peer) = answer else {
        return assert_eq!(sender, Sender::Unix);
    };
    assert!(
        answer == sender.ip() || spelled(text).contains(&peer),
        "{peer} was never named"
    );
    if let Some(naive) = naive(&proxies, &lines) {
        assert_eq!(peer, naive);
    }
    if !proxies.trusted.has(Sender::Address((peer, 0).into())) {
        stays(&proxies, sender, &lines, answer);
    }
}

/// A stranger was found: what is in front of it does not matter, nor does one more of our proxies,
/// nor how lines are joined.
fn stays(proxies: &Proxies, sender: Sender, lines: &[&[u8]], peer: Option<IpAddr>) {
    let same = |lines: &[&[u8]]| assert_eq!(answer(proxies, sender, lines), Some(peer));
    for forged in FORGED {
        same(&[&[forged.as_bytes()][..], lines].concat());
        let begin = [forged.as_bytes(), b",", lines[0]].concat();
        same(&[&[&begin[..]][..], &lines[1..]].concat());
    }
    let joined = lines.join(&b", "[..]);
    same(&[&joined]);
    if joined.iter().filter(|byte| **byte == b',').count() < FEW {
        let own: &[u8] = match proxies.header {
            ForwardedHeader::XForwardedFor => b"10.0.0.1",
            ForwardedHeader::Forwarded => b"proto=http;For=\"[2001:db8:1::7]:_a\"",
        };
        same(&[lines, &[own]].concat());
    }
}

/// None where a line cannot be a header field at all.
fn answer(proxies: &Proxies, sender: Sender, lines: &[&[u8]]) -> Option<Option<IpAddr>> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let name = match proxies.header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        };
        headers.append(name, HeaderValue::from_bytes(line).ok()?);
    }
    Some(proxies.peer_ip(sender, &headers))
}

/// The same walk over plain addresses only; None where anything else comes before its end.
fn naive(proxies: &Proxies, lines: &[&[u8]]) -> Option<IpAddr> {
    let joined = String::from_utf8(lines.join(&b',')).ok()?;
    let mut last = None;
    for element in joined.rsplit(',').take(FEW) {
        let element = element.trim_matches([' ', '\t']);
        let ip: IpAddr = match proxies.header {
            ForwardedHeader::XForwardedFor => element.parse().ok()?,
            ForwardedHeader::Forwarded => element.strip_prefix("for=")?.parse().ok()?,
        };
        if ip.is_ipv6() && proxies.header == ForwardedHeader::Forwarded {
            return None;
        }
        last = Some(ip.to_canonical());
        if !proxies.trusted.has(Sender::Address((ip, 0).into())) {
            return last;
        }
    }
    last.filter(|_| joined.split(',').count() <= FEW)
}

/// Every address that a text can be said to hold.
fn spelled(text: &[u8]) -> Vec<IpAddr> {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || b".:".contains(byte);
    let runs = text.split(|byte| !is_part(byte));
    let texts = runs.filter_map(|run| std::str::from_utf8(run).ok());
    let parsed = texts.flat_map(|run| {
        let before_port = run.split(':').next().unwrap_or(run);
        [run.parse::<IpAddr>().ok(), before_port.parse().ok()]
    });
    parsed.flatten().map(|ip| ip.to_canonical()).collect()
}
