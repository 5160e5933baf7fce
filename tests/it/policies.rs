//! Policies of rooms and members, with readers that have stopped to read: what each of them loses,
//! what the host is told of it, and that nobody else notices.
//!
//! In: small tapes and a flood. Out: for each lost publication a number within a notice, or a
//! count.

use std::collections::BTreeSet;
use std::thread;

use roomcast::{
    CloseReason, Config, ConnectionId, Join, Missed, Publication, RoomOptions, SlowPolicy,
};

use crate::client::Client;
use crate::house::{Open, config, open, until};

pub const PIECE: usize = 16 * 1024;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Small tapes, so that a reader is soon slow.
pub fn tight() -> Config {
    config()
        .shards(1)
        .tape_bytes_max(1 << 20)
        .publication_bytes_max(256 * 1024)
        .room_ahead_bytes_max(512 * 1024)
        .close_timeout_ms(20_000)
}

/// A numbered payload of `PIECE` bytes.
pub fn piece(n: usize) -> String {
    format!("{n:08}{}", "x".repeat(PIECE - 8))
}

/// Publishes pieces until `enough`, as many keys in turn as are given; who is fast is waited for.
/// How many there were.
pub fn flood(
    house: &Open,
    fast: &mut Client,
    keys: &[&str],
    mut enough: impl FnMut() -> bool,
) -> usize {
    let mut n = 0;
    while !enough() {
        assert!(n < 4_000, "64 MiB and still not slow");
        let text = piece(n);
        let publication = match keys {
            [] => Publication::text(&text),
            keys => Publication::text(&text).key(keys[n % keys.len()]),
        };
        while house.engine.publish("r", publication).is_err() {
            thread::yield_now();
        }
        assert!(fast.text().starts_with(&format!("{n:08}")), "lost {n}");
        n += 1;
    }
    n
}

/// Has a client read again; the numbers of what it was sent, in order.
pub fn resume(house: &Open, client: &mut Client, id: ConnectionId) -> Vec<usize> {
    house.engine.send(id, "end").unwrap();
    let texts = client.texts_before("end");
    let got: Vec<usize> = texts
        .iter()
        .map(|text| text[..8].parse().unwrap())
        .collect();
    assert!(got.is_sorted_by(|a, b| a < b), "in order and once: {got:?}");
    got
}

/// What is missing is exactly what the host was told, by number.
fn check_told(house: &Open, id: ConnectionId, got: &[usize], total: usize) -> Vec<Missed> {
    let missing: BTreeSet<u64> = (0..total)
        .filter(|n| !got.contains(n))
        .map(|n| n as u64 + 1)
        .collect();
    let count = || house.log.missed(id).iter().map(|m| m.count).sum::<u64>();
    until("all to be told", || count() >= missing.len() as u64);
    let told = house.log.missed(id);
    assert_eq!(
        count(),
        missing.len() as u64,
        "{told:?}, missing {missing:?}"
    );
    for missed in &told {
        assert!(
            missing.contains(&missed.first) && missing.contains(&missed.last),
            "{missed:?}"
        );
        let within = missing.range(missed.first..=missed.last).count() as u64;
        assert!(within >= missed.count, "{missed:?} of {missing:?}");
        assert!(
            missed.replaced || within == missed.count,
            "a jump leaves no gap: {missed:?}"
        );
    }
    for offset in missing {
        let is_told = told.iter().any(|m| (m.first..=m.last).contains(&offset));
        assert!(is_told, "{offset} is told");
    }
    told
}

pub fn in_step(house: &Open, clients: &mut [&mut Client]) {
    for n in 0..3 {
        house.engine.publish("r", &format!("after {n}")).unwrap();
        for client in clients.iter_mut() {
            assert_eq!(client.text(), format!("after {n}"));
        }
    }
    until("the tape to be let go", || {
        house.engine.snapshot().tape_bytes < 64 * 1024
    });
}

#[test]
fn who_skips_misses_what_the_host_is_told_by_number() {
    let house = open(tight().slow_policy(SlowPolicy::Skip));
    let (mut slow, id) = house.client("r");
    let (mut fast, other) = house.client("r");
    let total = flood(&house, &mut fast, &KEYS, || house.log.missed(id).len() >= 3);
    let got = resume(&house, &mut slow, id);
    let told = check_told(&house, id, &got, total);
    assert!(told.iter().all(|missed| !missed.replaced));
    assert_eq!(house.log.missed(other), []);
    in_step(&house, &mut [&mut slow, &mut fast]);
    assert_eq!(house.engine.snapshot().replaced, 0);
}

#[test]
fn under_latest_the_newest_of_each_key_arrives_and_all_else_is_told() {
    let options = RoomOptions::new().slow_policy(SlowPolicy::Latest);
    let house = open(tight().room_options("r", options));
    let (mut slow, id) = house.client("r");
    let (mut fast, other) = house.client("r");
    let total = flood(&house, &mut fast, &KEYS, || {
        house.engine.snapshot().replaced > 500
    });
    assert!(
        house.engine.snapshot().tape_bytes <= 1 << 20,
        "it is compacted"
    );
    let got = resume(&house, &mut slow, id);
    let told = check_told(&house, id, &got, total);
    assert!(told.iter().all(|missed| missed.replaced));
    for newest in total - KEYS.len()..total {
        assert!(got.contains(&newest), "{newest} is the newest of its key");
    }
    assert_eq!(house.log.missed(other), []);
    let now = house.engine.snapshot();
    assert_eq!((now.lagged, now.too_slow), (now.replaced, 0));
    in_step(&house, &mut [&mut slow, &mut fast]);
}

#[test]
fn under_latest_what_has_no_key_is_kept_until_there_is_no_place() {
    let house = open(tight().slow_policy(SlowPolicy::Latest));
    let (mut slow, id) = house.client("r");
    let (mut fast, _) = house.client("r");
    let total = flood(&house, &mut fast, &[], || {
        house.engine.snapshot().lagged > 0
    });
    let got = resume(&house, &mut slow, id);
    let told = check_told(&house, id, &got, total);
    assert!(told.iter().all(|missed| !missed.replaced), "a jump");
    in_step(&house, &mut [&mut slow, &mut fast]);
}

#[test]
fn what_a_volatile_member_misses_is_counted_and_holds_nothing() {
    let house = open(tight().slow_policy(SlowPolicy::Volatile));
    let (mut slow, id) = house.client("r");
    let (mut fast, _) = house.client("r");
    let enough = || house.engine.snapshot().volatile_dropped > 200;
    let total = flood(&house, &mut fast, &KEYS, enough);
    assert!(
        house.engine.snapshot().tape_bytes <= 64 * 1024,
        "nothing waits"
    );
    let got = resume(&house, &mut slow, id);
    let dropped = || house.engine.snapshot().volatile_dropped as usize;
    until("all to be counted", || dropped() + got.len() == total);
    assert_eq!(house.log.missed(id), [], "the host is not told");
    in_step(&house, &mut [&mut slow, &mut fast]);
}

#[test]
fn a_member_may_have_another_policy_than_its_room() {
    let options = RoomOptions::new().slow_policy(SlowPolicy::Latest);
    let house = open(tight().room_options("r", options));
    let join = |policy| {
        let (client, id) = house.client("");
        house
            .engine
            .join_with(id, "r", Join::new().slow_policy(policy))
            .unwrap();
        (client, id)
    };
    let (mut latest, latest_id) = house.client("r");
    let (mut gone, gone_id) = join(SlowPolicy::Disconnect);
    let (mut skips, skips_id) = join(SlowPolicy::Skip);
    let (mut volatile, volatile_id) = join(SlowPolicy::Volatile);
    let (mut fast, _) = house.client("r");
    let total = flood(&house, &mut fast, &KEYS, || {
        let now = house.engine.snapshot();
        let jumped = now.lagged > now.replaced;
        now.too_slow == 1 && now.replaced > 0 && jumped && now.volatile_dropped > 0
    });
    let got = resume(&house, &mut latest, latest_id);
    let told = check_told(&house, latest_id, &got, total);
    assert!(told.iter().all(|missed| missed.replaced));
    let got = resume(&house, &mut skips, skips_id);
    let told = check_told(&house, skips_id, &got, total);
    assert!(told.iter().all(|missed| !missed.replaced));
    let got = resume(&house, &mut volatile, volatile_id);
    let dropped = || house.engine.snapshot().volatile_dropped as usize;
    until("all to be counted", || dropped() + got.len() == total);
    assert_eq!(gone.close_frame().0, 4008);
    gone.close(4008, "");
    assert_eq!(house.log.closed(gone_id), CloseReason::TooSlow);
    in_step(
        &house,
        &mut [&mut latest, &mut skips, &mut volatile, &mut fast],
    );
}

#[test]
fn watched_keys_wait_for_a_slow_reader_by_its_policy() {
    let limits = tight()
        .outbox_bytes_max(256 * 1024)
        .outbox_high_bytes(256 * 1024);
    let house = open(limits);
    let join = |policy| {
        let (client, id) = house.client("");
        let how = Join::new().keys(KEYS).slow_policy(policy);
        house.engine.join_with(id, "r", how).unwrap();
        (client, id)
    };
    let (mut latest, latest_id) = join(SlowPolicy::Latest);
    let (mut skips, skips_id) = join(SlowPolicy::Skip);
    let (mut gone, gone_id) = join(SlowPolicy::Disconnect);
    let (mut fast, _) = house.client("r");
    let total = flood(&house, &mut fast, &KEYS, || {
        let now = house.engine.snapshot();
        now.too_slow == 1 && now.replaced > 100 && now.lagged > now.replaced
    });
    assert_eq!(gone.close_frame().0, 4008);
    gone.close(4008, "");
    assert_eq!(house.log.closed(gone_id), CloseReason::TooSlow);
    let got = read_on(&mut latest, total);
    assert!(
        check_told(&house, latest_id, &got, total)
            .iter()
            .all(|missed| missed.replaced)
    );
    (total - KEYS.len()..total).for_each(|newest| assert!(got.contains(&newest)));
    // It is sent what it had place for, and what comes when it reads again.
    let text = piece(total);
    house
        .engine
        .publish("r", Publication::text(&text).key("a"))
        .unwrap();
    let got = read_to_rest(&house, &mut skips);
    let told = check_told(&house, skips_id, &got, total + 1);
    assert!(told.iter().all(|missed| !missed.replaced));
}

/// Reads on to the last of so many pieces.
fn read_on(client: &mut Client, total: usize) -> Vec<usize> {
    let mut got: Vec<usize> = Vec::new();
    while got.last() != Some(&(total - 1)) {
        got.push(client.text()[..8].parse().unwrap());
    }
    got
}

/// Reads all that waits for a client.
fn read_to_rest(house: &Open, client: &mut Client) -> Vec<usize> {
    let mut got = Vec::new();
    until("nothing to wait", || {
        while let Some(frame) = client.next_in(std::time::Duration::from_millis(20)) {
            got.push(frame.text()[..8].parse().unwrap());
        }
        house.engine.snapshot().outbox_bytes == 0
    });
    got
}
