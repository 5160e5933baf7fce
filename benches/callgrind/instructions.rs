//! One hot path, repeated: `instructions CASE ROUNDS`. Run under callgrind by `run`, twice with
//! different rounds, so that the difference is the path alone.
//!
//! Cases: `in-step` (1 room x 1,000 members, 16 publications of 64 B a turn), `multi-room` (1,000
//! members, each in a room of 1,000, of 100 and of 10; 1, 3 and 10 publications, the sender left
//! out of the small ones), `parse` (64 B text messages in one read). With `+limits` behind its name
//! the first two run with every limit and metric on. Prints how many deliveries or messages one
//! round is.

use roomcast::testing::{Sim, probe};
use roomcast::{Accept, Config, ConnectionId, Handler, Pending, Publication, Request};

const MEMBERS: usize = 1_000;

struct Rooms;

impl Handler for Rooms {
    fn connecting(&self, request: &Request, pending: Pending) {
        let mut accept = Accept::new();
        for name in request.path().trim_start_matches('/').split(',') {
            accept = accept.room(name);
        }
        pending.accept(accept);
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let case = args.next().unwrap_or_default();
    let rounds: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (case, hardened) = match case.strip_suffix("+limits") {
        Some(case) => (case, true),
        None => (case.as_str(), false),
    };
    let per_round = match case {
        "in-step" => in_step(rounds, hardened),
        "multi-room" => multi_room(rounds, hardened),
        "parse" => parse(rounds),
        other => panic!("no case {other:?}: in-step, multi-room or parse"),
    };
    println!("{per_round}");
}

fn engine(hardened: bool, path: impl Fn(usize) -> String) -> Sim {
    let mut config = Config::new().ping_interval_ms(0);
    if hardened {
        config = config
            .address_connections_max(100_000)
            .user_connections_max(100_000)
            .accept_rate_max(1_000_000)
            .message_rate_max(1_000_000)
            .deflate_level(1)
            .metrics_path(Some("/metrics".into()))
            .websocket_metrics(true);
    }
    let mut sim = Sim::new(config, Rooms);
    for member in 0..MEMBERS {
        sim.connect_null(&path(member));
    }
    sim.settle();
    sim
}

fn in_step(rounds: usize, hardened: bool) -> usize {
    let mut sim = engine(hardened, |_| "/hall".into());
    let room = sim.handle().room("hall").expect("a good name");
    let payload = [7u8; 64];
    for _ in 0..rounds {
        for _ in 0..16 {
            room.publish(&payload).expect("it is taken");
        }
        sim.settle();
    }
    16 * MEMBERS
}

fn multi_room(rounds: usize, hardened: bool) -> usize {
    let mut sim = engine(hardened, |m| {
        format!("/hall,floor-{},desk-{}", m / 100, m / 10)
    });
    let hall = sim.handle().room("hall").expect("a good name");
    let payload = [7u8; 64];
    for round in 0..rounds {
        hall.publish(&payload).expect("it is taken");
        for i in 0..3 {
            let floor = format!("floor-{}", (round * 3 + i) % 10);
            except_first(&sim, &floor, &payload);
        }
        for i in 0..10 {
            let desk = format!("desk-{}", (round * 10 + i) % 100);
            except_first(&sim, &desk, &payload);
        }
        sim.settle();
    }
    MEMBERS + 3 * 99 + 10 * 9
}

/// The first member is the sender. Slots are given in order of arrival, and ids in order of slots.
fn except_first(sim: &Sim, room: &str, payload: &[u8]) {
    let number: usize = room
        .rsplit('-')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let size = if room.starts_with("floor") { 100 } else { 10 };
    let sender = [ConnectionId::from_u64(1 << 24 | (number * size) as u64)];
    let publication = Publication::binary(payload).except(&sender);
    let published = sim
        .handle()
        .publish(room, publication)
        .expect("it is taken");
    assert_eq!(published.members, size);
}

fn parse(rounds: usize) -> usize {
    let mut frames = Vec::new();
    for _ in 0..200 {
        frames.extend_from_slice(&[0x81, 0x80 | 64, 1, 2, 3, 4]);
        frames.extend((0..64u8).map(|i| b'a' ^ (1 + i % 4)));
    }
    for _ in 0..rounds {
        let mut buffer = frames.clone();
        assert_eq!(probe::read_in_place(&mut buffer), 200);
    }
    200
}
