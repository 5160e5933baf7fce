//! What slow members meet, by the words that Python has for it.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The policies for slow members, by the words for them.
const POLICIES: &[(&str, roomcast::SlowPolicy)] = &[
    ("disconnect", roomcast::SlowPolicy::Disconnect),
    ("skip", roomcast::SlowPolicy::Skip),
    ("latest", roomcast::SlowPolicy::Latest),
    ("volatile", roomcast::SlowPolicy::Volatile),
    ("replay", roomcast::SlowPolicy::Replay),
];

/// What happens to members that are too slow.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SlowPolicy(pub(crate) roomcast::SlowPolicy);

impl<'a, 'py> FromPyObject<'a, 'py> for SlowPolicy {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let words = || {
            let words: Vec<_> = POLICIES
                .iter()
                .map(|(word, _)| format!("{word:?}"))
                .collect();
            let found = value.repr()?;
            let (words, found) = (words.join(", "), found.to_str()?);
            PyResult::Ok(format!(
                "slow_policy is {found}, but must be one of {words}"
            ))
        };
        let Ok(word) = value.cast::<PyString>() else {
            return Err(PyTypeError::new_err(words()?));
        };
        let word = word.to_str()?;
        match POLICIES.iter().find(|(known, _)| *known == word) {
            Some((_, policy)) => Ok(SlowPolicy(*policy)),
            None => Err(PyValueError::new_err(words()?)),
        }
    }
}

impl SlowPolicy {
    /// The word for it.
    pub(crate) fn word(self) -> Option<&'static str> {
        let mut known = POLICIES.iter().filter(|(_, policy)| *policy == self.0);
        known.next().map(|(word, _)| *word)
    }
}
