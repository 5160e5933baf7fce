//! Selecting: who is sent what, decided where it costs least.
//!
//! Whoever is in a room is sent what is published to it. Rooms are the cheapest way to select, so
//! begin with them: a connection may be in a thousand. Three things go further.
//!
//! # Labels
//!
//! A publication may say what it is, beside its data: an event's name, a key (what it is about),
//! and tags (pairs of text). Peers of plain WebSocket do not see labels; they are for the engine.
//!
//! ```
//! use roomcast::{Config, Engine, Publication};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let engine = Engine::start(Config::new().shards(1), ())?;
//! let trade = Publication::text(r#"{"s":"BTC","p":101}"#)
//!     .event("trade")
//!     .key("BTC")
//!     .tags(&[("side", "bid"), ("price", "101")]);
//! engine.publish("trades", trade)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Filters
//!
//! A member may join with a [`Filter`](crate::Filter) over labels, built in code or read from a
//! text in CEL's syntax. Such a text may well come from the peer: it is bounded in length and
//! depth, and a wrong one is an error that says where.
//!
//! ```
//! use roomcast::{Connection, Filter, Handler, Join, Message};
//!
//! struct Trades;
//!
//! impl Handler for Trades {
//!     /// The peer says what it wants to see: `tags.side == "bid" && double(tags.price) > 100`.
//!     fn message(&self, connection: Connection<'_>, message: Message<'_>) {
//!         let filter = message.text().unwrap_or_default().parse::<Filter>();
//!         let _ = match filter {
//!             Ok(filter) => connection
//!                 .join_with("trades", Join::new().filter(filter))
//!                 .map(drop)
//!                 .map_err(|error| error.to_string()),
//!             Err(error) => connection
//!                 .send(&error.to_string())
//!                 .map_err(|error| error.to_string()),
//!         };
//!     }
//! }
//! ```
//!
//! Members of a room with equal filters form one delivery group: a publication is decided once for
//! all of them, and filters that mean the same are found to be equal however they were written. So
//! ten filters cost ten decisions, some 50 ns each, whether ten members have them or ten thousand.
//! A thousand members with a filter each are a thousand groups; rooms or keys serve that better.
//! [`room_filters_max`](crate::Config::room_filters_max) bounds it.
//!
//! To join again with another filter changes it, between two publications. A predicate of your own
//! ([`Filter::native`](crate::Filter::native)) can look at the data too; it runs on the shard's
//! thread, so put into a tag what the publisher knows anyway.
//!
//! # Watch-lists
//!
//! A member that joins with [`Join::keys`](crate::Join::keys) is sent the publications of these
//! keys and no others. [`Handle::watch`](crate::Handle::watch) and
//! [`Handle::unwatch`](crate::Handle::unwatch) change the list while it stays a member. An index
//! leads from the key to those who watch it, so the size of the room does not matter, and neither
//! does how different the lists are.
//!
//! ```
//! use roomcast::{ConnectionId, Handle, Join};
//!
//! fn scrolled(rooms: &Handle, who: ConnectionId, gone: &[&str], seen: &[&str]) {
//!     // Both are exact: what is published from here on is sent, or not.
//!     let _ = rooms.unwatch(who, "quotes", gone);
//!     let _ = rooms.watch(who, "quotes", seen);
//! }
//!
//! fn opened(rooms: &Handle, who: ConnectionId) {
//!     let _ = rooms.join_with(who, "quotes", Join::new().keys(["BTC", "ETH"]));
//! }
//! ```
//!
//! What it is sent goes through its outbox instead of the room's tape: where its socket takes
//! nothing, [`outbox_bytes_max`](crate::Config::outbox_bytes_max) bounds it, and its policy says
//! what happens then.
//!
//! # What became of it
//!
//! [`Handle::publish_tracked`](crate::Handle::publish_tracked) gives a token at once, and a report
//! when all members have been offered the publication: how many were reached, how many did not ask
//! for it, how many are behind.
//!
//! ```
//! use roomcast::{Delivery, Handle, Handler};
//!
//! struct Audit;
//!
//! impl Handler for Audit {
//!     fn delivered(&self, _: &Handle, room: &str, delivery: Delivery) {
//!         let Delivery { token, reached, filtered, lagging, .. } = delivery;
//!         println!("{token} in {room}: {reached} of them, {filtered} others, {lagging} behind");
//!     }
//! }
//! ```
//!
//! The figures `filtered` and `filters_asked` say how much was not sent, and how often that took a
//! decision.
