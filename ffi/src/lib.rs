//! The C interface of roomcast: its header is `include/roomcast.h`, which is generated from here.
//!
//! In: calls from C. Out: calls of the public Rust interface, and statuses. Knows nothing of the
//! core's insides. Every entry is guarded (`boundary.rs`): null pointers and numbers that mean
//! nothing are statuses, and no panic crosses. The documentation of each item is the header's.

#![allow(non_camel_case_types)]
#![warn(missing_docs)]

mod adopt;
mod auth;
mod boundary;
mod callback;
mod claims;
mod config;
mod connections;
mod delivery;
mod engine;
mod events;
mod filter;
mod join;
mod keys;
mod labels;
mod limits;
mod lists;
mod metrics;
mod options;
mod pages;
mod presence;
mod publish;
mod pull;
mod request;
mod rooms;
mod slots;
mod snapshot;
mod status;
mod tls;
#[cfg(not(all(feature = "jwt", feature = "tls")))]
mod unbuilt;
mod verdict;
mod version;
mod wish;
