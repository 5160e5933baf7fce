//! Why a filter cannot be made of a text, or of the parts that it was built from.
//!
//! In: what the parser and the builders found. Out: one sentence for whoever wrote the filter.
//! Any thread.

use std::fmt;

/// Why something is no filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilterError {
    /// The text is not one that a filter can be made of.
    Syntax {
        /// The byte of the text at which it is wrong.
        at: usize,
        /// What could have stood there.
        expected: &'static str,
    },
    /// Nested deeper than [`Filter::DEPTH_MAX`](super::Filter::DEPTH_MAX).
    TooDeep,
    /// A text, or a canonical text, of more than [`Filter::BYTES_MAX`](super::Filter::BYTES_MAX),
    /// or a tree of more than [`Filter::NODES_MAX`](super::Filter::NODES_MAX).
    TooLarge,
    /// A number to compare with is infinite or NaN.
    NotFinite,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FilterError::Syntax { at, expected } => {
                write!(f, "at byte {at} of the filter: expected {expected}")
            }
            FilterError::TooDeep => f.write_str("the filter is nested too deeply"),
            FilterError::TooLarge => f.write_str("the filter is too large"),
            FilterError::NotFinite => {
                f.write_str("the filter compares with a number that is infinite or NaN")
            }
        }
    }
}

impl std::error::Error for FilterError {}
