//! One hot path, repeated: `instructions CASE ROUNDS`. Run under callgrind by `run`, twice with
//! different rounds, so that the difference is the path alone.
//!
//! Cases: `in-step` (1 room x 1,000 members, 16 publications of 64 B a turn), `multi-room` (1,000
//! members, each in a room of 1,000, of 100 and of 10; 1, 3 and 10 publications, the sender left
//! out of the small ones), `parse` (64 B text messages in one read), `filtered` (1 room x 1,000
//! members with 10 filters, each of which matches a tenth of 160 publications a turn), `conflate`
//! (2 publications of each of 1,000 keys in an interval, to 10 members: all that a publication
//! takes), `watch` (1,000 members who watch 10 of 1,000 keys each, 100 publications a turn). With
//! `+limits` behind its name the first two run with every limit and metric on. Prints how many
//! deliveries, messages or (`conflate`) publications one round is.

use roomcast::testing::{Sim, probe};
use roomcast::{
    Accept, Config, ConnectionId, Filter, Handler, Join, Pending, Publication, Request, RoomOptions,
};

const MEMBERS: usize = 1_000;
const FILTERS: usize = 10;
const KEYS: usize = 1_000;
/// Members who watch one key, and keys that one member watches.
const WATCHERS: usize = MEMBERS * 10 / KEYS;

struct Rooms;

impl Handler for Rooms {
    fn connecting(&self, request: &Request, pending: Pending) {
        let mut accept = Accept::new();
        if let Some(join) = how(request) {
            return pending.accept(accept.room_with("hall", join));
        }
        for name in request.path().trim_start_matches('/').split(',') {
            accept = accept.room(name);
        }
        pending.accept(accept);
    }
}

/// `?group=N`: the publications with this tag. `?keys=N`: those of ten keys, from this one on.
fn how(request: &Request) -> Option<Join> {
    if let Some(group) = request.query_value("group") {
        return Some(Join::new().filter(Filter::eq("group", group)));
    }
    let first: usize = request.query_value("keys")?.parse().ok()?;
    let keys = (0..10).map(|n| ((first + n) % KEYS).to_string());
    Some(Join::new().keys(keys))
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
        "filtered" => filtered(rounds),
        "conflate" => conflate(rounds),
        "watch" => watch(rounds),
        other => panic!("no case {other:?}: see the beginning of this file"),
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

fn filtered(rounds: usize) -> usize {
    let mut sim = engine(false, |member| format!("/hall?group={}", member % FILTERS));
    let room = sim.handle().room("hall").expect("a good name");
    let groups: Vec<String> = (0..FILTERS).map(|group| group.to_string()).collect();
    let payload = [7u8; 64];
    for _ in 0..rounds {
        for nth in 0..16 * FILTERS {
            let tags = [("group", &*groups[nth % FILTERS])];
            let publication = Publication::binary(&payload).tags(&tags);
            room.publish(publication).expect("it is taken");
        }
        sim.settle();
    }
    came(&sim, rounds * 16 * MEMBERS);
    16 * MEMBERS
}

/// So many frames were sent.
fn came(sim: &Sim, frames: usize) {
    assert_eq!(sim.handle().snapshot().deliveries, frames as u64);
}

fn conflate(rounds: usize) -> usize {
    let options = RoomOptions::new().flush_interval_ms(100).conflate(true);
    let config = Config::new()
        .ping_interval_ms(0)
        .room_options("hall", options);
    let mut sim = Sim::new(config, Rooms);
    for _ in 0..10 {
        sim.connect_null("/hall");
    }
    sim.settle();
    let room = sim.handle().room("hall").expect("a good name");
    let keys: Vec<String> = (0..KEYS).map(|key| key.to_string()).collect();
    let payload = [7u8; 64];
    for _ in 0..rounds {
        for turn in keys.chunks(100).chain(keys.chunks(100)) {
            for key in turn {
                let publication = Publication::binary(&payload).key(key);
                room.publish(publication).expect("it is taken");
            }
            sim.settle();
        }
        sim.pass_ns(100_000_000);
        sim.settle();
    }
    came(&sim, rounds * KEYS * 10);
    2 * KEYS
}

fn watch(rounds: usize) -> usize {
    let mut sim = engine(false, |member| {
        format!("/hall?keys={}", member * KEYS / MEMBERS)
    });
    let room = sim.handle().room("hall").expect("a good name");
    let keys: Vec<String> = (0..KEYS).map(|key| key.to_string()).collect();
    let payload = [7u8; 64];
    for round in 0..rounds {
        for nth in 0..100 {
            let key = &keys[(round * 100 + nth * 7) % KEYS];
            let publication = Publication::binary(&payload).key(key);
            room.publish(publication).expect("it is taken");
        }
        sim.settle();
    }
    came(&sim, rounds * 100 * WATCHERS);
    100 * WATCHERS
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
