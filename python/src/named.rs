//! Arguments that name something: a name, several, or names with how each is meant.

use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyMapping, PyString, PyTuple};

/// One string, or several.
pub(crate) fn strings(value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match value.cast::<PyString>() {
        Ok(one) => Ok(vec![one.extract()?]),
        Err(_) => value.try_iter()?.map(|one| one?.extract()).collect(),
    }
}

/// A name, several of them, pairs of a name and a `T`, or a mapping of names to it. Instead of a
/// `T` None stands for the default.
pub(crate) fn named<'py, N, T>(
    argument: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Vec<(N, Option<Bound<'py, T>>)>>
where
    N: for<'a> FromPyObject<'a, 'py>,
    T: PyClass,
{
    if let Ok(one) = value.extract::<N>() {
        return Ok(vec![(one, None)]);
    }
    let items = match value.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.into_any(),
        Err(_) => value.clone(),
    };
    let wrong = |found: &Bound<'py, PyAny>| wrong::<T>(argument, found);
    let items = items.try_iter().or_else(|_| Err(wrong(value)?))?;
    let item = |item: PyResult<Bound<'py, PyAny>>| {
        let item = item?;
        if let Ok(name) = item.extract::<N>() {
            return Ok((name, None));
        }
        let pair = match item.cast::<PyTuple>() {
            Ok(pair) if pair.len() == 2 => pair,
            _ => return Err(wrong(&item)?),
        };
        let (name, how) = (pair.get_item(0)?, pair.get_item(1)?);
        let name = name.extract::<N>().or_else(|_| Err(wrong(&name)?))?;
        if how.is_none() {
            return Ok((name, None));
        }
        let how = how.cast_into::<T>();
        how.map(|how| (name, Some(how)))
            .or_else(|error| Err(wrong(&error.into_inner())?))
    };
    items.map(item).collect()
}

fn wrong<T: PyClass>(argument: &str, found: &Bound<'_, PyAny>) -> PyResult<PyErr> {
    let how = T::type_object(found.py()).name()?;
    Ok(PyTypeError::new_err(format!(
        "{argument} takes names, pairs (name, {how}) or a mapping of names to {how}: there is {}",
        found.get_type().name()?
    )))
}
