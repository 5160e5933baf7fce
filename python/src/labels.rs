//! Tags of a publication, on their way from Python into its labels.
//!
//! They borrow Python's own strings; the engine copies them into its frame within the call.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyDict, PyMapping};

/// Names and values.
#[derive(Default)]
pub(crate) struct Tags(Vec<(PyBackedStr, PyBackedStr)>);

impl Tags {
    /// A mapping of names to values, or pairs of them.
    pub(crate) fn new(tags: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(tags) = tags else {
            return Ok(Tags::default());
        };
        if let Ok(tags) = tags.cast::<PyDict>() {
            return tags
                .iter()
                .map(|(name, value)| tag(&name, &value))
                .collect();
        }
        let pairs = match tags.cast::<PyMapping>() {
            Ok(tags) => tags.items()?.into_any(),
            Err(_) => tags.clone(),
        };
        let pairs = pairs.try_iter().map_err(|_| wrong("there is none"))?;
        let pair = |pair: PyResult<Bound<'_, PyAny>>| {
            let pair = pair?.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>();
            let (name, value) = pair.map_err(|_| wrong("there is something else"))?;
            tag(&name, &value)
        };
        pairs.map(pair).collect()
    }

    /// As a publication takes them.
    pub(crate) fn pairs(&self) -> Vec<(&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect()
    }
}

impl FromIterator<(PyBackedStr, PyBackedStr)> for Tags {
    fn from_iter<I: IntoIterator<Item = (PyBackedStr, PyBackedStr)>>(pairs: I) -> Self {
        Tags(pairs.into_iter().collect())
    }
}

fn tag(name: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<(PyBackedStr, PyBackedStr)> {
    let text = |part: &Bound<'_, PyAny>, which: &str| {
        part.extract::<PyBackedStr>().or_else(|_| {
            let kind = part.get_type().name()?;
            Err(wrong(&format!("{which} is {kind}")))
        })
    };
    let name = text(name, "a name")?;
    let value = text(value, &format!("the value of {name:?}"))?;
    Ok((name, value))
}

fn wrong(what: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "tags are a mapping of str to str, or pairs of str: {what}"
    ))
}
