//! Whether an engine could run on a config: each setting alone, and those that hang together.
//!
//! In: a config. Out: the first setting that cannot work, with what it may be. Rank 0.

use super::{Config, Limits, Listen};
use crate::error::ConfigError;

impl Config {
    /// Whether an engine could run on this; `Engine::start` asks the same.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting, what it is and what it may be.
    pub fn check(&self) -> Result<(), ConfigError> {
        at_most(
            "shards",
            self.shards as u64,
            255,
            "a connection id has eight bits for it",
        )?;
        if !self.own_threads {
            at_most(
                "shards",
                self.shards as u64,
                1,
                "own_threads(false) has one shard",
            )?;
        }
        at_most(
            "room_options",
            self.room_options.len() as u64,
            ROOM_OPTIONS_MAX,
            "each room that comes to be looks through all prefixes",
        )?;
        for (_, options) in &self.room_options {
            options.check(&self.limits)?;
        }
        self.check_addresses()?;
        #[cfg(feature = "tls")]
        self.check_tls()?;
        self.limits.check_least()?;
        self.limits.check_most()
    }

    fn check_addresses(&self) -> Result<(), ConfigError> {
        let trusted = self.trusted_proxies.as_ref().map_err(Clone::clone)?;
        for options in self.listen.iter().map(Listen::options) {
            if options.proxy_protocol && trusted.is_nobody() {
                return Err(ConfigError::Missing {
                    setting: "proxy_protocol",
                    needs: "trusted_proxies",
                    because: "no connection would be taken, since nobody may send the header",
                });
            }
            let mode = options.unix_mode.unwrap_or(0);
            at_most("unix_mode", mode.into(), 0o777, "these are the permissions")?;
        }
        Ok(())
    }
}

/// Prefixes with options.
const ROOM_OPTIONS_MAX: u64 = 1_000;
/// The longest flush interval.
pub(crate) const INTERVAL_MS_MAX: u64 = 3_600_000;
pub(super) const AN_HOUR: &str = "nothing waits for more than an hour";

impl Limits {
    fn check_least(&self) -> Result<(), ConfigError> {
        at_least("head_bytes_max", self.head_bytes_max as u64, 256)?;
        at_least(
            "publication_bytes_max",
            self.publication_bytes_max as u64,
            1,
        )?;
        at_least("room_name_bytes_max", self.room_name_bytes_max as u64, 1)?;
        at_least("connection_rooms_max", self.connection_rooms_max as u64, 1)?;
        at_least(
            "connection_events_max",
            u64::from(self.connection_events_max),
            1,
        )?;
        at_least("events_max", self.events_max as u64, 1)?;
        at_least("key_bytes_max", self.key_bytes_max as u64, 1)?;
        at_least(
            "flush_interval_max_ms",
            self.flush_interval_max_ms.into(),
            1,
        )?;
        if self.memory_bytes_max > 0 {
            let (budget, tape) = (self.memory_bytes_max as u64, self.tape_bytes_max as u64);
            let because = "it is at most a quarter of memory_bytes_max";
            at_most("tape_bytes_max", tape, budget / 4, because)?;
        }
        at_least("handshakes_max", self.handshakes_max as u64, 1)?;
        at_least("presence_page_max", self.presence_page_max as u64, 1)?;
        at_least("turn_budget_us", self.turn_budget_us, 10)?;
        at_least("handshake_timeout_ms", self.handshake_timeout_ms, 1)?;
        at_least("verdict_timeout_ms", self.verdict_timeout_ms, 1)?;
        at_least("close_timeout_ms", self.close_timeout_ms, 1)
    }

    fn check_most(&self) -> Result<(), ConfigError> {
        at_most(
            "deflate_level",
            u64::from(self.deflate_level),
            9,
            "deflate has no higher level",
        )?;
        for (setting, interval) in [
            ("flush_interval_ms", self.flush_interval_ms),
            ("flush_interval_max_ms", self.flush_interval_max_ms),
        ] {
            at_most(setting, interval.into(), INTERVAL_MS_MAX, AN_HOUR)?;
        }
        let tape = self.tape_bytes_max as u64;
        at_most(
            "head_bytes_max",
            self.head_bytes_max as u64,
            1 << 20,
            "it is buffered whole",
        )?;
        at_most(
            "connections_max",
            self.connections_max as u64,
            1 << 24,
            "ids have 24 bits",
        )?;
        let because = "it is at most a quarter of tape_bytes_max";
        at_most(
            "publication_bytes_max",
            self.publication_bytes_max as u64,
            tape / 4,
            because,
        )?;
        let because = "it is at most half of tape_bytes_max";
        at_most(
            "room_ahead_bytes_max",
            self.room_ahead_bytes_max as u64,
            tape / 2,
            because,
        )?;
        let because = "it is at most shard_tape_bytes_max";
        at_most(
            "tape_bytes_max",
            tape,
            self.shard_tape_bytes_max as u64,
            because,
        )?;
        let (high, most) = (self.outbox_high_bytes as u64, self.outbox_bytes_max as u64);
        at_most(
            "outbox_high_bytes",
            high,
            most,
            "it is at most outbox_bytes_max",
        )
    }
}

pub(super) fn at_least(setting: &'static str, value: u64, least: u64) -> Result<(), ConfigError> {
    match value < least {
        true => Err(ConfigError::TooSmall {
            setting,
            value,
            least,
        }),
        false => Ok(()),
    }
}

pub(super) fn at_most(
    setting: &'static str,
    value: u64,
    most: u64,
    because: &'static str,
) -> Result<(), ConfigError> {
    match value > most {
        true => Err(ConfigError::TooLarge {
            setting,
            value,
            most,
            because,
        }),
        false => Ok(()),
    }
}
