//! Track: what became of publications whose fate is to be reported.
//!
//! In: frames on tapes, with their trackers. Out: how many members of each group met which fate,
//! when the sweep that offers the frame has ended. Those who were members when it was appended are
//! counted, each once: who leaves meanwhile when it leaves, who joins later not at all. Only
//! tracked publications cost the walk over members that this takes. Shard thread.

use super::group::{BLOCKED, OWN, SLOT, TOMB, TrackedFrame};
use super::{GroupId, LINK_BLOCKED, LINK_DONE, Notice, Outbound, RoomRef, Stamp};
use crate::delivery::{Fate, SharedTracker};

impl<R: RoomRef + Clone> Outbound<R> {
    /// The frame that was just appended is tracked.
    #[inline(never)]
    pub(super) fn track(&mut self, id: GroupId, stamp: &Stamp<'_>, tracker: &SharedTracker) {
        let except = stamp.except.iter().copied();
        let except: smallvec::SmallVec<[u32; 2]> =
            except.filter(|&slot| self.is_member(slot, id)).collect();
        tracker.open(1);
        tracker.count(Fate::Skipped, except.len());
        let group = &mut self.groups[id as usize];
        let until = group.members.len();
        group.extra().tracked.push(TrackedFrame {
            sequence: stamp.sequence,
            tracker: tracker.clone(),
            until,
            except,
        });
    }

    /// The group is sent nothing for now, to save memory.
    pub(super) fn report_off(&self, id: GroupId, stamp: &Stamp<'_>) {
        if let Some(tracker) = stamp.tracker {
            tracker.count(Fate::Skipped, self.alive(id));
        }
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
        let Some(extra) = group.extra.as_mut() else {
            return;
        };
        let mut tracked = extra.tracked.iter();
        let Some(at) = tracked.position(|t| t.sequence == sequence) else {
            return;
        };
        let tracked = extra.tracked.swap_remove(at);
        let is_for = |word: u32| word != TOMB && !tracked.except.contains(&(word & SLOT));
        let there = &group.members[..tracked.until];
        let members = there.iter().filter(|&&word| is_for(word)).count();
        tracked.tracker.count(Fate::Conflated, members);
        self.close_tracker(tracked.tracker);
    }

    /// A volatile member is not sent the frames in `from..to`.
    pub(super) fn report_volatile(&mut self, slot: u32, id: GroupId, from: u64, to: u64) {
        let group = &mut self.groups[id as usize];
        let (Some(extra), Some(tape)) = (&mut group.extra, &group.tape) else {
            return;
        };
        for tracked in &mut extra.tracked {
            let mark = tape.find(tracked.sequence).and_then(|at| tape.mark(at));
            if mark.is_some_and(|(mark, _)| (from..to).contains(&mark.start))
                && !tracked.except.contains(&slot)
            {
                tracked.tracker.count(Fate::Skipped, 1);
                tracked.except.push(slot);
            }
        }
    }

    /// A member leaves while tracked frames wait. `is_kept`: it is sent what it is owed.
    pub(super) fn report_leaver(&mut self, slot: u32, id: GroupId, is_kept: bool) {
        let link = &self.links[slot as usize];
        let Some(m) = link.memberships.iter().find(|m| m.group == id).copied() else {
            return;
        };
        if self.groups[id as usize].terms.watches && !is_kept {
            for waiting in self.groups[id as usize]
                .extra()
                .watch
                .take_waiting_for(slot)
            {
                if let Some(tracker) = &waiting.tracker {
                    tracker.count(Fate::Lagging, 1);
                }
            }
        }
        let link = &self.links[slot as usize];
        let group = &self.groups[id as usize];
        let Some(extra) = group.extra.as_ref().filter(|e| !e.tracked.is_empty()) else {
            return;
        };
        let cursor = self.cursor_of(slot, &m);
        let is_sent = is_kept && !link.is(LINK_BLOCKED | LINK_DONE);
        for tracked in &extra.tracked {
            if m.index as usize >= tracked.until || tracked.except.contains(&slot) {
                continue;
            }
            let tape = group.tape.as_ref();
            let mark = tape.and_then(|t| t.mark(t.find(tracked.sequence)?));
            let has = !m.is_replaying() && mark.is_none_or(|(mark, _)| mark.start < cursor);
            let fate = match has || is_sent {
                true => Fate::Reached,
                false => Fate::Lagging,
            };
            tracked.tracker.count(fate, 1);
        }
    }

    /// A sweep has ended: what it offered is reported.
    #[inline(never)]
    pub(super) fn report_swept(&mut self, id: GroupId) {
        let group = &mut self.groups[id as usize];
        let cut = group.offered();
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
            let (mut reached, mut lagging) = (0, 0);
            for &word in &group.members[..tracked.until] {
                if word == TOMB || tracked.except.contains(&(word & SLOT)) {
                    continue;
                }
                match word & OWN == 0 || !self.owes(word, id, mark.start) {
                    true => reached += 1,
                    false => lagging += 1,
                }
            }
            tracked.tracker.count(Fate::Reached, reached);
            tracked.tracker.count(Fate::Lagging, lagging);
            self.close_tracker(tracked.tracker);
        }
        self.groups[id as usize].extra().tracked = waiting;
    }

    /// Whether a member on its own is still owed the frame.
    fn owes(&self, word: u32, id: GroupId, start: u64) -> bool {
        let link = &self.links[(word & SLOT) as usize];
        let membership = link.memberships.iter().find(|m| m.group == id);
        membership.is_some_and(|m| {
            let is_stuck = word & BLOCKED != 0 || link.is(LINK_DONE);
            m.is_replaying() || (m.cursor <= start && is_stuck)
        })
    }

    /// The group is no more: nobody is left to be sent what it has.
    pub(super) fn untrack_all(&mut self, id: GroupId) {
        let Some(extra) = &mut self.groups[id as usize].extra else {
            return;
        };
        let on_tape = std::mem::take(&mut extra.tracked);
        let on_tape = on_tape.into_iter().map(|tracked| tracked.tracker);
        let waiting = extra.watch.take_waiting();
        let cost = waiting.iter().map(|waiting| waiting.cost()).sum();
        let room = &self.groups[id as usize].room;
        room.on_swept(self.shard, cost);
        let waiting = waiting.into_iter().filter_map(|w| w.tracker);
        for tracker in on_tape.chain(waiting).collect::<Vec<_>>() {
            self.close_tracker(tracker);
        }
    }
}
