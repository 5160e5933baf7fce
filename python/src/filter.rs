//! `Filter`: which publications of a room a member is sent, as Python builds and reads it.
//!
//! In: texts in CEL's syntax and calls of builders. Out: the engine's filters, decided on the
//! shards' threads, which is why there is no predicate in Python: shards never take the GIL. Every
//! filter here is sound; what is not is an exception where it was made.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyNotImplemented, PyString};
use roomcast::{Field as Part, Filter as Decider, Labels};

use crate::errors;
use crate::labels::Tags;
use crate::named::strings;

/// What of a publication a filter looks at, beside its tags.
#[pyclass(frozen, eq, hash, module = "roomcast")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Field {
    /// The event's name.
    #[pyo3(name = "EVENT")]
    Event,
    /// The key.
    #[pyo3(name = "KEY")]
    Key,
}

/// Which publications of a room a member is sent, decided by their labels.
#[pyclass(frozen, eq, hash, module = "roomcast")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Filter(pub(crate) Decider);

/// A field as given: a `Field`, or a tag's name.
fn field(value: &Bound<'_, PyAny>) -> PyResult<Part> {
    if let Ok(name) = value.cast::<PyString>() {
        return Ok(Part::Tag(name.to_str()?.to_owned()));
    }
    match value.cast::<Field>().map(|field| *field.get()) {
        Ok(Field::Event) => Ok(Part::Event),
        Ok(Field::Key) => Ok(Part::Key),
        Err(_) => Err(PyTypeError::new_err(format!(
            "a tag's name or a roomcast.Field is wanted, not {}",
            value.get_type().name()?
        ))),
    }
}

/// A filter as given; None for what is neither a `Filter` nor a text.
fn given(value: &Bound<'_, PyAny>) -> PyResult<Option<Decider>> {
    if let Ok(filter) = value.cast::<Filter>() {
        return Ok(Some(filter.get().0.clone()));
    }
    match value.cast::<PyString>() {
        Ok(text) => parsed(value.py(), text.to_str()?).map(Some),
        Err(_) => Ok(None),
    }
}

/// A filter as given: a `Filter`, or its text.
pub(crate) fn filter(value: &Bound<'_, PyAny>) -> PyResult<Decider> {
    let name = || value.get_type().name();
    given(value)?.map_or_else(
        || {
            let text = format!("a filter is a roomcast.Filter or its text, not {}", name()?);
            Err(PyTypeError::new_err(text))
        },
        Ok,
    )
}

/// One filter, or several, each as given.
fn filters(values: &Bound<'_, PyAny>) -> PyResult<Vec<Decider>> {
    if let Some(one) = given(values)? {
        return Ok(vec![one]);
    }
    values.try_iter()?.map(|one| filter(&one?)).collect()
}

fn parsed(py: Python<'_>, text: &str) -> PyResult<Decider> {
    Decider::text(text).map_err(|error| errors::filter(py, &error))
}

impl Filter {
    /// What a builder has made, unless it has a fault.
    fn sound(py: Python<'_>, built: Decider) -> PyResult<Filter> {
        match built.fault() {
            Some(fault) => Err(errors::filter(py, fault)),
            None => Ok(Filter(built)),
        }
    }

    /// Of this filter and the other operand, which may be a text.
    fn with<'py>(
        &self,
        other: &Bound<'py, PyAny>,
        join: impl FnOnce([Decider; 2]) -> Decider,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        match given(other)? {
            Some(other) => Filter::sound(py, join([self.0.clone(), other]))?.into_bound_py_any(py),
            None => Ok(PyNotImplemented::get(py).to_owned().into_any()),
        }
    }
}

#[pymethods]
impl Filter {
    #[new]
    fn new(py: Python<'_>, text: &str) -> PyResult<Self> {
        parsed(py, text).map(Filter)
    }

    /// Matches what all of these match; everything if there are none.
    #[staticmethod]
    fn all(py: Python<'_>, filters: &Bound<'_, PyAny>) -> PyResult<Self> {
        Filter::sound(py, Decider::all(self::filters(filters)?))
    }

    /// Matches what one of these matches; nothing if there are none.
    #[staticmethod]
    fn any(py: Python<'_>, filters: &Bound<'_, PyAny>) -> PyResult<Self> {
        Filter::sound(py, Decider::any(self::filters(filters)?))
    }

    /// It has this value.
    #[staticmethod]
    fn eq(py: Python<'_>, field: &Bound<'_, PyAny>, value: &str) -> PyResult<Self> {
        Filter::sound(py, Decider::eq(self::field(field)?, value))
    }

    /// It has another value than this.
    #[staticmethod]
    fn neq(py: Python<'_>, field: &Bound<'_, PyAny>, value: &str) -> PyResult<Self> {
        Filter::sound(py, Decider::neq(self::field(field)?, value))
    }

    /// It has one of these values.
    #[staticmethod]
    fn one_of(
        py: Python<'_>,
        field: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Filter::sound(py, Decider::one_of(self::field(field)?, strings(values)?))
    }

    /// It has a value, which is none of these.
    #[staticmethod]
    fn none_of(
        py: Python<'_>,
        field: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Filter::sound(py, Decider::none_of(self::field(field)?, strings(values)?))
    }

    /// The publication has it, of whatever value.
    #[staticmethod]
    fn exists(py: Python<'_>, field: &Bound<'_, PyAny>) -> PyResult<Self> {
        Filter::sound(py, Decider::exists(self::field(field)?))
    }

    /// The publication has it not.
    #[staticmethod]
    fn missing(py: Python<'_>, field: &Bound<'_, PyAny>) -> PyResult<Self> {
        Filter::sound(py, Decider::missing(self::field(field)?))
    }

    /// Its value begins with this.
    #[staticmethod]
    fn starts_with(py: Python<'_>, field: &Bound<'_, PyAny>, piece: &str) -> PyResult<Self> {
        Filter::sound(py, Decider::starts_with(self::field(field)?, piece))
    }

    /// Its value ends with this.
    #[staticmethod]
    fn ends_with(py: Python<'_>, field: &Bound<'_, PyAny>, piece: &str) -> PyResult<Self> {
        Filter::sound(py, Decider::ends_with(self::field(field)?, piece))
    }

    /// This is somewhere in its value.
    #[staticmethod]
    fn contains(py: Python<'_>, field: &Bound<'_, PyAny>, piece: &str) -> PyResult<Self> {
        Filter::sound(py, Decider::contains(self::field(field)?, piece))
    }

    /// Its value is a number greater than this.
    #[staticmethod]
    fn gt(py: Python<'_>, field: &Bound<'_, PyAny>, bound: f64) -> PyResult<Self> {
        Filter::sound(py, Decider::gt(self::field(field)?, bound))
    }

    /// Its value is a number, this or greater.
    #[staticmethod]
    fn gte(py: Python<'_>, field: &Bound<'_, PyAny>, bound: f64) -> PyResult<Self> {
        Filter::sound(py, Decider::gte(self::field(field)?, bound))
    }

    /// Its value is a number less than this.
    #[staticmethod]
    fn lt(py: Python<'_>, field: &Bound<'_, PyAny>, bound: f64) -> PyResult<Self> {
        Filter::sound(py, Decider::lt(self::field(field)?, bound))
    }

    /// Its value is a number, this or less.
    #[staticmethod]
    fn lte(py: Python<'_>, field: &Bound<'_, PyAny>, bound: f64) -> PyResult<Self> {
        Filter::sound(py, Decider::lte(self::field(field)?, bound))
    }

    /// Whether a publication with these labels is one of those.
    #[pyo3(signature = (*, event=None, key=None, tags=None))]
    fn matches(
        &self,
        event: Option<&str>,
        key: Option<&str>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let tags = Tags::new(tags)?;
        let labels = Labels::new(event, key, &tags.pairs());
        Ok(self.0.matches(&labels, b""))
    }

    fn __and__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.with(other, Decider::all)
    }

    fn __rand__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.with(other, Decider::all)
    }

    fn __or__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.with(other, Decider::any)
    }

    fn __ror__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.with(other, Decider::any)
    }

    fn __invert__(&self, py: Python<'_>) -> PyResult<Self> {
        Filter::sound(py, !self.0.clone())
    }

    /// `and`, `or` and `not` would drop half of what was meant, in silence.
    fn __bool__(&self) -> PyResult<bool> {
        Err(PyTypeError::new_err(
            "a Filter is neither true nor false: put filters together with &, | and ~, and ask \
             `is None` where there may be none",
        ))
    }

    fn __str__(&self) -> &str {
        self.0.as_str()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let text = PyString::new(py, self.0.as_str()).repr()?;
        Ok(format!("Filter({})", text.to_str()?))
    }
}
