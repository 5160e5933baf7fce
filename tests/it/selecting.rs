//! Filters and watch-lists over real sockets: who is sent what, to the publication.
//!
//! In: members with filters, equal and different, and with lists of keys that change all the time.
//! Out: exactly what each of them asked for, and limits that refuse what is beyond them.

use std::thread;

use roomcast::{CommandError, ConnectionId, Filter, Join, Publication, Refused};

use crate::client::Client;
use crate::deflate::{OFFER, inflate, offering};
use crate::house::{Open, config, open, until};

const SIDES: [&str; 3] = ["bid", "ask", "none"];

fn bids() -> Join {
    Join::new().filter(Filter::eq("side", "bid"))
}

fn publish(house: &Open, room: &str, text: &str, side: &str) {
    let tags = [("side", side)];
    house
        .engine
        .publish(room, Publication::text(text).tags(&tags))
        .unwrap();
}

fn about<'a>(key: &'a str, text: &'a str) -> Publication<'a> {
    Publication::text(text).key(key)
}

/// What a client was sent by now; nothing may be held back for it.
fn all(house: &Open, client: &mut Client, id: ConnectionId) -> Vec<String> {
    house.engine.send(id, "end").unwrap();
    let text = |client: &mut Client| {
        let frame = client.next();
        let data = match frame.compressed {
            true => inflate(&frame.data, 15),
            false => frame.data,
        };
        String::from_utf8(data).unwrap()
    };
    std::iter::from_fn(|| Some(text(client)))
        .take_while(|text| text != "end")
        .collect()
}

#[test]
fn members_are_sent_exactly_what_their_filters_match() {
    let house = open(config().shards(2).deflate_level(1).deflate_bytes_min(50));
    let filters = [
        None,
        Some(Filter::eq("side", "bid")),
        Some(Filter::text(r#"!(tags.side == "bid")"#).unwrap()),
        Some(Filter::any([])),
        Some(Filter::text(r#"double(tags.n) >= 150.0"#).unwrap()),
        Some(Filter::native(
            "odd",
            |_: &roomcast::Labels, data: &[u8]| data[0] % 2 == 1,
        )),
    ];
    let wants = |filter: usize, n: usize, text: &str| match filter {
        0 => true,
        1 => n.is_multiple_of(3),
        2 => !n.is_multiple_of(3),
        3 => false,
        4 => n >= 150,
        _ => text.as_bytes()[0] % 2 == 1,
    };
    let mut members = Vec::new();
    for n in 0..18 {
        let (client, id) = match n < 9 {
            true => house.client("plain"),
            false => {
                let (client, _, id) = offering(&house, "plain", OFFER);
                (client, id)
            }
        };
        let how = match &filters[n % 6] {
            None => Join::new(),
            Some(filter) => Join::new().filter(filter.clone()),
        };
        house.engine.join_with(id, "r", how).unwrap();
        members.push((client, id, n % 6));
    }
    let excluded = members[1].1;
    let texts: Vec<String> = (0..300)
        .map(|n| format!("{n}{}", " again".repeat(20)))
        .collect();
    for (n, text) in texts.iter().enumerate() {
        let number = n.to_string();
        let tags = [("side", SIDES[n % 3]), ("n", number.as_str())];
        let except = [excluded];
        let publication = Publication::text(text).tags(&tags);
        match n % 5 {
            0 => house.engine.publish("r", publication.except(&except)),
            1 => house
                .engine
                .publish_union(&["r", "s", "plain"], publication),
            _ => house.engine.publish("r", publication),
        }
        .unwrap();
    }
    for (client, id, filter) in &mut members {
        let due = texts.iter().enumerate().filter(|(n, text)| match n % 5 {
            0 => *id != excluded && wants(*filter, *n, text),
            1 => true,
            _ => wants(*filter, *n, text),
        });
        let due: Vec<&String> = due.map(|(_, text)| text).collect();
        assert!(all(&house, client, *id).iter().eq(due), "filter {filter}");
    }
}

#[test]
fn equal_filters_are_decided_once_for_each_publication() {
    let house = open(config().shards(1));
    let spellings = [
        Filter::eq("side", "bid") & Filter::gt("price", 10.0),
        Filter::text(r#"double(tags.price) > 10.0 && tags.side == "bid""#).unwrap(),
        Filter::all([Filter::gt("price", 10.0), Filter::eq("side", "bid")]),
    ];
    let members: Vec<_> = (0..30).map(|_| house.client("")).collect();
    for (n, (_, id)) in members.iter().enumerate() {
        let filter = match n < 24 {
            true => spellings[n % 3].clone(),
            false => Filter::exists("other"),
        };
        house
            .engine
            .join_with(*id, "r", Join::new().filter(filter.clone()))
            .unwrap();
        house
            .engine
            .join_with(*id, "s", Join::new().filter(filter))
            .unwrap();
    }
    for price in ["5", "50"] {
        let tags = [("side", "bid"), ("price", price)];
        house
            .engine
            .publish("r", Publication::text("one").tags(&tags))
            .unwrap();
        let union = Publication::text("two").tags(&tags);
        house.engine.publish_union(&["r", "s"], union).unwrap();
    }
    until("all to be decided", || {
        house.engine.snapshot().publications == 4
    });
    let asked = || house.engine.snapshot().filters_asked;
    until("two filters to be asked of four publications", || {
        asked() >= 4 * 2
    });
    let now = house.engine.snapshot();
    assert_eq!(now.filters_asked, 4 * 2);
    assert_eq!(now.filtered, 3 * 30 + 3 * 6);
}

#[test]
fn another_filter_begins_between_two_publications() {
    let house = open(config().shards(2));
    let (mut client, id) = house.client("");
    let (mut other, _) = house.client("r");
    let mut due = Vec::new();
    for n in 0..2_000 {
        let wanted = SIDES[n / 7 % 3];
        if n % 7 == 0 {
            let how = match n % 21 == 14 {
                true => Join::new().keys(["key"]),
                false => Join::new().filter(Filter::eq("side", wanted)),
            };
            house.engine.join_with(id, "r", how).unwrap();
        }
        let (text, side) = (n.to_string(), SIDES[n % 3]);
        let tags = [("side", side)];
        let mut publication = Publication::text(&text).tags(&tags);
        if n % 5 == 0 {
            publication = publication.key("key");
        }
        house.engine.publish("r", publication).unwrap();
        let is_due = match wanted == "none" {
            true => n % 5 == 0,
            false => side == wanted,
        };
        if is_due {
            due.push(text);
        }
    }
    assert!(
        all(&house, &mut client, id) == due,
        "nothing lost or doubled"
    );
    (0..2_000).for_each(|n| assert_eq!(other.text(), n.to_string()));
    assert_eq!(house.engine.count("r"), 2);
    house.engine.leave(id, "r").unwrap();
    until("it to leave", || house.engine.count("r") == 1);
}

#[test]
fn publishers_on_threads_keep_their_order_behind_filters() {
    let house = open(config().shards(2));
    let mut members = Vec::new();
    for side in SIDES {
        let (client, id) = house.client("");
        let how = Join::new().filter(Filter::eq("side", side));
        house.engine.join_with(id, "r", how).unwrap();
        members.push((client, id, side));
    }
    thread::scope(|scope| {
        for who in 0..3 {
            let house = &house;
            scope.spawn(move || {
                for n in 0..500 {
                    publish(house, "r", &format!("{who} {n}"), SIDES[n % 3]);
                }
            });
        }
    });
    for (mut client, id, side) in members {
        let got = all(&house, &mut client, id);
        for who in 0..3 {
            let mine = got
                .iter()
                .filter_map(|text| text.strip_prefix(&format!("{who} ")));
            let due = (0..500)
                .filter(|n| SIDES[n % 3] == side)
                .map(|n: usize| n.to_string());
            assert!(mine.eq(due), "{side} of {who}");
        }
        assert!(got.len() <= 501);
    }
}

#[test]
fn a_filter_that_cannot_be_meant_is_refused_at_once() {
    let house = open(config().shards(1));
    let (mut client, id) = house.client("r");
    let wrong = Join::new().filter(Filter::gt("price", f64::NAN));
    let refused = house.engine.join_with(id, "s", wrong.clone());
    assert_eq!(refused.unwrap_err(), CommandError::Filter);
    // A member already goes on as it was.
    assert!(house.engine.join_with(id, "r", wrong).is_err());
    publish(&house, "s", "to nobody", "bid");
    publish(&house, "r", "to it", "bid");
    assert_eq!(client.text(), "to it");
    assert_eq!(house.engine.rooms_of(id).unwrap(), ["r"]);
}

#[test]
fn room_filters_max_bounds_the_distinct_filters_of_a_room() {
    let house = open(config().shards(1).room_filters_max(2));
    let (_clients, ids): (Vec<_>, Vec<_>) = (0..4).map(|_| house.client("")).unzip();
    let by = |n: usize| Join::new().filter(Filter::eq("side", SIDES[n]));
    for (n, id) in ids[..3].iter().enumerate() {
        house.engine.join_with(*id, "r", by(n)).unwrap();
    }
    house.engine.join_with(ids[3], "r", by(1)).unwrap();
    let refused = || house.engine.snapshot().joins_refused_filters;
    until("one to be refused", || refused() == 1);
    until("the others to be in", || house.engine.count("r") == 3);
    // The only one who has it may change it.
    house.engine.join_with(ids[0], "r", by(2)).unwrap();
    house.engine.leave(ids[0], "r").unwrap();
    house.engine.join_with(ids[2], "r", by(0)).unwrap();
    house.engine.join_with(ids[2], "s", by(2)).unwrap();
    until("it to be in both", || {
        house.engine.rooms_of(ids[2]).unwrap().len() == 2
    });
    assert_eq!(refused(), 1);
}

#[test]
fn connection_filters_max_bounds_the_rooms_with_a_filter() {
    let house = open(config().shards(1).connection_filters_max(1));
    let (mut client, id) = house.client("");
    house.engine.join_with(id, "r", bids()).unwrap();
    house.engine.join_with(id, "s", bids()).unwrap();
    house.engine.join(id, "t").unwrap();
    // Another one in the same room is no further one.
    let asks = Join::new().filter(Filter::eq("side", "ask"));
    house.engine.join_with(id, "r", asks).unwrap();
    publish(&house, "s", "refused", "bid");
    publish(&house, "r", "no more", "bid");
    publish(&house, "r", "r", "ask");
    publish(&house, "t", "t", "");
    assert_eq!(all(&house, &mut client, id), ["r", "t"]);
    until("one to be refused", || {
        house.engine.snapshot().joins_refused_filters == 1
    });
    assert_eq!(house.engine.count("s"), 0);
}

#[test]
fn a_watch_list_changes_between_two_publications() {
    let house = open(config().shards(2));
    let (mut client, id) = house.client("");
    let (mut other, other_id) = house.client("");
    let nothing: [&str; 0] = [];
    house
        .engine
        .join_with(id, "r", Join::new().keys(nothing))
        .unwrap();
    house
        .engine
        .join_with(other_id, "r", Join::new().keys(["0", "1"]))
        .unwrap();
    let (mut watched, mut due) = (Vec::new(), Vec::new());
    for n in 0..3_000 {
        let key = (n * 7 % 5).to_string();
        match n % 4 {
            0 => {
                house.engine.watch(id, "r", [&key]).unwrap();
                watched.push(key);
            }
            1 if n % 3 == 0 => {
                let gone = (n * 3 % 5).to_string();
                house.engine.unwatch(id, "r", [&gone]).unwrap();
                watched.retain(|key| *key != gone);
            }
            _ => {}
        }
        let (text, key) = (n.to_string(), (n % 5).to_string());
        house.engine.publish("r", about(&key, &text)).unwrap();
        house.engine.publish("r", "without a key").unwrap();
        if watched.contains(&key) {
            due.push(text);
        }
    }
    assert!(all(&house, &mut client, id) == due, "exact");
    let of_two = (0..3_000).filter(|n| n % 5 < 2).map(|n| n.to_string());
    assert!(all(&house, &mut other, other_id).into_iter().eq(of_two));
    assert_eq!(house.engine.snapshot().watches_refused, 0);
}

#[test]
fn keys_are_bounded_in_length_and_number() {
    let house = open(config().shards(1).key_bytes_max(8).connection_keys_max(3));
    let (mut client, id) = house.client("");
    let long = "123456789";
    let too_long = house.engine.join_with(id, "r", Join::new().keys([long]));
    assert_eq!(too_long.unwrap_err(), CommandError::Key);
    house
        .engine
        .join_with(id, "r", Join::new().keys(["a", "b"]))
        .unwrap();
    assert_eq!(
        house.engine.watch(id, "r", ["c", long]),
        Err(CommandError::Key)
    );
    assert_eq!(
        house.engine.unwatch(id, "r", [long]),
        Err(CommandError::Key)
    );
    let refused = house.engine.publish("r", about(long, "too long"));
    assert_eq!(refused.unwrap_err(), Refused::Key);
    // One more has place, over all rooms.
    house
        .engine
        .join_with(id, "s", Join::new().keys(["d", "e"]))
        .unwrap();
    for (room, key) in [("r", "a"), ("r", "c"), ("s", "d"), ("s", "e"), ("r", "b")] {
        house.engine.publish(room, about(key, key)).unwrap();
    }
    assert_eq!(all(&house, &mut client, id), ["a", "d", "b"]);
    until("one to be refused", || {
        house.engine.snapshot().watches_refused == 1
    });
    house.engine.unwatch(id, "r", ["a"]).unwrap();
    house.engine.watch(id, "s", ["e"]).unwrap();
    house.engine.publish("s", about("e", "e")).unwrap();
    assert_eq!(all(&house, &mut client, id), ["e"]);
}

#[test]
fn labels_count_with_the_data() {
    let house = open(config().shards(1).publication_bytes_max(20));
    let tags = [("name", "value")];
    let of = |text| Publication::text(text).event("e").key("k").tags(&tags);
    assert!(house.engine.publish("r", of("123456789")).is_ok());
    let refused = house.engine.publish("r", of("1234567890"));
    assert_eq!(refused.unwrap_err(), Refused::TooLarge);
}
