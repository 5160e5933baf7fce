//! Flush intervals and conflation over real sockets: fewer writes, and nothing else changes.
//!
//! In: rooms and members with intervals. Out: counts of writes, orders, and the newest of each
//! key. An interval may end in the middle of a burst, so where one write is asked for, bursts go
//! on until one lay within an interval.

use std::thread;
use std::time::{Duration, Instant};

use roomcast::{Config, ConfigError, Filter, Join, Publication, RoomOptions};

use crate::client::{CLOSE, Client, PATIENCE, PING, PONG};
use crate::house::{Open, config, open, until};

const INTERVAL: Duration = Duration::from_millis(100);
/// Longer than any test.
const NEVER_MS: u32 = 600_000;

fn every(interval: Duration) -> RoomOptions {
    RoomOptions::new().flush_interval_ms(interval.as_millis() as u32)
}

fn never() -> RoomOptions {
    RoomOptions::new().flush_interval_ms(NEVER_MS)
}

fn about<'a>(key: &'a str, text: &'a str) -> Publication<'a> {
    Publication::text(text).key(key)
}

/// Publishes bursts to these rooms in turn until the members got one in a write each. A burst that
/// an interval ended in takes two.
fn one_write_each(house: &Open, members: &mut [Client], rooms: &[&str]) {
    let tries = Instant::now();
    while tries.elapsed() < PATIENCE {
        // What was sent before is counted when a shard answers.
        house.engine.connections().unwrap();
        let before = house.engine.snapshot();
        let began = Instant::now();
        for n in 0..20 {
            house
                .engine
                .publish(rooms[n % rooms.len()], &n.to_string())
                .unwrap();
        }
        let took = began.elapsed();
        for client in members.iter_mut() {
            (0..20).for_each(|n| assert_eq!(client.text(), n.to_string()));
        }
        let frames = 20 * members.len() as u64;
        until("it to be counted", || {
            house.engine.snapshot().deliveries - before.deliveries == frames
        });
        let writes = house.engine.snapshot().writes - before.writes;
        let intervals = 2 + took.as_millis() / INTERVAL.as_millis();
        assert!(
            writes <= members.len() as u64 * intervals as u64,
            "{writes} writes"
        );
        if writes == members.len() as u64 {
            return;
        }
    }
    panic!("no burst left in one write to each");
}

#[test]
fn what_is_published_within_an_interval_leaves_in_one_write_to_each() {
    let house = open(config().shards(1).room_options("slow", every(INTERVAL)));
    let mut members: Vec<_> = (0..10).map(|_| house.client("slow").0).collect();
    one_write_each(&house, &mut members, &["slow"]);
}

#[test]
fn a_member_of_several_rooms_with_one_interval_is_written_once() {
    let house = open(
        config()
            .shards(1)
            .flush_interval_ms(INTERVAL.as_millis() as u32),
    );
    let mut members: Vec<_> = (0..5).map(|_| house.client("a,b,c").0).collect();
    one_write_each(&house, &mut members, &["a", "b", "c"]);
}

#[test]
fn one_member_may_have_an_interval_of_its_own() {
    let house = open(config().shards(1).flush_interval_ms(NEVER_MS));
    let (mut patient, _) = house.client("r");
    let (client, id) = house.client("");
    let own = Join::new().flush_interval_ms(INTERVAL.as_millis() as u32);
    house.engine.join_with(id, "r", own).unwrap();
    let mut members = [client];
    one_write_each(&house, &mut members, &["r"]);
    assert!(patient.next_in(Duration::from_millis(1)).is_none());
}

#[test]
fn a_room_without_an_interval_does_not_wait_where_others_do() {
    let limits = config().shards(1).flush_interval_ms(NEVER_MS);
    let house = open(limits.room_options("now", every(Duration::ZERO)));
    let (mut prompt, _) = house.client("now");
    let (mut also, id) = house.client("r");
    house
        .engine
        .join_with(id, "r2", Join::new().flush_interval_ms(0))
        .unwrap();
    for n in 0..10 {
        house.engine.publish("now", &n.to_string()).unwrap();
        house.engine.publish("r2", &n.to_string()).unwrap();
        assert_eq!([prompt.text(), also.text()], [n.to_string(), n.to_string()]);
    }
}

#[test]
fn nothing_waits_for_longer_than_its_interval() {
    let house = open(config().shards(2).room_options("slow", every(INTERVAL)));
    let (mut client, _) = house.client("slow");
    for n in 0..20 {
        let began = Instant::now();
        house.engine.publish("slow", &n.to_string()).unwrap();
        assert_eq!(client.text(), n.to_string());
        let took = began.elapsed();
        // The machine may be busy with other tests.
        assert!(took < INTERVAL + Duration::from_secs(2), "{took:?}");
    }
}

#[test]
fn joins_and_leaves_within_an_interval_are_exact() {
    let house = open(config().shards(2).room_options("slow", every(INTERVAL)));
    let (mut stays, _) = house.client("slow");
    let (mut moves, id) = house.client("");
    let mut due = Vec::new();
    for n in 0..3_000 {
        match n % 7 {
            0 => drop(house.engine.join(id, "slow").unwrap()),
            4 => house.engine.leave(id, "slow").unwrap(),
            _ => {}
        }
        let text = n.to_string();
        house.engine.publish("slow", &text).unwrap();
        if n % 7 < 4 {
            due.push(text);
        }
    }
    (0..3_000).for_each(|n| assert_eq!(stays.text(), n.to_string()));
    house.engine.send(id, "end").unwrap();
    assert!(moves.texts_before("end") == due);
}

#[test]
fn whatever_else_a_member_is_sent_takes_along_what_waits() {
    let house = open(config().shards(1).room_options("never", never()));
    let (mut client, id) = house.client("never,now");
    let mut due = Vec::new();
    for n in 0..100 {
        let text = n.to_string();
        match n % 10 {
            9 => house.engine.publish("now", &text).map(drop).unwrap(),
            5 => house.engine.send(id, &text).unwrap(),
            _ => house.engine.publish("never", &text).map(drop).unwrap(),
        }
        due.push(text);
    }
    house.engine.send(id, "end").unwrap();
    assert_eq!(client.texts_before("end"), due);
}

#[test]
fn a_pong_does_not_wait_and_takes_nothing_along() {
    let house = open(config().shards(1).room_options("never", never()));
    let (mut client, id) = house.client("never");
    house.engine.publish("never", "it waits").unwrap();
    client.frame(PING, b"are you there");
    let frame = client.next();
    assert_eq!(
        (frame.opcode, frame.data.as_slice()),
        (PONG, &b"are you there"[..])
    );
    assert!(
        client.next_in(Duration::from_millis(50)).is_none(),
        "it waits"
    );
    house.engine.leave(id, "never").unwrap();
    assert_eq!(client.text(), "it waits");
}

#[test]
fn what_waits_is_sent_before_a_close_and_before_a_stop() {
    let house = open(config().shards(1).room_options("never", never()));
    let (mut closed, id) = house.client("never");
    let (mut stopped, _) = house.client("never");
    let (mut joined, other) = house.client("never");
    house.engine.publish("never", "it waits").unwrap();
    house.engine.close(id, 4000, "enough").unwrap();
    assert_eq!(closed.text(), "it waits");
    assert_eq!(closed.closed().0, 4000);
    house
        .engine
        .join_with(other, "never", Join::new().keys(["k"]))
        .unwrap();
    assert_eq!(joined.text(), "it waits");
    thread::scope(|scope| {
        scope.spawn(|| house.engine.stop());
        assert_eq!(stopped.text(), "it waits");
        assert_eq!(stopped.next().opcode, CLOSE);
        stopped.close(1001, "");
        joined.closed();
    });
}

#[test]
fn an_interval_ends_early_before_publishers_are_refused() {
    let limits = config().shards(1).room_ahead_bytes_max(64 * 1024);
    let house = open(limits.room_options("never", never()));
    let (mut client, _) = house.client("never");
    let text = "x".repeat(1_000);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            (0..900).for_each(|_| assert_eq!(client.text().len(), 1_000));
        });
        for _ in 0..1_000 {
            // Not because of the interval: a refusal is over in a moment.
            until("there to be place", || {
                house.engine.publish("never", &text).is_ok()
            });
        }
        reader.join().unwrap();
    });
}

#[test]
fn of_each_key_the_newest_leaves_and_what_has_none_leaves_all() {
    let house = open(
        config()
            .shards(1)
            .room_options("c", every(INTERVAL).conflate(true)),
    );
    let mut members: Vec<_> = (0..3).map(|_| house.client("c")).collect();
    let (began, keys) = (Instant::now(), ["a", "b", "c"]);
    let mut n = 0;
    while began.elapsed() < 5 * INTERVAL {
        house
            .engine
            .publish("c", about(keys[n % 3], &n.to_string()))
            .unwrap();
        if n % 100 == 0 {
            house.engine.publish("c", &format!("none {n}")).unwrap();
        }
        n += 1;
        thread::yield_now();
    }
    let intervals = 2 + began.elapsed().as_millis() / INTERVAL.as_millis();
    for (client, id) in &mut members {
        house.engine.send(*id, "end").unwrap();
        let got = client.texts_before("end");
        let (free, keyed): (Vec<_>, Vec<_>) = got.iter().partition(|t| t.starts_with("none "));
        assert_eq!(free.len(), n.div_ceil(100), "all without a key");
        for key in 0..3 {
            let of = keyed.iter().map(|text| text.parse::<usize>().unwrap());
            let of: Vec<usize> = of.filter(|number| number % 3 == key).collect();
            assert!(of.is_sorted());
            let newest = (0..n).rev().find(|number| number % 3 == key);
            assert_eq!(of.last().copied(), newest, "the last value arrives");
            assert!(
                of.len() as u128 <= intervals + 1,
                "{} in {intervals}",
                of.len()
            );
        }
    }
    let conflated = house.engine.snapshot().conflated;
    assert!(conflated > 0 && conflated < n as u64);
    assert_eq!(
        house.engine.room("c").unwrap().position().offset,
        (n + n.div_ceil(100)) as u64
    );
}

#[test]
fn a_filter_is_asked_before_the_newest_is_chosen() {
    let house = open(config().shards(1).room_options("c", never().conflate(true)));
    let (mut all, id) = house.client("c");
    let (mut bids, bidder) = house.client("");
    let (mut watcher, watching) = house.client("");
    let how = Join::new().filter(Filter::eq("side", "bid"));
    house.engine.join_with(bidder, "c", how).unwrap();
    house
        .engine
        .join_with(watching, "c", Join::new().keys(["k"]))
        .unwrap();
    for (text, side) in [("1", "bid"), ("2", "bid"), ("3", "ask")] {
        let tags = [("side", side)];
        house
            .engine
            .publish("c", about("k", text).tags(&tags))
            .unwrap();
    }
    house.engine.publish("c", about("other", "4")).unwrap();
    for id in [id, bidder, watching] {
        house.engine.leave(id, "c").unwrap();
        house.engine.send(id, "end").unwrap();
    }
    assert_eq!(all.texts_before("end"), ["3", "4"]);
    assert_eq!(bids.texts_before("end"), ["2"]);
    assert_eq!(watcher.texts_before("end"), ["3"]);
    until("it to be counted", || {
        house.engine.snapshot().conflated >= 2 + 1 + 2
    });
    assert_eq!(house.engine.snapshot().conflated, 2 + 1 + 2);
}

#[test]
fn options_that_cannot_work_are_named() {
    let check = |options| Config::new().room_options("r", options).check();
    let refused = check(RoomOptions::new().conflate(true)).unwrap_err();
    assert!(matches!(
        refused,
        ConfigError::TooSmall {
            setting: "flush_interval_ms",
            ..
        }
    ));
    let refused = check(RoomOptions::new().flush_interval_ms(3_600_001)).unwrap_err();
    assert!(matches!(
        refused,
        ConfigError::TooLarge {
            setting: "flush_interval_ms",
            ..
        }
    ));
    let all = Config::new().flush_interval_ms(10);
    assert!(
        all.room_options("r", RoomOptions::new().conflate(true))
            .check()
            .is_ok()
    );
}
