//! History: the newest publications of a room, for members that have lost their place on its tape.
//!
//! In: publications as they are numbered, under the room's lock. Out: those from an offset on, as
//! far as they are kept. A ring, bounded in number and in bytes; it ends with its room. Any thread.

use std::collections::VecDeque;

use super::encoded::Encoded;
use crate::sync::{Arc, AtomicUsize, Ordering};

/// How much of each room is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistoryBounds {
    pub(crate) publications_max: usize,
    pub(crate) bytes_max: usize,
}

pub(crate) struct History {
    ring: VecDeque<(u64, Arc<Encoded>)>,
    bytes: usize,
    bounds: HistoryBounds,
    /// Bytes of all histories of the engine.
    total: Arc<AtomicUsize>,
}

impl History {
    pub(crate) fn new(bounds: HistoryBounds, total: &Arc<AtomicUsize>) -> Self {
        History {
            ring: VecDeque::new(),
            bytes: 0,
            bounds,
            total: total.clone(),
        }
    }

    /// Keeps a publication, and lets go of the oldest where there is no place for all.
    pub(crate) fn push(&mut self, offset: u64, publication: Arc<Encoded>) {
        let cost = publication.held_bytes();
        self.bytes += cost;
        self.total.fetch_add(cost, Ordering::Relaxed);
        self.ring.push_back((offset, publication));
        while self.ring.len() > self.bounds.publications_max || self.bytes > self.bounds.bytes_max {
            let Some((_, oldest)) = self.ring.pop_front() else {
                return;
            };
            self.forget(oldest.held_bytes());
        }
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What is kept of `from..=to`, the oldest first, up to about so many bytes.
    pub(crate) fn range(&self, from: u64, to: u64, bytes_max: usize) -> Vec<(u64, Arc<Encoded>)> {
        let first = self.ring.partition_point(|(offset, _)| *offset < from);
        let mut bytes = 0;
        let kept = self.ring.range(first..);
        let within = kept.take_while(|(offset, publication)| {
            let goes_on = *offset <= to && bytes < bytes_max;
            bytes += publication.held_bytes();
            goes_on
        });
        within.cloned().collect()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::payload::Kind;

    #[test]
    fn what_is_kept_is_bounded_and_found() {
        let total = Arc::new(AtomicUsize::new(0));
        let bounds = HistoryBounds {
            publications_max: 5,
            bytes_max: 5000,
        };
        let mut history = History::new(bounds, &total);
        for offset in 1..=20 {
            let mut publication = Encoded::default();
            publication.fill(None, Kind::Binary, &[0; 100], 1);
            history.push(offset, Arc::new(publication));
        }
        let offsets = |from, to, bytes| {
            let range = history.range(from, to, bytes);
            range.iter().map(|(offset, _)| *offset).collect::<Vec<_>>()
        };
        assert_eq!(offsets(0, 100, 10_000), [16, 17, 18, 19, 20]);
        assert_eq!(offsets(17, 19, 10_000), [17, 18, 19]);
        assert_eq!(offsets(17, 20, 1), [17]);
        assert!(offsets(21, 30, 10_000).is_empty());
        assert!(total.load(Ordering::Relaxed) > 500);
        let mut large = Encoded::default();
        large.fill(None, Kind::Binary, &[0; 4400], 1);
        history.push(21, Arc::new(large));
        assert_eq!(history.ring.len(), 1, "bytes are bounded too");
        drop(history);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
