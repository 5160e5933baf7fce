//! Hardening: what peers that are not trusted may try, and what it comes to.
//!
//! The defaults hold up against all of this without being touched; where a line says *set it*, the
//! right number depends on your peers. Everything that is turned away, dropped or cut is counted in
//! [`Handle::snapshot`](crate::Handle::snapshot), under the name at the line's end.
//!
//! # Before a connection is open
//!
//! - **More connections than there is place for**: [`connections_max`], then 503 (default
//!   100,000). Counted in `rejected_full`.
//! - **All of them from one address**: [`address_connections_max`], then 429 (*set it*).
//!   Counted in `rejected_address`.
//! - **All of them by one user**: [`user_connections_max`], then 429 (*set it*). Counted in
//!   `rejected_user`.
//! - **A flood of connections**: [`accept_rate_max`], the others wait in the backlog (off by
//!   default). Counted in `accept_paced`.
//! - **Handshakes that never end**: [`handshakes_max`] at once, [`handshake_timeout_ms`] each
//!   (default 10,000, 10 s). Counted in `rejected_head_timeout`.
//! - **A flood of TLS handshakes**: [`tls_budget_us`] a turn; others wait (default 1 ms).
//!   Counted in `tls_put_off`.
//! - **No TLS, old TLS, broken records**: an alert and the end. Counted in `tls_failed`.
//! - **A request octet by octet, giant heads**: [`head_bytes_max`], then 431 (default 16 KiB).
//!   Counted in `rejected_head_size`.
//! - **A page of another site**: [`Config::origins`], then 403 (default same host). Counted in
//!   `rejected_origin`.
//! - **No token, a wrong one, an old one**: [`Config::auth`], then 401 (*set it*). Counted in
//!   `rejected_token`.
//! - **Guessing tokens**: [`token_failures_max`] a minute and address: 429, unread (default
//!   60). Counted in `rejected_guessing`.
//! - **An address that is not its own**: ignored, unless from [`Config::trusted_proxies`]
//!   (default none trusted).
//! - **A PROXY header from anywhere**: dropped. Counted in `rejected_proxy`.
//! - **A host that takes its time**: [`verdict_timeout_ms`], then 503 (default 10 s). Counted
//!   in `rejected_verdict_timeout`.
//!
//! # While it is open
//!
//! - **Giant messages**: [`message_bytes_max`], then 1009, by the header alone (default 1 MiB).
//!   Counted in `violations_size`.
//! - **Endless fragments**: [`message_fragments_max`], then 1009 (default 4,096). Counted in
//!   `violations_fragments`.
//! - **Compression bombs**: the same bounds hold for what comes out; inflating has a budget.
//!   Counted in `violations_size`.
//! - **Frames that no client sends**: 1002. Counted in `violations_frame`.
//! - **Text that is none**: 1007. Counted in `violations_text`.
//! - **A flood of messages or pings**: [`message_rate_max`]: dropped, or 1008 (*set it*).
//!   Counted in `messages_refused`.
//! - **Asking and not reading**: [`outbox_high_bytes`]: not read from; [`outbox_bytes_max`],
//!   then 4008 (default 256 KiB, 1 MiB). Counted in `reads_paused`, `too_slow`.
//! - **Joining and not reading**: the room's [slow policy](super::slow_peers) (default 4008).
//!   Counted in `too_slow`, `lagged`.
//! - **Joining everything**: [`connection_rooms_max`] (default 1,024). Counted in
//!   `joins_refused`.
//! - **Costly filters, many keys**: [`room_filters_max`], [`connection_filters_max`],
//!   [`connection_keys_max`] (default 1,000, 64, 4,096). Counted in `joins_refused_filters`,
//!   `watches_refused`.
//! - **Rooms that are not its own**: [`request_join`], [`request_publish`]: the token's grants.
//!   Counted in `permissions_denied`.
//! - **Staying after its token's time**: closed with 4003. Counted by reason in `closed`.
//! - **Being there and gone**: [`ping_interval_ms`], [`ping_timeout_ms`] (default 25 s, 20 s).
//!   Counted by reason in `closed`.
//! - **Being idle for ever**: [`idle_timeout_ms`], then 4001 (off by default). Counted by
//!   reason in `closed`.
//! - **Join and leave storms in rooms with presence**: one notice an interval, none in large
//!   rooms (default 1,000 members). Counted in `presence_passed`.
//! - **Using the memory up**: [`memory_bytes_max`]: [degradation](super::degradation) (default
//!   1 GiB). Counted in `memory_cut`, `rejected_memory`.
//!
//! # For the open internet
//!
//! ```
//! use roomcast::{Auth, Claims, Config, MessageRatePolicy, TokenError};
//!
//! # let verify = |_: &str, _: u64| Ok::<Claims, TokenError>(Claims::new());
//! let config = Config::new()
//!     .auth(Auth::new(verify)) // `Keys` for JWT
//!     .address_connections_max(50)
//!     .user_connections_max(10)
//!     .message_bytes_max(16 * 1024)
//!     .message_rate_max(20)
//!     .message_burst_max(100)
//!     .message_rate_policy(MessageRatePolicy::Close);
//! assert!(config.check().is_ok());
//! ```
//!
//! Behind a proxy set [`Config::trusted_proxies`] first: else all peers share the proxy's address,
//! and so its limits. Carriers put thousands of people behind one address, so be generous with
//! [`address_connections_max`] and [`token_failures_max`], and strict with what counts by user.
//!
//! # What is left to the host
//!
//! - What is in messages. The engine hands them on as they came: escape what a page shows.
//! - Who may log in, and how tokens are made, kept and passed on.
//! - [`Handle::publish`](crate::Handle::publish) and [`Handle::join`](crate::Handle::join) ask
//!   nobody. For what peers ask for there are [`request_publish`] and [`request_join`].
//! - [`Config::metrics_path`](crate::Config::metrics_path), the health path and
//!   [`pages`](crate::Config::pages) answer whoever asks, without a token.
//! - Attacks that fill the line before this machine.
//!
//! [`connections_max`]: crate::Config::connections_max
//! [`address_connections_max`]: crate::Config::address_connections_max
//! [`user_connections_max`]: crate::Config::user_connections_max
//! [`accept_rate_max`]: crate::Config::accept_rate_max
//! [`handshakes_max`]: crate::Config::handshakes_max
//! [`handshake_timeout_ms`]: crate::Config::handshake_timeout_ms
//! [`tls_budget_us`]: crate::Config::tls_budget_us
//! [`head_bytes_max`]: crate::Config::head_bytes_max
//! [`Config::origins`]: crate::Config::origins
//! [`Config::auth`]: crate::Config::auth
//! [`token_failures_max`]: crate::Config::token_failures_max
//! [`Config::trusted_proxies`]: crate::Config::trusted_proxies
//! [`verdict_timeout_ms`]: crate::Config::verdict_timeout_ms
//! [`message_bytes_max`]: crate::Config::message_bytes_max
//! [`message_fragments_max`]: crate::Config::message_fragments_max
//! [`message_rate_max`]: crate::Config::message_rate_max
//! [`outbox_high_bytes`]: crate::Config::outbox_high_bytes
//! [`outbox_bytes_max`]: crate::Config::outbox_bytes_max
//! [`connection_rooms_max`]: crate::Config::connection_rooms_max
//! [`room_filters_max`]: crate::Config::room_filters_max
//! [`connection_filters_max`]: crate::Config::connection_filters_max
//! [`connection_keys_max`]: crate::Config::connection_keys_max
//! [`request_join`]: crate::Handle::request_join
//! [`request_publish`]: crate::Handle::request_publish
//! [`ping_interval_ms`]: crate::Config::ping_interval_ms
//! [`ping_timeout_ms`]: crate::Config::ping_timeout_ms
//! [`idle_timeout_ms`]: crate::Config::idle_timeout_ms
//! [`memory_bytes_max`]: crate::Config::memory_bytes_max
