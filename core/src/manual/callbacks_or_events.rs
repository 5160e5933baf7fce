//! Choosing callbacks or events: two ways for a host to be told what happens.
//!
//! | | callbacks | events |
//! |---|---|---|
//! | start with | [`Engine::start`] and a [`Handler`] | [`Engine::start_with_events`] |
//! | runs on | the shard's thread, at once | your thread or task, when you take them |
//! | payloads | borrowed from the read buffer | copied once, as [`Bytes`] |
//! | may it wait? | no: all connections of the shard would | yes: others go on meanwhile |
//! | fits | games, relays, whatever decides from memory | databases, async Rust, one loop for all |
//!
//! Both are told the same things in the same order: for each connection `opened`, its messages,
//! and `closed` last. Between two connections on different shards there is no order. What a host
//! does about them is the same in both, too: calls of a [`Handle`](crate::Handle).
//!
//! # Callbacks
//!
//! ```
//! use roomcast::{Accept, Connection, Handler, Message, Pending, Publication, Request};
//!
//! /// Relays each message to the others in the room that the path names.
//! struct Relay;
//!
//! impl Handler for Relay {
//!     fn connecting(&self, request: &Request, pending: Pending) {
//!         let room = std::sync::Arc::new(request.path().to_owned());
//!         pending.accept(Accept::new().room(room.as_str()).data(room));
//!     }
//!
//!     fn message(&self, connection: Connection<'_>, message: Message<'_>) {
//!         let sender = [connection.id()];
//!         let publication = Publication::from(message).except(&sender);
//!         if let Some(room) = connection.data::<String>() {
//!             if let Err(refused) = connection.handle().publish(room, publication) {
//!                 let _ = connection.close(1013, &refused.to_string());
//!             }
//!         }
//!     }
//! }
//! # roomcast::Engine::start(roomcast::Config::new().shards(1), Relay)?;
//! # Ok::<(), roomcast::StartError>(())
//! ```
//!
//! # Events
//!
//! [`Events`](crate::Events) is a queue that any number of threads and tasks may take from:
//!
//! - [`recv`](crate::Events::recv) waits for one;
//! - [`drain`](crate::Events::drain) takes as many as there are;
//! - [`next`](crate::Events::next) is a future, for a task of any executor;
//! - on unix, its descriptor is readable while there is one, for a poller of the host's.
//!
//! With one taker, the order is that of the queue.
//!
//! ```
//! use std::net::TcpStream;
//! use roomcast::{Accept, Config, Engine, Event};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (engine, events) = Engine::start_with_events(Config::new().listen("127.0.0.1:0"))?;
//! let rooms = engine.handle();
//! let host = std::thread::spawn(move || {
//!     while let Some(event) = events.recv() {
//!         match &event {
//!             // Here is the time to ask a database who this is.
//!             Event::Connecting { .. } => {}
//!             Event::Message { peer, .. } => {
//!                 if let Some(message) = event.message() {
//!                     let _ = rooms.send(peer.id(), message);
//!                 }
//!             }
//!             _ => {}
//!         }
//!         if let Event::Connecting { pending, .. } = event {
//!             pending.accept(Accept::new().user("ada"));
//!         }
//!     }
//! });
//!
//! let address = engine.addresses()[0];
//! let (mut peer, _) =
//!     tungstenite::client(format!("ws://{address}/"), TcpStream::connect(address)?)?;
//! peer.send("echo".into())?;
//! assert_eq!(peer.read()?.to_text()?, "echo");
//!
//! drop(peer);
//! engine.stop();
//! host.join().unwrap(); // `recv` has given None.
//! # Ok(())
//! # }
//! ```
//!
//! The queue is bounded. A connection with
//! [`connection_events_max`](crate::Config::connection_events_max) untaken events is not read from
//! until half of them are taken; beyond [`events_max`](crate::Config::events_max) in all, each
//! connection may have just one, and new ones are answered with 503. The others go on. A peer that
//! waits for the host is neither idle nor dead: its timers rest.
//!
//! A host that works on events after it has taken them (in tasks, in another language) takes them
//! with [`drain_held`](crate::Events::drain_held): then they count until it calls
//! [`release`](crate::Events::release), and a peer whose messages are not worked off is held up.
//!
//! With [`start_with_gate`](crate::Engine::start_with_gate) a [`Gate`](crate::Gate) decides on the
//! shards' threads what is queued at all: it may let a connection in itself, and leave out kinds of
//! events that the host does not want. What is left out holds nobody up.
//!
//! A host that answers a batch of events with publications holds a [`cork`](crate::Handle::cork)
//! meanwhile: then they leave together, in one write to each member, as they do from callbacks.
//!
//! # Verdicts, now or later
//!
//! Whichever way it is told, the host answers a request through [`Pending`](crate::Pending), at
//! once or later, on any thread, within [`verdict_timeout_ms`](crate::Config::verdict_timeout_ms).
//! Dropping it is a refusal with 503. What the peer sends meanwhile waits unread.
//!
//! In a callback the peer is in its rooms before it sees its 101. A verdict from another thread is
//! exact once [`accept`](crate::Pending::accept) has returned: from then on the peer is sent what
//! is published. It may see its 101 a moment earlier.
//!
//! # What differs at the end
//!
//! A callback answers a message before the close frame behind it is looked at, so the answer still
//! reaches a peer that sends a question and closes. Events are taken later, and by then the
//! connection may have ended: the answer is dropped. The `closed` event comes last all the same.
//!
//! [`Engine::start`]: crate::Engine::start
//! [`Handler`]: crate::Handler
//! [`Engine::start_with_events`]: crate::Engine::start_with_events
//! [`Bytes`]: bytes::Bytes
