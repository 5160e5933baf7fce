//! The manual: how roomcast works, and what follows for a host.
//!
//! The items of this crate say the contract of each call. These pages say how the calls fit
//! together and why they behave as they do. Each page stands alone.
//!
//! | page | read it when |
//! |---|---|
//! | [`path`] | you want to know what happens between a peer's bytes and everybody else's |
//! | [`callbacks_or_events`] | you start a host and choose how it is told what happens |
//! | [`other_server`] | your program has an HTTP server already |
//! | [`selecting`] | not everybody is to be sent everything |
//! | [`batching`] | you publish more often than anybody needs to look |
//! | [`slow_peers`] | some peers read slower than you publish, or you publish too fast |
//! | [`degradation`] | you want to know what gives way when there is too much of everything |
//! | [`tls_and_proxies`] | peers come over the internet, through a proxy or to you directly |
//! | [`tokens`] | you want to know who comes in, for how long, and what it may do |
//! | [`presence`] | peers are to know who else is in a room |
//! | [`hardening`] | peers are not trusted: what each limit defends against |
//! | [`compression`] | your messages are text of more than a few hundred bytes |
//! | [`threads_and_locks`] | you share state with callbacks, or want no threads of ours |
//! | [`limits`] | you set a limit, or want to know what bounds memory |
//!
//! The words are the same everywhere. A **connection** is one WebSocket. A **user** is who it was
//! accepted as; one user may have many connections. A **room** has **members**, which are
//! connections. A **publication** goes to a room and has an **offset** there. A **message** goes
//! to single connections, or comes from one. A **shard** is a thread that serves connections. A
//! **peer** is the program at the other end of a connection; the **host** is yours.

pub mod batching;
pub mod callbacks_or_events;
pub mod compression;
pub mod degradation;
pub mod hardening;
pub mod limits;
pub mod other_server;
pub mod path;
pub mod presence;
pub mod selecting;
pub mod slow_peers;
pub mod threads_and_locks;
pub mod tls_and_proxies;
pub mod tokens;

#[cfg(test)]
mod tests;
