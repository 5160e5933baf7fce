//! Who is sent compressed frames: by room, by listener, and by what came of it so far.
//!
//! In: peers that all offer permessage-deflate. Out: frames with and without it, the same bytes in
//! all of them, and figures.

use roomcast::{ListenOptions, Publication, RoomOptions};

use crate::client::{BINARY, Client};
use crate::deflate::{OFFER, inflate, offering};
use crate::house::{Open, config, open, until};

fn news(n: usize) -> String {
    format!("{n}: {}", "the same again and again, ".repeat(20))
}

/// The next frame's data, and whether it was compressed.
fn take(client: &mut Client) -> (Vec<u8>, bool) {
    let frame = client.next();
    match frame.compressed {
        true => (inflate(&frame.data, 15), true),
        false => (frame.data, false),
    }
}

/// A thousand bytes that do not shrink, and are like no others.
fn dense(n: u64) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    (0..1_000).map(|_| next()).collect()
}

#[test]
fn a_room_may_be_left_out() {
    let limits = config().deflate_level(1).deflate_bytes_min(100).shards(2);
    let house = open(limits.room_options("images:", RoomOptions::new().deflate(false)));
    let (mut client, answer, id) = offering(&house, "images:1,chat", OFFER);
    assert!(answer.starts_with("permessage-deflate"));
    let (mut plain, _) = house.client("images:1,chat");
    for n in 0..100 {
        let text = news(n);
        let (room, is_compressed) = match n % 3 {
            0 => ("images:1", false),
            _ => ("chat", true),
        };
        house.engine.publish(room, &text).unwrap();
        assert_eq!(
            take(&mut client),
            (text.clone().into_bytes(), is_compressed)
        );
        assert_eq!(plain.text(), text);
    }
    // Messages to one connection are no room's.
    house.engine.send(id, &news(1)).unwrap();
    assert!(take(&mut client).1);
    // A member of both rooms is sent one frame, in either form.
    house
        .engine
        .publish_union(&["images:1", "chat"], &news(2))
        .unwrap();
    house.engine.publish("images:1", "end").unwrap();
    assert_eq!(take(&mut client).0, news(2).into_bytes());
    assert_eq!(client.text(), "end");
}

#[test]
fn a_listener_may_be_left_out() {
    let file = std::env::temp_dir().join(format!("roomcast-plain-{}", std::process::id()));
    let limits = config().deflate_level(1).deflate_bytes_min(100).shards(2);
    let limits = limits.listen_with("127.0.0.1:0", ListenOptions::new().deflate(false));
    let house = open(limits.listen_unix_with(&file, ListenOptions::new().deflate(false)));
    let (mut outside, answer, _) = offering(&house, "r", OFFER);
    assert!(answer.starts_with("permessage-deflate"));
    let inside = house.engine.addresses()[1];
    let (mut inside, response) = Client::ask(inside, "/r", &[OFFER]).unwrap();
    assert!(
        !response.head.to_lowercase().contains("extensions"),
        "{}",
        response.head
    );
    inside.id();
    let mut local = Client::unix(&file);
    local.write(crate::client::upgrade("/r", &[OFFER]).as_bytes());
    let (mut local, response) = local.upgraded().unwrap();
    assert!(
        !response.head.to_lowercase().contains("extensions"),
        "{}",
        response.head
    );
    local.id();
    for n in 0..20 {
        house.engine.publish("r", &news(n)).unwrap();
        assert_eq!(take(&mut outside), (news(n).into_bytes(), true));
        assert_eq!([inside.text(), local.text()], [news(n), news(n)]);
    }
}

/// Publishes so many; how many of them came compressed, all of them whole.
fn publish(
    house: &Open,
    client: &mut Client,
    room: &str,
    count: u64,
    payload: impl Fn(u64) -> Vec<u8>,
) -> usize {
    let one = |n| {
        let payload = payload(n);
        house
            .engine
            .publish(room, Publication::binary(&payload))
            .unwrap();
        let frame = client.next();
        assert_eq!(frame.opcode, BINARY);
        let data = match frame.compressed {
            true => inflate(&frame.data, 15),
            false => frame.data,
        };
        assert!(data == payload, "{n} is whole");
        usize::from(frame.compressed)
    };
    (0..count).map(one).sum()
}

#[test]
fn a_room_that_does_not_shrink_is_left_alone_until_it_does() {
    let house = open(config().deflate_level(1).deflate_bytes_min(100).shards(1));
    let (mut client, _, _) = offering(&house, "dense", OFFER);
    let (mut other, _, _) = offering(&house, "chat", OFFER);
    let text = |n: u64| news(n as usize).into_bytes();
    assert_eq!(publish(&house, &mut client, "dense", 200, dense), 0);
    let figures = || house.engine.snapshot();
    until("it to be switched off", || {
        figures().deflate_switched_off == 1
    });
    until("some to pass", || figures().deflate_passed > 100);
    // It goes on for a while, for this room alone.
    assert_eq!(publish(&house, &mut client, "dense", 200, text), 0);
    assert_eq!(publish(&house, &mut other, "chat", 50, text), 50);
    let compressed = publish(&house, &mut client, "dense", 1_000, text);
    assert!((200..1_000).contains(&compressed), "{compressed} of 1,000");
    let passed = figures().deflate_passed;
    assert_eq!(
        publish(&house, &mut client, "dense", 300, text),
        300,
        "it came back"
    );
    house.engine.connections().unwrap();
    assert_eq!(
        (figures().deflate_passed, figures().deflate_switched_off),
        (passed, 1)
    );
    // And it may go again.
    publish(&house, &mut client, "dense", 300, dense);
    until("it to be switched off again", || {
        figures().deflate_switched_off == 2
    });
}

#[test]
fn some_that_do_not_shrink_switch_nothing_off() {
    let house = open(config().deflate_level(1).deflate_bytes_min(100).shards(2));
    let (mut client, _, _) = offering(&house, "mixed", OFFER);
    let mixed = |n: u64| match n % 2 {
        0 => dense(n),
        _ => news(n as usize).into_bytes(),
    };
    assert_eq!(publish(&house, &mut client, "mixed", 600, mixed), 300);
    assert_eq!(house.engine.snapshot().deflate_switched_off, 0);
}
