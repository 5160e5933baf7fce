//! Peers that are not there any more, or do as if: silent ones, stalled readers, half-closed.
//!
//! In: sockets that stay open at our end and never answer. What has gone without FIN is for the
//! engine just that; that no acknowledgement comes either is the kernel's business. Out: timeouts
//! and `too_slow`, counted, and memory given back.

use super::{Honest, press};
use crate::client::Client;
use crate::house::{config, ended, open, until};

#[test]
fn peers_that_vanish_without_fin_are_given_up() {
    let limits = config().ping_interval_ms(200).ping_timeout_ms(2_000);
    let house = open(limits.shards(1));
    let honest = Honest::beside(&house);
    let gone: Vec<_> = (0..100).map(|_| house.client("gone")).collect();
    assert_eq!(house.engine.count("gone"), 100);
    until("all to be given up", || {
        ended(&house.engine, "ping_timeout") == 100
    });
    for (_, id) in &gone {
        assert_eq!(house.log.closed(*id).name(), "ping_timeout");
    }
    until("their room to vanish", || house.engine.count("gone") == 0);
    assert_eq!(house.engine.snapshot().connections, 1);
    honest.end();
}

#[test]
fn peers_that_vanish_while_they_are_owed_something_free_it() {
    let limits = config().ping_interval_ms(300).ping_timeout_ms(2_000);
    let house = open(limits.shards(1).tape_bytes_max(64 << 20));
    let honest = Honest::beside(&house);
    let _gone: Vec<Client> = (0..10).map(|_| house.client("owed").0).collect();
    let text = "x".repeat(256 * 1024);
    press(
        "something to be owed",
        || _ = house.engine.publish("owed", &text),
        || house.engine.snapshot().tape_bytes > 4 << 20,
    );
    honest.goes_on();
    until("all to be given up", || {
        ended(&house.engine, "ping_timeout") == 10
    });
    until("the tape to be let go", || {
        house.engine.snapshot().tape_bytes < 64 * 1024
    });
    honest.end();
}

#[test]
fn stalled_readers_are_given_up_when_their_room_is_full() {
    const TAPE: usize = 1 << 20;
    let limits = config().tape_bytes_max(TAPE).publication_bytes_max(65_536);
    let limits = limits.room_ahead_bytes_max(TAPE / 2);
    let house = open(limits.shards(1));
    let honest = Honest::beside(&house);
    let stalled: Vec<_> = (0..20).map(|_| house.client("stalled")).collect();
    let text = "x".repeat(32 * 1024);
    let mut most = 0;
    press(
        "all to be too slow",
        || _ = house.engine.publish("stalled", &text),
        || {
            let figures = house.engine.snapshot();
            most = most.max(figures.tape_bytes);
            figures.too_slow == 20
        },
    );
    assert!(most <= 2 * TAPE as u64, "{most}");
    for (_, id) in &stalled {
        assert_eq!(house.log.closed(*id).name(), "too_slow");
    }
    until("the tape to be let go", || {
        house.engine.snapshot().tape_bytes < 64 * 1024
    });
    honest.end();
}

#[test]
fn peers_that_end_their_stream_amid_a_message_are_vanished() {
    let house = open(config().shards(1));
    let honest = Honest::beside(&house);
    for _ in 0..100 {
        let mut peer = Client::open(house.address(), "/half");
        // A header that promises a mebibyte.
        peer.write(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4, 5]);
        peer.shut();
    }
    until("all to be counted", || {
        ended(&house.engine, "vanished") == 100
    });
    until("their room to vanish", || house.engine.count("half") == 0);
    honest.end();
}
