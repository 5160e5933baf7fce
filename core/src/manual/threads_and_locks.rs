//! Threads and locks: which code runs where, what it may call, and in which order locks are taken.
//!
//! # Threads
//!
//! An engine has [`shards`](crate::Config::shards) threads, named `roomcast-0` and so on, one per
//! core by default. A connection lives on one of them for its life. Shard 0 accepts and hands each
//! socket to the shard with the fewest connections. There are no other threads, no runtime, and no
//! state outside the engine: several engines in one process do not know of each other.
//!
//! [`Handler`](crate::Handler) methods and the [`pages`](crate::Config::pages) hook run on shard
//! threads, several at once when there are several shards. While one runs, all connections of that
//! shard wait. So it must be quick: no disk, no database, no sleep. For slow work take
//! [events](super::callbacks_or_events).
//!
//! A panic in a callback stops the engine: its peers cannot know what the host would have done for
//! them, so they are cut rather than left hanging.
//!
//! # What may be called where
//!
//! Every call of a [`Handle`](crate::Handle) may be made on any thread, also in a callback, also
//! while the host holds locks of its own: no call waits for a peer or calls the host back. Two
//! calls wait for the shards, and answer `OnShard` on a shard's thread:
//! [`connections`](crate::Handle::connections) and [`members`](crate::Handle::members).
//!
//! [`Engine::stop`](crate::Engine::stop), and dropping the engine, wait until all is over. In a
//! callback they return at once, and the engine ends when the callback has returned. The time is
//! bounded by [`stop_timeout_ms`](crate::Config::stop_timeout_ms), whatever peers do. Elsewhere, do
//! not stop an engine while you hold a lock that a callback takes: `stop` waits for callbacks.
//!
//! ```
//! use std::sync::mpsc;
//! use roomcast::{Accept, CommandError, Config, Engine, Handler, Pending, Request};
//!
//! struct Curious(mpsc::Sender<Result<usize, CommandError>>);
//!
//! impl Handler for Curious {
//!     fn connecting(&self, _: &Request, pending: Pending) {
//!         let asked = pending.handle().connections();
//!         let _ = self.0.send(asked.map(|all| all.len()));
//!         pending.accept(Accept::new());
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (answers, answer) = mpsc::channel();
//! let engine = Engine::start(Config::new().listen("127.0.0.1:0").shards(1), Curious(answers))?;
//! let address = engine.addresses()[0];
//! let socket = std::net::TcpStream::connect(address)?;
//! let (_peer, _) = tungstenite::client(format!("ws://{address}/"), socket)?;
//! assert_eq!(answer.recv()?, Err(CommandError::OnShard)); // A shard cannot wait for itself.
//! assert_eq!(engine.connections()?.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Without threads of ours
//!
//! With [`own_threads(false)`](crate::Config::own_threads) the engine starts no thread and has one
//! shard, which the host turns on a thread of its own. [`Engine::turn`](crate::Engine::turn) waits
//! for at most as long as it is told, and then does what there is to do. A host with a poller of
//! its own watches [`Engine::fd`](crate::Engine::fd) for reading and sleeps no longer than
//! [`Engine::next_turn`](crate::Engine::next_turn) says.
//!
//! ```
//! use std::time::Duration;
//! use roomcast::{Config, Engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::start(Config::new().listen("127.0.0.1:0").own_threads(false), ())?;
//! for frame in 0..3 {
//!     // Here a game would compute its next state.
//!     engine.publish("world", &frame.to_string())?;
//!     assert!(engine.turn(Duration::ZERO));
//! }
//! engine.stop(); // Turns to the end.
//! assert!(!engine.turn(Duration::ZERO));
//! # Ok(())
//! # }
//! ```
//!
//! Callbacks then run inside `turn`. A panic in one of them unwinds through `turn` into the host:
//! stop the engine when you catch it.
//!
//! # Lock order
//!
//! For whoever works on the engine. A thread that holds a lock of this list takes only locks
//! further down. A lock of the host's is above all of them.
//!
//! 1. The shard of an engine without threads. It is tried and never waited for, and is held for a
//!    whole turn.
//! 2. Rooms; several of them in the order of their addresses.
//! 3. A stripe of the directory of rooms, one at a time.
//! 4. The queue of events. Reading is resumed under it, which takes an inbox.
//! 5. The inbox of a shard, one at a time. Nothing is taken under it.
//!
//! The publications that wait to be used again have a lock under which nothing is taken. Beside
//! these stand the answer to a question ([`members`](crate::Handle::members)), and under
//! it the record of how the engine ends. Neither is held together with any of the five but the
//! first. The list of threads is held while they are joined, and no shard ever takes it.
//!
//! No lock but the first is held while encoding, while writing to a peer's socket, or while calling
//! the host. A publisher wakes a sleeping shard after it has given back the room's lock.
//!
//! The parts where threads meet without a shared lock are checked in every interleaving by models
//! (loom): the inbox and its wake-up, joins against publications, and the removal of rooms.
