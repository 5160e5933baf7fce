//! Who is sent what: users, all, unions, exclusions; rooms that vanish; refusals.
//!
//! In: publications of every kind. Out: exactly what each member read, found by a private `end`
//! behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roomcast::{CommandError, ConnectionId, Kind, Publication, Refused};

use crate::client::{BINARY, Client};
use crate::house::{Open, config, open, open_with, until};

/// What a client has been sent up to now.
fn seen(house: &Open, client: &mut Client) -> Vec<String> {
    let id = client.id();
    house.engine.send(id, "end").unwrap();
    let mut all = Vec::new();
    loop {
        match client.text() {
            end if end == "end" => return all,
            text => all.push(text),
        }
    }
}

#[test]
fn a_users_message_reaches_all_its_connections_and_nobody_elses() {
    let house = open(config().shards(2));
    let mut ada: Vec<_> = (0..3).map(|_| house.client("r?user=ada").0).collect();
    let mut bob = house.client("r?user=bob").0;
    let mut nobody = house.client("r").0;
    house.engine.send_user("ada", "for ada").unwrap();
    house.engine.send_user("zoe", "for zoe").unwrap();
    for client in &mut ada {
        assert_eq!(seen(&house, client), ["for ada"]);
    }
    assert!(seen(&house, &mut bob).is_empty());
    assert!(seen(&house, &mut nobody).is_empty());
}

#[test]
fn a_message_to_all_reaches_every_connection_once() {
    let house = open(config().shards(2));
    let mut all: Vec<_> = ["", "a", "a,b", "b?user=ada"]
        .map(|r| house.client(r).0)
        .into();
    house.engine.send_all("hear").unwrap();
    for client in &mut all {
        assert_eq!(seen(&house, client), ["hear"]);
    }
}

#[test]
fn a_member_of_several_rooms_of_a_union_is_sent_it_once() {
    let house = open(config().shards(2));
    let cases = ["a", "b", "a,b", "a,b,c", "c", ""];
    let mut clients = cases.map(|rooms| house.client(rooms).0);
    let published = house.engine.publish_union(&["a", "b", "a"], "u").unwrap();
    assert_eq!(published.members, 6, "an upper bound: the sum");
    for (client, rooms) in clients.iter_mut().zip(cases) {
        let expected = usize::from(rooms.contains(['a', 'b']));
        assert_eq!(seen(&house, client).len(), expected, "{rooms}");
    }
}

#[test]
fn exclusions_leave_out_exactly_the_excluded() {
    let house = open(config().shards(2));
    let cases = ["a", "a,b", "a,c", "a,b,c", "b"];
    let mut clients: Vec<_> = cases.map(|rooms| house.client(rooms)).into();
    let sender = [clients[0].1];
    let both = [clients[0].1, clients[2].1];
    let p = |text| Publication::text(text);
    let engine = &house.engine;
    engine.publish("a", p("1").except(&sender)).unwrap();
    engine.publish("a", p("2").except_rooms(&["b"])).unwrap();
    engine
        .publish("a", p("3").except(&sender).except_rooms(&["b", "c"]))
        .unwrap();
    engine.publish("a", p("4").except_rooms(&["a"])).unwrap();
    engine
        .publish_union(&["a", "b"], p("5").except(&both))
        .unwrap();
    engine
        .publish_union(&["a", "b"], p("6").except_rooms(&["c"]))
        .unwrap();
    engine
        .publish("a", p("7").except_rooms(&["nowhere"]))
        .unwrap();
    let expected = ["267", "1567", "127", "157", "56"];
    for (i, (client, _)) in clients.iter_mut().enumerate() {
        assert_eq!(seen(&house, client).concat(), expected[i], "{}", cases[i]);
    }
}

#[test]
fn excluding_many_connections_in_turn_loses_nothing_for_others() {
    let house = open(config().shards(2));
    let mut clients: Vec<_> = (0..6).map(|_| house.client("a,b")).collect();
    let ids: Vec<ConnectionId> = clients.iter().map(|c| c.1).collect();
    for n in 0..300 {
        let room = if n % 3 == 0 { "a" } else { "b" };
        let text = n.to_string();
        let except = [ids[n % 6]];
        let publication = Publication::text(&text).except(&except);
        while house.engine.publish(room, publication).is_err() {}
    }
    for (i, (client, _)) in clients.iter_mut().enumerate() {
        let expected: Vec<_> = (0..300)
            .filter(|n| n % 6 != i)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(seen(&house, client), expected);
    }
}

#[test]
fn kind_and_size_survive() {
    let house = open_with(config().shards(2), |connection, message| {
        connection.handle().publish("r", message).unwrap();
    });
    let (mut a, _) = house.client("r");
    let (mut b, _) = house.client("r");
    for len in [0, 1, 125, 126, 65_535, 65_536, 200_000] {
        let data: Vec<u8> = (0..len).map(|n| n as u8).collect();
        a.frame(BINARY, &data);
        for client in [&mut a, &mut b] {
            let frame = client.next();
            assert_eq!(frame.opcode, BINARY);
            assert!(frame.data == data, "{len} bytes");
        }
    }
    let data = vec![7; 1 << 20];
    assert_eq!(Publication::from(&data).kind(), Kind::Binary);
    house.engine.publish("r", &data).unwrap();
    assert!(b.next().data == data, "the largest publication");
}

#[test]
fn a_room_vanishes_with_its_last_member_and_comes_back_as_another() {
    let house = open(config().shards(2));
    assert_eq!(house.engine.publish("r", "x").unwrap().offset, None);
    let (mut a, id) = house.client("");
    let first = house.engine.join(id, "r").unwrap();
    assert_eq!((first.offset, house.engine.count("r")), (0, 1));
    assert_eq!(house.engine.publish("r", "x").unwrap().offset, Some(1));
    assert_eq!(house.engine.rooms(), [("r".to_string(), 1)]);
    house.engine.leave(id, "r").unwrap();
    until("the room to vanish", || house.engine.rooms().is_empty());
    let second = house.engine.join(id, "r").unwrap();
    assert_ne!(first.epoch, second.epoch);
    assert_eq!(second.offset, 0);
    a.close(1000, "");
    a.drain();
    until("the room to vanish", || house.engine.rooms().is_empty());
    assert_eq!(house.engine.snapshot().rooms, 0);
}

#[test]
fn a_held_room_keeps_its_numbers_while_it_is_empty() {
    let house = open(config());
    let room = house.engine.room("r").unwrap();
    assert_eq!(room.publish("into the void").unwrap().offset, Some(1));
    let (mut client, id) = house.client("r");
    assert_eq!(room.publish("x").unwrap().offset, Some(2));
    assert_eq!(seen(&house, &mut client), ["x"]);
    house.engine.leave(id, "r").unwrap();
    until("no member", || room.members() == 0);
    assert_eq!(room.position().offset, 2);
    assert_eq!(house.engine.rooms(), [("r".to_string(), 0)]);
    drop(room);
    assert!(house.engine.rooms().is_empty());
}

#[test]
fn members_connections_and_counts_agree() {
    let house = open(config().shards(2));
    let clients: Vec<_> = (0..5).map(|_| house.client("r")).collect();
    let (_out, outside) = house.client("");
    let mut members = house.engine.members("r").unwrap();
    members.sort();
    let mut ids: Vec<_> = clients.iter().map(|c| c.1).collect();
    ids.sort();
    assert_eq!(members, ids);
    assert_eq!(house.engine.count("r"), 5);
    assert!(house.engine.connections().unwrap().contains(&outside));
    assert_eq!(house.engine.connections().unwrap().len(), 6);
    assert!(house.engine.members("nowhere").unwrap().is_empty());
}

#[test]
fn a_connection_is_in_no_more_rooms_than_allowed_and_joins_count_once() {
    let house = open(config().connection_rooms_max(2));
    let (mut client, id) = house.client("a");
    for room in ["a", "b", "b", "c"] {
        house.engine.join(id, room).unwrap();
    }
    until("the joins", || house.engine.rooms().len() == 2);
    until("the counts", || {
        house.engine.rooms().iter().all(|r| r.1 == 1)
    });
    for room in ["a", "b", "c"] {
        house.engine.publish(room, room).unwrap();
    }
    assert_eq!(seen(&house, &mut client), ["a", "b"]);
}

#[test]
fn refusals_say_why_and_send_nothing() {
    let limits = config().publication_bytes_max(100).room_name_bytes_max(10);
    let house = open(limits);
    let (mut client, id) = house.client("r");
    let engine = &house.engine;
    let large = "x".repeat(101);
    assert_eq!(engine.publish("r", &large), Err(Refused::TooLarge));
    assert_eq!(engine.send(id, &large), Err(Refused::TooLarge));
    assert_eq!(engine.send_all(&large), Err(Refused::TooLarge));
    for name in ["", "12345678901", "ééééé€"] {
        assert_eq!(engine.publish(name, "x"), Err(Refused::RoomName));
        assert_eq!(
            engine.publish_union(&["r", name], "x"),
            Err(Refused::RoomName)
        );
        assert_eq!(engine.join(id, name), Err(CommandError::RoomName));
        assert!(engine.room(name).is_err());
    }
    let strange = ConnectionId::from_u64(u64::MAX);
    assert_eq!(engine.send(strange, "x"), Err(Refused::Gone));
    assert_eq!(engine.close(id, 1005, ""), Err(CommandError::CloseCode));
    assert!(seen(&house, &mut client).is_empty());
    assert_eq!(engine.snapshot().refused, 3 + 6 + 1);
    let handle = engine.handle();
    let room = handle.room("r").unwrap();
    engine.stop();
    assert_eq!(handle.publish("r", "x"), Err(Refused::Stopped));
    assert_eq!(room.publish("x"), Err(Refused::Stopped));
    assert_eq!(handle.send(id, "x"), Err(Refused::Stopped));
    assert_eq!(handle.join(id, "r"), Err(CommandError::Stopped));
    assert_eq!(handle.connections(), Err(CommandError::Stopped));
}

/// An engine whose only shard stands still in a callback while the gate is shut.
fn stalled(limits: roomcast::Config) -> (Open, Client, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let wait = gate.clone();
    let house = open_with(limits.shards(1), move |_, _| {
        until("the gate", || wait.load(Ordering::Relaxed));
    });
    let (mut client, _) = house.client("r");
    client.say("stand still");
    house.log.wait("the callback", |told| {
        matches!(told, crate::house::Told::Message(..)).then_some(())
    });
    (house, client, gate)
}

#[test]
fn a_room_behind_its_publishers_refuses_and_loses_nothing_that_it_took() {
    let (house, mut client, gate) = stalled(config().room_ahead_bytes_max(64 * 1024));
    let text = "y".repeat(1024);
    let mut taken = 0;
    let refused = loop {
        match house.engine.publish("r", &text) {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
        assert!(taken < 1000, "it must end");
    };
    assert_eq!(refused, Refused::Behind);
    assert!((32..=64).contains(&taken), "{taken} KiB");
    gate.store(true, Ordering::Relaxed);
    assert_eq!(seen(&house, &mut client).len(), taken);
    until("it to take more", || house.engine.publish("r", "z").is_ok());
}

#[test]
fn a_full_shard_refuses_sends_and_publications_alike() {
    let (house, mut client, gate) = stalled(config().inbox_bytes_max(64 * 1024));
    let text = "y".repeat(1024);
    let id = client.id();
    let mut taken = 0;
    let refused = loop {
        match house.engine.send(id, &text) {
            Ok(()) => taken += 1,
            Err(refused) => break refused,
        }
        assert!(taken < 1000, "it must end");
    };
    assert_eq!(refused, Refused::Overloaded);
    assert_eq!(house.engine.publish("r", &text), Err(Refused::Overloaded));
    gate.store(true, Ordering::Relaxed);
    for _ in 0..taken {
        assert_eq!(client.text().len(), 1024);
    }
    until("it to take more", || house.engine.send(id, "z").is_ok());
}

#[test]
fn a_union_tells_its_number_in_the_first_room_that_was_named() {
    let house = open(config());
    let engine = &house.engine;
    let held: Vec<_> = (0..8)
        .map(|n| engine.room(&n.to_string()).unwrap())
        .collect();
    for (n, room) in held.iter().enumerate() {
        for _ in 0..n * 100 {
            room.publish("x").unwrap();
        }
    }
    // Whatever their addresses are, each is first once.
    for first in 0..8 {
        let names = (0..8).map(|n| ((first + n) % 8).to_string());
        let names: Vec<String> = ["nowhere".into()].into_iter().chain(names).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let offset = engine.publish_union(&names, "y").unwrap().offset;
        assert_eq!(offset, Some(first as u64 * 101 + 1));
    }
}
