//! `Claims`: what a token says of its bearer, or what a host says in a token's place.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyMapping, PyString};
use roomcast::{Grants, Verb};

use crate::connection;
use crate::named::strings;
use crate::payload;
use crate::settings::number;
use crate::values::shown;

/// What a valid token says of its bearer.
#[pyclass(frozen, eq, module = "roomcast")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Claims(pub(crate) Arc<roomcast::Claims>);

#[pymethods]
impl Claims {
    #[new]
    #[pyo3(signature = (
        user=None, *, expires_at=None, issued_at=None, token_id=None, rooms=None, info=None
    ))]
    fn new(
        user: Option<&Bound<'_, PyAny>>,
        expires_at: Option<&Bound<'_, PyAny>>,
        issued_at: Option<&Bound<'_, PyAny>>,
        token_id: Option<&str>,
        rooms: Option<&Bound<'_, PyAny>>,
        info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let seconds = |name, value: Option<&Bound<'_, PyAny>>, round: fn(f64) -> f64| {
            value.map(|value| seconds(name, value, round)).transpose()
        };
        let mut claims = roomcast::Claims::new();
        claims.user = connection::user(user)?.map(Into::into);
        claims.expires_at = seconds("expires_at", expires_at, f64::ceil)?;
        claims.issued_at = seconds("issued_at", issued_at, f64::floor)?;
        claims.token_id = token_id.map(Into::into);
        claims.grants = rooms.map_or(Ok(Grants::new()), grants)?;
        claims.info = info.map(payload::json).transpose()?.map(Into::into);
        Ok(Claims(Arc::new(claims)))
    }

    /// Who it is.
    #[getter]
    fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// Seconds since 1970 at which it ends to be valid; None for never.
    #[getter]
    fn expires_at(&self) -> Option<u64> {
        self.0.expires_at
    }

    /// Seconds since 1970 at which it was made.
    #[getter]
    fn issued_at(&self) -> Option<u64> {
        self.0.issued_at
    }

    /// The token's own name, by which it can be revoked.
    #[getter]
    fn token_id(&self) -> Option<&str> {
        self.0.token_id.as_deref()
    }

    /// What others in a room with presence are told of the bearer, decoded.
    #[getter]
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let info = self.0.info.as_deref();
        info.map(|info| payload::decoded(py, info)).transpose()
    }

    /// Whether it allows this verb in this room.
    fn may(&self, verb: &str, room: &str) -> PyResult<bool> {
        Ok(self.0.grants.may(self::verb(verb)?, room))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let parts = ["user", "expires_at", "issued_at", "token_id", "info"];
        shown("Claims", slf.as_any(), &parts)
    }
}

/// The verb of this name.
pub(crate) fn verb(name: &str) -> PyResult<Verb> {
    Verb::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Verb::ALL.iter().map(|verb| format!("\"{verb}\"")).collect();
        let known = known.join(", ");
        PyValueError::new_err(format!("verb is {name:?}, but must be one of {known}"))
    })
}

/// Rooms, each with a verb or several.
fn grants(rooms: &Bound<'_, PyAny>) -> PyResult<Grants> {
    let wrong = || {
        PyTypeError::new_err(
            "rooms is a mapping of names, or beginnings of names before a *, to verbs",
        )
    };
    let mut grants = Grants::new();
    let items = rooms.cast::<PyMapping>().map_err(|_| wrong())?.items()?;
    for item in items {
        let (name, verbs): (String, Bound<'_, PyAny>) = item.extract().map_err(|_| wrong())?;
        let verbs = match verbs.cast::<PyString>() {
            Ok(words) => words.to_str()?.split(' ').map(str::to_owned).collect(),
            Err(_) => strings(&verbs).map_err(|_| wrong())?,
        };
        let verbs = verbs.iter().filter(|word| !word.is_empty());
        let verbs: Vec<_> = verbs.map(|word| verb(word)).collect::<PyResult<_>>()?;
        grants = grants.allow(&name, &verbs);
    }
    Ok(grants)
}

/// Seconds since 1970: a number, or a `datetime`.
fn seconds(name: &str, value: &Bound<'_, PyAny>, round: fn(f64) -> f64) -> PyResult<u64> {
    let time = match value.hasattr("timestamp")? {
        true => value.call_method0("timestamp")?,
        false => value.clone(),
    };
    let Ok(time) = time.cast::<PyFloat>() else {
        return number(name, &time);
    };
    match round(time.extract()?) {
        whole if (0.0..1e18).contains(&whole) => Ok(whole as u64),
        _ => Err(PyValueError::new_err(format!(
            "{name} is {value}, but must be seconds since 1970"
        ))),
    }
}
