//! The fixture host: rooms by path, a log of what it was told, and a hook for messages.
//!
//! In: what an engine tells it. Out: `/A,B` joins A and B (`/` nothing), `?user=NAME` names the
//! user and `info=JSON` what others see of it, and the first message to each connection is its id.
//! Callbacks run on shard threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use roomcast::{
    Accept, CloseReason, Config, Connection, ConnectionId, Delivery, Engine, Handle, Handler,
    Message, Missed, Pending, Request,
};

use crate::client::{Client, PATIENCE};

/// What a host was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Opened(ConnectionId),
    Message(ConnectionId, String),
    Closed(ConnectionId, CloseReason),
    Backpressure(ConnectionId, bool),
    Lagged(ConnectionId, String, Missed),
    Delivered(String, Delivery),
}

#[derive(Default)]
pub struct Log {
    told: Mutex<Vec<Told>>,
    more: Condvar,
}

impl Log {
    fn add(&self, told: Told) {
        self.told.lock().push(told);
        self.more.notify_all();
    }

    /// Waits for the first entry of which `pick` makes something.
    pub fn wait<T>(&self, what: &str, mut pick: impl FnMut(&Told) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut told = self.told.lock();
        loop {
            if let Some(found) = told.iter().find_map(&mut pick) {
                return found;
            }
            let late = self.more.wait_until(&mut told, until).timed_out();
            assert!(!late, "{what} in time; told so far: {told:?}");
        }
    }

    /// Why a connection closed.
    pub fn closed(&self, id: ConnectionId) -> CloseReason {
        self.wait("closed", |told| match told {
            Told::Closed(who, reason) if *who == id => Some(reason.clone()),
            _ => None,
        })
    }

    /// What a slow connection was not sent, as told by now.
    pub fn missed(&self, id: ConnectionId) -> Vec<Missed> {
        let told = self.all();
        let missed = told.iter().filter_map(|told| match told {
            Told::Lagged(who, _, missed) if *who == id => Some(*missed),
            _ => None,
        });
        missed.collect()
    }

    /// The report of a tracked publication.
    pub fn delivery(&self, token: u64) -> Delivery {
        self.wait("a report", |told| match told {
            Told::Delivered(_, delivery) if delivery.token == token => Some(*delivery),
            _ => None,
        })
    }

    /// All reports by now.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let told = self.all();
        let reports = told.iter().filter_map(|told| match told {
            Told::Delivered(_, delivery) => Some(*delivery),
            _ => None,
        });
        reports.collect()
    }

    pub fn all(&self) -> Vec<Told> {
        self.told.lock().clone()
    }
}

type OnMessage = Box<dyn Fn(Connection<'_>, Message<'_>) + Send + Sync>;

pub struct House {
    log: Arc<Log>,
    on_message: OnMessage,
}

impl Handler for House {
    fn connecting(&self, request: &Request, pending: Pending) {
        let mut accept = Accept::new();
        for room in request.path()[1..].split(',').filter(|r| !r.is_empty()) {
            accept = accept.room(room);
        }
        if let Some(user) = request.query_value("user") {
            accept = accept.user(user.as_ref());
        }
        if let Some(info) = request.query_value("info") {
            accept = accept.info(info.as_ref());
        }
        pending.accept(accept);
    }

    fn opened(&self, connection: Connection<'_>) {
        self.log.add(Told::Opened(connection.id()));
        let hello = format!("id:{}", connection.id().as_u64());
        let _ = connection.send(hello.as_str());
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let text = String::from_utf8_lossy(message.bytes()).into_owned();
        self.log.add(Told::Message(connection.id(), text));
        (self.on_message)(connection, message);
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        self.log.add(Told::Closed(connection.id(), reason.clone()));
    }

    fn backpressure(&self, connection: Connection<'_>, high: bool) {
        self.log.add(Told::Backpressure(connection.id(), high));
    }

    fn lagged(&self, connection: Connection<'_>, room: &str, missed: Missed) {
        let told = Told::Lagged(connection.id(), room.to_string(), missed);
        self.log.add(told);
    }

    fn delivered(&self, _: &Handle, room: &str, delivery: Delivery) {
        self.log.add(Told::Delivered(room.to_string(), delivery));
    }
}

/// An engine with the fixture host.
pub struct Open {
    pub engine: Engine,
    pub log: Arc<Log>,
}

impl Open {
    pub fn address(&self) -> SocketAddr {
        self.engine.addresses()[0]
    }

    /// A client in the rooms of a path (`A,B?user=NAME`), and its id.
    pub fn client(&self, rooms: &str) -> (Client, ConnectionId) {
        let mut client = Client::open(self.address(), &format!("/{rooms}"));
        let id = client.id();
        (client, id)
    }
}

/// A config on a free port of the loopback.
pub fn config() -> Config {
    Config::new().listen("127.0.0.1:0").stop_spread_ms(0)
}

pub fn open(config: Config) -> Open {
    open_with(config, |_, _| ())
}

pub fn open_with(
    config: Config,
    on_message: impl Fn(Connection<'_>, Message<'_>) + Send + Sync + 'static,
) -> Open {
    let log = Arc::new(Log::default());
    let house = House {
        log: log.clone(),
        on_message: Box::new(on_message),
    };
    let engine = Engine::start(config, house).unwrap();
    Open { engine, log }
}

/// Polls until the condition holds.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let late = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < late, "{what} in time");
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// How often connections ended for this reason.
pub fn ended(engine: &Engine, reason: &str) -> u64 {
    let closed = engine.snapshot().closed;
    closed.iter().find(|(name, _)| *name == reason).unwrap().1
}
