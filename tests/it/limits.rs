//! Limits that a host sets for its peers: connections of a user, how fast they come and speak.
//!
//! In: peers that ask for more. Out: a status, a close code or silence for what is too much, its
//! counter, and no harm to what is within the limit.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use roomcast::{Accept, CloseReason, Config, MessageRatePolicy};

use crate::client::{CLOSE, Client, PING, PONG, TEXT, Wire, masked, upgrade};
use crate::house::{Open, Told, config, ended, open, until};

/// What the host was told that peers said.
fn heard(house: &Open) -> Vec<String> {
    let all = house.log.all().into_iter();
    let heard = all.filter_map(|told| match told {
        Told::Message(_, text) => Some(text),
        _ => None,
    });
    heard.collect()
}

#[test]
fn one_too_many_of_a_user_is_429_on_whichever_shard() {
    let house = open(config().shards(3).user_connections_max(2));
    let mut ada: Vec<_> = (0..2).map(|_| house.client("r?user=ada").0).collect();
    let refused = Client::ask(house.address(), "/r?user=ada", &[]);
    let refused = refused.err().unwrap();
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("user_connections_max"), "{refused:?}");
    let head = refused.head.to_ascii_lowercase();
    assert!(head.contains("retry-after: 1\r\n"), "{head}");
    assert_eq!(house.engine.snapshot().rejected_user, 1);
    // Others, and those without a name, are not concerned.
    let others = ["r?user=bob", "r?user=bob", "r", "r", "r"].map(|path| house.client(path));
    assert_eq!(house.engine.snapshot().opened, 7);
    // Its rooms hold whoever is in them, and nobody that was refused.
    until("the count", || house.engine.count("r") == 7);
    drop(ada.pop());
    until("a place", || {
        Client::ask(house.address(), "/r?user=ada", &[]).is_ok()
    });
    drop((ada, others));
    until("all to go", || house.engine.snapshot().connections == 0);
    assert_eq!(house.engine.count("r"), 0);
    let again: Vec<_> = (0..2).map(|_| house.client("r?user=ada")).collect();
    assert_eq!(again.len(), 2);
}

#[test]
fn one_too_many_of_a_user_that_is_open_already_is_closed_and_not_told() {
    let house = open(Config::new().user_connections_max(1).stop_spread_ms(0));
    let adopt = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let request = http::Request::get("/").header("host", "it.example");
        let request = request.header("connection", "upgrade");
        let request = request.header("upgrade", "websocket");
        let request = request.header("sec-websocket-version", "13");
        let request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let parts = request.body(()).unwrap().into_parts().0;
        let upgrade = house.engine.upgrade(&parts).unwrap();
        let upgrade = upgrade.accept(Accept::new().user("ada").room("r"));
        upgrade.adopt(listener.accept().unwrap().0, b"").unwrap();
        Client::on(Wire::Tcp(ours))
    };
    let mut first = adopt();
    first.id();
    let mut second = adopt();
    assert_eq!(second.closed(), (1008, "user_connections_max".into()));
    until("its end", || house.engine.snapshot().connections == 1);
    assert_eq!(
        (ended(&house.engine, "limit"), house.engine.count("r")),
        (1, 1)
    );
    assert_eq!(house.engine.snapshot().rejected_user, 1);
    first.close(1000, "");
    first.close_frame();
    until("the first to go", || {
        house.engine.snapshot().connections == 0
    });
    adopt().id();
    let opened = house.log.all();
    let opened = opened.iter().filter(|t| matches!(t, Told::Opened(_)));
    assert_eq!(opened.count(), 2);
}

#[test]
fn accepting_keeps_to_its_rate_and_loses_nobody() {
    let house = open(config().shards(2).accept_rate_max(10));
    let began = Instant::now();
    let waiting = (0..13).map(|_| {
        let mut client = Client::bare(house.address());
        client.write(upgrade("/r", &[]).as_bytes());
        client
    });
    let waiting: Vec<_> = waiting.collect();
    for client in waiting {
        assert!(client.upgraded().is_ok());
    }
    // Ten at once, and three more that had to wait for a tenth of a second each.
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(290), "{took:?}");
    let figures = house.engine.snapshot();
    assert!(figures.accept_paced > 0 && figures.accepted == 13);
    assert_eq!((figures.accept_paused, figures.rejected_http), (0, 0));
}

#[test]
fn what_is_said_beyond_the_rate_is_dropped_and_counted() {
    let limits = config().message_rate_max(1).message_burst_max(3);
    let house = open(limits.shards(1));
    let (mut fast, _) = house.client("r");
    let (mut other, _) = house.client("r");
    let flood: Vec<u8> = (0..20)
        .flat_map(|i| masked(TEXT, format!("fast {i}").as_bytes()))
        .collect();
    fast.write(&flood);
    other.say("other");
    until("all but three", || {
        house.engine.snapshot().messages_refused == 17
    });
    until("the other", || heard(&house).contains(&"other".into()));
    let mut told = heard(&house);
    told.retain(|text| text != "other");
    assert_eq!(told, ["fast 0", "fast 1", "fast 2"]);
    assert_eq!(house.engine.snapshot().messages_in, 4);
    // It is not closed, is sent what it is owed, and may speak again.
    house.engine.publish("r", "still there").unwrap();
    assert_eq!(fast.text(), "still there");
    until("another message", || {
        fast.say("again");
        heard(&house).contains(&"again".into())
    });
}

#[test]
fn under_the_policy_close_the_flood_ends_the_connection_behind_what_was_allowed() {
    let limits = config().message_rate_max(1).message_burst_max(3);
    let house = open(limits.message_rate_policy(MessageRatePolicy::Close));
    let (mut fast, id) = house.client("r");
    // More of it comes later than is read in one go.
    let flood: Vec<u8> = (0..20_000)
        .flat_map(|i| masked(TEXT, format!("fast {i}").as_bytes()))
        .collect();
    fast.try_write(&flood);
    assert_eq!(fast.close_frame(), (1008, "message_rate_max".into()));
    let reason = house.log.closed(id);
    assert_eq!(
        reason,
        CloseReason::Limit {
            name: "message_rate_max"
        }
    );
    assert_eq!(heard(&house), ["fast 0", "fast 1", "fast 2"]);
    assert_eq!(ended(&house.engine, "limit"), 1);
    assert_eq!(house.engine.snapshot().messages_refused, 1);
}

#[test]
fn pings_count_too_and_the_answers_to_our_own_do_not() {
    let limits = config().message_rate_max(1).message_burst_max(5);
    let house = open(limits.shards(1));
    let (mut peer, _) = house.client("r");
    for _ in 0..50 {
        peer.write(&masked(PING, b"p"));
    }
    // A token comes back each second, so a slow machine may see one or two pongs more.
    until("nearly all but five", || {
        house.engine.snapshot().messages_refused >= 43
    });
    let pongs = std::iter::from_fn(|| peer.next_in(Duration::from_millis(50)))
        .filter(|frame| frame.opcode == PONG)
        .count();
    assert!((5..=7).contains(&pongs), "{pongs}");

    let pinging = config().ping_interval_ms(40).ping_timeout_ms(10_000);
    let limits = pinging.message_rate_max(1).message_burst_max(1);
    let house = open(limits.message_rate_policy(MessageRatePolicy::Close));
    let (mut quiet, _) = house.client("r");
    // It answers far more than one ping a second, and that is not held against it.
    let until = Instant::now() + Duration::from_millis(700);
    while Instant::now() < until {
        let frame = quiet.next_in(Duration::from_millis(20));
        assert!(frame.is_none(), "{frame:?}");
    }
    assert_eq!(house.engine.snapshot().messages_refused, 0);
    // Those that nobody asked for are.
    for _ in 0..4 {
        quiet.try_write(&masked(PONG, b""));
    }
    assert_eq!(quiet.close_frame().0, 1008);
}

#[test]
fn a_close_frame_is_heard_whatever_was_said_before() {
    let house = open(config().message_rate_max(1));
    let (mut peer, id) = house.client("r");
    let mut bytes: Vec<u8> = (0..9).flat_map(|_| masked(TEXT, b"x")).collect();
    bytes.extend(masked(CLOSE, &1000u16.to_be_bytes()));
    peer.write(&bytes);
    assert_eq!(peer.close_frame().0, 1000);
    let reason = house.log.closed(id);
    assert!(
        matches!(reason, CloseReason::Peer { code: 1000, .. }),
        "{reason}"
    );
}
