//! What is kept of a connection outside Python: its request, in few bytes, and whether it is there.
//!
//! Made on a shard's thread or by a verdict. Shards own the [`Ticket`], which holds no Python
//! object; when the engine lets go of it, the connection is noted as gone, and the next dispatch
//! forgets its object.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use pyo3::prelude::*;
use roomcast::{ConnectionId, Request};

use crate::connection::Connection;

const WAITING: u8 = 0;
const OPEN: u8 = 1;
const GONE: u8 = 2;

/// One connection, for as long as the engine or a Python object knows it.
pub(crate) struct Client {
    /// The request's target, then `name: value` of each header field, a line each.
    head: Box<str>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) peer_ip: Option<IpAddr>,
    pub(crate) user: OnceLock<Box<str>>,
    pub(crate) subprotocol: OnceLock<Box<str>>,
    /// Set once Python has an object for it.
    pub(crate) known: OnceLock<ConnectionId>,
    state: AtomicU8,
}

impl Client {
    pub(crate) fn new(request: &Request) -> Client {
        let mut head = String::with_capacity(512);
        head.push_str(request.path());
        if let Some(query) = request.query() {
            head.push('?');
            head.push_str(query);
        }
        for (name, value) in request.headers() {
            head.push('\n');
            head.push_str(name.as_str());
            head.push_str(": ");
            // Each byte is a character (ISO 8859-1), as ASGI and WSGI have it.
            head.extend(value.as_bytes().iter().map(|byte| char::from(*byte)));
        }
        Client {
            head: head.into(),
            peer: request.peer(),
            peer_ip: request.peer_ip(),
            user: OnceLock::new(),
            subprotocol: OnceLock::new(),
            known: OnceLock::new(),
            state: AtomicU8::new(WAITING),
        }
    }

    pub(crate) fn target(&self) -> &str {
        self.head.split('\n').next().unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    pub(crate) fn query(&self) -> &str {
        self.target().split_once('?').map_or("", |(_, query)| query)
    }

    /// Names are in lower case.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.head.split('\n').skip(1);
        lines.filter_map(|line| line.split_once(": "))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state.load(Ordering::Relaxed) == OPEN
    }

    pub(crate) fn on_open(&self) {
        self.state.store(OPEN, Ordering::Relaxed);
    }

    pub(crate) fn on_gone(&self) {
        self.state.store(GONE, Ordering::Relaxed);
    }
}

/// Ids of connections that Python knew and that the engine has let go of.
#[derive(Default)]
pub(crate) struct Gone(Mutex<Vec<ConnectionId>>);

impl Gone {
    pub(crate) fn take(&self) -> Vec<ConnectionId> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// Objects of connections that were accepted, by id, until their last event.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<ConnectionId, Py<Connection>, RandomState>>);

impl Registry {
    pub(crate) fn find(&self, py: Python<'_>, id: ConnectionId) -> Option<Py<Connection>> {
        self.0.lock().get(&id).map(|known| known.clone_ref(py))
    }

    // In two steps each: what is let go of may run Python code, and that without the lock.

    pub(crate) fn add(&self, id: ConnectionId, connection: Py<Connection>) {
        let before = self.0.lock().insert(id, connection);
        drop(before);
    }

    pub(crate) fn remove(&self, id: ConnectionId) {
        let gone = self.0.lock().remove(&id);
        drop(gone);
    }

    pub(crate) fn clear(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        drop(all);
    }
}

/// The engine's hold on a client.
pub(crate) struct Ticket {
    pub(crate) client: Arc<Client>,
    pub(crate) gone: Arc<Gone>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.client.on_gone();
        if let Some(id) = self.client.known.get() {
            self.gone.0.lock().push(*id);
        }
    }
}
