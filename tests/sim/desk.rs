//! A desk: one engine in virtual time, those who came to it by number, and what its host was told.
//!
//! In: a config. Out: what each peer was sent since it was last looked at, and the notes that the
//! host took about slow members and tracked publications. One thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use roomcast::testing::Sim;
use roomcast::{
    Accept, Config, Connection, ConnectionId, Delivery, Filter, Handle, Handler, Join, Missed,
    Pending, Request,
};

use super::texts;

/// What the host was told.
#[derive(Default)]
pub struct Notes {
    opened: BTreeMap<String, ConnectionId>,
    pub missed: Vec<(ConnectionId, String, Missed)>,
    pub delivered: Vec<(String, Delivery)>,
    pub closed: Vec<ConnectionId>,
}

struct Host(Arc<Mutex<Notes>>);

impl Host {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().expect("a panic ends the test")
    }
}

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let name = request.path().to_owned();
        self.notes().opened.insert(name, pending.id());
        let accept = Accept::new();
        pending.accept(match request.header("user") {
            Some(user) => accept.user(user),
            None => accept,
        });
    }

    fn closed(&self, connection: Connection<'_>, _: &roomcast::CloseReason) {
        self.notes().closed.push(connection.id());
    }

    fn lagged(&self, connection: Connection<'_>, room: &str, missed: Missed) {
        let note = (connection.id(), room.to_owned(), missed);
        self.notes().missed.push(note);
    }

    fn delivered(&self, _: &Handle, room: &str, delivery: Delivery) {
        self.notes().delivered.push((room.to_owned(), delivery));
    }
}

/// What a member asked for of a room.
pub enum Asked {
    All,
    Side(&'static str),
    Keys(Vec<&'static str>),
}

impl Asked {
    pub fn wants(&self, side: &str, key: Option<&str>) -> bool {
        match self {
            Asked::All => true,
            Asked::Side(wanted) => side == *wanted,
            Asked::Keys(keys) => key.is_some_and(|key| keys.contains(&key)),
        }
    }

    /// Joins so.
    pub fn of(&self, how: Join) -> Join {
        match self {
            Asked::All => how,
            Asked::Side(side) => how.filter(Filter::eq("side", *side)),
            Asked::Keys(keys) => how.keys(keys),
        }
    }
}

/// A peer: its shard and connection, its stream, and how many of its messages were looked at.
struct Seen {
    place: (usize, u32),
    stream: Vec<u8>,
    texts: usize,
}

pub struct Desk {
    /// One for each shard.
    sims: Vec<Sim>,
    notes: Arc<Mutex<Notes>>,
    seen: Vec<Seen>,
}

impl Desk {
    pub fn new(config: Config) -> Desk {
        Desk::shards(config, 1)
    }

    pub fn shards(config: Config, shards: usize) -> Desk {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let host = Host(notes.clone());
        let sims = Sim::shards(config.ping_interval_ms(0), host, shards);
        sims[0].pass_ns(1_000_000_000);
        let mut desk = Desk {
            sims,
            notes,
            seen: Vec::new(),
        };
        desk.settle();
        desk
    }

    /// The first shard.
    pub fn sim(&mut self) -> &mut Sim {
        &mut self.sims[0]
    }

    pub fn handle(&self) -> Handle {
        self.sims[0].handle().clone()
    }

    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("a panic ends the test")
    }

    /// Somebody comes; its number and its id.
    pub fn enter(&mut self) -> (u32, ConnectionId) {
        self.enter_with("")
    }

    /// The same with more header fields; `User` says who it is.
    pub fn enter_with(&mut self, fields: &str) -> (u32, ConnectionId) {
        let number = self.seen.len();
        let (path, shard) = (format!("/{number}"), number % self.sims.len());
        let end = self.sims[shard].connect_with(&path, fields, true);
        self.seen.push(Seen {
            place: (shard, end),
            stream: Vec::new(),
            texts: 0,
        });
        self.settle();
        let id = self.notes().opened[&path];
        (number as u32, id)
    }

    /// The peer takes so many bytes from now on.
    pub fn set_place(&mut self, number: u32, place: usize) {
        let (shard, end) = self.seen[number as usize].place;
        self.sims[shard].set_place(end, place);
    }

    /// The peer resets its connection.
    pub fn reset(&mut self, number: u32) {
        let (shard, end) = self.seen[number as usize].place;
        self.sims[shard].reset(end);
    }

    /// A turn of this shard.
    pub fn turn(&mut self, shard: usize) {
        let shards = self.sims.len();
        self.sims[shard % shards].turn();
    }

    /// Turns until nothing is left to do at this moment.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            let busy = self
                .sims
                .iter_mut()
                .filter_map(|sim| (!sim.is_at_rest()).then_some(sim));
            if busy.map(Sim::turn).count() == 0 {
                return;
            }
        }
        panic!("the engine does not come to rest");
    }

    /// Milliseconds pass, with turns at each.
    pub fn run_ms(&mut self, ms: u64) {
        self.settle();
        for _ in 0..ms {
            self.sims[0].pass_ns(1_000_000);
            // Also one that is at rest looks now and then.
            self.sims.iter_mut().for_each(Sim::turn);
            self.settle();
        }
    }

    /// The messages that the peer was sent since it was last looked at.
    pub fn got(&mut self, number: u32) -> Vec<String> {
        let seen = &mut self.seen[number as usize];
        let (shard, end) = seen.place;
        seen.stream.extend(self.sims[shard].take_output(end));
        let new = texts(&seen.stream).split_off(seen.texts);
        seen.texts += new.len();
        new
    }

    /// The last report.
    pub fn report(&self) -> Delivery {
        self.notes().delivered.last().expect("a report").1
    }
}

/// Members of a report, whatever they met.
pub fn sum(report: &Delivery) -> usize {
    report.reached + report.filtered + report.skipped + report.conflated + report.lagging
}

/// What is missing is what was told: as many, and within the ranges, whose ends are missing. What
/// may have been conflated may have been offered before, and missed then.
pub fn check_told(missing: &BTreeSet<u64>, conflated: &BTreeSet<u64>, told: &[Missed]) {
    let count: u64 = told.iter().map(|missed| missed.count).sum();
    let says = || format!("missing {missing:?}, conflated {conflated:?}, told {told:?}");
    let all: BTreeSet<u64> = missing.union(conflated).copied().collect();
    let (least, most) = (missing.len() as u64, all.len() as u64);
    assert!((least..=most).contains(&count), "{}", says());
    for missed in told {
        let ends = [missed.first, missed.last];
        assert!(ends.iter().all(|end| all.contains(end)), "{}", says());
        let within = all.range(missed.first..=missed.last).count() as u64;
        assert!(within >= missed.count, "{}", says());
    }
    let is_told = |offset: &u64| told.iter().any(|m| (m.first..=m.last).contains(offset));
    assert!(missing.iter().all(is_told), "{}", says());
}

/// What a history did not have any more is told as a range; others' publications may lie in it.
pub fn check_lost(missing: &BTreeSet<u64>, got: &BTreeSet<u64>, told: &[Missed]) {
    let says = || format!("missing {missing:?}, got {got:?}, told {told:?}");
    for missed in told {
        let (first, last) = (missed.first, missed.last);
        assert_eq!(missed.count, last - first + 1, "{}", says());
        assert!(got.range(first..=last).next().is_none(), "{}", says());
    }
    let is_told = |offset: &u64| told.iter().any(|m| (m.first..=m.last).contains(offset));
    assert!(missing.iter().all(is_told), "{}", says());
}
