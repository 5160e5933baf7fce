//! Real-time rooms inside your program.
//!
//! roomcast opens a port; thousands of browsers and devices join rooms over WebSocket; your
//! program publishes from any thread with one call. It is a library: no server to operate, no
//! client of its own to maintain.
//!
//! The one rule: callbacks of a [`Handler`] run on the threads that serve connections, so they
//! must be quick. Everything that they may want to do (publish, send, join, close, stop) is a call
//! on a [`Handle`], which never blocks on a peer and may be made anywhere.
//!
//! ```no_run
//! use roomcast::{Accept, Config, Connection, Engine, Handler, Message, Pending, Request};
//!
//! struct Chat;
//!
//! impl Handler for Chat {
//!     fn connecting(&self, request: &Request, pending: Pending) {
//!         match request.path().strip_prefix("/room/") {
//!             Some(room) => pending.accept(Accept::new().room(room)),
//!             None => pending.refuse(404, "rooms are at /room/NAME"),
//!         }
//!     }
//!
//!     fn message(&self, connection: Connection<'_>, message: Message<'_>) {
//!         let _ = connection.handle().publish("news", message);
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let engine = Engine::start(Config::new().listen("127.0.0.1:8080"), Chat)?;
//!     loop {
//!         std::thread::sleep(std::time::Duration::from_secs(1));
//!         engine.publish("news", "tick")?;
//!     }
//! }
//! ```
//!
//! The modules below stand in the order of the data's path; see [`manual`] for the why.

#![deny(unsafe_code)]
#![warn(missing_docs)]

// The words: plain values that every stage uses.
mod address;
mod alive;
mod auth;
mod close;
mod config;
mod delivery;
mod durations;
mod error;
mod exposition;
mod filter;
mod grants;
mod identity;
mod join;
mod labels;
mod log;
mod metrics;
mod page;
mod payload;
mod request;
mod sync;
#[cfg(feature = "tls")]
mod tls;
mod wanted;

// The path of the data.
mod dialect;
mod inbox;
mod outbound;
mod rooms;
mod router;
mod shard;
mod transport;

// What a host holds.
mod engine;
mod events;
mod handle;
mod host;
mod wish;

pub mod manual;
#[cfg(feature = "internal-testing")]
#[doc(hidden)]
pub mod testing;

pub use crate::address::ForwardedHeader;
pub use crate::auth::{Auth, Claims, TokenError, Verify};
#[cfg(feature = "jwt")]
pub use crate::auth::{KeyError, Keys};
pub use crate::close::{CloseReason, IDLE, REVOKED, TOKEN_EXPIRED, TOO_SLOW, UNAUTHORIZED};
pub use crate::config::{
    Config, Limits, ListenOptions, MessageRatePolicy, Origins, RoomOptions, SlowPolicy,
};
pub use crate::delivery::{Delivery, Missed, Tracked};
pub use crate::durations::Durations;
pub use crate::engine::{Engine, Stream, Upgrade, Upgraded};
pub use crate::error::{AdoptError, CommandError, ConfigError, Refused, StartError, Status};
pub use crate::events::{Event, EventKind, Events, Gate, Next, Peer, TimedOut};
pub use crate::filter::{Field, Filter, FilterError};
pub use crate::grants::{Grants, Verb};
pub use crate::handle::{Cork, Handle, Presence, PresencePage, Revoke, Room};
pub use crate::host::{Accept, Connection, Handler, Pending};
pub use crate::join::Join;
pub use crate::labels::Labels;
pub use crate::log::LogLevel;
pub use crate::metrics::Snapshot;
pub use crate::page::Page;
pub use crate::payload::{ConnectionId, Kind, Message, Position, Publication, Published};
pub use crate::request::Request;
pub use crate::rooms::presence::{Cursor, Present};
pub use crate::shard::shared::StopReport;
#[cfg(feature = "tls")]
pub use crate::tls::{Tls, TlsError};
pub use crate::wish::Wish;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
