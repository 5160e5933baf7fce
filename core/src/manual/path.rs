//! The path: from a peer's bytes to the bytes of everybody in the room.
//!
//! # Step by step
//!
//! 1. **Read.** A shard reads what a socket has, at most 64 KiB at a time, into a buffer that all
//!    its connections share. The HTTP head, and later the WebSocket frames, are read where they
//!    lie. An idle connection owns no buffer.
//! 2. **Tell.** What came is told to the host in one batch, as calls of a
//!    [`Handler`](crate::Handler) or as [`Event`](crate::Event)s.
//! 3. **Ask.** Whatever the host does about it is a call of a [`Handle`](crate::Handle). The call
//!    numbers, encodes, and pushes a command into the inbox of each shard that it concerns. It
//!    never writes to a socket, and it never waits for a peer.
//! 4. **Step.** Each shard takes its inbox once a turn and applies the commands in order. A
//!    publication is appended to the **tape** of its room on that shard. Nothing is queued for each
//!    member: where a member stands on the tape is a number, its **cursor**.
//! 5. **Flush.** Each member that is behind is written once, with all that it is owed. This takes
//!    at most [`turn_budget_us`](crate::Config::turn_budget_us); what is left goes on in the next
//!    turn. Rooms of up to 64 members on the shard go first, larger ones get at least half of the
//!    budget.
//!
//! Several publications that arrive within one turn leave in one write. So batching comes by
//! itself when there is much to do, and costs no latency when there is not.
//!
//! # What a call may rely on
//!
//! - **One order per room.** All members, on all shards, are sent a room's publications in the
//!   order of their offsets.
//! - **One publisher's order.** What one thread publishes and sends reaches a connection in the
//!   order of the calls, across rooms, unions and private messages. It stays so for a peer that
//!   is slow. If a call has returned before another begins, the order holds between threads too.
//! - **Exact joins.** A member is sent everything that is published to the room after
//!   [`Handle::join`](crate::Handle::join) has returned, and nothing from before the call. The
//!   [`Position`](crate::Position) that it gives back is the place where the member begins.
//! - **Exact leaves.** What is published after [`Handle::leave`](crate::Handle::leave) has returned
//!   is not sent. What was published before still is.
//! - **Closes come last.** [`Handle::close`](crate::Handle::close) is applied behind the calls
//!   before it: the peer is sent what it is owed, then the close frame.
//!
//! A publication means "handed to the shards", not "arrived". A peer may go away at any moment,
//! and what it had not read by then is lost. There is no history yet to take it from.
//!
//! # Offsets, epochs, members
//!
//! [`Published`](crate::Published) says which offset the publication got and how many members the
//! room had when it was numbered. Offsets count from 1 for each life of a room. A room exists
//! while it has members or somebody holds a [`Room`](crate::Room) of it; its next life has another
//! epoch. Publishing to a room that does not exist is no error: it reaches nobody.
//!
//! ```
//! use std::net::TcpStream;
//! use roomcast::{Accept, Config, Engine, Handler, Pending, Request};
//!
//! struct Lobby;
//!
//! impl Handler for Lobby {
//!     fn connecting(&self, _: &Request, pending: Pending) {
//!         pending.accept(Accept::new().room("lobby"));
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::start(Config::new().listen("127.0.0.1:0").shards(1), Lobby)?;
//! let address = engine.addresses()[0];
//! assert_eq!(engine.publish("lobby", "nobody hears this")?.offset, None);
//!
//! // A peer; in production it is a browser.
//! let socket = TcpStream::connect(address)?;
//! let (mut peer, _) = tungstenite::client(format!("ws://{address}/"), socket)?;
//!
//! let first = engine.publish("lobby", "hello")?;
//! assert_eq!((first.offset, first.members), (Some(1), 1));
//! assert_eq!(peer.read()?.to_text()?, "hello");
//!
//! let held = engine.room("lobby")?; // No lookup by name from here on.
//! assert_eq!(held.publish("again")?.offset, Some(2));
//! assert_eq!(peer.read()?.to_text()?, "again");
//! # Ok(())
//! # }
//! ```
//!
//! # Who is sent it
//!
//! | call | reaches |
//! |---|---|
//! | [`Handle::publish`], [`Room::publish`] | the members of one room |
//! | [`Handle::publish_union`] | the members of several rooms, each once |
//! | [`Publication::except`] | all of those but some connections, such as the sender |
//! | [`Publication::except_rooms`] | all of those but the members of other rooms |
//! | [`Handle::send`] | one connection |
//! | [`Handle::send_user`] | all connections of a user |
//! | [`Handle::send_all`] | every open connection |
//!
//! Messages that are sent rather than published have no offset, and take their place in the order
//! all the same.
//!
//! [`Handle::publish`]: crate::Handle::publish
//! [`Room::publish`]: crate::Room::publish
//! [`Handle::publish_union`]: crate::Handle::publish_union
//! [`Publication::except`]: crate::Publication::except
//! [`Publication::except_rooms`]: crate::Publication::except_rooms
//! [`Handle::send`]: crate::Handle::send
//! [`Handle::send_user`]: crate::Handle::send_user
//! [`Handle::send_all`]: crate::Handle::send_all
