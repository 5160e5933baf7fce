//! An engine without threads: the host sleeps on its descriptor and calls `turn`.
//!
//! In: a host thread with a poller of its own. Out: everything that an engine with threads does,
//! and no turns while there is nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use roomcast::{CloseReason, CommandError, Config, Engine};

use crate::client::Client;
use crate::house::{Log, Open, Told, config, open, open_with, until};

/// A descriptor, polled by its level.
struct Level {
    fd: i32,
    poll: mio::Poll,
    ready: mio::Events,
}

impl Level {
    fn new(fd: i32) -> Level {
        let poll = mio::Poll::new().unwrap();
        let mut source = mio::unix::SourceFd(&fd);
        let readable = mio::Interest::READABLE;
        poll.registry()
            .register(&mut source, mio::Token(0), readable)
            .unwrap();
        let ready = mio::Events::with_capacity(4);
        Level { fd, poll, ready }
    }

    fn sleep(&mut self, time: Option<Duration>) {
        // Registered anew each time, since mio tells edges only.
        let mut source = mio::unix::SourceFd(&self.fd);
        let readable = mio::Interest::READABLE;
        self.poll
            .registry()
            .reregister(&mut source, mio::Token(0), readable)
            .unwrap();
        self.poll.poll(&mut self.ready, time).unwrap();
    }
}

/// A host that does nothing but sleep and turn.
struct Turning {
    engine: Arc<Engine>,
    log: Arc<Log>,
    host: Option<JoinHandle<()>>,
}

fn turning(house: Open) -> Turning {
    let engine = Arc::new(house.engine);
    let turned = engine.clone();
    let host = thread::spawn(move || {
        let mut level = Level::new(turned.fd().unwrap());
        loop {
            let time = turned.next_turn();
            if time != Some(Duration::ZERO) {
                level.sleep(time);
            }
            if !turned.turn(Duration::ZERO) {
                return;
            }
        }
    });
    Turning {
        engine,
        log: house.log,
        host: Some(host),
    }
}

impl Turning {
    fn client(&self, path: &str) -> Client {
        let mut client = Client::open(self.engine.addresses()[0], path);
        client.id();
        client
    }

    /// Stops from this thread; the host's turns do the work.
    fn stop(mut self) {
        self.engine.stop();
        self.host.take().unwrap().join().unwrap();
    }
}

fn unthreaded() -> Config {
    config().own_threads(false)
}

#[test]
fn a_host_asleep_on_the_descriptor_finishes_a_large_sweep() {
    let limit = rlimit::increase_nofile_limit(16_384).unwrap_or(1024);
    let members = if limit >= 16_384 { 5_000 } else { 200 };
    let turning = turning(open(unthreaded().turn_budget_us(20)));
    let mut clients: Vec<_> = (0..members).map(|_| turning.client("/r")).collect();
    let turns = turning.engine.snapshot().turns;
    for text in ["one", "two", "three"] {
        let published = turning.engine.publish("r", text).unwrap();
        assert_eq!(published.members, members);
        for client in &mut clients {
            assert_eq!(client.text(), text);
        }
    }
    let more = turning.engine.snapshot().turns - turns;
    assert!(more > 3, "the budget cut the sweeps: {more} turns");
    drop(clients);
    until("all to go", || turning.engine.snapshot().connections == 0);
    turning.stop();
}

#[test]
fn a_host_asleep_on_the_descriptor_fires_timers() {
    let turning = turning(open(unthreaded().ping_interval_ms(40).ping_timeout_ms(80)));
    let began = Instant::now();
    let mut silent = turning.client("/r");
    let id = silent.id();
    assert_eq!(turning.log.closed(id), CloseReason::PingTimeout);
    assert!(began.elapsed() < Duration::from_secs(5));
    silent.drain();
    turning.stop();
}

#[test]
fn a_host_with_nothing_to_do_sleeps() {
    let turning = turning(open(unthreaded()));
    let mut client = turning.client("/r");
    let before = turning.engine.snapshot().turns;
    assert!(client.next_in(Duration::from_millis(300)).is_none());
    let turns = turning.engine.snapshot().turns - before;
    assert!(turns < 60, "{turns} turns while nothing happened");
    turning.engine.publish("r", "awake").unwrap();
    assert_eq!(client.text(), "awake");
    drop(client);
    turning.stop();
}

#[test]
fn a_stop_from_another_thread_waits_for_the_hosts_turns() {
    let turning = turning(open(unthreaded()));
    let clients: Vec<_> = (0..5).map(|_| turning.client("/r")).collect();
    let readers: Vec<_> = clients
        .into_iter()
        .map(|mut client| thread::spawn(move || client.closed().0))
        .collect();
    let report = turning.engine.stop();
    assert_eq!((report.connections, report.cut), (5, 0));
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 1001);
    }
    turning.stop();
}

#[test]
fn a_stop_by_the_turning_thread_itself_turns_to_the_end() {
    let house = open(unthreaded());
    let address = house.address();
    let reader = thread::spawn(move || {
        let mut client = Client::open(address, "/r");
        client.id();
        client.closed().0
    });
    let opened = || house.log.all().iter().any(|t| matches!(t, Told::Opened(_)));
    until("it to open", || {
        house.engine.turn(Duration::from_millis(1)) && opened()
    });
    assert_eq!(house.engine.stop().connections, 1);
    assert_eq!(reader.join().unwrap(), 1001);
    assert!(!house.engine.turn(Duration::ZERO), "over");
    assert_eq!(house.engine.next_turn(), None);
}

#[test]
fn turn_and_stop_inside_a_callback_do_not_turn_within_a_turn() {
    let cell: Arc<Mutex<Option<Arc<Engine>>>> = Arc::default();
    let inner = cell.clone();
    let house = open_with(unthreaded(), move |_, _| {
        if let Some(engine) = inner.lock().clone() {
            assert!(!engine.turn(Duration::ZERO));
            engine.stop();
        }
    });
    let turning = turning(house);
    *cell.lock() = Some(turning.engine.clone());
    let mut client = turning.client("/r");
    client.say("stop");
    assert_eq!(client.closed().0, 1001);
    cell.lock().take();
    turning.stop();
}

#[test]
fn asking_the_shard_on_the_turning_thread_is_an_error_and_no_deadlock() {
    let done = Arc::new(AtomicBool::new(false));
    let told = done.clone();
    let asker = thread::spawn(move || {
        let house = open(unthreaded());
        house.engine.turn(Duration::ZERO);
        assert_eq!(house.engine.connections(), Err(CommandError::OnShard));
        told.store(true, Ordering::Relaxed);
    });
    until("an answer", || {
        done.load(Ordering::Relaxed) || asker.is_finished()
    });
    asker.join().unwrap();
    // From another thread it is answered.
    let turning = turning(open(unthreaded()));
    let mut client = turning.client("/r");
    assert_eq!(turning.engine.connections().unwrap(), [client.id()]);
    drop(client);
    turning.stop();
}

#[test]
fn who_turned_before_may_ask_while_another_thread_turns() {
    let house = open(unthreaded());
    house.engine.turn(Duration::ZERO);
    let turning = turning(house);
    let mut client = turning.client("/r");
    assert_eq!(turning.engine.connections().unwrap(), [client.id()]);
    drop(client);
    turning.stop();
}

#[test]
fn a_close_before_the_end_of_the_stream_is_seen_keeps_its_place() {
    let house = open(unthreaded());
    let address = house.address();
    let (told, ready) = std::sync::mpsc::channel();
    let (closed, done) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut client = Client::open(address, "/r");
        let id = client.id();
        client.shut();
        told.send(id).unwrap();
        done.recv().unwrap();
        assert_eq!(client.text(), "before");
        assert_eq!(client.close_frame(), (4000, "bye".into()));
        client.end();
    });
    let mut id = None;
    until("it to open", || {
        // No turn while the stream may have ended: the host's calls are to come first.
        id = ready.try_recv().ok();
        if id.is_none() && house.engine.snapshot().deliveries == 0 {
            house.engine.turn(Duration::from_millis(1));
        }
        id.is_some()
    });
    let id = id.unwrap();
    house.engine.publish("r", "before").unwrap();
    house.engine.close(id, 4000, "bye").unwrap();
    house.engine.publish("r", "after").unwrap();
    closed.send(()).unwrap();
    until("it to go", || {
        house.engine.turn(Duration::from_millis(1));
        house.engine.snapshot().connections == 0
    });
    reader.join().unwrap();
    assert_eq!(house.log.closed(id), CloseReason::Host { code: 4000 });
    house.engine.stop();
}

#[test]
fn a_reader_that_leaves_in_a_burst_is_not_slow() {
    let limits = unthreaded()
        .outbox_bytes_max(64 * 1024)
        .outbox_high_bytes(32 * 1024);
    let house = open(limits.room_ahead_bytes_max(1024 * 1024));
    let address = house.address();
    let (told, ready) = std::sync::mpsc::channel();
    let reader = thread::spawn(move || {
        let mut client = Client::open(address, "/r");
        told.send(client.id()).unwrap();
        let lengths: Vec<_> = (0..60).map(|_| client.text().len()).collect();
        assert_eq!(lengths, [10_000; 60]);
        client.closed()
    });
    let mut id = None;
    until("it to open", || {
        house.engine.turn(Duration::from_millis(1));
        id = ready.try_recv().ok();
        id.is_some()
    });
    let id = id.unwrap();
    let text = "x".repeat(10_000);
    for _ in 0..60 {
        house.engine.publish("r", &text).unwrap();
    }
    house.engine.leave(id, "r").unwrap();
    assert_eq!(house.engine.publish("r", "too late").unwrap().members, 1);
    house.engine.close(id, 4000, "bye").unwrap();
    until("it to go", || {
        house.engine.turn(Duration::from_millis(1));
        house.engine.snapshot().connections == 0
    });
    assert_eq!(reader.join().unwrap(), (4000, "bye".to_string()));
    assert_eq!(house.engine.snapshot().too_slow, 0);
    house.engine.stop();
}

#[test]
fn an_engine_with_threads_of_its_own_is_not_turned_by_the_host() {
    let house = open(config());
    assert!(!house.engine.turn(Duration::ZERO));
    assert_eq!(house.engine.next_turn(), None);
    assert_eq!(house.engine.fd(), None);
    assert!(Engine::start(unthreaded().shards(2), ()).is_err());
}

#[test]
fn a_turn_that_panics_ends_the_engine_in_an_orderly_way() {
    let house = open_with(unthreaded(), |_, message| {
        assert_ne!(message.text(), Some("panic"), "as the test wants it");
    });
    let address = house.engine.addresses()[0];
    let client = thread::spawn(move || {
        let mut client = Client::open(address, "/r");
        client.id();
        client.say("panic");
        client.drain();
    });
    let until = Instant::now() + Duration::from_secs(10);
    let turns = std::panic::AssertUnwindSafe(|| {
        while house.engine.turn(Duration::from_millis(10)) {
            assert!(Instant::now() < until, "the message comes");
        }
    });
    let panic = std::panic::catch_unwind(turns).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("as the test wants it"), "{text}");
    client.join().unwrap();
    assert!(house.engine.is_broken() && house.engine.has_ended());
    assert!(!house.engine.turn(Duration::ZERO));
    assert_eq!(house.engine.stop().connections, 1);
}

#[test]
fn who_turned_before_may_stop_while_another_turns() {
    for _ in 0..200 {
        let engine = Arc::new(Engine::start(unthreaded(), ()).unwrap());
        // From here on this thread is the one that turned last, until the other one does.
        engine.turn(Duration::ZERO);
        let turned = engine.clone();
        let host = thread::spawn(move || while turned.turn(Duration::from_micros(50)) {});
        engine.stop();
        assert!(engine.has_ended(), "it was taken for a callback");
        host.join().unwrap();
    }
}
