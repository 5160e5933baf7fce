//! What lies beyond the descriptors of one machine: a million connections in one engine, on the
//! simulated network with a null sink. Prints a Markdown table. Run by hand:
//! `cargo run --release -p roomcast-benches --bin scale`.
//!
//! Live heap is counted by the global allocator. The connections' own ends (the simulated peers)
//! are made before the first figure is taken, so they are in none of the differences.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use roomcast::testing::Sim;
use roomcast::{Config, Connection, ConnectionId, Handler};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator as it is; only numbers are kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static IDS: Mutex<Vec<ConnectionId>> = Mutex::new(Vec::new());

struct Host;

impl Handler for Host {
    fn opened(&self, connection: Connection<'_>) {
        IDS.lock().expect("one thread").push(connection.id());
    }
}

struct Figures {
    connection_bytes: f64,
    membership_bytes: f64,
    delivery_ns: f64,
    publish_ns: f64,
    publish_turn_ns: f64,
    join_ns: f64,
    leave_ns: f64,
}

fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

fn measure(connections: usize) -> Figures {
    let config = Config::new().connections_max(1 << 24);
    IDS.lock().expect("one thread").clear();
    IDS.lock().expect("one thread").reserve(connections);
    let mut sim = Sim::new(config, Host);
    for _ in 0..connections {
        sim.connect_null("/");
    }
    let before = live();
    sim.settle();
    let opened = live();
    let ids = std::mem::take(&mut *IDS.lock().expect("one thread"));
    assert_eq!(ids.len(), connections);
    let handle = sim.handle().clone();

    let began = Instant::now();
    for (i, id) in ids.iter().enumerate() {
        handle
            .join(*id, &format!("a-{:014}", i / 2))
            .expect("it is taken");
        handle
            .join(*id, &format!("b-{:014}", i / 2))
            .expect("it is taken");
        if i % 1024 == 0 {
            sim.turn();
        }
    }
    sim.settle();
    let join_ns = began.elapsed().as_nanos() as f64 / connections as f64 / 2.0;
    let joined = live();

    let rounds = 12_500;
    let (mut calls, mut turns) = (Duration::ZERO, Duration::ZERO);
    for round in 0..rounds {
        let room = |i| format!("a-{:014}", (round * 16 + i) * 7919 % (connections / 2));
        let names: [String; 16] = std::array::from_fn(room);
        let began = Instant::now();
        for name in &names {
            handle.publish(name, &[7u8; 64]).expect("it is taken");
        }
        calls += began.elapsed();
        let began = Instant::now();
        sim.turn();
        turns += began.elapsed();
    }
    let each = |time: Duration| time.as_nanos() as f64 / (rounds * 16) as f64;
    let (publish_ns, publish_turn_ns) = (each(calls), each(turns));

    let began = Instant::now();
    for (i, id) in ids.iter().enumerate() {
        handle
            .leave(*id, &format!("a-{:014}", i / 2))
            .expect("it is taken");
        handle
            .leave(*id, &format!("b-{:014}", i / 2))
            .expect("it is taken");
        if i % 1024 == 0 {
            sim.turn();
        }
    }
    sim.settle();
    let leave_ns = began.elapsed().as_nanos() as f64 / connections as f64 / 2.0;

    for id in &ids {
        handle.join(*id, "everybody").expect("it is taken");
    }
    sim.settle();
    let hall = handle.room("everybody").expect("a good name");
    let turns = (10_000_000 / connections).max(2);
    let began = Instant::now();
    for _ in 0..turns {
        hall.publish(&[7u8; 64]).expect("it is taken");
        sim.settle();
    }
    let delivery_ns = began.elapsed().as_nanos() as f64 / (turns * connections) as f64;
    Figures {
        connection_bytes: (opened as f64 - before as f64) / connections as f64,
        membership_bytes: (joined - opened) as f64 / connections as f64 / 2.0,
        delivery_ns,
        publish_ns,
        publish_turn_ns,
        join_ns,
        leave_ns,
    }
}

/// Publications to each room in a round.
const BURST: usize = 4;

/// Nanoseconds of a round of publications to all rooms, publishing and delivering, for an engine
/// with so many shards, each on a thread of its own, on null sinks: medians. Every room has
/// members on every shard. Each shard's thread publishes to its part of the rooms, as callbacks
/// do, then all deliver what came: a round ends with the last of them, so nothing can pile up and
/// be joined.
fn round_ns(shards: usize, rooms: usize, members: usize) -> [f64; 2] {
    let config = Config::new()
        .connections_max(1 << 24)
        .ping_interval_ms(0)
        .turn_budget_us(1_000_000);
    let mut sims = Sim::shards(config, Host, shards);
    for _ in 0..rooms * members / shards {
        for sim in &mut sims {
            sim.connect_null("/");
            sim.settle();
        }
    }
    let handle = sims[0].handle().clone();
    let ids = std::mem::take(&mut *IDS.lock().expect("one thread at a time"));
    for (i, id) in ids.into_iter().enumerate() {
        handle
            .join(id, &(i / members).to_string())
            .expect("it is taken");
    }
    sims.iter_mut().for_each(Sim::settle);
    let before = handle.snapshot().deliveries;
    let rounds = (16_000_000 / (rooms * members)).clamp(50, 1_000);
    let steps = AtomicUsize::new(0);
    let run = |me: usize, sim: &mut Sim| -> Vec<[f64; 2]> {
        let own = (me..rooms).step_by(shards);
        let room = |n: usize| sim.handle().room(&n.to_string()).expect("a good name");
        let own: Vec<_> = own.map(room).collect();
        // Each thread adds one and waits for the others.
        let meet = |nth: usize| {
            steps.fetch_add(1, Ordering::AcqRel);
            spin_until(|| steps.load(Ordering::Acquire) >= nth * shards);
        };
        let round = |nth: usize| {
            meet(nth * 3 + 1);
            let began = Instant::now();
            for room in &own {
                for _ in 0..BURST {
                    room.publish(&[7u8; 64]).expect("nothing is behind");
                }
            }
            meet(nth * 3 + 2);
            let published = began.elapsed();
            sim.turn();
            meet(nth * 3 + 3);
            let delivered = began.elapsed() - published;
            [published, delivered].map(|time| time.as_nanos() as f64)
        };
        (0..rounds).map(round).collect()
    };
    let times = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (me, sim) in sims.iter_mut().enumerate() {
            let run = &run;
            threads.push(scope.spawn(move || run(me, sim)));
        }
        let times = threads
            .into_iter()
            .map(|thread| thread.join().expect("it ends"));
        times.collect::<Vec<_>>().swap_remove(0)
    });
    let delivered = handle.snapshot().deliveries - before;
    let expected = rounds * BURST * rooms * members;
    assert_eq!(delivered, expected as u64, "each round is delivered whole");
    [0, 1].map(|part| median(times.iter().map(|both| both[part])).1)
}

/// The least, the median and the most.
fn median(all: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut all: Vec<f64> = all.collect();
    all.sort_unstable_by(f64::total_cmp);
    (all[0], all[all.len() / 2], all[all.len() - 1])
}

fn spin_until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::hint::spin_loop();
    }
}

fn main() {
    println!(
        "| rooms x members | ns a delivery, 1 shard | publishing | delivering, 2 shards to 1 |"
    );
    println!("|---|---|---|---|");
    for (rooms, members) in [(4_000, 10), (400, 100), (40, 1_000), (1, 40_000)] {
        let pair = |_| [1, 2].map(|shards| round_ns(shards, rooms, members));
        let pairs: Vec<_> = (0..5).map(pair).collect();
        let ratio = |part: usize| {
            let (least, median, most) = median(pairs.iter().map(|[a, b]| a[part] / b[part]));
            format!("{median:.2} ({least:.2}-{most:.2})")
        };
        let each = median(pairs.iter().map(|[a, _]| a[1])).1 / (rooms * members * BURST) as f64;
        println!(
            "| {rooms} x {members} | {each:.1} | {} | {} |",
            ratio(0),
            ratio(1)
        );
    }
    println!();
    println!(
        "| connections | B each | B a membership | ns a delivery | publish to 2: call + turn \
         | join | leave |"
    );
    println!("|---|---|---|---|---|---|---|");
    for connections in [10_000, 1_000_000] {
        let f = measure(connections);
        println!(
            "| {connections} | {:.0} | {:.0} | {:.1} | {:.0} + {:.0} ns | {:.0} ns | {:.0} ns |",
            f.connection_bytes,
            f.membership_bytes,
            f.delivery_ns,
            f.publish_ns,
            f.publish_turn_ns,
            f.join_ns,
            f.leave_ns
        );
    }
}
