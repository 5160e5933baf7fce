//! Delivery: what became of a publication that is tracked, and what a slow member missed.
//!
//! In: what each shard has done with a publication. Out: one report, when the last shard has
//! offered it to all of its members. Rank 0: plain values and counters, any thread.

use crate::payload::Published;
use crate::sync::{Arc, AtomicUsize, Ordering};

/// A publication whose fate will be reported: by [`Handler::delivered`](crate::Handler::delivered)
/// or [`Event::Delivered`](crate::Event::Delivered).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tracked {
    /// The number by which the report is known. Never used twice in an engine's life.
    pub token: u64,
    /// As from `publish`.
    pub published: Published,
}

/// What became of a tracked publication by the time that all members in step had been offered it.
///
/// The members that the room had when its shards came to the publication are each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The number that [`Tracked`] has.
    pub token: u64,
    /// Its number in the room; `None` where the room did not exist.
    pub offset: Option<u64>,
    /// Members whose sockets took it.
    pub reached: usize,
    /// Members that did not ask for it: by their filters or their keys.
    pub filtered: usize,
    /// Members that were left out: excluded by the publisher, or volatile and not writable.
    pub skipped: usize,
    /// Members for whom a newer publication of its key took its place within the interval.
    pub conflated: usize,
    /// Members whose sockets are behind: they get it later, or meet their policy.
    pub lagging: usize,
}

/// What a slow member was not sent, of one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missed {
    /// How many publications.
    pub count: u64,
    /// The number of the first of them in the room.
    pub first: u64,
    /// The number of the last of them.
    pub last: u64,
    /// Whether the member has been sent, or is owed, a newer publication for the key of each: what
    /// it missed is old news ([`SlowPolicy::Latest`](crate::SlowPolicy::Latest)).
    pub replaced: bool,
}

impl Missed {
    /// Nothing yet.
    pub(crate) fn none(replaced: bool) -> Self {
        Missed {
            count: 0,
            first: u64::MAX,
            last: 0,
            replaced,
        }
    }

    /// One more, of this number.
    pub(crate) fn add(&mut self, offset: u64) {
        self.count += 1;
        self.first = self.first.min(offset);
        self.last = self.last.max(offset);
    }

    /// These and those.
    pub(crate) fn join(&mut self, other: &Missed) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// One member's part in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Reached,
    Filtered,
    Skipped,
    Conflated,
    Lagging,
}

/// The report in the making, shared by all shards that have members of the room.
#[derive(Debug)]
pub(crate) struct Tracker {
    token: u64,
    pub(crate) room: Box<str>,
    offset: Option<u64>,
    fates: [AtomicUsize; 5],
    /// Shards and groups that have not said yet what became of it.
    open: AtomicUsize,
}

impl Tracker {
    /// Of a publication to this room, open once for whoever holds it first.
    pub(crate) fn new(token: u64, room: &str) -> Self {
        Tracker {
            token,
            room: room.into(),
            offset: None,
            fates: Default::default(),
            open: AtomicUsize::new(1),
        }
    }

    /// Says its number; before it is shared.
    pub(crate) fn number(&mut self, offset: Option<u64>) {
        self.offset = offset;
    }

    /// So many more have to say what became of it.
    pub(crate) fn open(&self, more: usize) {
        self.open.fetch_add(more, Ordering::Relaxed);
    }

    /// So many members met this fate.
    pub(crate) fn count(&self, fate: Fate, members: usize) {
        self.fates[fate as usize].fetch_add(members, Ordering::Relaxed);
    }

    /// One of those has said all. True when it was the last: the report is complete.
    #[must_use]
    pub(crate) fn close(&self) -> bool {
        self.open.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// What became of it.
    pub(crate) fn report(&self) -> Delivery {
        let of = |fate: Fate| self.fates[fate as usize].load(Ordering::Relaxed);
        Delivery {
            token: self.token,
            offset: self.offset,
            reached: of(Fate::Reached),
            filtered: of(Fate::Filtered),
            skipped: of(Fate::Skipped),
            conflated: of(Fate::Conflated),
            lagging: of(Fate::Lagging),
        }
    }
}

/// Each is itself alone.
impl PartialEq for Tracker {
    fn eq(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

impl Eq for Tracker {}

/// A tracker that several stages hold.
pub(crate) type SharedTracker = Arc<Tracker>;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_complete_when_the_last_has_said_its_part() {
        let mut tracker = Tracker::new(7, "a");
        tracker.number(Some(3));
        tracker.open(2);
        tracker.count(Fate::Reached, 5);
        assert!(!tracker.close());
        tracker.count(Fate::Lagging, 2);
        assert!(!tracker.close() && tracker.close());
        let report = tracker.report();
        assert_eq!((report.token, report.offset), (7, Some(3)));
        assert_eq!((report.reached, report.lagging, report.skipped), (5, 2, 0));
    }

    #[test]
    fn what_was_missed_has_a_range() {
        let mut missed = Missed::none(false);
        [5, 9, 7].into_iter().for_each(|offset| missed.add(offset));
        let mut more = Missed::none(false);
        more.add(12);
        missed.join(&more);
        assert_eq!((missed.count, missed.first, missed.last), (4, 5, 12));
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::thread;

    /// Two shards report on a publication: the last to be done, and only that one, sees what both
    /// have counted.
    #[test]
    fn loom_the_last_to_close_sees_what_all_have_counted() {
        loom::model(|| {
            let tracker = Arc::new(Tracker::new(1, "a"));
            tracker.open(1);
            let shard = |fate| {
                let tracker = tracker.clone();
                move || {
                    tracker.count(fate, 1);
                    tracker.close().then(|| tracker.report())
                }
            };
            let other = thread::spawn(shard(Fate::Reached));
            let mine = shard(Fate::Lagging)();
            let theirs = other.join().expect("it ends");
            let reports: Vec<Delivery> = mine.into_iter().chain(theirs).collect();
            assert_eq!(reports.len(), 1);
            assert_eq!((reports[0].reached, reports[0].lagging), (1, 1));
        });
    }
}
