//! Keys from a JWK Set, as RFC 7517 has it.
//!
//! In: the text of a set. Out: the keys of it that tokens can be checked with; the others are
//! passed over. Rank 0: sans-IO, any thread.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::claims::{NAME_BYTES_MAX, Text, object};
use super::keys::{Key, algorithm, decode};

/// Keys that an error gives a reason for.
const REASONS_MAX: usize = 4;

/// All keys of the set that can be used; if there is none, why.
pub(super) fn keys(set: &str) -> Result<Vec<Key>, String> {
    let set: Set<'_> =
        object(set).ok_or("it is not a JSON object with a list of objects named \"keys\"")?;
    let (mut keys, mut reasons) = (Vec::new(), Vec::new());
    for (index, key) in set.keys.iter().enumerate() {
        match Jwk::key(key.get()) {
            Ok(key) => keys.push(key),
            Err(_) if reasons.len() == REASONS_MAX => {}
            Err(why) => reasons.push(format!("key {index}: {why}")),
        }
    }
    match keys.is_empty() {
        false => Ok(keys),
        true if reasons.is_empty() => Err("it has no keys".into()),
        true => Err(format!(
            "none of its keys is of use: {}",
            reasons.join("; ")
        )),
    }
}

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The members that mean something here.
#[derive(Deserialize)]
struct Jwk<'a> {
    #[serde(borrow)]
    kty: Text<'a>,
    #[serde(borrow, rename = "use")]
    purpose: Option<Text<'a>>,
    #[serde(borrow)]
    key_ops: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    alg: Option<Text<'a>>,
    #[serde(borrow)]
    kid: Option<Text<'a>>,
    #[serde(borrow)]
    crv: Option<Text<'a>>,
    #[serde(borrow)]
    n: Option<Text<'a>>,
    #[serde(borrow)]
    e: Option<Text<'a>>,
    #[serde(borrow)]
    x: Option<Text<'a>>,
    #[serde(borrow)]
    y: Option<Text<'a>>,
    #[serde(borrow)]
    k: Option<Text<'a>>,
}

impl Jwk<'_> {
    fn key(json: &str) -> Result<Key, String> {
        let jwk: Jwk<'_> = object(json).ok_or("its members are not those of a JWK")?;
        if jwk.purpose.as_ref().is_some_and(|text| text.0 != "sig") {
            return Err("its use is not \"sig\"".into());
        }
        let verifies = |ops: &Vec<Text<'_>>| ops.iter().any(|text| text.0 == "verify");
        if !jwk.key_ops.as_ref().is_none_or(verifies) {
            return Err("its key_ops are without \"verify\"".into());
        }
        let crv = jwk.crv.as_ref().map(|text| &*text.0);
        let mut key = match (&*jwk.kty.0, crv) {
            ("oct", _) => Key::hs256(&member("k", jwk.k.as_ref())?)?,
            ("RSA", _) => {
                let parts = RsaPublicKeyComponents {
                    n: member("n", jwk.n.as_ref())?,
                    e: member("e", jwk.e.as_ref())?,
                };
                let der = parts.as_der().map_err(|_| "its n and e are no key")?;
                Key::rs256(der.as_ref())?
            }
            ("EC", Some("P-256")) => {
                let x = coordinate("x", jwk.x.as_ref())?;
                let y = coordinate("y", jwk.y.as_ref())?;
                Key::es256(&[&[4], &x[..], &y[..]].concat())?
            }
            ("OKP", Some("Ed25519")) => Key::eddsa(&coordinate("x", jwk.x.as_ref())?)?,
            _ => return Err("its kty, or its crv, is none of those that are known here".into()),
        };
        let fits = |text: &Text<'_>| algorithm(&text.0) == Some(key.algorithm());
        if !jwk.alg.as_ref().is_none_or(fits) {
            return Err("its alg is none of those that are known here".into());
        }
        key.kid = match jwk.kid {
            Some(kid) if !(1..=NAME_BYTES_MAX).contains(&kid.0.len()) => {
                return Err("its kid has not 1 to 255 bytes".into());
            }
            kid => kid.map(|kid| kid.0.into()),
        };
        Ok(key)
    }
}

fn member(name: &str, text: Option<&Text<'_>>) -> Result<Vec<u8>, String> {
    text.and_then(|text| decode(&text.0))
        .ok_or_else(|| format!("its {name} is not there, or not base64url without padding"))
}

fn coordinate(name: &str, text: Option<&Text<'_>>) -> Result<Vec<u8>, String> {
    let bytes = member(name, text)?;
    match bytes.len() {
        32 => Ok(bytes),
        _ => Err(format!("its {name} has not 32 bytes")),
    }
}
