//! Tokens: who may come in, for how long, and what it may do there.
//!
//! Without [`Config::auth`](crate::Config::auth) the host decides on each connection by itself,
//! from the [`Request`](crate::Request): cookies, a session, a database. With it, the engine has
//! checked a token before the host hears of the connection at all, and goes on to mind it: it
//! expires, it is renewed, it is revoked, and it says what its bearer may do.
//!
//! # A token is checked once
//!
//! [`Keys`](crate::Keys) (feature `jwt`) check JSON Web Tokens (RFC 7519): HS256, RS256, ES256 and
//! EdDSA, by keys in PEM or a JWK Set (RFC 7517) that the host has fetched. A host with tokens of
//! another kind gives a function instead. It runs on a shard's thread, a few microseconds for each
//! new connection; what it found is kept with the connection, and no message is checked again.
//!
//! ```
//! # #[cfg(feature = "jwt")] {
//! use roomcast::{Accept, Auth, Config, Engine, Handler, Keys, Pending, Request};
//!
//! struct Board;
//!
//! impl Handler for Board {
//!     fn connecting(&self, request: &Request, pending: Pending) {
//!         let claims = request.claims().expect("nobody comes here without a token");
//!         // The user of the connection is that of the token, unless the host names another.
//!         println!("{:?} from {:?}", claims.user, request.peer_ip());
//!         pending.accept(Accept::new().room("lobby"));
//!     }
//! }
//!
//! let secret = b"a secret of thirty-two bytes at least";
//! let keys = Keys::new().hs256(secret)?.issuer("https://id.example");
//! let config = Config::new().listen("127.0.0.1:0").auth(Auth::new(keys).header("authorization"));
//! let engine = Engine::start(config, Board)?;
//! # engine.stop();
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | claim | what it is here |
//! |---|---|
//! | `sub` | the user: [`Handle::send_user`], `user_connections_max`, [`Revoke::User`] |
//! | `exp`, `nbf` | when it holds, in seconds since 1970 |
//! | `iat` | when it was made; what tells new tokens from those before a revocation |
//! | `jti` | its own name, for [`Revoke::Token`] |
//! | `iss`, `aud` | held against what the keys were told, if anything |
//! | `rooms` | what the bearer may do: `{"lobby": "join", "team:7:*": "join publish"}` |
//! | `info` | JSON that others in a room with [presence](super::presence) are told |
//!
//! # Where the token is
//!
//! | [`Auth`](crate::Auth) | for | mind |
//! |---|---|---|
//! | [`header`](crate::Auth::header) | programs | browsers cannot set one |
//! | [`query`](crate::Auth::query) | browsers | it ends in logs of proxies: let it live a minute |
//! | [`cookie`](crate::Auth::cookie) | browsers on your own site | any page sends it: [`origins`] |
//! | [`message`](crate::Auth::message) | browsers | the WebSocket opens before the proof |
//!
//! In the first message the token is in nobody's log, and its place can bring a new one later. Who
//! has not sent it within [`handshake_timeout_ms`](crate::Config::handshake_timeout_ms) is closed
//! with [`UNAUTHORIZED`](crate::UNAUTHORIZED) (4401); until then it counts for
//! [`handshakes_max`](crate::Config::handshakes_max), may say no more than one token, and the host
//! has not heard of it. What a host refuses after that is told in a close code: 4000 more than the
//! HTTP status, so 4403 for 403.
//!
//! A request without a valid token is answered with 401. Who brings more than
//! [`token_failures_max`](crate::Config::token_failures_max) wrong ones a minute, counted by
//! address, is answered with 429 and its tokens are not even read.
//!
//! # The end of its time
//!
//! [`token_notice_ms`](crate::Config::token_notice_ms) before its token expires, a connection is
//! sent the text that [`Auth::notice`](crate::Auth::notice) names, and the host is told
//! ([`Handler::expiring`](crate::Handler::expiring)). A new token takes the place of the old one
//! without a new connection: in a message, where tokens come in messages, or through
//! [`Handle::refresh`](crate::Handle::refresh), however the host has come by it. Else the
//! connection is closed with [`TOKEN_EXPIRED`](crate::TOKEN_EXPIRED) (4003) when its time is over.
//! What a token allows is what the newest one says. Let tokens live longer than the notice: one of
//! twenty seconds is about to expire as soon as it is there.
//!
//! # Revocation
//!
//! [`Handle::revoke`](crate::Handle::revoke) closes what is open with
//! [`REVOKED`](crate::REVOKED) (4004), at once, and keeps the token out, or all tokens that the
//! user was given by then. A user who logs in again has a token from after that. The engine
//! remembers [`revocations_max`](crate::Config::revocations_max) of them while it runs; what must
//! outlive it, keep in your database and have the function that checks tokens look there, or let
//! tokens live for minutes.
//!
//! # What the bearer may do
//!
//! [`Handle::join`](crate::Handle::join) and [`Handle::publish`](crate::Handle::publish) are the
//! host's own calls, and ask nobody. For what a *peer* asks for, call
//! [`request_join`](crate::Handle::request_join) and
//! [`request_publish`](crate::Handle::request_publish): done at once if the token's
//! [`Grants`](crate::Grants) allow it, in well under a microsecond and without the host. Else the
//! host decides, in [`Handler::permission`](crate::Handler::permission), now or later, for at most
//! [`verdict_timeout_ms`](crate::Config::verdict_timeout_ms). What nobody answers is denied.
//!
//! ```
//! use roomcast::{Connection, Handler, Join, Message, Wish};
//!
//! struct Desk;
//!
//! impl Handler for Desk {
//!     fn message(&self, connection: Connection<'_>, message: Message<'_>) {
//!         // `join ROOM` is this program's way to ask; yours may be JSON.
//!         if let Some(room) = message.text().and_then(|text| text.strip_prefix("join ")) {
//!             let _ = connection.request_join(room, Join::new());
//!         }
//!     }
//!
//!     fn permission(&self, connection: Connection<'_>, wish: Wish) {
//!         match wish.room().starts_with("public:") {
//!             true => drop(wish.allow()),
//!             false => {
//!                 let _ = connection.send(format!("you may not {} there", wish.verb()).as_str());
//!                 wish.deny();
//!             }
//!         }
//!     }
//! }
//! # let _ = Desk;
//! ```
//!
//! # A host that finds out by itself
//!
//! Whoever asks a database who a peer is can still have the engine mind the rest: say in
//! [`Accept::claims`](crate::Accept::claims) what a token would have said.
//!
//! ```
//! use roomcast::{Accept, Claims, Grants, Verb};
//!
//! let mut claims = Claims::new();
//! claims.user = Some("ada".into());
//! claims.expires_at = Some(1_900_000_000);
//! claims.grants = Grants::new().allow("team:7:*", &[Verb::Join, Verb::Publish]);
//! let accept = Accept::new().claims(claims).room("team:7:news");
//! # let _ = accept;
//! ```
//!
//! [`Handle::refresh_with`](crate::Handle::refresh_with) says it anew of a live connection.
//!
//! # Figures
//!
//! `tokens_accepted`, `tokens_refused`, `rejected_token`, `rejected_guessing`,
//! `permissions_granted`, `permissions_denied`, and ended connections by `token_expired`,
//! `revoked`, `unauthorized`.
//!
//! [`Handle::send_user`]: crate::Handle::send_user
//! [`Revoke::User`]: crate::Revoke::User
//! [`Revoke::Token`]: crate::Revoke::Token
//! [`origins`]: crate::Config::origins
