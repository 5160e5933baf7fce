//! Keyword arguments of `Engine` as the engine's configuration.

use std::collections::HashMap;
use std::path::PathBuf;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use roomcast::{Config, ForwardedHeader, Limits, MessageRatePolicy, Origins, Page};

use crate::auth::auth;
use crate::errors;
use crate::named::{named, strings};
use crate::options::{ListenOptions, RoomOptions};
use crate::policy::SlowPolicy;
use crate::tls::tls;

/// Reads what `Engine.__init__` was given. Every name is known by then but those of the limits.
pub(crate) fn config(settings: &Bound<'_, PyDict>) -> PyResult<Config> {
    let py = settings.py();
    let mut config = Config::new();
    let mut limits = HashMap::new();
    let has_tls = settings.get_item("tls")?.is_some_and(|tls| !tls.is_none());
    for (name, value) in settings {
        let name: String = name.extract()?;
        config = match name.as_str() {
            "listen" => with_listeners(config, &value, has_tls)?,
            "listen_unix" => with_unix_listeners(config, &value)?,
            "tls" | "auth" | "trusted_proxies" if value.is_none() => config,
            "tls" => config.tls(tls(&value)?),
            "auth" => config.auth(auth(&value)?),
            "trusted_proxies" => config.trusted_proxies(strings(&value)?),
            "forwarded_header" => config.forwarded_header(forwarded_header(&value)?),
            "shards" => config.shards(number(&name, &value)?),
            "own_threads" => config.own_threads(value.extract()?),
            "reuse_port" => config.reuse_port(value.extract()?),
            "slow_policy" => config.slow_policy(value.extract::<SlowPolicy>()?.0),
            "room_options" => with_room_options(config, &value)?,
            "message_rate_policy" => config.message_rate_policy(message_rate_policy(&value)?),
            "origins" => config.origins(origins(&value)?),
            "health_path" => config.health_path(value.extract()?),
            "metrics_path" => config.metrics_path(value.extract()?),
            "websocket_metrics" => config.websocket_metrics(value.extract()?),
            "pages" => with_pages(config, &value)?,
            _ => {
                limits.insert(name.to_uppercase(), limit(&name, &value)?);
                config
            }
        };
    }
    // In the way of the environment: one place knows the names of the limits.
    let lookup = |variable: &str| limits.get(variable.strip_prefix("ROOMCAST_")?).cloned();
    config
        .from_variables(lookup)
        .map_err(|error| errors::config(py, &error))
}

/// All limits: (name, what it is).
#[pyfunction]
pub(crate) fn limits() -> Vec<(&'static str, &'static str)> {
    let names = Limits::NAMES.iter().copied();
    names.zip(Limits::TEXTS.iter().copied()).collect()
}

fn limit(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if !Limits::NAMES.contains(&name) {
        let text = format!("Engine() got an unexpected keyword argument '{name}'");
        return Err(PyTypeError::new_err(text));
    }
    Ok(number::<u64>(name, value)?.to_string())
}

/// Addresses that say nothing of TLS speak it where there are certificates.
fn with_listeners(config: Config, value: &Bound<'_, PyAny>, has_tls: bool) -> PyResult<Config> {
    let all = named::<String, ListenOptions>("listen", value)?.into_iter();
    let plain = roomcast::ListenOptions::new().tls(has_tls);
    Ok(all.fold(config, |config, (address, options)| {
        let options = options.map_or(plain, |options| options.get().options(has_tls));
        config.listen_with(address, options)
    }))
}

/// Unix sockets are a proxy's, which has ended TLS.
fn with_unix_listeners(config: Config, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    let all = named::<PathBuf, ListenOptions>("listen_unix", value)?.into_iter();
    Ok(all.fold(config, |config, (path, options)| match options {
        Some(options) => config.listen_unix_with(path, options.get().options(false)),
        None => config.listen_unix(path),
    }))
}

/// A whole number, as given for a setting of this name.
pub(crate) fn number<T: TryFrom<u64>>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    let wrong = || format!("{name} is {value}, but must be a whole number that is not negative");
    if value.is_instance_of::<PyBool>() {
        return Err(PyTypeError::new_err(wrong()));
    }
    let value: u64 = value.extract().map_err(|error: PyErr| {
        match error.is_instance_of::<PyOverflowError>(value.py()) {
            true => PyValueError::new_err(wrong()),
            false => PyTypeError::new_err(wrong()),
        }
    })?;
    T::try_from(value).map_err(|_| {
        PyValueError::new_err(format!(
            "{name} is {value}, which is more than there can be"
        ))
    })
}

/// Options by the beginnings of rooms' names.
fn with_room_options(config: Config, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    if value.is_none() {
        return Ok(config);
    }
    let all = named::<String, RoomOptions>("room_options", value)?.into_iter();
    Ok(all.fold(config, |config, (prefix, options)| {
        let options = options.map_or_else(Default::default, |options| options.get().options());
        config.room_options(prefix, options)
    }))
}

fn message_rate_policy(value: &Bound<'_, PyAny>) -> PyResult<MessageRatePolicy> {
    match value.extract::<String>()?.as_str() {
        "refuse" => Ok(MessageRatePolicy::Refuse),
        "close" => Ok(MessageRatePolicy::Close),
        other => Err(PyValueError::new_err(format!(
            "message_rate_policy is {other:?}, but must be \"refuse\" or \"close\""
        ))),
    }
}

fn forwarded_header(value: &Bound<'_, PyAny>) -> PyResult<ForwardedHeader> {
    match value.extract::<String>()?.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => Ok(ForwardedHeader::XForwardedFor),
        "forwarded" => Ok(ForwardedHeader::Forwarded),
        other => Err(PyValueError::new_err(format!(
            "forwarded_header is {other:?}, but must be \"x-forwarded-for\" or \"forwarded\""
        ))),
    }
}

fn origins(value: &Bound<'_, PyAny>) -> PyResult<Origins> {
    let Ok(word) = value.cast::<PyString>() else {
        return Ok(Origins::Listed(strings(value)?));
    };
    match word.to_str()? {
        "same-host" => Ok(Origins::SameHost),
        "any" => Ok(Origins::Any),
        other => Err(PyValueError::new_err(format!(
            "origins is {other:?}, but must be \"same-host\", \"any\" or a list of origins"
        ))),
    }
}

/// Pages by path, copied, so that shards answer without Python.
fn with_pages(config: Config, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    if value.is_none() {
        return Ok(config);
    }
    let mut pages = HashMap::new();
    for (path, page) in value.cast::<PyDict>()? {
        let (content_type, body): (String, Bound<'_, PyAny>) = page.extract()?;
        let body = match body.cast::<PyString>() {
            Ok(text) => text.to_str()?.as_bytes().to_vec(),
            Err(_) => body.extract::<Vec<u8>>()?,
        };
        pages.insert(path.extract::<String>()?, Page::new(content_type, body));
    }
    Ok(config.pages(move |request| pages.get(request.path()).cloned()))
}
