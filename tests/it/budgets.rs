//! Fairness: a large room under a flood does not delay a small one on the same shard.
//!
//! In: a publisher that fills a large room as fast as it is taken. Out: how long a message of a
//! small room takes, at its client, beside the engine's own figures.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{PATIENCE, upgrade};
use crate::house::{config, open, until};

/// Members who read whatever comes, all on one thread.
fn sink(address: std::net::SocketAddr, members: usize, done: Arc<AtomicBool>) -> impl FnOnce() {
    use std::io::Write;
    let open = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(upgrade("/big", &[]).as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut streams: Vec<_> = (0..members).map(open).collect();
    let reader = thread::spawn(move || {
        let mut chunk = vec![0; 256 * 1024];
        while !done.load(Ordering::Relaxed) {
            for stream in &mut streams {
                let _ = stream.read(&mut chunk);
            }
        }
    });
    move || reader.join().unwrap()
}

#[test]
fn a_flooded_large_room_does_not_delay_a_small_one() {
    let house = open(config().shards(1));
    let done = Arc::new(AtomicBool::new(false));
    let join_sink = sink(house.address(), 300, done.clone());
    until("them to join", || house.engine.count("big") == 300);
    let mut small: Vec<_> = (0..10).map(|_| house.client("small").0).collect();
    let (handle, stop) = (house.engine.handle(), done.clone());
    let taken = Arc::new(AtomicU64::new(0));
    let count = taken.clone();
    let flood = thread::spawn(move || {
        let text = "x".repeat(64);
        while !stop.load(Ordering::Relaxed) {
            match handle.publish("big", &text) {
                Ok(_) => drop(count.fetch_add(1, Ordering::Relaxed)),
                Err(_) => thread::yield_now(),
            }
        }
    });
    until("a flood", || taken.load(Ordering::Relaxed) > 1000);
    let began = Instant::now();
    let mut times: Vec<Duration> = (0..30)
        .map(|n| {
            let text = n.to_string();
            let began = Instant::now();
            house.engine.publish("small", &text).unwrap();
            assert_eq!(small[n % 10].text(), text);
            for (_, other) in small.iter_mut().enumerate().filter(|(i, _)| *i != n % 10) {
                assert_eq!(other.text(), text);
            }
            began.elapsed()
        })
        .collect();
    assert!(began.elapsed() < PATIENCE);
    done.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    join_sink();
    times.sort();
    let (median, worst) = (times[15], times[29]);
    // Most of it is the scheduler of a busy machine; a sweep of the backlog would take seconds.
    assert!(median < Duration::from_millis(500), "{median:?} {worst:?}");
    assert!(worst < Duration::from_secs(5), "{median:?} {worst:?}");
    // In a debug build one write is slow, and the budget is looked at between members.
    let turn = house.engine.snapshot().turn.quantile_ns(0.5);
    assert!(turn < 50_000_000, "{turn} ns");
}

#[test]
fn a_publisher_of_many_rooms_reaches_all_of_them() {
    let house = open(config().shards(1).turn_budget_us(10));
    let mut members: Vec<_> = (0..30)
        .map(|n| house.client(&format!("{}", n % 20)).0)
        .collect();
    for round in 0..20 {
        for room in 0..20 {
            let text = format!("{round}:{room}");
            house.engine.publish(&room.to_string(), &text).unwrap();
        }
    }
    for (n, member) in members.iter_mut().enumerate() {
        for round in 0..20 {
            assert_eq!(member.text(), format!("{round}:{}", n % 20));
        }
    }
}
