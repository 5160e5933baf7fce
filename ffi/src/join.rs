//! How a connection is a member of a room.

use roomcast::{Join, Status};

use crate::boundary::{In, roomcast_str};
use crate::filter::roomcast_filter;
use crate::options::Pace;
use crate::publish::texts;

/// How a connection is a member of a room: what it is sent, and when. Set `struct_size`, and the
/// rest to zero where it is not needed; all zero is everything, as the room's options say.
#[repr(C)]
pub struct roomcast_join {
    /// `sizeof(roomcast_join)`.
    pub struct_size: usize,
    /// Only what it matches, which stays the host's; NULL for everything.
    pub filter: In<roomcast_filter>,
    /// Only what has one of these keys, an array of `key_count`: a watch-list, which
    /// `roomcast_connection_watch` and `_unwatch` change.
    pub keys: In<roomcast_str>,
    /// How many keys.
    pub key_count: usize,
    /// Instead of the room's flush interval, in milliseconds; `ROOMCAST_EACH_TURN` for none; 0 for
    /// the room's.
    pub flush_interval_ms: u32,
    /// Instead of the room's policy, one of `roomcast_slow_policy`; 0 for the room's.
    pub slow_policy: u32,
    /// There is a watch-list, though it is empty: nothing is sent until keys are watched. Where
    /// `key_count` is not 0 there is one anyway.
    pub watches: bool,
}

/// What C says; the default for NULL.
pub(crate) fn read_join(join: &In<roomcast_join>) -> Result<Join, Status> {
    let mut made = Join::new();
    let Some(join) = join.growing()? else {
        return Ok(made);
    };
    let keys = texts(join.keys.slice(join.key_count)?)?;
    let pace = Pace::read(join.flush_interval_ms, join.slow_policy)?;
    if let Some(filter) = join.filter.one() {
        made = made.filter(filter.filter.clone());
    }
    if join.watches || !keys.is_empty() {
        made = made.keys(keys);
    }
    if let Some(interval) = pace.interval_ms {
        made = made.flush_interval_ms(interval);
    }
    if let Some(policy) = pace.policy {
        made = made.slow_policy(policy);
    }
    Ok(made)
}
