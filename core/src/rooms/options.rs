//! Options of rooms: what holds for a room, by the beginning of its name.
//!
//! In: the host's table of prefixes, and the engine's settings for all else. Out: a number for each
//! room, and what it stands for. Made once at the start, then only read. Any thread.

use super::history::HistoryBounds;
use super::presence::RosterBounds;
use crate::config::{INTERVAL_MS_MAX, Limits, RoomOptions, SlowPolicy};

/// What holds for a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) interval_ms: u32,
    pub(crate) conflates: bool,
    pub(crate) policy: SlowPolicy,
    pub(crate) deflate: bool,
    /// Publications that are kept, 0 for no history.
    pub(crate) history: u32,
    pub(crate) presence: bool,
    /// Between two notices of who came and went, 0 for none.
    pub(crate) presence_interval_ms: u32,
}

/// All rules; number 0 is that of rooms whose names begin with no prefix.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// Prefixes with the numbers of their rules, the longest first.
    prefixes: Vec<(Box<str>, u16)>,
    history_bytes_max: usize,
    presence_names_max: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Rules::new(&Limits::default(), SlowPolicy::default(), Vec::new())
    }
}

impl Rules {
    pub(crate) fn new(
        limits: &Limits,
        policy: SlowPolicy,
        mut options: Vec<(String, RoomOptions)>,
    ) -> Self {
        options.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let rule = |options: &RoomOptions| Rule {
            interval_ms: options
                .flush_interval_ms
                .unwrap_or(limits.flush_interval_ms),
            conflates: options.conflate,
            policy: options.slow_policy.unwrap_or(policy),
            deflate: options.deflate,
            history: options.history,
            presence: options.presence,
            presence_interval_ms: options.presence_interval_ms,
        };
        let none = RoomOptions::new();
        let all = std::iter::once(&none).chain(options.iter().map(|(_, options)| options));
        Rules {
            rules: all.map(rule).collect(),
            history_bytes_max: limits.history_bytes_max,
            presence_names_max: limits.presence_notice_names_max,
            prefixes: options
                .iter()
                .zip(1..)
                .map(|((prefix, _), number)| (prefix.as_str().into(), number))
                .collect(),
        }
    }

    /// The number of the rule for a room of this name.
    pub(crate) fn number(&self, name: &str) -> u16 {
        let mut prefixes = self.prefixes.iter();
        let found = prefixes.find(|(prefix, _)| name.starts_with(&**prefix));
        found.map_or(0, |(_, number)| *number)
    }

    /// The bounds of the history of rooms with this rule, if they have one.
    pub(crate) fn history(&self, number: u16) -> Option<HistoryBounds> {
        let publications_max = self.of(number).history as usize;
        (publications_max > 0).then_some(HistoryBounds {
            publications_max,
            bytes_max: self.history_bytes_max,
        })
    }

    /// What the roster of rooms with this rule remembers of who goes, if they have one.
    pub(crate) fn roster(&self, number: u16) -> Option<RosterBounds> {
        let rule = self.of(number);
        rule.presence.then_some(RosterBounds {
            interval_ms: rule.presence_interval_ms,
            names_max: self.presence_names_max,
        })
    }

    /// The rule of this number.
    pub(crate) fn of(&self, number: u16) -> &Rule {
        &self.rules[usize::from(number)]
    }
}

/// An interval that a member asks for, within what a room may have.
pub(crate) fn interval_ms(asked: u32) -> u32 {
    asked.min(INTERVAL_MS_MAX as u32)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let interval = |ms| RoomOptions::new().flush_interval_ms(ms);
        let table = vec![
            ("t".to_string(), interval(1)),
            ("ticker:".to_string(), interval(2).conflate(true)),
            ("ticker:slow:".to_string(), interval(3)),
        ];
        let rules = Rules::new(&Limits::default(), SlowPolicy::Skip, table);
        let of = |name| rules.of(rules.number(name)).interval_ms;
        assert_eq!(of("ticker:slow:1"), 3);
        assert_eq!(of("ticker:1"), 2);
        assert_eq!((of("tick"), of("other")), (1, 0));
        assert!(rules.of(rules.number("ticker:1")).conflates);
        assert_eq!(rules.of(0).policy, SlowPolicy::Skip);
    }
}
