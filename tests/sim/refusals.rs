//! Refusals: publishers that are quicker than a small engine, and what they are told.
//!
//! A second account of what waits, kept from the calls and turns alone, says which refusals are
//! due and which may be; it knows payloads but not what the engine adds to them, so it counts
//! each between its length and that and `ADDED` bytes. Readers that keep up are sent what was
//! accepted, in order, and nothing that was refused. One engine of one shard, on the caller's
//! thread.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use roomcast::testing::Sim;
use roomcast::{
    Accept, Config, Connection, ConnectionId, Handler, Pending, Publication, Refused, Request, Room,
};
use roomcast_sim::{Dice, each_seed};

use super::frames::{frames, texts};

const ROOMS: usize = 6;
const READERS: usize = 30;
/// The first readers are stuck now and then; the others keep up.
const STUCK: usize = 6;
const STEPS: usize = 600;

const PUBLICATION: usize = 16 * 1024;
const TAPE: usize = 64 * 1024;
const AHEAD: usize = 32 * 1024;
const INBOX: usize = 48 * 1024;
const SHARD_TAPE: u64 = TAPE as u64;
/// What a frame costs beside its payload, at most.
const ADDED: usize = 512;

/// How often each refusal came for no other reason than this one.
#[derive(Default)]
struct Seen {
    behind: Cell<u64>,
    inbox: Cell<u64>,
    tapes: Cell<u64>,
    unions: Cell<u64>,
}

fn count(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

/// Everybody is let in under the number in the path.
#[derive(Clone, Default)]
struct Hall(Arc<Mutex<HashMap<usize, ConnectionId>>>);

impl Handler for Hall {
    fn connecting(&self, request: &Request, pending: Pending) {
        pending.accept(Accept::new().user(&request.path()[1..]));
    }

    fn opened(&self, connection: Connection<'_>) {
        let number = connection.user().and_then(|user| user.parse().ok());
        let number = number.expect("a number is its name");
        self.0.lock().unwrap().insert(number, connection.id());
    }
}

struct Reader {
    id: ConnectionId,
    end: u32,
    rooms: Vec<usize>,
    owed: Vec<String>,
    stuck: bool,
}

/// Bytes, at least and at most.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes(usize, usize);

impl Bytes {
    fn add(&mut self, len: usize) {
        self.0 += len;
        self.1 += len + ADDED;
    }

    fn surely_over(self, len: usize, most: usize) -> bool {
        self.0 + len > most
    }

    fn maybe_over(self, len: usize, most: usize) -> bool {
        self.1 + len + ADDED > most
    }
}

struct Flood<'a> {
    sim: Sim,
    dice: Dice,
    rooms: Vec<Room>,
    readers: Vec<Reader>,
    /// What was accepted since the last turn, and for each room what waits at least and at most.
    inbox: Bytes,
    ahead: [Bytes; ROOMS],
    /// How far each room is numbered, and how many refusals there were.
    numbers: [u64; ROOMS],
    refused: u64,
    count: u64,
    seen: &'a Seen,
}

#[test]
fn what_is_refused_is_counted_and_sent_to_nobody_and_the_rest_is_not_lost() {
    let seen = Seen::default();
    each_seed(|dice| Flood::new(dice, &seen).run());
    for (name, cell) in [
        ("Behind", &seen.behind),
        ("Overloaded by inbox_bytes_max", &seen.inbox),
        ("Overloaded by shard_tape_bytes_max", &seen.tapes),
        ("a union", &seen.unions),
    ] {
        println!("refused, {name}: {}", cell.get());
        assert!(cell.get() > 0, "{name} never came");
    }
}

impl<'a> Flood<'a> {
    fn new(dice: Dice, seen: &'a Seen) -> Self {
        let config = Config::new()
            .publication_bytes_max(PUBLICATION)
            .tape_bytes_max(TAPE)
            .room_ahead_bytes_max(AHEAD)
            .inbox_bytes_max(INBOX)
            .shard_tape_bytes_max(SHARD_TAPE as usize)
            .outbox_bytes_max(TAPE)
            .outbox_high_bytes(TAPE)
            .turn_budget_us(10)
            .ping_interval_ms(0);
        let hall = Hall::default();
        let mut sim = Sim::new(config, hall.clone());
        let room = |n| sim.handle().room(&name(n)).expect("a good name");
        let rooms = (0..ROOMS).map(room).collect();
        let ends: Vec<u32> = (0..READERS)
            .map(|n| sim.connect(&format!("/{n}"), true))
            .collect();
        sim.settle();
        let reader = |(n, end): (usize, u32)| Reader {
            id: hall.0.lock().unwrap()[&n],
            end,
            rooms: Vec::new(),
            owed: Vec::new(),
            stuck: false,
        };
        let readers = ends.into_iter().enumerate().map(reader).collect();
        // A turn is over after sixteen writes.
        sim.set_look_ns(10_000);
        Flood {
            sim,
            dice,
            rooms,
            readers,
            inbox: Bytes::default(),
            ahead: [Bytes::default(); ROOMS],
            numbers: [0; ROOMS],
            refused: 0,
            count: 0,
            seen,
        }
    }

    fn run(mut self) {
        for reader in 0..READERS {
            self.join(reader, reader % ROOMS);
            self.join(reader, (reader / 3 + 1) % ROOMS);
        }
        (0..STEPS).for_each(|_| self.step());
        self.drain();
        self.works_again();
        for (number, reader) in self.readers.iter_mut().enumerate() {
            let stream = self.sim.take_output(reader.end);
            let got = texts(&frames(&stream).expect("a 101"));
            let says = || format!("reader {number}: {} of {}", got.len(), reader.owed.len());
            match number < STUCK {
                true => assert!(reader.owed.starts_with(&got), "{}", says()),
                false => assert!(reader.owed == got, "{}", says()),
            }
        }
    }

    fn join(&mut self, reader: usize, room: usize) {
        let reader = &mut self.readers[reader];
        if !reader.rooms.contains(&room) {
            let join = self.sim.handle().join(reader.id, &name(room));
            let position = join.expect("joins are never refused for want of place");
            assert_eq!(position.offset, self.numbers[room]);
            reader.rooms.push(room);
        }
    }

    fn step(&mut self) {
        let room = self.dice.below(ROOMS as u64) as usize;
        let reader = self.dice.below(READERS as u64) as usize;
        let stuck = self.dice.below(STUCK as u64) as usize;
        match self.dice.below(100) {
            0..46 => self.publish(&[room]),
            46..54 => self.burst(),
            54..68 => {
                let other = self.dice.below(ROOMS as u64) as usize;
                self.publish(&[room, other]);
            }
            68..75 => self.send(reader),
            75..92 => self.turn(),
            92..94 => self.settle(),
            94 => self.set_stuck(stuck, true),
            95 => self.set_stuck(stuck, false),
            96..99 => self.join(reader, room),
            _ => self.drain(),
        }
        let positions: Vec<u64> = self.rooms.iter().map(|r| r.position().offset).collect();
        assert_eq!(positions, self.numbers, "only what is accepted is numbered");
        let figures = self.sim.handle().snapshot();
        assert_eq!(figures.refused, self.refused, "each refusal is counted");
    }

    /// As much as is taken, and a little more, with no turn in between.
    fn burst(&mut self) {
        for _ in 0..4 + self.dice.below(12) {
            let room = self.dice.below(ROOMS as u64) as usize;
            self.publish(&[room]);
        }
    }

    fn text(&mut self) -> String {
        let most = [200, 3_000, PUBLICATION as u64 - 20][self.dice.below(3) as usize];
        self.count += 1;
        let filler = "x".repeat(self.dice.below(most) as usize);
        format!("{} {filler}", self.count)
    }

    fn publish(&mut self, rooms: &[usize]) {
        let text = self.text();
        let names: Vec<String> = rooms.iter().map(|n| name(*n)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let before = self.sim.handle().snapshot().tape_bytes;
        let publication = Publication::text(&text);
        let published = match rooms {
            [one] if self.dice.below(2) == 0 => self.rooms[*one].publish(publication),
            [_] => self.sim.handle().publish(names[0], publication),
            _ => self.sim.handle().publish_union(&names, publication),
        };
        match published {
            Ok(_) => self.on_accepted(rooms, &text),
            Err(refused) => self.on_refused(rooms, text.len(), refused, before),
        }
    }

    fn on_accepted(&mut self, rooms: &[usize], text: &str) {
        let len = text.len();
        assert!(!self.inbox.surely_over(len, INBOX), "{:?}", self.inbox);
        self.inbox.add(len);
        let mut rooms = rooms.to_vec();
        rooms.dedup();
        for &room in &rooms {
            let ahead = &mut self.ahead[room];
            let over = ahead.0 > 0 && ahead.surely_over(len, AHEAD);
            assert!(!over, "{ahead:?} and {len}");
            ahead.add(len);
            self.numbers[room] += 1;
        }
        for reader in &mut self.readers {
            if reader.rooms.iter().any(|room| rooms.contains(room)) {
                reader.owed.push(text.to_owned());
            }
        }
    }

    /// One of the reasons must be there; it is counted where it is the only one.
    fn on_refused(&mut self, rooms: &[usize], len: usize, refused: Refused, tape_bytes: u64) {
        self.refused += 1;
        let inbox = self.inbox.maybe_over(len, INBOX);
        let full = tape_bytes >= SHARD_TAPE;
        match refused {
            Refused::Behind => {
                let behind = |room: &usize| self.ahead[*room].maybe_over(len, AHEAD);
                assert!(rooms.iter().any(behind), "{:?} and {len}", self.ahead);
                count(&self.seen.behind);
            }
            Refused::Overloaded => {
                assert!(inbox || full, "{:?}, {len}, {tape_bytes}", self.inbox);
                match (inbox, full) {
                    (true, false) => count(&self.seen.inbox),
                    (false, true) => count(&self.seen.tapes),
                    _ => {}
                }
            }
            other => panic!("{other:?} is not due"),
        }
        if rooms.len() > 1 {
            count(&self.seen.unions);
        }
    }

    fn send(&mut self, reader: usize) {
        let text = self.text();
        let id = self.readers[reader].id;
        let full = self.sim.handle().snapshot().tape_bytes >= SHARD_TAPE;
        match self.sim.handle().send(id, &text) {
            Ok(()) => {
                assert!(!self.inbox.surely_over(text.len(), INBOX));
                self.inbox.add(text.len());
                self.readers[reader].owed.push(text);
            }
            Err(refused) => {
                assert_eq!(refused, Refused::Overloaded);
                assert!(full || self.inbox.maybe_over(text.len(), INBOX));
                self.refused += 1;
            }
        }
    }

    /// What was in the inbox is on tapes now; how much of that was offered is not known.
    fn turn(&mut self) {
        self.sim.turn();
        self.inbox = Bytes::default();
        self.ahead.iter_mut().for_each(|ahead| ahead.0 = 0);
    }

    /// Nothing waits but for those who are stuck.
    fn settle(&mut self) {
        self.turn();
        self.sim.settle();
        self.ahead = [Bytes::default(); ROOMS];
    }

    fn set_stuck(&mut self, reader: usize, stuck: bool) {
        let reader = &mut self.readers[reader];
        reader.stuck = stuck;
        let place = if stuck { 0 } else { usize::MAX };
        self.sim.set_place(reader.end, place);
    }

    /// The backlog is taken, so nothing is refused for the moment.
    fn drain(&mut self) {
        for reader in 0..STUCK {
            self.set_stuck(reader, false);
        }
        self.settle();
        assert_eq!(self.sim.handle().snapshot().tape_bytes, 0);
    }

    /// One publication to each room, and one to all, of the largest size.
    fn works_again(&mut self) {
        for room in 0..ROOMS {
            self.largest(&[room]);
        }
        self.largest(&(0..ROOMS).collect::<Vec<_>>());
    }

    fn largest(&mut self, rooms: &[usize]) {
        self.count += 1;
        let mut text = format!("{} ", self.count);
        text.push_str(&"x".repeat(PUBLICATION - text.len()));
        let names: Vec<String> = rooms.iter().map(|n| name(*n)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let published = self.sim.handle().publish_union(&names, text.as_str());
        assert!(published.is_ok(), "{published:?} to {names:?}");
        self.on_accepted(rooms, &text);
        self.settle();
    }
}

fn name(room: usize) -> String {
    format!("room-{room}")
}
