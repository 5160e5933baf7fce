//! Compressed messages of peers, inflated within what a turn may spend on that.
//!
//! In: items that the reader found compressed. Out: plain items. A kilobyte on the wire may stand
//! for a megabyte, so what is left of a read behind so much work is put off to the next turn, and
//! so is whoever is still to be read. Shard thread.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::READ_BYTES;
use crate::transport::ws::deflate::Inflater;
use crate::transport::ws::{self, Item, ReadLimits, Violation};

/// Bytes that one turn inflates, and that one read of a connection does, before the rest waits.
const TURN_BYTES: usize = 512 * 1024;
const READ_INFLATED: usize = 128 * 1024;
/// What a message counts for beside its bytes.
const MESSAGE_BYTES: usize = 256;
/// Connections with bytes put off, from which on no more than `CROWDED_BYTES` are read at a time.
const CROWD: usize = 64;
const CROWDED_BYTES: usize = 4 * 1024;

#[derive(Default)]
pub(super) struct Inflating {
    inflater: Inflater,
    /// Bytes inflated in this turn, and in it by the read at hand.
    turn: usize,
    read: usize,
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

impl Inflating {
    pub(super) fn begin_turn(&mut self) {
        self.turn = 0;
    }

    pub(super) fn begin_read(&mut self) {
        self.read = 0;
    }

    /// Whether this turn has inflated all that it may.
    pub(super) fn turn_is_spent(&self) -> bool {
        self.turn >= TURN_BYTES
    }

    /// Whether this read has.
    pub(super) fn read_is_spent(&self) -> bool {
        self.read >= READ_INFLATED
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
        self.turn += bytes + MESSAGE_BYTES;
        self.read += bytes + MESSAGE_BYTES;
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
