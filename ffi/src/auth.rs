//! Tokens: where they are looked for, who checks them, new ones for live connections, revocations.

use std::ffi::c_void;
use std::sync::Arc;

use roomcast::{Auth, Claims, Revoke, Status, TokenError, Verify};

use crate::boundary::{Foreign, Out, give, given, guard, place, roomcast_free_fn, roomcast_str};
use crate::claims::roomcast_claims;
use crate::config::{build, change, roomcast_config};
use crate::connections::there;
use crate::engine::{engine_guard, holding_guard, roomcast_engine};
use crate::keys::{Keys, roomcast_keys};
use crate::status::roomcast_status;

/// How peers prove who they are: who checks their tokens, and where these are looked for. One
/// thread at a time.
///
/// Made by `roomcast_auth_new` or `_new_native`, filled by `roomcast_auth_set_...`, read by
/// `roomcast_config_set_auth` and `roomcast_engine_reload_auth` (which copy it), let go of by
/// `roomcast_auth_free`.
///
/// A token is looked for in the order of header, query, cookie, first message; the first that is
/// there counts. With none of them set, it is the header `Authorization: Bearer ...` and the query
/// value `token`.
pub struct roomcast_auth {
    auth: Auth,
    verifier: Verifier,
}

/// Checks a token of the host's own kind (`roomcast_auth_new_native`).
///
/// - Thread: one of the engine's own, or the one in `roomcast_engine_turn`; that of the call, in
///   `roomcast_connection_refresh` and `roomcast_upgrade_new`. Several at a time, where there are
///   several shards.
/// - Pointers: `claims` is valid until it returns.
/// - Blocking: no. Meanwhile the connections of its shard wait.
/// - Calls: as in `roomcast_event_fn`.
/// - After the stop: none.
/// - It must return: no C++ exception and no longjmp may leave it.
///
/// @param user_data what `roomcast_auth_new_native` was given
/// @param token what the peer has sent, at most `token_bytes_max` bytes
/// @param now_s seconds since 1970
/// @param claims to be filled by `roomcast_claims_set_...` and `_allow` with what it says
/// @return `ROOMCAST_STATUS_OK` for a genuine token; `ROOMCAST_STATUS_TOKEN_EXPIRED` where its time
///         is over; any other number where it is not valid
pub type roomcast_verify_fn = Option<
    extern "C" fn(
        user_data: *mut c_void,
        token: roomcast_str,
        now_s: u64,
        claims: *mut roomcast_claims,
    ) -> u32,
>;

type VerifyFn = extern "C" fn(*mut c_void, roomcast_str, u64, *mut roomcast_claims) -> u32;

/// Who checks tokens.
#[derive(Clone)]
enum Verifier {
    Keys(Keys),
    Native(Arc<Foreign>, VerifyFn),
}

impl Verify for Verifier {
    fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        match self {
            Verifier::Keys(keys) => keys.verify(token, now_s),
            Verifier::Native(user, call) => {
                let mut claims = roomcast_claims::of(Arc::default());
                match call(user.data(), roomcast_str::of(token), now_s, &mut claims) {
                    s if s == roomcast_status::Ok as u32 => Ok(claims.take()),
                    s if s == roomcast_status::TokenExpired as u32 => Err(TokenError::Expired),
                    _ => Err(TokenError::Invalid),
                }
            }
        }
    }
}

fn give_auth(
    out: Out<'_, Box<roomcast_auth>>,
    verifier: impl FnOnce() -> Result<Verifier, Status>,
) -> roomcast_status {
    guard(|| {
        let place = place(out)?;
        let verifier = verifier()?;
        let auth = Auth::new(verifier.clone());
        give(place, roomcast_auth { auth, verifier });
        Ok(())
    })
}

/// Every WebSocket needs a token that is a JWT, signed with one of these keys.
///
/// @param keys copied, as they are now
/// @param auth gets the new value
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_new(
    keys: Option<&roomcast_keys>,
    auth: Out<'_, Box<roomcast_auth>>,
) -> roomcast_status {
    give_auth(auth, || Ok(Verifier::Keys(given(keys)?.get().clone())))
}

/// Every WebSocket needs a token that a function of the host's finds valid.
///
/// @param user_data given to `call`
/// @param call the function
/// @param free called once with `user_data` when neither this, a configuration nor an engine needs
///        it any more; may be NULL. Where this function fails, it is not called.
/// @param auth gets the new value
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_new_native(
    user_data: *mut c_void,
    call: roomcast_verify_fn,
    free: roomcast_free_fn,
    auth: Out<'_, Box<roomcast_auth>>,
) -> roomcast_status {
    give_auth(auth, || {
        let call = given(call)?;
        Ok(Verifier::Native(
            Arc::new(Foreign::new(user_data, free)),
            call,
        ))
    })
}

/// Lets go of it; configurations and engines that it was given to go on. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_free(auth: Option<Box<roomcast_auth>>) {
    guard(|| {
        drop(auth);
        Ok(())
    });
}

/// Replaces the inner value by what a method of the builder makes of it.
fn set(
    auth: Option<&mut roomcast_auth>,
    value: &roomcast_str,
    build: impl FnOnce(Auth, &str) -> Auth,
) -> roomcast_status {
    guard(|| {
        let (auth, value) = (given(auth)?, value.text()?);
        given((!value.is_empty()).then_some(()))?;
        auth.auth = build(auth.auth.clone(), value);
        Ok(())
    })
}

/// Looks for tokens in this header field: alone, or behind `Bearer `.
///
/// @param name such as "Authorization", in any case
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_set_header(
    auth: Option<&mut roomcast_auth>,
    name: roomcast_str,
) -> roomcast_status {
    set(auth, &name, |auth, name| auth.header(name))
}

/// Looks for tokens in this query value. Proxies write queries to their logs, so let such tokens
/// be short-lived.
///
/// @param name such as "token"
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_set_query(
    auth: Option<&mut roomcast_auth>,
    name: roomcast_str,
) -> roomcast_status {
    set(auth, &name, |auth, name| auth.query(name))
}

/// Looks for tokens in this cookie. Browsers send cookies with requests of any page, so mind
/// `roomcast_config_set_origins`.
///
/// @param name the cookie's name
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_set_cookie(
    auth: Option<&mut roomcast_auth>,
    name: roomcast_str,
) -> roomcast_status {
    set(auth, &name, |auth, name| auth.cookie(name))
}

/// Looks for a token in the first message: a browser can set no header, and a message is in
/// nobody's log. The WebSocket is opened at once, but the host hears of it only when the token has
/// come, within `handshake_timeout_ms`; else it is closed with 4401.
/// Later messages that begin so are new tokens, as for `roomcast_connection_refresh`, and are not
/// told to the host.
///
/// @param begins the text that stands before the token, such as "token "
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_set_message(
    auth: Option<&mut roomcast_auth>,
    begins: roomcast_str,
) -> roomcast_status {
    set(auth, &begins, |auth, begins| auth.message(begins))
}

/// Sets what a connection is sent as a text message when its token is about to expire, in
/// `token_notice_ms`. Default: nothing; the host is told in any case (`ROOMCAST_EVENT_EXPIRING`).
///
/// @param text the message
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_set_notice(
    auth: Option<&mut roomcast_auth>,
    text: roomcast_str,
) -> roomcast_status {
    set(auth, &text, |auth, text| auth.notice(text))
}

/// Whether a WebSocket without any token is let through to the host, as nobody. One with a token
/// that is not valid is turned away in any case. Default false.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_auth_set_optional(
    auth: Option<&mut roomcast_auth>,
    optional: bool,
) -> roomcast_status {
    guard(|| {
        let auth = given(auth)?;
        auth.auth = auth.auth.clone().optional(optional);
        Ok(())
    })
}

/// Sets how peers prove who they are. Default: they do not, and the host decides by itself.
///
/// A WebSocket without a valid token is turned away with 401 before the host hears of it, and an
/// address that has brought `token_failures_max` bad ones within a minute with 429.
///
/// @param auth copied
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_auth(
    config: Option<&mut roomcast_config>,
    auth: Option<&roomcast_auth>,
) -> roomcast_status {
    change(config, |config| {
        let auth = given(auth)?.auth.clone();
        build(config, |c| c.auth(auth));
        Ok(())
    })
}

/// Has tokens checked by the keys or the function of this from now on, in place of what
/// `roomcast_config_set_auth` was given: after keys have changed. Where tokens are looked for stays
/// as it was, and live connections keep what theirs said.
///
/// @param auth copied
/// @return `ROOMCAST_STATUS_CONFIG` for an engine that was started without any
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_reload_auth(
    engine: Option<&roomcast_engine>,
    auth: Option<&roomcast_auth>,
) -> roomcast_status {
    // The finalizer of what was there may let go of the engine.
    holding_guard(engine, |engine| {
        let verifier = given(auth)?.verifier.clone();
        let reloaded = engine.handle().reload_auth(verifier);
        reloaded.map_err(TokenError::status)
    })
}

/// Gives a connection a new token in place of the one it has, or of none. Its user stays: a token
/// of another user changes nothing, and is counted (`tokens_refused`). The token is checked on this
/// thread; what it says counts within a turn.
///
/// @param token what the peer has sent
/// @return `ROOMCAST_STATUS_TOKEN`, `_TOKEN_EXPIRED` or `_TOKEN_REVOKED`, and then the connection
///         goes on as before; `_CONFIG` for an engine without `roomcast_config_set_auth`; `_GONE`;
///         `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_refresh(
    engine: Option<&roomcast_engine>,
    connection: u64,
    token: roomcast_str,
) -> roomcast_status {
    // The verifier is the host's and may let go of the engine.
    holding_guard(engine, |engine| {
        let token = token.text()?;
        let id = there(engine, connection)?;
        let refreshed = engine.handle().refresh(id, token);
        refreshed.map_err(TokenError::status)
    })
}

/// The same for a host that finds out by itself who a peer is (claims in `roomcast_accept`): from
/// now on these hold of the connection, within a turn. Claims of another user change nothing.
///
/// @param claims copied
/// @return `ROOMCAST_STATUS_GONE`; `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_refresh_claims(
    engine: Option<&roomcast_engine>,
    connection: u64,
    claims: Option<&roomcast_claims>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let claims = given(claims)?.get().clone();
        let id = there(engine, connection)?;
        let refreshed = engine.handle().refresh_with(id, claims);
        refreshed.map_err(TokenError::status)
    })
}

/// Closes a connection with 4004, at once. It may come back, even with the same token.
///
/// @return `ROOMCAST_STATUS_GONE`; `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_revoke(
    engine: Option<&roomcast_engine>,
    connection: u64,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let id = there(engine, connection)?;
        engine.handle().revoke(Revoke::Connection(id));
        Ok(())
    })
}

/// Closes all connections of a user with 4004, at once, and keeps out its tokens that were made by
/// now (`iat` of this second or before, or none), for the life of the engine and within
/// `revocations_max`. What other processes have to know, tell them too.
///
/// @param user as tokens and accepts have it
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_user_revoke(
    engine: Option<&roomcast_engine>,
    user: roomcast_str,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        engine.handle().revoke(Revoke::User(user.text()?));
        Ok(())
    })
}

/// Closes the connections with the token of this id (`jti`) with 4004, at once, and keeps that
/// token out, as `roomcast_user_revoke`.
///
/// @param token_id the token's own name
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_token_revoke(
    engine: Option<&roomcast_engine>,
    token_id: roomcast_str,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        engine.handle().revoke(Revoke::Token(token_id.text()?));
        Ok(())
    })
}
