//! `Join`: how a connection is a member of a room.
//!
//! Made by the host, once for many members where it likes; the engine gets a copy with each join.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use roomcast::{ConnectionId, Handle, Limits, Status};

use crate::errors;
use crate::filter::{self, Filter};
use crate::named::{named, strings};
use crate::policy::SlowPolicy;
use crate::settings::number;
use crate::values::{Position, shown};

/// A flush interval as given.
pub(crate) fn interval(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u32>> {
    value
        .map(|value| number("flush_interval_ms", value))
        .transpose()
}

/// How a connection is a member of a room.
#[pyclass(frozen, eq, hash, module = "roomcast")]
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Join {
    filter: Option<Filter>,
    keys: Option<Vec<String>>,
    flush_interval_ms: Option<u32>,
    slow_policy: Option<SlowPolicy>,
}

#[pymethods]
impl Join {
    #[new]
    #[pyo3(signature = (*, filter=None, keys=None, flush_interval_ms=None, slow_policy=None))]
    fn new(
        filter: Option<&Bound<'_, PyAny>>,
        keys: Option<&Bound<'_, PyAny>>,
        flush_interval_ms: Option<&Bound<'_, PyAny>>,
        slow_policy: Option<SlowPolicy>,
    ) -> PyResult<Self> {
        Ok(Join {
            filter: filter.map(filter::filter).transpose()?.map(Filter),
            keys: keys.map(strings).transpose()?,
            flush_interval_ms: interval(flush_interval_ms)?,
            slow_policy,
        })
    }

    /// Which publications it is sent; None for no such choice.
    #[getter]
    fn filter(&self) -> Option<Filter> {
        self.filter.clone()
    }

    /// The keys that it watches from the beginning; None where it watches none in particular.
    #[getter]
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let keys = self.keys.as_ref();
        keys.map(|keys| PyTuple::new(py, keys)).transpose()
    }

    /// Milliseconds within which publications wait for each other; None for the room's.
    #[getter]
    fn flush_interval_ms(&self) -> Option<u32> {
        self.flush_interval_ms
    }

    /// What happens to it when it is too slow; None for the room's.
    #[getter]
    fn slow_policy(&self) -> Option<&'static str> {
        self.slow_policy.and_then(SlowPolicy::word)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let parts = ["filter", "keys", "flush_interval_ms", "slow_policy"];
        shown("Join", slf.as_any(), &parts)
    }
}

impl Join {
    /// As the engine takes it, unless a key is too long.
    fn checked(&self, py: Python<'_>, limits: &Limits) -> PyResult<roomcast::Join> {
        let mut join = roomcast::Join::new();
        if let Some(filter) = &self.filter {
            join = join.filter(filter.0.clone());
        }
        if let Some(keys) = &self.keys {
            if keys.iter().any(|key| key.len() > limits.key_bytes_max) {
                return Err(errors::error(py, Status::Key, Status::Key.text()));
            }
            join = join.keys(keys);
        }
        if let Some(interval) = self.flush_interval_ms {
            join = join.flush_interval_ms(interval);
        }
        if let Some(policy) = self.slow_policy {
            join = join.slow_policy(policy.0);
        }
        Ok(join)
    }
}

/// What `join` is given beside the room: a `Join`, or its parts.
pub(crate) struct How<'a, 'py> {
    pub(crate) how: Option<&'a Bound<'py, Join>>,
    pub(crate) filter: Option<&'a Bound<'py, PyAny>>,
    pub(crate) keys: Option<&'a Bound<'py, PyAny>>,
    pub(crate) flush_interval_ms: Option<&'a Bound<'py, PyAny>>,
    pub(crate) slow_policy: Option<SlowPolicy>,
}

impl How<'_, '_> {
    /// Joins so; without a word of it, as the room's options say, or as it is a member already.
    pub(crate) fn join(
        self,
        py: Python<'_>,
        handle: &Handle,
        id: ConnectionId,
        room: &str,
    ) -> PyResult<Position> {
        let joined = match self.checked(py, handle.limits())? {
            Some(join) => handle.join_with(id, room, join),
            None => handle.join(id, room),
        };
        joined
            .map(Into::into)
            .map_err(|error| errors::command(py, error))
    }

    /// The peer asks to join so.
    pub(crate) fn request(
        self,
        py: Python<'_>,
        handle: &Handle,
        id: ConnectionId,
        room: &str,
    ) -> PyResult<()> {
        let join = self.checked(py, handle.limits())?.unwrap_or_default();
        let asked = handle.request_join(id, room, join);
        asked.map_err(|error| errors::command(py, error))
    }

    fn checked(self, py: Python<'_>, limits: &Limits) -> PyResult<Option<roomcast::Join>> {
        let parts = [self.filter, self.keys, self.flush_interval_ms];
        let has_parts = parts.iter().any(Option::is_some) || self.slow_policy.is_some();
        match self.how {
            Some(_) if has_parts => {
                let text = "join() takes a Join or its parts, not both";
                Err(PyTypeError::new_err(text))
            }
            Some(how) => how.get().checked(py, limits).map(Some),
            None if has_parts => {
                let [filter, keys, flush_interval_ms] = parts;
                let join = Join::new(filter, keys, flush_interval_ms, self.slow_policy)?;
                join.checked(py, limits).map(Some)
            }
            None => Ok(None),
        }
    }
}

/// The rooms of a verdict, each with how it is joined. They are checked here: once the verdict is
/// given nobody could be told.
pub(crate) fn memberships(
    limits: &Limits,
    rooms: &Bound<'_, PyAny>,
) -> PyResult<Vec<(String, Option<roomcast::Join>)>> {
    let py = rooms.py();
    let rooms = named::<String, Join>("rooms", rooms)?.into_iter();
    let checked = |(name, how): (String, Option<Bound<'_, Join>>)| {
        if name.is_empty() || name.len() > limits.room_name_bytes_max {
            return Err(errors::error(py, Status::RoomName, Status::RoomName.text()));
        }
        let how = how.map(|how| how.get().checked(py, limits)).transpose()?;
        Ok((name, how))
    };
    rooms.map(checked).collect()
}
