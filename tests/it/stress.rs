//! Churn from all sides for a while: for ThreadSanitizer, and for whoever waits for ever.
//!
//! In: publishers, joins, leaves, closes and newcomers at the same time, on two shards. Out: order
//! kept for those who stay, and nothing left when all have gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roomcast::{Accept, ConnectionId, Engine, Event, Handle, Publication};

use crate::client::{CLOSE, Client, PATIENCE};
use crate::house::{Open, config, open, open_with, until};

const ROOMS: [&str; 3] = ["a", "b", "c"];
const READERS: usize = 4;
const PUBLISHERS: usize = 4;
/// How far a publisher is ahead of the slowest reader at most: further, and on a busy machine
/// readers are slow peers in earnest.
const LEAD: u64 = 2_000;

/// What each reader has read last of each publisher.
#[derive(Default)]
struct Progress([[AtomicU64; PUBLISHERS]; READERS]);

impl Progress {
    fn slowest(&self, publisher: usize) -> u64 {
        let read = self.0.iter().map(|r| r[publisher].load(Ordering::Relaxed));
        read.min().unwrap()
    }
}

fn lasting(time: Duration) -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    let set = over.clone();
    thread::spawn(move || {
        thread::sleep(time);
        set.store(true, Ordering::Relaxed);
    });
    over
}

/// Publishes numbered messages in all ways that a member of all rooms sees in order; what is
/// refused is tried again.
fn publish(handle: &Handle, me: usize, progress: &Progress, over: &AtomicBool) {
    let mut n = 1u64;
    while !over.load(Ordering::Relaxed) {
        if n > progress.slowest(me) + LEAD {
            thread::yield_now();
            continue;
        }
        let text = format!("{me}:{n}");
        let room = ROOMS[n as usize % 3];
        let taken = match n % 5 {
            0 => handle.publish_union(&["b", "a"], text.as_str()).is_ok(),
            1 => {
                let nobody = [ConnectionId::from_u64(n)];
                let publication = Publication::text(&text).except(&nobody);
                handle.publish(room, publication).is_ok()
            }
            2 => handle.room(room).unwrap().publish(text.as_str()).is_ok(),
            3 => handle.send_all(text.as_str()).is_ok(),
            _ => handle.publish(room, text.as_str()).is_ok(),
        };
        n += u64::from(taken);
        if !taken || n.is_multiple_of(16) {
            thread::yield_now();
        }
    }
}

/// Reads until closed; nothing of any publisher may be missing or come twice.
fn read_in_order(mut client: Client, last: &[AtomicU64; PUBLISHERS]) {
    while let Some(frame) = client.next_or_end() {
        if frame.opcode == CLOSE {
            client.close(1000, "");
            continue;
        }
        if let Some((me, n)) = frame.text().split_once(':')
            && let Ok(me) = me.parse::<usize>()
        {
            let n: u64 = n.parse().unwrap();
            let before = last[me].swap(n, Ordering::Relaxed);
            assert_eq!(n, before + 1, "of publisher {me}");
        }
    }
}

/// Newcomers that join, speak, leave and go in every way.
fn churn(house: &Open, over: &AtomicBool) {
    for n in 0.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let (mut client, id) = house.client(ROOMS[n % 3]);
        let handle = &house.engine;
        for room in ROOMS {
            let _ = handle.join(id, room);
        }
        client.say("b");
        let _ = handle.leave(id, ROOMS[n % 2]);
        let _ = handle.send(id, "private");
        match n % 4 {
            0 => client.close(1000, ""),
            1 => drop(handle.close(id, 4000, "go")),
            2 => drop(handle.leave(id, "b")),
            _ => drop(handle.send_user("nobody", "x")),
        }
    }
}

#[test]
fn stress_publish_join_leave_and_close_from_all_sides() {
    let house = open_with(config().shards(2), |connection, message| {
        let sender = [connection.id()];
        let publication = Publication::from(message).except(&sender);
        let _ = connection.handle().publish("b", publication);
    });
    let progress = Arc::new(Progress::default());
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (client, progress) = (house.client("a,b,c").0, progress.clone());
            thread::spawn(move || read_in_order(client, &progress.0[reader]))
        })
        .collect();
    let over = lasting(Duration::from_secs(2));
    thread::scope(|scope| {
        for me in 0..PUBLISHERS {
            let (handle, progress, over) = (house.engine.handle(), &progress, &over);
            scope.spawn(move || publish(&handle, me, progress, over));
        }
        for _ in 0..2 {
            scope.spawn(|| churn(&house, &over));
        }
        while !over.load(Ordering::Relaxed) {
            let all = house.engine.connections().unwrap();
            assert!(all.len() >= READERS, "who reads, stays");
            let _ = (house.engine.snapshot(), house.engine.rooms());
            house.engine.members("a").unwrap();
        }
    });
    let report = house.engine.stop();
    assert!(
        report.connections >= READERS,
        "{report:?} {:?}",
        house.engine.snapshot().closed
    );
    readers.into_iter().for_each(|r| r.join().unwrap());
    for publisher in 0..PUBLISHERS {
        assert!(progress.slowest(publisher) > 0);
    }
    assert!(
        house.engine.rooms().is_empty(),
        "{:?}",
        house.engine.rooms()
    );
    assert_eq!(house.engine.snapshot().connections, 0);
}

#[test]
fn stress_events_taken_by_two_threads_while_peers_flood() {
    let limits = config().shards(2).connection_events_max(8);
    let (engine, events) = Engine::start_with_events(limits).unwrap();
    let address = engine.addresses()[0];
    let over = lasting(Duration::from_secs(1));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(event) = events.recv() {
                    match event {
                        Event::Connecting { pending, .. } => {
                            pending.accept(Accept::new().room("r"));
                        }
                        Event::Message { peer, .. } => {
                            let _ = engine.send(peer.id(), "heard");
                        }
                        _ => {}
                    }
                }
            });
        }
        let peers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let mut client = Client::open(address, "/");
                        for _ in 0..50 {
                            client.say("x");
                        }
                        for _ in 0..50 {
                            assert_eq!(client.text(), "heard");
                        }
                    }
                })
            })
            .collect();
        peers.into_iter().for_each(|p| p.join().unwrap());
        engine.stop();
    });
    assert!(events.is_ended());
}

#[test]
fn stress_wake_ups_are_not_lost() {
    // One message at a time, so that each must wake a sleeping shard.
    let house = open(config().shards(2));
    let mut clients: Vec<_> = (0..2).map(|_| house.client("r")).collect();
    let began = Instant::now();
    for n in 0..400 {
        let text = n.to_string();
        match n % 2 {
            0 => drop(house.engine.publish("r", &text).unwrap()),
            _ => clients
                .iter()
                .for_each(|c| house.engine.send(c.1, &text).unwrap()),
        }
        for (client, _) in &mut clients {
            assert_eq!(client.text(), text);
        }
    }
    assert!(began.elapsed() < PATIENCE);
    drop(clients);
    until("all to go", || house.engine.rooms().is_empty());
}
