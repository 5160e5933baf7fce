//! `Core`: the native half of `roomcast.Engine`.
//!
//! Settings before the start; afterwards every call goes to the running engine, from any thread.
//! What may wait (start, stop, turn, questions to shards) does so without the GIL.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use roomcast::{CommandError, Config, Cursor, Handle, Refused, Revoke, Status};

use crate::auth::Jwt;
use crate::client::Gone;
use crate::connection::{self, Connection};
use crate::errors;
use crate::event::PulledEvent;
use crate::join::{How, Join};
use crate::link::Link;
use crate::named::strings;
use crate::payload;
use crate::policy::SlowPolicy;
use crate::presence::{Presence, PresencePage};
use crate::publish::{self, Beside};
use crate::room::Room;
use crate::running::{Door, Hooks, Running};
use crate::settings;
use crate::sockets;
use crate::stats;
use crate::tls;
use crate::upgrade::{self, Upgrade};
use crate::values::{Position, Published, StopReport, Tracked};

#[pyclass(subclass, frozen, weakref, module = "roomcast._roomcast")]
pub(crate) struct Core {
    config: Mutex<Config>,
    /// The engine that was started last, also after it has stopped: it still has its figures.
    running: RwLock<Option<Arc<Running>>>,
}

impl Core {
    pub(crate) fn running(&self, py: Python<'_>) -> PyResult<Arc<Running>> {
        // Not under the lock: an error runs Python code, where threads switch.
        let running = self.running.read().clone();
        match running {
            Some(running) => {
                running.link.handle(py)?;
                Ok(running)
            }
            None => Err(errors::error(
                py,
                Status::Stopped,
                "the engine is not started: start() it",
            )),
        }
    }

    fn with<T>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&Handle) -> Result<T, CommandError>,
    ) -> PyResult<T> {
        let running = self.running(py)?;
        call(running.link.handle(py)?).map_err(|error| errors::command(py, error))
    }

    fn send_with(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        send: impl Fn(&Handle, roomcast::Publication<'_>) -> Result<(), Refused>,
    ) -> PyResult<()> {
        let running = self.running(py)?;
        let handle = running.link.handle(py)?;
        let encoded = payload::encoded(data)?;
        let data = payload::data(&encoded)?;
        send(handle, data.publication()).map_err(|refused| errors::refused(py, refused))
    }
}

/// Nothing of Python's is left when the engine is let go of, and nobody waits for its end.
impl Drop for Core {
    fn drop(&mut self) {
        let Some(running) = self.running.get_mut().take() else {
            return;
        };
        running.clear();
        if !running.link.is_forked() {
            running.engine().begin_stop();
            std::thread::spawn(move || drop(running));
        }
    }
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Core {
            config: Mutex::new(Config::new()),
            running: RwLock::new(None),
        }
    }

    /// Takes the settings, and says at once when one cannot work.
    fn _configure(&self, settings: &Bound<'_, PyDict>, from_env: bool) -> PyResult<()> {
        let py = settings.py();
        let wrong = |error| errors::config(py, &error);
        let mut config = settings::config(settings)?;
        if from_env {
            config = config.from_env().map_err(wrong)?;
        }
        config.check().map_err(wrong)?;
        *self.config.lock() = config;
        Ok(())
    }

    fn _start(
        slf: &Bound<'_, Self>,
        handlers: &Bound<'_, PyDict>,
        spawn: Py<PyAny>,
        report: Py<PyAny>,
        log: Py<PyAny>,
        pull: bool,
        share: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        let core = slf.get();
        let hooks = Hooks::new(handlers, spawn, report, log)?;
        let gone = Arc::new(Gone::default());
        let door = Door::new(pull, &hooks, &gone);
        let config = core.config.lock().clone();
        let started = py.detach(|| roomcast::Engine::start_with_gate(config, door));
        let (engine, events) = started.map_err(|error| errors::start(py, &error))?;
        let link = Link::new(engine.handle(), events, slf.as_any())?;
        let running = Arc::new(Running::new(engine, link, gone, hooks, share));
        let before = core.running.write().replace(running);
        // It has stopped, or this would not have been called.
        py.detach(|| drop(before));
        Ok(())
    }

    /// Asks the engine to stop, and waits for its end only as long as `timeout` seconds say.
    fn _stop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<StopReport> {
        if self.running.read().is_none() {
            return Ok(roomcast::StopReport::default().into());
        }
        let running = self.running(py)?;
        let report = py.detach(|| match timeout {
            Some(seconds) => running.engine().stop_within(duration(seconds)),
            None => running.engine().stop(),
        });
        Ok(report.into())
    }

    fn _begin_stop(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        if self.running.read().is_none() {
            return Ok(());
        }
        let running = self.running(py)?;
        match timeout {
            Some(seconds) => running.engine().begin_stop_within(duration(seconds)),
            None => running.engine().begin_stop(),
        }
        Ok(())
    }

    /// Lets go of handlers and connections; the figures stay.
    fn _clear(&self, py: Python<'_>) -> PyResult<()> {
        self.running(py)?.clear();
        Ok(())
    }

    /// Calls handlers for up to `max` waiting events; how many there were.
    fn _dispatch(&self, py: Python<'_>, max: usize) -> PyResult<usize> {
        self.running(py)?.dispatch(py, max)
    }

    /// Takes up to `max` waiting events.
    fn _take(&self, py: Python<'_>, max: usize) -> PyResult<Vec<PulledEvent>> {
        self.running(py)?.take(py, max)
    }

    /// Whether the engine has ended and everything was taken.
    fn _is_ended(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.running(py)?.is_ended())
    }

    /// The descriptor that is readable while events wait.
    fn _events_fd(&self, py: Python<'_>) -> PyResult<i32> {
        use std::os::fd::AsRawFd;
        Ok(self.running(py)?.link.events.as_raw_fd())
    }

    /// Seconds that a stop may take when nothing else is said.
    fn _stop_seconds(&self) -> f64 {
        self.config.lock().limits().stop_timeout_ms as f64 / 1000.0
    }

    /// Whether this process is a fork of the one that started the engine.
    fn _is_forked(&self) -> bool {
        self.running
            .read()
            .as_ref()
            .is_some_and(|running| running.link.is_forked())
    }

    /// Whether the engine was started and has neither stopped nor begun to.
    #[getter]
    fn is_running(&self) -> bool {
        let running = self.running.read();
        running
            .as_ref()
            .is_some_and(|r| !r.link.is_forked() && !r.engine().is_stopping())
    }

    /// Whether the engine is stopping or has stopped.
    #[getter]
    fn is_stopping(&self) -> bool {
        self.running
            .read()
            .as_ref()
            .is_some_and(|r| r.engine().is_stopping())
    }

    /// Where the TCP listeners listen: (host, port), in the order given.
    #[getter]
    fn addresses(&self, py: Python<'_>) -> PyResult<Vec<(String, u16)>> {
        let running = self.running(py)?;
        let addresses = running.engine().addresses().iter();
        Ok(addresses.map(|a| (a.ip().to_string(), a.port())).collect())
    }

    /// Publishes to all members of a room. Any thread; never waits for a peer.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        room, data, *, event=None, key=None, tags=None, exclude=None, exclude_rooms=None
    ))]
    fn publish(
        &self,
        py: Python<'_>,
        room: &str,
        data: &Bound<'_, PyAny>,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Published> {
        let running = self.running(py)?;
        let handle = running.link.handle(py)?;
        let beside = Beside::new(event, key, tags, exclude, exclude_rooms)?;
        let published = publish::with(py, data, &beside, |publication| {
            handle.publish(room, publication)
        });
        published.map(Into::into)
    }

    /// As `publish`; what became of it is told later.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        room, data, *, event=None, key=None, tags=None, exclude=None, exclude_rooms=None
    ))]
    fn publish_tracked(
        &self,
        py: Python<'_>,
        room: &str,
        data: &Bound<'_, PyAny>,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Tracked> {
        let running = self.running(py)?;
        let handle = running.link.handle(py)?;
        let beside = Beside::new(event, key, tags, exclude, exclude_rooms)?;
        let tracked = publish::with(py, data, &beside, |publication| {
            handle.publish_tracked(room, publication)
        });
        tracked.map(Into::into)
    }

    /// Publishes to all members of several rooms; whoever is in more than one is sent it once.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        rooms, data, *, event=None, key=None, tags=None, exclude=None, exclude_rooms=None
    ))]
    fn publish_union(
        &self,
        py: Python<'_>,
        rooms: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Published> {
        let running = self.running(py)?;
        let handle = running.link.handle(py)?;
        let beside = Beside::new(event, key, tags, exclude, exclude_rooms)?;
        let rooms = strings(rooms)?;
        let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
        let published = publish::with(py, data, &beside, |publication| {
            handle.publish_union(&rooms, publication)
        });
        published.map(Into::into)
    }

    /// Publishes several, given as (room, data), in order. Of each: what became of it, or the error
    /// that refused it.
    fn publish_many<'py>(
        &self,
        py: Python<'py>,
        items: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let running = self.running(py)?;
        let handle = running.link.handle(py)?;
        let beside = Beside::default();
        let _together = handle.cork();
        publish::many(py, items, |item| {
            let (room, data): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            let room: &str = room.extract()?;
            let published = publish::with(py, &data, &beside, |publication| {
                handle.publish(room, publication)
            });
            published.map(Into::into)
        })
    }

    /// A held room: the quick way to publish to it often.
    fn room(&self, py: Python<'_>, name: &str) -> PyResult<Room> {
        let running = self.running(py)?;
        let room = Room::new(running.link.handle(py)?, running.link.clone(), name);
        room.map_err(|refused| errors::refused(py, refused))
    }

    /// Sends a message to one connection. One that has closed is no error.
    fn send(&self, py: Python<'_>, to: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = connection::id(to)?;
        self.send_with(py, data, |handle, message| handle.send(id, message))
    }

    /// Sends a message to all connections of a user.
    fn send_user(
        &self,
        py: Python<'_>,
        user: &Bound<'_, PyAny>,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let user = connection::user(Some(user))?;
        self.send_with(py, data, |handle, message| match &user {
            Some(user) => handle.send_user(user, message),
            None => Ok(()),
        })
    }

    /// Sends a message to every open connection.
    fn send_all(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.send_with(py, data, |handle, message| handle.send_all(message))
    }

    /// Makes a connection a member of a room: it is sent everything published from now on that it
    /// asks for.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        who, room, how=None, *, filter=None, keys=None, flush_interval_ms=None, slow_policy=None
    ))]
    fn join(
        &self,
        py: Python<'_>,
        who: &Bound<'_, PyAny>,
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
        let running = self.running(py)?;
        how.join(py, running.link.handle(py)?, connection::id(who)?, room)
    }

    /// Adds keys to the watch-list of a member that joined with one.
    fn watch(
        &self,
        py: Python<'_>,
        who: &Bound<'_, PyAny>,
        room: &str,
        keys: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (id, keys) = (connection::id(who)?, strings(keys)?);
        self.with(py, |handle| handle.watch(id, room, keys))
    }

    /// Takes keys off the watch-list of a member.
    fn unwatch(
        &self,
        py: Python<'_>,
        who: &Bound<'_, PyAny>,
        room: &str,
        keys: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (id, keys) = (connection::id(who)?, strings(keys)?);
        self.with(py, |handle| handle.unwatch(id, room, keys))
    }

    /// Ends a membership.
    fn leave(&self, py: Python<'_>, who: &Bound<'_, PyAny>, room: &str) -> PyResult<()> {
        let id = connection::id(who)?;
        self.with(py, |handle| handle.leave(id, room))
    }

    /// Closes a connection, after what it is owed.
    #[pyo3(signature = (who, code=1000, text=""))]
    fn close(&self, py: Python<'_>, who: &Bound<'_, PyAny>, code: i64, text: &str) -> PyResult<()> {
        let (id, code) = (connection::id(who)?, connection::close_code(code));
        self.with(py, |handle| handle.close(id, code, text))
    }

    /// As `join`, where the token of the connection or on_permission allows it.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        who, room, how=None, *, filter=None, keys=None, flush_interval_ms=None, slow_policy=None
    ))]
    fn request_join(
        &self,
        py: Python<'_>,
        who: &Bound<'_, PyAny>,
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
        let running = self.running(py)?;
        how.request(py, running.link.handle(py)?, connection::id(who)?, room)
    }

    /// Publishes what a peer has said, where its token or on_permission allows it.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        who, room, data, *, event=None, key=None, tags=None, exclude=None, exclude_rooms=None
    ))]
    fn request_publish(
        &self,
        py: Python<'_>,
        who: &Bound<'_, PyAny>,
        room: &str,
        data: &Bound<'_, PyAny>,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let running = self.running(py)?;
        let (handle, id) = (running.link.handle(py)?, connection::id(who)?);
        let beside = Beside::new(event, key, tags, exclude, exclude_rooms)?;
        publish::with(py, data, &beside, |publication| {
            handle.request_publish(id, room, publication)
        })
    }

    /// Gives a connection a new token in place of the one it has.
    fn refresh(&self, py: Python<'_>, who: &Bound<'_, PyAny>, token: &str) -> PyResult<()> {
        let running = self.running(py)?;
        let handle = running.link.handle(py)?;
        let refreshed = handle.refresh(connection::id(who)?, token);
        refreshed.map_err(|error| errors::token(py, error))
    }

    /// Closes connections, and keeps their tokens out.
    #[pyo3(signature = (*, user=None, connection=None, token_id=None))]
    fn revoke(
        &self,
        py: Python<'_>,
        user: Option<&Bound<'_, PyAny>>,
        connection: Option<&Bound<'_, PyAny>>,
        token_id: Option<&str>,
    ) -> PyResult<()> {
        let running = self.running(py)?;
        let handle = running.link.handle(py)?;
        let user = connection::user(user)?;
        let id = connection.map(connection::id).transpose()?;
        match (&user, id, token_id) {
            (Some(user), None, None) => handle.revoke(Revoke::User(user)),
            (None, Some(id), None) => handle.revoke(Revoke::Connection(id)),
            (None, None, Some(token_id)) => handle.revoke(Revoke::Token(token_id)),
            _ => {
                let text = "revoke() takes one of user, connection and token_id";
                return Err(PyTypeError::new_err(text));
            }
        }
        Ok(())
    }

    /// Has tokens checked by these keys from now on.
    fn reload_auth(&self, py: Python<'_>, jwt: &Bound<'_, Jwt>) -> PyResult<()> {
        let running = self.running(py)?;
        let reloaded = running.link.handle(py)?.reload_auth(jwt.get().0.clone());
        reloaded.map_err(|error| errors::token(py, error))
    }

    /// Serves new TLS handshakes with these certificates from now on.
    fn reload_tls(&self, py: Python<'_>, tls: &Bound<'_, PyAny>) -> PyResult<()> {
        let running = self.running(py)?;
        let reloaded = running.link.handle(py)?.reload_tls(&tls::tls(tls)?);
        reloaded.map_err(|error| errors::tls(py, &error))
    }

    /// How many are in a room.
    fn presence(&self, py: Python<'_>, room: &str) -> PyResult<Presence> {
        self.with(py, |handle| Ok(handle.presence(room).into()))
    }

    /// Some members of a room with presence, from a place on.
    #[pyo3(signature = (room, after=None, limit=None))]
    fn present(
        &self,
        py: Python<'_>,
        room: &str,
        after: Option<u64>,
        limit: Option<usize>,
    ) -> PyResult<PresencePage> {
        let (after, limit) = (after.map(Cursor::from_u64), limit.unwrap_or_default());
        let page = self.with(py, |handle| {
            Ok(py.detach(|| handle.present(room, after, limit)))
        })?;
        Ok(page.into())
    }

    /// Members of a room, 0 for one that does not exist.
    fn count(&self, py: Python<'_>, room: &str) -> PyResult<usize> {
        self.with(py, |handle| Ok(handle.count(room)))
    }

    /// Member counts of all rooms.
    fn rooms<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let rooms = PyDict::new(py);
        for (name, members) in self.with(py, |handle| Ok(py.detach(|| handle.rooms())))? {
            rooms.set_item(name, members)?;
        }
        Ok(rooms)
    }

    /// Ids of a room's members. Asks the shards, so it takes about a turn.
    fn members(&self, py: Python<'_>, room: &str) -> PyResult<Vec<u64>> {
        let ids = self.with(py, |handle| py.detach(|| handle.members(room)))?;
        Ok(ids
            .into_iter()
            .map(roomcast::ConnectionId::as_u64)
            .collect())
    }

    /// Ids of all open connections. Asks the shards, so it takes about a turn.
    fn connections(&self, py: Python<'_>) -> PyResult<Vec<u64>> {
        let ids = self.with(py, |handle| py.detach(|| handle.connections()))?;
        Ok(ids
            .into_iter()
            .map(roomcast::ConnectionId::as_u64)
            .collect())
    }

    /// The object of a connection that a handler was called for and that has not ended.
    fn connection(&self, py: Python<'_>, id: u64) -> PyResult<Option<Py<Connection>>> {
        let id = roomcast::ConnectionId::from_u64(id);
        Ok(self.running(py)?.registry.find(py, id))
    }

    /// The engine's figures now; counters count from the start. With an earlier dict, durations are
    /// of what was recorded after it.
    #[pyo3(signature = (since=None))]
    fn stats<'py>(
        &self,
        py: Python<'py>,
        since: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let running = self.running(py)?;
        stats::dict(py, &running.engine().snapshot(), since)
    }

    /// The engine's figures as Prometheus reads them (`text/plain; version=0.0.4`).
    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.running(py)?.engine().snapshot().prometheus())
    }

    /// Takes over a connected socket, of which `data` was read already; the HTTP head is read,
    /// checked and answered by the engine.
    #[pyo3(signature = (sock, data=None))]
    fn adopt(
        &self,
        py: Python<'_>,
        sock: &Bound<'_, PyAny>,
        data: Option<Vec<u8>>,
    ) -> PyResult<()> {
        let running = self.running(py)?;
        let stream = sockets::take(sock)?;
        let adopted = running.engine().adopt(stream, &data.unwrap_or_default());
        adopted.map_err(|error| errors::adopt(py, &error))
    }

    /// Checks a request that came to the host's own HTTP server.
    fn upgrade(
        &self,
        py: Python<'_>,
        method: &str,
        target: &str,
        headers: &Bound<'_, PyAny>,
    ) -> PyResult<Upgrade> {
        let running = self.running(py)?;
        match upgrade::parts(method, target, headers)? {
            Some(parts) => Upgrade::new(py, running, parts),
            None => {
                let (status, text) = (400, "the request is malformed");
                let error = roomcast::AdoptError::NotUpgrade { status, text };
                Err(errors::adopt(py, &error))
            }
        }
    }

    /// One turn of an engine without threads, on this thread.
    fn _turn(&self, py: Python<'_>, timeout: f64) -> PyResult<bool> {
        let running = self.running(py)?;
        Ok(py.detach(|| running.engine().turn(duration(timeout))))
    }

    /// Seconds that a host without our threads may sleep on the descriptor; None for as long as it
    /// is not readable.
    fn next_turn(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(self
            .running(py)?
            .engine()
            .next_turn()
            .map(|d| d.as_secs_f64()))
    }

    /// The descriptor that becomes readable when an engine without threads has something to do.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.running(py)?
            .engine()
            .fd()
            .ok_or_else(|| errors::usage(py, "fileno() is for engines with own_threads=False"))
    }
}

fn duration(seconds: f64) -> Duration {
    // A year is for ever; NaN is no time at all.
    Duration::from_secs_f64(seconds.clamp(0.0, 31_536_000.0).max(0.0))
}
