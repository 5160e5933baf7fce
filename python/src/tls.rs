//! `Tls`: certificates of the listeners, with their keys.

use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::errors;

/// Certificates of the TLS listeners, and the versions that these speak.
#[pyclass(frozen, module = "roomcast")]
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) roomcast::Tls);

#[pymethods]
impl Tls {
    #[new]
    #[pyo3(signature = (*pairs, tls13_only=false))]
    fn new(pairs: &Bound<'_, PyTuple>, tls13_only: bool) -> PyResult<Self> {
        let all = several(pairs)?.ok_or_else(wrong)?;
        Ok(Tls(with_pairs(pairs.py(), all)?.tls13_only(tls13_only)))
    }

    fn __repr__(&self) -> &'static str {
        // Keys are nobody's to read, and this ends in logs.
        "<roomcast.Tls>"
    }
}

/// A certificate and its key, as given.
type Pair<'py> = [Pem<'py>; 2];

/// PEM itself, or the path of a file with it.
enum Pem<'py> {
    Text(Bound<'py, PyBytes>),
    File(PathBuf),
}

impl Pem<'_> {
    fn bytes(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        match self {
            Pem::Text(text) => Ok(text.as_bytes().to_vec()),
            Pem::File(path) => errors::read(py, path),
        }
    }
}

fn wrong() -> PyErr {
    PyTypeError::new_err(
        "tls is a pair (certificate, key), several pairs, or a Tls; each part is the path of a \
         file, or PEM as bytes",
    )
}

fn pem<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Pem<'py>>> {
    if let Ok(text) = value.cast::<PyBytes>() {
        return Ok(Some(Pem::Text(text.clone())));
    }
    match value.is_instance_of::<PyString>() || value.hasattr("__fspath__")? {
        true => Ok(Some(Pem::File(value.extract()?))),
        false => Ok(None),
    }
}

fn pair<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Pair<'py>>> {
    let Ok((one, two)) = value.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>() else {
        return Ok(None);
    };
    Ok(pem(&one)?.zip(pem(&two)?).map(|(one, two)| [one, two]))
}

fn several<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Pair<'py>>>> {
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Ok(None);
    }
    let Ok(values) = value.try_iter() else {
        return Ok(None);
    };
    values.map(|value| pair(&value?)).collect()
}

fn with_pairs(py: Python<'_>, pairs: Vec<Pair<'_>>) -> PyResult<roomcast::Tls> {
    let mut tls = roomcast::Tls::new();
    for [certificate, key] in pairs {
        let (certificate, key) = (certificate.bytes(py)?, key.bytes(py)?);
        let added = tls.pair(&certificate, &key);
        tls = added.map_err(|error| errors::tls(py, &error))?;
    }
    Ok(tls)
}

/// `tls` as given to the engine: a `Tls`, a pair, or several pairs.
pub(crate) fn tls(value: &Bound<'_, PyAny>) -> PyResult<roomcast::Tls> {
    if let Ok(tls) = value.cast::<Tls>() {
        return Ok(tls.get().0.clone());
    }
    let pairs = match pair(value)? {
        Some(pair) => vec![pair],
        None => several(value)?.ok_or_else(wrong)?,
    };
    with_pairs(value.py(), pairs)
}
