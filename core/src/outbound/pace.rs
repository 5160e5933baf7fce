//! Pace: when the frames of a group leave, where that is not in each turn.
//!
//! In: groups with a flush interval. Out: the same groups in the queues of the sweeps, when their
//! intervals end. What waits lies on the tape as ever, so joins, leaves and the order across rooms
//! are as exact as without an interval; a member that is written for another reason takes along
//! what waits. Shard thread.

use super::{GroupId, Outbound, RoomRef, pacer};
use crate::config::SlowPolicy;

/// As a power of two, how much shorter tapes get to save memory.
const SHORTENED: u32 = 2;

impl<R: RoomRef + Clone> Outbound<R> {
    /// Intervals are widened by so many steps from now on.
    pub(crate) fn set_steps(&mut self, steps: u32) {
        self.steps = steps;
    }

    /// Whether memory is saved, whether volatile groups are sent nothing for that, and whether
    /// tapes may hold a quarter only of what their bounds say.
    pub(crate) fn save_memory(&mut self, saves: bool, volatile_off: bool, shorten: bool) {
        self.pool.save_memory(saves);
        self.volatile_off = volatile_off;
        self.shortened = if shorten { SHORTENED } else { 0 };
        if shorten {
            self.shorten();
        }
    }

    /// Bytes that all tapes of the shard may hold together.
    pub(super) fn tapes_max(&self) -> usize {
        self.bounds.shard_tape_bytes_max >> self.shortened
    }

    /// Whether the group is sent nothing now; its members are counted as if it had been dropped.
    pub(super) fn is_off(&mut self, id: GroupId) -> bool {
        let group = &self.groups[id as usize];
        let is_off = group.terms.policy == SlowPolicy::Volatile;
        if is_off {
            self.tally.volatile_dropped += group.alive() as u64;
        }
        is_off
    }

    /// The group's frames wait until the interval ends in which the oldest was published.
    pub(super) fn hold(&mut self, id: GroupId, since_ns: u64) {
        let (steps, max_ms) = (self.steps, self.bounds.interval_max_ms);
        let group = &mut self.groups[id as usize];
        if group.held {
            // One that has much to say ends its interval early, before its publishers are refused.
            let (_, dead) = group.tape.as_ref().map_or((0, 0), |tape| tape.dead());
            let on_tape = (group.head - group.cursor) as usize - dead;
            let waiting = on_tape + group.extra().watch.waiting_cost();
            if waiting > self.bounds.pending_bytes_max {
                self.end_interval(id);
            }
            return;
        }
        let interval_ms = group.terms.interval_ms(steps, max_ms);
        let mut due_ms = pacer::end_of(since_ns, interval_ms);
        if due_ms <= self.released_ms && group.extra().due_ms == due_ms {
            // It comes late, from an interval that the group was swept for: it is the next one's.
            due_ms += interval_ms;
        }
        group.held = true;
        self.specials += 1;
        group.extra().due_ms = due_ms;
        self.pacer.hold(id, due_ms);
    }

    /// Puts the groups whose intervals have ended into the queues.
    pub(super) fn release_due(&mut self, now_ns: u64) {
        let now_ms = now_ns / 1_000_000;
        self.released_ms = now_ms;
        if self.pacer.next().is_none_or(|due_ms| due_ms > now_ms) {
            return;
        }
        let mut due = Vec::new();
        self.pacer.release(now_ms, &mut due);
        for (id, due_ms) in due {
            // It may have gone, and another may have its number; or its interval ended early.
            let is_due = |group: &super::Group<R>| {
                group.held && group.extra.as_ref().is_some_and(|e| e.due_ms == due_ms)
            };
            if self.groups.get(id as usize).is_some_and(is_due) {
                self.end_interval(id);
            }
        }
    }

    fn end_interval(&mut self, id: GroupId) {
        match self.groups[id as usize].terms.watches {
            true => self.deliver_waiting(id),
            false => self.enqueue(id),
        }
    }

    /// When the next interval ends, in nanoseconds of the engine's clock.
    pub(crate) fn next_due_ns(&self) -> Option<u64> {
        self.pacer.next().map(|due_ms| due_ms * 1_000_000)
    }
}
