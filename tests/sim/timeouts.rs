//! Timeouts, each at its time: handshakes, verdicts, pings, idleness, in virtual time.
//!
//! Peers that keep quiet in all ways beside peers that do what is asked of them. Each step is a
//! millisecond, and the shard sleeps in it as on a thread of its own: what comes late would show.
//! The engine counts in ticks, so each deadline may be a tick early or late, and no more. One
//! engine of one shard, on the caller's thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use roomcast::testing::Sim;
use roomcast::{
    Accept, CloseReason, Config, Connection, ConnectionId, Handler, Message, Pending, Request,
};
use roomcast_sim::{Dice, each_seed};

const TICK_MS: u64 = 8;
const PEERS: u64 = 24;

/// What the host was told, by the number in a peer's path.
#[derive(Default)]
struct Book {
    names: HashMap<ConnectionId, u64>,
    pending: BTreeMap<u64, Pending>,
    closed: BTreeMap<u64, CloseReason>,
}

struct Host(Arc<Mutex<Book>>);

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let (kind, number) = request.path()[1..].split_once('/').expect("two parts");
        let number = number.parse().expect("a number");
        let mut book = self.0.lock().unwrap();
        book.names.insert(pending.id(), number);
        match kind {
            "now" => pending.accept(Accept::new()),
            _ => drop(book.pending.insert(number, pending)),
        }
    }

    fn message(&self, _: Connection<'_>, _: Message<'_>) {}

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        let mut book = self.0.lock().unwrap();
        let number = book.names[&connection.id()];
        let before = book.closed.insert(number, reason.clone());
        assert_eq!(before, None, "closed once");
    }
}

/// The times of one run.
#[derive(Clone, Copy, Debug)]
struct Times {
    handshake: u64,
    verdict: u64,
    interval: u64,
    pong: u64,
    idle: u64,
    close: u64,
}

impl Times {
    fn roll(dice: &mut Dice) -> Times {
        Times {
            handshake: 100 + dice.below(2_000),
            verdict: 100 + dice.below(2_000),
            interval: 400 + dice.below(2_000),
            pong: 100 + dice.below(1_500),
            // Every fourth time nobody is asked to speak.
            idle: [0, 1, 1, 1][dice.below(4) as usize] * (600 + dice.below(3_000)),
            close: 50 + dice.below(500),
        }
    }

    fn config(self) -> Config {
        Config::new()
            .handshake_timeout_ms(self.handshake)
            .verdict_timeout_ms(self.verdict)
            .ping_interval_ms(self.interval)
            .ping_timeout_ms(self.pong)
            .idle_timeout_ms(self.idle)
            .close_timeout_ms(self.close)
    }
}

/// What a peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Sends its head octet by octet and never ends it.
    Dribbles,
    /// The host does not decide on it.
    Undecided,
    /// The host decides on it just in time; then it is as `Pongs`.
    Late,
    /// Says nothing at all once it is open.
    Dead,
    /// Answers pings and says nothing else.
    Pongs,
    /// Sends pings of its own and answers none: that is life, but no message.
    Pings,
    /// Sends messages, never too far apart, and answers pings.
    Talks,
}

const KINDS: [Kind; 7] = [
    Kind::Dribbles,
    Kind::Undecided,
    Kind::Late,
    Kind::Dead,
    Kind::Pongs,
    Kind::Pings,
    Kind::Talks,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Shaking,
    Open,
    /// It was sent a close frame or an answer that says the time is over.
    Told,
    Ended,
}

struct Peer {
    number: u64,
    kind: Kind,
    end: u32,
    state: State,
    /// When its state began; when it was last heard; when it last sent a message.
    since: u64,
    heard: u64,
    spoke: u64,
    pinged: Option<u64>,
    /// Milliseconds to its next word, and whether it answers a close frame.
    next: u64,
    polite: bool,
}

struct Run {
    sim: Sim,
    book: Arc<Mutex<Book>>,
    times: Times,
    now: u64,
    dice: Dice,
}

fn is_due(now: u64, since: u64, after: u64) -> bool {
    (since + after).abs_diff(now) <= TICK_MS
}

#[test]
fn who_keeps_quiet_is_closed_in_time_and_nobody_else() {
    each_seed(|mut dice| {
        let times = Times::roll(&mut dice);
        let book = Arc::new(Mutex::new(Book::default()));
        let sim = Sim::new(times.config(), Host(book.clone()));
        let run = Run {
            sim,
            book,
            times,
            now: 0,
            dice,
        };
        run.all();
    });
}

impl Run {
    fn all(mut self) {
        let mut peers = Vec::new();
        for _ in 0..9_000 {
            if (peers.len() as u64) < PEERS && self.dice.below(60) == 0 {
                peers.push(self.connect(peers.len() as u64));
            }
            for peer in &mut peers {
                self.act(peer);
            }
            self.sim.run_ms(1);
            self.now += 1;
            for peer in &mut peers {
                self.look(peer);
            }
        }
        self.count(&peers);
    }

    fn connect(&mut self, number: u64) -> Peer {
        let kind = match number < KINDS.len() as u64 {
            true => KINDS[number as usize],
            false => KINDS[self.dice.below(KINDS.len() as u64) as usize],
        };
        let end = match kind {
            Kind::Dribbles => self.sim.connect_raw(b"", true),
            Kind::Undecided | Kind::Late => self.sim.connect(&format!("/later/{number}"), true),
            _ => self.sim.connect(&format!("/now/{number}"), true),
        };
        Peer {
            number,
            kind,
            end,
            state: State::Shaking,
            since: self.now,
            heard: self.now,
            spoke: self.now,
            pinged: None,
            next: 1 + self.dice.below(50),
            polite: self.dice.below(2) == 0,
        }
    }

    /// What the peer, or the host about it, does in this millisecond.
    fn act(&mut self, peer: &mut Peer) {
        if peer.state == State::Shaking && peer.kind == Kind::Late {
            let margin = 2 * TICK_MS + 1;
            if self.now - peer.since == self.times.verdict - margin {
                let pending = self.book.lock().unwrap().pending.remove(&peer.number);
                pending.expect("it waits").accept(Accept::new());
            }
            return;
        }
        peer.next -= 1;
        if peer.next > 0 {
            return;
        }
        peer.next = 1 + self.dice.below(60);
        match (peer.kind, peer.state) {
            (Kind::Dribbles, State::Shaking) => self.sim.feed(peer.end, b"G"),
            (Kind::Pings, State::Open) => {
                self.sim.feed_frame(peer.end, 9, b"");
                peer.next = 1 + self.dice.below(self.times.interval / 2);
                self.on_heard(peer);
            }
            (Kind::Talks, State::Open) => {
                self.sim.feed_frame(peer.end, 1, b"word");
                let most = self.times.idle.max(600) - 2 * TICK_MS;
                peer.next = 1 + self.dice.below(most);
                self.on_heard(peer);
                peer.spoke = self.now;
            }
            _ => {}
        }
    }

    fn on_heard(&self, peer: &mut Peer) {
        peer.heard = self.now;
        peer.pinged = None;
    }

    /// What the peer was sent in this millisecond, and whether that was due.
    fn look(&mut self, peer: &mut Peer) {
        let output = self.sim.take_output(peer.end);
        match peer.state {
            State::Shaking => self.look_at_handshake(peer, &output),
            State::Open => self.look_at_frames(peer, &output),
            State::Told => {
                assert_eq!(output, b"", "nothing comes behind the last word");
                self.look_for_end(peer);
            }
            State::Ended => assert_eq!(output, b""),
        }
    }

    fn look_at_handshake(&mut self, peer: &mut Peer, output: &[u8]) {
        let (after, status) = match peer.kind {
            Kind::Dribbles => (self.times.handshake, "HTTP/1.1 408"),
            _ => (self.times.verdict, "HTTP/1.1 503"),
        };
        if output.is_empty() {
            self.not_overdue(peer, peer.since, after);
        } else if output.starts_with(b"HTTP/1.1 101") {
            assert!(!matches!(peer.kind, Kind::Dribbles | Kind::Undecided));
            peer.state = State::Open;
            (peer.heard, peer.spoke) = (self.now, self.now);
        } else {
            assert!(matches!(peer.kind, Kind::Dribbles | Kind::Undecided));
            assert!(output.starts_with(status.as_bytes()), "{:?}", peer.kind);
            assert!(is_due(self.now, peer.since, after), "{}", self.says(peer));
            assert!(self.sim.is_shut(peer.end), "and that is the last word");
            (peer.state, peer.since) = (State::Ended, self.now);
        }
    }

    fn look_at_frames(&mut self, peer: &mut Peer, output: &[u8]) {
        let close = output.iter().position(|b| *b == 0x88);
        let frames = &output[..close.unwrap_or(output.len())];
        let pings = frames.chunks(2).filter(|f| *f == [0x89, 0]).count();
        if pings > 0 {
            assert!(pings == 1 && peer.pinged.is_none(), "{}", self.says(peer));
            let quiet = self.now - peer.heard;
            let (least, most) = (self.times.interval * 3 / 4, self.times.interval);
            let in_time = quiet + TICK_MS >= least && quiet <= most + TICK_MS;
            assert!(in_time, "{}", self.says(peer));
            peer.pinged = Some(self.now);
            if matches!(peer.kind, Kind::Pongs | Kind::Late | Kind::Talks) {
                self.sim.feed_frame(peer.end, 10, b"");
                self.on_heard(peer);
            }
        }
        if let Some(at) = close {
            let idle = self.times.idle;
            assert_eq!(output[at + 2..at + 4], 4001u16.to_be_bytes());
            assert!(idle > 0, "{}", self.says(peer));
            assert!(is_due(self.now, peer.spoke, idle), "{}", self.says(peer));
            (peer.state, peer.since) = (State::Told, self.now);
            if peer.polite {
                self.sim.feed_frame(peer.end, 8, &4001u16.to_be_bytes());
                self.sim.settle();
            }
            self.look_for_end(peer);
        } else if let Some(reason) = self.closed(peer) {
            let pinged = peer.pinged.expect("nobody is dead who was not asked");
            assert_eq!(reason, CloseReason::PingTimeout, "{}", self.says(peer));
            let in_time = is_due(self.now, pinged, self.times.pong);
            assert!(in_time, "{}", self.says(peer));
            peer.state = State::Ended;
        } else {
            match peer.pinged {
                None => self.not_overdue(peer, peer.heard, self.times.interval),
                Some(pinged) => self.not_overdue(peer, pinged, self.times.pong),
            }
            if self.times.idle > 0 {
                self.not_overdue(peer, peer.spoke, self.times.idle);
            }
        }
    }

    /// A peer that was told ends when it answers, or when `close_timeout_ms` is over.
    fn look_for_end(&mut self, peer: &mut Peer) {
        let Some(reason) = self.closed(peer) else {
            assert!(!peer.polite, "{}", self.says(peer));
            return self.not_overdue(peer, peer.since, self.times.close);
        };
        assert_eq!(reason, CloseReason::IdleTimeout);
        let in_time = peer.polite || is_due(self.now, peer.since, self.times.close);
        assert!(in_time, "{}", self.says(peer));
        peer.state = State::Ended;
    }

    fn closed(&self, peer: &Peer) -> Option<CloseReason> {
        self.book.lock().unwrap().closed.get(&peer.number).cloned()
    }

    fn not_overdue(&self, peer: &Peer, since: u64, after: u64) {
        let overdue = self.now > since + after + TICK_MS;
        assert!(!overdue, "{after} ms after {since}: {}", self.says(peer));
    }

    fn says(&self, p: &Peer) -> String {
        let (heard, spoke, pinged) = (p.heard, p.spoke, p.pinged);
        format!(
            "at {}: peer {} {:?} {:?} since {}, heard {heard}, spoke {spoke}, pinged {pinged:?}; \
             {:?}",
            self.now, p.number, p.kind, p.state, p.since, self.times
        )
    }

    /// The metrics say the same.
    fn count(&self, peers: &[Peer]) {
        let figures = self.sim.handle().snapshot();
        let counted = |name: &str| {
            let found = figures.closed.iter().find(|(n, _)| *n == name);
            found.expect("a reason").1
        };
        let told = |reason: &CloseReason| {
            let book = self.book.lock().unwrap();
            book.closed.values().filter(|r| *r == reason).count() as u64
        };
        let shaking = |p: &&Peer| matches!(p.kind, Kind::Dribbles | Kind::Undecided);
        let ended = peers.iter().filter(|p| p.state == State::Ended);
        let unopened = ended.filter(shaking).count() as u64;
        assert_eq!(counted("handshake_timeout"), unopened);
        assert_eq!(counted("idle_timeout"), told(&CloseReason::IdleTimeout));
        assert_eq!(counted("ping_timeout"), told(&CloseReason::PingTimeout));
        for peer in peers.iter().filter(|p| p.kind == Kind::Talks) {
            assert_eq!(peer.state, State::Open, "{}", self.says(peer));
        }
    }
}
