//! The memory budget over real sockets: what gives way near it, in which order, and that all of it
//! comes back.
//!
//! In: a small budget, and peers or a host that take nothing. Out: rungs in figures, refusals, 503
//! with Retry-After, 1013 for who is in the middle of a message, and memory within the budget.

use std::thread;

use roomcast::{CloseReason, Config, ConnectionId, Engine, Event, Join, Refused, SlowPolicy};

use crate::client::{Client, PATIENCE, masked};
use crate::house::{Open, config, open, until};

const BUDGET: usize = 4 << 20;
const PIECE: usize = 32 * 1024;

fn small() -> Config {
    config()
        .shards(1)
        .memory_bytes_max(BUDGET)
        .tape_bytes_max(1 << 20)
        .publication_bytes_max(256 * 1024)
        .room_ahead_bytes_max(512 * 1024)
        .outbox_bytes_max(64 << 20)
        .outbox_high_bytes(64 << 20)
        .close_timeout_ms(20_000)
}

fn figures(house: &Open) -> [u64; 5] {
    let now = house.engine.snapshot();
    [
        now.memory_widen,
        now.memory_volatile_off,
        now.memory_short_tapes,
        now.memory_no_connections,
        now.memory_full,
    ]
}

/// Sends to somebody who does not read until `enough`; how much.
fn press(house: &Open, id: ConnectionId, mut enough: impl FnMut() -> bool) -> usize {
    let text = "x".repeat(PIECE);
    let mut sent = 0;
    while !enough() {
        let before = house.engine.snapshot().sends;
        match house.engine.send(id, &text) {
            Ok(()) => {
                sent += 1;
                until("it to be routed", || house.engine.snapshot().sends > before);
            }
            Err(refused) => assert_eq!(refused, Refused::Overloaded),
        }
        let used = house.engine.snapshot().memory_bytes as usize;
        assert!(used <= BUDGET + BUDGET / 4, "{used} of {BUDGET}");
        assert!(sent < 4_000, "128 MiB and the budget is not used up");
    }
    sent
}

fn ground(house: &Open) {
    until("everything to come back", || figures(house) == [0; 5]);
    until("nothing to be held", || {
        house.engine.snapshot().memory_bytes < 64 * 1024
    });
    let now = house.engine.snapshot();
    assert_eq!(now.memory_rungs_entered >= 1, now.memory_rungs_left >= 1);
    assert_eq!(now.interval_steps, 0);
}

#[test]
fn each_rung_is_entered_and_left() {
    let house = open(small());
    let (mut slow, id) = house.client("");
    let (mut fast, _) = house.client("r");
    let mut sent = 0;
    for rung in 1..=5 {
        sent += press(&house, id, || figures(&house)[rung - 1] > 0);
        // Each does what those before it do, too.
        let now = figures(&house);
        assert!(now[..rung].iter().all(|on| *on == 1), "{now:?}");
    }
    until("it to be refused", || {
        house.engine.publish("r", "no place") == Err(Refused::Overloaded)
    });
    assert_eq!(house.engine.send(id, "neither"), Err(Refused::Overloaded));
    assert!(house.engine.snapshot().interval_steps >= 2);
    (0..sent).for_each(|_| assert_eq!(slow.text().len(), PIECE));
    ground(&house);
    house.engine.publish("r", "there is place again").unwrap();
    // Some may have been taken before.
    until("the last to come", || fast.text() == "there is place again");
}

#[test]
fn new_connections_are_turned_away_and_told_when_to_come_back() {
    let house = open(small());
    let (mut slow, id) = house.client("");
    let sent = press(&house, id, || figures(&house)[3] > 0);
    let refused = Client::ask(house.address(), "/r", &[])
        .err()
        .expect("no place");
    assert_eq!(refused.status, 503);
    assert!(
        refused.head.to_lowercase().contains("\r\nretry-after: "),
        "{}",
        refused.head
    );
    until("it to be counted", || {
        house.engine.snapshot().rejected_memory == 1
    });
    // Who is there may stay, and the health page is answered.
    let health = crate::client::http(house.address(), "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(health.status, 200);
    (0..sent).for_each(|_| assert_eq!(slow.text().len(), PIECE));
    ground(&house);
    house.client("r");
}

#[test]
fn slow_readers_of_a_room_meet_their_policies_before_the_budget_is_used_up() {
    let house = open(small().slow_policy(SlowPolicy::Skip));
    let (mut hog, hog_id) = house.client("");
    let (mut volatile, volatile_id) = house.client("");
    let how = Join::new().slow_policy(SlowPolicy::Volatile);
    house.engine.join_with(volatile_id, "r", how).unwrap();
    let (mut slow, id) = house.client("r");
    let (mut fast, _) = house.client("r");
    let mut text = String::new();
    let mut n = 0;
    let mut publish = |fast: &mut Client| {
        text = format!("{n:08}{}", "x".repeat(PIECE));
        house.engine.publish("r", &text).unwrap();
        assert_eq!(fast.text(), text);
        n += 1;
    };
    // Half of what a tape may hold waits for the slow one: no reason for its policy.
    while house.engine.snapshot().tape_bytes < 512 * 1024 {
        publish(&mut fast);
    }
    assert_eq!(house.engine.snapshot().lagged, 0);
    let sent = press(&house, hog_id, || figures(&house)[2] > 0);
    until("the tape to be shortened", || {
        house.engine.snapshot().lagged > 0
    });
    assert!(house.engine.snapshot().tape_bytes <= 256 * 1024 + 64 * 1024);
    let dropped = house.engine.snapshot().volatile_dropped;
    publish(&mut fast);
    until("volatile members to be sent nothing", || {
        house.engine.snapshot().volatile_dropped > dropped
    });
    (0..sent).for_each(|_| assert_eq!(hog.text().len(), PIECE));
    // Both go on where there is place again.
    let count = |client: &mut Client, id| {
        house.engine.send(id, "end").unwrap();
        client.texts_before("end").len() as u64
    };
    let missed = || house.log.missed(id).iter().map(|m| m.count).sum::<u64>();
    let got = count(&mut slow, id);
    until("all to be told", || missed() + got == n);
    let got = count(&mut volatile, volatile_id);
    until("all to be counted", || {
        house.engine.snapshot().volatile_dropped + got == n
    });
    ground(&house);
}

#[test]
fn who_is_in_the_middle_of_a_large_message_is_cut_with_1013() {
    let house = open(small().message_bytes_max(1 << 20));
    let (mut slow, id) = house.client("");
    let (mut talker, talker_id) = house.client("");
    let message = masked(2, &vec![7; 512 * 1024]);
    let (first, rest) = message.split_at(message.len() / 2);
    talker.write(first);
    until("half of it to be there", || {
        house.engine.snapshot().assembly_bytes >= 200 * 1024
    });
    let (mut patient, _) = house.client("");
    patient.write(&masked(2, &[7; 4_000])[..2_000]);
    let sent = press(&house, id, || figures(&house)[4] > 0);
    let _ = talker.try_write(rest);
    let (code, text) = talker.closed();
    assert_eq!((code, text.as_str()), (1013, "memory_bytes_max"));
    let reason = CloseReason::Limit {
        name: "memory_bytes_max",
    };
    assert_eq!(house.log.closed(talker_id), reason);
    assert_eq!(house.engine.snapshot().memory_cut, 1);
    // A small one is no burden.
    patient.write(&masked(2, &[7; 4_000])[2_000..]);
    house.log.wait("a small message", |told| match told {
        crate::house::Told::Message(_, text) => (text.len() == 4_000).then_some(()),
        _ => None,
    });
    (0..sent).for_each(|_| assert_eq!(slow.text().len(), PIECE));
    ground(&house);
    assert_eq!(house.engine.snapshot().assembly_bytes, 0);
}

#[test]
fn untaken_events_count() {
    let limits = small()
        .connection_events_max(10_000)
        .message_bytes_max(256 * 1024);
    let (engine, events) = Engine::start_with_events(limits).unwrap();
    let mut client = Client::bare(engine.addresses()[0]);
    client.write(crate::client::upgrade("/", &[]).as_bytes());
    match events.recv() {
        Some(Event::Connecting { pending, .. }) => {
            pending.accept(roomcast::Accept::new().room("r"))
        }
        other => panic!("{other:?}"),
    }
    let (mut client, _) = client.upgraded().unwrap();
    // Small ones, so that nobody is cut in the middle of one.
    let message = masked(2, &[7; 2_000]);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (0..3_000).for_each(|_| client.write(&message));
            client
        });
        until("the budget to be used up", || {
            engine.snapshot().memory_full == 1
        });
        let refused = engine.publish("r", "no place");
        assert_eq!(refused, Err(Refused::Overloaded));
        let mut messages = 0;
        while messages < 3_000 {
            match events.recv_timeout(PATIENCE).unwrap() {
                Some(Event::Message { .. }) => messages += 1,
                Some(Event::Opened { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        drop(writer.join().unwrap());
    });
    until("it to be over", || engine.snapshot().memory_widen == 0);
    assert_eq!(engine.snapshot().event_bytes, 0);
}

#[test]
fn without_a_budget_nothing_is_saved() {
    let house = open(small().memory_bytes_max(0));
    let (mut slow, id) = house.client("");
    let text = "x".repeat(PIECE);
    let count = 2 * BUDGET / PIECE;
    for _ in 0..count {
        house.engine.send(id, &text).unwrap();
    }
    until("all to be routed", || {
        house.engine.snapshot().sends >= count as u64
    });
    assert_eq!(house.engine.snapshot().memory_rungs_entered, 0);
    (0..count).for_each(|_| assert_eq!(slow.text().len(), PIECE));
    let config = Config::new().memory_bytes_max(1 << 20);
    assert!(
        config
            .check()
            .unwrap_err()
            .to_string()
            .contains("memory_bytes_max")
    );
}
