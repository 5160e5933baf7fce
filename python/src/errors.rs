//! The engine's errors as Python exceptions.
//!
//! The tree is Python's (`roomcast/errors.py`, generated from the closed list); here each status
//! finds its class.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use roomcast::{AdoptError, CommandError, ConfigError, FilterError, Refused, StartError, Status};

static BY_STATUS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
static USAGE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception of a status. A Python error on the way to it is given instead.
pub(crate) fn error(py: Python<'_>, status: Status, text: &str) -> PyErr {
    raise(py, status, text).unwrap_or_else(|error| error)
}

fn raise(py: Python<'_>, status: Status, text: &str) -> PyResult<PyErr> {
    let classes = BY_STATUS.get_or_try_init(py, || -> PyResult<_> {
        let classes = py.import("roomcast.errors")?.getattr("BY_STATUS")?;
        Ok(classes.cast_into::<PyDict>()?.unbind())
    })?;
    Ok(match classes.bind(py).get_item(status.number())? {
        Some(class) => PyErr::from_value(class.call1((text,))?),
        None => PyRuntimeError::new_err(text.to_owned()),
    })
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
    error(py, Status::Config, &config.to_string())
}

pub(crate) fn filter(py: Python<'_>, filter: &FilterError) -> PyErr {
    let error = error(py, Status::Filter, &filter.to_string());
    if let FilterError::Syntax { at, .. } = filter {
        let _ = error.value(py).setattr("at", *at);
    }
    error
}

pub(crate) fn start(py: Python<'_>, start: &StartError) -> PyErr {
    // The setting is called by its Python name in what Python is told.
    let text = start
        .to_string()
        .replace("Config::reuse_port(true)", "Engine(reuse_port=True)");
    let error = error(py, start.status(), &text);
    if let StartError::Listen { source, .. } | StartError::Io(source) = start
        && let Some(number) = source.raw_os_error()
    {
        // As of any OSError.
        let _ = error.value(py).setattr("errno", number);
    }
    error
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
