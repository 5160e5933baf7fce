//! A started engine: its events on their way to Python handlers, or to whoever pulls them.
//!
//! In: events that the shards have queued. Out: calls of handlers, on the thread that dispatches
//! (the app's loop, or the dispatcher thread), one batch after a wake-up. Python objects exist only
//! for connections that Python is told of. No lock is held while Python code runs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};
use roomcast::{Engine, Event, EventKind, Gate, LogLevel, Peer, Pending, Request};

use crate::client::{Client, Gone, Registry, Ticket};
use crate::connection::{Call, Connection, Rest, Verdict};
use crate::event::PulledEvent;
use crate::link::Link;
use crate::payload;
use crate::values::{CloseReason, Delivery, Missed};
use crate::wish::Wish;

/// A handler, and whether it is a coroutine function.
struct Handler {
    function: Py<PyAny>,
    is_async: bool,
}

/// What the Python side gives at the start.
pub(crate) struct Hooks {
    handlers: HashMap<String, Handler>,
    /// `spawn(connection, kind, handler, arguments)` has a task of the loop make the call.
    spawn: Py<PyAny>,
    /// `report(connection, kind, error)` logs, and answers a connection that still waits.
    report: Py<PyAny>,
    /// `log(level, text)` gives a line of the engine to `logging`.
    log: Py<PyAny>,
}

impl Hooks {
    /// `handlers` maps kinds to (function, is_async).
    pub(crate) fn new(
        handlers: &Bound<'_, PyDict>,
        spawn: Py<PyAny>,
        report: Py<PyAny>,
        log: Py<PyAny>,
    ) -> PyResult<Hooks> {
        let mut all = HashMap::new();
        for (kind, handler) in handlers {
            let (function, is_async) = handler.extract()?;
            all.insert(kind.extract()?, Handler { function, is_async });
        }
        Ok(Hooks {
            handlers: all,
            spawn,
            report,
            log,
        })
    }

    pub(crate) fn has(&self, kind: &str) -> bool {
        self.handlers.contains_key(kind)
    }
}

/// The kind of an event, as Python calls it; of the log none.
const KINDS: [(EventKind, &str); 9] = [
    (EventKind::Connecting, "connect"),
    (EventKind::Opened, "open"),
    (EventKind::Message, "message"),
    (EventKind::Closed, "close"),
    (EventKind::Backpressure, "backpressure"),
    (EventKind::Lagged, "lag"),
    (EventKind::Expiring, "expiring"),
    (EventKind::Permission, "permission"),
    (EventKind::Delivered, "delivered"),
];

/// Decides on the shards' threads, without Python, what is queued for it.
pub(crate) struct Door {
    wanted: Vec<EventKind>,
    gone: Arc<Gone>,
}

impl Door {
    /// Everything for a puller; for handlers what they handle, and what objects of connections
    /// must know of: when the engine has their claims, and when no more.
    pub(crate) fn new(pull: bool, hooks: &Hooks, gone: &Arc<Gone>) -> Door {
        let has = |name: &str| match name {
            _ if pull || hooks.has(name) => true,
            "open" => hooks.has("connect"),
            "close" => !hooks.handlers.is_empty(),
            _ => false,
        };
        let kinds = KINDS.iter().filter(|(_, name)| has(name));
        Door {
            wanted: kinds
                .map(|(kind, _)| *kind)
                .chain([EventKind::Log])
                .collect(),
            gone: gone.clone(),
        }
    }
}

impl Gate for Door {
    fn connecting(&self, request: &Arc<Request>, pending: Pending) -> Option<Pending> {
        if self.wants(EventKind::Connecting) {
            return Some(pending);
        }
        // Without handlers nobody will ask who it is.
        let accept = match self.wanted.len() {
            1 => roomcast::Accept::new(),
            _ => {
                let client = Arc::new(Client::new(request));
                Verdict::default().accept(&client, &self.gone, request.claims())
            }
        };
        pending.accept(accept);
        None
    }

    fn wants(&self, kind: EventKind) -> bool {
        self.wanted.contains(&kind)
    }
}

/// How long publications of a batch wait for each other.
const CORK_MAX: Duration = Duration::from_micros(500);

/// An engine between its start and the end of its last event.
pub(crate) struct Running {
    /// Taken out only at the end.
    engine: Option<Engine>,
    pub(crate) link: Arc<Link>,
    pub(crate) gone: Arc<Gone>,
    /// Large payloads are shared with Python instead of being copied.
    share: bool,
    /// None once the engine has ended: handlers often hold the engine.
    hooks: Mutex<Option<Arc<Hooks>>>,
    pub(crate) registry: Arc<Registry>,
    /// Events that were taken and not told yet.
    taken: Mutex<VecDeque<Event>>,
    /// Whose events a puller holds.
    lent: Mutex<Vec<Peer>>,
    dispatching: AtomicBool,
}

impl Running {
    pub(crate) fn new(
        engine: Engine,
        link: Link,
        gone: Arc<Gone>,
        hooks: Hooks,
        share: bool,
    ) -> Running {
        Running {
            engine: Some(engine),
            link: Arc::new(link),
            gone,
            share,
            hooks: Mutex::new(Some(Arc::new(hooks))),
            registry: Arc::default(),
            taken: Mutex::new(VecDeque::new()),
            lent: Mutex::new(Vec::new()),
            dispatching: AtomicBool::new(false),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine
            .as_ref()
            .expect("it is taken out at the end only")
    }

    /// What a simulated engine that feeds these handlers decides at its door.
    #[cfg(feature = "internal-testing")]
    pub(crate) fn door(&self) -> Option<Door> {
        let hooks = self.hooks.lock();
        hooks
            .as_ref()
            .map(|hooks| Door::new(false, hooks, &self.gone))
    }

    /// Everything is told: lets go of what Python gave.
    pub(crate) fn clear(&self) {
        let hooks = self.hooks.lock().take();
        let taken = std::mem::take(&mut *self.taken.lock());
        drop((hooks, taken));
        self.registry.clear();
    }

    /// Whether the engine has ended and all events were told.
    pub(crate) fn is_ended(&self) -> bool {
        !self.dispatching.load(Ordering::Acquire)
            && self.taken.lock().is_empty()
            && self.link.events.is_ended()
    }

    /// The object of a peer, made when Python is first told of it.
    fn object(&self, py: Python<'_>, peer: &Peer) -> PyResult<Option<Py<Connection>>> {
        if let Some(known) = self.registry.find(py, peer.id()) {
            return Ok(Some(known));
        }
        let Some(ticket) = peer.data::<Ticket>() else {
            return Ok(None);
        };
        let client = ticket.client.clone();
        let connection = Py::new(py, Connection::new(peer.id(), client, self))?;
        connection.get().on_live(peer);
        self.registry.add(peer.id(), connection.clone_ref(py));
        Ok(Some(connection))
    }

    fn newcomer(
        &self,
        py: Python<'_>,
        request: &Request,
        pending: Pending,
    ) -> PyResult<Py<Connection>> {
        let client = Arc::new(Client::new(request));
        let claims = request.claims();
        Py::new(py, Connection::newcomer(client, self, pending, claims))
    }

    /// Forgets connections that ended without a close event for Python.
    fn bury(&self) {
        let gone = self.gone.take().into_iter();
        gone.for_each(|id| self.registry.remove(id));
    }

    /// Calls handlers for up to `max` events. Returns how many there were. An exception that is no
    /// `Exception` (KeyboardInterrupt) comes through; what was not told waits for the next call.
    pub(crate) fn dispatch(&self, py: Python<'_>, max: usize) -> PyResult<usize> {
        if self.dispatching.swap(true, Ordering::Acquire) {
            // A handler that stops the engine is inside this function already.
            return Ok(0);
        }
        let told = self.dispatch_alone(py, max);
        self.dispatching.store(false, Ordering::Release);
        told
    }

    fn dispatch_alone(&self, py: Python<'_>, max: usize) -> PyResult<usize> {
        let hooks = self.hooks.lock().clone();
        let Some(hooks) = hooks else { return Ok(0) };
        let mut batch = self.drain(max);
        self.bury();
        let count = batch.len();
        let told = self.tell_all(py, &hooks, &mut batch);
        if !batch.is_empty() {
            self.taken.lock().extend(batch);
        }
        told.map(|()| count)
    }

    /// What a batch before has left, or else up to `max` events that wait.
    fn drain(&self, max: usize) -> VecDeque<Event> {
        let left = std::mem::take(&mut *self.taken.lock());
        if !left.is_empty() {
            return left;
        }
        let mut fresh = Vec::new();
        self.link.events.drain_held(max, &mut fresh);
        fresh.into()
    }

    /// Tells a batch, and has what its handlers publish leave together, unless they are slow.
    fn tell_all(&self, py: Python<'_>, hooks: &Hooks, batch: &mut VecDeque<Event>) -> PyResult<()> {
        let handle = self.link.handle(py)?;
        let mut cork = None;
        while let Some(event) = batch.pop_front() {
            if cork.is_none() && !batch.is_empty() {
                cork = Some((handle.cork(), Instant::now()));
            }
            self.tell(py, hooks, event)?;
            if cork
                .as_ref()
                .is_some_and(|(_, since)| since.elapsed() > CORK_MAX)
            {
                cork = None;
            }
        }
        Ok(())
    }

    fn tell(&self, py: Python<'_>, hooks: &Hooks, event: Event) -> PyResult<()> {
        match event {
            Event::Connecting { request, pending } => {
                let connection = self.newcomer(py, &request, pending)?;
                drop(request);
                self.call(py, hooks, &connection, "connect", Rest::Nothing, None)
            }
            Event::Log { level, text } => {
                hooks.log.bind(py).call1((level_number(level), text))?;
                Ok(())
            }
            Event::Opened { peer } => {
                self.on_opened(py, &peer);
                self.about(py, hooks, "open", Rest::Nothing, peer)
            }
            Event::Message { peer, kind, data } => {
                let data = payload::received(py, kind, data, self.share)?;
                self.about(py, hooks, "message", Rest::One(data.unbind()), peer)
            }
            Event::Closed { peer, reason } => {
                let id = peer.id();
                self.on_closed(py, &peer);
                let reason = Py::new(py, CloseReason::from(&reason))?.into_any();
                let told = self.about(py, hooks, "close", Rest::One(reason), peer);
                self.registry.remove(id);
                told
            }
            Event::Expiring { peer } => self.about(py, hooks, "expiring", Rest::Nothing, peer),
            Event::Permission { peer, wish } => {
                let wish = Py::new(py, Wish::new(py, wish, &self.link, self.share)?)?;
                self.about(py, hooks, "permission", Rest::One(wish.into_any()), peer)
            }
            Event::Backpressure { peer, high } => {
                let high = PyBool::new(py, high).to_owned().into_any().unbind();
                self.about(py, hooks, "backpressure", Rest::One(high), peer)
            }
            Event::Lagged { peer, room, missed } => {
                let room = PyString::new(py, &room).into_any().unbind();
                let missed = Py::new(py, Missed::from(missed))?.into_any();
                self.about(py, hooks, "lag", Rest::Two(room, missed), peer)
            }
            Event::Delivered { room, delivery } => {
                let room = PyString::new(py, &room).into_any().unbind();
                let delivery = Py::new(py, Delivery::from(delivery))?.into_any();
                self.call_alone(py, hooks, "delivered", Rest::Two(room, delivery))
            }
            _ => Ok(()),
        }
    }

    fn about(
        &self,
        py: Python<'_>,
        hooks: &Hooks,
        kind: &'static str,
        rest: Rest,
        peer: Peer,
    ) -> PyResult<()> {
        let connection = match hooks.has(kind) {
            true => self.object(py, &peer)?,
            false => None,
        };
        match connection {
            Some(connection) => self.call(py, hooks, &connection, kind, rest, Some(peer)),
            None => {
                self.link.events.release(&peer);
                Ok(())
            }
        }
    }

    /// Before its first event is told.
    fn on_opened(&self, py: Python<'_>, peer: &Peer) {
        if let Some(known) = self.registry.find(py, peer.id()) {
            known.get().on_live(peer);
        }
    }

    /// Before its last event is told, so that it shows there.
    fn on_closed(&self, py: Python<'_>, peer: &Peer) {
        if let Some(ticket) = peer.data::<Ticket>() {
            ticket.client.on_gone();
        }
        if let Some(known) = self.registry.find(py, peer.id()) {
            known.get().on_ended();
        }
    }

    /// Calls a handler now, has a task call it, or has it wait for the task that is at work.
    fn call(
        &self,
        py: Python<'_>,
        hooks: &Hooks,
        connection: &Py<Connection>,
        kind: &'static str,
        rest: Rest,
        peer: Option<Peer>,
    ) -> PyResult<()> {
        let Some(handler) = hooks.handlers.get(kind) else {
            self.release(peer.as_ref());
            return Ok(());
        };
        let call = Call {
            kind,
            handler: handler.function.clone_ref(py),
            rest,
            peer,
        };
        match connection.get().begin(call) {
            None => Ok(()),
            Some(call) if handler.is_async => self.spawn(py, hooks, connection, call),
            Some(call) => self.call_now(py, hooks, connection, call),
        }
    }

    fn call_now(
        &self,
        py: Python<'_>,
        hooks: &Hooks,
        connection: &Py<Connection>,
        call: Call,
    ) -> PyResult<()> {
        let handler = call.handler.bind(py);
        let result = match &call.rest {
            Rest::Nothing => handler.call1((connection,)),
            Rest::One(one) => handler.call1((connection, one)),
            Rest::Two(one, two) => handler.call1((connection, one, two)),
        };
        let result = match result {
            Ok(result) if is_awaitable(&result)? => {
                // A plain function that has called an async one: its result is awaited.
                let result = result.unbind();
                let call = Call {
                    handler: given(py)?.unbind(),
                    rest: match call.rest {
                        Rest::One(wish) if call.kind == "permission" => Rest::Two(wish, result),
                        _ => Rest::One(result),
                    },
                    ..call
                };
                return self.spawn(py, hooks, connection, call);
            }
            Ok(result) => call.settle(connection.bind(py), &result),
            Err(error) => Err(error),
        };
        if result.is_err() {
            call.abandon(py);
        }
        self.release(call.peer.as_ref());
        result.or_else(|error| self.report(py, hooks, Some(connection), call.kind, error))
    }

    fn spawn(
        &self,
        py: Python<'_>,
        hooks: &Hooks,
        connection: &Py<Connection>,
        call: Call,
    ) -> PyResult<()> {
        connection.get().on_busy(call.peer);
        let arguments = (connection, call.kind, call.handler, call.rest.tuple(py)?);
        if let Err(error) = hooks.spawn.bind(py).call1(arguments) {
            // What waits behind it meets the same fate.
            while connection.get().next_call().is_some() {}
            return self.report(py, hooks, Some(connection), call.kind, error);
        }
        Ok(())
    }

    /// Calls a handler about no connection: in nobody's order, and holding nobody up.
    fn call_alone(
        &self,
        py: Python<'_>,
        hooks: &Hooks,
        kind: &'static str,
        rest: Rest,
    ) -> PyResult<()> {
        let Some(handler) = hooks.handlers.get(kind) else {
            return Ok(());
        };
        let spawn = |function: &Bound<'_, PyAny>, rest: Bound<'_, PyTuple>| {
            let arguments = (py.None(), kind, function, rest);
            hooks.spawn.bind(py).call1(arguments).map(drop)
        };
        let (function, rest) = (handler.function.bind(py), rest.tuple(py)?);
        let told = match handler.is_async {
            true => spawn(function, rest),
            false => function
                .call1(rest)
                .and_then(|result| match is_awaitable(&result)? {
                    true => spawn(&given(py)?, PyTuple::new(py, [result])?),
                    false => Ok(()),
                }),
        };
        told.or_else(|error| self.report(py, hooks, None, kind, error))
    }

    fn report(
        &self,
        py: Python<'_>,
        hooks: &Hooks,
        connection: Option<&Py<Connection>>,
        kind: &str,
        error: PyErr,
    ) -> PyResult<()> {
        if !error.is_instance_of::<PyException>(py) {
            if let Some(connection) = connection {
                connection.get().abandon();
            }
            return Err(error);
        }
        hooks.report.bind(py).call1((connection, kind, error))?;
        Ok(())
    }

    fn release(&self, peer: Option<&Peer>) {
        if let Some(peer) = peer {
            self.link.events.release(peer);
        }
    }

    /// Takes up to `max` events as objects. Those of the call before are done with.
    pub(crate) fn take(&self, py: Python<'_>, max: usize) -> PyResult<Vec<PulledEvent>> {
        let before = std::mem::take(&mut *self.lent.lock());
        before
            .iter()
            .for_each(|peer| self.link.events.release(peer));
        self.bury();
        let hooks = self.hooks.lock().clone();
        let mut batch = self.drain(max);
        let mut pulled = Vec::with_capacity(batch.len());
        while let Some(event) = batch.pop_front() {
            if let (Event::Log { level, text }, Some(hooks)) = (&event, &hooks) {
                hooks.log.bind(py).call1((level_number(*level), text))?;
                continue;
            }
            pulled.extend(self.pulled(py, event)?);
        }
        Ok(pulled)
    }

    fn pulled(&self, py: Python<'_>, event: Event) -> PyResult<Option<PulledEvent>> {
        let (peer, mut event) = match event {
            Event::Connecting { request, pending } => {
                let connection = self.newcomer(py, &request, pending)?;
                return Ok(Some(PulledEvent::new("connect", connection)));
            }
            Event::Opened { peer } => (peer, PulledEvent::of("open")),
            Event::Message { peer, kind, data } => {
                let data = payload::received(py, kind, data, self.share)?;
                (peer, PulledEvent::message(data.unbind()))
            }
            Event::Closed { peer, reason } => {
                (peer, PulledEvent::closed(CloseReason::from(&reason)))
            }
            Event::Expiring { peer } => (peer, PulledEvent::of("expiring")),
            Event::Permission { peer, wish } => {
                let wish = Wish::new(py, wish, &self.link, self.share)?;
                (peer, PulledEvent::permission(Py::new(py, wish)?))
            }
            Event::Backpressure { peer, high } => (peer, PulledEvent::backpressure(high)),
            Event::Lagged { peer, room, missed } => {
                (peer, PulledEvent::lagged(room, missed.into()))
            }
            Event::Delivered { room, delivery } => {
                return Ok(Some(PulledEvent::delivered(room, delivery.into())));
            }
            _ => return Ok(None),
        };
        if event.kind == "open" {
            self.on_opened(py, &peer);
        }
        event.connection = self.object(py, &peer)?;
        if event.kind == "close" {
            self.on_closed(py, &peer);
            self.registry.remove(peer.id());
        }
        self.lent.lock().push(peer);
        Ok(event.connection.is_some().then_some(event))
    }
}

/// Whether a handler's result is still to be awaited.
fn is_awaitable(result: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(!result.is_none() && result.hasattr("__await__")?)
}

/// The handler of a call that has begun already.
fn given(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("roomcast._dispatch")?.getattr("given")
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.link.is_forked() {
            // The parent's threads are at work with what this is there; here it is only memory.
            std::mem::forget((self.engine.take(), std::mem::take(self.taken.get_mut())));
        }
    }
}

/// The level's number in `logging`.
fn level_number(level: LogLevel) -> u32 {
    match level {
        LogLevel::Debug => 10,
        LogLevel::Info => 20,
        LogLevel::Warn => 30,
        _ => 40,
    }
}
