//! The pacer: groups whose frames wait for the end of their flush interval.
//!
//! In: a group and the millisecond at which its interval ends. Out: the groups that are due. All
//! intervals end at multiples of their length, so that rooms with the same one are due together,
//! and a member of several of them is written once. Knows no clock. Shard thread.

use std::collections::BTreeMap;

use super::GroupId;

#[derive(Default)]
pub(super) struct Pacer {
    due: BTreeMap<u64, Vec<GroupId>>,
}

/// The end of the interval in which this moment lies, in milliseconds.
pub(super) fn end_of(since_ns: u64, interval_ms: u64) -> u64 {
    (since_ns / 1_000_000 / interval_ms + 1) * interval_ms
}

impl Pacer {
    /// Holds the group until then.
    pub(super) fn hold(&mut self, id: GroupId, due_ms: u64) {
        self.due.entry(due_ms).or_default().push(id);
    }

    /// Adds what was held until now or before, with its moment.
    pub(super) fn release(&mut self, now_ms: u64, into: &mut Vec<(GroupId, u64)>) {
        while let Some(first) = self.due.first_entry()
            && *first.key() <= now_ms
        {
            let (due_ms, groups) = first.remove_entry();
            into.extend(groups.into_iter().map(|id| (id, due_ms)));
        }
    }

    /// The next moment at which something is due, in milliseconds.
    pub(super) fn next(&self) -> Option<u64> {
        self.due.first_key_value().map(|(due_ms, _)| *due_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_end_together() {
        assert_eq!(end_of(0, 100), 100);
        assert_eq!(end_of(99_999_999, 100), 100);
        assert_eq!(end_of(100_000_000, 100), 200);
        assert_eq!(end_of(150_000_000, 50), 200);
        let mut pacer = Pacer::default();
        for (id, due_ms) in [(1, 200), (2, 100), (3, 200)] {
            pacer.hold(id, due_ms);
        }
        assert_eq!(pacer.next(), Some(100));
        let mut due = Vec::new();
        pacer.release(150, &mut due);
        assert_eq!(due, [(2, 100)]);
        pacer.release(200, &mut due);
        assert_eq!(due, [(2, 100), (1, 200), (3, 200)]);
        assert_eq!(pacer.next(), None);
    }
}
