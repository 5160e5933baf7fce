//! Storms: everything that peers, hosts and time may do, at random, under small limits.
//!
//! Peers that do nothing wrong must be sent exactly what they are owed, whatever the others do;
//! those others at least nothing else, in order. With several shards their turns come in any
//! order, on this one thread: what is owed is the same, since it follows from the calls alone: one
//! order per room, exact joins and leaves, and the order of the calls across rooms. At the end
//! nothing is left.

use std::sync::{Arc, Mutex, MutexGuard};

use roomcast::testing::Sim;
use roomcast::{Config, ConnectionId, Handle, Publication, Room, SlowPolicy};
use roomcast_sim::{Dice, each_seed};

use super::crowd::{Crowd, Host, PUBLISH, Peer, accept, check};

const STEPS: usize = 1_500;
const PEERS: usize = 150;
const TAPE_BYTES: usize = 128 * 1024;
const SHARD_TAPE_BYTES: usize = 512 * 1024;

/// Rooms that a handle is held of, so that their numbers go on while nobody is in.
const HELD: usize = 3;
const TICK_NS: u64 = 8_000_000;

const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
const DEFLATE_NARROW: &str =
    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n";

struct Storm {
    /// One for each shard.
    sims: Vec<Sim>,
    /// Shard and connection of each peer.
    places: Vec<(usize, u32)>,
    held: Vec<Room>,
    crowd: Arc<Mutex<Crowd>>,
    dice: Dice,
}

#[test]
fn the_slow_are_disconnected_and_the_others_lose_nothing() {
    each_seed(|dice| Storm::new(dice, SlowPolicy::Disconnect, 1).run(false));
}

#[test]
fn the_slow_skip_and_are_told_and_the_others_lose_nothing() {
    each_seed(|dice| Storm::new(dice, SlowPolicy::Skip, 1).run(true));
}

#[test]
fn the_slow_catch_up_as_far_as_they_can_and_the_others_lose_nothing() {
    // Without histories and keys both are as if they skipped.
    each_seed(|dice| Storm::new(dice, SlowPolicy::Replay, 2).run(true));
    each_seed(|dice| Storm::new(dice, SlowPolicy::Latest, 1).run(true));
}

#[test]
fn three_shards_in_any_order_are_one_engine() {
    each_seed(|dice| Storm::new(dice, SlowPolicy::Disconnect, 3).run(false));
}

#[test]
fn two_shards_in_any_order_are_one_engine_and_the_slow_skip() {
    each_seed(|dice| Storm::new(dice, SlowPolicy::Skip, 2).run(true));
}

#[test]
fn a_seed_is_the_same_storm_again() {
    let streams = || {
        let mut storm = Storm::new(Dice::new(11), SlowPolicy::Disconnect, 2);
        (0..STEPS).for_each(|_| storm.step());
        storm.collect();
        let crowd = storm.crowd();
        let streams = crowd.peers.values().map(|p| p.stream.clone());
        streams.collect::<Vec<_>>()
    };
    assert_eq!(streams(), streams());
}

impl Storm {
    fn new(dice: Dice, policy: SlowPolicy, shards: usize) -> Storm {
        let config = Config::new()
            .slow_policy(policy)
            .publication_bytes_max(TAPE_BYTES / 4)
            .tape_bytes_max(TAPE_BYTES)
            .shard_tape_bytes_max(SHARD_TAPE_BYTES)
            .room_ahead_bytes_max(TAPE_BYTES / 2)
            .inbox_bytes_max(256 * 1024)
            .outbox_bytes_max(256 * 1024)
            .outbox_high_bytes(2_000)
            .turn_budget_us(10)
            .deflate_level(1)
            .deflate_bytes_min(100)
            .handshake_timeout_ms(1_000)
            .verdict_timeout_ms(1_000)
            .ping_interval_ms(2_000)
            .ping_timeout_ms(1_000)
            .close_timeout_ms(500)
            .stop_timeout_ms(2_000);
        let crowd = Arc::new(Mutex::new(Crowd::default()));
        let mut sims = Sim::shards(config, Host(crowd.clone()), shards);
        sims.iter_mut().for_each(|sim| sim.set_look_ns(4_000));
        let hold = |n| {
            let room = sims[0].handle().room(&format!("room-{n}"));
            room.expect("a good name")
        };
        let held: Vec<Room> = (0..HELD).map(hold).collect();
        let numbers = held.iter().map(|room| (room.name().to_owned(), 0));
        crowd.lock().expect("nobody else").numbers = numbers.collect();
        Storm {
            sims,
            places: Vec::new(),
            held,
            crowd,
            dice,
        }
    }

    fn handle(&self) -> Handle {
        self.sims[0].handle().clone()
    }

    /// The shard and the connection of a peer.
    fn at(&mut self, number: u32) -> (&mut Sim, u32) {
        let (shard, end) = self.places[number as usize];
        (&mut self.sims[shard], end)
    }

    fn feed(&mut self, number: u32, opcode: u8, payload: &[u8]) {
        let (sim, end) = self.at(number);
        sim.feed_frame(end, opcode, payload);
    }

    /// A turn of any shard.
    fn turn(&mut self) {
        let shard = self.dice.below(self.sims.len() as u64) as usize;
        self.sims[shard].turn();
    }

    /// Turns in any order until nothing is left to do on any shard.
    fn settle(&mut self) {
        for _ in 0..1_000_000 {
            let busy = |(at, sim): (usize, &mut Sim)| (!sim.is_at_rest()).then_some(at);
            let busy: Vec<usize> = self.sims.iter_mut().enumerate().filter_map(busy).collect();
            if busy.is_empty() {
                return;
            }
            let one = busy[self.dice.below(busy.len() as u64) as usize];
            self.sims[one].turn();
        }
        panic!("the shards do not come to rest");
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().expect("a panic ends the test")
    }

    fn run(mut self, skip: bool) {
        (0..STEPS).for_each(|_| self.step());
        self.calm();
        self.collect();
        for (number, peer) in &self.crowd().peers {
            check(*number, peer, skip);
        }
        let numbers: Vec<u32> = self.crowd().peers.keys().copied().collect();
        match self.dice.below(2) {
            0 => numbers.iter().for_each(|n| {
                let (sim, end) = self.at(*n);
                sim.end(end);
            }),
            _ => self.sims[0].stop(),
        }
        self.advance(4_000);
        self.crowd().undecided.clear();
        self.settle();
        self.held.clear();
        self.check_nothing_is_left();
    }

    /// Everybody takes what there is, for long enough.
    fn calm(&mut self) {
        let numbers: Vec<u32> = self.crowd().peers.keys().copied().collect();
        for number in numbers {
            let (sim, end) = self.at(number);
            sim.set_place(end, usize::MAX);
        }
        self.settle();
        self.advance(700);
    }

    fn collect(&mut self) {
        for (number, peer) in &mut self.crowd.lock().expect("one thread").peers {
            let (shard, end) = self.places[*number as usize];
            peer.stream.extend(self.sims[shard].take_output(end));
        }
    }

    fn check_nothing_is_left(&self) {
        for (number, peer) in &self.crowd().peers {
            let closings = peer.closed.len();
            assert_eq!(closings, peer.told_open, "peer {number}: {:?}", peer.closed);
        }
        let figures = self.handle().snapshot();
        assert_eq!((figures.rooms, figures.connections), (0, 0));
        assert_eq!((figures.tape_bytes, figures.outbox_bytes), (0, 0));
        assert_eq!(figures.inbox_bytes, 0);
        assert_eq!(figures.joins, figures.leaves);
    }

    /// Some peer that is open.
    fn any(&mut self) -> Option<(u32, ConnectionId)> {
        let crowd = self.crowd.lock().expect("one thread");
        let open: Vec<_> = crowd.peers.iter().filter(|(_, p)| p.open).collect();
        let at = self.dice.below(open.len().max(1) as u64) as usize;
        open.get(at).and_then(|(n, p)| Some((**n, p.id?)))
    }

    fn room(&mut self) -> String {
        format!("room-{}", self.dice.below(6))
    }

    /// The peer is not held to what peers without fault are held to.
    fn spoil(&self, number: u32) {
        let mut crowd = self.crowd();
        crowd.peers.get_mut(&number).expect("peers stay").clean = false;
    }

    /// Time passes; those without fault answer their pings, which come no closer than a second.
    fn advance(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(400) {
            for _ in 0..ms.min(400).div_ceil(8) {
                self.sims[0].pass_ns(TICK_NS);
                self.settle();
            }
            let crowd = self.crowd.lock().expect("one thread");
            for (number, _) in crowd.peers.iter().filter(|(_, p)| p.clean) {
                let (shard, end) = self.places[*number as usize];
                self.sims[shard].feed_frame(end, 10, b"");
            }
        }
        self.settle();
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..10 => self.connect(),
            10..13 => self.decide(),
            13..25 => self.join(),
            25..31 => self.leave(),
            31..58 => self.publish(),
            58..64 => self.send(),
            64..70 => self.speak(),
            70..76 => self.jam(),
            76..79 => self.go(),
            79..80 => self.host_close(),
            80..95 => self.turn(),
            95..97 => self.settle(),
            _ => {
                let ms = 8 * (1 + self.dice.below(60));
                self.advance(ms);
            }
        }
        let figures = self.handle().snapshot();
        // What is in the inbox when the shard is full is appended all the same.
        let most = (self.sims.len() * (SHARD_TAPE_BYTES + 256 * 1024)) as u64;
        assert!(figures.tape_bytes <= most, "{} held", figures.tape_bytes);
        let crowd = self.crowd();
        assert_eq!(figures.refused, crowd.refused, "each refusal is counted");
        for room in &self.held {
            let number = crowd.numbers[room.name()];
            assert_eq!(room.position().offset, number, "of {}", room.name());
        }
    }

    fn connect(&mut self) {
        let next = self.crowd().peers.len() as u32;
        if self.crowd().peers.values().filter(|p| p.open).count() >= PEERS {
            return;
        }
        let kind = self.dice.below(10);
        let path = match kind {
            0 => format!("/later/{next}"),
            1 => format!("/never/{next}"),
            _ => format!("/now/{next}"),
        };
        let shard = self.dice.below(self.sims.len() as u64) as usize;
        let end = match kind {
            2 => self.sims[shard].connect_raw(b"GET /now/0 HT", true),
            _ => {
                let offer = ["", DEFLATE, DEFLATE_NARROW][self.dice.below(3) as usize];
                self.sims[shard].connect_with(&path, offer, true)
            }
        };
        self.places.push((shard, end));
        let peer = Peer {
            clean: kind > 2,
            ..Peer::default()
        };
        self.crowd().peers.insert(next, peer);
    }

    fn decide(&mut self) {
        let room = self.room();
        let mut crowd = self.crowd();
        if let Some((number, pending)) = crowd.undecided.pop() {
            accept(&mut crowd, number, pending, &room);
        }
    }

    fn join(&mut self) {
        let room = self.room();
        if let Some((number, id)) = self.any() {
            let position = self.handle().join(id, &room).expect("it is taken");
            let mut crowd = self.crowd();
            let known = crowd.numbers.get(&room).copied();
            assert!(known.is_none_or(|n| n == position.offset), "of {room}");
            let rooms = &mut crowd.peers.get_mut(&number).expect("peers stay").rooms;
            if !rooms.contains(&room) {
                rooms.push(room);
            }
        }
    }

    fn leave(&mut self) {
        let room = self.room();
        if let Some((number, id)) = self.any() {
            self.handle().leave(id, &room).expect("it is taken");
            let mut crowd = self.crowd();
            let rooms = &mut crowd.peers.get_mut(&number).expect("peers stay").rooms;
            rooms.retain(|r| *r != room);
        }
    }

    fn publish(&mut self) {
        let mut rooms = vec![self.room()];
        let (mut except, mut except_rooms) = (Vec::new(), Vec::new());
        match self.dice.below(6) {
            0 => rooms.push(self.room()),
            1 | 2 => except.extend(self.any().map(|(_, id)| id)),
            3 => except_rooms.push(self.room()),
            _ => {}
        }
        let most = if self.dice.below(8) == 0 { 30_000 } else { 200 };
        let filler = self.dice.below(most) as usize;
        let text = self.crowd().text(filler);
        let to: Vec<&str> = rooms.iter().map(String::as_str).collect();
        let but: Vec<&str> = except_rooms.iter().map(String::as_str).collect();
        let publication = Publication::text(&text).except(&except).except_rooms(&but);
        let published = match to[..] {
            [one] => self.handle().publish(one, publication),
            _ => self.handle().publish_union(&to, publication),
        };
        let mut crowd = self.crowd();
        crowd.on_published(&text, &to, &but, &except, published);
    }

    fn send(&mut self) {
        let filler = self.dice.below(300) as usize;
        let text = self.crowd().text(filler);
        let Some((number, id)) = self.any() else {
            return;
        };
        let user = number % 7;
        let handle = self.handle();
        let (sent, of_user) = match self.dice.below(8) {
            0 => (handle.send_all(&text), None),
            1 => (handle.send_user(&format!("user-{user}"), &text), Some(user)),
            _ => {
                match handle.send(id, &text) {
                    Ok(()) => self.crowd().owe(number, &text),
                    Err(_) => self.crowd().refused += 1,
                }
                return;
            }
        };
        let mut crowd = self.crowd();
        if sent.is_err() {
            crowd.refused += 1;
        } else {
            for (number, peer) in crowd.peers.iter_mut().filter(|(_, p)| p.open) {
                if of_user.is_none_or(|user| number % 7 == user) {
                    peer.owed.push(text.clone());
                }
            }
        }
    }

    /// A peer says something that it may say.
    fn speak(&mut self) {
        let mut text = self.crowd().text(0);
        let Some((number, _)) = self.any() else {
            return;
        };
        match self.dice.below(4) {
            0 => self.feed(number, 9, b"ping"),
            way => {
                if way == 1 {
                    text = format!("{PUBLISH}{}", self.room());
                }
                let mut crowd = self.crowd();
                crowd.peers.get_mut(&number).expect("peers stay").sent += 1;
                drop(crowd);
                self.feed(number, 1, text.as_bytes());
            }
        }
    }

    /// A peer takes only so much from now on. A third of the peers never does that.
    fn jam(&mut self) {
        let Some((number, _)) = self.any().filter(|(n, _)| n % 3 > 0) else {
            return;
        };
        let place = match self.dice.below(3) {
            0 => 0,
            1 => self.dice.below(2_000) as usize,
            _ => usize::MAX,
        };
        if place < usize::MAX {
            self.spoil(number);
        }
        let (sim, end) = self.at(number);
        sim.set_place(end, place);
    }

    /// A peer goes, in one way or the other, or breaks the protocol.
    fn go(&mut self) {
        let Some((number, _)) = self.any().filter(|(n, _)| n % 3 > 0) else {
            return;
        };
        self.spoil(number);
        let way = self.dice.below(5);
        let (sim, end) = self.at(number);
        match way {
            0 => sim.reset(end),
            1 => sim.end(end),
            2 => sim.feed_frame(end, 8, &1000u16.to_be_bytes()),
            3 => {
                sim.feed_frame(end, 8, &1000u16.to_be_bytes());
                sim.end(end);
            }
            _ => sim.feed_frame(end, 3, b"no such opcode"),
        }
    }

    fn host_close(&mut self) {
        if let Some((number, id)) = self.any() {
            self.handle()
                .close(id, 4_100, "enough")
                .expect("it is taken");
            let mut crowd = self.crowd();
            let peer = crowd.peers.get_mut(&number).expect("peers stay");
            peer.open = false;
            peer.host_closed = Some(4_100);
            peer.rooms.clear();
        }
    }
}
