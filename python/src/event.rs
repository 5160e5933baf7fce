//! `Event`: what a host that pulls is told.

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::connection::Connection;
use crate::values::CloseReason;

/// Something that happened. `kind` says which of the other fields mean anything.
#[pyclass(frozen, get_all, name = "Event", module = "roomcast")]
pub(crate) struct PulledEvent {
    /// "connect", "open", "message", "close", "lag" or "backpressure".
    pub(crate) kind: &'static str,
    /// Which.
    pub(crate) connection: Option<Py<Connection>>,
    /// Of a message: the payload.
    data: Option<Py<PyAny>>,
    /// Of a close: why.
    reason: Option<CloseReason>,
    /// Of a lag: the room.
    room: Option<String>,
    /// Of a lag: how many publications of it the connection jumped over.
    missed: u64,
    /// Of backpressure: whether more than `outbox_high_bytes` wait.
    high: bool,
}

impl PulledEvent {
    pub(crate) fn of(kind: &'static str) -> Self {
        PulledEvent {
            kind,
            connection: None,
            data: None,
            reason: None,
            room: None,
            missed: 0,
            high: false,
        }
    }

    pub(crate) fn new(kind: &'static str, connection: Py<Connection>) -> Self {
        PulledEvent {
            connection: Some(connection),
            ..Self::of(kind)
        }
    }

    pub(crate) fn message(data: Py<PyAny>) -> Self {
        PulledEvent {
            data: Some(data),
            ..Self::of("message")
        }
    }

    pub(crate) fn closed(reason: CloseReason) -> Self {
        PulledEvent {
            reason: Some(reason),
            ..Self::of("close")
        }
    }

    pub(crate) fn backpressure(high: bool) -> Self {
        PulledEvent {
            high,
            ..Self::of("backpressure")
        }
    }

    pub(crate) fn lagged(room: String, missed: u64) -> Self {
        PulledEvent {
            room: Some(room),
            missed,
            ..Self::of("lag")
        }
    }
}

#[pymethods]
impl PulledEvent {
    /// A host may keep it in its connection's `state`, which is where such a cycle is broken.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.connection)?;
        visit.call(&self.data)
    }

    fn __repr__(&self) -> String {
        format!("<roomcast.Event {}>", self.kind)
    }
}
