//! Filters of a shard: each distinct one has a number, and decides once on each publication.
//!
//! In: filters of those who join, and publications. Out: numbers for the terms of groups, and
//! verdicts. A filter is here while a group has it. Shard thread.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use slab::Slab;

use crate::filter::Filter;
use crate::labels::Labels;

struct Entry {
    filter: Filter,
    /// Groups that have it.
    groups: u32,
    /// The publication that it decided on last, and how.
    sequence: u64,
    verdict: bool,
}

#[derive(Default)]
pub(super) struct Filters {
    entries: Slab<Entry>,
    numbers: HashMap<Filter, u32, RandomState>,
    /// How often a filter was asked.
    pub(super) asked: u64,
}

impl Filters {
    /// The number of this filter, 0 where no group has it.
    pub(super) fn find(&self, filter: &Filter) -> u32 {
        self.numbers.get(filter).copied().unwrap_or(0)
    }

    /// A new group has this filter: its number, from 1 on.
    pub(super) fn take(&mut self, filter: &Filter) -> u32 {
        if let Some(&number) = self.numbers.get(filter) {
            self.entries[number as usize - 1].groups += 1;
            return number;
        }
        let entry = Entry {
            filter: filter.clone(),
            groups: 1,
            sequence: 0,
            verdict: false,
        };
        let number = self.entries.insert(entry) as u32 + 1;
        self.numbers.insert(filter.clone(), number);
        number
    }

    /// A group with the filter of this number is no more.
    pub(super) fn give(&mut self, number: u32) {
        let at = number as usize - 1;
        self.entries[at].groups -= 1;
        if self.entries[at].groups == 0 {
            let entry = self.entries.remove(at);
            self.numbers.remove(&entry.filter);
        }
    }

    /// Whether the publication of this sequence is for those with the filter.
    pub(super) fn admits(
        &mut self,
        number: u32,
        sequence: u64,
        labels: &Labels,
        data: &[u8],
    ) -> bool {
        let entry = &mut self.entries[number as usize - 1];
        if entry.sequence != sequence {
            self.asked += 1;
            entry.sequence = sequence;
            entry.verdict = entry.filter.matches(labels, data);
        }
        entry.verdict
    }

    /// The same, of a publication from before.
    pub(super) fn matches(&mut self, number: u32, labels: &Labels, data: &[u8]) -> bool {
        self.asked += 1;
        self.entries[number as usize - 1]
            .filter
            .matches(labels, data)
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_filter_decides_once_and_lives_while_a_group_has_it() {
        let mut filters = Filters::default();
        let bids = Filter::eq("side", "bid");
        assert_eq!(filters.find(&bids), 0);
        let number = filters.take(&bids);
        let same = Filter::text(r#"tags.side == "bid""#).unwrap();
        assert_eq!((filters.take(&same), filters.find(&same)), (number, number));
        let labels = Labels::new(None, None, &[("side", "bid")]);
        assert!(filters.admits(number, 1, &labels, b""));
        assert!(filters.admits(number, 1, &labels, b""));
        assert_eq!(filters.asked, 1);
        assert!(!filters.admits(number, 2, &Labels::default(), b""));
        filters.give(number);
        assert_eq!(filters.len(), 1);
        filters.give(number);
        assert_eq!((filters.len(), filters.find(&bids)), (0, 0));
    }
}
