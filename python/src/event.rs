//! `Event`: what a host that pulls is told.

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::connection::Connection;
use crate::values::{CloseReason, Delivery, Missed};
use crate::wish::Wish;

/// Something that happened. `kind` says which of the other fields mean anything.
#[pyclass(frozen, get_all, name = "Event", module = "roomcast")]
pub(crate) struct PulledEvent {
    /// "connect", "open", "message", "close", "lag", "backpressure", "expiring", "permission" or
    /// "delivered".
    pub(crate) kind: &'static str,
    /// Which; a delivery is of none.
    pub(crate) connection: Option<Py<Connection>>,
    /// Of a message: the payload.
    data: Option<Py<PyAny>>,
    /// Of a close: why.
    reason: Option<CloseReason>,
    /// Of a lag and of a delivery: the room.
    room: Option<String>,
    /// Of a lag: which publications of it the connection was not sent.
    missed: Option<Missed>,
    /// Of a delivery: what became of the publication.
    delivery: Option<Delivery>,
    /// Of a permission: what the peer wants; takes the answer.
    wish: Option<Py<Wish>>,
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
            missed: None,
            delivery: None,
            wish: None,
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

    pub(crate) fn permission(wish: Py<Wish>) -> Self {
        PulledEvent {
            wish: Some(wish),
            ..Self::of("permission")
        }
    }

    pub(crate) fn lagged(room: String, missed: Missed) -> Self {
        PulledEvent {
            room: Some(room),
            missed: Some(missed),
            ..Self::of("lag")
        }
    }

    pub(crate) fn delivered(room: String, delivery: Delivery) -> Self {
        PulledEvent {
            room: Some(room),
            delivery: Some(delivery),
            ..Self::of("delivered")
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
