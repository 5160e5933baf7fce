//! Payloads on their way between Python and the engine.
//!
//! Outwards: `str` is text, anything with the buffer protocol is binary, `dict`, `list` and
//! `tuple` are JSON. Nothing of Python's is kept: the engine copies it into its frame within the
//! call. Inwards: text is `str`, small binary is `bytes`, and large binary a `memoryview` of the
//! engine's own buffer, which lives as long as a view of it.

use bytes::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyMemoryView, PyString, PyTuple};
use roomcast::{Kind, Publication};

use crate::buffer::Buffer;

/// From so many bytes on, sharing a buffer is cheaper than copying it.
pub(crate) const LARGE_BYTES: usize = 2048;

/// The JSON encoder: orjson's when it is installed, else the standard library's.
static ENCODER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// And the decoder.
static DECODER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The payload of one call: borrowed from an immutable object of Python's, or copied.
pub(crate) enum Data<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Copied(Vec<u8>),
}

impl Data<'_> {
    pub(crate) fn publication(&self) -> Publication<'_> {
        match self {
            Data::Text(text) => Publication::text(text),
            Data::Binary(data) => Publication::binary(data),
            Data::Copied(data) => Publication::binary(data),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.publication().data().len()
    }
}

/// A payload that is ready to be borrowed.
pub(crate) struct Encoded<'py> {
    object: Bound<'py, PyAny>,
    /// It is JSON: text, also where the encoder gave bytes.
    json: bool,
}

/// Makes JSON of a dict, list or tuple, and takes anything else as it is.
pub(crate) fn encoded<'py>(data: &Bound<'py, PyAny>) -> PyResult<Encoded<'py>> {
    let plain = data.is_instance_of::<PyBytes>() || data.is_instance_of::<PyString>();
    let json = !plain
        && (data.is_instance_of::<PyDict>()
            || data.is_instance_of::<PyList>()
            || data.is_instance_of::<PyTuple>());
    if !json {
        let object = data.clone();
        return Ok(Encoded { object, json });
    }
    let object = as_json(data)?;
    Ok(Encoded { object, json })
}

fn as_json<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    let encoder = ENCODER.get_or_try_init(py, || -> PyResult<_> {
        Ok(py.import("roomcast._json")?.getattr("encode")?.unbind())
    })?;
    encoder.bind(py).call1((data,))
}

/// Any value as JSON text.
pub(crate) fn json(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let object = as_json(value)?;
    match object.cast::<PyBytes>() {
        Ok(bytes) => utf8(bytes.as_bytes()).map(str::to_owned),
        Err(_) => object.extract(),
    }
}

/// The value of a JSON text.
pub(crate) fn decoded<'py>(py: Python<'py>, json: &str) -> PyResult<Bound<'py, PyAny>> {
    let decoder = DECODER.get_or_try_init(py, || -> PyResult<_> {
        Ok(py.import("roomcast._json")?.getattr("decode")?.unbind())
    })?;
    decoder.bind(py).call1((json,))
}

/// Borrows a payload.
pub(crate) fn data<'a>(encoded: &'a Encoded<'_>) -> PyResult<Data<'a>> {
    let data = &encoded.object;
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(match encoded.json {
            true => Data::Text(utf8(bytes.as_bytes())?),
            false => Data::Binary(bytes.as_bytes()),
        });
    }
    if let Ok(text) = data.cast::<PyString>() {
        return Ok(Data::Text(text.to_str()?));
    }
    if let Ok(buffer) = PyBuffer::<u8>::get(data) {
        return Ok(Data::Copied(buffer.to_vec(data.py())?));
    }
    let name = data.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "a payload is str, bytes, another buffer of bytes, dict, list or tuple, not {name}"
    )))
}

fn utf8(bytes: &[u8]) -> PyResult<&str> {
    let text = std::str::from_utf8(bytes);
    text.map_err(|_| PyTypeError::new_err("the JSON encoder gave bytes that are not UTF-8"))
}

/// A received payload as a handler gets it.
pub(crate) fn received<'py>(
    py: Python<'py>,
    kind: Kind,
    data: Bytes,
    share: bool,
) -> PyResult<Bound<'py, PyAny>> {
    match kind {
        Kind::Text => {
            // Checked by the engine already; once more is cheaper than unsafe code.
            let text = String::from_utf8_lossy(&data);
            Ok(PyString::new(py, &text).into_any())
        }
        Kind::Binary if share && data.len() >= LARGE_BYTES => {
            let buffer = Bound::new(py, Buffer(data))?;
            Ok(PyMemoryView::from(&buffer.into_any())?.into_any())
        }
        Kind::Binary => Ok(PyBytes::new(py, &data).into_any()),
    }
}
