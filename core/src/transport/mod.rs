//! Transports: how bytes of a socket become messages, and messages become bytes.
//!
//! In come slices of what a socket gave, out go values (a head, an item, a violation) and bytes to
//! be written. Sans-IO, rank 1: no sockets, no threads, no clock; its files are strangers to one
//! another. A connection begins in [`http`], behind a [`proxy`] header where its listener says so,
//! and goes on in [`ws`] once it is switched.

pub(crate) mod http;
#[cfg(feature = "internal-testing")]
pub mod probe;
pub(crate) mod proxy;
pub(crate) mod ws;
