//! Tokens: who a peer proves to be, where it says so, and for how long that holds.
//!
//! In: the text of a token, the time. Out: [`Claims`], or why not. How tokens are made is behind
//! [`Verify`]; JWT is one such (feature `jwt`). Rank 0: sans-IO, any thread.

#[cfg(feature = "jwt")]
mod claims;
#[cfg(feature = "jwt")]
mod jwk;
#[cfg(feature = "jwt")]
mod keys;
#[cfg(all(feature = "jwt", feature = "internal-testing"))]
pub mod probe;

use std::borrow::Cow;
use std::fmt;

#[cfg(feature = "jwt")]
pub use self::keys::{KeyError, Keys};
use crate::error::Status;
use crate::grants::Grants;
use crate::request::Request;
use crate::sync::Arc;

/// What a valid token says of its bearer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// Who it is (`sub`).
    pub user: Option<Arc<str>>,
    /// Seconds since 1970 at which it ends to be valid (`exp`, and the leeway); None for never.
    pub expires_at: Option<u64>,
    /// Seconds since 1970 at which it was made (`iat`).
    pub issued_at: Option<u64>,
    /// Its own name, by which it can be revoked (`jti`).
    pub token_id: Option<Arc<str>>,
    /// What the bearer may do in which rooms (`rooms`).
    pub grants: Grants,
    /// What others in a room with presence are told of the bearer: JSON (`info`).
    pub info: Option<Arc<str>>,
}

impl Claims {
    /// Nobody, for ever, without any right.
    #[must_use]
    pub fn new() -> Self {
        Claims::default()
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenError {
    /// Longer than `token_bytes_max`, malformed, signed with no key of ours, not yet valid, or
    /// meant for somebody else.
    Invalid,
    /// Its time is over.
    Expired,
    /// It was revoked, or its user was.
    Revoked,
    /// The engine asks for no tokens: [`Config::auth`](crate::Config::auth).
    NoAuth,
    /// The connection id was never given out by this engine.
    Gone,
    /// The engine is stopping or has stopped.
    Stopped,
}

impl TokenError {
    /// The number of the closed list.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            TokenError::Invalid => Status::Token,
            TokenError::Expired => Status::TokenExpired,
            TokenError::Revoked => Status::TokenRevoked,
            TokenError::NoAuth => Status::Config,
            TokenError::Gone => Status::Gone,
            TokenError::Stopped => Status::Stopped,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::NoAuth => f.write_str("no Config::auth says how tokens are checked"),
            other => other.status().fmt(f),
        }
    }
}

impl std::error::Error for TokenError {}

/// Checks tokens. [`Keys`] does so for JWT; a host with tokens of its own kind may bring its own.
pub trait Verify: Send + Sync + 'static {
    /// What the token says, if it is genuine, at this time in seconds since 1970. Runs on a shard's
    /// thread for each new connection, so it must be quick and must not block.
    ///
    /// # Errors
    /// `Invalid` or `Expired`.
    fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError>;
}

impl<F> Verify for F
where
    F: Fn(&str, u64) -> Result<Claims, TokenError> + Send + Sync + 'static,
{
    fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        self(token, now_s)
    }
}

/// How peers prove who they are: [`Config::auth`](crate::Config::auth).
///
/// A token is looked for where the methods below say, in the order of header, query, cookie, first
/// message; the first that is there counts. With none of them named, it is the header
/// `Authorization: Bearer ...` and the query value `token`.
///
/// ```
/// use roomcast::{Auth, Claims, TokenError};
///
/// // Tokens of the host's own kind. For JWT give it `Keys` instead.
/// let auth = Auth::new(|token: &str, _now_s: u64| match token {
///     "open sesame" => {
///         let mut claims = Claims::new();
///         claims.user = Some("ali".into());
///         Ok(claims)
///     }
///     _ => Err(TokenError::Invalid),
/// });
/// let auth = auth.query("token").cookie("session");
/// # let _ = auth;
/// ```
#[derive(Clone)]
pub struct Auth {
    pub(crate) verify: Arc<dyn Verify>,
    pub(crate) places: Places,
}

/// Where tokens are, and what goes with that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    header: Option<String>,
    query: Option<String>,
    cookie: Option<String>,
    pub(crate) message: Option<Box<str>>,
    pub(crate) notice: Option<Box<str>>,
    pub(crate) optional: bool,
}

impl Auth {
    /// Every WebSocket needs a token that this finds valid.
    #[must_use]
    pub fn new(verify: impl Verify) -> Self {
        Auth {
            verify: Arc::new(verify),
            places: Places::default(),
        }
    }

    /// In this header field: alone, or behind `Bearer `.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.places.header = Some(name.into());
        self
    }

    /// In this query value. Proxies write queries to their logs, so let such tokens be short-lived.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.places.query = Some(name.into());
        self
    }

    /// In this cookie. Browsers send cookies with requests of any page, so mind
    /// [`Config::origins`](crate::Config::origins).
    #[must_use]
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.places.cookie = Some(name.into());
        self
    }

    /// In the first message, behind this text: a browser can set no header, and a message is in
    /// nobody's log. The WebSocket is opened at once, but the host hears of it only when the token
    /// has come, within `handshake_timeout_ms`; else it is closed with
    /// [`UNAUTHORIZED`](crate::UNAUTHORIZED). Later messages that begin so are new tokens, as for
    /// [`Handle::refresh`](crate::Handle::refresh), and are not told to the host.
    #[must_use]
    pub fn message(mut self, begins: impl Into<Box<str>>) -> Self {
        self.places.message = Some(begins.into());
        self
    }

    /// What a connection is sent as a text message when its token is about to expire, in
    /// `token_notice_ms`. Default: nothing; the host is told in any case.
    #[must_use]
    pub fn notice(mut self, text: impl Into<Box<str>>) -> Self {
        self.places.notice = Some(text.into());
        self
    }

    /// Whether a WebSocket without any token is let through to the host, as nobody. One with a
    /// token that is not valid is turned away in any case. Default false.
    #[must_use]
    pub fn optional(mut self, optional: bool) -> Self {
        self.places.optional = optional;
        self
    }
}

impl Places {
    /// The token of a request, where one is.
    pub(crate) fn token<'a>(&self, request: &'a Request) -> Option<Cow<'a, str>> {
        let nowhere = self.header.is_none()
            && self.query.is_none()
            && self.cookie.is_none()
            && self.message.is_none();
        let (header, query) = match nowhere {
            true => (Some("authorization"), Some("token")),
            false => (self.header.as_deref(), self.query.as_deref()),
        };
        let bearer = |text: &'a str| match text.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer ") => token.trim(),
            _ => text.trim(),
        };
        let of_header = header.and_then(|name| request.header(name)).map(bearer);
        let of_query = || query.and_then(|name| request.query_value(name));
        let of_cookie = || self.cookie.as_deref().and_then(|name| request.cookie(name));
        of_header
            .map(Cow::Borrowed)
            .or_else(of_query)
            .or_else(|| of_cookie().map(Cow::Borrowed))
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}
