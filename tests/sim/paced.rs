//! Rooms with intervals, filters and watch-lists at random: what is sent, and in which order,
//! follows from the calls alone.
//!
//! The model is a list for each peer of what it is owed, in the order of the calls. Nothing is
//! conflated and nobody meets a policy, so each must be sent its list, and all of it as soon as the
//! longest interval is over.

use std::collections::BTreeMap;

use roomcast::{Config, ConnectionId, Join, Publication, RoomOptions};
use roomcast_sim::{Dice, each_seed};

use super::desk::{Asked, Desk};

const ROOMS: [&str; 5] = ["now-0", "now-1", "quick-0", "slow-0", "slow-1"];
const QUICK_MS: u32 = 20;
const SLOW_MS: u32 = 100;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const SIDES: [&str; 3] = ["bid", "ask", ""];
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

struct Peer {
    number: u32,
    id: ConnectionId,
    rooms: BTreeMap<&'static str, Asked>,
    owed: Vec<String>,
    got: Vec<String>,
}

struct Town {
    desk: Desk,
    dice: Dice,
    peers: Vec<Peer>,
    shards: usize,
    /// Whether some watch keys.
    watch: bool,
    count: usize,
    /// Of tracked publications whose reports have not come: token, members that did not ask for it,
    /// those left out, and all others.
    tracked: BTreeMap<u64, [usize; 3]>,
}

#[test]
fn intervals_and_filters_change_neither_what_is_sent_nor_the_order() {
    each_seed(|dice| Town::new(dice, 1, false).run());
}

#[test]
fn intervals_of_several_shards_change_neither_what_is_sent_nor_the_order() {
    each_seed(|dice| Town::new(dice, 3, false).run());
}

#[test]
fn watch_lists_change_neither_what_is_sent_nor_the_order() {
    each_seed(|dice| Town::new(dice, 2, true).run());
}

impl Town {
    fn new(dice: Dice, shards: usize, watch: bool) -> Town {
        let interval = |ms| RoomOptions::new().flush_interval_ms(ms);
        let config = Config::new()
            .room_options("quick", interval(QUICK_MS))
            .room_options("slow", interval(SLOW_MS))
            .deflate_level(1)
            .deflate_bytes_min(100)
            .turn_budget_us(10);
        let mut desk = Desk::shards(config, shards);
        desk.sim().set_look_ns(4_000);
        let peers = (0..24).map(|n| {
            let (number, id) = desk.enter_with(if n % 3 == 0 { DEFLATE } else { "" });
            Peer {
                number,
                id,
                rooms: BTreeMap::new(),
                owed: Vec::new(),
                got: Vec::new(),
            }
        });
        let peers = peers.collect();
        Town {
            desk,
            dice,
            peers,
            shards,
            watch,
            count: 0,
            tracked: BTreeMap::new(),
        }
    }

    fn run(mut self) {
        for _ in 0..600 {
            self.step();
        }
        for at in 0..self.peers.len() {
            self.desk.set_place(self.peers[at].number, usize::MAX);
        }
        self.desk.run_ms(SLOW_MS.into());
        self.check(true);
        self.check_reports();
        let figures = self.desk.handle().snapshot();
        assert_eq!((figures.tape_bytes, figures.outbox_bytes), (0, 0));
        assert_eq!(
            (figures.lagged, figures.too_slow, figures.conflated),
            (0, 0, 0)
        );
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.dice.below(of.len() as u64) as usize]
    }

    fn step(&mut self) {
        let at = self.dice.below(self.peers.len() as u64) as usize;
        match self.dice.below(100) {
            0..16 => self.join(at),
            16..22 => self.leave(at),
            22..30 => self.watch(at),
            30..64 => self.publish(at),
            64..70 => self.send(at),
            70..76 => {
                let place = [0, 1, 500, usize::MAX][self.dice.below(4) as usize];
                self.desk.set_place(self.peers[at].number, place);
            }
            76..92 => self.desk.turn(at % self.shards),
            92..96 => {
                let ms = 1 + self.dice.below(30);
                self.desk.run_ms(ms);
            }
            96..99 => self.check(false),
            _ => self.catch_up(),
        }
    }

    /// Everybody takes everything, and the longest interval passes.
    fn catch_up(&mut self) {
        for at in 0..self.peers.len() {
            self.desk.set_place(self.peers[at].number, usize::MAX);
        }
        self.desk.run_ms(SLOW_MS.into());
        self.check(true);
        self.check_reports();
    }

    fn check(&mut self, all: bool) {
        for peer in &mut self.peers {
            peer.got.extend(self.desk.got(peer.number));
            let (got, owed) = (&peer.got, &peer.owed);
            let right = if all {
                got == owed
            } else {
                owed.starts_with(got)
            };
            let at = got.iter().zip(owed).take_while(|(a, b)| a == b).count();
            let rest = |all: &[String]| all[at..].iter().take(8).cloned().collect::<Vec<_>>();
            assert!(
                right,
                "peer {}, behind {at} got {:?} of {:?}",
                peer.number,
                rest(got),
                rest(owed)
            );
        }
    }

    fn join(&mut self, at: usize) {
        let room = self.pick(&ROOMS);
        let interval = self.dice.below(4);
        let asked = match self.dice.below(if self.watch { 6 } else { 4 }) {
            0 => Asked::All,
            1..4 => Asked::Side(self.pick(&SIDES[..2])),
            _ => Asked::Keys(vec![self.pick(&KEYS), self.pick(&KEYS)]),
        };
        let mut how = Join::new();
        if interval == 0 {
            how = how.flush_interval_ms(SLOW_MS / 2);
        }
        let how = asked.of(how);
        let peer = &mut self.peers[at];
        self.desk
            .handle()
            .join_with(peer.id, room, how)
            .expect("it is taken");
        peer.rooms.insert(room, asked);
    }

    fn leave(&mut self, at: usize) {
        let room = self.pick(&ROOMS);
        let peer = &mut self.peers[at];
        self.desk
            .handle()
            .leave(peer.id, room)
            .expect("it is taken");
        peer.rooms.remove(room);
    }

    fn watch(&mut self, at: usize) {
        let (room, key, begin) = (self.pick(&ROOMS), self.pick(&KEYS), self.dice.below(2) == 0);
        let handle = self.desk.handle();
        let peer = &mut self.peers[at];
        match begin {
            true => handle.watch(peer.id, room, [key]),
            false => handle.unwatch(peer.id, room, [key]),
        }
        .expect("it is taken");
        if let Some(Asked::Keys(keys)) = peer.rooms.get_mut(room) {
            keys.retain(|k| *k != key);
            if begin {
                keys.push(key);
            }
        }
    }

    fn publish(&mut self, at: usize) {
        let mut rooms = vec![self.pick(&ROOMS)];
        if self.dice.below(4) == 0 {
            rooms.push(self.pick(&ROOMS));
        }
        let (side, key) = (self.pick(&SIDES), self.dice.below(5) as usize);
        let (tags, key) = ([("side", side)], KEYS.get(key).copied());
        self.count += 1;
        let filler = self.dice.below(200) as usize;
        let text = format!("{} {} {}", self.count, rooms[0], "x".repeat(filler));
        let except = [self.peers[at].id];
        let but = self.dice.below(3) == 0;
        let mut publication = Publication::text(&text).tags(&tags);
        if let Some(key) = key {
            publication = publication.key(key);
        }
        if but {
            publication = publication.except(&except);
        }
        let handle = self.desk.handle();
        match rooms[..] {
            [one] if self.dice.below(2) == 0 => {
                let tracked = handle
                    .publish_tracked(one, publication)
                    .expect("it is taken");
                let due = self.due(one, (side, key), except[0], but);
                self.tracked.insert(tracked.token, due);
            }
            [one] => drop(handle.publish(one, publication).expect("it is taken")),
            _ => drop(
                handle
                    .publish_union(&rooms, publication)
                    .expect("it is taken"),
            ),
        }
        for peer in &mut self.peers {
            let asked = rooms.iter().filter_map(|room| peer.rooms.get(room));
            let wanted = asked.into_iter().any(|asked| asked.wants(side, key));
            if wanted && !(but && peer.id == except[0]) {
                peer.owed.push(text.clone());
            }
        }
    }

    /// What is to be reported of the members of a room: those who did not ask for it, those left
    /// out, and all others.
    fn due(
        &self,
        room: &str,
        (side, key): (&str, Option<&str>),
        except: ConnectionId,
        but: bool,
    ) -> [usize; 3] {
        let mut due = [0; 3];
        for peer in &self.peers {
            let Some(asked) = peer.rooms.get(room) else {
                continue;
            };
            let fate = match asked.wants(side, key) {
                false => 0,
                true if but && peer.id == except => 1,
                true => 2,
            };
            due[fate] += 1;
        }
        due
    }

    fn check_reports(&mut self) {
        for (_, told) in std::mem::take(&mut self.desk.notes().delivered) {
            let due = self
                .tracked
                .remove(&told.token)
                .expect("one report for each");
            let is = [told.filtered, told.skipped, told.reached + told.lagging];
            assert_eq!(is, due, "{told:?}");
            assert_eq!(told.conflated, 0);
        }
        assert!(self.tracked.is_empty(), "no report of {:?}", self.tracked);
    }

    fn send(&mut self, at: usize) {
        self.count += 1;
        let text = format!("{} private", self.count);
        let peer = &mut self.peers[at];
        self.desk
            .handle()
            .send(peer.id, &text)
            .expect("it is taken");
        peer.owed.push(text);
    }
}
