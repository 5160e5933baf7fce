//! Who is in a room, as values.

use std::sync::Arc;

use pyo3::prelude::*;
use roomcast::Cursor;

use crate::payload;
use crate::values::shown;

/// How many are in a room.
#[pyclass(frozen, eq, hash, get_all, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Presence {
    members: usize,
    users: Option<usize>,
}

impl From<roomcast::Presence> for Presence {
    fn from(presence: roomcast::Presence) -> Self {
        Presence {
            members: presence.members,
            users: presence.users,
        }
    }
}

#[pymethods]
impl Presence {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        shown("Presence", slf.as_any(), &["members", "users"])
    }
}

/// A member of a room with presence.
#[pyclass(frozen, eq, module = "roomcast")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Present {
    id: u64,
    user: Option<Arc<str>>,
    info: Option<Arc<str>>,
}

impl From<roomcast::Present> for Present {
    fn from(present: roomcast::Present) -> Self {
        Present {
            id: present.id.as_u64(),
            user: present.user,
            info: present.info,
        }
    }
}

#[pymethods]
impl Present {
    /// The id of the connection.
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    /// The user that it was accepted as.
    #[getter]
    fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// What it was accepted with for others to see, decoded.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let info = self.info.as_deref();
        info.map(|info| payload::decoded(py, info)).transpose()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        shown("Present", slf.as_any(), &["id", "user", "info"])
    }
}

/// Some members of a room, in the order in which they joined.
#[pyclass(frozen, eq, get_all, module = "roomcast")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PresencePage {
    present: Vec<Present>,
    next: Option<u64>,
}

impl From<roomcast::PresencePage> for PresencePage {
    fn from(page: roomcast::PresencePage) -> Self {
        PresencePage {
            present: page.present.into_iter().map(Into::into).collect(),
            next: page.next.map(Cursor::as_u64),
        }
    }
}

#[pymethods]
impl PresencePage {
    fn __repr__(&self) -> String {
        let next = self.next.map_or("None".into(), |next| next.to_string());
        format!(
            "<roomcast.PresencePage of {}, next={next}>",
            self.present.len()
        )
    }
}
