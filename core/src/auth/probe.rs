//! Doors into the claims and the keys for fuzzing: each takes bytes and panics where a promise is
//! broken.
//!
//! Only with the feature `internal-testing`; nothing here is part of the API. Any thread.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::claims::Rules;
use super::{Claims, KeyError, Keys, TokenError, Verify};
use crate::grants::Verb;

const NOW: u64 = 1_700_000_000;
const LEEWAY_S: u64 = 5;
const SECRET: &[u8] = b"what everybody knows is no secret";

/// Bytes as claims behind a signature, and as the header before them.
///
/// # Panics
/// Where what is read is not what a naive reading finds, a bound does not hold, or a header is
/// taken that must not be.
pub fn claims(bytes: &[u8]) {
    let rules = Rules {
        issuers: Vec::new(),
        audiences: vec!["board".into()],
        leeway_s: LEEWAY_S,
    };
    let read = Claims::from_json(bytes, &rules, NOW);
    if let Ok(claims) = &read {
        assert_bounds(claims);
        let json = serde_json::from_slice(bytes);
        // What is nested too deeply for a tree may be passed over as text.
        if let Ok(json) = json {
            assert_same(claims, &json);
        }
    }
    let keys = || Keys::new().hs256(SECRET);
    let keys = keys().expect("it is long enough").audience("board");
    let genuine = keys.verify(&token(br#"{"alg":"HS256"}"#, bytes), NOW);
    assert_eq!(genuine, read, "a signature changes nothing");

    let headed = keys.verify(&token(bytes, br#"{"aud":"board"}"#), NOW);
    if headed.is_ok() {
        let header: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let of = |name: &str| header.get(name);
        assert!(header.is_null() || of("alg") == Some(&"HS256".into()));
        assert!(of("crit").is_none() && of("kid").is_none_or(Value::is_string));
    }
    let text = String::from_utf8_lossy(bytes);
    assert_eq!(keys.verify(&text, NOW), Err(TokenError::Invalid));
}

fn token(header: &[u8], claims: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    let signature = signature.expect("a secret signs anything");
    format!("{message}.{signature}")
}

fn assert_bounds(claims: &Claims) {
    for name in [&claims.user, &claims.token_id].into_iter().flatten() {
        assert!((1..=255).contains(&name.len()));
    }
    assert!(claims.grants.len() <= 256);
    assert!(claims.expires_at.is_none_or(|at| NOW < at));
    if let Some(info) = &claims.info {
        assert!(info.len() <= 1024 && serde_json::from_str::<IgnoredAny>(info).is_ok());
    }
}

/// The claims beside a tree of the same JSON.
fn assert_same(claims: &Claims, json: &Value) {
    let text = |name: &str| json.get(name).map(|value| value.as_str());
    assert_eq!(text("sub"), claims.user.as_deref().map(Some));
    assert_eq!(text("jti"), claims.token_id.as_deref().map(Some));
    assert!(text("iss").is_none_or(|iss| iss.is_some()));
    match &json["aud"] {
        Value::Array(list) => assert!(list.contains(&"board".into())),
        one => assert_eq!(one, "board"),
    }
    for (name, begins) in [("exp", false), ("nbf", true)] {
        let Some(seconds) = json.get(name).map(Value::as_f64) else {
            continue;
        };
        let seconds = seconds.expect("it is a number");
        let (now, leeway) = (NOW as f64, LEEWAY_S as f64);
        match begins {
            true => assert!(seconds <= now + leeway),
            false => assert!(now < seconds + leeway),
        }
    }
    assert_eq!(claims.expires_at.is_some(), json.get("exp").is_some());
    assert_eq!(claims.issued_at.is_some(), json.get("iat").is_some());

    let own = json.get("roomcast").unwrap_or(json);
    assert_eq!(claims.info.is_some(), own.get("info").is_some());
    let rooms = own.get("rooms").map(|rooms| rooms.as_object());
    let rooms = rooms.map(|rooms| rooms.expect("it is an object"));
    assert_eq!(claims.grants.len(), rooms.map_or(0, serde_json::Map::len));
    let said = |verb: &Verb, verbs: &Value| match verbs {
        Value::String(text) => text.split(' ').any(|word| word == verb.name()),
        list => list
            .as_array()
            .is_some_and(|list| list.contains(&verb.name().into())),
    };
    for (asked, verb) in rooms.into_iter().flatten().flat_map(|(room, _)| {
        Verb::ALL
            .iter()
            .map(move |verb| (room.trim_end_matches('*'), verb))
    }) {
        let fits = |(room, verbs): (&String, &Value)| match room.strip_suffix('*') {
            Some(begins) => asked.starts_with(begins) && said(verb, verbs),
            None => asked == room && said(verb, verbs),
        };
        let expected = rooms.is_some_and(|rooms| rooms.iter().any(fits));
        assert_eq!(claims.grants.may(*verb, asked), expected, "{verb} {asked}");
    }
}

/// Bytes as a JWK Set.
///
/// # Panics
/// Where it says something else the second time, an error is empty, or a key takes a token that it
/// cannot have signed.
pub fn jwks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let keys = || -> Result<Keys, KeyError> { Keys::new().jwks(&text) };
    match keys() {
        Ok(found) => {
            assert_eq!(
                format!("{found:?}"),
                format!("{:?}", keys().expect("as before"))
            );
            for alg in ["HS256", "RS256", "ES256", "EdDSA"] {
                let header = format!(r#"{{"alg":"{alg}"}}"#);
                let token = token(header.as_bytes(), b"{}");
                assert_eq!(found.verify(&token, NOW), Err(TokenError::Invalid));
            }
        }
        Err(e) => {
            assert_eq!(keys().err(), Some(e.clone()));
            assert!(!e.to_string().is_empty());
        }
    }
}
