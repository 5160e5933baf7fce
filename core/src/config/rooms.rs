//! Options of rooms whose names begin alike, as the host sets them.
//!
//! In: the host's calls. Out: what `rooms/options.rs` makes rules of. Plain values, any thread.

use super::check::{AN_HOUR, INTERVAL_MS_MAX, at_least, at_most};
use super::{Limits, SlowPolicy};
use crate::error::ConfigError;

/// What holds for rooms whose names begin alike:
/// [`Config::room_options`](crate::Config::room_options).
///
/// ```
/// use roomcast::{Config, RoomOptions, SlowPolicy};
///
/// let ticker = RoomOptions::new()
///     .flush_interval_ms(100)
///     .conflate(true)
///     .slow_policy(SlowPolicy::Latest);
/// let config = Config::new().room_options("ticker:", ticker);
/// # assert!(config.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomOptions {
    pub(crate) flush_interval_ms: Option<u32>,
    pub(crate) conflate: bool,
    pub(crate) slow_policy: Option<SlowPolicy>,
    pub(crate) deflate: bool,
    pub(crate) history: u32,
    pub(crate) presence: bool,
    pub(crate) presence_interval_ms: u32,
}

impl Default for RoomOptions {
    fn default() -> Self {
        RoomOptions::new()
    }
}

impl RoomOptions {
    /// What the engine's settings say.
    #[must_use]
    pub fn new() -> Self {
        RoomOptions {
            flush_interval_ms: None,
            conflate: false,
            slow_policy: None,
            deflate: true,
            history: 0,
            presence: false,
            presence_interval_ms: 0,
        }
    }

    /// Milliseconds within which publications of a room wait for each other, to leave together in
    /// one write to each member; 0 for each turn. Default: the engine's `flush_interval_ms`.
    #[must_use]
    pub fn flush_interval_ms(mut self, interval: u32) -> Self {
        self.flush_interval_ms = Some(interval);
        self
    }

    /// Of publications with one key only the newest of each interval leaves, in its own place of
    /// the order; whom that one excludes is sent neither. Those without a key all leave. Needs a
    /// flush interval. Default false.
    #[must_use]
    pub fn conflate(mut self, conflate: bool) -> Self {
        self.conflate = conflate;
        self
    }

    /// What happens to members that are too slow. Default:
    /// [`Config::slow_policy`](crate::Config::slow_policy).
    #[must_use]
    pub fn slow_policy(mut self, policy: SlowPolicy) -> Self {
        self.slow_policy = Some(policy);
        self
    }

    /// Whether publications are compressed for members that agreed on it: not worth it where they
    /// are dense already. Default true, which still needs `deflate_level`.
    #[must_use]
    pub fn deflate(mut self, deflate: bool) -> Self {
        self.deflate = deflate;
        self
    }

    /// How many publications the room keeps while it exists, within `history_bytes_max`, for
    /// members with the policy [`Replay`](SlowPolicy::Replay). They are kept once for all shards.
    /// Default 0.
    #[must_use]
    pub fn history(mut self, publications: u32) -> Self {
        self.history = publications;
        self
    }

    /// Whether the engine knows of the room's members who they are, for [`Handle::presence`] and
    /// [`Handle::present`]: users counted, members listed page by page with user and
    /// [info](crate::Accept::info). Default false.
    ///
    /// [`Handle::presence`]: crate::Handle::presence
    /// [`Handle::present`]: crate::Handle::present
    #[must_use]
    pub fn presence(mut self, presence: bool) -> Self {
        self.presence = presence;
        self
    }

    /// Has the room's members told who came and who went: so many milliseconds after the first
    /// change one notice tells all that has changed by then. 0, the default, for no notices. Needs
    /// [`presence`](RoomOptions::presence).
    ///
    /// A notice is a publication to the room like any other: it is numbered, and all members are
    /// sent it, also those whom it names. Its event is `presence`, so that a
    /// [`Filter`](crate::Filter) can leave it out. It is text, in JSON:
    ///
    /// ```json
    /// {"presence": {
    ///   "room": "lobby", "members": 12, "users": 10,
    ///   "came": [{"id": "72057594054705154", "user": "ada", "info": {"name": "Ada"}}],
    ///   "came_count": 1,
    ///   "gone": [{"id": "72057594054705153", "user": "bob"}],
    ///   "gone_count": 1
    /// }}
    /// ```
    ///
    /// - `members` and `users` count those who are there now; anonymous ones are members only.
    /// - `came` and `gone` are in the order in which they joined. Whoever came and went in between
    ///   is in neither, nor is who went and came back. `id` is the connection's number in decimal
    ///   digits, in a string since it is too large for JavaScript's numbers. `user` is not there
    ///   for anonymous connections, `info` only where they came with one and in `came`.
    /// - `came_count` and `gone_count` count also those who are not named: beyond
    ///   `presence_notice_names_max` of either, or where names would make the publication too
    ///   large.
    ///
    /// Above `presence_notice_members_max` members there are no notices, and what changes then is
    /// not told later. So whoever keeps a list from notices compares its length with `members`, and
    /// asks for the pages where it differs. While the room or a shard is behind, a notice waits for
    /// the end of the next interval, and tells what has changed by then.
    #[must_use]
    pub fn presence_interval_ms(mut self, interval: u32) -> Self {
        self.presence_interval_ms = interval;
        self
    }

    pub(super) fn check(&self, limits: &Limits) -> Result<(), ConfigError> {
        let interval = self.flush_interval_ms.unwrap_or(limits.flush_interval_ms);
        at_most(
            "flush_interval_ms",
            interval.into(),
            INTERVAL_MS_MAX,
            AN_HOUR,
        )?;
        if self.conflate {
            at_least("flush_interval_ms", interval.into(), 1)?;
        }
        let (most, because) = match self.presence {
            true => (INTERVAL_MS_MAX, AN_HOUR),
            false => (0, "a room without presence has no notices"),
        };
        let interval = self.presence_interval_ms.into();
        at_most("presence_interval_ms", interval, most, because)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn notices_need_presence_and_an_interval_of_an_hour_at_most() {
        let check = |options| Config::new().room_options("r", options).check();
        let interval = |ms| RoomOptions::new().presence_interval_ms(ms);
        assert_eq!(check(interval(1_000).presence(true)), Ok(()));
        assert_eq!(check(interval(0)), Ok(()));
        for options in [interval(1), interval(3_600_001).presence(true)] {
            let error = check(options).unwrap_err().to_string();
            assert!(error.contains("presence_interval_ms"), "{error}");
        }
    }
}
