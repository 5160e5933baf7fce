//! Starting and stopping: several engines, unix sockets, stops from everywhere, in bounded time.
//!
//! In: engines with well-behaved and with stubborn peers. Out: 1001 for everybody, a report that
//! counts, and no thread that waits for ever.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use roomcast::{
    CloseReason, CommandError, Config, ConnectionId, Engine, Handle, Handler, Pending, Refused,
    Request, StartError,
};

use crate::client::{Client, PATIENCE, Wire, upgrade};
use crate::house::{config, open, open_with, until};

#[test]
fn stop_tells_every_peer_within_the_spread_and_counts_them() {
    let spread = Duration::from_millis(400);
    let house = open(config().shards(2).stop_spread_ms(400));
    let clients: Vec<_> = (0..80).map(|_| house.client("r")).collect();
    let ids: Vec<_> = clients.iter().map(|c| c.1).collect();
    house.engine.publish("r", "owed").unwrap();
    let began = Instant::now();
    let readers: Vec<_> = clients
        .into_iter()
        .map(|(mut client, _)| {
            thread::spawn(move || {
                assert_eq!(client.text(), "owed");
                let closed = client.close_frame();
                let after = began.elapsed();
                client.close(closed.0, "");
                client.end();
                (closed.0, after)
            })
        })
        .collect();
    let report = house.engine.stop();
    let took = began.elapsed();
    let seen: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    assert!(seen.iter().all(|s| s.0 == 1001));
    let early = seen.iter().filter(|s| s.1 < spread / 2).count();
    assert!(
        (10..=70).contains(&early),
        "spread out: {early} of 80 in the first half"
    );
    assert_eq!((report.connections, report.cut), (80, 0));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(report.took_ms >= 390 && u128::from(report.took_ms) <= took.as_millis() + 1);
    for id in ids {
        assert_eq!(house.log.closed(id), CloseReason::Stopping);
    }
    assert!(
        std::net::TcpStream::connect(house.address()).is_err(),
        "closed"
    );
}

#[test]
fn stopping_with_few_peers_waits_for_no_spread() {
    let house = open(config().stop_spread_ms(60_000).stop_timeout_ms(200_000));
    let (mut client, _) = house.client("r");
    let began = Instant::now();
    let reader = thread::spawn(move || {
        let code = client.close_frame().0;
        client.close(code, "");
        client.end();
    });
    assert_eq!(house.engine.stop_within(PATIENCE).connections, 1);
    assert!(began.elapsed() < Duration::from_secs(10));
    reader.join().unwrap();
}

#[test]
fn stop_is_bounded_with_a_peer_that_never_reads() {
    let limits = config().close_timeout_ms(60_000).stop_timeout_ms(400);
    let house = open(limits.tape_bytes_max(16 << 20));
    let (_stubborn, id) = house.client("r");
    let (mut polite, _) = house.client("r");
    let text = "x".repeat(1 << 20);
    let reader = thread::spawn(move || polite.closed().0);
    for _ in 0..12 {
        while house.engine.publish("r", &text).is_err() {
            thread::yield_now();
        }
    }
    let began = Instant::now();
    let report = house.engine.stop();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    assert_eq!((report.connections, report.cut), (2, 1));
    assert_eq!(reader.join().unwrap(), 1001);
    assert_eq!(house.log.closed(id), CloseReason::Stopping);
}

#[test]
fn stop_does_not_wait_for_handshakes_and_verdicts() {
    let (engine, events) = Engine::start_with_events(config()).unwrap();
    let address = engine.addresses()[0];
    let bare = Client::bare(address);
    let mut deciding = Client::bare(address);
    deciding.write(upgrade("/", &[]).as_bytes());
    let connecting = events.recv().unwrap();
    until("both", || engine.snapshot().connections == 2);
    let began = Instant::now();
    let report = engine.stop();
    assert!(began.elapsed() < Duration::from_secs(4));
    assert_eq!(report.connections, 2);
    assert_eq!(bare.response().status, 503);
    assert_eq!(deciding.response().status, 503);
    drop(connecting);
    assert!(events.recv().is_none());
}

#[test]
fn stopping_twice_and_from_many_threads_is_stopping_once() {
    let house = open(config().shards(2));
    let (mut client, _) = house.client("r");
    let reader = thread::spawn(move || client.closed().0);
    thread::scope(|scope| {
        let stops: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| house.engine.stop()))
            .collect();
        for stop in stops {
            assert_eq!(stop.join().unwrap().connections, 1);
        }
    });
    assert_eq!(house.engine.stop().connections, 1);
    assert_eq!(reader.join().unwrap(), 1001);
}

#[test]
fn stop_inside_a_callback_returns_and_the_engine_ends() {
    let cell: Arc<Mutex<Option<Arc<Engine>>>> = Arc::default();
    let inner = cell.clone();
    let house = open_with(config().shards(2), move |_, message| {
        let engine = inner.lock().clone();
        if let (Some(engine), Some("stop")) = (engine, message.text()) {
            engine.stop();
        }
    });
    let address = house.address();
    let (mut client, _) = house.client("r");
    let (mut other, _) = house.client("r");
    let engine = Arc::new(house.engine);
    *cell.lock() = Some(engine.clone());
    client.say("stop");
    assert_eq!(client.closed().0, 1001);
    assert_eq!(other.closed().0, 1001);
    cell.lock().take();
    let report = engine.stop();
    assert_eq!((report.connections, report.cut), (2, 0));
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_callback_that_panics_stops_the_engine_in_an_orderly_way() {
    let house = open_with(config().shards(2), |_, message| {
        assert_ne!(message.text(), Some("panic"), "as the test wants it");
    });
    let (mut client, id) = house.client("r");
    let (mut other, other_id) = house.client("r");
    client.say("panic");
    // On the shard of the panic sockets are cut; on the other one peers are told.
    client.drain();
    other.drain();
    for id in [id, other_id] {
        assert_eq!(house.log.closed(id), CloseReason::Stopping);
    }
    assert_eq!(house.engine.publish("r", "x"), Err(Refused::Stopped));
    assert!(house.engine.is_broken());
    assert_eq!(house.engine.stop().connections, 2);
    assert!(house.engine.rooms().is_empty() && house.engine.has_ended());
}

#[test]
fn a_log_function_may_stop_the_engine_and_ask_it() {
    let cell: Arc<Mutex<Option<Arc<Engine>>>> = Arc::default();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let (inner, told) = (cell.clone(), lines.clone());
    let log = move |_, line: &str| {
        let engine = inner.lock().clone();
        if let Some(engine) = engine {
            // Each of these may log itself, which is not told.
            engine.stop();
            let _ = engine.connections();
            told.lock().push(line.to_owned());
        }
    };
    let house = open(config().shards(2).log(log));
    let engine = Arc::new(house.engine);
    *cell.lock() = Some(engine.clone());
    let path = format!("/{}", "r".repeat(300));
    let mut client = Client::open(engine.addresses()[0], &path);
    client.drain();
    engine.stop();
    assert!(engine.has_ended() && !engine.is_broken());
    let lines = lines.lock();
    assert!(
        lines.len() == 1 && lines[0].contains("left out"),
        "{lines:?}"
    );
    cell.lock().take();
}

#[test]
fn whether_a_connection_is_there_is_known_at_once() {
    let house = open(config().shards(2));
    let (mut client, id) = house.client("r");
    let (_other, other_id) = house.client("r");
    assert!(house.engine.is_open(id) && house.engine.is_open(other_id));
    assert!(!house.engine.is_broken() && !house.engine.has_ended());
    client.close(1000, "");
    house.log.closed(id);
    assert!(!house.engine.is_open(id) && house.engine.is_open(other_id));
    // The slot's next owner is somebody else.
    let (_third, third_id) = house.client("r");
    assert!(!house.engine.is_open(id) && house.engine.is_open(third_id));
    for nobody in [0, u64::MAX, id.as_u64() | 0xff_ffff] {
        assert!(!house.engine.is_open(ConnectionId::from_u64(nobody)));
    }
    house.engine.stop();
    assert!(!house.engine.is_open(other_id));
}

#[test]
fn dropping_the_engine_inside_a_callback_is_safe() {
    let cell: Arc<Mutex<Option<Engine>>> = Arc::default();
    let inner = cell.clone();
    let house = open_with(config().shards(2), move |_, _| {
        let engine = inner.lock().take();
        drop(engine);
    });
    let (mut client, _) = house.client("r");
    let handle = house.engine.handle();
    *cell.lock() = Some(house.engine);
    client.say("drop");
    assert_eq!(client.closed().0, 1001);
    assert!(handle.is_stopping());
    assert_eq!(handle.publish("r", "x"), Err(Refused::Stopped));
}

#[test]
fn dropping_the_engine_while_others_publish_is_safe() {
    for _ in 0..5 {
        let house = open(config().shards(2));
        let (mut client, id) = house.client("r");
        let publishers: Vec<_> = (0..3)
            .map(|_| {
                let handle: Handle = house.engine.handle();
                thread::spawn(move || {
                    let mut taken = 0u64;
                    loop {
                        match handle.publish("r", "x") {
                            Ok(_) => taken += 1,
                            Err(Refused::Stopped) => return taken,
                            Err(_) => thread::yield_now(),
                        }
                        let _ = handle.join(id, "s");
                        let _ = handle.send_all("y");
                    }
                })
            })
            .collect();
        let reader = thread::spawn(move || client.drain());
        drop(house);
        for publisher in publishers {
            publisher.join().unwrap();
        }
        reader.join().unwrap();
    }
}

#[test]
fn engines_in_one_process_do_not_know_each_other() {
    let houses: Vec<_> = (0..4).map(|_| open(config().shards(2))).collect();
    let mut clients: Vec<_> = houses.iter().map(|h| h.client("r").0).collect();
    for (n, house) in houses.iter().enumerate() {
        let published = house.engine.publish("r", n.to_string().as_str()).unwrap();
        assert_eq!(published.members, 1);
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.text(), n.to_string());
    }
    houses[0].engine.stop();
    houses[1].engine.publish("r", "still").unwrap();
    assert_eq!(clients[1].text(), "still");
    assert_eq!(houses[1].engine.snapshot().connections, 1);
}

#[test]
fn engines_start_and_stop_many_times() {
    for _ in 0..30 {
        let engine = Engine::start(config().shards(2), ()).unwrap();
        drop(Client::open(engine.addresses()[0], "/"));
        assert!(engine.stop().connections <= 1);
    }
}

#[test]
fn an_address_in_use_is_an_error_of_start_that_says_so() {
    let house = open(config());
    let address = house.address().to_string();
    let error = Engine::start(Config::new().listen(&address), ()).unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    let text = error.to_string();
    assert!(
        text.contains(&address) && text.contains("reuse_port"),
        "{text}"
    );
    let error = Engine::start(config().turn_budget_us(0), ()).unwrap_err();
    assert!(error.to_string().contains("turn_budget_us"), "{error}");
}

/// A path for a socket that no other test uses, and that is short enough for one.
fn socket_path(name: &str) -> std::path::PathBuf {
    let mut path = std::env::temp_dir();
    path.push(format!("roomcast-it-{}-{name}", std::process::id()));
    path
}

#[test]
fn a_unix_listener_replaces_a_stale_file_and_removes_its_own() {
    let path = socket_path("stale");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "std leaves the file behind: stale");
    let both = config().listen_unix(&path);
    let house = open(both);
    let mut client = Client::unix(&path);
    client.write(upgrade("/r?user=unix", &[]).as_bytes());
    let (mut client, _) = client.upgraded().unwrap();
    client.id();
    let (mut tcp, _) = house.client("r");
    let large = "x".repeat(500_000);
    house.engine.publish("r", &large).unwrap();
    assert!(client.text() == large && tcp.text() == large);
    house.engine.send_user("unix", "yours").unwrap();
    assert_eq!(client.text(), "yours");
    let reader = thread::spawn(move || client.closed().0);
    drop(tcp);
    house.engine.stop();
    assert_eq!(reader.join().unwrap(), 1001);
    assert!(!path.exists(), "removed");
}

#[test]
fn a_unix_socket_in_use_is_not_taken_away() {
    let path = socket_path("used");
    let first = Engine::start(Config::new().listen_unix(&path), ()).unwrap();
    let second = Engine::start(Config::new().listen_unix(&path), ());
    assert!(matches!(second, Err(StartError::Listen { .. })));
    assert!(path.exists());
    let mut client = Client::unix(&path);
    client.write(upgrade("/", &[]).as_bytes());
    assert!(client.upgraded().is_ok());
    drop(first);
    assert!(!path.exists());
    std::fs::write(&path, "not a socket").unwrap();
    let third = Engine::start(Config::new().listen_unix(&path), ());
    assert!(third.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a socket");
    std::fs::remove_file(&path).unwrap();
}

/// Asks its shards in the very first callback.
struct Hasty(Arc<Mutex<Vec<Result<usize, CommandError>>>>);

impl Handler for Hasty {
    fn connecting(&self, _: &Request, pending: Pending) {
        let all = pending.handle().connections().map(|all| all.len());
        self.0.lock().push(all);
    }
}

#[test]
fn the_first_callback_already_knows_that_it_is_on_a_shard() {
    let path = socket_path("hasty");
    for round in 1..=40 {
        let answers = Arc::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                // Comes in as soon as the socket is there, before `start` has returned.
                let mut client = None;
                until("the socket", || {
                    client = UnixStream::connect(&path).ok();
                    client.is_some()
                });
                let mut client = Client::on(Wire::Unix(client.unwrap()));
                client.write(upgrade("/", &[]).as_bytes());
                assert!(client.upgraded().is_err());
            });
            let config = Config::new().listen_unix(&path).shards(2);
            let engine = Engine::start(config, Hasty(Arc::clone(&answers))).unwrap();
            until("an answer", || !answers.lock().is_empty());
            assert_eq!(*answers.lock(), [Err(CommandError::OnShard)], "{round}");
            engine.stop();
        });
    }
}

/// Dropped with the engine, not before and not never.
struct Dropped {
    _token: Arc<()>,
}

impl Handler for Dropped {}

#[test]
fn a_stopped_and_dropped_engine_drops_its_handler() {
    let token = Arc::new(());
    let engine = Engine::start(
        config().shards(2),
        Dropped {
            _token: token.clone(),
        },
    )
    .unwrap();
    let handle = engine.handle();
    assert_eq!(Arc::strong_count(&token), 2);
    drop(engine);
    until("the handler to go", || Arc::strong_count(&token) == 1);
    drop(handle);
}

#[test]
fn those_who_are_cut_are_counted_once() {
    let house = open(config().shards(1).stop_timeout_ms(200));
    let clients: Vec<_> = (0..200).map(|_| house.client("r")).collect();
    let report = house.engine.stop();
    assert_eq!((report.connections, report.cut), (200, 200));
    drop(clients);
}
