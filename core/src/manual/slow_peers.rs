//! Slow peers, and publishers that are too fast: what waits where, for how long, and what then.
//!
//! # A member that is behind
//!
//! When a socket takes no more, the shard goes on with the other members. The slow one keeps its
//! place on the tape of each of its rooms, and the tape is kept from there on. This costs the room
//! the same whether one member is behind or a thousand. Nobody else waits.
//!
//! When a tape would grow beyond [`tape_bytes_max`](crate::Config::tape_bytes_max), those who are
//! furthest behind meet the [`SlowPolicy`](crate::SlowPolicy):
//!
//! - [`Disconnect`](crate::SlowPolicy::Disconnect), the default, closes them with
//!   [`TOO_SLOW`](crate::TOO_SLOW) (4008). The close frame follows what has been sent of the frame
//!   at hand; the rest of what they were owed is dropped. The host is told
//!   [`CloseReason::TooSlow`](crate::CloseReason::TooSlow). A peer that reads nothing at all does
//!   not get to see the code: it is cut after
//!   [`close_timeout_ms`](crate::Config::close_timeout_ms).
//! - [`Skip`](crate::SlowPolicy::Skip) lets them jump to the newest publication of that room. The
//!   host is told how many they missed, and which ([`Handler::lagged`](crate::Handler::lagged),
//!   [`Event::Lagged`](crate::Event::Lagged)). It suits state that the next publication replaces.
//! - [`Latest`](crate::SlowPolicy::Latest) keeps the newest publication of each
//!   [key](crate::Publication::key) for them. Whoever comes back is sent that and no more, however
//!   long it was away: of a thousand tickers a thousand current values. The tape itself is
//!   compacted, so a thousand slow members cost what one does. The host is told how many older ones
//!   were replaced. What has no key is kept; where there is no place for all of it, they jump.
//! - [`Volatile`](crate::SlowPolicy::Volatile) drops at once what is published while their sockets
//!   take nothing, and counts it (`volatile_dropped`). They never hold a tape. It suits cursors and
//!   other news that is worthless when it is late.
//!
//! - [`Replay`](crate::SlowPolicy::Replay) lets them catch up from the room's history
//!   ([`RoomOptions::history`](crate::RoomOptions::history)) when their sockets take bytes again, a
//!   part at a time and in order, until they are back on the tape. A history is kept once for all
//!   shards and ways to encode, so it may reach further back than a tape. What it does not have any
//!   more is missed, and told. Without a history this is `Skip`.
//!
//! The engine has a policy ([`Config::slow_policy`](crate::Config::slow_policy)), a room may have
//! another ([`RoomOptions::slow_policy`](crate::RoomOptions::slow_policy)), and a member may have
//! its own ([`Join::slow_policy`](crate::Join::slow_policy)).
//!
//! ```
//! use roomcast::{Config, RoomOptions, SlowPolicy};
//!
//! let config = Config::new()
//!     .slow_policy(SlowPolicy::Disconnect)
//!     .room_options("ticker:", RoomOptions::new().slow_policy(SlowPolicy::Latest))
//!     .room_options("cursors:", RoomOptions::new().slow_policy(SlowPolicy::Volatile));
//! # assert!(config.check().is_ok());
//! ```
//!
//! Only members whose sockets refused bytes are ever judged. One that is merely waiting for its
//! turn is not slow. The same happens, largest rooms first, when all tapes of a shard together
//! pass seven eighths of [`shard_tape_bytes_max`](crate::Config::shard_tape_bytes_max).
//!
//! # Messages for one connection
//!
//! What is sent to a connection alone waits in its **outbox**. Above
//! [`outbox_high_bytes`](crate::Config::outbox_high_bytes) the host is told
//! ([`Handler::backpressure`](crate::Handler::backpressure)), and the peer is not read from until
//! half of that is left. So a peer that asks and does not take the answers soon cannot ask any
//! more. Beyond [`outbox_bytes_max`](crate::Config::outbox_bytes_max) the connection is closed with
//! 4008 under any policy, since a private message has no newer one to jump to. What a member is
//! sent of the keys that it watches waits here too, and meets its policy instead.
//!
//! What a member is still owed when it leaves a room, or is closed, becomes private and counts
//! here too. A peer whose socket takes no more, and that is further behind than its outbox may
//! hold, is closed with 4008 when it leaves, and is sent nothing but the close frame when the host
//! closes it.
//!
//! Pings and pongs are exempt, and go ahead of the frames that wait, so that a slow reader can show
//! that it lives. Up to 2 KiB of pongs wait for one connection, then the newest alone. Whoever
//! reads nothing at all and says nothing either fails its
//! [`ping_timeout_ms`](crate::Config::ping_timeout_ms) in the end.
//!
//! # The kernel
//!
//! Left alone, the kernel takes megabytes for a socket that nobody reads.
//! [`notsent_lowat_bytes`](crate::Config::notsent_lowat_bytes) keeps that to 64 KiB on Linux, so
//! that what waits, waits where it is bounded and counted. Elsewhere it has no effect.
//!
//! # A publisher that is too fast
//!
//! [`Handle::publish`](crate::Handle::publish) never waits. It refuses:
//!
//! | answer | meaning | what to do |
//! |---|---|---|
//! | [`Refused::Behind`] | [`room_ahead_bytes_max`] is not yet offered | try later, or drop it |
//! | [`Refused::Overloaded`] | a shard's inbox or its tapes are full | the same, for all rooms |
//! | [`Refused::TooLarge`] | it is above [`publication_bytes_max`] | split it or raise the limit |
//!
//! A room is `Behind` when its members have not been offered what was published before.
//! A refused publication is sent to nobody and gets no offset. A union is refused in all of its
//! rooms or in none. Slow members do not make a room `Behind`, since what they refuse was offered;
//! they meet their own policy.
//!
//! ```
//! use roomcast::{Handle, Published, Refused};
//!
//! /// Publishes a price. The next one replaces it, so one that finds no place is dropped.
//! fn tick(rooms: &Handle, price: &str) -> Result<Option<Published>, Refused> {
//!     match rooms.publish("prices", price) {
//!         Ok(published) => Ok(Some(published)),
//!         Err(Refused::Behind | Refused::Overloaded) => Ok(None),
//!         Err(lasting) => Err(lasting),
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = roomcast::Engine::start(roomcast::Config::new().shards(1), ())?;
//! assert!(tick(&engine, "17.4")?.is_some());
//! engine.stop();
//! assert_eq!(tick(&engine, "17.5"), Err(Refused::Stopped));
//! # Ok(())
//! # }
//! ```
//!
//! # Nothing is silent
//!
//! [`Handle::snapshot`](crate::Handle::snapshot) counts all of it: `refused`, `lagged` (and of
//! those, `replaced`), `volatile_dropped`, `replayed`, `too_slow`, `reads_paused`, what tapes,
//! outboxes and inboxes hold now, and ended connections by reason.
//!
//! ```
//! use roomcast::{Config, Engine, Refused, SlowPolicy};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new().shards(1).slow_policy(SlowPolicy::Skip).publication_bytes_max(1000);
//! let engine = Engine::start(config, ())?;
//! let refused = engine.publish("prices", &[0u8; 1001][..]).unwrap_err();
//! assert_eq!(refused, Refused::TooLarge);
//! assert!(refused.to_string().contains("publication_bytes_max"));
//! assert_eq!(engine.snapshot().refused, 1);
//! # Ok(())
//! # }
//! ```
//!
//! [`Refused::Behind`]: crate::Refused::Behind
//! [`room_ahead_bytes_max`]: crate::Config::room_ahead_bytes_max
//! [`Refused::Overloaded`]: crate::Refused::Overloaded
//! [`Refused::TooLarge`]: crate::Refused::TooLarge
//! [`publication_bytes_max`]: crate::Config::publication_bytes_max
