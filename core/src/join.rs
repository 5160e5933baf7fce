//! Join: what a member is sent of a room, and how.
//!
//! In: the host's choices. Out: the same, to the connection's shard, which finds the delivery group
//! that they make. Rank 0: plain values.

use crate::config::SlowPolicy;
use crate::error::CommandError;
use crate::filter::Filter;

/// How a connection is a member of a room; the default is everything, as the room's options say.
///
/// ```
/// use roomcast::{Filter, Join, SlowPolicy};
///
/// let bids = Join::new().filter(Filter::eq("side", "bid")).slow_policy(SlowPolicy::Latest);
/// let watch_list = Join::new().keys(["BTC", "ETH"]).flush_interval_ms(250);
/// # let _ = (bids, watch_list);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Join {
    pub(crate) filter: Option<Filter>,
    pub(crate) keys: Option<Box<[Box<str>]>>,
    pub(crate) flush_interval_ms: Option<u32>,
    pub(crate) slow_policy: Option<SlowPolicy>,
}

impl Join {
    /// Everything, as the room's options say.
    #[must_use]
    pub fn new() -> Self {
        Join::default()
    }

    /// Only the publications that the filter matches. Members with equal filters are one group, for
    /// which each publication is decided once.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Only the publications with one of these keys: a watch-list, which
    /// [`watch`](crate::Handle::watch) and [`unwatch`](crate::Handle::unwatch) change later. It may
    /// be empty. What the room publishes without a key is not for this member.
    #[must_use]
    pub fn keys<K: AsRef<str>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys = Some(boxed(keys));
        self
    }

    /// Instead of the room's flush interval.
    #[must_use]
    pub fn flush_interval_ms(mut self, interval: u32) -> Self {
        self.flush_interval_ms = Some(interval);
        self
    }

    /// Instead of the room's policy.
    #[must_use]
    pub fn slow_policy(mut self, policy: SlowPolicy) -> Self {
        self.slow_policy = Some(policy);
        self
    }

    /// Whether a shard can do what this says.
    pub(crate) fn check(&self, key_bytes_max: usize) -> Result<(), CommandError> {
        if self.filter.as_ref().is_some_and(|f| f.fault().is_some()) {
            return Err(CommandError::Filter);
        }
        check_keys(self.keys.as_deref().unwrap_or_default(), key_bytes_max)
    }
}

/// The keys, as commands carry them.
pub(crate) fn boxed<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Box<[Box<str>]> {
    keys.into_iter().map(|key| key.as_ref().into()).collect()
}

/// Whether all of these are short enough.
pub(crate) fn check_keys(keys: &[Box<str>], key_bytes_max: usize) -> Result<(), CommandError> {
    match keys.iter().all(|key| key.len() <= key_bytes_max) {
        true => Ok(()),
        false => Err(CommandError::Key),
    }
}
