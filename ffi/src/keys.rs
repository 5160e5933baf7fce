//! Keys that JWTs are signed with: from secrets, from PEM, from a JWK Set.

use std::ffi::c_char;

#[cfg(feature = "jwt")]
pub(crate) use roomcast::Keys;
use roomcast::Status;

use crate::boundary::{Out, Why, give, given, guard, place, roomcast_bytes, roomcast_str};
use crate::status::roomcast_status;
#[cfg(not(feature = "jwt"))]
pub(crate) use crate::unbuilt::jwt::Keys;

/// Keys that JWTs are signed with, and what these must say. One thread at a time.
///
/// Made by `roomcast_keys_new`, filled by `roomcast_keys_add_...` and `_set_...`, read by
/// `roomcast_auth_new` (which copies them), let go of by `roomcast_keys_free`.
///
/// A JWT says by `sub` who it is, by `exp`, `nbf` and `iat` when that holds, by `jti` its own name,
/// by `info` what others in a room with presence are told, and by `rooms` what is allowed:
/// `{"lobby": "join", "team:7:*": "join publish"}`. Where there is an object `roomcast`, `rooms`
/// and `info` are looked for in that alone.
pub struct roomcast_keys {
    keys: Keys,
}

impl roomcast_keys {
    pub(crate) fn get(&self) -> &Keys {
        &self.keys
    }
}

/// How a JWT is signed, and so what its key is.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_algorithm {
    /// A secret of at least 32 bytes that is shared with whoever makes the tokens. Let it be
    /// random: whoever has seen a token may guess at it for ever.
    Hs256 = 1,
    /// An RSA key of 2048 to 8192 bits: a public key in PEM.
    Rs256 = 2,
    /// A key on the curve P-256: a public key in PEM.
    Es256 = 3,
    /// An Ed25519 key: a public key in PEM.
    Eddsa = 4,
}

/// Makes keys without any, which find no token valid; 5 seconds of leeway.
///
/// @param keys gets them
/// @return `ROOMCAST_STATUS_NOT_BUILT` where the library knows no JWT
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_keys_new(keys: Out<'_, Box<roomcast_keys>>) -> roomcast_status {
    guard(|| {
        let place = place(keys)?;
        if cfg!(not(feature = "jwt")) {
            return Err(Status::NotBuilt);
        }
        let keys = Keys::new();
        give(place, roomcast_keys { keys });
        Ok(())
    })
}

/// Lets go of keys; what they were given to keeps them. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_keys_free(keys: Option<Box<roomcast_keys>>) {
    guard(|| {
        drop(keys);
        Ok(())
    });
}

/// Replaces the inner value by what a method of the builder makes of it.
fn change(
    keys: Option<&mut roomcast_keys>,
    change: impl FnOnce(Keys) -> Result<Keys, Status>,
) -> roomcast_status {
    guard(|| {
        let keys = given(keys)?;
        keys.keys = change(keys.keys.clone())?;
        Ok(())
    })
}

/// Adds a key; there may be 256.
///
/// @param algorithm one of `roomcast_algorithm`
/// @param id by which tokens name it (`kid`), at most 255 bytes: tokens that name another are not
///        tried with it; empty for none
/// @param key the secret, or the PEM
/// @param why if not NULL, gets a sentence that says what is wrong with it
/// @param why_size bytes that `why` has place for
/// @return `ROOMCAST_STATUS_TOKEN_KEY` for a key that cannot be used
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_keys_add(
    keys: Option<&mut roomcast_keys>,
    algorithm: u32,
    id: roomcast_str,
    key: roomcast_bytes,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    use roomcast_algorithm as number;
    let why = Why {
        text: why,
        size: why_size,
    };
    change(keys, |keys| {
        let (id, key) = (id.text()?, key.bytes()?);
        let added = match algorithm {
            a if a == number::Hs256 as u32 => keys.hs256(key),
            a if a == number::Rs256 as u32 => keys.rs256_pem(key),
            a if a == number::Es256 as u32 => keys.es256_pem(key),
            a if a == number::Eddsa as u32 => keys.eddsa_pem(key),
            _ => return Err(Status::InvalidArgument),
        };
        let named = added.and_then(|keys| match id.is_empty() {
            true => Ok(keys),
            false => keys.with_kid(id),
        });
        named.map_err(|error| why.told(error.status(), &error))
    })
}

/// Adds the keys of a JWK Set (RFC 7517), with the ids that they have there. Those that are of no
/// use here are passed over: of another kind or algorithm, for encryption, too small, or malformed.
///
/// @param set the JSON
/// @param why as in `roomcast_keys_add`
/// @param why_size bytes that `why` has place for
/// @return `ROOMCAST_STATUS_TOKEN_KEY` for what is no JWK Set, or has no key that can be used
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_keys_add_jwks(
    keys: Option<&mut roomcast_keys>,
    set: roomcast_str,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    change(keys, |keys| {
        let added = keys.jwks(set.text()?);
        added.map_err(|error| why.told(error.status(), &error))
    })
}

/// Tokens must be made by this issuer, or by another that is added so: their `iss` is compared as
/// text. Without any, `iss` does not count.
///
/// @param issuer such as "https://login.example"
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_keys_add_issuer(
    keys: Option<&mut roomcast_keys>,
    issuer: roomcast_str,
) -> roomcast_status {
    change(keys, |keys| Ok(keys.issuer(issuer.text()?)))
}

/// Tokens must be meant for this audience, or for another that is added so: it is, or is in, their
/// `aud`. Without any, tokens with an `aud` are refused, since they are meant for others.
///
/// @param audience such as "board"
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_keys_add_audience(
    keys: Option<&mut roomcast_keys>,
    audience: roomcast_str,
) -> roomcast_status {
    change(keys, |keys| Ok(keys.audience(audience.text()?)))
}

/// Seconds by which the clock of whoever makes the tokens may differ from ours: a token is valid so
/// much before its `nbf` and so much beyond its `exp`, and so is the connection that it opened.
/// Default 5.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_keys_set_leeway(
    keys: Option<&mut roomcast_keys>,
    seconds: u64,
) -> roomcast_status {
    change(keys, |keys| Ok(keys.leeway_s(seconds)))
}
