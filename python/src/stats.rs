//! The engine's figures as a dict.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use roomcast::{Durations, Snapshot};

pub(crate) fn dict<'py>(py: Python<'py>, snapshot: &Snapshot) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for (name, value) in snapshot.figures() {
        all.set_item(name, value)?;
    }
    let closed = PyDict::new(py);
    for (reason, count) in &snapshot.closed {
        closed.set_item(reason, count)?;
    }
    all.set_item("closed", closed)?;
    all.set_item("turn", durations(py, &snapshot.turn)?)?;
    let flush = &snapshot.publish_to_flush;
    all.set_item("publish_to_flush", durations(py, flush)?)?;
    let small = &snapshot.publish_to_flush_small;
    all.set_item("publish_to_flush_small", durations(py, small)?)?;
    Ok(all)
}

fn durations<'py>(py: Python<'py>, durations: &Durations) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    all.set_item("count", durations.count())?;
    for (name, share) in [
        ("p50_ns", 0.5),
        ("p90_ns", 0.9),
        ("p99_ns", 0.99),
        ("max_ns", 1.0),
    ] {
        all.set_item(name, durations.quantile_ns(share))?;
    }
    Ok(all)
}
