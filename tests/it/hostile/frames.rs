//! Loads in the frames of one connection: endless fragments, pings that nobody reads.
//!
//! In: a member that breaks a limit or wants answers without end. Out: 1009 or a timeout, counted;
//! what the engine holds for it stays small.

use std::time::Duration;

use super::{Honest, press};
use crate::client::{Client, PING, masked};
use crate::house::{Open, Told, config, ended, open, until};

/// `n` fragments of a binary message, none of them the last, each with the same octets.
fn fragments(n: usize, octets: &[u8]) -> Vec<u8> {
    let mut first = masked(2, octets);
    let mut next = masked(0, octets);
    // Without FIN.
    first[0] &= 0x7f;
    next[0] &= 0x7f;
    first.extend(next.repeat(n - 1));
    first
}

/// Sends a message of so many fragments, and gives the code of the close frame that answers it.
fn refused(house: &Open, n: usize, octets: &[u8]) -> u16 {
    let (mut peer, id) = house.client("");
    // The engine stops to look long before the end; it may cut us off amid the rest.
    peer.try_write(&fragments(n, octets));
    let code = house.log.closed(id).code();
    assert_eq!(house.log.closed(id).name(), "protocol");
    code
}

#[test]
fn a_message_of_a_million_fragments_is_closed_with_1009() {
    let house = open(config().shards(1));
    let honest = Honest::beside(&house);
    let before = house.engine.snapshot().bytes_in;
    assert_eq!(refused(&house, 1_000_000, b"x"), 1009);
    assert_eq!(refused(&house, 1_000_000, b""), 1009);
    assert_eq!(ended(&house.engine, "protocol"), 2);
    assert_eq!(house.engine.snapshot().violations_fragments, 2);
    honest.goes_on();
    // What came behind was at most read and dropped, until the peer's time was over.
    assert!(house.engine.snapshot().bytes_in - before <= 13_000_500);
    honest.end();
}

#[test]
fn fragments_without_a_limit_are_still_bounded_by_the_bytes_of_a_message() {
    let limits = config().message_fragments_max(u32::MAX);
    let house = open(limits.message_bytes_max(1 << 20).shards(1));
    let honest = Honest::beside(&house);
    let (mut peer, id) = house.client("");
    peer.write(&fragments(999_999, b"x"));
    let mut last = masked(0, b"end");
    last[0] |= 0x80;
    peer.write(&last);
    let len = house.log.wait("the message", |told| match told {
        Told::Message(who, text) if *who == id => Some(text.len()),
        _ => None,
    });
    assert_eq!(len, 999_999 + 3);
    honest.goes_on();
    assert_eq!(refused(&house, (1 << 20) + 1, b"x"), 1009);
    assert_eq!(house.engine.snapshot().violations_size, 1);
    honest.end();
}

/// Pings as many as one write carries.
fn pings(data: &[u8]) -> Vec<u8> {
    masked(PING, data).repeat(64 * 1024 / (6 + data.len()))
}

#[test]
fn pings_of_a_peer_that_never_reads_are_answered_within_bounds() {
    let limits = config().ping_interval_ms(300).ping_timeout_ms(2_000);
    let house = open(limits.shards(1));
    let honest = Honest::beside(&house);
    let mut flooders = Vec::new();
    for data in [&b""[..], &[b'p'; 125]] {
        let (mut peer, id) = house.client("");
        let flood = pings(data);
        let before = house.engine.snapshot().bytes_in;
        let mut most = 0;
        press(
            "a flood of pings",
            || assert!(peer.try_write(&flood), "the peer may go on"),
            || {
                let figures = house.engine.snapshot();
                most = most.max(figures.outbox_bytes);
                figures.bytes_in - before > 4 << 20
            },
        );
        assert!(most <= 64 * 1024, "{most} bytes of pongs wait");
        honest.goes_on();
        flooders.push((peer, id));
    }
    // Silent now, they have not read the engine's ping: their time is over.
    for (_, id) in &flooders {
        assert_eq!(house.log.closed(*id).name(), "ping_timeout");
    }
    assert_eq!(ended(&house.engine, "ping_timeout"), 2);
    let figures = house.engine.snapshot();
    assert!(figures.pings_in > 10_000 && figures.pongs_dropped > 1_000);
    assert!(figures.pongs_dropped < figures.pings_in);
    until("nothing to wait", || {
        house.engine.snapshot().outbox_bytes == 0
    });
    honest.end();
}

#[test]
fn pongs_and_empty_messages_without_end_cost_their_reader_nothing_but_time() {
    let house = open(config().shards(1));
    let honest = Honest::beside(&house);
    let mut peer: Client = house.client("").0;
    let mut flood = masked(10, b"unasked").repeat(2_000);
    flood.extend(masked(1, b"").repeat(2_000));
    for _ in 0..10 {
        peer.write(&flood);
        honest.goes_on();
    }
    until("all to be heard", || {
        house.engine.snapshot().messages_in == 20_000
    });
    assert!(
        peer.next_in(Duration::from_millis(1)).is_none(),
        "no answer"
    );
    honest.end();
}
