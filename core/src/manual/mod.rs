//! The manual: how roomcast works, and what follows for a host.
//!
//! # The path
//!
//! A peer's bytes are read into a buffer of its shard and become messages; the host is told; what
//! it asks for goes through the inbox of the shard that it concerns; a publication is numbered
//! under its room's lock, framed once, and appended to the tape of the room's group on each shard
//! that has members; at the end of the turn each member's socket is written once.
//!
//! # Slow peers
//!
//! A member whose socket takes no more is passed over; its cursor stays where it is and the tape
//! behind it is kept, up to `tape_bytes_max`. Then the [`SlowPolicy`](crate::SlowPolicy) decides:
//! `Disconnect` closes it with 4008, `Skip` lets it jump to the newest publication and calls
//! [`Handler::lagged`](crate::Handler::lagged). Messages for one connection alone wait in its
//! outbox, up to `outbox_bytes_max`; above `outbox_high_bytes` the host is told
//! ([`Handler::backpressure`](crate::Handler::backpressure)) and the peer is not read from.
//! A publisher that is faster than the shards is answered
//! [`Refused::Behind`](crate::Refused::Behind) or
//! [`Refused::Overloaded`](crate::Refused::Overloaded).
//!
//! # Threads and locks
//!
//! Callbacks run on shard threads and must be quick; every call of a [`Handle`](crate::Handle) may
//! be made in them, except those that wait for a shard
//! ([`Handle::connections`](crate::Handle::connections),
//! [`Handle::members`](crate::Handle::members)),
//! which answer `OnShard` there. A panic in a callback stops the engine. Lock order inside: a room,
//! then an inbox or a stripe of the directory; several rooms in the order of their addresses. No
//! lock is held while encoding, writing, waking or calling the host.
//!
//! # Limits
//!
//! Everything that can grow has a limit in [`Limits`](crate::Limits), with its unit in the name
//! and its default in its documentation. [`Config::from_env`](crate::Config::from_env) reads them
//! from the environment:
//!
//! ```
//! use roomcast::{Config, Limits};
//!
//! let variables = |name: &str| (name == "ROOMCAST_CONNECTIONS_MAX").then(|| "5000".to_string());
//! let config = Config::new().from_variables(variables)?;
//! assert!(config.check().is_ok());
//! assert!(Limits::NAMES.contains(&"connections_max"));
//! # Ok::<(), roomcast::ConfigError>(())
//! ```
