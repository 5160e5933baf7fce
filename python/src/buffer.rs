//! `Buffer`: bytes of the engine's, seen by Python without a copy.
//!
//! Unsafe code, because the buffer protocol is a C interface: CPython is shown where the bytes lie.

use std::ffi::c_int;

use bytes::Bytes;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Bytes of the engine's, seen by Python through the buffer protocol.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub(crate) struct Buffer(pub(crate) Bytes);

#[pymethods]
impl Buffer {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Fills a view of the bytes.
    ///
    /// # Safety
    /// `view` is NULL or a `Py_buffer` to be filled: CPython's contract for `bf_getbuffer`.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("the view is NULL"));
        }
        let (data, len) = (slf.get().0.as_ptr(), slf.get().0.len());
        // SAFETY: `view` is CPython's to be filled. The bytes are never moved or changed, and live
        // as long as `slf`, to which the call adds a reference for the view (read-only: 1).
        let result = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                data.cast_mut().cast(),
                len as ffi::Py_ssize_t,
                1,
                flags,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}
