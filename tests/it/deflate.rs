//! permessage-deflate over real sockets: what is agreed on, what members of mixed rooms are sent,
//! what a peer may make a shard inflate.
//!
//! In: clients that offer, do not offer, and lie. Out: frames, inflated here by flate2 itself.

use std::time::{Duration, Instant};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use roomcast::{Config, ConnectionId, Publication};

use crate::client::{BINARY, CLOSE, Client, Frame, PATIENCE, PING, TEXT, masked};
use crate::house::{Open, Told, config, open, open_with, until};

pub const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate";
const NARROW: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10";

fn compressing() -> Config {
    config().deflate_level(1).deflate_bytes_min(100)
}

/// A client with an offer, in rooms; what the server answered, and its id.
pub fn offering(house: &Open, path: &str, offer: &str) -> (Client, String, ConnectionId) {
    let asked = Client::ask(house.address(), &format!("/{path}"), &[offer]);
    let (mut client, response) = asked.expect("to be let in");
    let id = client.id();
    let mut fields = response.head.lines().map(str::to_lowercase);
    let answer = fields.find_map(|line| {
        let value = line.strip_prefix("sec-websocket-extensions: ")?;
        Some(value.to_string())
    });
    (client, answer.unwrap_or_default(), id)
}

pub fn inflate(data: &[u8], window_bits: u8) -> Vec<u8> {
    let mut inflater = Decompress::new_with_window_bits(false, window_bits);
    let mut out = Vec::with_capacity(4 << 20);
    for input in [data, &[0, 0, 0xff, 0xff]] {
        let done = inflater.decompress_vec(input, &mut out, FlushDecompress::Sync);
        done.expect("what the server sends inflates");
    }
    out
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 1024);
    let mut compress = Compress::new(Compression::new(9), false);
    let done = compress.compress_vec(data, &mut out, FlushCompress::Sync);
    done.expect("it fits");
    out.truncate(out.len() - 4);
    out
}

/// A compressed message in one frame.
fn compressed(opcode: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = masked(opcode, &deflate(data));
    frame[0] |= 0x40;
    frame
}

fn news(n: usize) -> String {
    format!("{n}: {}", "the same again and again, ".repeat(20))
}

fn is(frame: &Frame, text: &str, window_bits: u8) {
    assert!(frame.compressed && frame.opcode == TEXT, "{frame:?}");
    assert!(frame.data.len() < text.len() / 3);
    assert_eq!(inflate(&frame.data, window_bits), text.as_bytes());
}

#[test]
fn it_is_agreed_on_when_it_is_on_and_offered() {
    let off = open(config());
    assert_eq!(offering(&off, "", OFFER).1, "");
    let on = open(compressing());
    let none = Client::ask(on.address(), "/", &[]).unwrap().1;
    assert!(!none.head.to_lowercase().contains("extensions"));
    let wide = offering(&on, "", OFFER).1;
    let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(wide, plain);
    let narrow = offering(&on, "", NARROW).1;
    assert_eq!(narrow, format!("{plain}; server_max_window_bits=9"));
    let eight = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8";
    assert_eq!(offering(&on, "", eight).1, "");
}

#[test]
fn members_of_a_mixed_room_are_sent_the_same_in_the_same_order() {
    let house = open(compressing().shards(2));
    let mut plain: Vec<_> = (0..3).map(|_| house.client("a,b").0).collect();
    let mut wide: Vec<_> = (0..3).map(|_| offering(&house, "a,b", OFFER).0).collect();
    let mut narrow: Vec<_> = (0..3).map(|_| offering(&house, "b,a", NARROW).0).collect();
    let (leaver, _, id) = offering(&house, "a", OFFER);
    until("the joins", || house.engine.count("a") == 10);
    for n in 0..200 {
        let room = ["a", "b"][n % 2];
        match n % 3 {
            0 => house.engine.publish_union(&["a", "b"], news(n).as_str()),
            _ => house.engine.publish(room, news(n).as_str()),
        }
        .unwrap();
        house
            .engine
            .publish(room, format!("short {n}").as_str())
            .unwrap();
        if n == 100 {
            house.engine.leave(id, "a").unwrap();
        }
    }
    for n in 0..200 {
        for client in &mut plain {
            assert_eq!(client.text(), news(n));
            assert_eq!(client.text(), format!("short {n}"));
        }
        for (clients, bits) in [(&mut wide, 15), (&mut narrow, 9)] {
            for client in clients {
                is(&client.next(), &news(n), bits);
                assert_eq!(client.text(), format!("short {n}"));
            }
        }
    }
    let members = house.engine.members("a").unwrap();
    assert_eq!(members.len(), 9);
    assert!(!members.contains(&id));
    // Once for each of two windows, by whatever shard.
    until("the figures", || house.engine.snapshot().deflated == 400);
    let snapshot = house.engine.snapshot();
    assert!(snapshot.deflate_bytes_out * 4 < snapshot.deflate_bytes_in);
    drop(leaver);
}

#[test]
fn the_room_forgets_kinds_that_have_left() {
    let house = open(compressing().shards(1));
    for _ in 0..3 {
        let (mut wide, _, first) = offering(&house, "r", OFFER);
        let (mut narrow, _, second) = offering(&house, "r", NARROW);
        let (mut plain, third) = house.client("r");
        house.engine.publish("r", news(1).as_str()).unwrap();
        is(&wide.next(), &news(1), 15);
        house.engine.leave(second, "r").unwrap();
        house.engine.publish("r", news(2).as_str()).unwrap();
        is(&wide.next(), &news(2), 15);
        house.engine.leave(first, "r").unwrap();
        house.engine.publish("r", news(3).as_str()).unwrap();
        for n in 1..4 {
            assert_eq!(plain.text(), news(n));
        }
        house.engine.leave(third, "r").unwrap();
        is(&narrow.next(), &news(1), 9);
        until("an empty room goes", || house.engine.snapshot().rooms == 0);
    }
    assert_eq!(house.engine.snapshot().tape_bytes, 0);
}

#[test]
fn exclusions_and_private_messages_know_no_kinds() {
    let house = open(compressing().shards(1));
    let (mut wide, _, id) = offering(&house, "r,quiet?user=ada", OFFER);
    let mut plain = house.client("r?user=ada").0;
    let text = news(0);
    let mine = [id];
    house
        .engine
        .publish("r", Publication::from("not mine").except(&mine))
        .unwrap();
    let quiet = Publication::from("not for the quiet").except_rooms(&["quiet"]);
    house.engine.publish("r", quiet).unwrap();
    house.engine.send(id, text.as_str()).unwrap();
    house.engine.send_user("ada", text.as_str()).unwrap();
    house.engine.send_all(text.as_str()).unwrap();
    for _ in 0..3 {
        is(&wide.next(), &text, 15);
    }
    for expected in ["not mine", "not for the quiet", &text, &text] {
        assert_eq!(plain.text(), expected);
    }
}

#[test]
fn what_peers_compress_is_told_as_they_meant_it() {
    let house = open_with(compressing(), |connection, message| {
        let _ = connection.send(message);
    });
    let (mut client, ..) = offering(&house, "", OFFER);
    let text = news(7);
    client.write(&compressed(TEXT, text.as_bytes()));
    is(&client.next(), &text, 15);
    client.write(&compressed(BINARY, b""));
    let empty = client.next();
    assert_eq!((empty.opcode, empty.data.len()), (BINARY, 0));
    client.say("plain");
    assert_eq!(client.text(), "plain");
    // In fragments, octet by octet, with a ping between them.
    let whole = deflate(text.as_bytes());
    let (first, second) = whole.split_at(whole.len() / 2);
    let mut frames = masked(TEXT, first);
    frames[0] = 0x41;
    frames.extend(masked(PING, b"between"));
    frames.extend(masked(0, second));
    for byte in frames {
        client.write(&[byte]);
    }
    let mut next = client.next();
    if next.data == b"between" {
        next = client.next();
    }
    is(&next, &text, 15);
    until("the figures", || house.engine.snapshot().inflated == 3);
    assert!(house.engine.snapshot().inflate_bytes_out as usize >= 2 * text.len());
}

/// What the connection is closed with after a frame.
fn closed_with(house: &Open, offer: &str, bytes: &[u8]) -> (u16, String) {
    let (mut client, ..) = offering(house, "", offer);
    client.write(bytes);
    client.closed()
}

#[test]
fn what_breaks_a_rule_closes_with_its_code() {
    let house = open(compressing().message_bytes_max(1 << 20));
    let with = |first: u8, opcode: u8, data: &[u8]| {
        let mut frame = masked(opcode, data);
        frame[0] = first;
        frame
    };
    let bomb = compressed(BINARY, &vec![0; (1 << 20) + 1]);
    assert!(bomb.len() < 2000);
    let cases: [(&str, Vec<u8>, u16, &str); 9] = [
        ("", compressed(TEXT, b"not agreed on"), 1002, "reserved"),
        (OFFER, with(0xc9, PING, b""), 1002, "reserved"),
        (OFFER, with(0xc8, CLOSE, &[3, 232]), 1002, "reserved"),
        (OFFER, with(0xa1, TEXT, b""), 1002, "reserved"),
        (
            OFFER,
            [with(0x01, TEXT, b"a"), with(0xc0, 0, b"b")].concat(),
            1002,
            "reserved",
        ),
        (OFFER, with(0xc1, TEXT, &[0xff; 30]), 1007, "inflate"),
        (
            OFFER,
            compressed(TEXT, b"\xff\xfe never text"),
            1007,
            "UTF-8",
        ),
        (OFFER, bomb, 1009, "message_bytes_max"),
        (
            NARROW,
            compressed(BINARY, &vec![1; 3 << 20]),
            1009,
            "message_bytes_max",
        ),
    ];
    for (offer, bytes, code, text) in cases {
        let offer = if offer.is_empty() {
            "X-Nothing: 1"
        } else {
            offer
        };
        let closed = closed_with(&house, offer, &bytes);
        assert!(
            closed.0 == code && closed.1.contains(text),
            "{closed:?}, not {code} {text}"
        );
    }
    let told = house.log.all();
    assert!(!told.iter().any(|told| matches!(told, Told::Message(..))));
    let by_rule = house.engine.snapshot();
    assert_eq!(by_rule.violations_frame, 5);
    assert_eq!(
        (by_rule.violations_deflate, by_rule.violations_text),
        (1, 1)
    );
    assert_eq!(by_rule.violations_size, 2);
}

#[test]
fn a_message_that_does_not_compress_may_be_as_large_as_any() {
    let house = open(compressing().message_bytes_max(1024));
    let (mut client, _, id) = offering(&house, "", OFFER);
    let mut state = 1u32;
    let dense: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(1024)
    .collect();
    assert!(deflate(&dense).len() > 1024);
    client.write(&compressed(BINARY, &dense));
    house.log.wait("the message", |told| match told {
        Told::Message(who, _) if *who == id => Some(()),
        _ => None,
    });
    client.write(&compressed(BINARY, &[dense, vec![0]].concat()));
    assert_eq!(client.closed().0, 1009);
}

#[test]
fn bombs_within_the_limit_hold_nobody_up() {
    let house = open_with(compressing().shards(1), |connection, message| {
        if message.bytes().len() < 100 {
            let _ = connection.send(message);
        }
    });
    // Each is a megabyte; 60 of them fit one read.
    let bomb = compressed(BINARY, &vec![0; 1 << 20]);
    let volley = bomb.repeat(60);
    let mut bombers: Vec<_> = (0..4).map(|_| offering(&house, "", OFFER).0).collect();
    let mut honest = house.client("").0;
    for bomber in &mut bombers {
        bomber.write(&volley);
    }
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    while house.engine.snapshot().inflated < 240 {
        assert!(began.elapsed() < PATIENCE, "all bombs are told in the end");
        let asked = Instant::now();
        honest.say("are you there?");
        assert_eq!(honest.text(), "are you there?");
        slowest = slowest.max(asked.elapsed());
    }
    assert!(house.engine.snapshot().intake_paused > 50);
    // Not a figure, only that nothing like all bombs at once lies between question and answer.
    assert!(
        slowest < began.elapsed() / 2,
        "{slowest:?} of {:?}",
        began.elapsed()
    );
    for mut bomber in bombers {
        bomber.say("over");
        assert_eq!(bomber.text(), "over", "behind what was put off");
    }
}

#[test]
fn bombs_that_come_with_the_request_are_inflated_in_turns_of_their_own() {
    let house = open(compressing().shards(1));
    let bomb = compressed(BINARY, &vec![0; 1 << 20]);
    let mut client = Client::bare(house.address());
    let head = crate::client::upgrade("/", &[OFFER]).into_bytes();
    client.write(&[head, bomb.repeat(10)].concat());
    let _client = client.upgraded().expect("to be let in");
    until("all to be inflated", || {
        house.engine.snapshot().inflated == 10
    });
    let figures = house.engine.snapshot();
    assert_eq!(
        (figures.inflated, figures.inflate_bytes_out),
        (10, 10 << 20)
    );
    assert!(
        figures.intake_paused >= 9,
        "{} pauses",
        figures.intake_paused
    );
}
