//! Loads through the host: joins, names of rooms, and messages without end.
//!
//! In: a host that joins, leaves and publishes at a peer's word. Out: figures that count each, the
//! bound that holds, and nothing left when the peer has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use roomcast::{CommandError, Config, Connection, Message};

use super::{Honest, press};
use crate::client::{Client, TEXT, masked};
use crate::house::{Open, config, open_with, until};

/// `+NAME` joins, `-NAME` leaves, anything else is published to the room `said`.
fn obey(connection: Connection<'_>, message: Message<'_>) -> Result<(), CommandError> {
    let text = String::from_utf8_lossy(message.bytes());
    match text.split_at_checked(1) {
        Some(("+", room)) => connection.join(room).map(drop),
        Some(("-", room)) => connection.leave(room),
        _ => {
            // Refused while the room is behind, which is what bounds a flood.
            let _ = connection.handle().publish("said", text.as_ref());
            Ok(())
        }
    }
}

/// An engine whose host obeys, and how many names it could not use.
fn obedient(config: Config) -> (Open, Arc<AtomicU64>) {
    let unusable = Arc::new(AtomicU64::new(0));
    let count = unusable.clone();
    let house = open_with(config.shards(1), move |connection, message| {
        if let Err(error) = obey(connection, message) {
            assert!(matches!(error, CommandError::RoomName), "{error:?}");
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (house, unusable)
}

/// Text messages, one behind the other.
fn texts(texts: impl Iterator<Item = String>) -> Vec<u8> {
    texts.flat_map(|t| masked(TEXT, t.as_bytes())).collect()
}

#[test]
fn joins_and_leaves_without_end_are_counted_and_leave_no_room() {
    let (house, _) = obedient(config());
    let honest = Honest::beside(&house);
    let mut peer = house.client("").0;
    let pair = texts(
        ["+a", "-a", "+honest", "-honest"]
            .map(String::from)
            .into_iter(),
    );
    for _ in 0..20 {
        // A member for a moment, it may get some of the honest messages: it does not read them.
        peer.write(&pair.repeat(500));
        honest.goes_on();
    }
    until("all to be left", || {
        let figures = house.engine.snapshot();
        figures.joins == 20_001 && figures.leaves == 20_000
    });
    assert_eq!(house.engine.snapshot().rooms, 1);
    assert_eq!(house.engine.count("honest"), 1);
    honest.end();
}

#[test]
fn names_of_rooms_without_end_stop_at_the_limit_and_vanish() {
    const ROOMS: usize = 100;
    let (house, unusable) = obedient(config().connection_rooms_max(ROOMS));
    let honest = Honest::beside(&house);
    let (mut peer, id) = house.client("");
    peer.write(&texts((0..10_000).map(|n| format!("+room {n}"))));
    until("all to be heard", || {
        house.engine.snapshot().messages_in == 10_000
    });
    until("the rooms beyond to vanish", || {
        house.engine.snapshot().rooms == ROOMS as u64 + 1
    });
    assert_eq!(house.engine.rooms_of(id).unwrap().len(), ROOMS);
    assert_eq!(house.engine.snapshot().joins_refused, 10_000 - ROOMS as u64);
    honest.goes_on();
    // Names that are too long, or none at all.
    let long = "n".repeat(256);
    peer.write(&texts((0..1_000).map(|n| format!("+{long}{n}"))));
    peer.write(&texts((0..1_000).map(|_| "+".to_string())));
    until("all to be refused", || {
        unusable.load(Ordering::Relaxed) == 2_000
    });
    assert_eq!(house.engine.snapshot().rooms, ROOMS as u64 + 1);
    drop(peer);
    until("its rooms to vanish", || house.engine.snapshot().rooms == 1);
    honest.end();
}

/// Writes messages until told to end, and reads nothing.
fn shout(house: &Open, done: Arc<AtomicU64>) -> thread::JoinHandle<Client> {
    let mut peer = house.client("").0;
    let flood = masked(TEXT, b"listen to me").repeat(2_000);
    thread::spawn(move || {
        while done.load(Ordering::Relaxed) == 0 && peer.try_write(&flood) {}
        peer
    })
}

#[test]
fn messages_without_end_from_some_let_those_of_another_through() {
    let (house, _) = obedient(config());
    let honest = Honest::beside(&house);
    let done = Arc::new(AtomicU64::new(0));
    let shouting: Vec<_> = (0..4).map(|_| shout(&house, done.clone())).collect();
    let mut quiet = house.client("quiet").0;
    for n in 0..20 {
        // By way of the host: heard, joined, and published to.
        quiet.say(&format!("+answer {n}"));
        let room = format!("answer {n}");
        until("the other to be heard", || house.engine.count(&room) == 1);
        house.engine.publish(&room, &room).unwrap();
        assert_eq!(quiet.text(), room);
    }
    honest.goes_on();
    let figures = house.engine.snapshot();
    assert!(figures.messages_in > 1_000, "a flood");
    assert!(figures.inbox_bytes <= 64 << 20);
    done.store(1, Ordering::Relaxed);
    let peers: Vec<_> = shouting.into_iter().map(|s| s.join().unwrap()).collect();
    drop(peers);
    honest.end();
}

#[test]
fn a_flood_into_a_room_that_nobody_reads_is_refused_when_the_room_is_behind() {
    let limits = config().room_ahead_bytes_max(2 * 1024);
    let (house, _) = obedient(limits);
    let honest = Honest::beside(&house);
    let _stalled: Vec<_> = (0..5).map(|_| house.client("said").0).collect();
    let mut peer = house.client("").0;
    let flood = texts((0..100).map(|_| "y".repeat(1_024)));
    press(
        "publications to be refused",
        || assert!(peer.try_write(&flood)),
        || house.engine.snapshot().refused > 0,
    );
    let held = house.engine.snapshot().tape_bytes;
    assert!(held <= 5 << 20, "{held}");
    honest.end();
}
