//! A publication on its way from Python into the engine.
//!
//! Runs on the caller's thread. It keeps the GIL for the microsecond that it takes, since nothing
//! that it waits for waits for Python; large payloads are copied without it.

use pyo3::prelude::*;
use pyo3::types::{PyInt, PyList};
use roomcast::{ConnectionId, Publication, Refused};

use crate::connection::{self, Connection};
use crate::errors;
use crate::labels::Tags;
use crate::named::strings;
use crate::payload;
use crate::values::Published;

/// Above this, other Python threads run while the payload is copied.
const DETACH_BYTES: usize = 64 * 1024;

/// What is said of a publication beside its data, and who is left out.
#[derive(Default)]
pub(crate) struct Beside<'a> {
    event: Option<&'a str>,
    key: Option<&'a str>,
    tags: Tags,
    connections: Vec<ConnectionId>,
    rooms: Vec<String>,
}

impl<'a> Beside<'a> {
    pub(crate) fn new(
        event: Option<&'a str>,
        key: Option<&'a str>,
        tags: Option<&Bound<'_, PyAny>>,
        exclude: Option<&Bound<'_, PyAny>>,
        exclude_rooms: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Beside {
            event,
            key,
            tags: Tags::new(tags)?,
            connections: exclude.map_or(Ok(Vec::new()), ids)?,
            rooms: exclude_rooms.map_or(Ok(Vec::new()), strings)?,
        })
    }
}

/// One connection, its id, or several of either.
fn ids(who: &Bound<'_, PyAny>) -> PyResult<Vec<ConnectionId>> {
    if who.is_instance_of::<Connection>() || who.is_instance_of::<PyInt>() {
        return Ok(vec![connection::id(who)?]);
    }
    who.try_iter()?.map(|one| connection::id(&one?)).collect()
}

/// Makes the publication, and gives it to `publish`.
pub(crate) fn with<T: Send>(
    py: Python<'_>,
    data: &Bound<'_, PyAny>,
    beside: &Beside<'_>,
    publish: impl Fn(Publication<'_>) -> Result<T, Refused> + Sync,
) -> PyResult<T> {
    let encoded = payload::encoded(data)?;
    let data = payload::data(&encoded)?;
    let rooms: Vec<&str> = beside.rooms.iter().map(String::as_str).collect();
    let tags = beside.tags.pairs();
    let mut publication = data
        .publication()
        .tags(&tags)
        .except(&beside.connections)
        .except_rooms(&rooms);
    if let Some(event) = beside.event {
        publication = publication.event(event);
    }
    if let Some(key) = beside.key {
        publication = publication.key(key);
    }
    let published = match data.len() > DETACH_BYTES {
        true => py.detach(|| publish(publication)),
        false => publish(publication),
    };
    published.map_err(|refused| errors::refused(py, refused))
}

/// Publishes each item. One that is refused stands in the answer as its error; a wrong type is the
/// caller's mistake and raised, with the items before it published.
pub(crate) fn many<'py>(
    py: Python<'py>,
    items: &Bound<'py, PyAny>,
    publish: impl Fn(&Bound<'py, PyAny>) -> PyResult<Published>,
) -> PyResult<Bound<'py, PyList>> {
    let answers = PyList::empty(py);
    for item in items.try_iter()? {
        match publish(&item?) {
            Ok(published) => answers.append(published)?,
            Err(error) if error.value(py).hasattr("status")? => answers.append(error.value(py))?,
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}
