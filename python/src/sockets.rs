//! Sockets of Python's that become the engine's.

use std::net::TcpStream;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use roomcast::Stream;

/// Takes the descriptor out of a connected stream socket; the Python object is closed by that.
pub(crate) fn take(socket: &Bound<'_, PyAny>) -> PyResult<Stream> {
    let module = socket.py().import("socket")?;
    if !socket.is_instance(&module.getattr("socket")?)? {
        return Err(PyTypeError::new_err("a connected socket.socket is wanted"));
    }
    if socket.hasattr("do_handshake")? {
        let text = "a TLS socket cannot be handed over: end TLS in front of the engine";
        return Err(PyValueError::new_err(text));
    }
    let is = |name: &str, constant: &str| -> PyResult<bool> {
        socket.getattr(name)?.eq(module.getattr(constant)?)
    };
    if !is("type", "SOCK_STREAM")? {
        return Err(PyValueError::new_err("a stream socket is wanted"));
    }
    let unix = is("family", "AF_UNIX")?;
    if !unix && !is("family", "AF_INET")? && !is("family", "AF_INET6")? {
        return Err(PyValueError::new_err("a TCP or unix socket is wanted"));
    }
    let number: i32 = socket.call_method0("detach")?.extract()?;
    if number < 0 {
        return Err(PyValueError::new_err("the socket is closed"));
    }
    // SAFETY: `detach` has just given the descriptor away, so nobody else owns or closes it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    Ok(match unix {
        true => UnixStream::from(fd).into(),
        false => TcpStream::from(fd).into(),
    })
}
