//! Reports of tracked publications over real sockets: one for each, and members add up, whoever
//! leaves, stalls or stops meanwhile.
//!
//! In: tracked publications in all ways. Out: their reports, from callbacks and from a queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use roomcast::{
    Accept, Delivery, Engine, Event, EventKind, Filter, Gate, Handle, Join, Pending, Publication,
    Refused, Request, RoomOptions, SlowPolicy,
};

use crate::client::{Client, PATIENCE};
use crate::house::{config, open, until};

fn sum(report: &Delivery) -> usize {
    report.reached + report.filtered + report.skipped + report.conflated + report.lagging
}

/// One report for each of these, whatever the order.
fn by_token(reports: &[Delivery]) -> BTreeMap<u64, Delivery> {
    let all: BTreeMap<u64, Delivery> = reports.iter().map(|d| (d.token, *d)).collect();
    assert_eq!(all.len(), reports.len(), "one report for each");
    all
}

#[test]
fn members_of_each_report_add_up() {
    let house = open(config().shards(2));
    let mut clients: Vec<_> = (0..12).map(|_| house.client("")).collect();
    for (n, (_, id)) in clients.iter().enumerate() {
        let how = match n % 4 {
            0 | 1 => Join::new(),
            2 => Join::new().filter(Filter::eq("side", "bid")),
            _ => Join::new().keys(["k"]),
        };
        house.engine.join_with(*id, "r", how).unwrap();
    }
    let except = [clients[0].1, clients[2].1, clients[3].1];
    let room = house.engine.room("r").unwrap();
    let mut due = BTreeMap::new();
    for n in 0..200usize {
        let text = n.to_string();
        let tags = [("side", if n % 2 == 0 { "bid" } else { "ask" })];
        let mut publication = Publication::text(&text).tags(&tags);
        if n % 3 == 0 {
            publication = publication.key("k");
        }
        if n % 5 == 0 {
            publication = publication.except(&except);
        }
        let tracked = match n % 7 {
            0 => room.publish_tracked(publication),
            _ => house.engine.publish_tracked("r", publication),
        }
        .unwrap();
        assert_eq!(
            (tracked.published.offset, tracked.published.members),
            (Some(n as u64 + 1), 12)
        );
        let (bids, keys) = (n % 2 == 0, n % 3 == 0);
        let filtered = if bids { 0 } else { 3 } + if keys { 0 } else { 3 };
        let skipped = if n % 5 == 0 {
            1 + usize::from(bids) + usize::from(keys)
        } else {
            0
        };
        due.insert(tracked.token, (tracked.published.offset, filtered, skipped));
    }
    for (client, id) in &mut clients {
        house.engine.send(*id, "end").unwrap();
        client.texts_before("end");
    }
    until("all reports", || house.log.deliveries().len() >= due.len());
    for (token, told) in by_token(&house.log.deliveries()) {
        let is = (told.offset, told.filtered, told.skipped);
        assert_eq!(due.remove(&token), Some(is), "{told:?}");
        assert_eq!((sum(&told), told.conflated), (12, 0), "{told:?}");
    }
    assert!(due.is_empty());
}

#[test]
fn nobody_is_reported_and_a_refusal_is_not() {
    let house = open(
        config()
            .shards(2)
            .publication_bytes_max(100)
            .key_bytes_max(4),
    );
    let long = "x".repeat(101);
    let refused = house.engine.publish_tracked("r", &long);
    assert_eq!(refused.unwrap_err(), Refused::TooLarge);
    let refused = house.engine.publish_tracked("", "no name");
    assert_eq!(refused.unwrap_err(), Refused::RoomName);
    let key = Publication::text("k").key("12345");
    assert_eq!(
        house.engine.publish_tracked("r", key).unwrap_err(),
        Refused::Key
    );
    let nowhere = house.engine.publish_tracked("nowhere", "one").unwrap();
    assert_eq!(
        (nowhere.published.offset, nowhere.published.members),
        (None, 0)
    );
    let told = house.log.delivery(nowhere.token);
    assert_eq!((told.offset, sum(&told)), (None, 0));
    let room = house.engine.room("held").unwrap();
    let held = room.publish_tracked("two").unwrap();
    let told = house.log.delivery(held.token);
    assert_eq!((told.offset, sum(&told)), (Some(1), 0));
    assert_eq!(house.log.deliveries().len(), 2);
    house.engine.stop();
    assert_eq!(
        house.engine.publish_tracked("r", "late").unwrap_err(),
        Refused::Stopped
    );
    assert_eq!(house.log.deliveries().len(), 2);
}

#[test]
fn who_is_behind_is_lagging_and_who_is_volatile_is_skipped() {
    let house = open(config().shards(1));
    let (mut slow, id) = house.client("");
    let (_volatile, volatile_id) = house.client("");
    let (mut fast, _) = house.client("r");
    house.engine.join(id, "r").unwrap();
    let how = Join::new().slow_policy(SlowPolicy::Volatile);
    house.engine.join_with(volatile_id, "r", how).unwrap();
    let text = "x".repeat(64 * 1024);
    let mut sent = 0;
    let told = loop {
        let tracked = house.engine.publish_tracked("r", &text).unwrap();
        assert_eq!(fast.text().len(), text.len());
        let told = house.log.delivery(tracked.token);
        assert_eq!(sum(&told), 3, "{told:?}");
        sent += 1;
        if (told.lagging, told.skipped) == (1, 1) {
            break told;
        }
        assert!(sent < 1_000, "64 MiB and nobody is slow");
    };
    assert_eq!(told.reached, 1);
    // It lags, and gets it.
    (0..sent).for_each(|_| assert_eq!(slow.text().len(), text.len()));
}

#[test]
fn leavers_are_counted_and_joiners_are_not() {
    let options = RoomOptions::new().flush_interval_ms(20);
    let house = open(config().shards(2).room_options("slow", options));
    let (_stays, _) = house.client("r,slow");
    let (_moves, id) = house.client("");
    for room in ["r", "slow"] {
        for n in 0..if room == "slow" { 50 } else { 300 } {
            house.engine.join(id, room).unwrap();
            let with = house.engine.publish_tracked(room, "with it").unwrap();
            house.engine.leave(id, room).unwrap();
            let without = house.engine.publish_tracked(room, "without it").unwrap();
            assert_eq!(sum(&house.log.delivery(with.token)), 2, "{n} in {room}");
            assert_eq!(sum(&house.log.delivery(without.token)), 1, "{n} in {room}");
        }
    }
}

#[test]
fn what_is_conflated_is_reported_so() {
    let options = RoomOptions::new().flush_interval_ms(600_000).conflate(true);
    let house = open(
        config()
            .shards(1)
            .close_timeout_ms(50)
            .room_options("c", options),
    );
    let (mut client, id) = house.client("c");
    let (_other, _) = house.client("c");
    let publish = |text| {
        let publication = Publication::text(text).key("k");
        house
            .engine
            .publish_tracked("c", publication)
            .unwrap()
            .token
    };
    let tokens = ["1", "2", "3"].map(publish);
    for token in &tokens[..2] {
        let told = house.log.delivery(*token);
        assert_eq!((told.conflated, sum(&told)), (2, 2));
    }
    assert_eq!(house.log.deliveries().len(), 2, "the last one waits");
    house.engine.leave(id, "c").unwrap();
    assert_eq!(client.text(), "3");
    house.engine.stop();
    let told = house.log.delivery(tokens[2]);
    assert_eq!(sum(&told), 2, "{told:?}");
}

/// What is taken before a stop is reported once, by the time that the stop is over.
#[test]
fn all_that_was_taken_is_reported_when_the_engine_has_stopped() {
    for dropped in [false, true] {
        let options = RoomOptions::new().flush_interval_ms(600_000);
        let limits = config().shards(2).close_timeout_ms(50);
        let house = open(limits.room_options("slow", options));
        let _clients: Vec<_> = (0..6)
            .map(|n| house.client(["r", "r,slow"][n % 2]))
            .collect();
        let handle: Handle = (*house.engine).clone();
        let log = house.log.clone();
        let mut taken = thread::scope(|scope| {
            let publishers = (0..2).map(|n| {
                let handle = &handle;
                scope.spawn(move || {
                    let publish = |_| handle.publish_tracked(["r", "slow"][n], "one");
                    let ends =
                        |tracked: &Result<_, Refused>| !matches!(tracked, Err(Refused::Stopped));
                    let taken = std::iter::repeat(())
                        .map(publish)
                        .take_while(ends)
                        .flatten();
                    taken
                        .map(|tracked: roomcast::Tracked| tracked.token)
                        .collect::<Vec<_>>()
                })
            });
            let publishers: Vec<_> = publishers.collect();
            until("some to be published", || {
                handle.snapshot().publications > 200
            });
            match dropped {
                true => drop(house),
                false => drop(house.engine.stop()),
            }
            let taken = publishers.into_iter().flat_map(|p| p.join().unwrap());
            taken.collect::<Vec<u64>>()
        });
        taken.sort_unstable();
        let told: Vec<u64> = by_token(&log.deliveries()).into_keys().collect();
        let missing = taken.iter().filter(|token| !told.contains(token)).count();
        assert_eq!(missing, 0, "of {}, dropped: {dropped}", taken.len());
        assert_eq!(told, taken);
    }
}

struct Wants(EventKind);

impl Gate for Wants {
    fn connecting(&self, request: &Arc<Request>, pending: Pending) -> Option<Pending> {
        pending.accept(Accept::new().room(request.path()));
        None
    }

    fn wants(&self, kind: EventKind) -> bool {
        kind == self.0
    }
}

#[test]
fn reports_come_from_the_queue_to_its_end() {
    let gate = Wants(EventKind::Delivered);
    let limits = config().shards(2).close_timeout_ms(50);
    let (engine, events) = Engine::start_with_gate(limits, gate).unwrap();
    let mut client = Client::open(engine.addresses()[0], "/r");
    let publish = |_| engine.publish_tracked("/r", "one").unwrap().token;
    let tokens: Vec<u64> = (0..50).map(publish).collect();
    (0..50).for_each(|_| assert_eq!(client.text(), "one"));
    let take = || match events.recv_timeout(PATIENCE).unwrap() {
        Some(Event::Delivered { room, delivery }) if room == "/r" => delivery,
        other => panic!("{other:?}"),
    };
    let told: Vec<Delivery> = (0..50).map(|_| take()).collect();
    assert!(by_token(&told).into_keys().eq(tokens));
    assert!(told.iter().all(|d| (d.reached, sum(d)) == (1, 1)));
    let last = engine.publish_tracked("nowhere", "last").unwrap();
    engine.stop();
    let told = events.recv();
    let is_last = |event| match event {
        Event::Delivered { delivery, .. } => delivery.token == last.token,
        _ => false,
    };
    assert!(told.is_some_and(is_last));
    assert!(events.recv().is_none());
}

#[test]
fn reports_that_find_no_place_are_dropped_and_counted() {
    let gate = Wants(EventKind::Delivered);
    let (engine, events) =
        Engine::start_with_gate(config().shards(1).events_max(10), gate).unwrap();
    for _ in 0..30 {
        engine.publish_tracked("nowhere", "one").unwrap();
    }
    until("some to be dropped", || {
        engine.snapshot().reports_dropped == 20
    });
    let mut told = Vec::new();
    events.drain(100, &mut told);
    assert_eq!(told.len(), 10);
    assert!(engine.snapshot().event_bytes == 0);
    engine.publish_tracked("nowhere", "there is place").unwrap();
    assert!(matches!(events.recv(), Some(Event::Delivered { .. })));
}

#[test]
fn nobody_waits_for_a_report_that_the_host_does_not_want() {
    let gate = Wants(EventKind::Message);
    let limits = config().shards(1).close_timeout_ms(50);
    let (engine, events) = Engine::start_with_gate(limits, gate).unwrap();
    let mut client = Client::open(engine.addresses()[0], "/r");
    engine.publish_tracked("/r", "one").unwrap();
    assert_eq!(client.text(), "one");
    engine.stop();
    assert!(events.recv().is_none());
}
