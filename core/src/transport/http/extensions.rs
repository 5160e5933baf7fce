//! What a peer offers in `Sec-WebSocket-Extensions`, and what we agree on (RFC 6455 §9.1, RFC 7692
//! §5 and §7.1).
//!
//! In: the request. Out: the first offer of permessage-deflate that we can keep, and our answer.
//! Pure functions, any thread.

use ::http::header::{HeaderName, SEC_WEBSOCKET_EXTENSIONS};

use crate::request::Request;

/// The field that offers and agrees.
pub(super) const FIELD: HeaderName = SEC_WEBSOCKET_EXTENSIONS;

/// permessage-deflate as agreed on. No context is taken over in either direction, so that one
/// compressed frame serves everybody and nothing is kept for an idle peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deflate {
    /// The window of what we send, where the peer asked for one: 9 or 15 bits.
    asked_bits: Option<u8>,
}

impl Deflate {
    /// Whether what we send is compressed with a window of 9 bits.
    pub(crate) fn is_narrow(self) -> bool {
        self.asked_bits == Some(NARROW_BITS)
    }

    /// The value of our answer's field.
    pub(super) fn answer(self) -> &'static str {
        match self.asked_bits {
            None => "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Some(NARROW_BITS) => {
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=9"
            }
            Some(_) => {
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=15"
            }
        }
    }
}

/// What we compress with where a peer wants less than the whole: a smaller window than was asked
/// for is lawful (§7.1.2.1), and fewer of them share more frames.
const NARROW_BITS: u8 = 9;
const WIDE_BITS: u8 = 15;

/// The first offer that can be kept. An offer with an unknown, repeated or malformed parameter is
/// passed over (§7.1), and so is a window of 8 bits, which deflate as it is written cannot keep.
pub(crate) fn offered_deflate(request: &Request) -> Option<Deflate> {
    let values = request.headers().get_all(FIELD).into_iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| pieces(list, ',')).find_map(offer)
}

fn offer(text: &str) -> Option<Deflate> {
    let mut parts = pieces(text, ';');
    if parts.next()? != "permessage-deflate" {
        return None;
    }
    let mut seen: [bool; 4] = [false; 4];
    let mut deflate = Deflate { asked_bits: None };
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
            None => (part, None),
        };
        let which = match (name, value) {
            ("server_no_context_takeover", None) => 0,
            ("client_no_context_takeover", None) => 1,
            ("server_max_window_bits", Some(value)) => {
                deflate.asked_bits = Some(match window_bits(value)? {
                    8 => return None,
                    WIDE_BITS => WIDE_BITS,
                    _ => NARROW_BITS,
                });
                2
            }
            // What the peer sends is inflated with the whole window, which holds any smaller one.
            ("client_max_window_bits", None) => 3,
            ("client_max_window_bits", Some(value)) => {
                window_bits(value)?;
                3
            }
            _ => return None,
        };
        if std::mem::replace(&mut seen[which], true) {
            return None;
        }
    }
    Some(deflate)
}

/// 8 to 15, in decimal without leading zeros; it may stand in quotes.
fn window_bits(value: &str) -> Option<u8> {
    let bare = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value);
    let digits = !bare.starts_with('0') && bare.bytes().all(|b| b.is_ascii_digit());
    let bits = bare.parse().ok().filter(|_| digits)?;
    (8..=15).contains(&bits).then_some(bits)
}

/// The parts of a list, without the spaces around them; what stands in quotes is not looked into.
fn pieces(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let parts = text.split(move |c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    parts.map(|part| part.trim_matches([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(fields: &[&str]) -> Option<Deflate> {
        let mut builder = ::http::Request::builder().uri("/");
        for field in fields {
            builder = builder.header(FIELD, *field);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        offered_deflate(&Request::from_parts(&parts, None))
    }

    fn bits(asked_bits: Option<u8>) -> Option<Deflate> {
        Some(Deflate { asked_bits })
    }

    #[test]
    fn offers_that_can_be_kept() {
        let table = [
            ("permessage-deflate", bits(None)),
            ("permessage-deflate; client_max_window_bits", bits(None)),
            ("permessage-deflate;client_max_window_bits=8", bits(None)),
            (
                "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
                bits(None),
            ),
            (
                "permessage-deflate; server_max_window_bits=15",
                bits(Some(15)),
            ),
            (
                "permessage-deflate; server_max_window_bits=\"10\"",
                bits(Some(9)),
            ),
            (
                "permessage-deflate ; server_max_window_bits = 9",
                bits(Some(9)),
            ),
            ("x-webkit-deflate-frame, permessage-deflate", bits(None)),
            (
                "a; b=\"c, permessage-deflate\", permessage-deflate; server_max_window_bits=12",
                bits(Some(9)),
            ),
            (
                "permessage-deflate; server_max_window_bits=8, \
                 permessage-deflate; server_max_window_bits=15, permessage-deflate",
                bits(Some(15)),
            ),
        ];
        for (offer, expected) in table {
            assert_eq!(agreed(&[offer]), expected, "{offer}");
        }
        let two = [
            "permessage-deflate; unknown",
            "permessage-deflate; server_max_window_bits=9",
        ];
        assert_eq!(agreed(&two), bits(Some(9)), "several fields are one list");
    }

    #[test]
    fn offers_that_cannot_be_kept() {
        let table = [
            "",
            "permessage-bzip2",
            "Permessage-Deflate; nonsense",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=+9",
            "permessage-deflate; server_max_window_bits=\"9",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; later",
            "permessage-deflate;",
            "x=\"permessage-deflate",
        ];
        for offer in table {
            assert_eq!(agreed(&[offer]), None, "{offer}");
        }
        assert_eq!(agreed(&[]), None);
    }

    #[test]
    fn answers_say_what_was_asked() {
        let answers = [None, Some(9), Some(15)].map(|asked| bits(asked).unwrap().answer());
        assert!(answers.iter().all(|answer| agreed(&[answer]).is_some()));
        assert!(!answers[0].contains("bits"));
        assert!(answers[1].ends_with("; server_max_window_bits=9"));
        assert!(answers[2].ends_with("; server_max_window_bits=15"));
    }
}
