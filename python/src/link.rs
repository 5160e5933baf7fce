//! What every Python object of a started engine holds of it: the handle, the events, and from which
//! process it was started.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use roomcast::{Events, Handle, Status};

use crate::errors;

/// How often this process is a fork of the one that imported the module.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// Called in each child by `os.register_at_fork`.
#[pyfunction]
pub(crate) fn on_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) struct Link {
    handle: Handle,
    pub(crate) events: Events,
    engine: Py<PyWeakrefReference>,
    forks: usize,
}

impl Link {
    pub(crate) fn new(handle: Handle, events: Events, engine: &Bound<'_, PyAny>) -> PyResult<Link> {
        Ok(Link {
            handle,
            events,
            engine: PyWeakrefReference::new(engine)?.unbind(),
            forks: FORKS.load(Ordering::Relaxed),
        })
    }

    /// Whether this process is a fork of the one that started the engine: its threads are not here,
    /// and their locks may be held for ever.
    pub(crate) fn is_forked(&self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.forks
    }

    /// The handle, unless it is of no use in this process.
    pub(crate) fn handle(&self, py: Python<'_>) -> PyResult<&Handle> {
        match self.is_forked() {
            true => Err(errors::usage(
                py,
                "this engine was started before the process was forked, and its threads are not \
                 in this process: start it in the process that uses it",
            )),
            false => Ok(&self.handle),
        }
    }

    /// The Python engine, while it is there.
    pub(crate) fn engine(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let engine = self.engine.bind(py).upgrade();
        engine.map(Bound::unbind).ok_or_else(|| {
            errors::error(py, Status::Stopped, "the engine of this connection is gone")
        })
    }
}
