//! Orders and borders: one order per room, a publisher's own order, exact joins and leaves.
//!
//! In: several publishing threads against members on two shards. Out: what each member read,
//! compared with the numbers that `publish` returned.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;
use roomcast::{CommandError, Handle, Refused};

use crate::client::Client;
use crate::house::{self, config, open, open_with};

/// Publishes when the room can take it, and gives the offset.
fn publish(handle: &Handle, room: &str, text: &str) -> u64 {
    loop {
        match handle.publish(room, text) {
            Ok(published) => return published.offset.unwrap(),
            Err(Refused::Behind | Refused::Overloaded) => thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    }
}

/// Reads room messages up to the first that begins with `last`.
fn read_to(client: &mut Client, last: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let text = client.text();
        if text.starts_with(last) {
            return all;
        }
        all.push(text);
    }
}

#[test]
fn all_members_on_two_shards_see_one_order_of_four_publishers() {
    let house = open(config().shards(2));
    let mut members: Vec<_> = (0..8).map(|_| house.client("r").0).collect();
    let offsets: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let publishers: Vec<_> = (0..4)
        .map(|p| {
            let (handle, offsets) = (house.engine.handle(), offsets.clone());
            thread::spawn(move || {
                let mut last = 0;
                for n in 0..500 {
                    let text = format!("{p}:{n}");
                    let offset = publish(&handle, "r", &text);
                    assert!(offset > last, "a publisher's own offsets ascend");
                    last = offset;
                    offsets.lock().insert(text, offset);
                }
            })
        })
        .collect();
    publishers.into_iter().for_each(|p| p.join().unwrap());
    publish(&house.engine, "r", "end");
    let seen: Vec<_> = members.iter_mut().map(|m| read_to(m, "end")).collect();
    let offsets = offsets.lock();
    let numbers: Vec<u64> = seen[0].iter().map(|text| offsets[text]).collect();
    assert_eq!(numbers, (1..=2000).collect::<Vec<u64>>());
    for other in &seen[1..] {
        assert!(*other == seen[0], "another order");
    }
}

#[test]
fn a_publishers_order_holds_across_rooms_and_private_messages() {
    let house = open(config().shards(2));
    let mut members: Vec<_> = (0..4).map(|_| house.client("a,b,c")).collect();
    let ids: Vec<_> = members.iter().map(|m| m.1).collect();
    let done = Arc::new(AtomicBool::new(false));
    let (handle, stop) = (house.engine.handle(), done.clone());
    let noise = thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let _ = handle.publish("b", "noise");
            thread::yield_now();
        }
    });
    let handle = house.engine.handle();
    let publisher = thread::spawn(move || {
        for n in 0..900 {
            let text = format!("n:{n}");
            match n % 4 {
                0 => drop(publish(&handle, "a", &text)),
                1 => drop(publish(&handle, "b", &text)),
                2 => drop(publish(&handle, "c", &text)),
                _ => ids
                    .iter()
                    .for_each(|id| handle.send(*id, text.as_str()).unwrap()),
            }
        }
        publish(&handle, "c", "end");
    });
    let readers: Vec<_> = members
        .drain(..)
        .map(|(mut client, _)| thread::spawn(move || read_to(&mut client, "end")))
        .collect();
    publisher.join().unwrap();
    let seen: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    done.store(true, Ordering::Relaxed);
    noise.join().unwrap();
    let expected: Vec<String> = (0..900).map(|n| format!("n:{n}")).collect();
    for one in seen {
        let own: Vec<String> = one.into_iter().filter(|t| t != "noise").collect();
        assert_eq!(own, expected);
    }
}

#[test]
fn a_union_keeps_its_place_in_the_order_of_each_room() {
    let house = open(config().shards(2));
    let mut both: Vec<_> = (0..4).map(|_| house.client("a,b").0).collect();
    let publishers: Vec<_> = (0..2)
        .map(|p| {
            let handle = house.engine.handle();
            let rooms = if p == 0 { ["a", "b"] } else { ["b", "a"] };
            thread::spawn(move || {
                for n in 0..300 {
                    let text = format!("{p}:{n}");
                    while handle.publish_union(&rooms, text.as_str()).is_err() {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    publishers.into_iter().for_each(|p| p.join().unwrap());
    house.engine.publish_union(&["a", "b"], "end").unwrap();
    let seen: Vec<_> = both.iter_mut().map(|m| read_to(m, "end")).collect();
    assert_eq!(seen[0].len(), 600, "each union once");
    for one in &seen {
        assert_eq!(*one, seen[0], "members of both rooms agree");
    }
}

#[test]
fn a_join_begins_exactly_where_it_says_and_a_leave_ends_at_once() {
    let house = open(config().shards(2));
    let (_steady, _) = house.client("r");
    let mut guests: Vec<_> = (0..4).map(|_| house.client("")).collect();
    let offsets: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    let done = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..2)
        .map(|p| {
            let (handle, offsets) = (house.engine.handle(), offsets.clone());
            let done = done.clone();
            thread::spawn(move || {
                for n in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    let text = format!("{p}:{n}");
                    let offset = publish(&handle, "r", &text);
                    offsets.lock().insert(text, offset);
                    if n % 8 == 0 {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut spans = Vec::new();
    for round in 0..40 {
        let (client, id) = &mut guests[round % 4];
        let before = publish(&house.engine, "r", "before");
        let joined = house.engine.join(*id, "r").unwrap();
        let inside = publish(&house.engine, "r", "inside");
        assert!(joined.offset >= before && joined.offset < inside);
        house.engine.leave(*id, "r").unwrap();
        let after = publish(&house.engine, "r", "after");
        house.engine.send(*id, "end").unwrap();
        let seen = read_to(client, "end");
        spans.push((joined.offset, inside, after, seen));
    }
    done.store(true, Ordering::Relaxed);
    publishers.into_iter().for_each(|p| p.join().unwrap());
    let offsets = offsets.lock();
    for (joined, inside, after, seen) in spans {
        let own = |text: &String| match text.as_str() {
            "before" => 0,
            "inside" => inside,
            "after" => u64::MAX,
            other => offsets[other],
        };
        let numbers: Vec<u64> = seen.iter().map(own).collect();
        let whole: Vec<u64> = (joined + 1..).take(numbers.len()).collect();
        assert_eq!(numbers, whole, "from the join on, without a gap");
        let last = *numbers.last().unwrap();
        assert!(last >= inside && last < after, "{inside} {last} {after}");
    }
}

#[test]
fn a_member_from_its_verdict_on_misses_nothing() {
    let house = open(config().shards(2));
    let done = Arc::new(AtomicBool::new(false));
    let (handle, stop) = (house.engine.handle(), done.clone());
    let (_steady, _) = house.client("r");
    let publisher = thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let next = handle.room("r").unwrap().position().offset + 1;
            assert_eq!(publish(&handle, "r", &next.to_string()), next);
            thread::yield_now();
        }
    });
    for _ in 0..20 {
        let (mut client, _) = house.client("r");
        let first: u64 = client.text().parse().unwrap();
        for n in first + 1..first + 50 {
            assert_eq!(client.text(), n.to_string());
        }
    }
    done.store(true, Ordering::Relaxed);
    publisher.join().unwrap();
}

#[test]
fn everything_a_handle_does_may_be_done_in_a_callback() {
    let house = open_with(config().shards(2), |connection, message| {
        let handle = connection.handle();
        let text = message.text().unwrap();
        connection.send(format!("1 {text}").as_str()).unwrap();
        handle.publish("r", format!("2 {text}").as_str()).unwrap();
        connection.join("s").unwrap();
        handle.publish("s", format!("3 {text}").as_str()).unwrap();
        connection.leave("s").unwrap();
        handle.publish("s", "never").unwrap();
        handle.publish_union(&["s", "r"], "4").unwrap();
        assert_eq!(handle.connections(), Err(CommandError::OnShard));
        assert!(handle.count("r") > 0);
        connection.close(4123, "5").unwrap();
    });
    let (mut other, _) = house.client("r");
    let (mut client, id) = house.client("r");
    client.say("x");
    for expected in ["1 x", "2 x", "3 x", "4"] {
        assert_eq!(client.text(), expected);
    }
    assert_eq!(client.closed(), (4123, "5".into()));
    assert_eq!(house.log.closed(id).name(), "host");
    assert_eq!([other.text(), other.text()], ["2 x", "4"]);
}

#[test]
fn callbacks_on_two_shards_that_publish_to_each_other_do_not_deadlock() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let house = open_with(config().shards(2), move |connection, message| {
        seen.fetch_add(1, Ordering::Relaxed);
        let handle = connection.handle();
        let rooms = match message.text() {
            Some("ab") => ["a", "b"],
            _ => ["b", "a"],
        };
        handle.publish_union(&rooms, message).unwrap();
        handle.publish(rooms[0], message).unwrap();
    });
    let clients: Vec<_> = (0..4).map(|_| house.client("a,b").0).collect();
    let threads: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(i, mut client)| {
            thread::spawn(move || {
                for _ in 0..100 {
                    client.say(if i % 2 == 0 { "ab" } else { "ba" });
                }
                for _ in 0..800 {
                    client.text();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(count.load(Ordering::Relaxed), 400);
    house::until("rooms to vanish", || house.engine.rooms().is_empty());
}
