//! `Upgrade`: a request that came to the host's own HTTP server and becomes a connection.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use roomcast::{Status, Upgraded};

use crate::claims::Claims;
use crate::client::Client;
use crate::connection::Verdict;
use crate::errors;
use crate::running::Running;
use crate::sockets;

/// A checked upgrade: send `response`, then `adopt` the socket. `accept` comes before both.
#[pyclass(frozen, module = "roomcast")]
pub(crate) struct Upgrade {
    running: Arc<Running>,
    parts: http::request::Parts,
    claims: Option<Claims>,
    made: Mutex<Option<(Vec<u8>, Upgraded)>>,
}

/// The head of a request from what a server's framework gives.
pub(crate) fn parts(
    method: &str,
    target: &str,
    headers: &Bound<'_, PyAny>,
) -> PyResult<Option<http::request::Parts>> {
    let mut request = http::Request::builder().method(method).uri(target);
    for pair in headers.try_iter()? {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
        request = request.header(bytes(&name)?.as_slice(), bytes(&value)?.as_slice());
    }
    Ok(request.body(()).ok().map(|request| request.into_parts().0))
}

/// A name or value of a header field: `bytes` as ASGI has it, or `str`.
fn bytes(text: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    match text.extract::<String>() {
        Ok(text) => Ok(text.into_bytes()),
        Err(_) => text.extract(),
    }
}

impl Upgrade {
    pub(crate) fn new(
        py: Python<'_>,
        running: Arc<Running>,
        parts: http::request::Parts,
    ) -> PyResult<Self> {
        let upgrade = running.engine().upgrade(&parts);
        let upgrade = upgrade.map_err(|error| errors::adopt(py, &error))?;
        let claims = upgrade.request().claims();
        let claims = claims.map(|claims| Claims(Arc::new(claims.clone())));
        drop(upgrade);
        Ok(Upgrade {
            running,
            parts,
            claims,
            made: Mutex::new(None),
        })
    }

    fn make(&self, py: Python<'_>, verdict: Verdict) -> PyResult<()> {
        let upgrade = self.running.engine().upgrade(&self.parts);
        let upgrade = upgrade.map_err(|error| errors::adopt(py, &error))?;
        let client = Arc::new(Client::new(upgrade.request()));
        let token = upgrade.request().claims();
        let accept = verdict.accept(&client, &self.running.gone, token);
        let upgrade = upgrade.accept(accept);
        let response = upgrade.response();
        let mut bytes = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        for (name, value) in response.headers() {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        *self.made.lock() = Some((bytes, upgrade.detach()));
        Ok(())
    }
}

#[pymethods]
impl Upgrade {
    /// As whom it is accepted, and into which rooms. There is no connect event: the host has
    /// decided.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[pyo3(signature = (user=None, rooms=None, subprotocol=None, *, claims=None, info=None))]
    fn accept(
        &self,
        py: Python<'_>,
        user: Option<&Bound<'_, PyAny>>,
        rooms: Option<&Bound<'_, PyAny>>,
        subprotocol: Option<String>,
        claims: Option<&Bound<'_, Claims>>,
        info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let limits = self.running.link.handle(py)?.limits();
        let verdict = Verdict::new(limits, user, rooms, subprotocol, claims, info)?;
        self.make(py, verdict)
    }

    /// What the peer's token says.
    #[getter]
    fn claims(&self) -> Option<Claims> {
        self.claims.clone()
    }

    /// The 101 to send before the socket is adopted.
    #[getter]
    fn response<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        if self.made.lock().is_none() {
            self.make(py, Verdict::default())?;
        }
        let made = self.made.lock();
        let response = made.as_ref().map_or(&[][..], |(bytes, _)| bytes);
        Ok(PyBytes::new(py, response))
    }

    /// Takes the socket over once the response was sent; `leftover` is what was read behind the
    /// request's head.
    #[pyo3(signature = (sock, leftover=None))]
    fn adopt(
        &self,
        py: Python<'_>,
        sock: &Bound<'_, PyAny>,
        leftover: Option<Vec<u8>>,
    ) -> PyResult<()> {
        self.running.link.handle(py)?;
        if self.made.lock().is_none() {
            let text = "read `response` and send it first; a socket is adopted once";
            return Err(errors::error(py, Status::Answered, text));
        }
        let stream = sockets::take(sock)?;
        let Some((_, upgraded)) = self.made.lock().take() else {
            return Err(errors::error(py, Status::Answered, Status::Answered.text()));
        };
        let adopted = upgraded.adopt(stream, &leftover.unwrap_or_default());
        adopted.map_err(|error| errors::adopt(py, &error))
    }
}
