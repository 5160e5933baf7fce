//! What a turn takes in: how much it reads, and what peers have compressed, inflated.
//!
//! In: what each read brought, and items that the reader found compressed. Out: plain items, and
//! when to go on with other work. Whoever is still to be read then waits for the next turn; so does
//! what is left of a read whose kilobytes stand for megabytes. Shard thread.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::READ_BYTES;
use crate::transport::ws::deflate::Inflater;
use crate::transport::ws::{self, Item, ReadLimits, Violation};

/// What a turn reads before it goes on with other work: frames, bytes, and bytes inflated. Many
/// times what peers say who say something in turn; a few milliseconds of what floods say.
const TURN_ITEMS: usize = 10_000;
const TURN_READ: usize = 1024 * 1024;
const TURN_INFLATED: usize = 512 * 1024;
/// Bytes that one read of a connection inflates before its rest waits.
const READ_INFLATED: usize = 128 * 1024;
/// What a message counts for beside its bytes.
const MESSAGE_BYTES: usize = 256;
/// Connections with bytes put off, from which on no more than `CROWDED_BYTES` are read at a time.
const CROWD: usize = 64;
const CROWDED_BYTES: usize = 4 * 1024;

#[derive(Default)]
pub(super) struct Intake {
    inflater: Inflater,
    /// In this turn: frames and bytes read.
    items: usize,
    bytes: usize,
    /// Bytes inflated in this turn, and in it by the read at hand.
    inflated: usize,
    read_inflated: usize,
    /// What was read of connections and is still to be looked at.
    put_off: HashMap<u32, Vec<u8>, RandomState>,
    pub(super) tally: Tally,
}

/// Read by the shard once a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) messages: u64,
    pub(super) compressed_bytes: u64,
    pub(super) bytes: u64,
    pub(super) paused: u64,
}

impl Intake {
    pub(super) fn begin_turn(&mut self) {
        (self.items, self.bytes, self.inflated) = (0, 0, 0);
    }

    pub(super) fn begin_read(&mut self) {
        self.read_inflated = 0;
    }

    /// So many bytes were read.
    pub(super) fn on_read(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// A frame was read.
    #[inline]
    pub(super) fn on_item(&mut self) {
        self.items += 1;
    }

    /// Whether this turn has taken in all that it may.
    pub(super) fn turn_is_spent(&self) -> bool {
        self.items >= TURN_ITEMS || self.bytes >= TURN_READ || self.inflated >= TURN_INFLATED
    }

    /// Some are still to be read in the next turn.
    pub(super) fn on_paused(&mut self) {
        self.tally.paused += 1;
    }

    /// Whether this read has inflated all that it may.
    pub(super) fn read_is_spent(&self) -> bool {
        self.read_inflated >= READ_INFLATED
    }

    /// Bytes to read at a time from a peer that may compress.
    pub(super) fn read_bytes(&self) -> usize {
        match self.put_off.len() < CROWD {
            true => READ_BYTES,
            false => CROWDED_BYTES,
        }
    }

    pub(super) fn inflate(
        &mut self,
        text: bool,
        compressed: &[u8],
        limits: &ReadLimits,
    ) -> Result<Item, Violation> {
        let item = ws::inflate(&mut self.inflater, text, compressed, limits);
        let bytes = match &item {
            Ok(Item::Text(payload) | Item::Binary(payload)) => payload.bytes(&[]).len(),
            _ => limits.message_bytes_max,
        };
        self.inflated += bytes + MESSAGE_BYTES;
        self.read_inflated += bytes + MESSAGE_BYTES;
        self.tally.messages += 1;
        self.tally.compressed_bytes += compressed.len() as u64;
        self.tally.bytes += bytes as u64;
        item
    }

    /// Keeps what is left of a read for a later turn.
    pub(super) fn put_off(&mut self, slot: u32, bytes: &[u8]) {
        self.tally.paused += 1;
        self.put_off.insert(slot, bytes.to_vec());
    }

    /// What was put off of the connection.
    pub(super) fn take(&mut self, slot: u32) -> Option<Vec<u8>> {
        if self.put_off.is_empty() {
            return None;
        }
        self.put_off.remove(&slot)
    }
}
