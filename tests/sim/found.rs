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
