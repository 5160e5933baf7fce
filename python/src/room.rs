//! `Room`: a held room, the quick way to publish to it often.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyList;
use roomcast::{Cursor, Handle, Refused};

use crate::link::Link;
use crate::presence::{Presence, PresencePage};
use crate::publish::{self, Beside};
use crate::values::{Position, Published, Tracked};

/// A held room. While this object exists, the room does too, with its numbering.
#[pyclass(frozen, module = "roomcast")]
pub(crate) struct Room {
    /// Taken out only at the end.
    held: Option<roomcast::Room>,
    link: Arc<Link>,
}

/// In a fork the locks of the parent's threads may be held for ever.
impl Drop for Room {
    fn drop(&mut self) {
        if self.link.is_forked() {
            std::mem::forget(self.held.take());
        }
    }
}

#[pymethods]
impl Room {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.held().name()
    }

    /// Members now.
    #[getter]
    fn members(&self, py: Python<'_>) -> PyResult<usize> {
        self.link.handle(py)?;
        Ok(self.held().members())
    }

    /// How many are in it now.
    #[getter]
    fn presence(&self, py: Python<'_>) -> PyResult<Presence> {
        self.link.handle(py)?;
        Ok(self.held().presence().into())
    }

    /// Some of its members, from a place on.
    #[pyo3(signature = (after=None, limit=None))]
    fn present(
        &self,
        py: Python<'_>,
        after: Option<u64>,
        limit: Option<usize>,
    ) -> PyResult<PresencePage> {
        self.link.handle(py)?;
        let after = after.map(Cursor::from_u64);
        let page = py.detach(|| self.held().present(after, limit.unwrap_or_default()));
        Ok(page.into())
    }

    /// Epoch and offset now.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<Position> {
        self.link.handle(py)?;
        Ok(self.held().position().into())
    }

    /// Publishes to all members. Any thread; never waits for a peer.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        data, *, event=None, key=None, tags=None, exclude=None, exclude_rooms=None
    ))]
    fn publish(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Published> {
        self.link.handle(py)?;
        let beside = Beside::new(event, key, tags, exclude, exclude_rooms)?;
        let published = publish::with(py, data, &beside, |publication| {
            self.held().publish(publication)
        });
        published.map(Into::into)
    }

    /// As `publish`; what became of it is told later.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (
        data, *, event=None, key=None, tags=None, exclude=None, exclude_rooms=None
    ))]
    fn publish_tracked(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Tracked> {
        self.link.handle(py)?;
        let beside = Beside::new(event, key, tags, exclude, exclude_rooms)?;
        let tracked = publish::with(py, data, &beside, |publication| {
            self.held().publish_tracked(publication)
        });
        tracked.map(Into::into)
    }

    /// Publishes several, in order. Of each: what became of it, or the error that refused it.
    fn publish_many<'py>(
        &self,
        py: Python<'py>,
        items: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        let _together = self.link.handle(py)?.cork();
        let beside = Beside::default();
        publish::many(py, items, |item| {
            let published = publish::with(py, item, &beside, |publication| {
                self.held().publish(publication)
            });
            published.map(Into::into)
        })
    }

    fn __repr__(&self) -> String {
        format!("<roomcast.Room {:?}>", self.held().name())
    }
}

impl Room {
    pub(crate) fn new(handle: &Handle, link: Arc<Link>, name: &str) -> Result<Room, Refused> {
        let room = handle.room(name).map_err(|_| Refused::RoomName)?;
        Ok(Room {
            held: Some(room),
            link,
        })
    }

    fn held(&self) -> &roomcast::Room {
        self.held.as_ref().expect("it is taken out at the end only")
    }
}
