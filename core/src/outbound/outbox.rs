//! An outbox: what one connection is owed beside its rooms' tapes, for as long as there is any.
//!
//! In: private frames with their shard sequence, the rest of a half-sent frame, holes. Out: pieces
//! in the order in which they must be written. Most connections have none. Shard thread only.

use std::collections::{HashSet, VecDeque};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::tape::SharedFrame;
use super::watch::News;
use crate::sync::Arc;

/// A frame for one connection, in its place in the shard's sequence.
pub(crate) struct Private {
    pub(crate) sequence: u64,
    pub(crate) frame: SharedFrame,
    /// What it is news of, where the connection watches a key.
    pub(super) news: Option<Arc<News>>,
}

/// What a private frame counts for beside its bytes: its place in the queue, and its part in what
/// holds it.
const OVERHEAD: usize = 64;

fn cost(frame: &SharedFrame) -> usize {
    (**frame).as_ref().len() + OVERHEAD
}

/// A room whose history the connection catches up from.
pub(super) struct Replay {
    pub(super) group: super::GroupId,
    /// The number of the next publication that it is to be sent.
    pub(super) next: u64,
}

#[derive(Default)]
pub(crate) struct Outbox {
    /// The rest of a frame of which the socket took a part: it goes first.
    pub(crate) half: Vec<u8>,
    /// How much of `half` is written.
    pub(crate) half_at: usize,
    /// Control frames, next after the half-sent frame: pongs, and one ping.
    pub(crate) pongs: SmallVec<[u8; 16]>,
    pub(crate) ping: Option<&'static [u8]>,
    /// Private frames, ascending by sequence.
    pub(crate) queue: VecDeque<Private>,
    /// Sequences that this connection is not sent though a room of its has them, ascending.
    pub(crate) holes: SmallVec<[u64; 4]>,
    /// Rooms whose history the connection catches up from.
    pub(super) replays: SmallVec<[Replay; 1]>,
    /// The next frames of a history were asked for.
    pub(super) is_replay_asked: bool,
    /// What `queue` counts for.
    pub(crate) queued_bytes: usize,
}

impl Outbox {
    /// Bytes that wait for this connection alone; control frames are exempt.
    pub(crate) fn bytes(&self) -> usize {
        self.queued_bytes + (self.half.len() - self.half_at)
    }

    /// Whether a private frame of this sequence waits.
    pub(super) fn has(&self, sequence: u64) -> bool {
        let at = self.queue.partition_point(|p| p.sequence < sequence);
        self.queue.get(at).is_some_and(|p| p.sequence == sequence)
    }

    /// Whether there is anything to write.
    pub(crate) fn is_drained(&self) -> bool {
        self.queue.is_empty()
            && self.half.is_empty()
            && self.pongs.is_empty()
            && self.ping.is_none()
    }

    /// Queues a frame in its place; nearly always that is the end.
    pub(crate) fn push(&mut self, sequence: u64, frame: SharedFrame) {
        self.push_news(sequence, frame, None);
    }

    /// As `push`, of what is news of a key.
    pub(super) fn push_news(&mut self, sequence: u64, frame: SharedFrame, news: Option<Arc<News>>) {
        self.queued_bytes += cost(&frame);
        let behind = self
            .queue
            .iter()
            .rev()
            .take_while(|p| p.sequence > sequence)
            .count();
        let at = self.queue.len() - behind;
        let private = Private {
            sequence,
            frame,
            news,
        };
        self.queue.insert(at, private);
    }

    /// Removes the oldest private frame.
    pub(crate) fn pop(&mut self) -> Option<Private> {
        let first = self.queue.pop_front()?;
        self.queued_bytes -= cost(&first.frame);
        Some(first)
    }

    /// Drops what waits of a group where a newer frame of its key waits too; calls `dropped` with
    /// each.
    pub(super) fn keep_newest(
        &mut self,
        may_drop: impl Fn(&News) -> bool,
        mut dropped: impl FnMut(&News),
    ) {
        let mut seen: HashSet<(super::GroupId, Arc<str>), RandomState> = HashSet::default();
        let mut kept = VecDeque::with_capacity(self.queue.len());
        while let Some(private) = self.queue.pop_back() {
            match &private.news {
                Some(news)
                    if news.replaceable
                        && may_drop(news)
                        && !seen.insert((news.group, news.key.clone())) =>
                {
                    self.queued_bytes -= cost(&private.frame);
                    dropped(news);
                }
                _ => kept.push_front(private),
            }
        }
        self.queue = kept;
    }

    /// Keeps the unsent rest of a frame.
    pub(crate) fn keep_half(&mut self, rest: Vec<u8>) {
        debug_assert!(self.half.is_empty(), "one frame at a time is half-sent");
        self.half = rest;
        self.half_at = 0;
    }

    /// Records that `n` bytes of the half-sent frame were written.
    pub(crate) fn advance_half(&mut self, n: usize) {
        self.half_at += n;
        debug_assert!(self.half_at <= self.half.len());
        if self.half_at == self.half.len() {
            self.half = Vec::new();
            self.half_at = 0;
        }
    }

    /// Forgets everything that has not begun to be sent.
    pub(crate) fn drop_queued(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
        self.holes.clear();
        self.pongs.clear();
        self.ping = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_frame_finds_its_place() {
        let mut outbox = Outbox::default();
        for sequence in [3, 9, 5, 7] {
            outbox.push(sequence, Arc::new(vec![0u8; 10]));
        }
        assert_eq!(outbox.bytes(), 4 * (10 + OVERHEAD));
        let order: Vec<u64> = std::iter::from_fn(|| outbox.pop())
            .map(|p| p.sequence)
            .collect();
        assert_eq!(order, [3, 5, 7, 9]);
        assert_eq!(outbox.bytes(), 0);
    }
}
