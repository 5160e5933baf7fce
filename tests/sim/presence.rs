//! Presence in virtual time: who follows a room's notices knows its members, at one notice an
//! interval, on several shards, whatever comes between.

use std::collections::{BTreeMap, BTreeSet};

use roomcast::testing::Sim;
use roomcast::{Accept, Config, ConnectionId, Handler, Pending, Publication, Request, RoomOptions};
use roomcast_sim::{Dice, each_seed};
use serde_json::Value;

use super::desk::Desk;

const INTERVAL_MS: u64 = 50;

fn told() -> RoomOptions {
    let options = RoomOptions::new().presence(true);
    options.presence_interval_ms(INTERVAL_MS as u32)
}

/// What somebody who is sent the notices makes of them.
#[derive(Default)]
struct Follower {
    there: BTreeSet<u64>,
    notices: usize,
    members: u64,
    users: u64,
}

impl Follower {
    fn follow(&mut self, text: &str) {
        let notice: Value = serde_json::from_str(text).expect("a notice is JSON");
        let notice = &notice["presence"];
        let ids = |list: &str| -> Vec<u64> {
            let list = notice[list].as_array().expect("a list").iter();
            list.map(|one| {
                one["id"]
                    .as_str()
                    .expect("a string")
                    .parse()
                    .expect("digits")
            })
            .collect()
        };
        for id in ids("gone") {
            self.there.remove(&id);
        }
        self.there.extend(ids("came"));
        let count = |name: &str| notice[name].as_u64().expect("a count");
        (self.members, self.users) = (count("members"), count("users"));
        self.notices += 1;
    }
}

/// One hall on three shards: a follower that stays, and others that come and go.
struct Hall {
    desk: Desk,
    dice: Dice,
    follower: (u32, ConnectionId, Follower),
    others: BTreeMap<u32, ConnectionId>,
    /// Who is in the hall.
    there: BTreeSet<u64>,
    passed_ms: u64,
}

impl Hall {
    fn new(dice: Dice) -> Hall {
        let mut desk = Desk::shards(Config::new().room_options("hall", told()), 3);
        let (number, id) = desk.enter();
        desk.handle().join(id, "hall").expect("it is taken");
        let there = [id.as_u64()].into();
        Hall {
            desk,
            dice,
            follower: (number, id, Follower::default()),
            others: BTreeMap::new(),
            there,
            passed_ms: 0,
        }
    }

    fn step(&mut self) {
        let numbers: Vec<u32> = self.others.keys().copied().collect();
        let some = numbers.get(self.dice.below(12) as usize).copied();
        match (self.dice.below(100), some) {
            (0..12, _) if numbers.len() < 12 => {
                let user = format!("user {}", self.dice.below(4));
                let (number, id) = self.desk.enter_with(&format!("User: {user}\r\n"));
                self.others.insert(number, id);
                self.join(id);
            }
            (12..35, Some(number)) => {
                let id = self.others[&number];
                let was_there = self.there.remove(&id.as_u64());
                if was_there {
                    self.desk.handle().leave(id, "hall").expect("it is taken");
                }
                // Some are gone and back at once.
                if !was_there || self.dice.below(3) == 0 {
                    self.join(id);
                }
            }
            (35..42, Some(number)) => {
                self.desk.reset(number);
                let id = self.others.remove(&number).expect("it is there");
                self.there.remove(&id.as_u64());
            }
            (42..70, _) => {
                let shard = self.dice.below(3) as usize;
                self.desk.turn(shard);
            }
            (70..90, _) => {
                let ms = 1 + self.dice.below(20);
                self.run_ms(ms);
            }
            _ => {}
        }
    }

    fn join(&mut self, id: ConnectionId) {
        self.desk.handle().join(id, "hall").expect("it is taken");
        self.there.insert(id.as_u64());
    }

    fn run_ms(&mut self, ms: u64) {
        self.desk.run_ms(ms);
        self.passed_ms += ms;
    }

    fn check(&mut self) {
        self.run_ms(2 * INTERVAL_MS);
        let (number, _, follower) = &mut self.follower;
        let got = self.desk.got(*number);
        got.iter().for_each(|text| follower.follow(text));
        let there = &self.there;
        assert_eq!(&follower.there, there);
        let handle = self.desk.handle();
        let presence = handle.presence("hall");
        assert_eq!(presence.members, there.len());
        assert_eq!(presence.users, Some(follower.users as usize));
        assert_eq!(follower.members, there.len() as u64);
        let most = self.passed_ms / INTERVAL_MS + 1;
        assert!(follower.notices as u64 <= most, "one an interval at most");
        let figures = handle.snapshot();
        assert_eq!(figures.presence_notices, follower.notices as u64);
        let (mut pages, mut after) = (BTreeSet::new(), None);
        loop {
            let page = handle.present("hall", after, 2);
            pages.extend(page.present.iter().map(|present| present.id.as_u64()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(&pages, there);
    }
}

#[test]
fn who_follows_the_notices_of_several_shards_knows_who_is_there() {
    each_seed(|dice| {
        let mut hall = Hall::new(dice);
        for _ in 0..10 {
            (0..30).for_each(|_| hall.step());
            hall.check();
        }
    });
}

#[test]
fn a_notice_that_finds_no_place_is_told_with_the_next() {
    let config = Config::new().room_options("hall", told());
    let mut desk = Desk::shards(config.room_ahead_bytes_max(1_000), 2);
    let (first, a) = desk.enter();
    let (second, b) = desk.enter();
    let handle = desk.handle();
    handle.join(a, "hall").unwrap();
    desk.settle();
    // The second shard does not turn, so what is published lies before it.
    handle.join(b, "hall").unwrap();
    handle.publish("hall", &"x".repeat(900)).unwrap();
    desk.sim().pass_ns(INTERVAL_MS * 1_000_000);
    desk.turn(0);
    assert_eq!(handle.snapshot().presence_notices, 0, "the room is behind");
    desk.run_ms(2 * INTERVAL_MS);
    for peer in [first, second] {
        let got = desk.got(peer);
        let mut follower = Follower::default();
        got[1..].iter().for_each(|text| follower.follow(text));
        let all: BTreeSet<u64> = [a, b].map(ConnectionId::as_u64).into();
        assert_eq!((follower.there, follower.members), (all, 2));
    }
}

#[test]
fn a_crowd_has_no_notices_and_counts_all_the_same() {
    let config = Config::new().room_options("hall", told());
    let mut desk = Desk::shards(config.presence_notice_members_max(2), 2);
    let peers: Vec<(u32, ConnectionId)> = (0..4).map(|_| desk.enter()).collect();
    let handle = desk.handle();
    for (at, (_, id)) in peers.iter().enumerate() {
        handle.join(*id, "hall").unwrap();
        desk.run_ms(INTERVAL_MS);
        assert_eq!(handle.presence("hall").members, at + 1);
    }
    let figures = handle.snapshot();
    assert_eq!((figures.presence_notices, figures.presence_passed), (2, 2));
    assert_eq!(desk.got(peers[0].0).len(), 2);
    handle.leave(peers[3].1, "hall").unwrap();
    handle.leave(peers[2].1, "hall").unwrap();
    desk.run_ms(INTERVAL_MS);
    let got = desk.got(peers[0].0);
    assert_eq!(got.len(), 1);
    assert!(got[0].contains(r#""members":2,"#), "small again: {got:?}");
}

#[test]
fn no_notice_is_made_once_a_stop_has_begun() {
    let config = Config::new().room_options("hall", told());
    let mut desk = Desk::shards(config.stop_spread_ms(1_000), 2);
    let (first, a) = desk.enter();
    let (_, b) = desk.enter();
    let handle = desk.handle();
    handle.join(a, "hall").unwrap();
    handle.join(b, "hall").unwrap();
    desk.settle();
    desk.sim().stop();
    desk.run_ms(4 * INTERVAL_MS);
    assert!(desk.got(first).is_empty());
    assert_eq!(handle.snapshot().presence_notices, 0);
}

#[test]
fn many_rooms_that_are_due_together_are_told_over_several_turns() {
    const ROOMS: usize = 200;
    let mut desk = Desk::new(Config::new().room_options("hall", told()));
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    for room in 0..ROOMS {
        handle.join(id, &format!("hall {room}")).unwrap();
    }
    desk.settle();
    desk.sim().pass_ns(INTERVAL_MS * 1_000_000);
    desk.turn(0);
    let notices = handle.snapshot().presence_notices;
    assert!((1..ROOMS as u64 / 2).contains(&notices), "{notices}");
    desk.settle();
    assert_eq!(desk.got(peer).len(), ROOMS);
}

/// Accepts all, under their paths.
struct Open;

impl Handler for Open {
    fn connecting(&self, request: &Request, pending: Pending) {
        pending.accept(Accept::new().user(request.path()));
    }
}

/// Three shards with so many members to come, and who they are.
fn crowd(config: Config, members: usize) -> (Vec<Sim>, Vec<ConnectionId>) {
    let mut sims = Sim::shards(config.ping_interval_ms(0), Open, 3);
    for number in 0..members {
        sims[number % 3].connect(&format!("/{}", number / 2), false);
    }
    settle(&mut sims);
    let handle = sims[0].handle();
    let mut ids = Vec::new();
    for shard in 0..3u64 {
        // Ids have their shard above 56 bits, a generation above 24, and a slot.
        let slots = 0..members as u64;
        let all = slots.map(|slot| ConnectionId::from_u64(shard << 56 | 1 << 24 | slot));
        ids.extend(all.filter(|id| handle.is_open(*id)));
    }
    assert_eq!(ids.len(), members);
    (sims, ids)
}

fn settle(sims: &mut [Sim]) {
    while sims.iter_mut().any(|sim| !sim.is_at_rest()) {
        sims.iter_mut().for_each(Sim::turn);
    }
}

fn run_ms(sims: &mut [Sim], ms: u64) {
    for _ in 0..ms {
        sims[0].pass_ns(1_000_000);
        sims.iter_mut().for_each(Sim::turn);
        settle(sims);
    }
}

#[test]
fn a_storm_of_ten_thousand_joins_costs_each_member_one_notice_an_interval() {
    const MEMBERS: usize = 10_000;
    const INTERVALS: usize = 5;
    let config = Config::new().room_options("hall", told());
    let config = config.presence_notice_members_max(2 * MEMBERS);
    let (mut sims, ids) = crowd(config, MEMBERS);
    let handle = sims[0].handle().clone();
    let join = |ids: &[ConnectionId]| {
        for id in ids {
            handle.join(*id, "hall").expect("it is taken");
        }
    };
    let (at_once, later) = ids.split_at(MEMBERS / 2);
    join(at_once);
    settle(&mut sims);
    let figures = handle.snapshot();
    assert_eq!((figures.presence_notices, figures.deliveries), (0, 0));
    run_ms(&mut sims, INTERVAL_MS);
    let figures = handle.snapshot();
    let members = at_once.len() as u64;
    assert_eq!(
        (figures.presence_notices, figures.deliveries),
        (1, members),
        "one for all of them, and one to each"
    );
    // The others come all the time.
    for part in later.chunks(later.len() / (INTERVALS * INTERVAL_MS as usize)) {
        join(part);
        run_ms(&mut sims, 1);
    }
    run_ms(&mut sims, INTERVAL_MS);
    let figures = handle.snapshot();
    let presence = handle.presence("hall");
    assert_eq!(
        (presence.members, presence.users),
        (MEMBERS, Some(MEMBERS / 2))
    );
    let notices = figures.presence_notices;
    assert!((2..=INTERVALS as u64 + 2).contains(&notices), "{notices}");
    assert!(figures.deliveries <= notices * MEMBERS as u64);
    for id in &ids {
        handle.leave(*id, "hall").expect("it is taken");
    }
    run_ms(&mut sims, 2 * INTERVAL_MS);
    assert_eq!(
        handle.snapshot().presence_notices,
        notices,
        "nobody is left"
    );
    assert_eq!(
        (handle.snapshot().rooms, handle.snapshot().memory_bytes),
        (0, 0)
    );
}

#[test]
fn publications_and_notices_come_in_one_order_to_all() {
    let mut desk = Desk::shards(Config::new().room_options("hall", told()), 2);
    let peers: Vec<(u32, ConnectionId)> = (0..4).map(|_| desk.enter()).collect();
    let handle = desk.handle();
    for (_, id) in &peers[..2] {
        handle.join(*id, "hall").unwrap();
    }
    for step in 0..20 {
        let (_, id) = peers[2 + step % 2];
        match step % 4 {
            0 | 1 => drop(handle.join(id, "hall").unwrap()),
            _ => handle.leave(id, "hall").unwrap(),
        }
        handle
            .publish("hall", Publication::text(&step.to_string()))
            .unwrap();
        desk.run_ms(INTERVAL_MS / 3);
    }
    desk.run_ms(INTERVAL_MS);
    let got = desk.got(peers[0].0);
    assert!(got.iter().any(|text| text.contains("presence")));
    assert_eq!(got, desk.got(peers[1].0));
}
