//! `Connection`: one connection, as Python sees it.
//!
//! Made when Python is first told of the connection, and the same object until the last event about
//! it. It also keeps the calls that wait while an async handler of the connection is at work, so
//! that their order is kept and nobody else waits.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use roomcast::{Accept, ConnectionId, Handle, Limits, Peer, Pending, Status};

use crate::claims::{Claims, verb};
use crate::client::{Client, Gone, Registry, Ticket};
use crate::errors;
use crate::join::{How, Join, memberships};
use crate::link::Link;
use crate::named::strings;
use crate::payload;
use crate::policy::SlowPolicy;
use crate::publish::{self, Beside};
use crate::running::Running;
use crate::values::Position;
use crate::wish::Wish;

/// What a handler is told beside the connection.
pub(crate) enum Rest {
    Nothing,
    One(Py<PyAny>),
    Two(Py<PyAny>, Py<PyAny>),
}

impl Rest {
    pub(crate) fn tuple(self, py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        match self {
            Rest::Nothing => Ok(PyTuple::empty(py)),
            Rest::One(one) => PyTuple::new(py, [one]),
            Rest::Two(one, two) => PyTuple::new(py, [one, two]),
        }
    }
}

/// One call of a handler that is due.
pub(crate) struct Call {
    pub(crate) kind: &'static str,
    pub(crate) handler: Py<PyAny>,
    pub(crate) rest: Rest,
    /// Whose event this is, to be released when the handler is done.
    pub(crate) peer: Option<Peer>,
}

impl Call {
    /// Gives the answer that the handler has returned, where one is asked for and it gave none.
    pub(crate) fn settle(
        &self,
        connection: &Bound<'_, Connection>,
        result: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        match (self.kind, self.wish(result.py())) {
            ("connect", _) => Connection::_settle(connection, result),
            (_, Some(wish)) => wish.get()._settle(result),
            _ => Ok(()),
        }
    }

    /// Its handler has failed: a wish is denied, also where the error's traceback keeps it.
    pub(crate) fn abandon(&self, py: Python<'_>) {
        if let Some(wish) = self.wish(py) {
            wish.get().abandon();
        }
    }

    fn wish<'a, 'py>(&'a self, py: Python<'py>) -> Option<&'a Bound<'py, Wish>> {
        match &self.rest {
            Rest::One(wish) if self.kind == "permission" => wish.bind(py).cast().ok(),
            _ => None,
        }
    }
}

/// A call, as Python makes it: kind, handler, arguments behind the connection.
type Due<'py> = (&'static str, Py<PyAny>, Bound<'py, PyTuple>);

/// Where it stands what the connection's token says.
enum Proof {
    /// Here, before it has opened, and when it has ended.
    Noted(Option<Arc<roomcast::Claims>>),
    /// With the engine, since it may bring a new token at any time.
    Live(Peer),
}

impl Default for Proof {
    fn default() -> Self {
        Proof::Noted(None)
    }
}

impl Proof {
    fn claims(&self) -> Option<Arc<roomcast::Claims>> {
        match self {
            Proof::Noted(claims) => claims.clone(),
            Proof::Live(peer) => peer.claims(),
        }
    }
}

#[derive(Default)]
struct Inner {
    pending: Option<Pending>,
    proof: Proof,
    state: Option<Py<PyAny>>,
    /// An async handler is at work; what it is called for.
    busy: bool,
    peer: Option<Peer>,
    waiting: VecDeque<Call>,
}

/// One client connection. The same object in every event about it; compare it with `is` or `==`,
/// use it as a key, and keep what you know about it in `state`.
#[pyclass(frozen, weakref, module = "roomcast")]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) client: Arc<Client>,
    link: Arc<Link>,
    gone: Arc<Gone>,
    registry: Arc<Registry>,
    inner: Mutex<Inner>,
}

impl Connection {
    pub(crate) fn new(id: ConnectionId, client: Arc<Client>, running: &Running) -> Self {
        let _ = client.known.set(id);
        Connection {
            id,
            client,
            link: running.link.clone(),
            gone: running.gone.clone(),
            registry: running.registry.clone(),
            inner: Mutex::default(),
        }
    }

    /// One that waits for its verdict, and what its token says.
    pub(crate) fn newcomer(
        client: Arc<Client>,
        running: &Running,
        pending: Pending,
        claims: Option<&roomcast::Claims>,
    ) -> Self {
        let mut connection = Connection::new(pending.id(), client, running);
        let inner = connection.inner.get_mut();
        inner.pending = Some(pending);
        inner.proof = Proof::Noted(claims.map(|claims| Arc::new(claims.clone())));
        connection
    }

    /// It is open, so the engine knows what its token says.
    pub(crate) fn on_live(&self, peer: &Peer) {
        self.inner.lock().proof = Proof::Live(peer.clone());
    }

    /// It has ended: from now on it holds nothing of the engine's.
    pub(crate) fn on_ended(&self) {
        let mut inner = self.inner.lock();
        let claims = inner.proof.claims();
        let live = std::mem::replace(&mut inner.proof, Proof::Noted(claims));
        drop(inner);
        drop(live);
    }

    /// Takes the connection for an async handler, or has the call wait for the one at work.
    pub(crate) fn begin(&self, call: Call) -> Option<Call> {
        let mut inner = self.inner.lock();
        if inner.busy {
            inner.waiting.push_back(call);
            return None;
        }
        Some(call)
    }

    pub(crate) fn on_busy(&self, peer: Option<Peer>) {
        let mut inner = self.inner.lock();
        debug_assert!(!inner.busy);
        inner.busy = true;
        inner.peer = peer;
    }

    /// The call at work is done. The next one that waits; None lets go of the connection.
    pub(crate) fn next_call(&self) -> Option<Call> {
        let mut inner = self.inner.lock();
        let done = inner.peer.take();
        let mut call = inner.waiting.pop_front();
        match &mut call {
            Some(call) => inner.peer = call.peer.take(),
            None => {
                inner.busy = false;
                inner.waiting = VecDeque::new();
            }
        }
        drop(inner);
        if let Some(peer) = done {
            self.link.events.release(&peer);
        }
        call
    }

    /// Nobody will decide on it: it is turned away.
    pub(crate) fn abandon(&self) {
        let pending = self.inner.lock().pending.take();
        drop(pending);
    }

    /// Whether the host has yet to decide on it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.inner.lock().pending.is_some()
    }

    /// The handle, for what is done to a connection that has its verdict.
    fn decided(&self, py: Python<'_>) -> PyResult<&Handle> {
        match self.is_waiting() {
            true => Err(errors::usage(
                py,
                "this connection waits for its verdict: accept() it first, which also takes rooms",
            )),
            false => self.link.handle(py),
        }
    }

    /// Lets it in.
    fn accept_with(slf: &Bound<'_, Self>, verdict: Verdict) -> PyResult<()> {
        let own = slf.get();
        let pending = own.verdict(slf.py())?;
        // Known from now on; whoever has gone by then is forgotten with the ticket.
        own.registry.add(own.id, slf.clone().unbind());
        let token = own.inner.lock().proof.claims();
        if let Some(claims) = &verdict.claims {
            own.inner.lock().proof = Proof::Noted(Some(claims.clone()));
        }
        pending.accept(verdict.accept(&own.client, &own.gone, token.as_deref()));
        Ok(())
    }

    fn verdict(&self, py: Python<'_>) -> PyResult<Pending> {
        self.link.handle(py)?;
        let pending = self.inner.lock().pending.take();
        pending.ok_or_else(|| errors::error(py, Status::Answered, Status::Answered.text()))
    }
}

/// How a connection is accepted: the arguments of `accept`.
#[derive(Default)]
pub(crate) struct Verdict {
    user: Option<String>,
    rooms: Vec<(String, Option<roomcast::Join>)>,
    subprotocol: Option<String>,
    claims: Option<Arc<roomcast::Claims>>,
    info: Option<String>,
}

impl Verdict {
    pub(crate) fn new(
        limits: &Limits,
        user: Option<&Bound<'_, PyAny>>,
        rooms: Option<&Bound<'_, PyAny>>,
        subprotocol: Option<String>,
        claims: Option<&Bound<'_, Claims>>,
        info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Verdict {
            user: self::user(user)?,
            rooms: rooms.map_or(Ok(Vec::new()), |rooms| memberships(limits, rooms))?,
            subprotocol,
            claims: claims.map(|claims| claims.get().0.clone()),
            info: info.map(payload::json).transpose()?,
        })
    }

    /// As the engine takes it. `token` is what the peer's token says.
    pub(crate) fn accept(
        self,
        client: &Arc<Client>,
        gone: &Arc<Gone>,
        token: Option<&roomcast::Claims>,
    ) -> Accept {
        let mut accept = Accept::new().data(Arc::new(Ticket {
            client: client.clone(),
            gone: gone.clone(),
        }));
        // What the host says comes first, as in the engine.
        let own = self.claims.as_deref();
        let claimed = || own.into_iter().chain(token).find_map(|c| c.user.as_deref());
        if let Some(user) = self.user.as_deref().or_else(claimed) {
            let _ = client.user.set(user.into());
        }
        if let Some(user) = self.user {
            accept = accept.user(user);
        }
        if let Some(claims) = self.claims {
            accept = accept.claims(Arc::unwrap_or_clone(claims));
        }
        if let Some(info) = self.info {
            accept = accept.info(info);
        }
        if let Some(name) = self.subprotocol {
            let _ = client.subprotocol.set(name.as_str().into());
            accept = accept.subprotocol(name);
        }
        client.on_open();
        let rooms = self.rooms.into_iter();
        rooms.fold(accept, |accept, (room, how)| match how {
            Some(how) => accept.room_with(room, how),
            None => accept.room(room),
        })
    }
}

/// What a handler returns whose answer comes later.
pub(crate) fn later(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("roomcast._request")?.getattr("LATER")
}

/// `user` as given: `str`, or a number that becomes one.
pub(crate) fn user(user: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    let Some(user) = user.filter(|user| !user.is_none()) else {
        return Ok(None);
    };
    if let Ok(text) = user.extract::<String>() {
        return Ok(Some(text));
    }
    match user.extract::<i64>() {
        Ok(number) if !user.is_instance_of::<PyBool>() => Ok(Some(number.to_string())),
        _ => Err(PyTypeError::new_err("user is a str, an int or None")),
    }
}

/// A close code; 0, which nobody may send, for what is none at all.
pub(crate) fn close_code(code: i64) -> u16 {
    u16::try_from(code).unwrap_or_default()
}

/// The id of what a call is about: a connection, or its id.
pub(crate) fn id(who: &Bound<'_, PyAny>) -> PyResult<ConnectionId> {
    if let Ok(connection) = who.cast::<Connection>() {
        return Ok(connection.get().id);
    }
    match who.extract::<u64>() {
        Ok(id) => Ok(ConnectionId::from_u64(id)),
        Err(_) => Err(PyTypeError::new_err("a Connection or its id is wanted")),
    }
}

#[pymethods]
impl Connection {
    /// Its number. Never used again in the engine's life.
    #[getter]
    fn id(&self) -> u64 {
        self.id.as_u64()
    }

    /// The user that it was accepted as.
    #[getter]
    fn user(&self) -> Option<&str> {
        self.client.user.get().map(AsRef::as_ref)
    }

    /// What its token says, or what it was accepted with instead; the newest of several.
    #[getter]
    fn claims(&self) -> Option<Claims> {
        self.inner.lock().proof.claims().map(Claims)
    }

    /// Whether its token allows this.
    fn may(&self, verb: &str, room: &str) -> PyResult<bool> {
        let verb = self::verb(verb)?;
        let claims = self.inner.lock().proof.claims();
        Ok(claims.is_some_and(|claims| claims.grants.may(verb, room)))
    }

    /// Address and port of the other end; None on a unix socket. Behind a proxy it is the proxy.
    #[getter]
    fn peer(&self) -> Option<(String, u16)> {
        self.client
            .peer
            .map(|peer| (peer.ip().to_string(), peer.port()))
    }

    /// The address of the peer itself, as far as it can be known.
    #[getter]
    fn peer_ip(&self) -> Option<String> {
        self.client.peer_ip.map(|ip| ip.to_string())
    }

    /// The path as sent, percent signs and all.
    #[getter]
    fn path(&self) -> &str {
        self.client.path()
    }

    /// What follows the question mark, as sent; empty without one.
    #[getter]
    fn query_string(&self) -> &str {
        self.client.query()
    }

    /// The query's values by name, decoded; of a name that comes twice, the first.
    #[getter]
    fn query<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let parse = py.import("urllib.parse")?.getattr("parse_qsl")?;
        let pairs = parse.call1((self.client.query(), true))?;
        first_values(py, pairs.try_iter()?.map(|pair| pair?.extract()))
    }

    /// The header fields, as a mapping whose names may be asked for in any case.
    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pairs: Vec<(&str, &str)> = self.client.headers().collect();
        py.import("roomcast._request")?
            .getattr("Headers")?
            .call1((pairs,))
    }

    /// Cookies by name, as sent.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let lines = self.client.headers().filter(|(name, _)| *name == "cookie");
        let pairs = lines
            .flat_map(|(_, line)| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| Ok((trim(name).to_owned(), trim(value).to_owned())));
        first_values(py, pairs)
    }

    /// The subprotocols that the peer offers, the one it likes best first.
    #[getter]
    fn subprotocols(&self) -> Vec<&str> {
        let lines = self.client.headers();
        lines
            .filter(|(name, _)| *name == "sec-websocket-protocol")
            .flat_map(|(_, line)| line.split(','))
            .map(trim)
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// The subprotocol that was agreed upon.
    #[getter]
    fn subprotocol(&self) -> Option<&str> {
        let agreed = self.client.subprotocol.get()?.as_ref();
        self.subprotocols().into_iter().find(|name| *name == agreed)
    }

    /// A namespace for your own attributes.
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(state) = &self.inner.lock().state {
            return Ok(state.clone_ref(py));
        }
        let new = py
            .import("types")?
            .getattr("SimpleNamespace")?
            .call0()?
            .unbind();
        Ok(self.inner.lock().state.get_or_insert(new).clone_ref(py))
    }

    /// Whether it was accepted and has not ended.
    #[getter]
    fn is_open(&self) -> bool {
        self.client.is_open()
    }

    /// The engine.
    #[getter]
    fn engine(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.link.engine(py)
    }

    /// Lets it in, as this user, into these rooms. From the return of this call on it is sent what
    /// is published to them.
    #[pyo3(signature = (user=None, rooms=None, subprotocol=None, *, claims=None, info=None))]
    fn accept(
        slf: &Bound<'_, Self>,
        user: Option<&Bound<'_, PyAny>>,
        rooms: Option<&Bound<'_, PyAny>>,
        subprotocol: Option<String>,
        claims: Option<&Bound<'_, Claims>>,
        info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let limits = slf.get().link.handle(slf.py())?.limits();
        let verdict = Verdict::new(limits, user, rooms, subprotocol, claims, info)?;
        Self::accept_with(slf, verdict)
    }

    /// Turns it away with an HTTP status (400 to 599) and a line of text.
    #[pyo3(signature = (status=403, text=""))]
    fn refuse(&self, py: Python<'_>, status: u16, text: &str) -> PyResult<()> {
        self.verdict(py)?.refuse(status, text);
        self.client.on_gone();
        Ok(())
    }

    /// Sends it a message, in its place among the publications of its rooms.
    fn send(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let handle = self.decided(py)?;
        let encoded = payload::encoded(data)?;
        let data = payload::data(&encoded)?;
        let sent = handle.send(self.id, data.publication());
        sent.map_err(|refused| errors::refused(py, refused))
    }

    /// Makes it a member of a room: it is sent everything published from now on that it asks for.
    #[pyo3(signature = (
        room, how=None, *, filter=None, keys=None, flush_interval_ms=None, slow_policy=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    fn join(
        &self,
        py: Python<'_>,
        room: &str,
        how: Option<&Bound<'_, Join>>,
        filter: Option<&Bound<'_, PyAny>>,
        keys: Option<&Bound<'_, PyAny>>,
        flush_interval_ms: Option<&Bound<'_, PyAny>>,
        slow_policy: Option<SlowPolicy>,
    ) -> PyResult<Position> {
        let how = How {
            how,
            filter,
            keys,
            flush_interval_ms,
            slow_policy,
        };
        how.join(py, self.decided(py)?, self.id, room)
    }

    /// Adds keys to its watch-list in a room that it joined with one.
    fn watch(&self, py: Python<'_>, room: &str, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let watched = self.decided(py)?.watch(self.id, room, strings(keys)?);
        watched.map_err(|error| errors::command(py, error))
    }

    /// Takes keys off its watch-list in a room.
    fn unwatch(&self, py: Python<'_>, room: &str, keys: &Bound<'_, PyAny>) -> PyResult<()> {
        let ended = self.decided(py)?.unwatch(self.id, room, strings(keys)?);
        ended.map_err(|error| errors::command(py, error))
    }

    /// As `join`, where its token or on_permission allows it.
    #[pyo3(signature = (
        room, how=None, *, filter=None, keys=None, flush_interval_ms=None, slow_policy=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    fn request_join(
        &self,
        py: Python<'_>,
        room: &str,
        how: Option<&Bound<'_, Join>>,
        filter: Option<&Bound<'_, PyAny>>,
        keys: Option<&Bound<'_, PyAny>>,
        flush_interval_ms: Option<&Bound<'_, PyAny>>,
        slow_policy: Option<SlowPolicy>,
    ) -> PyResult<()> {
        let how = How {
            how,
            filter,
            keys,
            flush_interval_ms,
            slow_policy,
        };
        how.request(py, self.decided(py)?, self.id, room)
    }

    /// Publishes what it has said, where its token or on_permission allows it.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        room, data, *, event=None, key=None, tags=None, exclude=None, exclude_rooms=None
    ))]
    fn request_publish(
        &self,
        py: Python<'_>,
        room: &str,
        data: &Bound<'_, PyAny>,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let handle = self.decided(py)?;
        let beside = Beside::new(event, key, tags, exclude, exclude_rooms)?;
        publish::with(py, data, &beside, |publication| {
            handle.request_publish(self.id, room, publication)
        })
    }

    /// Gives it a new token in place of the one it has.
    fn refresh(&self, py: Python<'_>, token: &str) -> PyResult<()> {
        let refreshed = self.decided(py)?.refresh(self.id, token);
        refreshed.map_err(|error| errors::token(py, error))
    }

    /// Ends a membership.
    fn leave(&self, py: Python<'_>, room: &str) -> PyResult<()> {
        let left = self.decided(py)?.leave(self.id, room);
        left.map_err(|error| errors::command(py, error))
    }

    /// Closes it with a code and a text of up to 123 bytes, after what it is owed.
    #[pyo3(signature = (code=1000, text=""))]
    fn close(&self, py: Python<'_>, code: i64, text: &str) -> PyResult<()> {
        let closed = self.decided(py)?.close(self.id, close_code(code), text);
        closed.map_err(|error| errors::command(py, error))
    }

    /// The rooms that it is in. Asks its shard, so it takes about a turn.
    fn rooms(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let handle = self.link.handle(py)?;
        let rooms = py.detach(|| handle.rooms_of(self.id));
        rooms.map_err(|error| errors::command(py, error))
    }

    /// Gives the verdict that an on_connect handler has returned, where it gave none.
    fn _settle(slf: &Bound<'_, Self>, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        if !slf.get().is_waiting() {
            return Ok(());
        }
        if result.is_none() {
            return Self::accept_with(slf, Verdict::default());
        }
        if let Ok(verdict) = result.cast::<PyBool>() {
            return match verdict.is_true() {
                true => Self::accept_with(slf, Verdict::default()),
                false => slf.get().refuse(py, 403, "refused"),
            };
        }
        if result.is(later(py)?) {
            return Ok(());
        }
        let name = result.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "on_connect returned {name}; it answers through accept() or refuse(), or returns None, \
             a bool or roomcast.LATER"
        )))
    }

    /// The next call that waits: (kind, handler, arguments); None lets go of the connection.
    fn _next<'py>(&self, py: Python<'py>) -> PyResult<Option<Due<'py>>> {
        let due = |call: Call| Ok((call.kind, call.handler, call.rest.tuple(py)?));
        self.next_call().map(due).transpose()
    }

    /// What of Python's it holds: a host's `state` may well lead back to it.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Where somebody is at work with it, it is no garbage.
        let Some(inner) = self.inner.try_lock() else {
            return Ok(());
        };
        visit.call(&inner.state)?;
        for call in &inner.waiting {
            visit.call(&call.handler)?;
            match &call.rest {
                Rest::Nothing => {}
                Rest::One(one) => visit.call(one)?,
                Rest::Two(one, two) => {
                    visit.call(one)?;
                    visit.call(two)?;
                }
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let mut inner = self.inner.lock();
        let (state, waiting) = (inner.state.take(), std::mem::take(&mut inner.waiting));
        drop(inner);
        drop((state, waiting));
    }

    fn __repr__(&self) -> String {
        let user = self
            .user()
            .map_or(String::new(), |user| format!(" user={user:?}"));
        let open = if self.is_open() { "" } else { " (not open)" };
        format!("<roomcast.Connection {:x}{user}{open}>", self.id.as_u64())
    }
}

/// In a fork the locks of the parent's threads may be held for ever.
impl Drop for Connection {
    fn drop(&mut self) {
        if self.link.is_forked() {
            let inner = self.inner.get_mut();
            let proof = std::mem::take(&mut inner.proof);
            std::mem::forget((inner.pending.take(), inner.peer.take(), proof));
        }
    }
}

/// White space of HTTP (RFC 9110 §5.6.3), and no byte of a longer character.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn first_values<'py>(
    py: Python<'py>,
    pairs: impl Iterator<Item = PyResult<(String, String)>>,
) -> PyResult<Bound<'py, PyDict>> {
    let values = PyDict::new(py);
    for pair in pairs {
        let (name, value) = pair?;
        if !values.contains(&name)? {
            values.set_item(name, value)?;
        }
    }
    Ok(values)
}
