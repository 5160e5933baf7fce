//! The pull side: every way to take events, and what happens to peers while none are taken.
//!
//! In: events taken by blocking, with a timeout, in batches, by a future on an executor made here,
//! and by a poller on the descriptor. Out: the same events in order, and their end.

use std::future::Future;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use roomcast::{Accept, CloseReason, Config, ConnectionId, Engine, Event, Events, TimedOut};

use crate::client::{Client, PATIENCE, TEXT, masked, upgrade};
use crate::house::{config, ended, until};

fn start(config: Config) -> (Engine, Events) {
    Engine::start_with_events(config).unwrap()
}

/// Lets one client in, and takes its two events.
fn enter(engine: &Engine, events: &Events) -> (Client, ConnectionId) {
    let mut client = Client::bare(engine.addresses()[0]);
    client.write(upgrade("/", &[]).as_bytes());
    let id = loop {
        match events.recv_timeout(PATIENCE).unwrap().unwrap() {
            Event::Connecting { pending, .. } => pending.accept(Accept::new()),
            Event::Opened { peer } => break peer.id(),
            other => panic!("{other:?}"),
        }
    };
    (client.upgraded().unwrap().0, id)
}

fn text(event: &Event) -> &str {
    event.message().unwrap().text().unwrap()
}

#[test]
fn recv_waits_for_events_and_ends_after_stop() {
    let (engine, events) = start(config().shards(2));
    let (mut client, id) = enter(&engine, &events);
    let empty = events.recv_timeout(Duration::from_millis(20));
    assert_eq!(empty.err(), Some(TimedOut));
    thread::scope(|scope| {
        let taken = scope.spawn(|| {
            let mut all = Vec::new();
            while let Some(event) = events.recv() {
                all.push(event);
            }
            all
        });
        for n in 0..100 {
            client.say(&n.to_string());
        }
        until("all to arrive", || engine.snapshot().messages_in == 100);
        let reader = scope.spawn(move || client.closed().0);
        engine.stop();
        assert_eq!(reader.join().unwrap(), 1001);
        let all = taken.join().unwrap();
        for (n, event) in all[..100].iter().enumerate() {
            assert_eq!(text(event), n.to_string());
        }
        let last = |e: &Event| match e {
            Event::Closed { peer, reason } => peer.id() == id && *reason == CloseReason::Stopping,
            _ => false,
        };
        assert!(all.len() == 101 && last(&all[100]));
    });
    assert!(events.is_ended());
    assert!(events.recv().is_none());
    assert!(matches!(events.recv_timeout(PATIENCE), Ok(None)));
}

#[test]
fn drain_takes_what_is_there_and_no_more_than_asked() {
    let (engine, events) = start(config());
    let mut batch = Vec::new();
    assert_eq!(events.drain(10, &mut batch), 0);
    let (mut client, _) = enter(&engine, &events);
    for n in 0..30 {
        client.say(&n.to_string());
    }
    until("all to arrive", || engine.snapshot().messages_in == 30);
    assert_eq!(events.drain(20, &mut batch), 20);
    assert_eq!(events.drain(20, &mut batch), 10);
    assert_eq!(events.drain(20, &mut batch), 0);
    for (n, event) in batch.iter().enumerate() {
        assert_eq!(text(event), n.to_string());
    }
}

/// An executor of one future: parks its thread until it is woken.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let until = Instant::now() + PATIENCE;
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park_timeout(PATIENCE),
        }
        assert!(Instant::now() < until, "woken in time");
    }
}

#[test]
fn next_works_on_any_executor() {
    let (engine, events) = start(config().shards(2));
    let (mut client, _) = enter(&engine, &events);
    thread::scope(|scope| {
        let taken = scope.spawn(|| {
            block_on(async {
                let mut all = Vec::new();
                while let Some(event) = events.next().await {
                    all.push(event);
                }
                all
            })
        });
        for n in 0..50 {
            client.say(&n.to_string());
        }
        until("all to arrive", || engine.snapshot().messages_in == 50);
        drop(client);
        until("it to go", || engine.snapshot().connections == 0);
        engine.stop();
        let all = taken.join().unwrap();
        assert_eq!(all.len(), 51);
        assert!((0..50).all(|n| text(&all[n]) == n.to_string()));
    });
}

#[test]
fn a_future_given_up_takes_no_event_with_it() {
    let (engine, events) = start(config());
    let (mut client, _) = enter(&engine, &events);
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut given_up = pin!(events.next());
        assert!(given_up.as_mut().poll(&mut context).is_pending());
    }
    client.say("for the next");
    let event = block_on(events.next()).unwrap();
    assert_eq!(text(&event), "for the next");
}

#[test]
fn several_takers_share_the_events() {
    let (engine, events) = start(config());
    let (mut client, _) = enter(&engine, &events);
    let sum = AtomicU64::new(0);
    thread::scope(|scope| {
        for taker in 0..4 {
            let (events, sum) = (&events, &sum);
            scope.spawn(move || {
                let next = || match taker % 2 {
                    0 => events.recv(),
                    _ => block_on(events.next()),
                };
                while let Some(event) = next() {
                    if let Event::Message { .. } = event {
                        sum.fetch_add(text(&event).parse().unwrap(), Ordering::Relaxed);
                    }
                }
            });
        }
        for n in 1..=200 {
            client.say(&n.to_string());
        }
        until("all to be taken", || {
            sum.load(Ordering::Relaxed) == 200 * 201 / 2
        });
        drop(client);
        engine.stop();
    });
}

#[test]
fn the_descriptor_is_readable_exactly_while_events_wait() {
    let (engine, events) = start(config());
    let mut poll = mio::Poll::new().unwrap();
    let fd = events.as_raw_fd();
    let mut source = mio::unix::SourceFd(&fd);
    let readable = mio::Interest::READABLE;
    poll.registry()
        .register(&mut source, mio::Token(0), readable)
        .unwrap();
    let mut ready = mio::Events::with_capacity(4);
    // Registered anew each time, since mio tells edges only.
    let mut is_readable = |timeout| {
        let mut source = mio::unix::SourceFd(&fd);
        poll.registry()
            .reregister(&mut source, mio::Token(0), readable)
            .unwrap();
        poll.poll(&mut ready, Some(timeout)).unwrap();
        !ready.is_empty()
    };
    let short = Duration::from_millis(10);
    assert!(!is_readable(short));
    let (mut client, _) = enter(&engine, &events);
    assert!(!is_readable(short), "all taken");
    let mut batch = Vec::new();
    for round in 0..20 {
        client.say("a");
        client.say("b");
        assert!(is_readable(PATIENCE), "round {round}");
        until("both to arrive", || {
            engine.snapshot().messages_in == 2 * round + 2
        });
        assert_eq!(events.drain(1, &mut batch), 1);
        assert!(is_readable(short), "one is left");
        assert_eq!(events.drain(9, &mut batch), 1);
        assert!(!is_readable(short), "none is left");
    }
    drop(client);
    assert!(is_readable(PATIENCE));
    assert!(matches!(events.recv(), Some(Event::Closed { .. })));
    engine.stop();
    assert!(is_readable(PATIENCE), "the end");
    assert!(events.recv().is_none());
    assert!(is_readable(short), "the end stays");
}

/// Floods until the engine reads no more of it, and gives the bytes of one message.
fn flood(client: &mut Client) {
    let message = masked(TEXT, &[b'x'; 1000]);
    let mut sent = 0;
    while client.write_until_stuck(&message, Duration::from_millis(300)) {
        sent += message.len();
        assert!(sent < 64 << 20, "64 MiB and still read from");
    }
}

#[test]
fn a_peer_whose_events_are_not_taken_is_not_read_from_and_others_are() {
    let (engine, events) = start(config().shards(1).connection_events_max(16));
    let (mut flooder, loud) = enter(&engine, &events);
    let (mut other, quiet) = enter(&engine, &events);
    flood(&mut flooder);
    let held = engine.snapshot().messages_in;
    assert!(held < 500, "one read beyond the limit at most: {held}");
    other.say("heard all the same");
    until("it to be read", || {
        engine.snapshot().messages_in == held + 1
    });
    // Taken, they let it be read again, and none is lost.
    let mut batch = Vec::new();
    let mut heard = (0, 0);
    until("all to come", || {
        events.drain(100, &mut batch);
        for event in batch.drain(..) {
            match event {
                Event::Message { peer, data, .. } if peer.id() == loud => {
                    assert_eq!(data.len(), 1000);
                    heard.0 += 1;
                }
                Event::Message { peer, .. } if peer.id() == quiet => heard.1 += 1,
                other => panic!("{other:?}"),
            }
        }
        heard.0 > held + 2_000
    });
    assert_eq!(heard.1, 1);
}

#[test]
fn a_crowded_queue_leaves_each_peer_one_event() {
    let limits = config().shards(1).events_max(8).connection_events_max(1000);
    let (engine, events) = start(limits);
    let mut clients: Vec<_> = (0..4).map(|_| enter(&engine, &events).0).collect();
    let (mut late, id) = enter(&engine, &events);
    for client in &mut clients {
        flood(client);
    }
    late.say("still served");
    let held = engine.snapshot().messages_in;
    assert!(held < 4 * 200, "{held}");
    let mut batch = Vec::new();
    until("the late one to be heard", || {
        events.drain(1, &mut batch);
        batch
            .drain(..)
            .any(|e| matches!(&e, Event::Message { peer, .. } if peer.id() == id))
    });
}

#[test]
fn peers_that_come_and_go_do_not_fill_the_queue() {
    let (engine, events) = start(config().shards(1).events_max(8));
    for _ in 0..50 {
        let mut client = Client::bare(engine.addresses()[0]);
        client.write(upgrade("/", &[]).as_bytes());
        let _ = client.next_byte_in(Duration::from_millis(5));
    }
    until("the others to be refused", || {
        engine.snapshot().rejected_http >= 42
    });
    let mut waiting = Vec::new();
    assert_eq!(events.drain(100, &mut waiting), 8);
    drop(waiting);
    enter(&engine, &events);
}

#[test]
fn a_peer_that_waits_for_the_host_is_neither_idle_nor_dead() {
    let limits = config().shards(1).connection_events_max(4);
    let limits = limits.ping_interval_ms(40).ping_timeout_ms(60);
    let (engine, events) = start(limits.idle_timeout_ms(400));
    let (mut client, id) = enter(&engine, &events);
    flood(&mut client);
    let began = Instant::now();
    until("time to pass", || {
        began.elapsed() > Duration::from_millis(600)
    });
    assert_eq!(ended(&engine, "ping_timeout"), 0, "it was not read from");
    assert_eq!(ended(&engine, "idle_timeout"), 0, "it was not read from");
    assert!(engine.connections().unwrap().contains(&id));
}

#[test]
fn a_dropped_receiver_does_not_hold_up_a_stop() {
    let (engine, events) = start(config());
    let (mut client, _) = enter(&engine, &events);
    drop(events);
    client.say("nobody listens");
    let reader = thread::spawn(move || client.drain());
    assert_eq!(engine.stop().connections, 1);
    reader.join().unwrap();
}

#[test]
fn waiting_takes_nothing() {
    let (engine, events) = start(config());
    assert!(!events.wait(Duration::from_millis(20)));
    let mut client = Client::bare(engine.addresses()[0]);
    client.write(upgrade("/", &[]).as_bytes());
    assert!(events.wait(PATIENCE) && events.wait(Duration::ZERO));
    let mut taken = Vec::new();
    assert_eq!(events.drain(10, &mut taken), 1);
    engine.begin_stop();
    drop(taken);
    assert!(events.wait(Duration::MAX), "the end can be taken");
}
