//! What storms have found, each as the smallest scenario that shows it.
//!
//! One engine of one shard each, on the caller's thread, in virtual time.

use std::sync::{Arc, Mutex};

use roomcast::testing::Sim;
use roomcast::{Accept, Config, Connection, ConnectionId, Handler, Pending, Request};

use super::frames::{frames, texts};

/// Everybody is in one room; ids in the order of opening.
#[derive(Clone, Default)]
struct Hall(Arc<Mutex<Vec<ConnectionId>>>);

impl Handler for Hall {
    fn connecting(&self, _: &Request, pending: Pending) {
        pending.accept(Accept::new().room("hall"));
    }

    fn opened(&self, connection: Connection<'_>) {
        self.0.lock().unwrap().push(connection.id());
    }
}

#[test]
fn a_pong_does_not_overtake_the_101() {
    let mut sim = Sim::new(Config::new(), Hall::default());
    let peer = sim.connect("/", true);
    sim.feed_frame(peer, 9, b"early");
    sim.settle();
    let stream = sim.take_output(peer);
    let pong = (10, b"early".to_vec());
    assert_eq!(frames(&stream), Some(vec![pong]));
}

#[test]
fn a_private_message_does_not_overtake_what_came_behind_the_cut_of_a_sweep() {
    let hall = Hall::default();
    let config = Config::new().turn_budget_us(10);
    let mut sim = Sim::new(config, hall.clone());
    let peers: Vec<u32> = (0..64).map(|_| sim.connect("/", true)).collect();
    sim.settle();
    let ids = hall.0.lock().unwrap().clone();
    // The budget is over after 16 writes: the sweep of the first publication stays unfinished,
    // and so does the walk over those with private messages, which comes from the other end.
    sim.set_look_ns(1_000_000);
    sim.handle().publish("hall", "first").unwrap();
    sim.turn();
    sim.handle().publish("hall", "second").unwrap();
    for id in ids.iter().rev().take(40) {
        sim.handle().send(*id, "private").unwrap();
    }
    sim.settle();
    for (at, peer) in peers.into_iter().enumerate() {
        let got = texts(&frames(&sim.take_output(peer)).expect("a 101"));
        let private = if at < 24 { &[][..] } else { &["private"] };
        assert_eq!(got, [&["first", "second"], private].concat(), "member {at}");
    }
}

#[test]
fn peers_that_take_nothing_do_not_fill_a_shard_for_good() {
    let hall = Hall::default();
    let config = Config::new()
        .tape_bytes_max(256 * 1024)
        .publication_bytes_max(64 * 1024)
        .room_ahead_bytes_max(128 * 1024)
        .shard_tape_bytes_max(256 * 1024)
        .ping_interval_ms(0);
    let mut sim = Sim::new(config, hall.clone());
    let stuck: Vec<u32> = (0..4).map(|_| sim.connect("/", true)).collect();
    sim.settle();
    let ids = hall.0.lock().unwrap().clone();
    // Each is alone in a room, and what it is sent takes a segment of 64 KiB there: the shard is
    // full, refuses everything, and so has nothing to write that would have it make place.
    for (at, peer) in stuck.iter().enumerate() {
        sim.handle().join(ids[at], &format!("room-{at}")).unwrap();
        sim.set_place(*peer, 0);
    }
    let text = "x".repeat(10_000);
    for at in 0..stuck.len() {
        let room = format!("room-{at}");
        sim.handle().publish(&room, text.as_str()).unwrap();
    }
    sim.settle();
    sim.advance_ms(10_000);
    let held = sim.handle().snapshot().tape_bytes;
    let next = sim.handle().publish("hall", "next");
    assert!(next.is_ok(), "{next:?}, {held} bytes held");
}

#[test]
fn pings_come_at_their_interval_when_their_timeout_is_longer() {
    let config = Config::new().ping_interval_ms(1_000).ping_timeout_ms(5_000);
    let mut sim = Sim::new(config, ());
    let peer = sim.connect("/", true);
    let mut pings = 0;
    // A pong takes the timeout's place in the wheel back.
    for _ in 0..10_000 {
        sim.run_ms(1);
        if sim.take_output(peer) == [0x89, 0] {
            pings += 1;
            sim.feed_frame(peer, 10, b"");
        }
    }
    assert!(pings >= 9, "{pings} pings in ten intervals");
}

#[test]
fn a_ping_that_went_out_late_leaves_its_peer_the_whole_time() {
    const PEERS: u32 = 2_000;
    let config = Config::new().ping_interval_ms(1_000).ping_timeout_ms(400);
    let hall = Hall::default();
    let mut sim = Sim::new(config, hall.clone());
    let all: Vec<u32> = (0..PEERS).map(|_| sim.connect("/", true)).collect();
    sim.settle();
    let ids = hall.0.lock().unwrap().clone();
    for id in ids {
        sim.handle().join(id, "hall").unwrap();
    }
    sim.settle();
    // Writing is slow, and while something is left to be written few timers are looked at.
    sim.set_look_ns(200_000);
    let mut answers = std::collections::VecDeque::new();
    for step in 0..6_000 {
        match step % 4_000 < 2_000 {
            true => drop(sim.handle().publish("hall", "news")),
            false => sim.pass_ns(1_000_000),
        }
        sim.turn();
        for &peer in &all {
            let pings = sim.take_output(peer);
            if pings.windows(2).any(|bytes| bytes == [0x89, 0]) {
                answers.push_back((step + 150, peer));
            }
        }
        while answers.front().is_some_and(|(due, _)| *due <= step) {
            let (_, peer) = answers.pop_front().unwrap();
            sim.feed_frame(peer, 10, b"");
        }
    }
    let closed = sim.handle().snapshot().closed;
    assert!(answers.len() < PEERS as usize && closed.contains(&("ping_timeout", 0)));
    assert!(sim.handle().snapshot().connections == u64::from(PEERS));
}
