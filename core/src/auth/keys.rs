//! Keys that JWTs are signed with, and the check of a token by them.

use std::fmt;

use super::{Claims, TokenError, Verify};

/// Keys.
#[derive(Clone, Default)]
pub struct Keys {}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    why: String,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key for tokens cannot be used: {}", self.why)
    }
}

impl std::error::Error for KeyError {}

impl Verify for Keys {
    fn verify(&self, _token: &str, _now_s: u64) -> Result<Claims, TokenError> {
        Err(TokenError::Invalid)
    }
}
