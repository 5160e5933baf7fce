//! `Wish`: what a peer wants in a room and its token does not allow by itself.
//!
//! Answered once, by what its handler returns or by a call, on any thread. One that Python lets go
//! of unanswered is denied.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBool;
use roomcast::Status;

use crate::connection::later;
use crate::errors;
use crate::link::Link;
use crate::payload;

/// What a peer wants in a room.
#[pyclass(frozen, module = "roomcast")]
pub(crate) struct Wish {
    verb: &'static str,
    room: String,
    data: Option<Py<PyAny>>,
    open: Mutex<Option<roomcast::Wish>>,
    link: Arc<Link>,
}

impl Wish {
    pub(crate) fn new(
        py: Python<'_>,
        wish: roomcast::Wish,
        link: &Arc<Link>,
        share: bool,
    ) -> PyResult<Self> {
        let data = wish
            .data()
            .map(|(kind, data)| payload::received(py, kind, Bytes::copy_from_slice(data), share))
            .transpose()?;
        Ok(Wish {
            verb: wish.verb().name(),
            room: wish.room().to_owned(),
            data: data.map(Bound::unbind),
            open: Mutex::new(Some(wish)),
            link: link.clone(),
        })
    }

    /// Denied, unless it has its answer.
    pub(crate) fn abandon(&self) {
        if !self.link.is_forked() {
            let wish = self.open.lock().take();
            drop(wish);
        }
    }

    fn take(&self, py: Python<'_>) -> PyResult<roomcast::Wish> {
        self.link.handle(py)?;
        let wish = self.open.lock().take();
        wish.ok_or_else(|| errors::error(py, Status::Answered, "this wish has its answer"))
    }
}

#[pymethods]
impl Wish {
    /// "join" or "publish".
    #[getter]
    fn verb(&self) -> &'static str {
        self.verb
    }

    /// In which room.
    #[getter]
    fn room(&self) -> &str {
        &self.room
    }

    /// What the peer wants to publish.
    #[getter]
    fn data(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.data.as_ref().map(|data| data.clone_ref(py))
    }

    /// Allows it; whether it is done.
    fn allow(&self, py: Python<'_>) -> PyResult<bool> {
        let wish = self.take(py)?;
        Ok(py.detach(|| wish.allow()))
    }

    /// Does not allow it.
    fn deny(&self, py: Python<'_>) -> PyResult<()> {
        self.take(py)?.deny();
        Ok(())
    }

    /// Gives the answer that an on_permission handler has returned, where it gave none.
    pub(crate) fn _settle(&self, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = result.py();
        if self.open.lock().is_none() || result.is(later(py)?) {
            return Ok(());
        }
        match result.cast::<PyBool>() {
            Ok(verdict) if verdict.is_true() => self.allow(py).map(drop),
            Ok(_) => self.deny(py),
            Err(_) if result.is_none() => self.deny(py),
            Err(_) => {
                self.abandon();
                let name = result.get_type().name()?;
                Err(PyTypeError::new_err(format!(
                    "on_permission returned {name}; it answers through allow() or deny(), or \
                     returns None, a bool or roomcast.LATER"
                )))
            }
        }
    }

    fn __repr__(&self) -> String {
        format!("<roomcast.Wish to {} {:?}>", self.verb, self.room)
    }
}

/// In a fork the locks of the parent's threads may be held for ever.
impl Drop for Wish {
    fn drop(&mut self) {
        if self.link.is_forked() {
            std::mem::forget(self.open.get_mut().take());
        }
    }
}
