//! Slow readers: closed or skipped by policy, while others lose nothing; backpressure is told.
//!
//! In: peers that do not read, among peers that do. Out: what the host was told, what each peer
//! got, and memory within the limits.

use std::thread;
use std::time::Duration;

use roomcast::{CloseReason, Config, ConnectionId, SlowPolicy};

use crate::client::{CLOSE, Client};
use crate::house::{Open, Told, config, open, until};

const PIECE: usize = 32 * 1024;

/// Small tapes, so that a reader is soon slow.
fn tight() -> Config {
    config()
        .tape_bytes_max(1 << 20)
        .publication_bytes_max(256 * 1024)
        .room_ahead_bytes_max(512 * 1024)
        .close_timeout_ms(20_000)
}

/// A numbered payload of `PIECE` bytes.
fn piece(n: usize) -> String {
    format!("{n:08}{}", "x".repeat(PIECE - 8))
}

/// Publishes pieces until `enough`, and gives how many were taken. The fast readers are waited
/// for, so that only who does not read at all is slow.
fn flood(house: &Open, fast: &mut Client, mut enough: impl FnMut() -> bool) -> usize {
    let mut n = 0;
    while !enough() {
        assert!(n < 2_000, "64 MiB and still not slow");
        while house.engine.publish("r", piece(n).as_str()).is_err() {
            thread::yield_now();
        }
        assert!(fast.text().starts_with(&format!("{n:08}")), "lost {n}");
        n += 1;
    }
    n
}

#[test]
fn a_reader_that_is_too_slow_is_closed_and_others_lose_nothing() {
    let house = open(tight().shards(1));
    let (mut slow, id) = house.client("r");
    let (mut fast, other) = house.client("r");
    let total = flood(&house, &mut fast, || house.engine.snapshot().too_slow > 0);
    // It is sent no more, but what was on its way and the reason.
    let mut n = 0;
    loop {
        let frame = slow.next();
        if frame.opcode == CLOSE {
            assert_eq!(frame.data[..2], 4008u16.to_be_bytes());
            slow.close(4008, "");
            break;
        }
        assert!(frame.text().starts_with(&format!("{n:08}")), "in order");
        n += 1;
    }
    assert!(n < total);
    assert_eq!(house.log.closed(id), CloseReason::TooSlow);
    assert_eq!(house.engine.members("r").unwrap(), [other]);
    let told = house.log.all();
    assert!(!told.contains(&Told::Closed(other, CloseReason::TooSlow)));
    until("the tape to be let go", || {
        house.engine.snapshot().tape_bytes < 64 * 1024
    });
}

#[test]
fn a_slow_reader_skips_and_the_host_is_told_how_many() {
    let house = open(tight().shards(1).slow_policy(SlowPolicy::Skip));
    let (mut slow, id) = house.client("r");
    let (mut fast, _) = house.client("r");
    let lagged = || house.engine.snapshot().lagged > 0;
    let mut total = flood(&house, &mut fast, lagged);
    // Reading again, it goes on, with gaps exactly as large as was told.
    house.engine.send(id, "end").unwrap();
    let (mut last, mut got) = (None, 0);
    loop {
        let text = slow.text();
        if text == "end" {
            break;
        }
        let n: usize = text[..8].parse().unwrap();
        assert!(last.is_none_or(|l| n > l), "in order");
        (last, got) = (Some(n), got + 1);
    }
    let missed = |house: &Open| -> u64 {
        let counts = house.log.all().into_iter().map(|told| match told {
            Told::Lagged(who, room, missed) => {
                assert_eq!((who, room.as_str()), (id, "r"));
                missed.count
            }
            _ => 0,
        });
        counts.sum()
    };
    until("all to be told", || missed(&house) + got == total as u64);
    assert_eq!(house.engine.snapshot().lagged, missed(&house));
    for _ in 0..3 {
        let text = piece(total);
        house.engine.publish("r", &text).unwrap();
        assert!(slow.text() == text && fast.text() == text, "in step again");
        total += 1;
    }
}

#[test]
fn slow_readers_in_several_rooms_do_not_disturb_fast_ones() {
    let house = open(tight().shards(2));
    let _slow: Vec<_> = (0..6).map(|_| house.client("r,s")).collect();
    let (mut fast, _) = house.client("r,t");
    let (mut other, _) = house.client("t");
    flood(&house, &mut fast, || house.engine.snapshot().too_slow == 6);
    house.engine.publish("t", "through").unwrap();
    assert_eq!([fast.text(), other.text()], ["through", "through"]);
    until("they to be out", || house.engine.count("r") == 1);
    until("the other room to vanish", || house.engine.count("s") == 0);
}

fn backpressure(house: &Open, id: ConnectionId, wanted: bool) {
    house.log.wait("backpressure", |told| match told {
        Told::Backpressure(who, high) if *who == id => (*high == wanted).then_some(()),
        _ => None,
    });
}

/// Sends private pieces until the host is told of backpressure; gives how many.
fn press(house: &Open, id: ConnectionId) -> usize {
    let mut n = 0;
    let high = || house.log.all().contains(&Told::Backpressure(id, true));
    while !high() {
        assert!(n < 2_000, "64 MiB and no backpressure");
        let before = house.engine.snapshot().sends;
        house.engine.send(id, piece(n).as_str()).unwrap();
        until("it to be routed", || house.engine.snapshot().sends > before);
        n += 1;
    }
    n
}

#[test]
fn backpressure_is_told_high_and_low_once_each() {
    let house = open(config().outbox_high_bytes(128 * 1024).shards(1));
    let (mut client, id) = house.client("");
    let sent = press(&house, id);
    for n in 0..sent {
        assert!(client.text().starts_with(&format!("{n:08}")));
    }
    backpressure(&house, id, false);
    let told = house.log.all();
    let about = told.iter().filter(|t| matches!(t, Told::Backpressure(..)));
    assert_eq!(about.count(), 2, "{told:?}");
    until("nothing to wait", || {
        house.engine.snapshot().outbox_bytes == 0
    });
}

#[test]
fn a_peer_that_does_not_take_its_answers_is_not_read_from() {
    let house = open(config().outbox_high_bytes(128 * 1024).shards(1));
    let (mut client, id) = house.client("");
    let sent = press(&house, id);
    client.say("held back");
    until("a read to be put off", || {
        house.engine.snapshot().reads_paused > 0
    });
    let heard = |house: &Open| {
        let told = house.log.all();
        told.iter().any(|t| matches!(t, Told::Message(..)))
    };
    assert!(!heard(&house));
    (0..sent).for_each(|_| drop(client.text()));
    until("it to be heard", || heard(&house));
}

#[test]
fn private_messages_beyond_the_limit_close_with_4008() {
    let limits = config()
        .outbox_high_bytes(64 * 1024)
        .outbox_bytes_max(256 * 1024);
    let house = open(limits.shards(1).close_timeout_ms(20_000));
    let (mut client, id) = house.client("r");
    let (mut other, _) = house.client("r");
    until("it to be too slow", || {
        house.engine.send(id, piece(0).as_str()).unwrap();
        house.engine.snapshot().too_slow > 0
    });
    assert_eq!(client.closed().0, 4008);
    assert_eq!(house.log.closed(id), CloseReason::TooSlow);
    house.engine.publish("r", "fine").unwrap();
    assert_eq!(other.text(), "fine");
}

#[test]
fn a_slow_reader_still_answers_pings_and_gets_its_pongs() {
    let limits = config().outbox_high_bytes(64 * 1024).ping_interval_ms(100);
    let house = open(limits.ping_timeout_ms(20_000).shards(1));
    let (mut client, id) = house.client("r");
    let sent = press(&house, id);
    house.engine.publish("r", "after").unwrap();
    for _ in 0..sent {
        assert_eq!(client.text().len(), PIECE);
    }
    assert_eq!(client.text(), "after");
    assert!(client.next_in(Duration::from_millis(300)).is_none());
    assert!(house.engine.connections().unwrap().contains(&id));
}
