//! The verdict on a newcomer: at once, later, never, from any thread.
//!
//! In: a pull side whose `Connecting` events the test answers as it likes. Out: 101 or a refusal.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use roomcast::{Accept, Config, Engine, Event, Events, Pending, Request};

use crate::client::{Client, PATIENCE, TEXT, masked, upgrade};
use crate::house::{config, ended, until};

fn start(config: Config) -> (Engine, Events) {
    Engine::start_with_events(config).unwrap()
}

/// The next event that is not the end of the connection before.
fn next(events: &Events) -> Event {
    loop {
        match events.recv_timeout(PATIENCE).unwrap().unwrap() {
            Event::Closed { .. } => {}
            other => return other,
        }
    }
}

fn pending(events: &Events) -> (Arc<Request>, Pending) {
    match next(events) {
        Event::Connecting { request, pending } => (request, pending),
        other => panic!("{other:?}"),
    }
}

/// A client that has asked and was not answered yet.
fn asking(engine: &Engine, path: &str, headers: &[&str]) -> Client {
    let mut client = Client::bare(engine.addresses()[0]);
    client.write(upgrade(path, headers).as_bytes());
    client
}

#[test]
fn a_verdict_may_come_from_another_thread() {
    let (engine, events) = start(config().shards(2));
    let client = asking(&engine, "/later", &[]);
    let (_, verdict) = pending(&events);
    let id = verdict.id();
    thread::spawn(move || verdict.accept(Accept::new().user("ada").room("r")))
        .join()
        .unwrap();
    let (mut client, _) = client.upgraded().unwrap();
    match next(&events) {
        Event::Opened { peer } => assert_eq!((peer.id(), peer.user()), (id, Some("ada"))),
        other => panic!("{other:?}"),
    }
    engine.publish("r", "hello").unwrap();
    assert_eq!(client.text(), "hello");
}

#[test]
fn the_request_is_shown_to_the_host_whole() {
    let (engine, events) = start(config());
    let headers = [
        "Cookie: a=1; sid=xyz",
        "Origin: http://it.example",
        "Sec-WebSocket-Protocol: one, two",
        "X-Own: yes",
    ];
    let _client = asking(&engine, "/path/%20x?q=a+b&n=1", &headers);
    let (request, _pending) = pending(&events);
    assert_eq!(request.method(), "GET");
    assert_eq!(request.path(), "/path/%20x");
    assert_eq!(request.query_value("q").as_deref(), Some("a b"));
    assert_eq!(request.cookie("sid"), Some("xyz"));
    assert_eq!(request.header("x-own"), Some("yes"));
    assert_eq!(request.origin(), Some("http://it.example"));
    assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["one", "two"]);
    assert!(request.peer().unwrap().ip().is_loopback());
}

#[test]
fn a_refusal_has_the_hosts_status_and_text() {
    let (engine, events) = start(config());
    for (given, sent) in [(401, 401), (404, 404), (599, 599), (200, 403), (99, 403)] {
        let client = asking(&engine, "/", &[]);
        pending(&events).1.refuse(given, "not you");
        let response = client.upgraded().err().unwrap();
        assert_eq!((response.status, response.body.trim()), (sent, "not you"));
    }
    assert_eq!(engine.snapshot().opened, 0);
    assert_eq!(engine.snapshot().rejected_http, 5);
}

#[test]
fn a_dropped_verdict_is_503() {
    let (engine, events) = start(config());
    let client = asking(&engine, "/", &[]);
    drop(pending(&events));
    assert_eq!(client.upgraded().err().unwrap().status, 503);
}

#[test]
fn a_verdict_that_does_not_come_in_time_is_503_and_late_ones_do_nothing() {
    let (engine, events) = start(config().verdict_timeout_ms(60));
    let began = Instant::now();
    let client = asking(&engine, "/", &[]);
    let (_, verdict) = pending(&events);
    let response = client.upgraded().err().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(55));
    assert_eq!(response.status, 503);
    assert!(response.body.contains("verdict_timeout_ms"), "{response:?}");
    verdict.accept(Accept::new().room("r"));
    until("the count", || ended(&engine, "handshake_timeout") == 1);
    until("no room is left of it", || engine.rooms().is_empty());
    assert_eq!(engine.snapshot().opened, 0);
}

#[test]
fn a_verdict_for_a_peer_that_has_gone_does_nothing() {
    let (engine, events) = start(config());
    let client = asking(&engine, "/", &[]);
    let (_, verdict) = pending(&events);
    drop(client);
    verdict.accept(Accept::new().room("r"));
    until("nobody is left", || engine.snapshot().connections == 0);
    until("the room to vanish", || engine.rooms().is_empty());
}

#[test]
fn what_is_published_after_accept_returned_is_seen() {
    let (engine, events) = start(config().shards(2));
    for n in 0..50 {
        let client = asking(&engine, "/", &[]);
        let text = n.to_string();
        engine.publish("r", "before").unwrap();
        pending(&events).1.accept(Accept::new().room("r"));
        engine.publish("r", &text).unwrap();
        let (mut client, _) = client.upgraded().unwrap();
        assert_eq!(client.text(), text);
        drop(client);
        let mut batch = Vec::new();
        until("it to close", || {
            events.drain(8, &mut batch);
            batch.iter().any(|e| matches!(e, Event::Closed { .. }))
        });
    }
}

#[test]
fn frames_behind_the_head_wait_for_the_verdict() {
    let (engine, events) = start(config());
    let mut client = Client::bare(engine.addresses()[0]);
    let mut bytes = upgrade("/", &[]).into_bytes();
    bytes.extend(masked(TEXT, b"early"));
    client.write(&bytes);
    let (_, verdict) = pending(&events);
    client.say("while deciding");
    verdict.accept(Accept::new());
    let (mut client, _) = client.upgraded().unwrap();
    client.say("open");
    assert!(matches!(next(&events), Event::Opened { .. }));
    for expected in ["early", "while deciding", "open"] {
        let event = next(&events);
        assert_eq!(event.message().unwrap().text(), Some(expected));
    }
}

#[test]
fn a_head_may_come_octet_by_octet() {
    let (engine, events) = start(config());
    let mut client = Client::bare(engine.addresses()[0]);
    let mut bytes = upgrade("/slow", &[]).into_bytes();
    bytes.extend(masked(TEXT, b"x"));
    for byte in &bytes {
        client.write(&[*byte]);
    }
    pending(&events).1.accept(Accept::new());
    client.upgraded().unwrap();
    assert!(matches!(next(&events), Event::Opened { .. }));
    assert_eq!(next(&events).message().unwrap().text(), Some("x"));
}

#[test]
fn a_subprotocol_is_answered_when_it_was_offered() {
    let (engine, events) = start(config());
    let offers = ["Sec-WebSocket-Protocol: chat.v2, chat.v1"];
    let cases: [(&[&str], &str, bool); 4] = [
        (&offers, "chat.v1", true),
        (&offers, "chat.v3", false),
        (&offers, "", false),
        (&[], "chat.v1", false),
    ];
    for (headers, chosen, answered) in cases {
        let client = asking(&engine, "/", headers);
        let (_, verdict) = pending(&events);
        let accept = Accept::new();
        verdict.accept(match chosen {
            "" => accept,
            name => accept.subprotocol(name),
        });
        let (_client, response) = client.upgraded().unwrap();
        let head = response.head.to_ascii_lowercase();
        let line = format!("\r\nsec-websocket-protocol: {chosen}\r\n");
        assert_eq!(head.contains(&line), answered, "{head}");
        assert_eq!(head.contains("sec-websocket-protocol"), answered, "{head}");
        assert!(matches!(next(&events), Event::Opened { .. }));
    }
}

#[test]
fn the_applications_data_comes_with_every_event() {
    let (engine, events) = start(config());
    let client = asking(&engine, "/", &[]);
    let accept = Accept::new().data(Arc::new(42u32));
    pending(&events).1.accept(accept);
    let (mut client, _) = client.upgraded().unwrap();
    client.say("x");
    client.close(1000, "");
    client.drain();
    for _ in 0..3 {
        match events.recv().unwrap() {
            Event::Opened { peer } | Event::Message { peer, .. } | Event::Closed { peer, .. } => {
                assert_eq!(peer.data::<u32>(), Some(&42));
                assert_eq!(peer.data::<u64>(), None);
            }
            other => panic!("{other:?}"),
        }
    }
}
