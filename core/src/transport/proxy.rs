//! The PROXY header: what a proxy says of the connection that it makes on a peer's behalf.
//!
//! In: the first bytes of a connection. Out: who the peer is and where the header ends; what lies
//! behind it is not looked at. Both versions of HAProxy's `proxy-protocol.txt` are read. Sans-IO,
//! rank 1; whether the sender is to be believed is not decided here.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::Sender;

/// Bytes of a header of version 1, its line end included.
const LINE_BYTES_MAX: usize = 107;
/// Bytes of a header of version 2, what it says beside the addresses (TLVs) included. The protocol
/// would allow 64 KiB; what proxies say is some hundred bytes.
const BLOCK_BYTES_MAX: usize = 4_096;
const LINE_BEGIN: &[u8] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of a block of version 2: the signature, version and command, family, length.
const FIXED_BYTES: usize = 16;
/// Bytes of the addresses of each family.
const INET_BYTES: usize = 12;
const INET6_BYTES: usize = 36;
const UNIX_BYTES: usize = 216;

/// A header that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// For whom the proxy speaks; None for itself (`LOCAL`), or where it does not say (`UNKNOWN`,
    /// `UNSPEC`), so that the peer is the other end of the connection.
    pub(crate) peer: Option<Sender>,
    /// Bytes of the header.
    pub(crate) len: usize,
}

/// No PROXY header, and none that could become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// Reads the header at the beginning of what has come so far; None where more must come.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => line(bytes),
        Some(_) => block(bytes),
    }
}

/// Whether the text begins so; None where it is too short to say.
fn begins(bytes: &[u8], with: &[u8]) -> Result<Option<()>, Invalid> {
    let len = bytes.len().min(with.len());
    match bytes[..len] == with[..len] {
        true => Ok((len == with.len()).then_some(())),
        false => Err(Invalid),
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and a line end.
fn line(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    if begins(bytes, LINE_BEGIN)?.is_none() {
        return Ok(None);
    }
    let seen = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        return match seen.len() < LINE_BYTES_MAX {
            true => Ok(None),
            false => Err(Invalid),
        };
    };
    let text = seen[LINE_BEGIN.len()..end]
        .strip_suffix(b"\r")
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or(Invalid)?;
    let peer = match text.strip_prefix("UNKNOWN") {
        Some(rest) if rest.is_empty() || rest.starts_with(' ') => None,
        _ => Some(Sender::Address(source(text).ok_or(Invalid)?)),
    };
    let len = end + 1;
    Ok(Some(Header { peer, len }))
}

/// The source of a line whose form is checked to the end.
fn source(text: &str) -> Option<SocketAddr> {
    let mut words = text.split(' ');
    let family = words.next()?;
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => Some(word.parse::<Ipv4Addr>().ok()?.into()),
            "TCP6" => Some(word.parse::<Ipv6Addr>().ok()?.into()),
            _ => None,
        }
    };
    let source = address()?;
    address()?;
    let source_port = port(words.next()?)?;
    port(words.next()?)?;
    words
        .next()
        .is_none()
        .then_some((source, source_port).into())
}

/// Plain digits without a zero in front.
fn port(word: &str) -> Option<u16> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    (is_plain && (word == "0" || !word.starts_with('0'))).then(|| word.parse().ok())?
}

/// Version 2: a block of binary fields.
fn block(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    if begins(bytes, SIGNATURE)?.is_none() {
        return Ok(None);
    }
    let command = match bytes.get(12) {
        None => return Ok(None),
        Some(byte @ (0x20 | 0x21)) => byte & 1,
        Some(_) => return Err(Invalid),
    };
    let (Some(&kind), Some(&[high, low])) = (bytes.get(13), bytes.get(14..FIXED_BYTES)) else {
        return Ok(None);
    };
    let len = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if len > BLOCK_BYTES_MAX {
        return Err(Invalid);
    }
    let Some(said) = bytes.get(FIXED_BYTES..len) else {
        return Ok(None);
    };
    let peer = match command {
        0 => None,
        _ => peer_of(kind, said)?,
    };
    Ok(Some(Header { peer, len }))
}

/// The peer by family and transport. Of a datagram's sender the address is as good as a stream's:
/// a proxy that speaks HTTP/3 to it says so.
fn peer_of(kind: u8, said: &[u8]) -> Result<Option<Sender>, Invalid> {
    let has = |len: usize| said.get(..len).ok_or(Invalid);
    match kind {
        0x00 => Ok(None),
        0x11 | 0x12 => {
            let fields = has(INET_BYTES)?;
            Ok(Some(address(first::<4>(fields), &fields[8..])))
        }
        0x21 | 0x22 => {
            let fields = has(INET6_BYTES)?;
            Ok(Some(address(first::<16>(fields), &fields[32..])))
        }
        // A path on the proxy's host, where nobody is known here.
        0x31 | 0x32 => has(UNIX_BYTES).map(|_| Some(Sender::Unknown)),
        _ => Err(Invalid),
    }
}

fn address<A: Into<IpAddr>>(ip: A, ports: &[u8]) -> Sender {
    let port = u16::from_be_bytes(first(ports));
    Sender::Address(SocketAddr::new(ip.into(), port))
}

/// The first bytes of a field that was found long enough.
fn first<const N: usize>(fields: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&fields[..N]);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version_1(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
        let (ip, to_ip) = (from.ip(), to.ip());
        let (port, to_port) = (from.port(), to.port());
        format!("PROXY {family} {ip} {to_ip} {port} {to_port}\r\n").into()
    }

    fn version_2(kind: u8, said: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x21, kind]);
        bytes.extend((said.len() as u16).to_be_bytes());
        bytes.extend(said);
        bytes
    }

    fn fields(from: SocketAddr, to: SocketAddr, more: &[u8]) -> Vec<u8> {
        let mut said = Vec::new();
        for ip in [from.ip(), to.ip()] {
            match ip {
                IpAddr::V4(four) => said.extend(four.octets()),
                IpAddr::V6(six) => said.extend(six.octets()),
            }
        }
        said.extend(from.port().to_be_bytes());
        said.extend(to.port().to_be_bytes());
        said.extend(more);
        said
    }

    fn peer(bytes: &[u8]) -> Result<Option<Sender>, Invalid> {
        Ok(parse(bytes)?.expect("a whole header").peer)
    }

    #[test]
    fn lines_of_version_1() {
        let four = Ok(Some(Sender::Address("192.0.2.1:56324".parse().unwrap())));
        let six = Ok(Some(Sender::Address("[2001:db8::1]:0".parse().unwrap())));
        let longest = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
        assert_eq!(longest.len(), LINE_BYTES_MAX);
        let cases = [
            ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", four),
            ("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", six),
            ("PROXY UNKNOWN\r\n", Ok(None)),
            ("PROXY UNKNOWN \x01 whatever\r\n", Ok(None)),
            (longest, Ok(None)),
            ("PROXY UNKNOWNS\r\n", Err(Invalid)),
            ("PROXY \r\n", Err(Invalid)),
            (
                "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
                Err(Invalid),
            ),
            (
                "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n",
                Err(Invalid),
            ),
            (
                "PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n",
                Err(Invalid),
            ),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n", Err(Invalid)),
            (
                "PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
                Err(Invalid),
            ),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n", Err(Invalid)),
            ("PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n", Err(Invalid)),
            ("PROXY TCP4 192.0.2.01 198.51.100.1 1 443\r\n", Err(Invalid)),
            ("PROXY TCP4 192.0.2.1 ::1 1 443\r\n", Err(Invalid)),
            ("PROXY TCP6 192.0.2.1 192.0.2.1 1 443\r\n", Err(Invalid)),
            ("PROXY UDP4 192.0.2.1 192.0.2.1 1 443\r\n", Err(Invalid)),
            ("GET / HTTP/1.1\r\n", Err(Invalid)),
            ("POST / HTTP/1.1\r\n", Err(Invalid)),
            ("proxy UNKNOWN\r\n", Err(Invalid)),
        ];
        for (text, expected) in cases {
            assert_eq!(peer(text.as_bytes()), expected, "{text:?}");
        }
        let long = format!("PROXY UNKNOWN{}", " ".repeat(LINE_BYTES_MAX - 13));
        assert_eq!(parse(&long.as_bytes()[..LINE_BYTES_MAX - 1]), Ok(None));
        assert_eq!(parse(long.as_bytes()), Err(Invalid));
    }

    #[test]
    fn blocks_of_version_2() {
        let from: SocketAddr = "192.0.2.1:7".parse().unwrap();
        let four = fields(from, from, &[0x04, 0, 1, 0]);
        assert_eq!(
            peer(&version_2(0x11, &four)),
            Ok(Some(Sender::Address(from)))
        );
        assert_eq!(
            peer(&version_2(0x12, &four)),
            Ok(Some(Sender::Address(from)))
        );
        let unix = [0; UNIX_BYTES];
        assert_eq!(peer(&version_2(0x31, &unix)), Ok(Some(Sender::Unknown)));
        assert_eq!(peer(&version_2(0x00, &[])), Ok(None));
        assert_eq!(peer(&version_2(0x00, b"anything")), Ok(None));
        let short = [
            version_2(0x11, &four[..INET_BYTES - 1]),
            version_2(0x21, &unix[..INET6_BYTES - 1]),
            version_2(0x31, &unix[..UNIX_BYTES - 1]),
        ];
        let unheard = [0x01, 0x10, 0x13, 0x20, 0x41, 0xff].map(|kind| version_2(kind, &unix));
        for bytes in short.iter().chain(&unheard) {
            assert_eq!(parse(bytes), Err(Invalid), "{bytes:02x?}");
        }
        for command in [0x22, 0x2f, 0x11, 0x31, 0x00] {
            let mut bytes = version_2(0x11, &four);
            bytes[12] = command;
            assert_eq!(parse(&bytes), Err(Invalid), "{command:02x}");
        }
        let mut local = version_2(0xff, b"ignored");
        local[12] = 0x20;
        assert_eq!(peer(&local), Ok(None));
    }

    #[test]
    fn a_block_that_is_too_large_is_refused_before_it_is_here() {
        let said = vec![0; BLOCK_BYTES_MAX - FIXED_BYTES];
        let most = version_2(0x21, &said);
        assert_eq!(parse(&most).unwrap().unwrap().len, BLOCK_BYTES_MAX);
        let more = version_2(0x21, &vec![0; said.len() + 1]);
        assert_eq!(parse(&more[..FIXED_BYTES]), Err(Invalid));
    }

    /// What a longer text is found to be must be what its beginnings did not exclude.
    fn check_pieces(bytes: &[u8]) {
        let whole = parse(bytes);
        for len in 0..bytes.len() {
            match parse(&bytes[..len]) {
                Ok(None) => {
                    let is_in = |header: Header| header.len > len;
                    assert!(whole.is_ok_and(|h| h.is_none_or(is_in)) || whole.is_err());
                }
                early => assert_eq!(early, whole, "cut at {len}"),
            }
        }
    }

    fn socket_address() -> impl Strategy<Value = SocketAddr> {
        let four = any::<(u32, u16)>()
            .prop_map(|(bits, port)| SocketAddr::new(Ipv4Addr::from_bits(bits).into(), port));
        let six = any::<(u128, u16)>()
            .prop_map(|(bits, port)| SocketAddr::new(Ipv6Addr::from_bits(bits).into(), port));
        prop_oneof![four, six]
    }

    proptest! {
        #[test]
        fn a_header_that_was_written_is_read(
            from in socket_address(),
            tlvs in prop::collection::vec(any::<u8>(), 0..300),
            behind in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let kind = if from.is_ipv4() { 0x11 } else { 0x21 };
            for mut bytes in [
                version_1(from, from),
                version_2(kind, &fields(from, from, &tlvs)),
            ] {
                let len = bytes.len();
                let header = Header { peer: Some(Sender::Address(from)), len };
                bytes.extend(&behind);
                prop_assert_eq!(parse(&bytes), Ok(Some(header)));
                check_pieces(&bytes);
            }
        }

        #[test]
        fn pieces_of_garbage_are_what_the_whole_is(
            begin in prop::sample::select(vec![
                &b""[..], b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE,
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00",
            ]),
            behind in prop::collection::vec(any::<u8>(), 0..160),
        ) {
            check_pieces(&[begin, &behind[..]].concat());
        }
    }
}
