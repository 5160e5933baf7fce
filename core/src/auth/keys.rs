//! Keys that JWTs are signed with, and the check of a token by them.
//!
//! In: keys as a host has them, the text of a token, the time. Out: the claims of a token that one
//! of the keys signed, or why not. What claims mean is in `claims`; signatures are jsonwebtoken's
//! and aws-lc's. Rank 0: sans-IO, any thread.

use std::fmt;

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::claims::{NAME_BYTES_MAX, Rules, Text, given, object};
use super::{Claims, TokenError, Verify, jwk};
use crate::error::Status;
use crate::sync::Arc;

/// Keys that a token is tried with at most.
const TRIES_MAX: usize = 8;
/// Keys of one set.
const KEYS_MAX: usize = 256;
/// Bytes of a token: a bound of our own below what `token_bytes_max` may be set to.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
/// RFC 7518, 3.2: as long as the hash.
const SECRET_BYTES_MIN: usize = 32;
/// RFC 7518, 3.3, and what the verifier takes at most.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The keys that JWTs are signed with, and what is demanded of their claims: checks tokens for
/// [`Auth`](crate::Auth).
///
/// A token is a JWS in its compact form, by HS256, RS256, ES256 or EdDSA (Ed25519). The key says
/// which: a token is tried only with keys of the algorithm that its header names. Where the header
/// has a `kid`, these are the keys of this id, or else those that were given none; where it has no
/// `kid`, all of them. In any case only the first 8. A header with `crit` is refused.
///
/// Of the claims these count, and all may be missing:
///
/// | claim | is |
/// |---|---|
/// | `sub`, `jti` | the user and the token's id: texts of 1 to 255 bytes |
/// | `exp`, `nbf`, `iat` | seconds since 1970, as numbers, with a fraction or without |
/// | `iss` | a text, one of [`issuer`](Keys::issuer) if that was called |
/// | `aud` | a text or a list of texts, one of them an [`audience`](Keys::audience) |
/// | `rooms` | an object: at most 256 names, or beginnings of names before a `*`, each with verbs |
/// | `info` | any JSON of at most 1 KiB |
///
/// Verbs are a list of texts, or a text with spaces between them: `join`, `publish`, `presence`.
/// Others are passed over. Where `rooms` and `info` are taken, they may stand together in an
/// object `roomcast` instead. A claim that is there twice, or as something else, makes the token
/// invalid.
///
/// A clone is cheap and shares the keys.
///
/// ```
/// use roomcast::{Auth, Keys, TokenError, Verb, Verify};
///
/// # fn main() -> Result<(), roomcast::KeyError> {
/// let keys = Keys::new().hs256(b"32 bytes that nobody else knows!")?.audience("board");
///
/// // {"alg":"HS256"}
/// // {"sub":"ali","aud":"board","exp":2000000000,"rooms":{"team:7:*":"join publish"}}
/// let token = "eyJhbGciOiJIUzI1NiJ9\
///     .eyJzdWIiOiJhbGkiLCJhdWQiOiJib2FyZCIsImV4cCI6MjAwMDAwMDAwMCwicm9v\
///     bXMiOnsidGVhbTo3OioiOiJqb2luIHB1Ymxpc2gifX0\
///     .PDFISKV0ArSri9TX6QAWgXA_5CyxvneX1qtw1J9CwYE";
/// let claims = keys.verify(token, 1_999_999_999).expect("it is genuine");
/// assert_eq!(claims.user.as_deref(), Some("ali"));
/// assert!(claims.grants.may(Verb::Publish, "team:7:plans"));
/// assert_eq!(keys.verify(token, 2_000_000_005), Err(TokenError::Expired));
///
/// let auth = Auth::new(keys).cookie("session");
/// # let _ = auth;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    keys: Vec<Key>,
    rules: Rules,
}

impl Keys {
    /// No key, which finds no token valid; 5 seconds of leeway.
    #[must_use]
    pub fn new() -> Self {
        let rules = Rules {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway_s: 5,
        };
        let keys = Vec::new();
        Keys {
            inner: Arc::new(Inner { keys, rules }),
        }
    }

    /// Adds a secret that is shared with whoever makes the tokens. Let it be random: whoever has
    /// seen a token may guess at it for ever.
    ///
    /// # Errors
    /// It has less than 32 bytes, or there are 256 keys.
    pub fn hs256(self, secret: &[u8]) -> Result<Self, KeyError> {
        self.add(Key::hs256(secret).map_err(KeyError::of("the secret for HS256"))?)
    }

    /// Adds an RSA key of 2048 to 8192 bits for RS256: a public key in PEM (`PUBLIC KEY` or
    /// `RSA PUBLIC KEY`).
    ///
    /// # Errors
    /// It is not such a key, or there are 256 keys.
    pub fn rs256_pem(self, pem: &[u8]) -> Result<Self, KeyError> {
        let key = public_pem(pem)
            .and_then(|()| DecodingKey::from_rsa_pem(pem).map_err(|_| NO_KEY.into()))
            .and_then(|key| Key::rs256(&bytes_of(&key)?));
        self.add(key.map_err(KeyError::of("the PEM for RS256"))?)
    }

    /// Adds a key on the curve P-256 for ES256: a public key in PEM.
    ///
    /// # Errors
    /// It is not such a key, or there are 256 keys.
    pub fn es256_pem(self, pem: &[u8]) -> Result<Self, KeyError> {
        let key = public_pem(pem)
            .and_then(|()| DecodingKey::from_ec_pem(pem).map_err(|_| NO_KEY.into()))
            .and_then(|key| Key::es256(&bytes_of(&key)?));
        self.add(key.map_err(KeyError::of("the PEM for ES256"))?)
    }

    /// Adds an Ed25519 key for EdDSA: a public key in PEM.
    ///
    /// # Errors
    /// It is not such a key, or there are 256 keys.
    pub fn eddsa_pem(self, pem: &[u8]) -> Result<Self, KeyError> {
        let key = public_pem(pem)
            .and_then(|()| DecodingKey::from_ed_pem(pem).map_err(|_| NO_KEY.into()))
            .and_then(|key| Key::eddsa(&bytes_of(&key)?));
        self.add(key.map_err(KeyError::of("the PEM for EdDSA"))?)
    }

    /// Adds the keys of a JWK Set (RFC 7517), with the ids that they have there. Those that are of
    /// no use here are passed over: of another kind or algorithm, for encryption, too small, or
    /// malformed.
    ///
    /// # Errors
    /// It is not a JWK Set, none of its keys can be used, or there would be more than 256 keys.
    pub fn jwks(self, set: &str) -> Result<Self, KeyError> {
        let keys = jwk::keys(set).map_err(KeyError::of("the JWK Set"))?;
        keys.into_iter().try_fold(self, Keys::add)
    }

    /// Gives the key that was added last this id: tokens whose header names another are not tried
    /// with it.
    ///
    /// # Errors
    /// There is no key yet, it has an id already, or the id has not 1 to 255 bytes.
    pub fn with_kid(self, kid: &str) -> Result<Self, KeyError> {
        let mut inner = Inner::clone(&self.inner);
        let why = match inner.keys.last_mut() {
            _ if !(1..=NAME_BYTES_MAX).contains(&kid.len()) => "it has not 1 to 255 bytes",
            None => "there is no key before it to give it to",
            Some(key) if key.kid.is_some() => "the key before it has an id already",
            Some(key) => {
                key.kid = Some(kid.into());
                return Ok(Keys {
                    inner: Arc::new(inner),
                });
            }
        };
        Err(KeyError::of("the id of a key")(why.into()))
    }

    /// Tokens must be made by this issuer, or by another that is named so: their `iss` is compared
    /// as text. Without any, `iss` does not count.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<Box<str>>) -> Self {
        self.change(|inner| inner.rules.issuers.push(issuer.into()))
    }

    /// Tokens must be meant for this audience, or for another that is named so: it is, or is in,
    /// their `aud`. Without any, tokens with an `aud` are refused, since they are meant for others.
    #[must_use]
    pub fn audience(self, audience: impl Into<Box<str>>) -> Self {
        self.change(|inner| inner.rules.audiences.push(audience.into()))
    }

    /// Seconds by which the clock of whoever makes the tokens may differ from ours: a token is
    /// valid so much before its `nbf` and so much beyond its `exp`, and so is the connection that
    /// it opened. Default 5.
    #[must_use]
    pub fn leeway_s(self, leeway_s: u64) -> Self {
        self.change(|inner| inner.rules.leeway_s = leeway_s)
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner::clone(&self.inner);
        change(&mut inner);
        Keys {
            inner: Arc::new(inner),
        }
    }

    fn add(self, key: Key) -> Result<Self, KeyError> {
        if self.inner.keys.len() == KEYS_MAX {
            let why = format!("there are {KEYS_MAX} already");
            return Err(KeyError::of("one more key")(why));
        }
        Ok(self.change(|inner| inner.keys.push(key)))
    }
}

impl Default for Keys {
    fn default() -> Self {
        Keys::new()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { keys, rules } = &*self.inner;
        let keys: Vec<_> = keys.iter().map(|key| (key.algorithm, &key.kid)).collect();
        f.debug_struct("Keys")
            .field("keys", &keys)
            .field("rules", rules)
            .finish()
    }
}

impl Verify for Keys {
    fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        let json = self.inner.signed(token).ok_or(TokenError::Invalid)?;
        Claims::from_json(&json, &self.inner.rules, now_s)
    }
}

/// What must be understood of a header.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow, default, deserialize_with = "given")]
    kid: Option<Text<'a>>,
    #[serde(default, deserialize_with = "given")]
    crit: Option<IgnoredAny>,
}

impl Inner {
    /// What the token carries, if one of the keys signed it.
    fn signed(&self, token: &str) -> Option<Vec<u8>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header = decode(header)?;
        let header: Header<'_> = object(simdutf8::basic::from_utf8(&header).ok()?)?;
        if header.crit.is_some() {
            return None;
        }
        let algorithm = algorithm(&header.alg.0)?;
        let signature = decode(signature)?;
        let kid = header.kid.as_ref().map(|kid| &*kid.0);
        self.candidates(algorithm, kid)
            .any(|key| key.signed(message, &signature))
            .then(|| decode(payload))?
    }

    fn candidates(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let has = |key: &Key, kid| key.kid.as_deref() == kid;
        let known = kid.is_some() && self.keys.iter().any(|key| has(key, kid));
        let fits = move |key: &&Key| match kid {
            None => true,
            Some(_) if known => has(key, kid),
            Some(_) => key.kid.is_none(),
        };
        self.keys
            .iter()
            .filter(move |key| key.algorithm == algorithm)
            .filter(fits)
            .take(TRIES_MAX)
    }
}

/// The algorithm of this name; RFC 9864 calls EdDSA on this curve Ed25519.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "HS256" => Some(Algorithm::HS256),
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" | "Ed25519" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// Base64url without padding, and no second spelling of the same bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

const NO_KEY: &str = "it is not a public key of this kind";

/// A key, and what it is for.
#[derive(Clone)]
pub(super) struct Key {
    algorithm: Algorithm,
    decoding: DecodingKey,
    pub(super) kid: Option<Box<str>>,
}

impl Key {
    pub(super) fn hs256(secret: &[u8]) -> Result<Key, String> {
        if secret.len() < SECRET_BYTES_MIN {
            let len = secret.len();
            return Err(format!(
                "it has {len} bytes, and is to have at least {SECRET_BYTES_MIN}"
            ));
        }
        Ok(Key::new(Algorithm::HS256, DecodingKey::from_secret(secret)))
    }

    /// A public key in DER.
    pub(super) fn rs256(der: &[u8]) -> Result<Key, String> {
        sound(&signature::RSA_PKCS1_2048_8192_SHA256, der)?;
        let parts = DEFAULT_PROVIDER
            .key_utils
            .rsa_pub_components_from_public_key;
        let (modulus, _) = parts(der).map_err(|_| NO_KEY)?;
        let bits = match modulus.first() {
            Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
            None => 0,
        };
        if !RSA_BITS.contains(&bits) {
            let (least, most) = RSA_BITS.into_inner();
            return Err(format!(
                "it has {bits} bits, and is to have {least} to {most}"
            ));
        }
        Ok(Key::new(Algorithm::RS256, DecodingKey::from_rsa_der(der)))
    }

    /// A point: 4, then its two coordinates.
    pub(super) fn es256(point: &[u8]) -> Result<Key, String> {
        sound(&signature::ECDSA_P256_SHA256_FIXED, point)?;
        Ok(Key::new(Algorithm::ES256, DecodingKey::from_ec_der(point)))
    }

    pub(super) fn eddsa(point: &[u8]) -> Result<Key, String> {
        sound(&signature::ED25519, point)?;
        Ok(Key::new(Algorithm::EdDSA, DecodingKey::from_ed_der(point)))
    }

    fn new(algorithm: Algorithm, decoding: DecodingKey) -> Key {
        Key {
            algorithm,
            decoding,
            kid: None,
        }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A verifier is made each time: jsonwebtoken's cannot be shared by threads.
    fn signed(&self, message: &str, signature: &Vec<u8>) -> bool {
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm, &self.decoding);
        verifier.is_ok_and(|verifier| verifier.verify(message.as_bytes(), signature).is_ok())
    }
}

/// jsonwebtoken takes any bytes for a key, and then finds nothing signed by it.
fn sound(algorithm: &'static dyn VerificationAlgorithm, key: &[u8]) -> Result<(), String> {
    match ParsedPublicKey::new(algorithm, key) {
        Ok(_) => Ok(()),
        Err(_) => Err(NO_KEY.into()),
    }
}

/// jsonwebtoken would take private keys and certificates for something else.
fn public_pem(pem: &[u8]) -> Result<(), String> {
    let begins = |label: &str| {
        let line = format!("-----BEGIN {label}-----");
        pem.windows(line.len()).any(|text| text == line.as_bytes())
    };
    if begins("PUBLIC KEY") || begins("RSA PUBLIC KEY") {
        return Ok(());
    }
    let private = ["", "RSA ", "EC ", "ENCRYPTED "];
    Err(match () {
        () if private
            .iter()
            .any(|kind| begins(&format!("{kind}PRIVATE KEY"))) =>
        {
            "it is a private key, and is to be the public one"
        }
        () if begins("CERTIFICATE") => "it is a certificate, and is to be its public key",
        () => "it has no PUBLIC KEY",
    }
    .into())
}

fn bytes_of(key: &DecodingKey) -> Result<Vec<u8>, String> {
    let bytes = key.try_get_as_bytes().map_err(|_| NO_KEY)?;
    Ok(bytes.to_vec())
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    which: &'static str,
    why: String,
}

impl KeyError {
    fn of(which: &'static str) -> impl FnOnce(String) -> KeyError {
        move |why| KeyError { which, why }
    }

    /// The number of the closed list.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::TokenKey
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyError { which, why } = self;
        write!(f, "{which} cannot be used: {why}")
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests;
