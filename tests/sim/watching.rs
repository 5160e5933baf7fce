//! Watch-lists with a flush interval, in virtual time: exact, in order, whatever comes between.

use roomcast::{Config, Join, Publication, RoomOptions, SlowPolicy};

use super::desk::Desk;

const INTERVAL_MS: u64 = 100;

fn paced() -> Desk {
    let options = RoomOptions::new().flush_interval_ms(INTERVAL_MS as u32);
    Desk::new(Config::new().room_options("paced", options))
}

fn about<'a>(key: &'a str, text: &'a str) -> Publication<'a> {
    Publication::text(text).key(key)
}

#[test]
fn a_watched_publication_waits_for_its_interval() {
    let mut desk = paced();
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    handle
        .join_with(id, "paced", Join::new().keys(["a", "b"]))
        .unwrap();
    handle.publish("paced", about("a", "a1")).unwrap();
    handle.publish("paced", about("c", "c1")).unwrap();
    handle.publish("paced", "no key").unwrap();
    handle.publish("paced", about("b", "b1")).unwrap();
    desk.run_ms(INTERVAL_MS / 2);
    assert_eq!(desk.got(peer), [""; 0]);
    desk.run_ms(INTERVAL_MS);
    assert_eq!(desk.got(peer), ["a1", "b1"]);
}

#[test]
fn a_private_message_does_not_overtake_what_is_watched_and_waits() {
    let mut desk = paced();
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    handle
        .join_with(id, "paced", Join::new().keys(["a"]))
        .unwrap();
    handle.publish("paced", about("a", "a1")).unwrap();
    handle.send(id, "private").unwrap();
    desk.run_ms(2 * INTERVAL_MS);
    assert_eq!(desk.got(peer), ["a1", "private"]);
}

#[test]
fn another_room_does_not_overtake_what_is_watched_and_waits() {
    let mut desk = paced();
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    handle
        .join_with(id, "paced", Join::new().keys(["a"]))
        .unwrap();
    handle.join(id, "other").unwrap();
    handle.publish("paced", about("a", "a1")).unwrap();
    handle.publish("other", "at once").unwrap();
    desk.run_ms(2 * INTERVAL_MS);
    assert_eq!(desk.got(peer), ["a1", "at once"]);
}

#[test]
fn who_begins_to_watch_does_not_change_the_order_for_others() {
    for begin in [true, false] {
        let mut desk = paced();
        let (peer, id) = desk.enter();
        let (_, other) = desk.enter();
        let handle = desk.handle();
        handle
            .join_with(id, "paced", Join::new().keys(["a", "b"]))
            .unwrap();
        handle
            .join_with(other, "paced", Join::new().keys(["b"]))
            .unwrap();
        handle.publish("paced", about("a", "a1")).unwrap();
        handle.publish("paced", about("b", "b1")).unwrap();
        match begin {
            true => handle.watch(other, "paced", ["b", "c"]).unwrap(),
            false => handle.unwatch(other, "paced", ["b"]).unwrap(),
        }
        handle.publish("paced", about("b", "b2")).unwrap();
        desk.run_ms(2 * INTERVAL_MS);
        assert_eq!(desk.got(peer), ["a1", "b1", "b2"], "begin: {begin}");
    }
}

#[test]
fn who_leaves_does_not_change_the_order_for_others() {
    let mut desk = paced();
    let (peer, id) = desk.enter();
    let (leaver, other) = desk.enter();
    let handle = desk.handle();
    handle
        .join_with(id, "paced", Join::new().keys(["a", "b"]))
        .unwrap();
    handle
        .join_with(other, "paced", Join::new().keys(["b"]))
        .unwrap();
    handle.publish("paced", about("a", "a1")).unwrap();
    handle.publish("paced", about("b", "b1")).unwrap();
    handle.leave(other, "paced").unwrap();
    handle.publish("paced", about("b", "b2")).unwrap();
    desk.run_ms(2 * INTERVAL_MS);
    assert_eq!(desk.got(leaver), ["b1"]);
    assert_eq!(desk.got(peer), ["a1", "b1", "b2"]);
}

#[test]
fn who_is_excluded_is_not_sent_what_waits_though_it_is_written_to_meanwhile() {
    let mut desk = paced();
    let (peer, id) = desk.enter();
    let (_, other) = desk.enter();
    let handle = desk.handle();
    for one in [id, other] {
        handle
            .join_with(one, "paced", Join::new().keys(["a"]))
            .unwrap();
    }
    handle
        .publish("paced", about("a", "mine").except(&[id]))
        .unwrap();
    handle.send(id, "private").unwrap();
    desk.run_ms(2 * INTERVAL_MS);
    assert_eq!(desk.got(peer), ["private"]);
}

#[test]
fn a_key_named_twice_counts_once() {
    let mut desk = Desk::new(Config::new().connection_keys_max(2));
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    handle
        .join_with(id, "r", Join::new().keys(["a", "a", "b"]))
        .unwrap();
    handle.publish("r", about("a", "a1")).unwrap();
    handle.publish("r", about("b", "b1")).unwrap();
    desk.settle();
    assert_eq!(desk.got(peer), ["a1", "b1"]);
    assert_eq!(handle.snapshot().watches_refused, 0);
}

#[test]
fn what_waits_since_intervals_were_wide_is_not_overtaken_when_they_are_not() {
    // So that intervals narrow at one moment or another within the last short one.
    (1..8).for_each(narrow);
}

fn narrow(step_ms: u64) {
    let mut desk = Desk::new(
        Config::new()
            .pressure_us(1_000)
            .flush_interval_max_ms(4_000),
    );
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    handle.join_with(id, "r", Join::new().keys(["a"])).unwrap();
    let mut n = 0;
    let mut publish = || {
        handle.publish("r", about("a", &n.to_string())).unwrap();
        n += 1;
        assert!(n < 10_000, "it takes too long");
    };
    while handle.snapshot().interval_steps < 3 {
        publish();
        desk.sim().pass_ns(50_000_000);
        desk.sim().turn();
    }
    while handle.snapshot().interval_steps > 0 {
        desk.sim().pass_ns(step_ms * 1_000_000);
        publish();
        desk.sim().turn();
    }
    publish();
    desk.run_ms(1_000);
    let all: Vec<String> = (0..n).map(|n| n.to_string()).collect();
    assert!(desk.got(peer) == all, "all in order");
}

#[test]
fn a_watcher_that_reads_is_not_slow_though_much_is_published_in_one_turn() {
    for policy in [SlowPolicy::Disconnect, SlowPolicy::Skip, SlowPolicy::Latest] {
        let limits = Config::new()
            .outbox_bytes_max(16 * 1024)
            .outbox_high_bytes(16 * 1024);
        let mut desk = Desk::new(limits.slow_policy(policy));
        let (peer, id) = desk.enter();
        let handle = desk.handle();
        handle.join_with(id, "r", Join::new().keys(["a"])).unwrap();
        desk.settle();
        let texts: Vec<String> = (0..30).map(|n| format!("{n:01000}")).collect();
        for text in &texts {
            handle.publish("r", about("a", text)).unwrap();
        }
        desk.settle();
        assert!(desk.got(peer) == texts, "{policy:?}");
        let figures = handle.snapshot();
        assert_eq!((figures.too_slow, figures.lagged), (0, 0), "{policy:?}");
    }
}
