//! Accepting while the process has no descriptor left: the engine neither spins nor forgets who
//! waits.
//!
//! One engine of one shard, on the caller's thread. Time passes as on a thread of its own: the
//! shard sleeps exactly as long as it has asked for, so its turns are those of a real one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use roomcast::testing::Sim;
use roomcast::{Config, Connection, ConnectionId, Handler, Message};
use roomcast_sim::{Dice, each_seed};

const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ECONNABORTED: i32 = 103;

/// Turns and tries to accept in a second without a descriptor, when nothing else happens: one
/// every 50 ms.
const TRIES_PER_SECOND: u64 = 20;
/// How long after the fault has passed somebody who waits may have to.
const PATIENCE_MS: u64 = 50;

/// Echoes; ids in the order of opening.
#[derive(Clone, Default)]
struct Door {
    opened: Arc<Mutex<Vec<ConnectionId>>>,
    closed: Arc<AtomicUsize>,
}

impl Handler for Door {
    fn opened(&self, connection: Connection<'_>) {
        self.opened.lock().unwrap().push(connection.id());
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        connection.send(message).expect("an echo is taken");
    }

    fn closed(&self, _: Connection<'_>, _: &roomcast::CloseReason) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

fn engine() -> (Sim, Door) {
    let door = Door::default();
    (
        Sim::new(Config::new().ping_interval_ms(0), door.clone()),
        door,
    )
}

#[test]
fn accepting_waits_for_a_descriptor() {
    let (mut sim, door) = engine();
    sim.set_accept_error(Some(EMFILE));
    sim.connect("/", true);
    // Coming to rest means that it does not spin.
    sim.settle();
    assert_eq!(sim.handle().snapshot().accepted, 0);
    sim.set_accept_error(None);
    sim.advance_ms(40);
    assert_eq!(sim.handle().snapshot().accepted, 0, "it waits a moment");
    sim.advance_ms(16);
    assert_eq!(door.opened.lock().unwrap().len(), 1);
}

#[test]
fn somebody_who_goes_makes_place_for_somebody_who_waits() {
    let (mut sim, door) = engine();
    let first = sim.connect("/", true);
    sim.settle();
    sim.set_accept_error(Some(ENFILE));
    sim.connect("/", true);
    sim.run_ms(1);
    sim.set_accept_error(None);
    sim.end(first);
    sim.settle();
    assert_eq!(door.opened.lock().unwrap().len(), 2, "at once");
}

#[test]
fn a_connection_that_was_aborted_costs_nobody_else_anything() {
    let (mut sim, door) = engine();
    sim.set_accept_error(Some(ECONNABORTED));
    sim.connect("/", true);
    sim.turn();
    sim.set_accept_error(None);
    sim.settle();
    assert_eq!(door.opened.lock().unwrap().len(), 1);
    assert_eq!(sim.handle().snapshot().accept_exhausted, 0);
}

#[test]
fn without_descriptors_the_engine_neither_spins_nor_forgets_who_waits() {
    each_seed(|mut dice| {
        let (mut sim, door) = engine();
        let mut open = Vec::new();
        let mut waiting = Vec::new();
        for _ in 0..20 {
            shortage(&mut sim, &door, &mut dice, &mut open, &mut waiting);
        }
        let figures = sim.handle().snapshot();
        assert_eq!(figures.accept_exhausted, sim.accepts_failed());
        assert!(figures.accept_exhausted >= 20);
    });
}

/// A while in which accepting fails, and what comes of it.
fn shortage(
    sim: &mut Sim,
    door: &Door,
    dice: &mut Dice,
    open: &mut Vec<u32>,
    waiting: &mut Vec<u32>,
) {
    sim.run_ms(dice.below(100));
    let before = sim.handle().snapshot();
    let (closed, accepted) = (door.closed.load(Ordering::Relaxed), before.accepted);
    let error = [EMFILE, ENFILE][dice.below(2) as usize];
    sim.set_accept_error(Some(error));
    let (mut ms, mut events) = (0, 0);
    for _ in 0..1 + dice.below(30) {
        events += happen(sim, dice, open, waiting);
        let pause = dice.below(300);
        ms += pause;
        sim.run_ms(pause);
        assert_eq!(
            sim.handle().snapshot().accepted,
            accepted,
            "nobody gets in now"
        );
    }
    // Each event makes a few turns: to read, to answer, to free a slot.
    let turns = sim.handle().snapshot().turns - before.turns;
    let most = ms * TRIES_PER_SECOND / 1000 + 6 * events + 70;
    assert!(turns <= most, "{turns} turns in {ms} ms, {events} events");
    let tries = sim.handle().snapshot().accept_exhausted - before.accept_exhausted;
    let gone = (door.closed.load(Ordering::Relaxed) - closed) as u64;
    let most = ms * TRIES_PER_SECOND / 1000 + 1 + events + gone;
    assert!(tries <= most, "{tries} tries in {ms} ms, {events} events");

    sim.set_accept_error(None);
    let before = door.opened.lock().unwrap().len();
    sim.run_ms(PATIENCE_MS);
    assert_eq!(
        door.opened.lock().unwrap().len() - before,
        waiting.len(),
        "who waited is let in, though nobody else knocks"
    );
    for peer in waiting.drain(..) {
        assert!(sim.take_output(peer).starts_with(b"HTTP/1.1 101"));
        open.push(peer);
    }
}

/// Somebody knocks, speaks or goes. How many did.
fn happen(sim: &mut Sim, dice: &mut Dice, open: &mut Vec<u32>, waiting: &mut Vec<u32>) -> u64 {
    match dice.below(4) {
        0 => waiting.push(sim.connect("/", true)),
        1 if !open.is_empty() => {
            let peer = open.swap_remove(dice.below(open.len() as u64) as usize);
            sim.end(peer);
        }
        2 if !open.is_empty() => {
            let peer = open[dice.below(open.len() as u64) as usize];
            sim.take_output(peer);
            sim.feed_frame(peer, 1, b"hello");
            sim.settle();
            let echo = sim.take_output(peer);
            assert_eq!(echo, b"\x81\x05hello", "who is in is served at once");
        }
        _ => return 0,
    }
    1
}
