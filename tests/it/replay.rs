//! Histories over real sockets: who has lost its place on the tape catches up, to the publication.
//!
//! In: members that stop to read, with the policy `Replay`, in rooms with large and small histories.
//! Out: all of it, once and in order, or what the history had not any more, as the host is told.

use std::thread;

use roomcast::{Config, Filter, Join, Publication, RoomOptions, SlowPolicy};

use crate::deflate::{OFFER, inflate, offering};
use crate::house::{config, open, until};
use crate::policies::{PIECE, flood, in_step, piece, resume, tight};

/// Small tapes, and a history that reaches so far back.
fn kept(publications: u32) -> Config {
    let options = RoomOptions::new()
        .history(publications)
        .slow_policy(SlowPolicy::Replay);
    tight()
        .history_bytes_max(256 << 20)
        .room_options("r", options)
}

#[test]
fn who_stops_to_read_is_sent_all_that_the_history_has() {
    let house = open(kept(10_000));
    let (mut slow, id) = house.client("r");
    let (mut fast, _) = house.client("r");
    let mut after = 0;
    let enough = || {
        // Far beyond what sockets and tapes hold.
        after += 1;
        after > 1_500
    };
    let total = flood(&house, &mut fast, &[], enough);
    assert!(house.engine.snapshot().tape_bytes <= 1 << 20);
    assert_eq!(house.engine.snapshot().too_slow, 0);
    for n in 0..total {
        let text = slow.text();
        assert!(text == piece(n), "{n}, and not {}", &text[..8]);
    }
    assert_eq!(house.log.missed(id), []);
    until("it to be counted", || house.engine.snapshot().replayed > 0);
    assert_eq!(house.engine.snapshot().lagged, 0);
    in_step(&house, &mut [&mut slow, &mut fast]);
}

#[test]
fn it_catches_up_while_more_is_published() {
    let house = open(kept(10_000));
    let (mut slow, _) = house.client("r");
    let (mut fast, _) = house.client("r");
    let mut after = 0;
    let enough = || {
        after += 1;
        after > 800
    };
    let total = flood(&house, &mut fast, &[], enough);
    thread::scope(|scope| {
        let house = &house;
        let publisher = scope.spawn(move || {
            for n in total..2 * total {
                let text = piece(n);
                until("place", || house.engine.publish("r", &text).is_ok());
                assert!(fast.text() == text);
            }
            fast
        });
        for n in 0..2 * total {
            let text = slow.text();
            assert!(text == piece(n), "{n}, and not {}", &text[..8]);
        }
        let mut fast = publisher.join().unwrap();
        in_step(house, &mut [&mut slow, &mut fast]);
    });
}

#[test]
fn what_the_history_has_not_any_more_is_missed_and_told() {
    let house = open(kept(20));
    let (mut slow, id) = house.client("r");
    let (mut fast, _) = house.client("r");
    let mut after = 0;
    let enough = || {
        after += 1;
        after > 1_000
    };
    let total = flood(&house, &mut fast, &[], enough);
    let mut got = Vec::new();
    while got.last() != Some(&(total - 1)) {
        got.push(slow.text()[..8].parse::<usize>().unwrap());
    }
    assert!(got.is_sorted_by(|a, b| a < b));
    let missing: Vec<u64> = (0..total)
        .filter(|n| !got.contains(n))
        .map(|n| n as u64 + 1)
        .collect();
    assert!(missing.len() > 20);
    let count = || house.log.missed(id).iter().map(|m| m.count).sum::<u64>();
    until("all to be told", || count() == missing.len() as u64);
    for missed in house.log.missed(id) {
        assert_eq!(missed.count, missed.last - missed.first + 1);
        assert!(!missed.replaced);
        assert!((missed.first..=missed.last).all(|offset| missing.contains(&offset)));
    }
    in_step(&house, &mut [&mut slow, &mut fast]);
}

#[test]
fn filters_compression_and_exclusions_hold_for_a_history_too() {
    let house = open(kept(10_000).deflate_level(1).deflate_bytes_min(100));
    let (mut slow, _, id) = offering(&house, "", OFFER);
    let odd = Join::new().filter(Filter::eq("odd", "1"));
    house.engine.join_with(id, "r", odd).unwrap();
    let (mut fast, _) = house.client("r");
    let except = [id];
    // It shrinks by half and no more, so that a socket is soon full.
    let text = |n: usize| {
        let word = |at: usize| (at * n + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let words = (1..PIECE / 16).map(|at| format!("{:016x}", word(at * at)));
        format!("{n:08}{}", words.collect::<String>())
    };
    let (total, dense) = (2_000, |n: usize| n.is_multiple_of(2));
    for n in 0..total {
        let (text, tags) = (text(n), [("odd", if dense(n) { "0" } else { "1" })]);
        let mut publication = Publication::text(&text).tags(&tags);
        if n % 9 == 0 {
            publication = publication.except(&except);
        }
        until("place", || house.engine.publish("r", publication).is_ok());
        assert!(fast.text() == text);
    }
    for n in (0..total).filter(|n| !dense(*n) && n % 9 != 0) {
        let frame = slow.next();
        assert!(frame.compressed);
        assert!(inflate(&frame.data, 15) == text(n).into_bytes(), "{n}");
    }
    until("it to be counted", || house.engine.snapshot().replayed > 0);
    assert_eq!(house.log.missed(id), []);
}

#[test]
fn who_leaves_while_it_catches_up_is_told_of_the_rest() {
    let house = open(kept(10_000));
    let (mut slow, id) = house.client("r,s");
    let (mut fast, _) = house.client("r");
    let mut after = 0;
    let enough = || {
        after += 1;
        after > 1_000
    };
    let total = flood(&house, &mut fast, &[], enough);
    house.engine.leave(id, "r").unwrap();
    house.engine.publish("s", &piece(total)).unwrap();
    let mut got = resume(&house, &mut slow, id);
    assert_eq!(got.pop(), Some(total), "its other room goes on");
    let count = || house.log.missed(id).iter().map(|m| m.count).sum::<u64>();
    until("all to be told", || {
        count() + got.len() as u64 == total as u64
    });
    assert!(
        got.iter().enumerate().all(|(n, of)| n == *of),
        "no gap before it left"
    );
}

#[test]
fn a_history_ends_with_its_room_and_counts_in_the_budget() {
    let house = open(
        config()
            .shards(2)
            .history_bytes_max(64 * 1024)
            .room_options("r", RoomOptions::new().history(1_000)),
    );
    let room = house.engine.room("r").unwrap();
    let (mut client, _) = house.client("r");
    for n in 0..100 {
        room.publish(&piece(n)).unwrap();
        assert_eq!(client.text().len(), PIECE);
    }
    let now = house.engine.snapshot();
    assert!(
        (PIECE as u64..=64 * 1024).contains(&now.history_bytes),
        "{}",
        now.history_bytes
    );
    assert!(now.memory_bytes >= now.history_bytes);
    drop((client, room));
    until("it to go", || house.engine.snapshot().history_bytes == 0);
}
