//! `RoomOptions` and `ListenOptions`: what holds for rooms whose names begin alike, and for one
//! listener.

use pyo3::prelude::*;

use crate::join::interval;
use crate::policy::SlowPolicy;
use crate::settings::number;
use crate::values::shown;

/// What holds for rooms whose names begin alike.
#[pyclass(frozen, eq, hash, module = "roomcast")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct RoomOptions {
    flush_interval_ms: Option<u32>,
    conflate: bool,
    slow_policy: Option<SlowPolicy>,
    deflate: bool,
    history: u32,
}

#[pymethods]
impl RoomOptions {
    #[new]
    #[pyo3(signature = (
        *, flush_interval_ms=None, conflate=false, slow_policy=None, deflate=true, history=0
    ))]
    fn new(
        flush_interval_ms: Option<&Bound<'_, PyAny>>,
        conflate: bool,
        slow_policy: Option<SlowPolicy>,
        deflate: bool,
        #[pyo3(from_py_with = publications)] history: u32,
    ) -> PyResult<Self> {
        Ok(RoomOptions {
            flush_interval_ms: interval(flush_interval_ms)?,
            conflate,
            slow_policy,
            deflate,
            history,
        })
    }

    /// Milliseconds within which publications wait for each other; None for the engine's.
    #[getter]
    fn flush_interval_ms(&self) -> Option<u32> {
        self.flush_interval_ms
    }

    /// Whether only the newest publication of a key leaves with each interval.
    #[getter]
    fn conflate(&self) -> bool {
        self.conflate
    }

    /// What happens to members that are too slow; None for the engine's.
    #[getter]
    fn slow_policy(&self) -> Option<&'static str> {
        self.slow_policy.and_then(SlowPolicy::word)
    }

    /// Whether publications are compressed for members that agreed on it.
    #[getter]
    fn deflate(&self) -> bool {
        self.deflate
    }

    /// How many publications a room keeps for members with the policy "replay".
    #[getter]
    fn history(&self) -> u32 {
        self.history
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut parts = vec!["flush_interval_ms", "conflate", "slow_policy", "deflate"];
        if slf.get().history > 0 {
            parts.push("history");
        }
        shown("RoomOptions", slf.as_any(), &parts)
    }
}

/// How many publications a history keeps, as given.
fn publications(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    number("history", value)
}

impl RoomOptions {
    /// As the engine takes them.
    pub(crate) fn options(&self) -> roomcast::RoomOptions {
        let mut options = roomcast::RoomOptions::new()
            .conflate(self.conflate)
            .deflate(self.deflate)
            .history(self.history);
        if let Some(interval) = self.flush_interval_ms {
            options = options.flush_interval_ms(interval);
        }
        if let Some(policy) = self.slow_policy {
            options = options.slow_policy(policy.0);
        }
        options
    }
}

/// What holds for one listener.
#[pyclass(frozen, eq, hash, module = "roomcast")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ListenOptions {
    deflate: bool,
}

#[pymethods]
impl ListenOptions {
    #[new]
    #[pyo3(signature = (*, deflate=true))]
    fn new(deflate: bool) -> Self {
        ListenOptions { deflate }
    }

    /// Whether compression is agreed on with peers that come through it.
    #[getter]
    fn deflate(&self) -> bool {
        self.deflate
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        shown("ListenOptions", slf.as_any(), &["deflate"])
    }
}

impl ListenOptions {
    /// As the engine takes them.
    pub(crate) fn options(&self) -> roomcast::ListenOptions {
        roomcast::ListenOptions::new().deflate(self.deflate)
    }
}
