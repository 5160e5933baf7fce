//! What a turn takes in: how much it reads, and what peers have compressed, inflated.
//!
//! In: what each read brought, how long that kept the turn busy, and items that the reader found
//! compressed. Out: plain items, and when to go on with other work. Whoever is still to be read
//! then waits for the next turn; so does what is left of a read whose kilobytes stand for
//! megabytes. Shard thread.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::READ_BYTES;
use super::net::Left;
use crate::transport::ws::deflate::Inflater;
use crate::transport::ws::{self, Item, ReadLimits, Violation};

/// Bytes read from a socket at a time, from these up to `READ_BYTES`: so many that the turn keeps
/// its budget, and that all who are ready have their share of it.
const LEAST_BYTES: usize = 1024;
/// Messages (or control frames) and bytes that a turn reads, whoever sent them. A request counts as
/// `HEAD_ITEMS`.
const TURN_ITEMS: usize = 4_000;
const TURN_BYTES: usize = 1024 * 1024;
const HEAD_ITEMS: usize = 64;
/// Bytes that a turn inflates, and that one read of a connection does, before the rest waits.
const TURN_INFLATED: usize = 256 * 1024;
const READ_INFLATED: usize = 64 * 1024;
/// What a message counts for beside its bytes.
const MESSAGE_BYTES: usize = 256;
/// Connections with bytes put off, from which on no more than `LEAST_BYTES` are read at a time of
/// those that may compress.
const CROWD: usize = 64;

pub(super) struct Intake {
    /// Bytes to read at a time.
    quantum: usize,
    inflater: Inflater,
    /// In this turn: messages and bytes read, and whether there would have been more.
    items: usize,
    bytes: usize,
    limited: bool,
    /// Bytes inflated in this turn, and in it by the read at hand.
    inflated: usize,
    read_inflated: usize,
    /// Nanoseconds that this turn spent on TLS handshakes.
    shaking_ns: u64,
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
    pub(super) handshakes_put_off: u64,
}

impl Intake {
    pub(super) fn new() -> Self {
        Intake {
            quantum: READ_BYTES / 16,
            inflater: Inflater::default(),
            items: 0,
            bytes: 0,
            limited: false,
            inflated: 0,
            read_inflated: 0,
            shaking_ns: 0,
            put_off: HashMap::default(),
            tally: Tally::default(),
        }
    }

    pub(super) fn begin_turn(&mut self) {
        (self.items, self.bytes, self.inflated) = (0, 0, 0);
        (self.limited, self.shaking_ns) = (false, 0);
    }

    pub(super) fn begin_read(&mut self) {
        self.read_inflated = 0;
    }

    /// So many bytes were read, of so many that might have been.
    pub(super) fn on_read(&mut self, bytes: usize, most: usize) {
        self.bytes += bytes;
        self.limited |= bytes == most;
    }

    /// What a read brought is not all there was, or took so many records to find.
    pub(super) fn on_left(&mut self, left: Left) {
        self.items += left.records;
        self.limited |= left.again;
    }

    /// A TLS handshake went on for so long.
    pub(super) fn on_handshake(&mut self, ns: u64) {
        self.shaking_ns += ns;
    }

    /// Whether this turn has spent on TLS handshakes what it may; then this one waits.
    pub(super) fn puts_off_handshake(&mut self, budget_ns: u64) -> bool {
        let is_spent = self.shaking_ns >= budget_ns;
        self.tally.handshakes_put_off += u64::from(is_spent);
        is_spent
    }

    /// A message or control frame was read.
    #[inline]
    pub(super) fn on_item(&mut self) {
        self.items += 1;
    }

    /// A request was read.
    pub(super) fn on_head(&mut self) {
        self.items += HEAD_ITEMS;
    }

    /// Whether this turn has taken in all that it may.
    pub(super) fn turn_is_spent(&self) -> bool {
        self.items >= TURN_ITEMS || self.bytes >= TURN_BYTES
    }

    /// Whether this turn has inflated all that it may: those who may compress wait.
    pub(super) fn inflating_is_spent(&self) -> bool {
        self.inflated >= TURN_INFLATED
    }

    /// Some are still to be read in the next turn.
    pub(super) fn on_paused(&mut self) {
        self.tally.paused += 1;
        self.limited = true;
    }

    /// Whether this read has inflated all that it may.
    pub(super) fn read_is_spent(&self) -> bool {
        self.read_inflated >= READ_INFLATED
    }

    /// Whether it matters how long this turn was busy with what it has taken in.
    pub(super) fn is_judged(&self) -> bool {
        self.bytes >= self.quantum || self.limited
    }

    /// The turn was busy for so long, of what it may be: the next one takes in less, or more again.
    pub(super) fn judge(&mut self, busy_ns: u64, budget_ns: u64) {
        if busy_ns > budget_ns || self.turn_is_spent() || self.inflating_is_spent() {
            self.quantum = (self.quantum / 2).max(LEAST_BYTES);
        } else if self.limited && busy_ns < budget_ns / 4 {
            self.quantum = (self.quantum * 2).min(READ_BYTES);
        }
    }

    /// Bytes to read at a time.
    pub(super) fn read_bytes(&self, may_compress: bool) -> usize {
        match may_compress && self.put_off.len() >= CROWD {
            true => LEAST_BYTES,
            false => self.quantum,
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
        let cost = bytes.saturating_add(MESSAGE_BYTES);
        self.inflated = self.inflated.saturating_add(cost);
        self.read_inflated = self.read_inflated.saturating_add(cost);
        self.tally.messages += 1;
        self.tally.compressed_bytes += compressed.len() as u64;
        self.tally.bytes += bytes as u64;
        item
    }

    /// Keeps what is left of a read for a later turn.
    pub(super) fn put_off(&mut self, slot: u32, bytes: &[u8]) {
        self.tally.paused += 1;
        self.keep(slot, bytes.to_vec());
    }

    /// Keeps what came of a connection before it could be read.
    pub(super) fn keep(&mut self, slot: u32, bytes: Vec<u8>) {
        self.put_off.insert(slot, bytes);
    }

    /// Whether something was put off of the connection.
    pub(super) fn has(&self, slot: u32) -> bool {
        self.put_off.contains_key(&slot)
    }

    /// What was put off of the connection.
    pub(super) fn take(&mut self, slot: u32) -> Option<Vec<u8>> {
        if self.put_off.is_empty() {
            return None;
        }
        self.put_off.remove(&slot)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const BUDGET: u64 = 1_000_000;

    /// A turn in which so many peers have more than is read of them, each octet taking 20 ns.
    fn turn(intake: &mut Intake, peers: usize) -> usize {
        intake.begin_turn();
        let (most, mut read) = (intake.read_bytes(false), 0);
        for _ in 0..peers {
            if intake.turn_is_spent() {
                intake.on_paused();
                break;
            }
            read += 1;
            intake.on_read(most, most);
            (0..most / 6).for_each(|_| intake.on_item());
        }
        assert!(intake.is_judged());
        intake.judge((read * most * 20) as u64, BUDGET);
        read
    }

    #[test]
    fn floods_are_read_within_the_budget_and_all_of_them_in_each_turn() {
        for peers in [1, 8, 20] {
            let mut intake = Intake::new();
            for _ in 0..10 {
                turn(&mut intake, peers);
            }
            for _ in 0..50 {
                let read = turn(&mut intake, peers);
                assert_eq!(read, peers, "nobody waits for the next turn");
                let took = read * intake.read_bytes(false) * 20;
                assert!(took as u64 <= 2 * BUDGET, "{took} ns");
            }
        }
    }

    #[test]
    fn one_who_sends_much_is_soon_read_in_large_pieces() {
        let mut intake = Intake::new();
        for _ in 0..5 {
            intake.begin_turn();
            let most = intake.read_bytes(false);
            intake.on_read(most, most);
            intake.on_item();
            intake.judge(50_000, BUDGET);
        }
        assert_eq!(intake.read_bytes(false), READ_BYTES);
        // Those who say less change nothing.
        intake.begin_turn();
        intake.on_read(100, READ_BYTES);
        assert!(!intake.is_judged());
    }

    #[test]
    fn what_is_inflated_ends_the_read_and_then_the_turn() {
        let mut intake = Intake::new();
        let limits = ReadLimits {
            message_bytes_max: 40_000,
            fragments_max: 1,
        };
        let mut deflater = crate::transport::ws::deflate::Deflater::new(9);
        let window = crate::transport::ws::deflate::Window::Bits15;
        let zeros = deflater.deflate(window, &[0; 40_000]).unwrap();
        let mut reads = 0;
        intake.begin_turn();
        while !intake.inflating_is_spent() {
            intake.begin_read();
            let mut messages = 0;
            while !intake.read_is_spent() {
                intake.inflate(false, &zeros, &limits).unwrap();
                messages += 1;
            }
            assert_eq!(messages, 2);
            intake.put_off(reads, b"rest");
            reads += 1;
        }
        assert_eq!(
            (reads, intake.tally.messages, intake.tally.paused),
            (4, 8, 4)
        );
        assert_eq!(intake.take(2).as_deref(), Some(&b"rest"[..]));
        assert_eq!(intake.take(2), None);
        (0..CROWD as u32).for_each(|slot| intake.put_off(slot, b"x"));
        assert_eq!(intake.read_bytes(true), LEAST_BYTES);
        assert!(intake.read_bytes(false) > LEAST_BYTES);
    }
}
