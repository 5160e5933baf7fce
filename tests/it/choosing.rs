//! Peers that choose what they are sent, through the host's callbacks, and many of them at once.
//!
//! In: filters at the door, filters and keys in messages, and all of it from all sides for a while.
//! Out: what each chose, reports that come once, and nothing left when all have gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roomcast::{
    Accept, Connection, ConnectionId, Engine, Filter, Handle, Handler, Join, Message, Pending,
    Publication, Request, RoomOptions, SlowPolicy,
};

use crate::client::{CLOSE, Client};
use crate::house::{config, open, open_with, until};

/// Lets everybody into `r` by the filter that the query has, and into `s`.
struct Door;

impl Handler for Door {
    fn connecting(&self, request: &Request, pending: Pending) {
        let side = request.query_value("side").unwrap_or_default();
        let filter = match side.as_ref() {
            "nan" => Filter::gt("price", f64::NAN),
            side => Filter::eq("side", side),
        };
        let how = Join::new().filter(filter);
        pending.accept(Accept::new().room_with("r", how).room("s"));
    }

    fn opened(&self, connection: Connection<'_>) {
        let _ = connection.send(&format!("id:{}", connection.id().as_u64()));
    }
}

#[test]
fn a_filter_holds_from_the_verdict_on_and_a_wrong_one_leaves_its_room_out() {
    let engine = Engine::start(config().shards(1), Door).unwrap();
    let address = engine.addresses()[0];
    let mut bids = Client::open(address, "/?side=bid");
    let mut wrong = Client::open(address, "/?side=nan");
    let (bidder, wronged) = (bids.id(), wrong.id());
    for (text, side) in [("1", "bid"), ("2", "ask"), ("3", "bid")] {
        let tags = [("side", side)];
        let publication = Publication::text(text).tags(&tags);
        engine.publish("r", publication).unwrap();
    }
    engine.publish("s", "end").unwrap();
    assert_eq!(bids.texts_before("end"), ["1", "3"]);
    assert_eq!(wrong.texts_before("end"), [""; 0]);
    assert_eq!(engine.rooms_of(wronged).unwrap(), ["s"]);
    assert_eq!(engine.members("r").unwrap(), [bidder]);
}

/// A peer may say a filter's text, or `+KEY`, or `-KEY`; it is told when that is done.
fn choose(connection: Connection<'_>, message: Message<'_>) {
    let text = message.text().unwrap_or_default();
    let done = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(key), _) => connection.watch("keys", [key]),
        (_, Some(key)) => connection.unwatch("keys", [key]),
        _ => match text.parse::<Filter>() {
            Ok(filter) => connection
                .join_with("r", Join::new().filter(filter))
                .map(drop),
            Err(error) => return connection.send(&error.to_string()).unwrap(),
        },
    };
    done.unwrap();
    connection.send("done").unwrap();
}

#[test]
fn a_peer_chooses_by_the_text_of_a_filter_and_by_keys() {
    let house = open_with(config().shards(2), choose);
    let (mut client, id) = house.client("");
    let none: [&str; 0] = [];
    house
        .engine
        .join_with(id, "keys", Join::new().keys(none))
        .unwrap();
    let publish = |text: &str, price: &str| {
        let tags = [("price", price)];
        let publication = Publication::text(text).tags(&tags).key(text);
        house
            .engine
            .publish_union(&["r", "keys"], publication)
            .unwrap();
    };
    publish("0", "1000");
    client.say("double(tags.price) > 100.0");
    assert_eq!(client.text(), "done");
    publish("1", "101");
    publish("2", "99");
    client.say("+2");
    assert_eq!([client.text(), client.text()], ["1", "done"]);
    publish("1", "1");
    publish("2", "99");
    publish("2", "999");
    client.say("-2");
    assert_eq!(
        [client.text(), client.text(), client.text()],
        ["2", "2", "done"]
    );
    publish("2", "99");
    client.say("double(tags.price) <");
    let error = client.text();
    assert!(error.contains("20"), "it says where: {error}");
    publish("3", "500");
    assert_eq!(client.text(), "3");
}

/// Does everything about a room that a host may do, at random, until it is over.
fn churn(handle: &Handle, me: u64, ids: &[ConnectionId], over: &AtomicBool) -> u64 {
    let (mut tracked, mut n) = (0, me);
    while !over.load(Ordering::Relaxed) {
        n = n
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let dice = n >> 33;
        let id = ids[dice as usize % ids.len()];
        let room = ["now", "slow:r", "c:r"][dice as usize / 64 % 3];
        let key = ["a", "b", "c"][dice as usize / 256 % 3];
        match dice / 1_024 % 12 {
            0 => drop(handle.join_with(id, room, Join::new().filter(Filter::eq("k", key)))),
            1 => drop(handle.join_with(id, room, Join::new().keys([key]))),
            2 => drop(handle.join_with(id, room, Join::new().slow_policy(SlowPolicy::Latest))),
            3 => drop(handle.watch(id, room, ["a", key])),
            4 => drop(handle.unwatch(id, room, [key])),
            5 => drop(handle.leave(id, room)),
            6 => drop(handle.send(id, "private")),
            7 => drop(handle.publish_union(&["now", "c:r"], Publication::text("union").key(key))),
            _ => {
                let tags = [("k", key)];
                let publication = Publication::text("tracked").key(key).tags(&tags);
                match handle.publish_tracked(room, publication) {
                    Ok(_) => tracked += 1,
                    Err(_) => thread::yield_now(),
                }
            }
        }
    }
    tracked
}

#[test]
fn stress_filters_keys_and_reports_from_all_sides() {
    let interval = RoomOptions::new().flush_interval_ms(5);
    let limits = config()
        .shards(2)
        .room_options("slow:", interval)
        .room_options("c:", interval.conflate(true).history(100));
    let house = open(limits.close_timeout_ms(100));
    let (clients, ids): (Vec<_>, Vec<_>) = (0..12).map(|_| house.client("")).unzip();
    let (over, tracked) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || {
                while let Some(frame) = client.next_or_end() {
                    if frame.opcode == CLOSE {
                        client.close(1000, "");
                    }
                }
            });
        }
        for me in 0..3 {
            let (handle, ids, over, tracked) = (&*house.engine, &ids, &*over, &tracked);
            scope.spawn(move || {
                let taken = churn(handle, me, ids, over);
                tracked.fetch_add(taken, Ordering::Relaxed);
            });
        }
        until("enough of it", || {
            began.elapsed() > Duration::from_millis(600)
        });
        over.store(true, Ordering::Relaxed);
        let reports = || house.log.deliveries();
        until("every report", || {
            reports().len() as u64 >= tracked.load(Ordering::Relaxed).max(1)
        });
        house.engine.stop();
    });
    let mut tokens: Vec<u64> = house.log.deliveries().iter().map(|d| d.token).collect();
    assert_eq!(tokens.len() as u64, tracked.load(Ordering::Relaxed));
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len() as u64, tracked.load(Ordering::Relaxed), "once");
    let now = house.engine.snapshot();
    assert_eq!((now.rooms, now.connections), (0, 0));
    assert_eq!(
        (now.tape_bytes, now.outbox_bytes, now.history_bytes),
        (0, 0, 0)
    );
    assert_eq!(now.joins, now.leaves);
}
