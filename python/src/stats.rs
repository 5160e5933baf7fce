//! The engine's figures as a dict.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use roomcast::{Durations, Snapshot};

const QUANTILES: [(&str, f64); 4] = [
    ("p50_ns", 0.5),
    ("p90_ns", 0.9),
    ("p99_ns", 0.99),
    ("max_ns", 1.0),
];

/// `since` is an earlier dict: durations are of what was recorded after it.
pub(crate) fn dict<'py>(
    py: Python<'py>,
    snapshot: &Snapshot,
    since: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let all = figures(py, snapshot)?;
    let closed = PyDict::new(py);
    for (reason, count) in &snapshot.closed {
        closed.set_item(reason, count)?;
    }
    all.set_item("closed", closed)?;
    for (name, recorded) in [
        ("turn", &snapshot.turn),
        ("turn_lag", &snapshot.turn_lag),
        ("publish_to_flush", &snapshot.publish_to_flush),
        ("publish_to_flush_small", &snapshot.publish_to_flush_small),
    ] {
        let before = match since {
            Some(earlier) => buckets(earlier, name)?,
            None => HashMap::new(),
        };
        all.set_item(name, durations(py, recorded, &before)?)?;
    }
    let shards = snapshot.shards.iter().map(|shard| figures(py, shard));
    all.set_item("shards", shards.collect::<PyResult<Vec<_>>>()?)?;
    Ok(all)
}

/// The whole numbers.
fn figures<'py>(py: Python<'py>, snapshot: &Snapshot) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for (name, value) in snapshot.figures() {
        all.set_item(name, value)?;
    }
    Ok(all)
}

/// The buckets of an earlier dict.
fn buckets(earlier: &Bound<'_, PyAny>, name: &str) -> PyResult<HashMap<u64, u64>> {
    let recorded = earlier.get_item(name)?.get_item("buckets")?;
    recorded.try_iter()?.map(|pair| pair?.extract()).collect()
}

fn durations<'py>(
    py: Python<'py>,
    recorded: &Durations,
    before: &HashMap<u64, u64>,
) -> PyResult<Bound<'py, PyDict>> {
    let buckets = recorded.buckets();
    let earlier = |bound| before.get(bound).copied().unwrap_or_default();
    let since: Vec<_> = buckets
        .iter()
        .map(|(bound, count)| (*bound, count.saturating_sub(earlier(bound))))
        .filter(|(_, count)| *count > 0)
        .collect();
    let all = PyDict::new(py);
    let count: u64 = since.iter().map(|(_, count)| count).sum();
    all.set_item("count", count)?;
    for (name, share) in QUANTILES {
        all.set_item(name, quantile(&since, (count as f64 * share).ceil() as u64))?;
    }
    // These two count from the start, as the metrics of a scrape do.
    all.set_item("sum_ns", recorded.sum_ns())?;
    all.set_item("buckets", buckets)?;
    Ok(all)
}

/// The bound below which so many lie; 0 when there are none.
fn quantile(buckets: &[(u64, u64)], rank: u64) -> u64 {
    let mut seen = 0;
    let mut reached = buckets.iter().filter(|(_, count)| {
        seen += count;
        seen >= rank
    });
    reached.next().map_or(0, |(bound, _)| *bound)
}
