//! Presence over real sockets: counts, pages and notices of rooms that have it, and of those that
//! have not.
//!
//! In: clients that come with users and infos, stay, leave and vanish. Out: what the handle answers
//! at once, and what members are sent. A notice comes an interval after the first change, so how
//! many there are depends on the machine; what they say together does not.

use std::collections::BTreeSet;

use roomcast::{Accept, Cursor, Engine, Event, Field, Filter, Join, Present, RoomOptions};
use serde_json::{Value, json};

use crate::client::{Client, PATIENCE, upgrade};
use crate::house::{Open, config, open, until};

const INTERVAL_MS: u32 = 50;

fn counted() -> RoomOptions {
    RoomOptions::new().presence(true)
}

fn told() -> RoomOptions {
    counted().presence_interval_ms(INTERVAL_MS)
}

/// All members, page by page.
fn pages(engine: &Engine, room: &str, limit: usize) -> Vec<Present> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = engine.present(room, after, limit);
        assert!(page.present.len() <= limit);
        all.extend(page.present);
        match page.next {
            // As it goes through another language.
            Some(next) => after = Some(Cursor::from_u64(next.as_u64())),
            None => return all,
        }
    }
}

fn ids(list: &Value) -> Vec<u64> {
    let list = list.as_array().expect("a list").iter();
    list.map(|one| {
        one["id"]
            .as_str()
            .expect("a string")
            .parse()
            .expect("digits")
    })
    .collect()
}

/// The members by the notices that the client is sent, read until there are so many.
fn follow(client: &mut Client, there: &mut BTreeSet<u64>, members: usize) -> Vec<Value> {
    let mut notices = Vec::new();
    loop {
        let mut notice: Value = serde_json::from_str(&client.text()).expect("a notice");
        let notice = notice["presence"].take();
        for id in ids(&notice["gone"]) {
            assert!(there.remove(&id), "it was there");
        }
        for id in ids(&notice["came"]) {
            assert!(there.insert(id), "it was not there");
        }
        assert_eq!(notice["members"], there.len());
        notices.push(notice);
        if there.len() == members {
            return notices;
        }
    }
}

#[test]
fn members_and_users_are_counted_and_listed_in_the_order_of_joining() {
    let house = open(config().shards(2).room_options("lobby", counted()));
    let engine = &house.engine;
    assert_eq!(engine.presence("lobby").users, Some(0));
    let clients = [
        house.client("lobby?user=ada&info={%22n%22:1}"),
        house.client("lobby?user=bob"),
        house.client("lobby?user=ada&info=no%20json"),
        house.client("lobby"),
    ];
    until("all to be there", || engine.presence("lobby").members == 4);
    assert_eq!(engine.presence("lobby").users, Some(2));
    let all = pages(engine, "lobby", 3);
    let listed = |all: &[Present]| all.iter().map(|p| p.id).collect::<Vec<_>>();
    assert_eq!(listed(&all), clients.each_ref().map(|(_, id)| *id));
    let users: Vec<_> = all.iter().map(|p| p.user.as_deref()).collect();
    assert_eq!(users, [Some("ada"), Some("bob"), Some("ada"), None]);
    let infos: Vec<_> = all.iter().map(|p| p.info.as_deref()).collect();
    assert_eq!(infos, [Some("{\"n\":1}"), None, None, None]);

    // Joining twice is joining once, and in another way too.
    let (_, id) = clients[1];
    engine.join(id, "lobby").unwrap();
    let how = Join::new().filter(Filter::eq("side", "bid"));
    engine.join_with(id, "lobby", how).unwrap();
    assert_eq!(engine.members("lobby").unwrap().len(), 4);
    assert_eq!(pages(engine, "lobby", 1), all);

    // The cursor is good when the member before it has gone.
    let page = engine.present("lobby", None, 2);
    let [
        (mut first, _),
        (mut second, _),
        (_third, third),
        (_last, last),
    ] = clients;
    first.close(1000, "");
    second.close(1000, "");
    until("two to go", || engine.presence("lobby").members == 2);
    let rest = engine.present("lobby", page.next, 0);
    assert_eq!(
        (listed(&rest.present), rest.next),
        (vec![third, last], None)
    );
    assert_eq!(engine.presence("lobby").users, Some(1));
}

#[test]
fn rooms_without_presence_count_members_and_nothing_else() {
    let house = open(config().room_options("lobby", told()));
    let (_one, _) = house.client("cellar?user=ada");
    let presence = house.engine.presence("cellar");
    assert_eq!((presence.members, presence.users), (1, None));
    assert!(house.engine.present("cellar", None, 10).present.is_empty());
    assert_eq!(house.engine.presence("nowhere").users, None);
    assert_eq!(house.engine.presence("lobby 2").users, Some(0));
    assert_eq!(house.engine.presence("").members, 0);
    let room = house.engine.room("lobby").unwrap();
    assert_eq!(room.presence().users, Some(0));
    assert!(room.present(None, 0).present.is_empty());
}

#[test]
fn a_page_is_no_longer_than_its_limit_allows() {
    let limits = config().presence_page_max(3);
    let house = open(limits.room_options("lobby", counted()));
    let _clients: Vec<_> = (0..7).map(|_| house.client("lobby")).collect();
    until("all", || house.engine.presence("lobby").members == 7);
    let room = house.engine.room("lobby").unwrap();
    for limit in [0, 3, 1_000, usize::MAX] {
        let page = room.present(None, limit);
        assert_eq!((page.present.len(), page.next.is_some()), (3, true));
    }
    assert_eq!(pages(&house.engine, "lobby", 3).len(), 7);
    assert!(config().presence_page_max(0).check().is_err());
}

#[test]
fn members_are_told_who_came_and_who_went() {
    let house = open(config().shards(2).room_options("lobby", told()));
    let mut there = BTreeSet::new();
    let (mut ada, id) = house.client("lobby?user=ada");
    let notices = follow(&mut ada, &mut there, 1);
    let own = json!({"room": "lobby", "members": 1, "users": 1, "came_count": 1, "gone_count": 0,
        "came": [{"id": id.as_u64().to_string(), "user": "ada"}], "gone": []});
    assert_eq!(notices, [own]);
    let (mut bob, id) = house.client("lobby?user=bob&info=[1,%202]");
    let notices = follow(&mut ada, &mut there, 2);
    let came = json!([{"id": id.as_u64().to_string(), "user": "bob", "info": [1, 2]}]);
    assert_eq!(notices.last().unwrap()["came"], came);
    bob.close(1000, "");
    let notices = follow(&mut ada, &mut there, 1);
    let gone = json!([{"id": id.as_u64().to_string(), "user": "bob"}]);
    assert_eq!(notices.last().unwrap()["gone"], gone);
}

#[test]
fn a_filter_leaves_notices_out() {
    let house = open(config().room_options("lobby", told()));
    let (mut quiet, id) = house.client("");
    let others = Filter::any([
        Filter::missing(Field::Event),
        Filter::neq(Field::Event, "presence"),
    ]);
    let how = Join::new().filter(others);
    house.engine.join_with(id, "lobby", how).unwrap();
    let (mut other, _) = house.client("lobby");
    assert!(other.text().starts_with("{\"presence\":"));
    house.engine.publish("lobby", "the first").unwrap();
    assert_eq!(quiet.text(), "the first");
}

/// Opens so many clients, which all come to the lobby at once.
fn storm(house: &Open, clients: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = Client::bare(house.address());
        client.write(upgrade("/lobby", &[]).as_bytes());
        client
    };
    let asking: Vec<Client> = (0..clients).map(ask).collect();
    let open = |client: Client| {
        let mut client = client.upgraded().expect("to be let in").0;
        client.id();
        client
    };
    asking.into_iter().map(open).collect()
}

#[test]
fn a_storm_of_joins_is_told_in_few_notices_each_once_to_each_member() {
    const CLIENTS: usize = 300;
    let limits = config().shards(2).presence_notice_names_max(CLIENTS + 1);
    let house = open(limits.room_options("lobby", told()));
    let (mut watcher, id) = house.client("lobby");
    let mut there = BTreeSet::new();
    let began = std::time::Instant::now();
    let clients = storm(&house, CLIENTS);
    let notices = follow(&mut watcher, &mut there, CLIENTS + 1).len();
    let intervals = began.elapsed().as_millis() as usize / INTERVAL_MS as usize;
    // The first may tell of the watcher alone, whose interval began before.
    assert!(
        notices <= intervals + 2,
        "{notices} in {intervals} intervals"
    );
    until("it to be counted", || {
        house.engine.snapshot().presence_notices == notices as u64
    });
    drop(clients);
    follow(&mut watcher, &mut there, 1);
    assert_eq!(there, [id.as_u64()].into());
}

#[test]
fn a_room_that_ends_and_comes_again_begins_anew_for_whoever_pages_and_follows() {
    let house = open(config().shards(2).room_options("lobby", told()));
    let engine = &house.engine;
    let old: Vec<_> = (0..3).map(|_| house.client("lobby")).collect();
    until("all", || engine.presence("lobby").members == 3);
    let cursor = engine.present("lobby", None, 2).next;
    assert!(cursor.is_some());
    drop(old);
    until("the room to end", || engine.rooms().is_empty());
    assert_eq!(engine.presence("lobby").members, 0);
    assert!(engine.present("lobby", cursor, 0).present.is_empty());

    let (mut again, id) = house.client("lobby?user=ada");
    let notices = follow(&mut again, &mut BTreeSet::new(), 1);
    assert_eq!(notices[0]["gone_count"], 0, "nothing of the life before");
    let position = engine.room("lobby").unwrap().position();
    assert_eq!(position.offset, 1, "the notice is the first publication");
    let page = engine.present("lobby", cursor, 0);
    assert_eq!(page.present.len(), 1, "the old cursor misses nobody");
    assert_eq!(page.present[0].id, id);
}

#[test]
fn the_engine_of_a_queue_tells_members_too_and_keeps_events_as_they_are() {
    let config = config().shards(1).room_options("lobby", told());
    let (engine, events) = Engine::start_with_events(config).unwrap();
    let mut client = Client::bare(engine.addresses()[0]);
    client.write(upgrade("/", &[]).as_bytes());
    let id = loop {
        match events.recv_timeout(PATIENCE).unwrap().unwrap() {
            Event::Connecting { pending, .. } => {
                pending.accept(Accept::new().info("null").room("lobby"));
            }
            Event::Opened { peer } => break peer.id(),
            other => panic!("{other:?}"),
        }
    };
    let mut client = client.upgraded().unwrap().0;
    let notices = follow(&mut client, &mut BTreeSet::new(), 1);
    let came = json!([{"id": id.as_u64().to_string(), "info": null}]);
    assert_eq!(notices[0]["came"], came);
    let mut waiting = Vec::new();
    assert_eq!(events.drain(10, &mut waiting), 0, "no event is about it");
}
