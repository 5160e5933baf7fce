//! Options of rooms: what holds for a room, by the beginning of its name.
//!
//! In: the host's table of prefixes, and the engine's settings for all else. Out: a number for each
//! room, and what it stands for. Made once at the start, then only read. Any thread.

use crate::config::{INTERVAL_MS_MAX, Limits, RoomOptions, SlowPolicy};

/// What holds for a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) interval_ms: u32,
    pub(crate) conflates: bool,
    pub(crate) policy: SlowPolicy,
    pub(crate) deflate: bool,
}

/// All rules; number 0 is that of rooms whose names begin with no prefix.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// Prefixes with the numbers of their rules, the longest first.
    prefixes: Vec<(Box<str>, u16)>,
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
        };
        let none = RoomOptions::new();
        let all = std::iter::once(&none).chain(options.iter().map(|(_, options)| options));
        Rules {
            rules: all.map(rule).collect(),
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
