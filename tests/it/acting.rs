//! What a host may do where it is told of a slow member or of a publication's fate: publish, close,
//! stop, and drop the engine while reports are under way.
//!
//! In: hosts that act in these callbacks. Out: what was asked for there is done, in order, and no
//! shard waits for itself.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::thread;

use parking_lot::Mutex;
use roomcast::{
    Accept, CloseReason, Config, Connection, ConnectionId, Delivery, Engine, Handle, Handler,
    Missed, Pending, Request, SlowPolicy,
};

use crate::client::Client;
use crate::house::{config, until};

const PIECE: usize = 16 * 1024;

/// What the host was told, and the engine, so that it can be stopped from a callback.
#[derive(Default)]
struct State {
    engine: Mutex<Option<Engine>>,
    handle: OnceLock<(Handle, SocketAddr)>,
    reports: Mutex<Vec<Delivery>>,
    missed: Mutex<u64>,
    closed: Mutex<Vec<CloseReason>>,
}

type OnReport = fn(&State, &Handle, &Delivery);
type OnLag = fn(&State, ConnectionId, &Handle);

struct Acting {
    state: Arc<State>,
    on_report: OnReport,
    on_lag: OnLag,
}

impl Handler for Acting {
    fn connecting(&self, request: &Request, pending: Pending) {
        pending.accept(Accept::new().room(request.path()));
    }

    fn opened(&self, connection: Connection<'_>) {
        let _ = connection.send(&format!("id:{}", connection.id().as_u64()));
    }

    fn lagged(&self, connection: Connection<'_>, _: &str, missed: Missed) {
        *self.state.missed.lock() += missed.count;
        (self.on_lag)(&self.state, connection.id(), connection.handle());
    }

    fn delivered(&self, handle: &Handle, _: &str, delivery: Delivery) {
        self.state.reports.lock().push(delivery);
        (self.on_report)(&self.state, handle, &delivery);
    }

    fn closed(&self, _: Connection<'_>, reason: &CloseReason) {
        self.state.closed.lock().push(reason.clone());
    }
}

fn start(config: Config, on_report: OnReport, on_lag: OnLag) -> Arc<State> {
    let state = Arc::new(State::default());
    let acting = Acting {
        state: state.clone(),
        on_report,
        on_lag,
    };
    let engine = Engine::start(config, acting).unwrap();
    let of = ((*engine).clone(), engine.addresses()[0]);
    assert!(state.handle.set(of).is_ok());
    *state.engine.lock() = Some(engine);
    state
}

impl State {
    fn handle(&self) -> &Handle {
        &self.handle.get().expect("it was started").0
    }

    fn stop(&self) {
        let engine = self.engine.lock();
        let engine = engine.as_ref().expect("it was not dropped");
        engine.stop();
    }

    fn drop_engine(&self) {
        let engine = self.engine.lock().take();
        drop(engine);
    }

    fn client(&self, path: &str) -> (Client, ConnectionId) {
        let mut client = Client::open(self.handle.get().expect("it was started").1, path);
        let id = client.id();
        (client, id)
    }

    /// Publishes to `/r`, where somebody does not read, until the condition holds.
    fn flood(&self, fast: &mut Client, mut enough: impl FnMut() -> bool) {
        let text = "x".repeat(PIECE);
        for n in 0.. {
            assert!(n < 4_000, "64 MiB and nobody is slow");
            if enough() {
                return;
            }
            if self.handle().publish("/r", &text).is_ok() {
                assert_eq!(fast.text().len(), PIECE);
            }
        }
    }
}

fn tight() -> Config {
    config()
        .shards(1)
        .slow_policy(SlowPolicy::Skip)
        .tape_bytes_max(512 * 1024)
        .publication_bytes_max(64 * 1024)
        .room_ahead_bytes_max(256 * 1024)
}

#[test]
fn a_report_may_be_answered_with_the_next_publication() {
    let again: OnReport = |_, handle, told| {
        if told.offset.is_some() {
            let _ = handle.publish_tracked("/r", "next");
            let _ = handle.publish_tracked("nowhere", "also");
        }
    };
    let state = start(config().shards(2).close_timeout_ms(20), again, |_, _, _| ());
    let (mut client, _) = state.client("/r");
    state.handle().publish_tracked("/r", "first").unwrap();
    assert_eq!(client.text(), "first");
    (0..200).for_each(|_| assert_eq!(client.text(), "next"));
    state.stop();
    let mut tokens: Vec<u64> = state.reports.lock().iter().map(|told| told.token).collect();
    tokens.sort_unstable();
    assert!(
        tokens.windows(2).all(|two| two[0] < two[1]),
        "one report for each"
    );
    assert!(tokens.len() >= 400);
}

#[test]
fn publishing_where_somebody_lags_reaches_all_others_in_order() {
    let state = start(
        tight(),
        |_, _, _| (),
        |_, id, handle| {
            let _ = handle.publish("/told", &format!("{id} lags"));
            let _ = handle.send(id, "you lag");
        },
    );
    let (mut slow, id) = state.client("/r");
    let (mut fast, _) = state.client("/r");
    let (mut host, _) = state.client("/told");
    state.flood(&mut fast, || *state.missed.lock() > 0);
    assert_eq!(host.text(), format!("{id} lags"));
    until("it to be told itself", || slow.text() == "you lag");
}

#[test]
fn who_lags_may_be_closed_at_once() {
    let state = start(
        tight().close_timeout_ms(20_000),
        |_, _, _| (),
        |_, id, handle| {
            let _ = handle.close(id, 4_001, "come back");
        },
    );
    let (mut slow, _) = state.client("/r");
    let (mut fast, _) = state.client("/r");
    state.flood(&mut fast, || state.handle().count("/r") == 1);
    assert_eq!(slow.closed(), (4_001, "come back".to_string()));
    until("it to be told", || state.closed.lock().len() == 1);
    assert_eq!(*state.closed.lock(), [CloseReason::Host { code: 4_001 }]);
}

#[test]
fn stopping_in_a_report_is_safe() {
    let state = start(config().shards(2), |state, _, _| state.stop(), |_, _, _| ());
    let (mut client, _) = state.client("/r");
    state.handle().publish_tracked("/r", "last").unwrap();
    assert_eq!(client.text(), "last");
    assert_eq!(client.closed().0, 1001);
    until("it to stop", || state.handle().has_ended());
    assert_eq!(state.reports.lock().len(), 1);
}

#[test]
fn stopping_where_somebody_lags_is_safe() {
    let stop: OnLag = |state, _, _| state.stop();
    let state = start(tight().stop_timeout_ms(500), |_, _, _| (), stop);
    let (_slow, _) = state.client("/r");
    let (mut fast, _) = state.client("/r");
    let text = "x".repeat(PIECE);
    thread::scope(|scope| {
        scope.spawn(move || fast.drain());
        until("it to stop", || {
            let _ = state.handle().publish("/r", &text);
            state.handle().has_ended()
        });
    });
    assert!(*state.missed.lock() > 0);
    assert_eq!(state.closed.lock().len(), 2);
}

#[test]
fn an_engine_may_be_dropped_while_reports_are_under_way() {
    let again: OnReport = |_, handle, _| {
        let _ = handle.publish_tracked("/r", "again");
    };
    for _ in 0..20 {
        let state = start(config().shards(2).close_timeout_ms(20), again, |_, _, _| ());
        let clients: Vec<_> = (0..4).map(|_| state.client("/r")).collect();
        for _ in 0..50 {
            state.handle().publish_tracked("/r", "one").unwrap();
        }
        until("reports to come", || state.reports.lock().len() > 10);
        state.drop_engine();
        let told = state.reports.lock().len();
        drop(clients);
        assert!(state.handle().has_ended());
        assert_eq!(
            state.reports.lock().len(),
            told,
            "nothing is told behind the end"
        );
    }
}

#[test]
fn an_engine_may_be_dropped_in_a_report_and_where_somebody_lags() {
    let state = start(
        config().shards(2),
        |state, _, _| state.drop_engine(),
        |_, _, _| (),
    );
    let (mut client, _) = state.client("/r");
    state.handle().publish_tracked("/r", "last").unwrap();
    assert_eq!(client.text(), "last");
    client.closed();
    until("it to end", || state.handle().has_ended());
    let drops: OnLag = |state, _, _| state.drop_engine();
    let state = start(tight().stop_timeout_ms(500), |_, _, _| (), drops);
    let (_slow, _) = state.client("/r");
    let (mut fast, _) = state.client("/r");
    let text = "x".repeat(PIECE);
    thread::scope(|scope| {
        scope.spawn(move || fast.drain());
        until("it to end", || {
            let _ = state.handle().publish("/r", &text);
            state.handle().has_ended()
        });
    });
}
