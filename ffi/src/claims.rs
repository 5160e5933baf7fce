//! Claims: what a token says of its bearer, to be read, and to be written by verifiers and accepts.

use std::sync::Arc;

use roomcast::{Claims, Grants, Status, Verb};

use crate::boundary::{Out, give, given, guard, place, roomcast_str};
use crate::status::roomcast_status;

/// What a peer may ask for in a room.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_verb {
    /// To be a member: to be sent what is published.
    Join = 1,
    /// To publish.
    Publish = 2,
    /// To see who is there.
    Presence = 3,
}

const VERBS: [(roomcast_verb, Verb); 3] = [
    (roomcast_verb::Join, Verb::Join),
    (roomcast_verb::Publish, Verb::Publish),
    (roomcast_verb::Presence, Verb::Presence),
];

pub(crate) fn verb_number(verb: Verb) -> u32 {
    let found = VERBS.iter().find(|(_, known)| *known == verb);
    found.map_or(0, |(number, _)| *number as u32)
}

pub(crate) fn read_verb(verb: u32) -> Option<Verb> {
    let found = VERBS.iter().find(|(number, _)| *number as u32 == verb);
    found.map(|(_, known)| *known)
}

/// What a token says of its bearer.
///
/// Those of a request or an event are the library's: valid as long as that is, with the texts that
/// the functions below give, and read on any thread. A host may make its own, for
/// `roomcast_accept`, by `roomcast_claims_new`, filled by `roomcast_claims_set_...` and `_allow`,
/// one thread at a time, let go of by `roomcast_claims_free`.
pub struct roomcast_claims {
    claims: Arc<Claims>,
}

impl roomcast_claims {
    pub(crate) fn of(claims: Arc<Claims>) -> Self {
        roomcast_claims { claims }
    }

    pub(crate) fn take(&mut self) -> Claims {
        std::mem::take(Arc::make_mut(&mut self.claims))
    }

    pub(crate) fn get(&self) -> &Claims {
        &self.claims
    }
}

/// Makes claims of nobody, for ever, without any right.
///
/// @param claims gets them
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_new(claims: Out<'_, Box<roomcast_claims>>) -> roomcast_status {
    guard(|| {
        give(place(claims)?, roomcast_claims::of(Arc::default()));
        Ok(())
    })
}

/// Lets go of claims; connections that were accepted with them keep them. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_free(claims: Option<Box<roomcast_claims>>) {
    guard(|| {
        drop(claims);
        Ok(())
    });
}

fn change(
    claims: Option<&mut roomcast_claims>,
    change: impl FnOnce(&mut Claims) -> Result<(), Status>,
) -> roomcast_status {
    guard(|| change(Arc::make_mut(&mut given(claims)?.claims)))
}

/// A text that the claims keep; None for the empty one.
fn kept(text: &roomcast_str) -> Result<Option<Arc<str>>, Status> {
    let text = text.text()?;
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Sets who it is.
///
/// @param user as in `roomcast_accept`; empty for nobody
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_set_user(
    claims: Option<&mut roomcast_claims>,
    user: roomcast_str,
) -> roomcast_status {
    change(claims, |claims| {
        claims.user = kept(&user)?;
        Ok(())
    })
}

/// Sets when they end to hold.
///
/// @param seconds since 1970; 0 for never
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_set_expires_at(
    claims: Option<&mut roomcast_claims>,
    seconds: u64,
) -> roomcast_status {
    change(claims, |claims| {
        claims.expires_at = (seconds != 0).then_some(seconds);
        Ok(())
    })
}

/// Sets when the token was made, which decides whether a revocation of its user meets it.
///
/// @param seconds since 1970; 0 for not known: then every revocation of the user does
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_set_issued_at(
    claims: Option<&mut roomcast_claims>,
    seconds: u64,
) -> roomcast_status {
    change(claims, |claims| {
        claims.issued_at = (seconds != 0).then_some(seconds);
        Ok(())
    })
}

/// Sets the token's own name, by which it can be revoked (`roomcast_token_revoke`).
///
/// @param token_id empty for none
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_set_token_id(
    claims: Option<&mut roomcast_claims>,
    token_id: roomcast_str,
) -> roomcast_status {
    change(claims, |claims| {
        claims.token_id = kept(&token_id)?;
        Ok(())
    })
}

/// Sets what others in a room with presence are told of the bearer.
///
/// @param json a value in JSON; empty for none
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_set_info(
    claims: Option<&mut roomcast_claims>,
    json: roomcast_str,
) -> roomcast_status {
    change(claims, |claims| {
        claims.info = kept(&json)?;
        Ok(())
    })
}

/// Allows the bearer something in a room, or in all rooms whose names begin alike; adds to what was
/// allowed before.
///
/// @param rooms a room's name; where it ends in `*`, all that begin with what stands before it;
///        `*` alone is every room
/// @param verbs the sum of `1 << verb` of each `roomcast_verb`; other bits mean nothing
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_allow(
    claims: Option<&mut roomcast_claims>,
    rooms: roomcast_str,
    verbs: u32,
) -> roomcast_status {
    change(claims, |claims| {
        let rooms = rooms.text()?;
        let all = VERBS.iter();
        let all = all.filter(|(number, _)| verbs & 1 << *number as u32 != 0);
        let all: Vec<Verb> = all.map(|(_, verb)| *verb).collect();
        let grants: Grants = std::mem::take(&mut claims.grants);
        claims.grants = grants.allow(rooms, &all);
        Ok(())
    })
}

fn text(
    claims: Option<&roomcast_claims>,
    of: impl FnOnce(&Claims) -> Option<&str>,
) -> roomcast_str {
    roomcast_str::of_option(claims.and_then(|claims| of(claims.get())))
}

/// Who it is (`sub`); `data` is NULL where they do not say, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_user(claims: Option<&roomcast_claims>) -> roomcast_str {
    text(claims, |claims| claims.user.as_deref())
}

/// Seconds since 1970 at which they end to hold (`exp`); 0 for never, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_expires_at(claims: Option<&roomcast_claims>) -> u64 {
    claims.map_or(0, |claims| claims.get().expires_at.unwrap_or(0))
}

/// Seconds since 1970 at which the token was made (`iat`); 0 where they do not say, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_issued_at(claims: Option<&roomcast_claims>) -> u64 {
    claims.map_or(0, |claims| claims.get().issued_at.unwrap_or(0))
}

/// The token's own name (`jti`); `data` is NULL where it has none, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_token_id(claims: Option<&roomcast_claims>) -> roomcast_str {
    text(claims, |claims| claims.token_id.as_deref())
}

/// What others in a room with presence are told of the bearer (`info`), in JSON; `data` is NULL
/// where that is nothing, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_info(claims: Option<&roomcast_claims>) -> roomcast_str {
    text(claims, |claims| claims.info.as_deref())
}

/// Whether they allow something in a room (`rooms`); false for NULL, and for what is no verb or no
/// text.
///
/// @param verb one of `roomcast_verb`
/// @param room the room's name
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_claims_may(
    claims: Option<&roomcast_claims>,
    verb: u32,
    room: roomcast_str,
) -> bool {
    let may = |claims: &roomcast_claims| {
        let grants = &claims.get().grants;
        Some(grants.may(read_verb(verb)?, room.text().ok()?))
    };
    claims.and_then(may).unwrap_or(false)
}
