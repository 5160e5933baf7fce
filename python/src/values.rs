//! Small values that calls answer with.

use pyo3::prelude::*;
use roomcast::{CloseReason as Reason, Position as Place, Published as Numbered};

/// A value as Python would write it, from those of its parts that are not None.
pub(crate) fn shown(class: &str, value: &Bound<'_, PyAny>, parts: &[&str]) -> PyResult<String> {
    let mut words = Vec::with_capacity(parts.len());
    for part in parts {
        let value = value.getattr(*part)?;
        if !value.is_none() {
            words.push(format!("{part}={}", value.repr()?.to_str()?));
        }
    }
    Ok(format!("{class}({})", words.join(", ")))
}

/// What became of a publication.
#[pyclass(frozen, eq, hash, get_all, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Published {
    offset: Option<u64>,
    members: usize,
}

impl From<Numbered> for Published {
    fn from(published: Numbered) -> Self {
        Published {
            offset: published.offset,
            members: published.members,
        }
    }
}

#[pymethods]
impl Published {
    fn __repr__(&self) -> String {
        let offset = self.offset.map_or("None".into(), |o| o.to_string());
        format!("Published(offset={offset}, members={})", self.members)
    }
}

/// A publication whose fate will be reported.
#[pyclass(frozen, eq, hash, get_all, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tracked {
    token: u64,
    offset: Option<u64>,
    members: usize,
}

impl From<roomcast::Tracked> for Tracked {
    fn from(tracked: roomcast::Tracked) -> Self {
        Tracked {
            token: tracked.token,
            offset: tracked.published.offset,
            members: tracked.published.members,
        }
    }
}

#[pymethods]
impl Tracked {
    fn __repr__(&self) -> String {
        let offset = self.offset.map_or("None".into(), |o| o.to_string());
        let (token, members) = (self.token, self.members);
        format!("Tracked(token={token}, offset={offset}, members={members})")
    }
}

/// What became of a tracked publication.
#[pyclass(frozen, eq, hash, get_all, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Delivery {
    token: u64,
    offset: Option<u64>,
    reached: usize,
    filtered: usize,
    skipped: usize,
    conflated: usize,
    lagging: usize,
}

impl From<roomcast::Delivery> for Delivery {
    fn from(delivery: roomcast::Delivery) -> Self {
        Delivery {
            token: delivery.token,
            offset: delivery.offset,
            reached: delivery.reached,
            filtered: delivery.filtered,
            skipped: delivery.skipped,
            conflated: delivery.conflated,
            lagging: delivery.lagging,
        }
    }
}

#[pymethods]
impl Delivery {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut parts = vec!["token", "offset", "reached", "filtered"];
        parts.extend(["skipped", "conflated", "lagging"]);
        shown("Delivery", slf.as_any(), &parts)
    }
}

/// What a slow member was not sent, of one room.
#[pyclass(frozen, eq, hash, get_all, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Missed {
    count: u64,
    first: u64,
    last: u64,
    replaced: bool,
}

impl From<roomcast::Missed> for Missed {
    fn from(missed: roomcast::Missed) -> Self {
        Missed {
            count: missed.count,
            first: missed.first,
            last: missed.last,
            replaced: missed.replaced,
        }
    }
}

#[pymethods]
impl Missed {
    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let parts = ["count", "first", "last", "replaced"];
        shown("Missed", slf.as_any(), &parts)
    }
}

/// A place in a room's sequence of publications.
#[pyclass(frozen, eq, hash, get_all, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Position {
    epoch: u64,
    offset: u64,
}

impl From<Place> for Position {
    fn from(place: Place) -> Self {
        Position {
            epoch: place.epoch,
            offset: place.offset,
        }
    }
}

#[pymethods]
impl Position {
    fn __repr__(&self) -> String {
        format!("Position(epoch={}, offset={})", self.epoch, self.offset)
    }
}

/// How stopping went.
#[pyclass(frozen, eq, get_all, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StopReport {
    connections: usize,
    cut: usize,
    took_ms: u64,
}

impl From<roomcast::StopReport> for StopReport {
    fn from(report: roomcast::StopReport) -> Self {
        StopReport {
            connections: report.connections,
            cut: report.cut,
            took_ms: report.took_ms,
        }
    }
}

#[pymethods]
impl StopReport {
    fn __repr__(&self) -> String {
        format!(
            "StopReport(connections={}, cut={}, took_ms={})",
            self.connections, self.cut, self.took_ms
        )
    }
}

/// Why a connection ended.
#[pyclass(frozen, eq, get_all, module = "roomcast")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CloseReason {
    name: &'static str,
    code: u16,
    text: String,
}

impl From<&Reason> for CloseReason {
    fn from(reason: &Reason) -> Self {
        let text = match reason {
            Reason::Peer { text, .. } => text.clone(),
            Reason::Protocol { text, .. } => (*text).to_owned(),
            Reason::Limit { name } => (*name).to_owned(),
            _ => String::new(),
        };
        CloseReason {
            name: reason.name(),
            code: reason.code(),
            text,
        }
    }
}

#[pymethods]
impl CloseReason {
    fn __repr__(&self) -> String {
        format!(
            "CloseReason(name={:?}, code={}, text={:?})",
            self.name, self.code, self.text
        )
    }

    fn __str__(&self) -> String {
        match self.text.is_empty() {
            true => format!("{} {}", self.name, self.code),
            false => format!("{} {}: {}", self.name, self.code, self.text),
        }
    }
}
