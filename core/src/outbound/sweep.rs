//! Sweeps: one walk over a group's members that sends each of them what lies before a cut.
//!
//! In: groups with unsent frames, and a budget. Out: the same slice of the tape to one plain
//! member after the other; `flush` for the exceptions. Small groups go first, large ones get at
//! least half of the budget; a sweep goes on in the next turn where this one ended. Shard thread.

use super::group::{BLOCKED, OWN, SLOT, SMALL, TOMB};
use crate::config::SlowPolicy;

use super::{FRAME_OVERHEAD, GroupId, LINK_DIRTY, Outbound, RoomRef, Wire, Wrote};

/// Writes between two looks at the clock.
const CHECK_WRITES: u32 = 16;

/// Small groups whose members are looked up together.
const AHEAD: usize = 8;

/// How the walk over plain members stopped.
enum Stop {
    End,
    Budget,
    /// This member needs the general path.
    Exception(u32),
    /// A volatile member that is blocked: what is swept now is not for it.
    Volatile(u32),
    /// This plain member's socket took only so much of the slice, or failed.
    Short(u32, Wrote),
}

/// When to stop, asked rarely enough to cost nothing.
struct Budget {
    until_ns: u64,
    writes: u32,
}

impl Budget {
    fn is_spent<W: Wire>(&mut self, wire: &mut W) -> bool {
        self.writes += 1;
        if self.writes < CHECK_WRITES {
            return false;
        }
        self.writes = 0;
        wire.now_ns() >= self.until_ns
    }
}

impl<R: RoomRef + Clone> Outbound<R> {
    /// Writes what is owed for at most about `budget_ns`. True when something is left to write.
    pub(crate) fn flush<W: Wire>(&mut self, wire: &mut W, budget_ns: u64) -> bool {
        if !self.has_work() && self.next_due_ns().is_none() {
            return false;
        }
        let now = wire.now_ns();
        self.release_due(now);
        let (half, all) = (
            now.saturating_add(budget_ns / 2),
            now.saturating_add(budget_ns),
        );
        let first = if self.large.is_empty() { all } else { half };
        self.flush_dirty(wire, first);
        self.sweep_small(wire, first);
        self.sweep_large(wire, all);
        self.sweep_small(wire, all);
        // Behind the writes: a full shard takes no publications, so nothing would come to do it.
        self.relieve();
        self.has_work()
    }

    /// Connections with frames of their own.
    fn flush_dirty<W: Wire>(&mut self, wire: &mut W, until_ns: u64) {
        let mut budget = Budget {
            until_ns,
            writes: 0,
        };
        for _ in 0..self.dirty.len() {
            let Some(slot) = self.dirty.pop_front() else {
                return;
            };
            self.links[slot as usize].flags &= !LINK_DIRTY;
            // Without an outbox it was flushed since; what its rooms have is the sweeps' to send.
            if self.links[slot as usize].outbox.is_some() {
                self.flush_link(slot, wire, u64::MAX);
            }
            if budget.is_spent(wire) {
                return;
            }
        }
    }

    fn sweep_small<W: Wire>(&mut self, wire: &mut W, until_ns: u64) {
        let mut budget = Budget {
            until_ns,
            writes: 0,
        };
        for n in 0..self.small.len() {
            let Some(id) = self.small.front().copied() else {
                return;
            };
            if n % AHEAD == 0 {
                self.warm_small(wire);
            }
            if !self.sweep(id, wire, &mut budget) {
                return;
            }
            self.small.pop_front();
            if self.finish(id, wire) {
                self.small.push_back(id);
            }
        }
    }

    /// Has the members of the next small groups in the cache soon. Among a million connections each
    /// of them is a wait for memory; asked for together, they wait once.
    #[inline(never)]
    fn warm_small<W: Wire>(&self, wire: &W) {
        for &id in self.small.iter().take(AHEAD) {
            let members = &self.groups[id as usize].members;
            for word in members.iter().filter(|&&word| word != TOMB) {
                if word & OWN != 0 {
                    std::hint::black_box(self.links[(word & SLOT) as usize].flags);
                }
                wire.warm(word & SLOT);
            }
        }
    }

    /// The queue is turned by one each time, so that large groups share the budget over turns.
    fn sweep_large<W: Wire>(&mut self, wire: &mut W, until_ns: u64) {
        let mut budget = Budget {
            until_ns,
            writes: 0,
        };
        for _ in 0..self.large.len() {
            let Some(id) = self.large.pop_front() else {
                return;
            };
            if !self.sweep(id, wire, &mut budget) {
                self.large.push_back(id);
                return;
            }
            if self.finish(id, wire) {
                self.large.push_back(id);
            }
        }
    }

    /// Goes on with the group's sweep, or begins one. True when it has come to its end.
    fn sweep<W: Wire>(&mut self, id: GroupId, wire: &mut W, budget: &mut Budget) -> bool {
        let Some(tape) = &mut self.groups[id as usize].tape else {
            return true;
        };
        if !tape.sweep.active {
            if tape.dead().0 > 0 {
                let from = self.groups[id as usize].cursor;
                self.compact(id, from, u64::MAX, false);
            }
            let tape = self.groups[id as usize].tape.as_mut();
            let tape = tape.expect("a compaction leaves the tape");
            let head = tape.head();
            let sweep = &mut tape.sweep;
            sweep.active = true;
            sweep.at = 0;
            sweep.since_ns = std::mem::take(&mut sweep.next_since_ns);
            sweep.cut = head;
        }
        loop {
            match self.walk(id, wire, budget) {
                Stop::End => return true,
                Stop::Budget => return false,
                Stop::Exception(word) => {
                    let cut = self.step(id);
                    self.flush_link(word & SLOT, wire, cut);
                    if budget.is_spent(wire) {
                        return false;
                    }
                }
                Stop::Volatile(slot) => {
                    let cut = self.step(id);
                    self.drop_volatile(slot, id, cut);
                }
                Stop::Short(slot, wrote) => self.on_short(id, slot, wrote),
            }
        }
    }

    /// Passes over the member that the sweep stands at, as sent; gives back the cut.
    fn step(&mut self, id: GroupId) -> u64 {
        let tape = self.groups[id as usize].tape.as_mut();
        let sweep = &mut tape.expect("a sweep has a tape").sweep;
        sweep.at += 1;
        sweep.cut
    }

    /// Sends the slice to plain members until one is not, the end, or the budget's.
    fn walk<W: Wire>(&mut self, id: GroupId, wire: &mut W, budget: &mut Budget) -> Stop {
        let group = &mut self.groups[id as usize];
        let tape = group.tape.as_mut().expect("a sweep has a tape");
        let (from, cut, first) = (group.cursor, tape.sweep.cut, tape.sweep.at);
        let Some(slice) = tape.contiguous(from, cut) else {
            return self.walk_in_pieces(id, wire, budget);
        };
        let mut sent = 0u64;
        let mut at = first;
        let stop = loop {
            let Some(&word) = group.members.get(at) else {
                break Stop::End;
            };
            if word & OWN != 0 {
                if word & BLOCKED == 0 {
                    break Stop::Exception(word);
                }
                if word != TOMB && group.terms.policy == SlowPolicy::Volatile {
                    break Stop::Volatile(word & SLOT);
                }
                at += 1;
                continue;
            }
            match wire.write(word, slice) {
                Wrote::Bytes(n) if n == slice.len() => sent += 1,
                wrote => break Stop::Short(word, wrote),
            }
            at += 1;
            if budget.is_spent(wire) {
                break Stop::Budget;
            }
        };
        self.tally.writes += sent;
        self.tally.bytes += sent * slice.len() as u64;
        self.tally.frames += sent * tape.count(from, cut) as u64;
        tape.sweep.at = at;
        stop
    }

    /// As `walk`, one member, where the frames lie in several segments.
    fn walk_in_pieces<W: Wire>(&mut self, id: GroupId, wire: &mut W, budget: &mut Budget) -> Stop {
        loop {
            let group = &mut self.groups[id as usize];
            let sweep = &mut group.tape.as_mut().expect("a sweep has a tape").sweep;
            let Some(&word) = group.members.get(sweep.at) else {
                return Stop::End;
            };
            if word & OWN != 0 && (word == TOMB || word & BLOCKED != 0) {
                if word != TOMB && group.terms.policy == SlowPolicy::Volatile {
                    return Stop::Volatile(word & SLOT);
                }
                sweep.at += 1;
                continue;
            }
            if word & OWN == 0 {
                // Its cursor is read before the sweep passes over it.
                self.take_out(word);
            }
            if budget.is_spent(wire) {
                return Stop::Budget;
            }
            return Stop::Exception(word & SLOT | OWN);
        }
    }

    /// A plain member's socket took less than the whole slice.
    fn on_short(&mut self, id: GroupId, slot: u32, wrote: Wrote) {
        self.take_out(slot);
        self.account_short(id, slot, wrote);
        self.step(id);
        self.settle(slot);
    }

    /// Ends a sweep. True when the group has more and waits for the next.
    fn finish<W: Wire>(&mut self, id: GroupId, wire: &mut W) -> bool {
        if self.groups[id as usize].extra.is_some() {
            self.report_swept(id);
        }
        let (steps, max_ms) = (self.steps, self.bounds.interval_max_ms);
        let group = &mut self.groups[id as usize];
        group.queued = false;
        if let Some(tape) = &mut group.tape {
            tape.sweep.active = false;
            let (from, cut) = (group.cursor, tape.sweep.cut);
            let frames = tape.count(from, cut);
            group
                .room
                .on_swept(self.shard, (cut - from) as usize + frames * FRAME_OVERHEAD);
            group.cursor = cut;
            // What it waited for on purpose is no delay.
            let interval_ns = group.terms.interval_ms(steps, max_ms) * 1_000_000;
            let is_small = group.members.len() <= SMALL;
            wire.on_sweep(tape.sweep.since_ns, interval_ns, is_small);
        }
        if group.alive() == 0 {
            self.remove_group(id);
            return false;
        }
        let more = group.head > group.cursor;
        if group.laggards > 0 {
            let held = group.tape.as_ref().map_or(0, |t| t.held_bytes());
            // Volatile members hold nothing, but for what they were just offered in part.
            let is_volatile = group.terms.policy == SlowPolicy::Volatile;
            let is_long = |t: &super::tape::Tape| is_volatile || held > t.sweep.trim_at;
            if group.tape.as_deref().is_some_and(is_long) {
                self.trim_to_laggards(id);
            }
        }
        self.tidy_group(id);
        let group = &mut self.groups[id as usize];
        if more && group.terms.interval_ms > 0 {
            let since_ns = group.tape.as_ref().map_or(0, |t| t.sweep.next_since_ns);
            self.hold(id, since_ns);
            return false;
        }
        group.queued = more;
        more
    }
}
