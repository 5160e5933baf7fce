//! Keys that JWTs are signed with.

use roomcast::Status;

pub(crate) use roomcast::Keys;

use crate::boundary::{Out, give, guard, place};
use crate::status::roomcast_status;

/// Keys that JWTs are signed with.
pub struct roomcast_keys {
    keys: Keys,
}

impl roomcast_keys {
    pub(crate) fn get(&self) -> &Keys {
        &self.keys
    }
}
