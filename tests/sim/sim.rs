//! Whole engines in virtual time: the very turn that runs on the kernel, on a network that can be
//! stuck, cut and resumed at will.
//!
//! Payloads say which publication they are, so that what each connection was sent can be held
//! against what was asked for, in order.

mod accepts;
mod budget;
mod crowd;
mod desk;
mod found;
mod frames;
mod news;
mod paced;
mod presence;
mod refusals;
mod relief;
mod reports;
mod storm;
mod timeouts;
mod tokens;
mod watching;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use roomcast::testing::Sim;
use roomcast::{
    Accept, CloseReason, Config, Connection, ConnectionId, Handler, Message, Pending, Request,
};
use roomcast_sim::{Dice, each_seed};

/// What the host was told.
#[derive(Default)]
struct Log {
    opened: HashMap<String, ConnectionId>,
    closed: HashMap<ConnectionId, Vec<CloseReason>>,
    messages: usize,
}

struct Host(Arc<Mutex<Log>>);

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let name = request.path().trim_start_matches('/').to_owned();
        pending.accept(Accept::new().user(name));
    }

    fn opened(&self, connection: Connection<'_>) {
        let name = connection.user().expect("everybody has a name").to_owned();
        self.0.lock().unwrap().opened.insert(name, connection.id());
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        self.0.lock().unwrap().messages += 1;
        connection.send(message).expect("an echo is taken");
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        let mut log = self.0.lock().unwrap();
        log.closed
            .entry(connection.id())
            .or_default()
            .push(reason.clone());
    }
}

fn engine(config: Config) -> (Sim, Arc<Mutex<Log>>) {
    let log = Arc::new(Mutex::new(Log::default()));
    (Sim::new(config, Host(log.clone())), log)
}

/// The payloads of the text frames of a stream that begins with a 101.
fn texts(stream: &[u8]) -> Vec<String> {
    frames::texts(&frames::frames(stream).expect("a 101"))
}

/// A connection of the test, and what it is owed.
struct Peer {
    number: u32,
    id: ConnectionId,
    rooms: Vec<String>,
    owed: Vec<String>,
    gone: bool,
}

#[test]
fn everybody_is_sent_what_was_asked_for_in_order() {
    each_seed(|mut dice| {
        let config = Config::new().turn_budget_us(10).ping_interval_ms(0);
        let (mut sim, log) = engine(config);
        let mut peers: Vec<Peer> = Vec::new();
        for step in 0..400 {
            act(&mut sim, &log, &mut peers, &mut dice, step);
        }
        for peer in peers.iter().filter(|p| !p.gone) {
            sim.set_place(peer.number, usize::MAX);
        }
        sim.settle();
        for peer in &peers {
            let got = texts(&sim.take_output(peer.number));
            match peer.gone {
                true => assert!(
                    peer.owed.starts_with(&got),
                    "{} of {}",
                    got.len(),
                    peer.owed.len()
                ),
                false => assert_eq!(got, peer.owed, "connection {}", peer.number),
            }
            sim.end(peer.number);
        }
        sim.settle();
        let log = log.lock().unwrap();
        for peer in &peers {
            assert_eq!(
                log.closed.get(&peer.id).map(Vec::len),
                Some(1),
                "closed once"
            );
        }
        let figures = sim.handle().snapshot();
        assert_eq!((figures.rooms, figures.connections), (0, 0));
        assert_eq!((figures.tape_bytes, figures.outbox_bytes), (0, 0));
    });
}

fn act(sim: &mut Sim, log: &Mutex<Log>, peers: &mut Vec<Peer>, dice: &mut Dice, step: usize) {
    let room = format!("room-{}", dice.below(4));
    let chosen = (!peers.is_empty()).then(|| dice.below(peers.len() as u64) as usize);
    let what = dice.below(100);
    if what < 12 && peers.len() < 20 {
        return connect(sim, log, peers, step);
    }
    match (what, chosen.map(|i| &mut peers[i]).filter(|p| !p.gone)) {
        (12..30, Some(peer)) => {
            sim.handle().join(peer.id, &room).expect("a join is taken");
            peer.rooms.push(room);
        }
        (30..38, Some(peer)) => {
            sim.handle()
                .leave(peer.id, &room)
                .expect("a leave is taken");
            peer.rooms.retain(|r| *r != room);
        }
        (38..44, Some(peer)) => {
            let text = format!("private {step}");
            sim.handle()
                .send(peer.id, &text)
                .expect("a message is taken");
            peer.owed.push(text);
        }
        (44..48, Some(peer)) => sim.set_place(peer.number, dice.below(300) as usize),
        (48..52, Some(peer)) => sim.set_place(peer.number, usize::MAX),
        (52..54, Some(peer)) => {
            sim.reset(peer.number);
            peer.gone = true;
        }
        (54..58, Some(peer)) => sim.feed_frame(peer.number, 9, b"ping"),
        (58..68, _) => sim.turn(),
        (68..72, _) => sim.settle(),
        (72..80, Some(peer)) => {
            let except = peer.id;
            publish(sim, peers, &[&room], Some(except), step, dice);
        }
        (80..86, _) => publish(sim, peers, &["room-0", "room-2"], None, step, dice),
        _ => publish(sim, peers, &[&room], None, step, dice),
    }
}

fn connect(sim: &mut Sim, log: &Mutex<Log>, peers: &mut Vec<Peer>, step: usize) {
    let number = sim.connect(&format!("/{step}"), true);
    sim.settle();
    let id = log.lock().unwrap().opened[&step.to_string()];
    let (rooms, owed) = (Vec::new(), Vec::new());
    peers.push(Peer {
        number,
        id,
        rooms,
        owed,
        gone: false,
    });
}

fn publish(
    sim: &Sim,
    peers: &mut [Peer],
    rooms: &[&str],
    except: Option<ConnectionId>,
    step: usize,
    dice: &mut Dice,
) {
    let text = format!("{step} {}", "x".repeat(dice.below(300) as usize));
    let except: Vec<ConnectionId> = except.into_iter().collect();
    let publication = roomcast::Publication::text(&text).except(&except);
    match rooms {
        [one] => sim.handle().publish(one, publication),
        union => sim.handle().publish_union(union, publication),
    }
    .expect("a publication is taken");
    for peer in peers
        .iter_mut()
        .filter(|p| !p.gone && !except.contains(&p.id))
    {
        if peer.rooms.iter().any(|r| rooms.contains(&r.as_str())) {
            peer.owed.push(text.clone());
        }
    }
}

#[test]
fn timeouts_fire_in_their_time() {
    let config = Config::new()
        .handshake_timeout_ms(1_000)
        .ping_interval_ms(4_000)
        .ping_timeout_ms(2_000);
    let (mut sim, log) = engine(config);
    let silent = sim.connect_raw(b"GET / HT", true);
    let dead = sim.connect("/dead", true);
    let alive = sim.connect("/alive", true);
    sim.settle();
    sim.advance_ms(900);
    assert_eq!(sim.take_output(silent), b"");
    sim.advance_ms(200);
    assert!(sim.take_output(silent).starts_with(b"HTTP/1.1 408"));
    for _ in 0..8 {
        sim.advance_ms(1_000);
        sim.feed_frame(alive, 10, b"");
    }
    sim.settle();
    let log = log.lock().unwrap();
    let closed = |name: &str| log.closed.get(&log.opened[name]);
    assert_eq!(closed("dead"), Some(&vec![CloseReason::PingTimeout]));
    assert_eq!(closed("alive"), None);
    assert!(sim.take_output(dead).ends_with(&[0x89, 0]), "it was pinged");
}

#[test]
fn stopping_is_spread_and_bounded() {
    let config = Config::new()
        .stop_spread_ms(400)
        .stop_timeout_ms(2_000)
        .ping_interval_ms(0);
    let (mut sim, log) = engine(config);
    let peers: Vec<u32> = (0..100)
        .map(|i| sim.connect(&format!("/{i}"), true))
        .collect();
    sim.settle();
    sim.set_place(peers[7], 0);
    sim.stop();
    sim.advance_ms(200);
    let told = |sim: &mut Sim| {
        let closing = |p: &&u32| {
            sim.take_output(**p)
                .windows(4)
                .any(|w| w[..1] == [0x88] && w[2..] == [3, 0xe9])
        };
        peers.iter().filter(closing).count()
    };
    let early = told(&mut sim);
    assert!(
        (20..80).contains(&early),
        "{early} of 100 at half of the spread"
    );
    sim.advance_ms(300);
    assert_eq!(early + told(&mut sim), 99, "everybody but the stuck one");
    assert!(sim.is_running());
    sim.advance_ms(2_000);
    assert!(!sim.is_running());
    assert_eq!(log.lock().unwrap().closed.len(), 100);
}
