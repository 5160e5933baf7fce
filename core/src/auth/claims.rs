//! The claims of a JWT, read from its JSON.
//!
//! In: JSON that a signature vouches for, what the host demands of it, the time. Out: [`Claims`],
//! or why not. It knows no keys and no signatures. Rank 0: sans-IO, any thread.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{Claims, TokenError};
use crate::grants::{Grants, Verb};
use crate::sync::Arc;

/// Bytes of a user's name and of a token's id.
pub(super) const NAME_BYTES_MAX: usize = 255;
/// Bytes of the JSON of `info`.
const INFO_BYTES_MAX: usize = 1024;
/// Names and beginnings of names in `rooms`.
const ROOMS_MAX: usize = 256;
/// The end of the year 9999: later times are taken as this, so that nobody overflows.
const SECONDS_MAX: u64 = 253_402_300_799;

/// What a host demands of claims.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// One of these made it; any or nobody where there are none.
    pub(super) issuers: Vec<Box<str>>,
    /// It is meant for one of these; where there are none, it must not be meant for anybody.
    pub(super) audiences: Vec<Box<str>>,
    /// By how much clocks may differ.
    pub(super) leeway_s: u64,
}

impl Claims {
    /// The claims of this JSON, if they hold at this time.
    pub(super) fn from_json(json: &[u8], rules: &Rules, now_s: u64) -> Result<Self, TokenError> {
        let text = simdutf8::basic::from_utf8(json).map_err(|_| TokenError::Invalid)?;
        let members: Members<'_> = object(text).ok_or(TokenError::Invalid)?;
        if !members.is_for(rules) {
            return Err(TokenError::Invalid);
        }
        let late_enough = |not_before: Seconds| {
            let now_s = now_s.saturating_add(rules.leeway_s);
            not_before.rounded_up() <= now_s
        };
        if !members.nbf.is_none_or(late_enough) {
            return Err(TokenError::Invalid);
        }
        let ends_at = |exp: Seconds| {
            let at = exp.rounded_up().saturating_add(rules.leeway_s);
            at.min(SECONDS_MAX)
        };
        let expires_at = members.exp.map(ends_at);
        let claims = members.claims(expires_at)?;
        match expires_at {
            Some(at) if at <= now_s => Err(TokenError::Expired),
            _ => Ok(claims),
        }
    }
}

/// The members that mean something here; others are passed over. A name that comes twice is an
/// error, and so is a null.
#[derive(serde::Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    iss: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "given")]
    aud: Option<Texts<'a>>,
    #[serde(borrow, default, deserialize_with = "given")]
    sub: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "given")]
    jti: Option<Text<'a>>,
    #[serde(default, deserialize_with = "given")]
    exp: Option<Seconds>,
    #[serde(default, deserialize_with = "given")]
    nbf: Option<Seconds>,
    #[serde(default, deserialize_with = "given")]
    iat: Option<Seconds>,
    #[serde(borrow, default, deserialize_with = "given")]
    rooms: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    info: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    roomcast: Option<Object<Own<'a>>>,
}

/// The same two under a name of our own. Then those beside it are somebody else's.
#[derive(serde::Deserialize)]
struct Own<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    rooms: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    info: Option<&'a RawValue>,
}

impl Members<'_> {
    fn is_for(&self, rules: &Rules) -> bool {
        let any = |texts: &[Box<str>], text: &str| texts.iter().any(|other| **other == *text);
        let issuer = match &self.iss {
            _ if rules.issuers.is_empty() => true,
            Some(iss) => any(&rules.issuers, &iss.0),
            None => false,
        };
        // RFC 7519, 4.1.3: what names an audience is for nobody who does not know to be it.
        let audience = match &self.aud {
            Some(Texts::One(aud)) => any(&rules.audiences, aud),
            Some(Texts::More(auds)) => auds.iter().any(|aud| any(&rules.audiences, aud)),
            None => rules.audiences.is_empty(),
        };
        issuer && audience
    }

    fn claims(self, expires_at: Option<u64>) -> Result<Claims, TokenError> {
        let (rooms, info) = match self.roomcast {
            Some(Object(own)) => (own.rooms, own.info),
            None => (self.rooms, self.info),
        };
        let grants = match rooms {
            Some(rooms) => serde_json::from_str(rooms.get()),
            None => Ok(Rooms(Grants::new())),
        };
        let Rooms(grants) = grants.map_err(|_| TokenError::Invalid)?;
        let info = match info.map(RawValue::get) {
            Some(info) if info.len() > INFO_BYTES_MAX => return Err(TokenError::Invalid),
            info => info.map(Arc::from),
        };
        Ok(Claims {
            user: name(self.sub)?,
            expires_at,
            issued_at: self.iat.map(|iat| iat.whole),
            token_id: name(self.jti)?,
            grants,
            info,
        })
    }
}

fn name(text: Option<Text<'_>>) -> Result<Option<Arc<str>>, TokenError> {
    match text {
        None => Ok(None),
        Some(Text(text)) if (1..=NAME_BYTES_MAX).contains(&text.len()) => {
            Ok(Some(Arc::from(&*text)))
        }
        Some(_) => Err(TokenError::Invalid),
    }
}

/// The object that this JSON is.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let Object(object) = serde_json::from_str(json).ok()?;
    Some(object)
}

/// Nothing but an object: what serde derives would take a list for one, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Visit(PhantomData))
    }
}

/// What is there is to be of its type: serde alone would take a null for nothing.
pub(super) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A text, borrowed where it is written without escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(Visit)
    }
}

/// A text, or a list of them.
enum Texts<'a> {
    One(Cow<'a, str>),
    More(Vec<Cow<'a, str>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Texts::One(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Texts::One(Cow::Owned(text.into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts::More(texts))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

impl Texts<'_> {
    /// Those that are names of verbs.
    fn verbs(&self) -> SmallVec<[Verb; 4]> {
        match self {
            Texts::One(text) => text.split(' ').filter_map(Verb::from_name).collect(),
            Texts::More(texts) => {
                let verb = |text: &Cow<'_, str>| Verb::from_name(text);
                texts.iter().filter_map(verb).collect()
            }
        }
    }
}

/// A NumericDate, from 0 to [`SECONDS_MAX`].
#[derive(Clone, Copy)]
struct Seconds {
    whole: u64,
    /// There is a fraction behind it.
    more: bool,
}

impl Seconds {
    /// The first whole second that is not before it.
    fn rounded_up(self) -> u64 {
        self.whole + u64::from(self.more)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Seconds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                let whole = value.min(SECONDS_MAX);
                Ok(Seconds { whole, more: false })
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                self.visit_u64(u64::try_from(value).unwrap_or(0))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                // What is below 0 or too large for an integer becomes the nearest that is not.
                let whole = (value as u64).min(SECONDS_MAX);
                let more = value > whole as f64 && whole < SECONDS_MAX;
                Ok(Seconds { whole, more })
            }
        }
        // Asked for a number of any kind, serde_json gives each as what it is.
        deserializer.deserialize_f64(Visit)
    }
}

/// Names and beginnings of names, each with verbs.
struct Rooms(Grants);

impl<'de> Deserialize<'de> for Rooms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Rooms;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of rooms to lists of verbs")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut grants = Grants::new();
                while let Some((Text(rooms), texts)) = map.next_entry::<Text<'_>, Texts<'_>>()? {
                    let before = grants.len();
                    grants = grants.allow(&rooms, &texts.verbs());
                    if grants.len() == before || before == ROOMS_MAX {
                        return Err(A::Error::custom("a room twice, or too many"));
                    }
                }
                Ok(Rooms(grants))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn rules() -> Rules {
        Rules {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway_s: 5,
        }
    }

    fn at(json: &str, now_s: u64) -> Result<Claims, TokenError> {
        Claims::from_json(json.as_bytes(), &rules(), now_s)
    }

    fn claims(json: &str) -> Claims {
        at(json, NOW).unwrap_or_else(|e| panic!("{json}: {e}"))
    }

    fn assert_invalid(json: &str) {
        assert_eq!(at(json, NOW), Err(TokenError::Invalid), "{json}");
    }

    #[test]
    fn all_claims_are_read() {
        let claims = claims(
            r#" {"sub":"ali","jti":"t1","exp":1000001,"iat":999999,"nbf":999990,"iss":"me",
                "info":{"name": "A\u00e9", "n":[1,null]},"else":[{"sub":null}],
                "rooms":{"lobby":["join","presence"],"team:7:*":"join publish"}} "#,
        );
        assert_eq!(claims.user.as_deref(), Some("ali"));
        assert_eq!(claims.token_id.as_deref(), Some("t1"));
        assert_eq!(claims.expires_at, Some(1_000_006));
        assert_eq!(claims.issued_at, Some(999_999));
        let info = claims.info.as_deref();
        assert_eq!(info, Some(r#"{"name": "A\u00e9", "n":[1,null]}"#));
        let expected = Grants::new()
            .allow("lobby", &[Verb::Join, Verb::Presence])
            .allow("team:7:*", &[Verb::Join, Verb::Publish]);
        assert_eq!(claims.grants, expected);
        assert_eq!(at("{}", NOW), Ok(Claims::new()));
    }

    #[test]
    fn only_an_object_with_each_claim_once_and_of_its_type_is_valid() {
        for json in [
            "",
            "null",
            "[]",
            r#"["me",[],"ali","t1",1,1,1,{},{},{}]"#,
            "\"sub\"",
            "{} {}",
            "{\"a\":1,}",
            "\u{feff}{}",
            r#"{"sub":1}"#,
            r#"{"sub":null}"#,
            r#"{"sub":""}"#,
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","s\u0075b":"b"}"#,
            r#"{"sub":"\ud800"}"#,
            r#"{"jti":7}"#,
            r#"{"jti":""}"#,
            r#"{"iss":["me"]}"#,
            r#"{"exp":"1000001"}"#,
            r#"{"exp":null}"#,
            r#"{"exp":true}"#,
            r#"{"exp":1e999}"#,
            r#"{"exp":2000000,"exp":1}"#,
            r#"{"nbf":{}}"#,
            r#"{"iat":[]}"#,
            r#"{"rooms":[]}"#,
            r#"{"rooms":null}"#,
            r#"{"rooms":{"a":null}}"#,
            r#"{"rooms":{"a":[1]}}"#,
            r#"{"rooms":{"a":{"join":true}}}"#,
            r#"{"rooms":{"a":"join","a":"publish"}}"#,
            r#"{"rooms":{"a*":[],"\u0061*":[]}}"#,
            r#"{"info":{"a":}}"#,
            r#"{"info":1,"info":2}"#,
            r#"{"roomcast":null}"#,
            r#"{"roomcast":[{},{}]}"#,
            r#"{"roomcast":{"info":1,"info":2}}"#,
        ] {
            assert_invalid(json);
        }
        let not_utf8 = Claims::from_json(b"{\"sub\":\"\xff\"}", &rules(), NOW);
        assert_eq!(not_utf8, Err(TokenError::Invalid));
    }

    #[test]
    fn what_is_as_long_as_it_may_be_is_taken() {
        for (len, fits) in [(255, true), (256, false)] {
            let json = format!(
                r#"{{"sub":"{0}","jti":"{0}"}}"#,
                "é".repeat(len / 2) + &"a"[..len % 2]
            );
            assert_eq!(at(&json, NOW).is_ok(), fits, "{len}");
        }
        for (len, fits) in [(1022, true), (1023, false)] {
            let json = format!(r#"{{"info":"{}"}}"#, "a".repeat(len));
            assert_eq!(at(&json, NOW).is_ok(), fits, "{len}");
        }
        for (len, fits) in [(256, true), (257, false)] {
            let rooms: Vec<_> = (0..len).map(|n| format!(r#""{n}":"join""#)).collect();
            let json = format!(r#"{{"rooms":{{{}}}}}"#, rooms.join(","));
            assert_eq!(at(&json, NOW).is_ok(), fits, "{len}");
        }
    }

    #[test]
    fn a_token_ends_when_its_leeway_has_passed() {
        for (exp, now_s, valid) in [
            ("1000", 1004, true),
            ("1000", 1005, false),
            ("1000.0", 1005, false),
            ("1000.25", 1005, true),
            ("1000.25", 1006, false),
            ("1e3", 1004, true),
            ("1e3", 1005, false),
            ("0", 4, true),
            ("-1", 5, false),
            ("-9223372036854775809", 5, false),
            ("1e30", u64::MAX - 9, false),
            ("1e30", NOW, true),
            ("18446744073709551615", NOW, true),
            ("18446744073709551616", NOW, true),
        ] {
            let outcome = at(&format!(r#"{{"exp":{exp}}}"#), now_s);
            match outcome {
                Ok(claims) => assert!(valid && claims.expires_at > Some(now_s), "{exp}, {now_s}"),
                Err(e) => assert!(!valid && e == TokenError::Expired, "{exp}, {now_s}"),
            }
        }
        assert_eq!(claims(r#"{"exp":1e30}"#).expires_at, Some(SECONDS_MAX));
    }

    #[test]
    fn a_token_begins_so_much_before_its_time_as_clocks_may_differ() {
        for (nbf, now_s, valid) in [
            ("1000", 995, true),
            ("1000", 994, false),
            ("1000.25", 995, false),
            ("1000.25", 996, true),
            ("-7", 0, true),
            ("1e30", NOW, false),
        ] {
            let outcome = at(&format!(r#"{{"nbf":{nbf}}}"#), now_s);
            let expected = if valid {
                Ok(Claims::new())
            } else {
                Err(TokenError::Invalid)
            };
            assert_eq!(outcome, expected, "{nbf}, {now_s}");
        }
        // Not our token is worse news than a late one.
        assert_invalid(r#"{"aud":"x","exp":1}"#);
    }

    #[test]
    fn issuer_and_audience_are_those_that_were_named() {
        let named = Rules {
            issuers: vec!["https://a".into(), "https://b".into()],
            audiences: vec!["board".into(), "chat".into()],
            leeway_s: 0,
        };
        let is_valid = |json: &str| Claims::from_json(json.as_bytes(), &named, NOW).is_ok();
        assert!(is_valid(r#"{"iss":"https://b","aud":"chat"}"#));
        assert!(is_valid(r#"{"iss":"https:\/\/a","aud":["x","board"]}"#));
        for json in [
            r#"{"aud":"chat"}"#,
            r#"{"iss":"https://a"}"#,
            r#"{"iss":"https://a/","aud":"chat"}"#,
            r#"{"iss":"https://a","aud":"Chat"}"#,
            r#"{"iss":"https://a","aud":"board chat"}"#,
            r#"{"iss":"https://a","aud":[]}"#,
            r#"{"iss":"https://a","aud":["chat",1]}"#,
            r#"{"iss":"https://a","aud":null}"#,
        ] {
            assert!(!is_valid(json), "{json}");
        }
        claims(r#"{"iss":"anybody"}"#);
        assert_invalid(r#"{"aud":"anybody"}"#);
        assert_invalid(r#"{"aud":[]}"#);
    }

    #[test]
    fn verbs_that_are_not_known_are_passed_over() {
        let claims = claims(
            r#"{"rooms":{"a":["admin","publish","join publish","JOIN"],"b":" join  x ","":""}}"#,
        );
        let granted = |room: &str| -> Vec<Verb> {
            let may = |verb: &Verb| claims.grants.may(*verb, room);
            Verb::ALL.iter().copied().filter(may).collect()
        };
        assert_eq!(granted("a"), [Verb::Publish]);
        assert_eq!(granted("b"), [Verb::Join]);
        assert_eq!(granted(""), []);
    }

    #[test]
    fn a_claim_of_our_own_name_stands_for_those_beside_it() {
        let claims = claims(
            r#"{"rooms":7,"info":"theirs","roomcast":{"rooms":{"a":"join"},"more":1},"sub":"s"}"#,
        );
        assert!(claims.grants.may(Verb::Join, "a") && claims.info.is_none());
        assert_eq!(claims.user.as_deref(), Some("s"));
    }
}
