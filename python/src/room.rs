//! `Room`: a held room, the quick way to publish to it often.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyList;
use roomcast::{Handle, Refused};

use crate::link::Link;
use crate::publish::{self, Exclusions};
use crate::values::{Position, Published};

/// A held room. While this object exists, the room does too, with its numbering.
#[pyclass(frozen, module = "roomcast")]
pub(crate) struct Room {
    pub(crate) room: roomcast::Room,
    pub(crate) link: Arc<Link>,
}

#[pymethods]
impl Room {
    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        self.room.name()
    }

    /// Members now.
    #[getter]
    fn members(&self, py: Python<'_>) -> PyResult<usize> {
        self.link.handle(py)?;
        Ok(self.room.members())
    }

    /// Epoch and offset now.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<Position> {
        self.link.handle(py)?;
        Ok(self.room.position().into())
    }

    /// Publishes to all members. Any thread; never waits for a peer.
    #[pyo3(signature = (data, *, exclude=None, exclude_rooms=None))]
    fn publish(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Published> {
        self.link.handle(py)?;
        let exclusions = Exclusions::new(exclude, exclude_rooms)?;
        publish::with(py, data, &exclusions, |publication| {
            self.room.publish(publication)
        })
    }

    /// Publishes several, in order. Of each: what became of it, or the error that refused it.
    fn publish_many<'py>(
        &self,
        py: Python<'py>,
        items: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.link.handle(py)?;
        let exclusions = Exclusions::default();
        publish::many(py, items, |item| {
            publish::with(py, item, &exclusions, |publication| {
                self.room.publish(publication)
            })
        })
    }

    fn __repr__(&self) -> String {
        format!("<roomcast.Room {:?}>", self.room.name())
    }
}

impl Room {
    pub(crate) fn new(handle: &Handle, link: Arc<Link>, name: &str) -> Result<Room, Refused> {
        let room = handle.room(name).map_err(|_| Refused::RoomName)?;
        Ok(Room { room, link })
    }
}
