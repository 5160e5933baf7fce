//! Who is at the other end: which senders are believed, and what their headers say of others.
//!
//! In: the sender of a connection, networks that the host trusts, header fields. Out: the address
//! of the first one, seen from here, whom nobody trusts: whatever stands to the left of that was
//! written by a stranger. Rank 0: values and text, no sockets, any thread.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::ConfigError;

/// Elements of a forwarding header that are looked at. Nobody has so many proxies of his own.
const ELEMENTS_MAX: usize = 64;
/// The setting that is named in errors.
const SETTING: &str = "trusted_proxies";
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Which header field of a trusted proxy tells for whom it speaks.
///
/// One is believed and the other is not looked at: a proxy that writes one passes the other through
/// as it came, so that a stranger would choose its own address there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: 192.0.2.1, 10.0.0.7`: what nearly every proxy writes.
    #[default]
    XForwardedFor,
    /// `Forwarded: for=192.0.2.1, for="[2001:db8::7]:4711"` (RFC 7239), of which the `for`
    /// parameters are read.
    Forwarded,
}

/// The other end of a connection, by the socket or by a PROXY header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sender {
    Address(SocketAddr),
    /// Somebody on a unix socket of this host.
    Unix,
    /// It has no address, or none that is known. Never trusted.
    #[default]
    Unknown,
}

impl Sender {
    pub(crate) fn socket(self) -> Option<SocketAddr> {
        match self {
            Sender::Address(address) => Some(address),
            Sender::Unix | Sender::Unknown => None,
        }
    }

    pub(crate) fn ip(self) -> Option<IpAddr> {
        Some(self.socket()?.ip().to_canonical())
    }
}

/// Whose word is taken for the address of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trusted {
    /// First and last address of each network, in order; none overlaps another.
    networks: Box<[(IpAddr, IpAddr)]>,
    unix: bool,
}

impl Trusted {
    pub(crate) fn parse(texts: impl IntoIterator<Item = String>) -> Result<Trusted, ConfigError> {
        let mut unix = false;
        let mut all = Vec::new();
        for text in texts {
            match text.trim() {
                "unix" => unix = true,
                trimmed => match network(trimmed) {
                    Ok(network) => all.push(network),
                    Err(because) => {
                        return Err(ConfigError::Invalid {
                            setting: SETTING,
                            value: text,
                            because,
                        });
                    }
                },
            }
        }
        // Of two networks that share an address one lies within the other: the wider comes first.
        all.sort_unstable_by_key(|&(first, last)| (first, std::cmp::Reverse(last)));
        let mut networks: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(all.len());
        for network in all {
            if networks.last().is_none_or(|wider| wider.1 < network.0) {
                networks.push(network);
            }
        }
        Ok(Trusted {
            networks: networks.into(),
            unix,
        })
    }

    pub(crate) fn is_nobody(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    pub(crate) fn has(&self, sender: Sender) -> bool {
        match sender {
            Sender::Address(address) => self.has_ip(address.ip().to_canonical()),
            Sender::Unix => self.unix,
            Sender::Unknown => false,
        }
    }

    fn has_ip(&self, ip: IpAddr) -> bool {
        let behind = self.networks.partition_point(|(first, _)| *first <= ip);
        behind > 0 && ip <= self.networks[behind - 1].1
    }
}

/// First and last address of `10.0.0.0/8`, or of a single address; else what is wrong with it.
fn network(text: &str) -> Result<(IpAddr, IpAddr), &'static str> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(
            "a network is written 10.0.0.0/8 or 2001:db8::/32, an address 192.0.2.1 or ::1, \
             and unix sockets are the word unix",
        );
    };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let Some(bits) = prefix.map_or(Some(width), |prefix| decimal(prefix, width)) else {
        return Err("behind the slash is a number of bits, at most 32 of IPv4 and 128 of IPv6");
    };
    // An IPv4 address in IPv6 is itself, so a network of them is one of IPv4.
    let (address, bits) = match address.to_canonical() {
        IpAddr::V4(four) if width == 128 && bits >= 96 => (IpAddr::V4(four), bits - 96),
        IpAddr::V4(_) if width == 128 => (address, bits),
        canonical => (canonical, bits),
    };
    let last = match address {
        IpAddr::V4(four) => {
            let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
            (four.to_bits() & rest == 0 || bits == 32)
                .then(|| IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() | rest)))
        }
        IpAddr::V6(six) => {
            let rest = u128::MAX.checked_shr(bits).unwrap_or(0);
            (six.to_bits() & rest == 0 || bits == 128)
                .then(|| IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() | rest)))
        }
    };
    match last {
        Some(last) => Ok((address, last)),
        None => Err(
            "the address has bits behind its prefix, so it is no network: 10.1.2.3 and \
             10.0.0.0/8 are, 10.1.2.3/8 is not",
        ),
    }
}

/// A number of plain digits, at most `most`.
fn decimal(text: &str, most: u32) -> Option<u32> {
    let is_plain = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok()?;
    (is_plain && number <= most).then_some(number)
}

/// Whom the host trusts, and by which header.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies {
    pub(crate) trusted: Trusted,
    pub(crate) header: ForwardedHeader,
}

impl Proxies {
    /// The address of the peer for whom a request was made: the sender's own, unless it is trusted;
    /// then who was before it, by the header, and so on while those are trusted. What cannot be
    /// read ends the walk at the last one that could.
    pub(crate) fn peer_ip(&self, sender: Sender, headers: &HeaderMap) -> Option<IpAddr> {
        let mut ip = sender.ip();
        if !self.trusted.has(sender) {
            return ip;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let lines = headers.get_all(name).into_iter().rev();
        let elements = lines.flat_map(|line| self.header.elements(line));
        for element in elements.take(ELEMENTS_MAX) {
            let Some(before) = self.header.address(element) else {
                break;
            };
            ip = Some(before);
            if !self.trusted.has_ip(before) {
                break;
            }
        }
        ip
    }
}

impl ForwardedHeader {
    /// The elements of a line, the last one first.
    fn elements(self, line: &HeaderValue) -> Elements<'_> {
        Elements {
            rest: Some(line.as_bytes()),
            header: self,
        }
    }

    fn address(self, element: &[u8]) -> Option<IpAddr> {
        match self {
            ForwardedHeader::XForwardedFor => node(element),
            ForwardedHeader::Forwarded => node(for_parameter(element)?),
        }
    }
}

struct Elements<'a> {
    /// What lies to the left of the elements taken; None behind the last of them.
    rest: Option<&'a [u8]>,
    header: ForwardedHeader,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let comma = match self.header {
            ForwardedHeader::XForwardedFor => rest.iter().rposition(|byte| *byte == b','),
            ForwardedHeader::Forwarded => last_comma(rest),
        };
        let element = match comma {
            Some(comma) => {
                self.rest = Some(&rest[..comma]);
                &rest[comma + 1..]
            }
            None => {
                self.rest = None;
                rest
            }
        };
        Some(element.trim_ascii())
    }
}

/// The last comma outside of quoted strings, read from the right: an element that a proxy added is
/// read as it wrote it, also behind a quote that a stranger left open.
fn last_comma(text: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut at = text.len();
    while at > 0 {
        at -= 1;
        match text[at] {
            b'"' if quoted => {
                let slashes = text[..at].iter().rev().take_while(|b| **b == b'\\');
                let slashes = slashes.count();
                quoted = slashes % 2 == 1;
                at -= slashes;
            }
            b'"' => quoted = true,
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The value of the one `for` of an element; None where there is none, or two, or where anything
/// in the element is malformed.
fn for_parameter(element: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let mut rest = element;
    loop {
        rest = rest.trim_ascii_start();
        if let Some((name, value, behind)) = pair(rest) {
            if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
                return None;
            }
            rest = behind.trim_ascii_start();
        }
        match rest {
            [] => return found,
            [b';', behind @ ..] => rest = behind,
            _ => return None,
        }
    }
}

/// `name=value` at the beginning of a text, and what lies behind it. The value is what lies within
/// the quotes, escapes and all, since no address needs one.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, text) = text.split_at(text.iter().position(|byte| !is_token(*byte))?);
    let text = text.strip_prefix(b"=").filter(|_| !name.is_empty())?;
    let Some(inner) = text.strip_prefix(b"\"") else {
        // Many write IPv6 without the quotes, which is clear enough.
        let is_value = |byte: &u8| is_token(*byte) || b"[]:".contains(byte);
        let len = text.iter().take_while(|byte| is_value(byte)).count();
        let (value, behind) = text.split_at(len);
        return (len > 0).then_some((name, value, behind));
    };
    let mut at = 0;
    loop {
        match inner.get(at)? {
            b'"' => return Some((name, &inner[..at], &inner[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80` or `2001:db8::1`. Words such as
/// `unknown` and `_hidden` are no addresses.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let (ip, port): (IpAddr, &str) = if let Some(inner) = text.strip_prefix('[') {
        let (ip, port) = inner.split_once(']')?;
        (ip.parse::<Ipv6Addr>().ok()?.into(), port)
    } else {
        let colon = text.find(':').unwrap_or(text.len());
        let (ip, port) = text.split_at(colon);
        match ip.parse::<Ipv4Addr>() {
            Ok(four) => (four.into(), port),
            Err(_) => (text.parse::<Ipv6Addr>().ok()?.into(), ""),
        }
    };
    is_port(port).then(|| ip.to_canonical())
}

/// Nothing, `:80` or, where it is hidden, `:_name`.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else {
        return text.is_empty();
    };
    match port.strip_prefix('_') {
        Some(name) => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !name.is_empty() && name.bytes().all(is_name)
        }
        None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trusted(texts: &[&str]) -> Trusted {
        Trusted::parse(texts.iter().map(|text| text.to_string())).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn sender(ip_text: &str) -> Sender {
        Sender::Address(SocketAddr::new(ip(ip_text), 4711))
    }

    /// What a connection of 10.0.0.9 with these lines is found to be, its text or `-`.
    fn walk(header: ForwardedHeader, lines: &[&str]) -> String {
        let proxies = Proxies {
            trusted: trusted(&["10.0.0.0/8", "2001:db8:1::/48"]),
            header,
        };
        walked(&proxies, sender("10.0.0.9"), lines)
    }

    fn walked(proxies: &Proxies, sender: Sender, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            match proxies.header {
                ForwardedHeader::XForwardedFor => headers.append("X-Forwarded-For", value),
                ForwardedHeader::Forwarded => headers.append("Forwarded", value),
            };
        }
        let found = proxies.peer_ip(sender, &headers);
        found.map_or("-".into(), |ip| ip.to_string())
    }

    #[test]
    fn networks_hold_what_they_say() {
        let cases = [
            ("10.0.0.0/8", "10.0.0.0", true),
            ("10.0.0.0/8", "10.255.255.255", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "9.255.255.255", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "ffff::1", true),
            ("::/0", "192.0.2.1", false),
            ("::1", "::1", true),
            ("::1", "::2", false),
            (" 192.0.2.7/32 ", "192.0.2.7", true),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("::ffff:10.0.0.0/104", "11.0.0.0", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
        ];
        for (network, address, is_in) in cases {
            assert_eq!(
                trusted(&[network]).has(sender(address)),
                is_in,
                "{network} {address}"
            );
        }
        assert!(trusted(&["unix"]).has(Sender::Unix) && !trusted(&["unix"]).is_nobody());
        assert!(!trusted(&["0.0.0.0/0", "::/0"]).has(Sender::Unix));
        assert!(!trusted(&["unix", "::/0"]).has(Sender::Unknown));
        assert!(Trusted::default().is_nobody());
    }

    #[test]
    fn what_is_no_network_is_named_with_its_setting() {
        let texts = [
            "",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "2001:db8::1/32",
            "::ffff:10.0.0.0/80",
            "10.0.0.0/8/8",
            "localhost",
            "UNIX",
            "[::1]",
            "10.0.0.0/255.0.0.0",
            "fe80::1%eth0",
            "10.0.0.0/0008",
        ];
        for text in texts {
            let error = Trusted::parse(["::1".into(), text.to_string()]).unwrap_err();
            let told = error.to_string();
            assert!(told.contains("trusted_proxies") && told.contains(&format!("{text:?}")));
        }
    }

    #[test]
    fn the_nearest_address_that_nobody_trusts_is_the_peers() {
        let cases: [(&[&str], &str); 20] = [
            (&[], "10.0.0.9"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
            (
                &["6.6.6.6, 192.0.2.1,10.0.0.1 , 2001:db8:1::5"],
                "192.0.2.1",
            ),
            (&["6.6.6.6, 192.0.2.1", "10.0.0.1"], "192.0.2.1"),
            (&["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
            (&["192.0.2.1:80"], "192.0.2.1"),
            (&["[2001:db8::1]:80"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
            (&["unknown"], "10.0.0.9"),
            (&["192.0.2.1, unknown, 10.0.0.1"], "10.0.0.1"),
            (&["192.0.2.1,, 10.0.0.1"], "10.0.0.1"),
            (&["192.0.2.1, "], "10.0.0.9"),
            (&["192.0.2.1", ""], "10.0.0.9"),
            (&["192.0.2.1:http"], "10.0.0.9"),
            (&["[192.0.2.1]"], "10.0.0.9"),
        ];
        for (lines, expected) in cases {
            assert_eq!(
                walk(ForwardedHeader::XForwardedFor, lines),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn forwarded_is_read_by_its_grammar() {
        let cases: [(&[&str], &str); 26] = [
            (&["for=192.0.2.1"], "192.0.2.1"),
            (&["For=192.0.2.1;Proto=http;by=203.0.113.43"], "192.0.2.1"),
            (&["proto=https ; FOR=\"192.0.2.1:80\""], "192.0.2.1"),
            (&["for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=[2001:db8::1]"], "2001:db8::1"),
            (&["for=\"[2001:db8::1]:_port\""], "2001:db8::1"),
            (&["for=6.6.6.6, for=192.0.2.1, for=10.0.0.1"], "192.0.2.1"),
            (
                &["for=6.6.6.6", "for=192.0.2.1", "for=10.0.0.1"],
                "192.0.2.1",
            ),
            (&["for=192.0.2.1;host=\"a, for=6.6.6.6\""], "192.0.2.1"),
            (&["for=192.0.2.1;host=\"a\\\", for=6.6.6.6\""], "192.0.2.1"),
            (&["for=192.0.2.1;host=\"a\\\\\""], "192.0.2.1"),
            (&["for=\"6.6.6.6, for=192.0.2.1"], "192.0.2.1"),
            (&["for=\"x\\, for=192.0.2.1;by=\"_y\""], "192.0.2.1"),
            (&[";;for=192.0.2.1;"], "192.0.2.1"),
            (&["for=unknown"], "10.0.0.9"),
            (&["for=_hidden"], "10.0.0.9"),
            (&["for=192.0.2.1, for=_hidden, for=10.0.0.1"], "10.0.0.1"),
            (&["by=192.0.2.1"], "10.0.0.9"),
            (&["for=192.0.2.1;for=192.0.2.2"], "10.0.0.9"),
            (&["for=192.0.2.1 192.0.2.2"], "10.0.0.9"),
            (&["for=\"192.0.2.1\"x"], "10.0.0.9"),
            (&["for=\"192.0.2.1"], "10.0.0.9"),
            (&["for=\"192.0.2.\\1\""], "10.0.0.9"),
            (&["for =192.0.2.1"], "10.0.0.9"),
            (&["192.0.2.1"], "10.0.0.9"),
            (&["for=192.0.2.1, "], "10.0.0.9"),
        ];
        for (lines, expected) in cases {
            assert_eq!(
                walk(ForwardedHeader::Forwarded, lines),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_sender_that_is_not_trusted_is_the_peer_whatever_it_says() {
        let mut proxies = Proxies::default();
        for lines in [&["192.0.2.1"][..], &[]] {
            assert_eq!(
                walked(&proxies, sender("::ffff:10.0.0.9"), lines),
                "10.0.0.9"
            );
            assert_eq!(walked(&proxies, Sender::Unix, lines), "-");
        }
        proxies.trusted = trusted(&["unix"]);
        assert_eq!(walked(&proxies, Sender::Unix, &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(walked(&proxies, Sender::Unix, &["192.0.2.1, unix:"]), "-");
        assert_eq!(walked(&proxies, Sender::Unknown, &["192.0.2.1"]), "-");
    }

    #[test]
    fn the_other_header_is_not_looked_at() {
        let mut headers = HeaderMap::new();
        headers.append("X-Forwarded-For", HeaderValue::from_static("6.6.6.6"));
        headers.append("Forwarded", HeaderValue::from_static("for=192.0.2.1"));
        let mut proxies = Proxies {
            trusted: trusted(&["::1"]),
            header: ForwardedHeader::Forwarded,
        };
        assert_eq!(
            proxies.peer_ip(sender("::1"), &headers),
            Some(ip("192.0.2.1"))
        );
        proxies.header = ForwardedHeader::XForwardedFor;
        assert_eq!(
            proxies.peer_ip(sender("::1"), &headers),
            Some(ip("6.6.6.6"))
        );
    }

    #[test]
    fn a_header_of_a_thousand_proxies_is_not_read_to_its_end() {
        let line = ["192.0.2.1"; 1].into_iter().chain(["10.0.0.1"; 1_000]);
        let line = line.collect::<Vec<_>>().join(",");
        assert_eq!(walk(ForwardedHeader::XForwardedFor, &[&line]), "10.0.0.1");
        let within = ["192.0.2.1"; 1]
            .into_iter()
            .chain(["10.0.0.1"; ELEMENTS_MAX - 1]);
        let within = within.collect::<Vec<_>>().join(",");
        assert_eq!(
            walk(ForwardedHeader::XForwardedFor, &[&within]),
            "192.0.2.1"
        );
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        ]
    }

    /// A proxy of ours.
    fn own() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits >> 8 | 10 << 24).into()),
            any::<u64>().prop_map(|bits| {
                Ipv6Addr::from_bits(0x2001_0db8_0001 << 80 | u128::from(bits)).into()
            }),
        ]
    }

    /// An element as some proxy writes it.
    fn written(header: ForwardedHeader, ip: IpAddr, form: u8) -> String {
        let node = match (ip, form % 3) {
            (IpAddr::V4(_), 0) => format!("{ip}:4711"),
            (IpAddr::V6(_), 0) => format!("[{ip}]:4711"),
            (IpAddr::V6(_), 1) => format!("[{ip}]"),
            _ => ip.to_string(),
        };
        match (header, form % 4) {
            (ForwardedHeader::XForwardedFor, _) => node,
            (_, 0) if ip.is_ipv4() => format!("for={ip};proto=https"),
            (_, 1) => format!("by=\"_a,b\\\"\";fOR=\"{node}\""),
            _ => format!("For=\"{node}\""),
        }
    }

    proptest! {
        #[test]
        fn what_stands_left_of_the_peer_changes_nothing(
            is_forwarded in any::<bool>(),
            forged in prop::collection::vec("[ -~\u{80}-\u{ff}]{0,30}", 0..4),
            peer in address(),
            proxies in prop::collection::vec(own(), 0..5),
            forms in prop::collection::vec(any::<u8>(), 6),
        ) {
            let header = match is_forwarded {
                true => ForwardedHeader::Forwarded,
                false => ForwardedHeader::XForwardedFor,
            };
            let trusted = trusted(&["10.0.0.0/8", "2001:db8:1::/48"]);
            let peer = peer.to_canonical();
            prop_assume!(!trusted.has_ip(peer));
            let mut lines = forged;
            for (ip, form) in [peer].into_iter().chain(proxies).zip(forms) {
                let element = written(header, ip, form);
                match lines.last_mut() {
                    Some(line) if form & 64 != 0 => *line = format!("{line}, {element}"),
                    _ => lines.push(element),
                }
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(walk(header, &lines), peer.to_string(), "{:?}", lines);
        }

        #[test]
        fn networks_are_what_each_of_them_is(
            networks in prop::collection::vec((any::<u32>(), 0u32..=32), 0..8),
            addresses in prop::collection::vec(any::<u32>(), 8),
        ) {
            let masks = networks.iter().map(|(bits, prefix)| {
                let mask = !u32::MAX.checked_shr(*prefix).unwrap_or(0);
                (bits & mask, mask, prefix)
            });
            let masks: Vec<_> = masks.collect();
            let spelled = masks.iter().map(|(bits, _, prefix)| {
                format!("{}/{prefix}", Ipv4Addr::from_bits(*bits))
            });
            let trusted = Trusted::parse(spelled).unwrap();
            for address in addresses.into_iter().chain(masks.iter().map(|m| m.0)) {
                let expected = masks.iter().any(|(bits, mask, _)| address & mask == *bits);
                prop_assert_eq!(trusted.has_ip(Ipv4Addr::from_bits(address).into()), expected);
            }
        }
    }
}
