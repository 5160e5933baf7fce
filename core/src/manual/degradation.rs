//! Degradation: what gives way when there is too much of everything, in which order, and what
//! never.
//!
//! Each part of the engine has a bound of its own ([limits](super::limits)). Together they could
//! still hold more than the machine has. [`memory_bytes_max`](crate::Config::memory_bytes_max) is
//! one budget for all that grows with load: tapes, outboxes, inboxes, untaken events, and messages
//! of peers that have not arrived whole. Near it the engine gives things up, one after the other.
//!
//! | from | what the engine does | figure |
//! |---|---|---|
//! | 60 % | flush intervals are four times as long | `memory_widen` |
//! | 70 % | volatile members are sent nothing | `memory_volatile_off` |
//! | 80 % | tapes may hold a quarter of their bound | `memory_short_tapes` |
//! | 90 % | new connections get 503 with `Retry-After` | `memory_no_connections` |
//! | 100 % | publications and messages are refused | `memory_full` |
//!
//! Wider intervals mean fewer writes, and more conflation. Shorter tapes mean that members who are
//! behind meet their policy earlier. At 100 % `publish` and `send` answer `Refused::Overloaded`,
//! and a peer in the middle of a message of more than 16 KiB is closed with 1013 ("try again
//! later").
//!
//! Each rung does what those above it do, too. It is left when ten hundredths less are in use than
//! where it was entered, so that it does not flutter. Each figure says how many shards are on the
//! rung now; `memory_rungs_entered` and `memory_rungs_left` count the steps, and `memory_bytes`
//! says what is in use.
//!
//! Nothing is aborted, no publication is lost without a word: it is refused, or its members meet
//! the policy that you chose, which tells or counts.
//!
//! ```
//! use roomcast::{Config, Engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new().shards(1).memory_bytes_max(256 * 1024 * 1024);
//! let engine = Engine::start(config, ())?;
//! let figures = engine.snapshot();
//! assert_eq!((figures.memory_full, figures.memory_rungs_entered), (0, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # What is not in it
//!
//! The tables of connections (`connection_bytes`), rooms and their members, memory of the kernel
//! and of your program. They grow with connections, which
//! [`connections_max`](crate::Config::connections_max) bounds, and not with load.
//!
//! # What comes before memory
//!
//! Time does. A shard that is late widens its intervals ([batching](super::batching)), and a
//! publisher that is faster than its room is told `Behind`. Slow peers cost their own place on a
//! tape ([slow peers](super::slow_peers)). A turn takes in a bounded share of what peers send. So a
//! budget that is ever used up points at many slow peers, or at a host that does not take its
//! events.
