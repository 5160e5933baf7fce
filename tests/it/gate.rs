//! What is queued at all, and until when a taken event holds its connection up.
//!
//! In: gates that answer on the shard, refuse kinds of events, or want the log. Out: the events
//! that are left, and connections that are read from or not.

use std::sync::Arc;

use roomcast::{
    Accept, CommandError, Config, ConnectionId, Engine, Event, EventKind, Events, Gate, LogLevel,
    Pending, Publication, Request,
};

use crate::client::{Client, PATIENCE};
use crate::house::{config, until};

/// Lets everybody into the room that the path names, unless it names none.
struct Door(&'static [EventKind]);

impl Gate for Door {
    fn connecting(&self, request: &Arc<Request>, pending: Pending) -> Option<Pending> {
        let room = &request.path()[1..];
        if room.is_empty() {
            return Some(pending);
        }
        pending.accept(Accept::new().room(room));
        None
    }

    fn wants(&self, kind: EventKind) -> bool {
        self.0.contains(&kind)
    }
}

fn start(config: Config, wants: &'static [EventKind]) -> (Engine, Events) {
    Engine::start_with_gate(config, Door(wants)).unwrap()
}

fn only(engine: &Engine) -> ConnectionId {
    engine.connections().unwrap()[0]
}

#[test]
fn a_gate_answers_without_the_queue_and_what_it_does_not_want_holds_nobody_up() {
    let (engine, events) = start(config().connection_events_max(1), &[]);
    let mut client = Client::open(engine.addresses()[0], "/a");
    for n in 0..1000 {
        client.say(&n.to_string());
    }
    until("all to be read", || engine.snapshot().messages_in == 1000);
    assert_eq!(engine.count("a"), 1);
    assert_eq!(engine.publish("a", "hello").unwrap().members, 1);
    assert_eq!(client.next().text(), "hello");
    assert_eq!(engine.snapshot().reads_paused, 0);
    engine.stop();
    assert!(events.is_ended(), "nothing was queued");
}

#[test]
fn what_a_gate_gives_back_is_queued() {
    let (engine, events) = start(config(), &[EventKind::Connecting]);
    let address = engine.addresses()[0];
    let client = std::thread::spawn(move || Client::open(address, "/"));
    match events.recv_timeout(PATIENCE) {
        Ok(Some(Event::Connecting { pending, .. })) => pending.accept(Accept::new()),
        other => panic!("{other:?}"),
    }
    client.join().unwrap();
}

#[test]
fn held_events_hold_their_connection_up_until_they_are_released() {
    let (engine, events) = start(config().connection_events_max(4), &[EventKind::Message]);
    let mut client = Client::open(engine.addresses()[0], "/a");
    let mut held = Vec::new();
    let mut sent = 0;
    // Each read ends before the next message is sent, so the bound is met exactly.
    while sent < 4 {
        client.say(&sent.to_string());
        sent += 1;
        until("it to come", || events.drain_held(9, &mut held) > 0);
    }
    client.say("4");
    until("reading to pause", || engine.snapshot().reads_paused > 0);
    assert_eq!(events.drain_held(9, &mut held), 0);
    assert_eq!(engine.snapshot().messages_in, 4);
    for event in held.drain(..2) {
        let Event::Message { peer, .. } = event else {
            panic!("{event:?}");
        };
        events.release(&peer);
    }
    until("the rest to come", || events.drain_held(9, &mut held) > 0);
    assert_eq!(held.last().unwrap().message().unwrap().text(), Some("4"));
}

#[test]
fn the_log_comes_as_events_where_it_is_wanted() {
    let wants = &[EventKind::Log, EventKind::Opened];
    let (engine, events) = start(config().room_name_bytes_max(3), wants);
    let _client = Client::open(engine.addresses()[0], "/long");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.push(events.recv_timeout(PATIENCE).unwrap().unwrap());
    }
    let line = seen.iter().find_map(|event| match event {
        Event::Log { level, text } => Some((*level, text.as_str())),
        _ => None,
    });
    let (level, text) = line.expect("a line");
    assert_eq!(level, LogLevel::Warn);
    assert!(text.contains("room_name_bytes_max"), "{text}");
}

#[test]
fn the_log_goes_to_the_function_in_the_config() {
    let (tell, told) = std::sync::mpsc::channel();
    let config = config().room_name_bytes_max(3).log(move |level, text| {
        tell.send((level, text.to_owned())).unwrap();
    });
    let engine = Engine::start(config, Everywhere).unwrap();
    let _client = Client::open(engine.addresses()[0], "/");
    let (level, text) = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(level, LogLevel::Warn);
    assert!(text.contains("a room was left out"), "{text}");
}

struct Everywhere;

impl roomcast::Handler for Everywhere {
    fn connecting(&self, _: &Request, pending: Pending) {
        pending.accept(Accept::new().room("long"));
    }
}

#[test]
fn the_rooms_of_a_connection_are_those_that_its_shard_knows() {
    let (engine, _events) = start(config().shards(2), &[]);
    let mut client = Client::open(engine.addresses()[0], "/a");
    let id = only(&engine);
    engine.join(id, "b").unwrap();
    engine.join(id, "c").unwrap();
    engine.leave(id, "a").unwrap();
    let mut rooms = engine.rooms_of(id).unwrap();
    rooms.sort();
    assert_eq!(rooms, ["b", "c"]);
    assert_eq!(
        engine.rooms_of(ConnectionId::from_u64(u64::MAX)),
        Err(CommandError::Gone)
    );
    engine.close(id, 1000, "").unwrap();
    client.closed();
    until("it to be gone", || engine.rooms_of(id) == Ok(Vec::new()));
    let everybody = Publication::text("x").except(&[]);
    assert_eq!(engine.publish("b", everybody).unwrap().members, 0);
}
