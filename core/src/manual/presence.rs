//! Presence: who is in a room, how many, and who has just come or gone.
//!
//! Every room knows how many connections are in it ([`Handle::count`](crate::Handle::count)). Who
//! they are is kept for rooms that ask for it, since it costs memory for each member:
//!
//! ```
//! use roomcast::{Accept, Config, Engine, RoomOptions};
//!
//! let team = RoomOptions::new().presence(true).presence_interval_ms(1_000);
//! let config = Config::new().shards(1).room_options("team:", team);
//! let engine = Engine::start(config, ())?;
//!
//! // What others see of a member, said when it is let in; a token can say it too.
//! let accept = Accept::new().user("ada").info(r#"{"name": "Ada", "color": "teal"}"#);
//!
//! let presence = engine.presence("team:7");
//! assert_eq!((presence.members, presence.users), (0, Some(0)));
//! # let _ = accept;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Asking
//!
//! [`Handle::presence`](crate::Handle::presence) gives the numbers of members and of users, at
//! once, however many there are. A **member** is a connection; a **user** with a telephone and two
//! tabs is three members and one user.
//!
//! [`Handle::present`](crate::Handle::present) gives the members in the order in which they came, a
//! page at a time ([`presence_page_max`](crate::Config::presence_page_max)). Pages hold while
//! others come and go: whoever is there all the time is on exactly one of them. Both answer on the
//! thread that asks, and no shard is waited for.
//!
//! Whether a *peer* may ask is for the host to say. Tokens have a verb for it, which decides
//! nothing by itself (notices go to every member, whatever its token says):
//!
//! ```
//! use roomcast::{Connection, Verb};
//!
//! fn answer_who(connection: Connection<'_>, room: &str) {
//!     if connection.may(Verb::Presence, room) {
//!         let page = connection.handle().present(room, None, 100);
//!         let names: Vec<_> = page.present.iter().filter_map(|p| p.user.as_deref()).collect();
//!         let _ = connection.send(names.join(", ").as_str());
//!     }
//! }
//! # let _ = answer_who;
//! ```
//!
//! # Being told
//!
//! With [`presence_interval_ms`](crate::RoomOptions::presence_interval_ms) the members are told who
//! came and who went: not each time, but once in so many milliseconds, all changes in one notice.
//! So ten thousand who join within an interval cost each member one message instead of ten
//! thousand. Whoever came and went in between is not mentioned. Its form stands
//! [there](crate::RoomOptions::presence_interval_ms).
//!
//! A notice names no more than
//! [`presence_notice_names_max`](crate::Config::presence_notice_names_max), and in rooms of more
//! than [`presence_notice_members_max`](crate::Config::presence_notice_members_max) there is none:
//! nobody reads the names of thousands. Ask for the numbers there.
//!
//! A client keeps its list so: on joining it asks the host for the pages, then follows the notices;
//! where its number and the notice's `members` differ, it asks again.
//!
//! Notices are publications with the event `presence`. They have their place in the order of the
//! room, meet the same policies when a member is slow, and who does not want them joins with a
//! filter:
//!
//! ```
//! use roomcast::{Filter, Join};
//!
//! let quiet = Join::new().filter(Filter::text("!has(publication.event) || event != 'presence'")?);
//! # let _ = quiet;
//! # Ok::<(), roomcast::FilterError>(())
//! ```
//!
//! # What it costs
//!
//! Joining and leaving a room with presence takes a lock of that room and a fraction of a
//! microsecond more. Publishing does not look at presence at all. `presence_notices` counts the
//! notices, `presence_passed` those that were not made because the room is too large.
//!
//! Presence is what this engine knows of its own connections.
