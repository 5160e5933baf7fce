//! Storms: everything that peers, hosts and time may do, at random, under small limits.
//!
//! Peers that do nothing wrong must be sent exactly what they are owed, whatever the others do;
//! those others at least nothing else, in order. At the end nothing is left.

use std::sync::{Arc, Mutex, MutexGuard};

use roomcast::testing::Sim;
use roomcast::{Config, ConnectionId, Publication, Refused, SlowPolicy};
use roomcast_sim::{Dice, each_seed};

use super::crowd::{Crowd, Host, Peer, accept, check};

const STEPS: usize = 1_500;
const PEERS: usize = 150;
const TAPE_BYTES: usize = 128 * 1024;
const SHARD_TAPE_BYTES: usize = 512 * 1024;

struct Storm {
    sim: Sim,
    crowd: Arc<Mutex<Crowd>>,
    dice: Dice,
}

#[test]
fn the_slow_are_disconnected_and_the_others_lose_nothing() {
    each_seed(|dice| Storm::new(dice, SlowPolicy::Disconnect).run(false));
}

#[test]
fn the_slow_skip_and_are_told_and_the_others_lose_nothing() {
    each_seed(|dice| Storm::new(dice, SlowPolicy::Skip).run(true));
}

#[test]
fn a_seed_is_the_same_storm_again() {
    let streams = || {
        let mut storm = Storm::new(Dice::new(11), SlowPolicy::Disconnect);
        (0..STEPS).for_each(|_| storm.step());
        storm.collect();
        let crowd = storm.crowd();
        let streams = crowd.peers.values().map(|p| p.stream.clone());
        streams.collect::<Vec<_>>()
    };
    assert_eq!(streams(), streams());
}

impl Storm {
    fn new(dice: Dice, policy: SlowPolicy) -> Storm {
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
            .handshake_timeout_ms(1_000)
            .verdict_timeout_ms(1_000)
            .ping_interval_ms(2_000)
            .ping_timeout_ms(1_000)
            .close_timeout_ms(500)
            .stop_timeout_ms(2_000);
        let crowd = Arc::new(Mutex::new(Crowd::default()));
        let mut sim = Sim::new(config, Host(crowd.clone()));
        sim.set_look_ns(4_000);
        Storm { sim, crowd, dice }
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
            0 => numbers.iter().for_each(|n| self.sim.end(*n)),
            _ => self.sim.stop(),
        }
        self.advance(4_000);
        self.crowd().undecided.clear();
        self.sim.settle();
        self.check_nothing_is_left();
    }

    /// Everybody takes what there is, for long enough.
    fn calm(&mut self) {
        let numbers: Vec<u32> = self.crowd().peers.keys().copied().collect();
        for number in numbers {
            self.sim.set_place(number, usize::MAX);
        }
        self.sim.settle();
        self.advance(700);
    }

    fn collect(&mut self) {
        for (number, peer) in &mut self.crowd.lock().expect("one thread").peers {
            peer.stream.extend(self.sim.take_output(*number));
        }
    }

    fn check_nothing_is_left(&self) {
        for (number, peer) in &self.crowd().peers {
            let closings = peer.closed.len();
            assert_eq!(closings, peer.told_open, "peer {number}: {:?}", peer.closed);
        }
        let figures = self.sim.handle().snapshot();
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
            self.sim.advance_ms(ms.min(400));
            let crowd = self.crowd.lock().expect("one thread");
            for (number, _) in crowd.peers.iter().filter(|(_, p)| p.clean) {
                self.sim.feed_frame(*number, 10, b"");
            }
        }
        self.sim.settle();
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
            80..95 => self.sim.turn(),
            95..97 => self.sim.settle(),
            _ => {
                let ms = 8 * (1 + self.dice.below(60));
                self.advance(ms);
            }
        }
        let figures = self.sim.handle().snapshot();
        // What is in the inbox when the shard is full is appended all the same.
        let most = (SHARD_TAPE_BYTES + 256 * 1024) as u64;
        assert!(figures.tape_bytes <= most, "{} held", figures.tape_bytes);
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
        let number = match kind {
            2 => self.sim.connect_raw(b"GET /now/0 HT", true),
            _ => self.sim.connect(&path, true),
        };
        assert_eq!(number, next);
        let peer = Peer {
            clean: kind > 2,
            ..Peer::default()
        };
        self.crowd().peers.insert(number, peer);
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
            self.sim.handle().join(id, &room).expect("it is taken");
            let mut crowd = self.crowd();
            let rooms = &mut crowd.peers.get_mut(&number).expect("peers stay").rooms;
            if !rooms.contains(&room) {
                rooms.push(room);
            }
        }
    }

    fn leave(&mut self) {
        let room = self.room();
        if let Some((number, id)) = self.any() {
            self.sim.handle().leave(id, &room).expect("it is taken");
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
            [one] => self.sim.handle().publish(one, publication),
            _ => self.sim.handle().publish_union(&to, publication),
        };
        match published {
            Ok(_) => self.owe_members(&text, &to, &but, &except),
            Err(refused) => assert!(matches!(refused, Refused::Behind | Refused::Overloaded)),
        }
    }

    fn owe_members(&self, text: &str, to: &[&str], but: &[&str], except: &[ConnectionId]) {
        let is_in = |p: &Peer, rooms: &[&str]| p.rooms.iter().any(|r| rooms.contains(&r.as_str()));
        let mut crowd = self.crowd();
        for peer in crowd.peers.values_mut().filter(|p| p.open) {
            let excepted = peer.id.is_some_and(|id| except.contains(&id));
            if is_in(peer, to) && !is_in(peer, but) && !excepted {
                peer.owed.push(text.to_owned());
            }
        }
    }

    fn send(&mut self) {
        let filler = self.dice.below(300) as usize;
        let text = self.crowd().text(filler);
        let Some((number, id)) = self.any() else {
            return;
        };
        let user = number % 7;
        let handle = self.sim.handle();
        let (sent, of_user) = match self.dice.below(8) {
            0 => (handle.send_all(&text), None),
            1 => (handle.send_user(&format!("user-{user}"), &text), Some(user)),
            _ => {
                if handle.send(id, &text).is_ok() {
                    self.crowd().owe(number, &text);
                }
                return;
            }
        };
        if sent.is_ok() {
            let mut crowd = self.crowd();
            for (number, peer) in crowd.peers.iter_mut().filter(|(_, p)| p.open) {
                if of_user.is_none_or(|user| number % 7 == user) {
                    peer.owed.push(text.clone());
                }
            }
        }
    }

    /// A peer says something that it may say.
    fn speak(&mut self) {
        let text = self.crowd().text(0);
        let Some((number, _)) = self.any() else {
            return;
        };
        match self.dice.below(4) {
            0 => self.sim.feed_frame(number, 9, b"ping"),
            _ => {
                let mut crowd = self.crowd();
                crowd.peers.get_mut(&number).expect("peers stay").sent += 1;
                drop(crowd);
                self.sim.feed_frame(number, 1, text.as_bytes());
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
        self.sim.set_place(number, place);
    }

    /// A peer goes, in one way or the other, or breaks the protocol.
    fn go(&mut self) {
        let Some((number, _)) = self.any().filter(|(n, _)| n % 3 > 0) else {
            return;
        };
        self.spoil(number);
        match self.dice.below(5) {
            0 => self.sim.reset(number),
            1 => self.sim.end(number),
            2 => self.sim.feed_frame(number, 8, &1000u16.to_be_bytes()),
            3 => {
                self.sim.feed_frame(number, 8, &1000u16.to_be_bytes());
                self.sim.end(number);
            }
            _ => self.sim.feed_frame(number, 3, b"no such opcode"),
        }
    }

    fn host_close(&mut self) {
        if let Some((number, id)) = self.any() {
            self.sim
                .handle()
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

#[test]
fn accepting_waits_for_a_descriptor() {
    let crowd = Arc::new(Mutex::new(Crowd::default()));
    let mut sim = Sim::new(Config::new(), Host(crowd.clone()));
    let peer = Peer::default();
    crowd.lock().unwrap().peers.insert(0, peer);
    sim.set_exhausted(true);
    sim.connect("/now/0", true);
    // Coming to rest means that it does not spin.
    sim.settle();
    assert_eq!(sim.handle().snapshot().accepted, 0);
    sim.set_exhausted(false);
    sim.advance_ms(40);
    assert_eq!(sim.handle().snapshot().accepted, 0, "it waits a moment");
    sim.advance_ms(16);
    assert_eq!(crowd.lock().unwrap().peers[&0].told_open, 1);
}
