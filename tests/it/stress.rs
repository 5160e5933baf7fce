//! Churn from all sides for a while: for ThreadSanitizer, and for whoever waits for ever.
//!
//! In: publishers, joins, leaves, closes and newcomers at the same time, on two shards. Out: order
//! kept for those who stay, and nothing left when all have gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roomcast::{Accept, ConnectionId, Engine, Event, Handle, Publication};

use crate::client::{CLOSE, Client, PATIENCE};
use crate::house::{Open, config, open, open_with, until};

const ROOMS: [&str; 3] = ["a", "b", "c"];

fn lasting(time: Duration) -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    let set = over.clone();
    thread::spawn(move || {
        thread::sleep(time);
        set.store(true, Ordering::Relaxed);
    });
    over
}

/// Publishes numbered messages in all ways that a member of all rooms sees in order.
fn publish(handle: &Handle, me: usize, over: &AtomicBool) {
    for n in 0u64.. {
        if over.load(Ordering::Relaxed) {
            return;
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
        if !taken || n % 16 == 0 {
            thread::yield_now();
        }
    }
}

/// Reads until closed; each publisher's numbers must ascend.
fn read_in_order(mut client: Client) -> usize {
    let (mut last, mut count) = ([None; 4], 0);
    while let Some(frame) = client.next_or_end() {
        if frame.opcode == CLOSE {
            client.close(1000, "");
            continue;
        }
        if let Some((me, n)) = frame.text().split_once(':')
            && let Ok(me) = me.parse::<usize>()
        {
            let n: u64 = n.parse().unwrap();
            assert!(last[me].is_none_or(|l| n > l), "{me}: {n} after {last:?}");
            last[me] = Some(n);
            count += 1;
        }
    }
    count
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
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let client = house.client("a,b,c").0;
            thread::spawn(move || read_in_order(client))
        })
        .collect();
    let over = lasting(Duration::from_secs(2));
    thread::scope(|scope| {
        for me in 0..4 {
            let (handle, over) = (house.engine.handle(), &over);
            scope.spawn(move || publish(&handle, me, over));
        }
        for _ in 0..2 {
            scope.spawn(|| churn(&house, &over));
        }
        while !over.load(Ordering::Relaxed) {
            let all = house.engine.connections().unwrap();
            assert!(all.len() >= 4, "who reads, stays");
            let _ = (house.engine.snapshot(), house.engine.rooms());
            house.engine.members("a").unwrap();
        }
    });
    let report = house.engine.stop();
    assert!(
        report.connections >= 4,
        "{report:?} {:?}",
        house.engine.snapshot().closed
    );
    for reader in readers {
        assert!(reader.join().unwrap() > 0);
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
