//! `Jwt` and `Auth`: how peers prove who they are.
//!
//! Made before the start, or for `reload_auth`. Shards check tokens by what is in here, which holds
//! nothing of Python's, so that no new connection waits for the interpreter.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping, PyString};
use roomcast::{KeyError, Keys, Verify};

use crate::claims::Claims;
use crate::errors;
use crate::named::strings;
use crate::payload::{self, Data};
use crate::settings::number;

/// Adds one key.
type Add = fn(Keys, &[u8]) -> Result<Keys, KeyError>;

/// The keys that JWTs are signed with, and what is demanded of their claims.
#[pyclass(frozen, module = "roomcast")]
#[derive(Clone)]
pub(crate) struct Jwt(pub(crate) Keys);

#[pymethods]
impl Jwt {
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[new]
    #[pyo3(signature = (
        *, hs256=None, rs256=None, es256=None, eddsa=None, jwks=None, issuer=None, audience=None,
        leeway_s=5
    ))]
    fn new(
        py: Python<'_>,
        hs256: Option<&Bound<'_, PyAny>>,
        rs256: Option<&Bound<'_, PyAny>>,
        es256: Option<&Bound<'_, PyAny>>,
        eddsa: Option<&Bound<'_, PyAny>>,
        jwks: Option<&Bound<'_, PyAny>>,
        issuer: Option<&Bound<'_, PyAny>>,
        audience: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = seconds)] leeway_s: u64,
    ) -> PyResult<Self> {
        let kinds: [(&str, _, Add); 4] = [
            ("hs256", hs256, |keys, key| keys.hs256(key)),
            ("rs256", rs256, |keys, key| keys.rs256_pem(key)),
            ("es256", es256, |keys, key| keys.es256_pem(key)),
            ("eddsa", eddsa, |keys, key| keys.eddsa_pem(key)),
        ];
        if jwks.is_none() && kinds.iter().all(|(_, value, _)| value.is_none()) {
            let text = "Jwt() needs a key: hs256, rs256, es256, eddsa or jwks";
            return Err(PyTypeError::new_err(text));
        }
        let mut keys = Keys::new().leeway_s(leeway_s);
        for (name, value, add) in kinds {
            if let Some(value) = value {
                keys = with_keys(name, keys, value, add)?;
            }
        }
        if let Some(set) = jwks {
            let added = keys.jwks(&key_set(set)?);
            keys = added.map_err(|error| errors::key(py, &error))?;
        }
        for issuer in issuer.map_or(Ok(Vec::new()), strings)? {
            keys = keys.issuer(issuer);
        }
        for audience in audience.map_or(Ok(Vec::new()), strings)? {
            keys = keys.audience(audience);
        }
        Ok(Jwt(keys))
    }

    /// What a token says, if it is genuine and valid: now, or at another time.
    #[pyo3(signature = (token, now=None))]
    fn verify(&self, py: Python<'_>, token: &str, now: Option<f64>) -> PyResult<Claims> {
        let now = now.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.unwrap_or_default().as_secs_f64()
        });
        let claims = self.0.verify(token, now as u64);
        claims
            .map(|claims| Claims(claims.into()))
            .map_err(|error| errors::token(py, error))
    }

    fn __repr__(&self) -> &'static str {
        // Keys are nobody's to read, and this ends in logs.
        "<roomcast.Jwt>"
    }
}

fn seconds(value: &Bound<'_, PyAny>) -> PyResult<u64> {
    number("leeway_s", value)
}

/// A key, several, or a mapping of their ids to them.
fn with_keys(name: &str, mut keys: Keys, value: &Bound<'_, PyAny>, add: Add) -> PyResult<Keys> {
    let py = value.py();
    let failed = |error| errors::key(py, &error);
    if let Some(key) = key(value)? {
        return add(keys, &key).map_err(failed);
    }
    let wrong = || {
        PyTypeError::new_err(format!(
            "{name} is a key (str, bytes or the path of a file), several, or a mapping of their \
             ids to them"
        ))
    };
    if let Ok(mapping) = value.cast::<PyMapping>() {
        for item in mapping.items()? {
            let (kid, value): (String, Bound<'_, PyAny>) = item.extract().map_err(|_| wrong())?;
            let key = key(&value)?.ok_or_else(wrong)?;
            let added = add(keys, &key).and_then(|keys| keys.with_kid(&kid));
            keys = added.map_err(failed)?;
        }
        return Ok(keys);
    }
    for value in value.try_iter().map_err(|_| wrong())? {
        let key = key(&value?)?.ok_or_else(wrong)?;
        keys = add(keys, &key).map_err(failed)?;
    }
    Ok(keys)
}

/// The bytes of a key; None for what is none.
fn key(value: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u8>>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Some(text.to_str()?.as_bytes().to_vec()));
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Some(bytes.as_bytes().to_vec()));
    }
    match value.hasattr("__fspath__")? {
        true => errors::read(value.py(), &value.extract::<PathBuf>()?).map(Some),
        false => Ok(None),
    }
}

/// A JWK Set: its text, or what `json.loads` made of it.
fn key_set(set: &Bound<'_, PyAny>) -> PyResult<String> {
    match key(set)? {
        Some(text) => Ok(String::from_utf8(text)?),
        None => payload::json(set),
    }
}

/// How peers prove who they are, and where they say so.
#[pyclass(frozen, module = "roomcast")]
#[derive(Clone)]
pub(crate) struct Auth(pub(crate) roomcast::Auth);

#[pymethods]
impl Auth {
    #[expect(
        clippy::too_many_arguments,
        reason = "they are Python's keyword arguments"
    )]
    #[new]
    #[pyo3(signature = (
        jwt, *, header=None, query=None, cookie=None, message=None, notice=None, optional=false
    ))]
    fn new(
        jwt: &Bound<'_, Jwt>,
        header: Option<String>,
        query: Option<String>,
        cookie: Option<String>,
        message: Option<String>,
        notice: Option<&Bound<'_, PyAny>>,
        optional: bool,
    ) -> PyResult<Self> {
        let mut auth = roomcast::Auth::new(jwt.get().0.clone()).optional(optional);
        if let Some(name) = header {
            auth = auth.header(name);
        }
        if let Some(name) = query {
            auth = auth.query(name);
        }
        if let Some(name) = cookie {
            auth = auth.cookie(name);
        }
        if let Some(begins) = message {
            auth = auth.message(begins);
        }
        if let Some(notice) = notice {
            auth = auth.notice(text(notice)?);
        }
        Ok(Auth(auth))
    }

    fn __repr__(&self) -> &'static str {
        "<roomcast.Auth>"
    }
}

/// A text message: `str`, or what becomes JSON.
fn text(message: &Bound<'_, PyAny>) -> PyResult<String> {
    let encoded = payload::encoded(message)?;
    match payload::data(&encoded)? {
        Data::Text(text) => Ok(text.to_owned()),
        _ => Err(PyTypeError::new_err(
            "notice is a text message: str, dict, list or tuple",
        )),
    }
}

/// `auth` as given to the engine.
pub(crate) fn auth(value: &Bound<'_, PyAny>) -> PyResult<roomcast::Auth> {
    if let Ok(auth) = value.cast::<Auth>() {
        return Ok(auth.get().0.clone());
    }
    match value.cast::<Jwt>() {
        Ok(jwt) => Ok(roomcast::Auth::new(jwt.get().0.clone())),
        Err(_) => {
            let name = value.get_type().name()?;
            Err(PyTypeError::new_err(format!(
                "auth is a Jwt or an Auth, not {name}: tokens of another kind are checked in \
                 on_connect, which answers with accept(claims=Claims(...))"
            )))
        }
    }
}
