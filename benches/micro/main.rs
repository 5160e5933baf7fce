//! Hot paths one by one, for comparing two states of the code on one machine:
//! `cargo bench -p roomcast-benches`. Wall time informs; what gates is `callgrind/`.
//!
//! Transports through their doors, the rest through an engine on the simulated network, whose
//! sockets only count. CI compiles these and runs each once.

mod tokens;

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use roomcast::testing::{Sim, probe};
use roomcast::{
    Accept, Config, Connection, ConnectionId, Grants, Handler, Keys, Pending, Request, RoomOptions,
    Verb, Verify,
};

const MESSAGES: u64 = 200;
const BURST: u64 = 16;

/// Accepts into the room that the path names; keeps the ids in the order of opening.
#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<Vec<ConnectionId>>>);

impl Handler for Rooms {
    fn connecting(&self, request: &Request, pending: Pending) {
        let user = request.query().unwrap_or_default();
        let accept = Accept::new().user(user).info(r#"{"name":"Ada"}"#);
        pending.accept(accept.room(request.path()));
    }

    fn opened(&self, connection: Connection<'_>) {
        self.0.lock().expect("one thread").push(connection.id());
    }
}

fn engine(members: usize) -> (Sim, Vec<ConnectionId>) {
    engine_with(members, RoomOptions::new())
}

fn engine_with(members: usize, options: RoomOptions) -> (Sim, Vec<ConnectionId>) {
    let rooms = Rooms::default();
    let config = Config::new().room_options("/hall", options);
    let mut sim = Sim::new(config.ping_interval_ms(0), rooms.clone());
    for member in 0..members {
        sim.connect(&format!("/hall?{}", member / 2), false);
    }
    sim.settle();
    let ids = rooms.0.lock().expect("one thread").clone();
    (sim, ids)
}

/// Masked text frames of 64 B, as they lie in a read.
fn masked() -> Vec<u8> {
    let mut frames = Vec::new();
    for _ in 0..MESSAGES {
        frames.extend_from_slice(&[0x81, 0x80 | 64, 1, 2, 3, 4]);
        frames.extend((0..64u8).map(|i| b'a' ^ (1 + i % 4)));
    }
    frames
}

fn parse(c: &mut Criterion) {
    let frames = masked();
    let mut group = c.benchmark_group("parse");
    group.throughput(Throughput::Elements(MESSAGES));
    group.bench_function("200 messages of 64 B", |b| {
        let read = |buffer: &mut Vec<u8>| probe::read_in_place(buffer);
        b.iter_batched_ref(|| frames.clone(), read, BatchSize::SmallInput);
    });
    group.finish();
}

fn frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for len in [64, 1024, 70_000] {
        group.bench_function(format!("header of {len} B"), |b| {
            b.iter(|| probe::text_header(black_box(len)));
        });
    }
    group.finish();
}

/// A burst is appended to the tape, swept and let go.
fn tape(c: &mut Criterion) {
    let mut group = c.benchmark_group("tape");
    group.throughput(Throughput::Elements(BURST));
    for (members, len) in [(1, 64), (1, 1024), (1, 20_000), (1000, 64)] {
        let (mut sim, _) = engine(members);
        let room = sim.handle().room("/hall").expect("a good name");
        let payload = vec![7; len];
        group.bench_function(format!("16 of {len} B to {members}"), |b| {
            b.iter(|| {
                for _ in 0..BURST {
                    room.publish(&payload[..]).expect("it is taken");
                }
                sim.turn();
            });
        });
    }
    group.finish();
}

fn rooms(c: &mut Criterion) {
    let (mut sim, ids) = engine(1);
    let handle = sim.handle().clone();
    let mut group = c.benchmark_group("rooms");
    group.bench_function("a new room: join and leave", |b| {
        b.iter(|| {
            handle.join(ids[0], "new").expect("it is taken");
            handle.leave(ids[0], "new").expect("it is taken");
            sim.turn();
        });
    });
    group.bench_function("publish to nobody by name", |b| {
        b.iter(|| handle.publish(black_box("nowhere"), "hello"));
    });
    let empty = handle.room("empty").expect("a good name");
    group.bench_function("publish to nobody by handle", |b| {
        b.iter(|| empty.publish(black_box("hello")));
    });
    group.finish();
}

/// Messages to one connection go through its outbox.
fn outbox(c: &mut Criterion) {
    let (mut sim, ids) = engine(1);
    let handle = sim.handle().clone();
    let mut group = c.benchmark_group("outbox");
    group.throughput(Throughput::Elements(BURST));
    group.bench_function("16 private messages of 64 B", |b| {
        b.iter(|| {
            for _ in 0..BURST {
                handle.send(ids[0], &[7; 64]).expect("it is taken");
            }
            sim.turn();
        });
    });
    group.finish();
}

/// A token of each algorithm, each with the one key that it needs.
fn jwt(c: &mut Criterion) {
    let keys = |alg: &str| match alg {
        "HS256" => Keys::new().hs256(tokens::SECRET),
        "RS256" => Keys::new().rs256_pem(tokens::RSA),
        "ES256" => Keys::new().es256_pem(tokens::EC),
        _ => Keys::new().eddsa_pem(tokens::ED),
    };
    let mut group = c.benchmark_group("jwt");
    for (alg, token) in [
        ("HS256", tokens::HS256_TOKEN),
        ("RS256", tokens::RS256_TOKEN),
        ("ES256", tokens::ES256_TOKEN),
        ("EdDSA", tokens::EDDSA_TOKEN),
    ] {
        let keys = keys(alg).expect("a good key");
        let check = || keys.verify(black_box(token), tokens::NOW_S);
        assert!(check().is_ok(), "{alg}");
        group.bench_function(format!("check by {alg}"), |b| b.iter(check));
    }
    group.finish();
}

/// 16 names and 16 beginnings of names: what is named, what begins so, and what is not allowed.
fn grants(c: &mut Criterion) {
    let grants = (0..16).fold(Grants::new(), |grants, n| {
        let verbs = &[Verb::Join, Verb::Publish];
        let grants = grants.allow(&format!("team:{n}:hall"), verbs);
        grants.allow(&format!("team:{n}:board:*"), verbs)
    });
    let mut group = c.benchmark_group("grants");
    for (name, room, may) in [
        ("a name", "team:7:hall", true),
        ("the first beginning", "team:0:board:plans", true),
        ("the last beginning", "team:9:board:plans", true),
        ("nothing", "team:99:board:plans", false),
    ] {
        assert_eq!(grants.may(Verb::Publish, room), may);
        group.bench_function(name, |b| {
            b.iter(|| grants.may(black_box(Verb::Publish), black_box(room)));
        });
    }
    group.finish();
}

/// Members of a room of 10,000 go and come again; counts and pages are asked for. Time stands
/// still, so no notice is made.
fn presence(c: &mut Criterion) {
    const MEMBERS: usize = 10_000;
    let mut group = c.benchmark_group("presence");
    let counted = RoomOptions::new().presence(true);
    for (name, options) in [
        ("without", RoomOptions::new()),
        ("with", counted),
        ("with notices", counted.presence_interval_ms(1_000)),
    ] {
        let (mut sim, ids) = engine_with(MEMBERS, options);
        let handle = sim.handle().clone();
        let mut parts = ids.chunks(MESSAGES as usize).cycle();
        group.throughput(Throughput::Elements(MESSAGES));
        group.bench_function(format!("200 leave and join {name}"), |b| {
            b.iter(|| {
                let part = parts.next().expect("a cycle");
                for id in part {
                    handle.leave(*id, "/hall").expect("it is taken");
                    handle.join(*id, "/hall").expect("it is taken");
                }
                sim.turn();
            });
        });
    }
    let (sim, _) = engine_with(MEMBERS, counted);
    let room = sim.handle().room("/hall").expect("a good name");
    group.throughput(Throughput::Elements(1));
    group.bench_function("counts of 10,000", |b| b.iter(|| room.presence()));
    for limit in [100, 1_000] {
        group.throughput(Throughput::Elements(limit as u64));
        group.bench_function(format!("page of {limit} of 10,000"), |b| {
            let mut after = None;
            b.iter(|| {
                let page = room.present(after, limit);
                after = page.next;
                page
            });
        });
    }
    group.finish();
}

criterion_group!(
    benches, parse, frame, tape, rooms, outbox, jwt, grants, presence
);
criterion_main!(benches);
