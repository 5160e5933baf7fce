//! Reports of tracked publications in virtual time: each once, and the sum is the members.

use roomcast::{Config, Join, Publication, RoomOptions, SlowPolicy};

use super::desk::{Desk, sum};

fn paced() -> Config {
    let options = RoomOptions::new().flush_interval_ms(100).conflate(true);
    Config::new().room_options("paced", options)
}

#[test]
fn who_joins_within_the_interval_is_not_counted() {
    let mut desk = Desk::new(paced());
    let ids = [desk.enter().1, desk.enter().1];
    let handle = desk.handle();
    handle.join(ids[0], "paced").unwrap();
    let tracked = handle.publish_tracked("paced", "one").unwrap();
    handle.join(ids[1], "paced").unwrap();
    desk.run_ms(200);
    let report = desk.report();
    assert_eq!((report.token, report.offset), (tracked.token, Some(1)));
    assert_eq!((report.reached, sum(&report)), (1, 1), "{report:?}");
}

#[test]
fn who_leaves_within_the_interval_is_counted() {
    let mut desk = Desk::new(paced());
    let ids = [desk.enter().1, desk.enter().1];
    let handle = desk.handle();
    for id in ids {
        handle.join(id, "paced").unwrap();
    }
    handle.publish_tracked("paced", "one").unwrap();
    desk.settle();
    handle.leave(ids[1], "paced").unwrap();
    desk.run_ms(200);
    let report = desk.report();
    assert_eq!(sum(&report), 2, "{report:?}");
}

#[test]
fn what_is_conflated_counts_the_members_of_its_own_time() {
    let mut desk = Desk::new(paced());
    let ids = [desk.enter().1, desk.enter().1, desk.enter().1];
    let handle = desk.handle();
    let about = |text| Publication::text(text).key("k");
    handle.join(ids[0], "paced").unwrap();
    handle.publish_tracked("paced", about("old")).unwrap();
    handle.join(ids[1], "paced").unwrap();
    handle.join(ids[2], "paced").unwrap();
    handle.publish_tracked("paced", about("new")).unwrap();
    desk.run_ms(200);
    let reports: Vec<_> = desk.notes().delivered.iter().map(|(_, d)| *d).collect();
    let old = reports.iter().find(|d| d.offset == Some(1)).unwrap();
    assert_eq!((old.conflated, sum(old)), (1, 1), "{reports:?}");
    let new = reports.iter().find(|d| d.offset == Some(2)).unwrap();
    assert_eq!((new.reached, sum(new)), (3, 3), "{reports:?}");
}

#[test]
fn a_report_comes_though_the_last_member_goes_while_the_engine_stops() {
    let mut desk = Desk::new(paced());
    let (peer, id) = desk.enter();
    let handle = desk.handle();
    handle.join(id, "paced").unwrap();
    handle.publish_tracked("paced", "one").unwrap();
    desk.settle();
    desk.reset(peer);
    desk.sim().stop();
    desk.run_ms(6_000);
    assert!(!desk.sim().is_running());
    assert_eq!(desk.notes().delivered.len(), 1);
}

#[test]
fn a_report_for_nobody_comes_though_the_engine_stops() {
    let mut desk = Desk::new(paced());
    let handle = desk.handle();
    let held = handle.room("held").unwrap();
    handle.publish_tracked("nowhere", "one").unwrap();
    held.publish_tracked("two").unwrap();
    desk.sim().stop();
    desk.run_ms(100);
    assert!(!desk.sim().is_running());
    let notes = desk.notes();
    let offsets: Vec<_> = notes
        .delivered
        .iter()
        .map(|(_, d)| (d.offset, sum(d)))
        .collect();
    assert_eq!(offsets, [(None, 0), (Some(1), 0)]);
}

#[test]
fn volatile_members_that_are_sent_nothing_to_save_memory_are_skipped() {
    let config = Config::new()
        .slow_policy(SlowPolicy::Volatile)
        .publication_bytes_max(16 * 1024)
        .tape_bytes_max(64 * 1024)
        .room_ahead_bytes_max(32 * 1024)
        .outbox_high_bytes(220 * 1024)
        .memory_bytes_max(256 * 1024);
    let mut desk = Desk::new(config);
    let (full, id) = desk.enter();
    let (watcher, other) = desk.enter();
    let handle = desk.handle();
    handle.join(other, "r").unwrap();
    handle.join_with(id, "r", Join::new().keys(["k"])).unwrap();
    desk.settle();
    desk.set_place(full, 0);
    for _ in 0..13 {
        handle.send(id, &[7u8; 15 * 1024]).unwrap();
        desk.settle();
    }
    assert_eq!(handle.snapshot().memory_volatile_off, 1);
    handle
        .publish_tracked("r", Publication::text("one").key("k"))
        .unwrap();
    desk.settle();
    assert_eq!(desk.got(watcher), [""; 0]);
    let report = desk.report();
    assert_eq!((report.skipped, sum(&report)), (2, 2), "{report:?}");
    assert_eq!(handle.snapshot().volatile_dropped, 2);
    assert_eq!(handle.snapshot().filtered, 0);
}
