//! How connections end: close frames both ways, silence, violations, vanished peers.
//!
//! In: peers that close well, badly, or not at all. Out: the code on the wire, the reason that the
//! host was told, and a socket that is closed in time.

use std::time::{Duration, Instant};

use roomcast::CloseReason;

use crate::client::{CLOSE, Client, PING, PONG, TEXT};
use crate::house::{Told, config, ended, open, open_with, until};

#[test]
fn a_peers_close_is_answered_with_its_code_and_the_socket_ends_at_once() {
    let house = open(config().shards(2));
    for (code, text) in [(1000, "bye"), (1001, ""), (4321, "own"), (3000, "é")] {
        let (mut client, id) = house.client("r");
        let began = Instant::now();
        client.close(code, text);
        assert_eq!(client.close_frame().0, code);
        client.end();
        assert!(began.elapsed() < Duration::from_millis(900), "prompt");
        let text = text.to_string();
        assert_eq!(house.log.closed(id), CloseReason::Peer { code, text });
    }
    let (mut client, id) = house.client("r");
    client.frame(CLOSE, b"");
    let frame = client.next();
    assert_eq!(
        (frame.opcode, frame.data.len()),
        (CLOSE, 0),
        "no code, none back"
    );
    client.end();
    assert_eq!(house.log.closed(id).code(), 1005);
    until("nobody", || house.engine.rooms().is_empty());
}

#[test]
fn the_hosts_close_comes_after_what_was_owed_and_ends_with_the_echo() {
    let house = open(config());
    let (mut client, id) = house.client("r");
    for n in 0..200 {
        house.engine.publish("r", n.to_string().as_str()).unwrap();
        house.engine.send(id, "private").unwrap();
    }
    house.engine.close(id, 4005, "enough").unwrap();
    house.engine.send(id, "never").unwrap();
    house.engine.publish("r", "never").unwrap();
    for n in 0..200 {
        assert_eq!(client.text(), n.to_string());
        assert_eq!(client.text(), "private");
    }
    assert_eq!(client.closed(), (4005, "enough".into()));
    assert_eq!(house.log.closed(id), CloseReason::Host { code: 4005 });
}

#[test]
fn a_long_close_text_is_cut_at_a_character() {
    let house = open(config());
    let (mut client, id) = house.client("");
    house.engine.close(id, 1000, &"é".repeat(100)).unwrap();
    assert_eq!(client.closed(), (1000, "é".repeat(61)));
}

#[test]
fn a_peer_that_does_not_answer_a_close_is_gone_in_close_timeout() {
    let house = open(config().close_timeout_ms(100));
    let (mut client, id) = house.client("r");
    let began = Instant::now();
    house.engine.close(id, 1000, "").unwrap();
    assert_eq!(client.close_frame().0, 1000);
    client.end();
    assert!(began.elapsed() >= Duration::from_millis(90));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(house.log.closed(id), CloseReason::Host { code: 1000 });
}

#[test]
fn messages_before_a_close_are_told_and_none_after_it() {
    let house = open(config());
    let (mut client, id) = house.client("");
    let mut bytes = Vec::new();
    for n in 0..50 {
        bytes.extend(crate::client::masked(TEXT, format!("{n}").as_bytes()));
    }
    bytes.extend(crate::client::masked(CLOSE, &[3, 232]));
    bytes.extend(crate::client::masked(TEXT, b"never"));
    client.write(&bytes);
    client.drain();
    house.log.closed(id);
    let mut expected = vec![Told::Opened(id)];
    expected.extend((0..50).map(|n| Told::Message(id, n.to_string())));
    let (text, code) = (String::new(), 1000);
    expected.push(Told::Closed(id, CloseReason::Peer { code, text }));
    assert_eq!(house.log.all(), expected);
}

#[test]
fn an_echo_of_good_messages_precedes_the_close_for_a_bad_one() {
    let house = open_with(config(), |connection, message| {
        connection.send(message).unwrap();
    });
    let (mut client, id) = house.client("");
    let mut bytes = crate::client::masked(TEXT, b"good");
    bytes.extend(crate::client::masked(TEXT, b"\xff\xfe"));
    client.write(&bytes);
    assert_eq!(client.text(), "good");
    assert_eq!(client.closed().0, 1007);
    assert_eq!(house.log.closed(id).name(), "protocol");
}

#[test]
fn violations_have_their_codes() {
    let house = open(config().message_bytes_max(100).message_fragments_max(3));
    let unmasked = vec![0x81, 1, b'x'];
    let part = |opcode: u8| vec![opcode, 0x81, 0, 0, 0, 0, b'x'];
    let parts = [part(TEXT), part(0), part(0), part(0), part(0)].concat();
    let cases: [(u16, Vec<u8>); 5] = [
        (1002, unmasked),
        (1002, crate::client::masked(3, b"")),
        (1002, crate::client::masked(PING, &[0; 126])),
        (1009, crate::client::masked(TEXT, &[b'x'; 101])),
        (1009, parts),
    ];
    for (code, bytes) in cases {
        let (mut client, id) = house.client("r");
        client.write(&bytes);
        assert_eq!(client.closed().0, code, "{bytes:?}");
        drop(client);
        assert!(matches!(house.log.closed(id), CloseReason::Protocol { code: c, .. } if c == code));
    }
}

#[test]
fn a_peer_that_just_goes_is_told_as_vanished() {
    let house = open(config().shards(2));
    let (client, id) = house.client("r");
    drop(client);
    assert_eq!(house.log.closed(id), CloseReason::Vanished);
    until("the room to vanish", || house.engine.rooms().is_empty());
}

#[test]
fn an_end_right_behind_a_message_is_noticed_at_once() {
    let house = open(config().shards(2));
    for _ in 0..40 {
        let (mut client, id) = house.client("r");
        client.say("the last word");
        drop(client);
        let began = Instant::now();
        assert_eq!(house.log.closed(id), CloseReason::Vanished);
        assert!(began.elapsed() < Duration::from_secs(5), "no timer needed");
    }
}

#[test]
fn what_the_host_does_about_the_last_message_comes_before_the_end_of_the_stream() {
    let house = open_with(config().shards(2), |connection, _| {
        let room = "r";
        connection.handle().publish(room, "before").unwrap();
        connection.close(4000, "enough").unwrap();
        connection.handle().publish(room, "after").unwrap();
    });
    for _ in 0..40 {
        let (mut client, id) = house.client("r");
        client.say("the last word");
        client.shut();
        assert_eq!(client.text(), "before");
        assert_eq!(
            client.close_frame(),
            (4000, "enough".into()),
            "and nothing after it"
        );
        assert_eq!(house.log.closed(id), CloseReason::Host { code: 4000 });
    }
}

#[test]
fn pings_are_answered_even_between_fragments() {
    let house = open_with(config(), |connection, message| {
        connection.send(message).unwrap();
    });
    let (mut client, _) = house.client("");
    client.frame(PING, b"one");
    let frame = client.next();
    assert_eq!((frame.opcode, frame.data.as_slice()), (PONG, &b"one"[..]));
    client.write(&[TEXT, 0x81, 0, 0, 0, 0, b'a']);
    client.frame(PING, b"two");
    assert_eq!(client.next().data, b"two");
    client.write(&[0x80, 0x81, 0, 0, 0, 0, b'b']);
    assert_eq!(client.text(), "ab");
}

#[test]
fn a_peer_that_answers_no_ping_is_closed_and_one_that_does_stays() {
    let house = open(config().ping_interval_ms(40).ping_timeout_ms(100));
    let (mut silent, id) = house.client("r");
    let (mut alive, other) = house.client("r");
    let reader = std::thread::spawn(move || {
        // Reading answers the pings.
        let text = alive.text();
        (alive, text)
    });
    assert_eq!(house.log.closed(id), CloseReason::PingTimeout);
    silent.drain();
    assert!(house.engine.connections().unwrap().contains(&other));
    house.engine.publish("r", "still here").unwrap();
    assert_eq!(reader.join().unwrap().1, "still here");
    assert_eq!(ended(&house.engine, "ping_timeout"), 1);
}

#[test]
fn an_idle_peer_is_closed_with_4001_though_it_answers_pings() {
    let house = open(config().idle_timeout_ms(150).ping_interval_ms(30));
    let (mut client, id) = house.client("");
    let began = Instant::now();
    client.say("the last word");
    assert_eq!(client.closed(), (4001, "idle".into()));
    assert!(began.elapsed() >= Duration::from_millis(140));
    assert_eq!(house.log.closed(id), CloseReason::IdleTimeout);
}

#[test]
fn a_peer_that_speaks_is_not_idle() {
    let house = open(config().idle_timeout_ms(300));
    let (mut client, id) = house.client("");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(900) {
        client.say("x");
        assert!(client.next_in(Duration::from_millis(20)).is_none());
    }
    assert!(house.engine.connections().unwrap().contains(&id));
}

#[test]
fn an_upgraded_peer_is_told_closed_once_and_last() {
    let house = open(config().shards(2));
    let clients: Vec<_> = (0..20).map(|_| house.client("r")).collect();
    let mut ids = Vec::new();
    for (n, (mut client, id)) in clients.into_iter().enumerate() {
        ids.push(id);
        match n % 4 {
            0 => drop(client),
            1 => client.close(1000, ""),
            2 => house.engine.close(id, 1000, "").unwrap(),
            // Both at once.
            _ => {
                house.engine.close(id, 1000, "").unwrap();
                client.close(1000, "");
            }
        }
    }
    house.engine.stop();
    let told = house.log.all();
    for id in ids {
        let closed = |t: &&Told| matches!(t, Told::Closed(who, _) if *who == id);
        assert_eq!(told.iter().filter(closed).count(), 1);
    }
}

#[test]
fn a_bare_socket_that_goes_before_its_head_leaves_nothing() {
    let house = open(config());
    for _ in 0..10 {
        drop(Client::bare(house.address()));
    }
    let all = || house.engine.snapshot().accepted == 10;
    until("them to be accepted", all);
    until("nobody", || house.engine.snapshot().connections == 0);
    assert!(house.log.all().is_empty());
}
