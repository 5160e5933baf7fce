//! The engine's errors as Python exceptions.
//!
//! The tree is Python's (`roomcast/errors.py`, generated from the closed list); here each status
//! finds its class.

use std::path::Path;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use roomcast::{
    AdoptError, CommandError, ConfigError, FilterError, KeyError, Refused, StartError, Status,
    TlsError, TokenError,
};

static BY_STATUS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static USAGE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception of a status. A Python error on the way to it is given instead.
pub(crate) fn error(py: Python<'_>, status: Status, text: &str) -> PyErr {
    match class(py, status).and_then(|class| class.call1((text,))) {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

fn class(py: Python<'_>, status: Status) -> PyResult<Bound<'_, PyAny>> {
    let classes = BY_STATUS.get_or_try_init(py, || -> PyResult<_> {
        let classes = py.import("roomcast.errors")?.getattr("BY_STATUS")?;
        Ok(classes.cast_into::<PyDict>()?.unbind())
    })?;
    let class = classes.bind(py).get_item(status.number())?;
    Ok(class.unwrap_or_else(|| py.get_type::<PyRuntimeError>().into_any()))
}

/// The host's Python code did what the API does not allow.
pub(crate) fn usage(py: Python<'_>, text: &str) -> PyErr {
    let class = USAGE.get_or_try_init(py, || -> PyResult<_> {
        Ok(py
            .import("roomcast.errors")?
            .getattr("UsageError")?
            .unbind())
    });
    match class.and_then(|class| class.bind(py).call1((text,))) {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

pub(crate) fn refused(py: Python<'_>, refused: Refused) -> PyErr {
    error(py, refused.status(), &refused.to_string())
}

pub(crate) fn command(py: Python<'_>, command: CommandError) -> PyErr {
    error(py, command.status(), &command.to_string())
}

pub(crate) fn config(py: Python<'_>, config: &ConfigError) -> PyErr {
    error(py, Status::Config, &by_python_names(config.to_string()))
}

pub(crate) fn filter(py: Python<'_>, filter: &FilterError) -> PyErr {
    let error = error(py, Status::Filter, &filter.to_string());
    if let FilterError::Syntax { at, .. } = filter {
        let _ = error.value(py).setattr("at", *at);
    }
    error
}

pub(crate) fn start(py: Python<'_>, start: &StartError) -> PyErr {
    let error = error(py, start.status(), &by_python_names(start.to_string()));
    if let StartError::Listen { source, .. } | StartError::Io(source) = start
        && let Some(number) = source.raw_os_error()
    {
        // As of any OSError.
        let _ = error.value(py).setattr("errno", number);
    }
    error
}

/// Settings are called by their Python names in what Python is told.
fn by_python_names(text: String) -> String {
    text.replace("Config::reuse_port(true)", "Engine(reuse_port=True)")
        .replace("Config::auth", "Engine(auth=...)")
        .replace("Config::tls", "Engine(tls=...)")
        .replace("ListenOptions::tls", "ListenOptions(tls=True)")
}

pub(crate) fn token(py: Python<'_>, token: TokenError) -> PyErr {
    error(py, token.status(), &by_python_names(token.to_string()))
}

pub(crate) fn key(py: Python<'_>, key: &KeyError) -> PyErr {
    error(py, key.status(), &key.to_string())
}

pub(crate) fn tls(py: Python<'_>, tls: &TlsError) -> PyErr {
    error(py, tls.status(), &by_python_names(tls.to_string()))
}

/// What is in a file, or why it cannot be read.
pub(crate) fn read(py: Python<'_>, path: &Path) -> PyResult<Vec<u8>> {
    std::fs::read(path).map_err(|source| {
        let error = || -> PyResult<_> {
            let number = source.raw_os_error().unwrap_or_default();
            let text = py.import("os")?.call_method1("strerror", (number,))?;
            let path = path.as_os_str();
            class(py, Status::Io)?.call1((number, text, path))
        };
        error().map_or_else(|error| error, PyErr::from_value)
    })
}

pub(crate) fn adopt(py: Python<'_>, adopt: &AdoptError) -> PyErr {
    let error = error(py, adopt.status(), &adopt.to_string());
    if let AdoptError::NotUpgrade { status, text } = adopt {
        let value = error.value(py);
        let _ = value.setattr("http_status", *status);
        let _ = value.setattr("text", *text);
    }
    error
}

/// The closed list: (name, number, text).
#[pyfunction]
pub(crate) fn statuses() -> Vec<(String, u32, &'static str)> {
    let all = Status::ALL.iter();
    all.map(|s| (format!("{s:?}"), s.number(), s.text()))
        .collect()
}
