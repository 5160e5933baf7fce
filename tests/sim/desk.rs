//! A desk: one engine in virtual time, those who came to it by number, and what its host was told.
//!
//! In: a config. Out: what each peer was sent since it was last looked at, and the notes that the
//! host took about slow members and tracked publications. One thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use roomcast::testing::Sim;
use roomcast::{
    Accept, Config, Connection, ConnectionId, Delivery, Handle, Handler, Missed, Pending, Request,
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
        pending.accept(Accept::new());
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

/// The stream of a peer, and how many of its messages were looked at.
#[derive(Default)]
struct Seen {
    stream: Vec<u8>,
    texts: usize,
}

pub struct Desk {
    pub sim: Sim,
    notes: Arc<Mutex<Notes>>,
    seen: Vec<Seen>,
}

impl Desk {
    pub fn new(config: Config) -> Desk {
        let notes = Arc::new(Mutex::new(Notes::default()));
        let mut sim = Sim::new(config.ping_interval_ms(0), Host(notes.clone()));
        // Intervals end at multiples of their length.
        sim.run_ms(1_000);
        Desk {
            sim,
            notes,
            seen: Vec::new(),
        }
    }

    pub fn handle(&self) -> Handle {
        self.sim.handle().clone()
    }

    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("a panic ends the test")
    }

    /// Somebody comes; its number and its id.
    pub fn enter(&mut self) -> (u32, ConnectionId) {
        self.enter_with("")
    }

    /// The same with more header fields.
    pub fn enter_with(&mut self, fields: &str) -> (u32, ConnectionId) {
        let path = format!("/{}", self.seen.len());
        let number = self.sim.connect_with(&path, fields, true);
        self.seen.push(Seen::default());
        assert_eq!(number as usize, self.seen.len() - 1);
        self.sim.settle();
        let id = self.notes().opened[&path];
        (number, id)
    }

    /// The messages that the peer was sent since it was last looked at.
    pub fn got(&mut self, number: u32) -> Vec<String> {
        let seen = &mut self.seen[number as usize];
        seen.stream.extend(self.sim.take_output(number));
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
