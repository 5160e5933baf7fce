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
    presence: bool,
    presence_interval_ms: u32,
}

#[pymethods]
impl RoomOptions {
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[new]
    #[pyo3(signature = (
        *, flush_interval_ms=None, conflate=false, slow_policy=None, deflate=true, history=0,
        presence=false, presence_interval_ms=0
    ))]
    fn new(
        flush_interval_ms: Option<&Bound<'_, PyAny>>,
        conflate: bool,
        slow_policy: Option<SlowPolicy>,
        deflate: bool,
        #[pyo3(from_py_with = publications)] history: u32,
        presence: bool,
        #[pyo3(from_py_with = notices)] presence_interval_ms: u32,
    ) -> PyResult<Self> {
        Ok(RoomOptions {
            flush_interval_ms: interval(flush_interval_ms)?,
            conflate,
            slow_policy,
            deflate,
            history,
            presence,
            presence_interval_ms,
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

    /// Whether the engine knows who the members are.
    #[getter]
    fn presence(&self) -> bool {
        self.presence
    }

    /// Milliseconds after which members are told who came and who went; 0 for never.
    #[getter]
    fn presence_interval_ms(&self) -> u32 {
        self.presence_interval_ms
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut parts = vec!["flush_interval_ms", "conflate", "slow_policy", "deflate"];
        let own = slf.get();
        if own.history > 0 {
            parts.push("history");
        }
        if own.presence {
            parts.extend(["presence", "presence_interval_ms"]);
        }
        shown("RoomOptions", slf.as_any(), &parts)
    }
}

/// How many publications a history keeps, as given.
fn publications(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    number("history", value)
}

/// An interval of notices, as given.
fn notices(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    number("presence_interval_ms", value)
}

impl RoomOptions {
    /// As the engine takes them.
    pub(crate) fn options(&self) -> roomcast::RoomOptions {
        let mut options = roomcast::RoomOptions::new()
            .conflate(self.conflate)
            .deflate(self.deflate)
            .history(self.history)
            .presence(self.presence)
            .presence_interval_ms(self.presence_interval_ms);
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
    tls: Option<bool>,
    proxy_protocol: bool,
    unix_mode: Option<u32>,
}

#[pymethods]
impl ListenOptions {
    #[new]
    #[pyo3(signature = (*, deflate=true, tls=None, proxy_protocol=false, unix_mode=None))]
    fn new(
        deflate: bool,
        tls: Option<bool>,
        proxy_protocol: bool,
        unix_mode: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mode = unix_mode.map(|mode| number("unix_mode", mode));
        Ok(ListenOptions {
            deflate,
            tls,
            proxy_protocol,
            unix_mode: mode.transpose()?,
        })
    }

    /// Whether compression is agreed on with peers that come through it.
    #[getter]
    fn deflate(&self) -> bool {
        self.deflate
    }

    /// Whether peers speak TLS here; None for what the engine's `tls` says.
    #[getter]
    fn tls(&self) -> Option<bool> {
        self.tls
    }

    /// Whether each connection begins with a PROXY header.
    #[getter]
    fn proxy_protocol(&self) -> bool {
        self.proxy_protocol
    }

    /// Permissions of the file of a unix socket; None for what the umask leaves.
    #[getter]
    fn unix_mode(&self) -> Option<u32> {
        self.unix_mode
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut parts = vec!["deflate", "tls"];
        if slf.get().proxy_protocol {
            parts.push("proxy_protocol");
        }
        parts.push("unix_mode");
        shown("ListenOptions", slf.as_any(), &parts)
    }
}

impl ListenOptions {
    /// As the engine takes them. `tls` is what holds where they do not say.
    pub(crate) fn options(&self, tls: bool) -> roomcast::ListenOptions {
        let options = roomcast::ListenOptions::new()
            .deflate(self.deflate)
            .tls(self.tls.unwrap_or(tls))
            .proxy_protocol(self.proxy_protocol);
        match self.unix_mode {
            Some(mode) => options.unix_mode(mode),
            None => options,
        }
    }
}
