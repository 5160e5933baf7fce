//! The budget of a turn: what a flooded room of 5,000 adds to a room of ten on the same shard.
//!
//! A write costs 1.5 us of virtual time, and publications come in the middle of turns, at every
//! point where the shard looks at the clock. The figures are the engine's own histograms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roomcast::testing::Sim;
use roomcast::{Accept, Config, Handler, Pending, Refused, Request};

const BUDGET_US: u64 = 1_000;
/// The clock is looked at every 16 writes.
const LOOK_NS: u64 = 16 * 1_500;

/// The path says which room.
struct ByPath;

impl Handler for ByPath {
    fn connecting(&self, request: &Request, pending: Pending) {
        pending.accept(Accept::new().room(request.path()));
    }
}

#[test]
fn a_flooded_room_of_5000_adds_its_budget_and_not_its_size_to_a_small_one() {
    let mut sim = Sim::new(Config::new().turn_budget_us(BUDGET_US), ByPath);
    for n in 0..5_010 {
        sim.connect_null(if n % 501 == 0 { "/small" } else { "/big" });
    }
    sim.settle();
    assert_eq!(sim.handle().count("/big"), 5_000);
    let (big, small) = (sim.handle().room("/big"), sim.handle().room("/small"));
    let (big, small) = (big.unwrap(), small.unwrap());
    let refused = Arc::new(AtomicU64::new(0));
    let (mut looks, told) = (0u64, refused.clone());
    sim.set_look_ns(LOOK_NS);
    sim.set_on_look(move || {
        looks += 1;
        match big.publish(&[7u8; 64]) {
            Ok(_) => {}
            Err(Refused::Behind) => drop(told.fetch_add(1, Ordering::Relaxed)),
            Err(other) => panic!("{other}"),
        }
        // Prime to the looks of a turn, so that it comes everywhere in it.
        if looks % 23 == 0 {
            small.publish(&[9u8; 64]).unwrap();
        }
    });
    for _ in 0..4_000 {
        sim.turn();
    }
    let now = sim.handle().snapshot();
    let samples = now.publish_to_flush_small.count();
    assert!(samples > 2_000, "{samples} sweeps of the small room");
    let large = now.publish_to_flush.quantile_ns(1.0);
    assert!(
        large > 7_500_000,
        "a sweep of the large room takes its time: {large} ns"
    );
    let bound = 2 * BUDGET_US * 1_000 + 1_000_000;
    for share in [0.5, 0.99, 1.0] {
        let waited = now.publish_to_flush_small.quantile_ns(share);
        assert!(waited <= bound, "{waited} ns at {share}, {bound} allowed");
    }
    let took = now.turn.quantile_ns(1.0);
    assert!(took <= 2 * BUDGET_US * 1_000, "a turn of {took} ns");
    assert!(now.deliveries > 1_000_000, "a flood: {}", now.deliveries);
    // The large room is not starved either.
    assert!(refused.load(Ordering::Relaxed) < now.publications);
}
