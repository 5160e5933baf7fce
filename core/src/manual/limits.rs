//! Limits: everything that can grow has one, with its unit in its name.
//!
//! Set them on a [`Config`](crate::Config) by the method of their name, or let whoever runs the
//! program set them: [`Config::from_env`](crate::Config::from_env) reads `ROOMCAST_` and the name
//! in upper case. [`Config::check`](crate::Config::check), which the start calls too, says which
//! setting cannot work and what it may be.
//!
//! ```
//! use roomcast::{Config, ConfigError};
//!
//! let variables = |name: &str| (name == "ROOMCAST_CONNECTIONS_MAX").then(|| "5000".to_string());
//! let config = Config::new().tape_bytes_max(8 * 1024 * 1024).from_variables(variables)?;
//! config.check()?;
//!
//! let error = Config::new().publication_bytes_max(2 * 1024 * 1024).check().unwrap_err();
//! assert!(matches!(error, ConfigError::TooLarge { setting: "publication_bytes_max", .. }));
//! # Ok::<(), ConfigError>(())
//! ```
//!
//! # All limits
//!
//! A test holds this table against [`Limits::NAMES`](crate::Limits::NAMES) and the defaults.
//!
//! | limit | default | when it is reached |
//! |---|---|---|
//! | [`connections_max`] | 100,000 | the request is answered with 503 |
//! | [`address_connections_max`] | 0 | the request is answered with 429; 0 for no such limit |
//! | [`user_connections_max`] | 0 | the request is answered with 429; 0 for no such limit |
//! | [`accept_rate_max`] | 0 | others wait in the backlogs of the listeners; 0 for no such limit |
//! | [`tls_budget_us`] | 1,000 | further TLS handshakes wait for the next turn |
//! | [`token_bytes_max`] | 8 KiB | the token is not valid |
//! | [`token_failures_max`] | 60 | the request is answered with 429; 0 for no such limit |
//! | [`token_notice_ms`] | 30,000 | the connection is told that its token expires; 0 for not |
//! | [`revocations_max`] | 100,000 | the oldest revocation is forgotten |
//! | [`presence_page_max`] | 1,000 | the rest is on the next page |
//! | [`presence_notice_members_max`] | 1,000 | the room has no notices of who came and went |
//! | [`presence_notice_names_max`] | 100 | of more only the number is told |
//! | [`handshakes_max`] | 10,000 | others wait in the backlogs of the listeners |
//! | [`head_bytes_max`] | 16 KiB | the request is answered with 431 |
//! | [`handshake_timeout_ms`] | 10,000 | 408, or just the end for who said nothing |
//! | [`verdict_timeout_ms`] | 10,000 | 503 |
//! | [`message_bytes_max`] | 1 MiB | the connection is closed with 1009 |
//! | [`deflate_level`] | 0 | messages are compressed so hard; 0 for not at all, 9 at most |
//! | [`deflate_bytes_min`] | 256 | a message so large is compressed |
//! | [`message_fragments_max`] | 4,096 | the connection is closed with 1009 |
//! | [`message_rate_max`] | 0 | what is beyond meets its policy; 0 for no such limit |
//! | [`message_burst_max`] | 0 | as above; 0 for as many as `message_rate_max` |
//! | [`publication_bytes_max`] | 1 MiB | `Refused::TooLarge`, also for messages |
//! | [`tape_bytes_max`] | 4 MiB | the slowest members of the room meet their policy |
//! | [`shard_tape_bytes_max`] | 256 MiB | as above, from 7/8 on; when full, `Refused::Overloaded` |
//! | [`outbox_bytes_max`] | 1 MiB | the connection is closed with 4008 |
//! | [`outbox_high_bytes`] | 256 KiB | the host is told; the peer is not read from |
//! | [`room_ahead_bytes_max`] | 1 MiB | `Refused::Behind` |
//! | [`inbox_bytes_max`] | 64 MiB | `Refused::Overloaded`; from half on, peers are not read |
//! | [`room_name_bytes_max`] | 255 | `RoomName` |
//! | [`connection_rooms_max`] | 1,024 | a join has no effect |
//! | [`flush_interval_ms`] | 0 | publications leave; 0 for each turn |
//! | [`flush_interval_max_ms`] | 1,000 | intervals widen no further |
//! | [`pressure_us`] | 50,000 | flush intervals widen by a step; 0 for never |
//! | [`key_bytes_max`] | 255 | `Refused::Key`, `CommandError::Key` |
//! | [`connection_keys_max`] | 4,096 | further keys are not watched |
//! | [`room_filters_max`] | 1,000 | a join with another filter has no effect |
//! | [`connection_filters_max`] | 64 | a join with a filter has no effect |
//! | [`history_bytes_max`] | 1 MiB | the oldest publications of a room's history go |
//! | [`memory_bytes_max`] | 1 GiB | [degradation](super::degradation); 0 for no budget |
//! | [`turn_budget_us`] | 1,000 | writing goes on in the next turn |
//! | [`ping_interval_ms`] | 25,000 | a ping, after three quarters of it to all of it; 0 for none |
//! | [`ping_timeout_ms`] | 20,000 | the socket is closed |
//! | [`idle_timeout_ms`] | 0 | the connection is closed with 4001; 0 for never |
//! | [`close_timeout_ms`] | 2,000 | the socket is closed |
//! | [`stop_spread_ms`] | 500 | every peer has been told that the engine stops |
//! | [`stop_timeout_ms`] | 5,000 | whoever is left is cut |
//! | [`connection_events_max`] | 64 | the peer is not read from |
//! | [`events_max`] | 65,536 | each connection may have one untaken event; new ones get 503 |
//! | [`notsent_lowat_bytes`] | 64 KiB | the socket takes no more; 0 for the kernel's choice |
//! | [`listen_backlog`] | 4,096 | the kernel's business |
//! | [`keepalive_ms`] | 0 | the kernel probes the peer; 0 for never |
//! | [`user_timeout_ms`] | 0 | the kernel gives the peer up; 0 for its own choice |
//!
//! # What bounds memory
//!
//! [`memory_bytes_max`] bounds all of the first six together, for the whole engine. The largest
//! parts of a busy one:
//!
//! - tapes: `shards` × `shard_tape_bytes_max`, and for one room `shards` × `tape_bytes_max`, as
//!   often as it has delivery groups there: one for each filter, policy, interval and way to
//!   compress that its members have. A frame counts 24 bytes more than its length. A room in which
//!   nobody is behind holds nothing between turns.
//! - outboxes: `connections_max` × `outbox_bytes_max` at worst; most connections have none.
//! - inboxes: `shards` × `inbox_bytes_max`.
//! - messages in the making: `connections_max` × `message_bytes_max` at worst. Memory is taken as
//!   the bytes come, not on the word of a header.
//! - events: `connections_max` × `connection_events_max` messages at worst, and what one read of
//!   64 KiB brought beyond. `message_bytes_max` bounds each.
//! - presence: about 200 bytes for each membership in a room that has it. What connections were
//!   given as user and info is kept once and not counted.
//! - compression: half a megabyte for each shard that uses it, and what was read of a connection
//!   (64 KiB at most) while what it inflates to has to wait for the next turn.
//! - the kernel: about `notsent_lowat_bytes` for each socket that is not read.
//!
//! The products are ceilings that only an attack on every connection at once could reach. Set the
//! per-connection limits low where peers are not trusted.
//!
//! `handshakes_max` counts those who have not got an answer yet. Who has got one that refuses them
//! is a connection for another moment, a second at most, and counts for `connections_max` alone.
//!
//! # Which belong together
//!
//! `publication_bytes_max` is at most a quarter of `tape_bytes_max`, `room_ahead_bytes_max` at most
//! half, and `tape_bytes_max` at most `shard_tape_bytes_max`. `outbox_high_bytes` is at most
//! `outbox_bytes_max`. `memory_bytes_max` is at least four times `tape_bytes_max`. The check says
//! so by name. Of the budget inboxes may take a quarter together, whatever `inbox_bytes_max` says.
//! It does not compare `inbox_bytes_max` with `publication_bytes_max`; leave it several times
//! larger.
//!
//! # Whom a peer has to thank
//!
//! Connections are counted for their address from when they are accepted, and for their user from
//! the host's verdict on, until the socket is closed: what is closing still counts. Where both
//! limits are set, both hold. A peer that was refused may ask again after a second
//! (`Retry-After`); one that was adopted with its response sent is closed with 1008, and the host
//! is told neither that it opened nor that it closed.
//!
//! `message_rate_max` and `message_burst_max` are a bucket of tokens for each connection. Each
//! message takes one when its last byte has come, and so does each ping and each pong that was not
//! asked for. What a peer says while the engine does not read it (its host or it is behind) is
//! credited. [`MessageRatePolicy`](crate::MessageRatePolicy) says what becomes of those for which
//! there is no token. Without a limit a peer that floods is held up by what the host does about
//! its messages: its shard reads it again only then. At most 2 KiB of pongs wait for a peer.
//!
//! [`connections_max`]: crate::Config::connections_max
//! [`address_connections_max`]: crate::Config::address_connections_max
//! [`user_connections_max`]: crate::Config::user_connections_max
//! [`accept_rate_max`]: crate::Config::accept_rate_max
//! [`tls_budget_us`]: crate::Config::tls_budget_us
//! [`token_bytes_max`]: crate::Config::token_bytes_max
//! [`token_failures_max`]: crate::Config::token_failures_max
//! [`token_notice_ms`]: crate::Config::token_notice_ms
//! [`revocations_max`]: crate::Config::revocations_max
//! [`presence_page_max`]: crate::Config::presence_page_max
//! [`presence_notice_members_max`]: crate::Config::presence_notice_members_max
//! [`presence_notice_names_max`]: crate::Config::presence_notice_names_max
//! [`handshakes_max`]: crate::Config::handshakes_max
//! [`head_bytes_max`]: crate::Config::head_bytes_max
//! [`handshake_timeout_ms`]: crate::Config::handshake_timeout_ms
//! [`verdict_timeout_ms`]: crate::Config::verdict_timeout_ms
//! [`message_bytes_max`]: crate::Config::message_bytes_max
//! [`deflate_level`]: crate::Config::deflate_level
//! [`deflate_bytes_min`]: crate::Config::deflate_bytes_min
//! [`message_fragments_max`]: crate::Config::message_fragments_max
//! [`message_rate_max`]: crate::Config::message_rate_max
//! [`message_burst_max`]: crate::Config::message_burst_max
//! [`publication_bytes_max`]: crate::Config::publication_bytes_max
//! [`tape_bytes_max`]: crate::Config::tape_bytes_max
//! [`shard_tape_bytes_max`]: crate::Config::shard_tape_bytes_max
//! [`outbox_bytes_max`]: crate::Config::outbox_bytes_max
//! [`outbox_high_bytes`]: crate::Config::outbox_high_bytes
//! [`room_ahead_bytes_max`]: crate::Config::room_ahead_bytes_max
//! [`inbox_bytes_max`]: crate::Config::inbox_bytes_max
//! [`room_name_bytes_max`]: crate::Config::room_name_bytes_max
//! [`connection_rooms_max`]: crate::Config::connection_rooms_max
//! [`flush_interval_ms`]: crate::Config::flush_interval_ms
//! [`flush_interval_max_ms`]: crate::Config::flush_interval_max_ms
//! [`pressure_us`]: crate::Config::pressure_us
//! [`key_bytes_max`]: crate::Config::key_bytes_max
//! [`connection_keys_max`]: crate::Config::connection_keys_max
//! [`room_filters_max`]: crate::Config::room_filters_max
//! [`connection_filters_max`]: crate::Config::connection_filters_max
//! [`history_bytes_max`]: crate::Config::history_bytes_max
//! [`memory_bytes_max`]: crate::Config::memory_bytes_max
//! [`turn_budget_us`]: crate::Config::turn_budget_us
//! [`ping_interval_ms`]: crate::Config::ping_interval_ms
//! [`ping_timeout_ms`]: crate::Config::ping_timeout_ms
//! [`idle_timeout_ms`]: crate::Config::idle_timeout_ms
//! [`close_timeout_ms`]: crate::Config::close_timeout_ms
//! [`stop_spread_ms`]: crate::Config::stop_spread_ms
//! [`stop_timeout_ms`]: crate::Config::stop_timeout_ms
//! [`connection_events_max`]: crate::Config::connection_events_max
//! [`events_max`]: crate::Config::events_max
//! [`notsent_lowat_bytes`]: crate::Config::notsent_lowat_bytes
//! [`listen_backlog`]: crate::Config::listen_backlog
//! [`keepalive_ms`]: crate::Config::keepalive_ms
//! [`user_timeout_ms`]: crate::Config::user_timeout_ms
