//! Loads on the way in: slow, large, half-open, many and meaningless handshakes.
//!
//! In: peers that never become members. Out: 400, 408, 429 or 431, each counted, and a newcomer
//! who gets in all the same.

use std::thread;
use std::time::{Duration, Instant};

use super::{Honest, press};
use crate::client::{Client, TEXT, masked, upgrade};
use crate::house::{Open, config, ended, open, until};

/// Gives the head bit by bit until the other end has had enough; how many octets it took.
fn drip(client: &mut Client, head: &str) -> usize {
    for (n, octet) in head.bytes().enumerate() {
        if !client.try_write(&[octet]) {
            return n;
        }
        if client.next_byte_in(Duration::from_millis(40)).is_some() {
            return n + 1;
        }
    }
    head.len()
}

#[test]
fn heads_that_come_octet_by_octet_are_cut_in_time() {
    let house = open(config().shards(1).handshake_timeout_ms(400));
    let honest = Honest::beside(&house);
    let address = house.address();
    let began = Instant::now();
    let peers: Vec<_> = (0..20)
        .map(|_| {
            thread::spawn(move || {
                let mut peer = Client::bare(address);
                let head = upgrade("/", &[]);
                assert!(drip(&mut peer, &head) < head.len());
                peer.response().status
            })
        })
        .collect();
    honest.goes_on();
    for peer in peers {
        assert_eq!(peer.join().unwrap(), 408);
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    until("all to be counted", || {
        ended(&house.engine, "handshake_timeout") == 20
    });
    let figures = house.engine.snapshot();
    assert_eq!(
        (figures.connections, figures.rejected_head_timeout),
        (1, 20)
    );
    honest.end();
}

/// Sends a head that never ends, in pieces; 431 must cut it short.
fn endless_head(house: &Open, piece: &str) {
    let refused = house.engine.snapshot().rejected_head_size;
    let mut peer = Client::bare(house.address());
    peer.write(b"GET / HTTP/1.1\r\nHost: it.example\r\n");
    let mebibyte = piece.repeat((1 << 20) / piece.len());
    peer.try_write(mebibyte.as_bytes());
    assert_eq!(peer.response().status, 431);
    assert_eq!(house.engine.snapshot().rejected_head_size, refused + 1);
}

#[test]
fn a_mebibyte_of_headers_is_answered_with_431() {
    let house = open(config().shards(1));
    let honest = Honest::beside(&house);
    let value = "v".repeat(200);
    for piece in [
        format!("X-Long: {value}\r\n"),
        "a: b\r\n".to_string(),
        "endless".to_string(),
    ] {
        endless_head(&house, &piece);
    }
    until("all to be counted", || ended(&house.engine, "http") == 3);
    honest.end();
}

#[test]
fn half_open_connections_wait_outside_and_pass() {
    const PEERS: usize = 1_000;
    const INSIDE: usize = 200;
    let limit = rlimit::increase_nofile_limit(8_192).unwrap_or(1_024);
    let peers = PEERS.min(limit as usize / 4);
    let limits = config().handshakes_max(INSIDE).handshake_timeout_ms(300);
    // Those that have been told 408 stay no longer than this.
    let house = open(limits.shards(1).close_timeout_ms(50));
    let honest = Honest::beside(&house);
    let address = house.address();
    let silent: Vec<_> = (0..peers).map(|_| Client::bare(address)).collect();
    until("the door to be shut", || {
        house.engine.snapshot().accept_paused > 0
    });
    honest.goes_on();
    let newcomer = thread::spawn(move || drop(Client::open(address, "/")));
    let mut most = 0;
    let gone = || ended(&house.engine, "handshake_timeout");
    until("all to be cut", || {
        let figures = house.engine.snapshot();
        most = most.max(figures.connections as usize);
        gone() == peers as u64
    });
    assert!(most < 3 * INSIDE, "{most} at once");
    newcomer.join().expect("a newcomer gets in behind them");
    drop(silent);
    honest.end();
}

#[test]
fn a_flood_of_handshakes_from_one_address_is_refused_beyond_its_share() {
    const SHARE: usize = 8;
    let house = open(config().shards(1).address_connections_max(SHARE));
    let honest = Honest::beside(&house);
    let ask = || Client::ask(house.address(), "/", &[]);
    let mut inside: Vec<_> = (1..SHARE).map(|_| ask().expect("its share").0).collect();
    for _ in 0..300 {
        assert_eq!(ask().err().expect("a refusal").status, 429);
    }
    assert_eq!(house.engine.snapshot().rejected_address, 300);
    honest.goes_on();
    inside.pop();
    press("a place to be free", || drop(ask()), || ask().is_ok());
    assert!(house.engine.snapshot().connections < SHARE as u64 + 10);
    honest.end();
}

#[test]
fn peers_that_come_and_go_at_once_leave_nothing() {
    let house = open(config().shards(1));
    let honest = Honest::beside(&house);
    let head = upgrade("/r", &[]);
    for n in 0..600 {
        let mut peer = Client::bare(house.address());
        peer.try_write(&head.as_bytes()[..head.len() * (n % 3) / 2]);
    }
    until("all to be gone", || {
        let figures = house.engine.snapshot();
        figures.accepted == 601 && figures.connections == 1
    });
    until("the room to vanish", || house.engine.snapshot().rooms == 1);
    honest.end();
}

/// Octets of all values, never the same twice in a row.
fn noise(n: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn garbage_instead_of_a_handshake_is_refused() {
    let house = open(config().shards(1));
    let honest = Honest::beside(&house);
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    let get = b"GET / HTTP/1.1\r\n: no name\r\n\r\n".to_vec();
    let all = [noise(64 * 1024), hello, get, masked(TEXT, b"too early")];
    for (n, garbage) in all.iter().enumerate() {
        let mut peer = Client::bare(house.address());
        peer.try_write(garbage);
        assert_eq!(peer.response().status, 400);
        assert_eq!(house.engine.snapshot().rejected_invalid, n as u64 + 1);
    }
    until("all to be counted", || ended(&house.engine, "http") == 4);
    honest.end();
}

#[test]
fn garbage_behind_a_handshake_closes_with_1002_after_what_was_said() {
    let house = open(config().shards(1));
    let honest = Honest::beside(&house);
    for round in 0..20 {
        let mut peer = Client::bare(house.address());
        let mut bytes = upgrade("/", &[]).into_bytes();
        bytes.extend(masked(TEXT, format!("said {round}").as_bytes()));
        // An opcode that does not exist, and then anything.
        bytes.push(0xff);
        bytes.extend(noise(256 * 1024));
        peer.try_write(&bytes);
        let (mut peer, _) = peer.upgraded().expect("the handshake was good");
        let id = peer.id();
        assert_eq!(peer.close_frame().0, 1002);
        // Else it would be waited for.
        drop(peer);
        assert_eq!(house.log.closed(id).name(), "protocol");
        let said = crate::house::Told::Message(id, format!("said {round}"));
        assert!(house.log.all().contains(&said));
    }
    assert_eq!(ended(&house.engine, "protocol"), 20);
    assert_eq!(house.engine.snapshot().violations_frame, 20);
    honest.end();
}
