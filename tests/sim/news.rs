//! Conflation and policies at random: whatever a member is not sent is explained, by a newer
//! publication of its key within the interval or by what the host was told.
//!
//! The model knows what each peer is owed, with the room, the number, the key and the interval of
//! each. Stalled peers go on in the end. Time passes at rest only, so intervals are exact.

use std::collections::{BTreeMap, BTreeSet};

use roomcast::{
    Config, ConnectionId, Join, Missed, Publication, Refused, Room, RoomOptions, SlowPolicy,
};
use roomcast_sim::{Dice, each_seed};

use super::desk::{Asked, Desk, check_lost, check_told};

const ROOMS: [&str; 3] = ["c0", "c1", "c2"];
const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
const INTERVAL_MS: u64 = 50;
const TAPE_BYTES: usize = 64 * 1024;

/// Something that a peer is owed.
struct Owed {
    text: String,
    /// Of a publication: its room, its number and its key; and in which interval it was published.
    of: Option<(&'static str, u64, Option<&'static str>)>,
    interval: u64,
    /// It is not sent it, but what it replaces is old news all the same.
    excluded: bool,
}

struct Peer {
    number: u32,
    id: ConnectionId,
    /// Rooms, and the side or the keys that it asked for.
    rooms: BTreeMap<&'static str, Asked>,
    owed: Vec<Owed>,
    got: Vec<String>,
}

#[derive(Clone, Copy)]
struct Rule {
    policy: SlowPolicy,
    conflates: bool,
    watch: bool,
}

struct Town {
    desk: Desk,
    dice: Dice,
    rule: Rule,
    peers: Vec<Peer>,
    /// So that no room begins to count anew.
    _held: Vec<Room>,
    count: usize,
    ms: u64,
}

fn run(policy: SlowPolicy, conflates: bool, watch: bool) {
    let rule = Rule {
        policy,
        conflates,
        watch,
    };
    each_seed(|dice| Town::new(dice, rule).run());
}

#[test]
fn of_each_key_the_newest_of_an_interval_arrives_and_all_without_a_key() {
    run(SlowPolicy::Disconnect, true, false);
}

#[test]
fn what_the_slow_skip_is_what_the_host_is_told() {
    run(SlowPolicy::Skip, false, false);
}

#[test]
fn what_the_slow_miss_under_latest_is_old_news_and_told() {
    run(SlowPolicy::Latest, false, false);
}

#[test]
fn what_a_history_has_is_replayed_and_what_it_has_not_is_told() {
    run(SlowPolicy::Replay, false, false);
}

#[test]
fn latest_and_conflation_together_explain_all_that_is_missing() {
    run(SlowPolicy::Latest, true, false);
}

#[test]
fn skip_and_conflation_together_explain_all_that_is_missing() {
    run(SlowPolicy::Skip, true, false);
}

#[test]
fn what_volatile_members_miss_is_counted() {
    run(SlowPolicy::Volatile, false, false);
}

#[test]
fn what_the_slow_miss_of_watched_keys_under_latest_is_old_news_and_told() {
    run(SlowPolicy::Latest, false, true);
}

#[test]
fn what_volatile_members_miss_of_watched_keys_is_counted() {
    run(SlowPolicy::Volatile, false, true);
}

#[test]
fn of_each_watched_key_the_newest_of_an_interval_arrives() {
    run(SlowPolicy::Disconnect, true, true);
}

impl Town {
    fn new(dice: Dice, rule: Rule) -> Town {
        let mut options = RoomOptions::new().slow_policy(rule.policy);
        if rule.policy == SlowPolicy::Replay {
            // More than a tape has place for, and not all.
            options = options.history(100);
        }
        if rule.conflates {
            options = options.flush_interval_ms(INTERVAL_MS as u32).conflate(true);
        }
        // Who is disconnected shows nothing.
        let tape_bytes = match rule.policy {
            SlowPolicy::Disconnect => 32 << 20,
            _ => TAPE_BYTES,
        };
        let outbox_bytes = match rule.watch && rule.policy != SlowPolicy::Disconnect {
            true => 16 * 1024,
            false => 32 << 20,
        };
        let config = Config::new()
            .room_options("c", options)
            .publication_bytes_max(TAPE_BYTES / 4)
            .tape_bytes_max(tape_bytes)
            .room_ahead_bytes_max(TAPE_BYTES / 2)
            .outbox_bytes_max(outbox_bytes)
            .outbox_high_bytes(outbox_bytes);
        let mut desk = Desk::new(config);
        let enter = |_| {
            let (number, id) = desk.enter();
            Peer {
                number,
                id,
                rooms: BTreeMap::new(),
                owed: Vec::new(),
                got: Vec::new(),
            }
        };
        let peers = (0..10).map(enter).collect();
        let held = ROOMS.map(|name| desk.handle().room(name).expect("a name"));
        Town {
            desk,
            dice,
            rule,
            peers,
            _held: held.into(),
            count: 0,
            ms: 1_000,
        }
    }

    fn run(mut self) {
        (0..1_200).for_each(|_| self.step());
        for at in 0..self.peers.len() {
            self.desk.set_place(self.peers[at].number, usize::MAX);
        }
        self.pass(INTERVAL_MS);
        let mut missing = 0;
        for at in 0..self.peers.len() {
            let peer = &mut self.peers[at];
            peer.got.extend(self.desk.got(peer.number));
            missing += self.check(at);
        }
        let figures = self.desk.handle().snapshot();
        assert_eq!(figures.too_slow, 0);
        if self.rule.policy == SlowPolicy::Volatile {
            assert_eq!(figures.volatile_dropped, missing as u64);
        }
        assert_eq!((figures.tape_bytes, figures.outbox_bytes), (0, 0));
    }

    /// Holds what a peer got against what it is owed; how much is missing.
    fn check(&self, at: usize) -> usize {
        let peer = &self.peers[at];
        let got: BTreeSet<&str> = peer.got.iter().map(String::as_str).collect();
        let is_got = |owed: &&Owed| got.contains(owed.text.as_str());
        let is_due = |owed: &&Owed| !owed.excluded;
        let due = || peer.owed.iter().filter(is_due).filter(is_got);
        assert_eq!(
            due().count(),
            peer.got.len(),
            "peer {at}: doubled or foreign"
        );
        for room in ROOMS {
            // Who catches up from histories is sent room by room.
            let is_of = |text: &&String| {
                self.rule.policy != SlowPolicy::Replay || text.split(' ').nth(1) == Some(room)
            };
            let in_order = due().map(|owed| &owed.text).filter(is_of);
            let got = peer.got.iter().filter(is_of);
            assert!(in_order.eq(got), "peer {at}: {room} is out of order");
        }
        let (mut missing, mut conflated) = (BTreeMap::new(), BTreeMap::new());
        for (n, owed) in peer.owed.iter().enumerate() {
            if is_got(&owed) || owed.excluded {
                continue;
            }
            let (room, offset, _) = owed.of.expect("private messages arrive");
            let which = match self.is_conflated(peer, n) {
                true => &mut conflated,
                false => &mut missing,
            };
            which
                .entry(room)
                .or_insert_with(BTreeSet::new)
                .insert(offset);
        }
        let notes = self.desk.notes();
        let offset_of = |owed: &Owed, room| owed.of.filter(|of| of.0 == room).map(|of| of.1);
        let got_of = |room| due().filter_map(|owed| offset_of(owed, room)).collect();
        for room in ROOMS {
            let told = notes
                .missed
                .iter()
                .filter(|(id, of, _)| *id == peer.id && of == room);
            let told: Vec<Missed> = told.map(|(.., missed)| *missed).collect();
            let missing = missing.remove(room).unwrap_or_default();
            let conflated = conflated.remove(room).unwrap_or_default();
            match self.rule.policy {
                SlowPolicy::Skip | SlowPolicy::Latest => check_told(&missing, &conflated, &told),
                SlowPolicy::Replay => check_lost(&missing, &got_of(room), &told),
                SlowPolicy::Volatile => assert_eq!(told, []),
                _ => assert!(missing.is_empty(), "peer {at} misses {missing:?} of {room}"),
            }
        }
        drop(notes);
        self.check_newest(peer);
        peer.owed.iter().filter(is_due).count() - peer.got.len()
    }

    /// Whether a newer one of its key was published to the peer within the same interval.
    fn is_conflated(&self, peer: &Peer, n: usize) -> bool {
        let (owed, newer) = (&peer.owed[n], &peer.owed[n + 1..]);
        let Some((room, _, Some(key))) = owed.of.filter(|_| self.rule.conflates) else {
            return false;
        };
        newer.iter().any(|newer| {
            let is_same = newer
                .of
                .is_some_and(|(r, _, k)| r == room && k == Some(key));
            is_same && newer.interval == owed.interval
        })
    }

    /// Where only old news may be missing, the newest of each key has arrived.
    fn check_newest(&self, peer: &Peer) {
        let notes = self.desk.notes();
        let mut told = notes.missed.iter().filter(|(id, ..)| *id == peer.id);
        let jumped = told.any(|(.., missed)| !missed.replaced);
        if jumped || self.rule.policy == SlowPolicy::Volatile {
            return;
        }
        let mut newest = BTreeMap::new();
        for owed in &peer.owed {
            match owed.of {
                Some((room, _, Some(key))) => drop(newest.insert((room, key), owed)),
                _ if owed.excluded => {}
                _ => assert!(
                    peer.got.contains(&owed.text),
                    "{} has no key",
                    &owed.text[..8]
                ),
            }
        }
        for (key, owed) in newest {
            let arrived = owed.excluded || peer.got.contains(&owed.text);
            assert!(arrived, "{} is the newest of {key:?}", &owed.text[..8]);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.desk.run_ms(ms);
        self.ms += ms;
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.dice.below(of.len() as u64) as usize]
    }

    fn step(&mut self) {
        let at = self.dice.below(self.peers.len() as u64) as usize;
        match self.dice.below(100) {
            0..8 => self.join(at),
            8..11 => self.leave(at),
            11..66 => self.publish(at),
            66..69 => self.send(at),
            69..75 => {
                let place = [0, 0, 700, usize::MAX][self.dice.below(4) as usize];
                self.desk.set_place(self.peers[at].number, place);
            }
            75..80 => self.desk.set_place(self.peers[at].number, usize::MAX),
            80..92 => self.desk.turn(0),
            _ => {
                let ms = 1 + self.dice.below(20);
                self.pass(ms);
            }
        }
    }

    fn join(&mut self, at: usize) {
        let room = self.pick(&ROOMS);
        let asked = match (self.rule.watch, self.dice.below(3)) {
            (true, _) => Asked::Keys(KEYS[self.dice.below(3) as usize..].to_vec()),
            (false, 0) => Asked::Side(self.pick(&["bid", "ask"])),
            (false, _) => Asked::All,
        };
        let how = asked.of(Join::new());
        let peer = &mut self.peers[at];
        self.desk
            .handle()
            .join_with(peer.id, room, how)
            .expect("it is taken");
        peer.rooms.insert(room, asked);
    }

    fn leave(&mut self, at: usize) {
        let room = self.pick(&ROOMS);
        // What a leaver is owed may be more than an outbox holds.
        if !self.rule.watch {
            let peer = &mut self.peers[at];
            self.desk
                .handle()
                .leave(peer.id, room)
                .expect("it is taken");
            peer.rooms.remove(room);
        }
    }

    fn publish(&mut self, at: usize) {
        let (room, side) = (self.pick(&ROOMS), self.pick(&["bid", "ask"]));
        let key = KEYS.get(self.dice.below(7) as usize).copied();
        self.count += 1;
        let filler = self.dice.below(2_000) as usize;
        let text = format!("{} {room} {}", self.count, "x".repeat(filler));
        let (tags, except) = ([("side", side)], [self.peers[at].id]);
        let but = self.dice.below(4) == 0;
        let mut publication = Publication::text(&text).tags(&tags);
        if let Some(key) = key {
            publication = publication.key(key);
        }
        if but {
            publication = publication.except(&except);
        }
        let published = match self.desk.handle().publish(room, publication) {
            Err(Refused::Behind) => return self.desk.settle(),
            published => published.expect("it is taken"),
        };
        let Some(offset) = published.offset else {
            return;
        };
        for peer in &mut self.peers {
            let asked = peer.rooms.get(room);
            if asked.is_some_and(|asked| asked.wants(side, key)) {
                peer.owed.push(Owed {
                    text: text.clone(),
                    of: Some((room, offset, key)),
                    interval: self.ms / INTERVAL_MS,
                    excluded: but && peer.id == except[0],
                });
            }
        }
    }

    fn send(&mut self, at: usize) {
        // Private messages beyond an outbox would end the connection.
        if self.rule.watch {
            return;
        }
        self.count += 1;
        let text = format!("{} private", self.count);
        let peer = &mut self.peers[at];
        self.desk
            .handle()
            .send(peer.id, &text)
            .expect("it is taken");
        peer.owed.push(Owed {
            text,
            of: None,
            interval: 0,
            excluded: false,
        });
    }
}
