//! Figures: each refusal under one reason, late turns, CPU time, and which shard is hot.
//!
//! In: peers that are turned away, turns that are held up, work on one shard of several. Out: the
//! snapshot, and the text for Prometheus over the wire.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use roomcast::{Config, Engine, EventKind, Gate, Handler, Page, Pending, Request, Snapshot};

use crate::client::{Client, http, upgrade};
use crate::house::{config, open, open_with, until};

/// The reasons that have counted anything.
fn rejected(figures: &Snapshot) -> HashMap<&'static str, u64> {
    let all = figures.figures().into_iter();
    let all = all.filter_map(|(name, n)| Some((name.strip_prefix("rejected_")?, n)));
    all.filter(|(_, n)| *n > 0).collect()
}

struct Refuses;

impl Handler for Refuses {
    fn connecting(&self, request: &Request, pending: Pending) {
        match request.path() {
            "/no" => pending.refuse(401, "who are you?"),
            "/silent" => drop(pending),
            // It is answered when the engine ends.
            _ => std::mem::forget(pending),
        }
    }
}

#[test]
fn every_refusal_is_counted_under_one_reason() {
    let limits = config()
        .shards(2)
        .handshake_timeout_ms(60)
        .verdict_timeout_ms(30);
    let engine = Engine::start(limits.head_bytes_max(1024), Refuses).unwrap();
    let at = engine.addresses()[0];
    let status =
        |path: &str, headers: &[&str]| Client::ask(at, path, headers).err().unwrap().status;
    assert_eq!((status("/no", &[]), status("/silent", &[])), (401, 503));
    assert_eq!(status("/later", &[]), 503);
    assert_eq!(status("/", &["Origin: https://evil.example"]), 403);
    assert_eq!(status("/", &[&format!("X: {}", "x".repeat(1500))]), 431);
    assert_eq!(http(at, "GET / HTTP/1.1\r\nHost: it\r\n\r\n").status, 404);
    assert_eq!(http(at, "PUT / HTTP/1.1\r\nHost: it\r\n\r\n").status, 405);
    assert_eq!(http(at, "GET / HTTP/1.1\r\n\r\n").status, 400);
    assert_eq!(http(at, "GET / HT").status, 408);
    let expected = [
        ("host", 2),
        ("verdict_timeout", 1),
        ("origin", 1),
        ("head_size", 1),
        ("path", 1),
        ("invalid", 2),
        ("head_timeout", 1),
        ("http", 9),
    ];
    let figures = engine.snapshot();
    assert_eq!(rejected(&figures), HashMap::from(expected));
    let text = figures.prometheus();
    assert!(
        text.contains("\nroomcast_rejected_total{reason=\"host\"} 2\n"),
        "{text}"
    );

    let mut waiting = Client::bare(at);
    waiting.write(upgrade("/later", &[]).as_bytes());
    until("it to wait", || engine.snapshot().accepted == 10);
    engine.stop();
    assert_eq!(waiting.response().status, 503);
    assert_eq!(rejected(&engine.snapshot())["stopping"], 1);
}

struct Full;

impl Gate for Full {
    fn wants(&self, kind: EventKind) -> bool {
        matches!(kind, EventKind::Connecting)
    }
}

#[test]
fn a_full_queue_of_events_is_a_reason_of_its_own() {
    let (engine, events) = Engine::start_with_gate(config().shards(1).events_max(1), Full).unwrap();
    let mut first = Client::bare(engine.addresses()[0]);
    first.write(upgrade("/", &[]).as_bytes());
    assert!(events.wait(Duration::from_secs(20)));
    let refused = Client::ask(engine.addresses()[0], "/", &[]).err().unwrap();
    assert_eq!(refused.status, 503);
    let expected = HashMap::from([("events", 1), ("http", 1)]);
    assert_eq!(rejected(&engine.snapshot()), expected);
}

#[test]
fn what_waits_while_a_callback_holds_its_turn_up_is_late() {
    let house = open_with(config().shards(1), |_, message| {
        if message.bytes() == b"hold" {
            let until = Instant::now() + Duration::from_millis(60);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
    });
    let (mut client, _) = house.client("r");
    house.engine.publish("r", "first").unwrap();
    assert_eq!(client.text(), "first");
    let before = house.engine.snapshot().turn_lag;
    assert!(before.count() > 0);
    let heard = house.engine.snapshot().messages_in;
    client.say("hold");
    until("the callback", || {
        house.engine.snapshot().messages_in > heard
    });
    house.engine.publish("r", "late").unwrap();
    assert_eq!(client.text(), "late");
    let since = house.engine.snapshot().turn_lag.since(&before);
    // It began to wait somewhat after the callback had begun.
    assert_eq!(since.count(), 1);
    assert!(since.quantile_ns(1.0) >= 10_000_000, "{since:?}");
}

#[test]
fn the_shard_that_works_is_seen_to_be_hot() {
    let house = open_with(config().shards(2), |_, _| {
        let until = Instant::now() + Duration::from_millis(1);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    });
    let (mut client, _) = house.client("r");
    let shard = usize::from(house.engine.snapshot().shards[1].connections == 1);
    until("CPU time on one shard", || {
        client.say("work");
        let shards = house.engine.snapshot().shards;
        shards[shard].cpu_ns > 40_000_000
    });
    let all = house.engine.snapshot();
    let (hot, cold) = (&all.shards[shard], &all.shards[1 - shard]);
    assert!(
        hot.cpu_ns > 4 * cold.cpu_ns,
        "{} {}",
        hot.cpu_ns,
        cold.cpu_ns
    );
    assert!(hot.busy_ns > 4 * cold.busy_ns);
    assert!(
        hot.cpu_ns <= hot.busy_ns * 2,
        "{} {}",
        hot.cpu_ns,
        hot.busy_ns
    );
    assert_eq!((hot.connections, cold.connections), (1, 0));
    assert_eq!(all.shards.len(), 2);
    assert!(all.messages_in >= hot.messages_in && cold.messages_in == 0);
    assert!(all.connection_bytes > 0 && all.errors == 0);
}

#[test]
fn an_engine_on_the_hosts_thread_has_no_cpu_time_of_its_own() {
    let engine = Engine::start(Config::new().own_threads(false), ()).unwrap();
    let until = Instant::now() + Duration::from_millis(30);
    while Instant::now() < until {
        engine.turn(Duration::ZERO);
    }
    let figures = engine.snapshot();
    assert!(figures.cpu_ns == 0 && figures.busy_ns > 0 && figures.turns > 0);
}

#[test]
fn other_names_are_served_where_the_host_asks_for_them() {
    let limits = config().metrics_path(Some("/metrics".into()));
    let house = open(
        limits
            .websocket_metrics(true)
            .pages(|_| Some(Page::html("x"))),
    );
    let (mut client, _) = house.client("r");
    house.engine.publish("r", "hello").unwrap();
    assert_eq!(client.text(), "hello");
    let get = "GET /metrics HTTP/1.1\r\nHost: it.example\r\n\r\n";
    let has = |line: &str| {
        let text = http(house.address(), get).body;
        text.lines().any(|found| found == line)
    };
    // The one that asks is a connection too.
    assert!(has("websocket_connections_total 2"));
    until("the count", || {
        has("websocket_messages_total{event_type=\"publish\"} 1")
            && has("websocket_message_duration_seconds_count 1")
            && has("websocket_message_duration_seconds_bucket{le=\"+Inf\"} 1")
    });
}
