//! Track: what became of publications whose fate is to be reported.
//!
//! In: frames on tapes, with their trackers. Out: how many members of each group met which fate, when
//! the sweep that offers the frame has ended. Only tracked publications cost the walk over members
//! that this takes. Shard thread.

use super::group::{BLOCKED, OWN, SLOT, TOMB, TrackedFrame};
use super::{GroupId, LINK_DONE, Notice, Outbound, RoomRef, Stamp};
use crate::delivery::{Fate, SharedTracker};

impl<R: RoomRef + Clone> Outbound<R> {
    /// The frame that was just appended is tracked.
    #[inline(never)]
    pub(super) fn track(&mut self, id: GroupId, stamp: &Stamp<'_>, tracker: &SharedTracker) {
        let excluded = stamp.except.iter();
        let excluded = excluded.filter(|&&slot| self.is_member(slot, id)).count();
        tracker.open(1);
        tracker.count(Fate::Skipped, excluded);
        self.groups[id as usize].extra().tracked.push(TrackedFrame {
            sequence: stamp.sequence,
            tracker: tracker.clone(),
            excluded,
        });
    }

    /// One who holds the tracker has said all.
    pub(crate) fn close_tracker(&mut self, tracker: SharedTracker) {
        if tracker.close() {
            self.notices.push(Notice::Delivered(tracker));
        }
    }

    /// A newer frame has taken the place of this one.
    pub(super) fn report_conflated(&mut self, id: GroupId, sequence: u64) {
        let group = &mut self.groups[id as usize];
        let alive = group.alive();
        let tracked = &mut group.extra().tracked;
        let Some(at) = tracked.iter().position(|t| t.sequence == sequence) else {
            return;
        };
        let TrackedFrame {
            tracker, excluded, ..
        } = tracked.swap_remove(at);
        tracker.count(Fate::Conflated, alive.saturating_sub(excluded));
        self.close_tracker(tracker);
    }

    /// A volatile member is not sent the frames in `from..to`.
    pub(super) fn report_volatile(&mut self, id: GroupId, from: u64, to: u64) {
        let group = &mut self.groups[id as usize];
        let (Some(extra), Some(tape)) = (&mut group.extra, &group.tape) else {
            return;
        };
        for tracked in &mut extra.tracked {
            let mark = tape.find(tracked.sequence).and_then(|at| tape.mark(at));
            if mark.is_some_and(|(mark, _)| (from..to).contains(&mark.start)) {
                tracked.tracker.count(Fate::Skipped, 1);
                tracked.excluded += 1;
            }
        }
    }

    /// A sweep has ended: what it offered is reported.
    pub(super) fn report_swept(&mut self, id: GroupId, cut: u64) {
        let group = &mut self.groups[id as usize];
        let Some(extra) = group.extra.as_mut().filter(|e| !e.tracked.is_empty()) else {
            return;
        };
        let mut all = std::mem::take(&mut extra.tracked);
        let mut waiting = Vec::new();
        for tracked in all.drain(..) {
            let group = &self.groups[id as usize];
            let tape = group.tape.as_ref();
            let mark = tape.and_then(|t| t.mark(t.find(tracked.sequence)?));
            let Some((mark, _)) = mark.filter(|(mark, _)| mark.start < cut) else {
                waiting.push(tracked);
                continue;
            };
            let (mut passed, mut lagging) = (0, 0);
            for &word in group.members.iter().filter(|&&word| word != TOMB) {
                match word & OWN == 0 || !self.owes(word, id, mark.sequence, mark.start) {
                    true => passed += 1,
                    false => lagging += 1,
                }
            }
            let reached = passed - tracked.excluded.min(passed);
            tracked.tracker.count(Fate::Reached, reached);
            tracked.tracker.count(Fate::Lagging, lagging);
            self.close_tracker(tracked.tracker);
        }
        self.groups[id as usize].extra().tracked = waiting;
    }

    /// Whether a member on its own is still owed the frame.
    fn owes(&self, word: u32, id: GroupId, sequence: u64, start: u64) -> bool {
        let link = &self.links[(word & SLOT) as usize];
        let is_behind = link
            .memberships
            .iter()
            .any(|m| m.group == id && m.cursor <= start);
        let is_hole = || {
            let outbox = link.outbox.as_ref();
            outbox.is_some_and(|outbox| outbox.holes.contains(&sequence))
        };
        is_behind && (word & BLOCKED != 0 || link.is(LINK_DONE)) && !is_hole()
    }

    /// The group is no more: nobody is left to be sent what it has.
    pub(super) fn untrack_all(&mut self, id: GroupId) {
        let Some(extra) = &mut self.groups[id as usize].extra else {
            return;
        };
        let on_tape = std::mem::take(&mut extra.tracked);
        let on_tape = on_tape.into_iter().map(|tracked| tracked.tracker);
        let waiting = extra.watch.take_waiting(None);
        let cost = waiting.iter().map(|waiting| waiting.cost()).sum();
        let room = &self.groups[id as usize].room;
        room.on_swept(self.shard, cost);
        let waiting = waiting.into_iter().filter_map(|w| w.tracker);
        for tracker in on_tape.chain(waiting).collect::<Vec<_>>() {
            self.close_tracker(tracker);
        }
    }
}
