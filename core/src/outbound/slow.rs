//! Slow peers: what happens when a tape, an outbox or the shard has no place left.
//!
//! Policy fires only for members whose sockets refused bytes, those furthest behind first. In: a
//! group that needs place. Out: notices, and cursors that no longer pin the tape. Shard thread.

use super::group::{BLOCKED, SLOT, TOMB};
use super::tape::Mark;
use super::{GroupId, LINK_DONE, Notice, Outbound, RoomRef};
use crate::config::SlowPolicy;
use crate::delivery::Missed;

impl<R: RoomRef + Clone> Outbound<R> {
    /// Gives the connection up: nothing of what it is owed pins a tape any longer, apart from the
    /// rest of a half-sent frame. The shard closes it.
    pub(super) fn give_up(&mut self, slot: u32) {
        self.take_out(slot);
        let link = &mut self.links[slot as usize];
        if link.is(LINK_DONE) {
            return;
        }
        link.flags |= LINK_DONE;
        if let Some(outbox) = &mut link.outbox {
            self.private_bytes -= outbox.queued_bytes;
            outbox.drop_queued();
        }
        self.tally.too_slow += 1;
        self.notices.push(Notice::TooSlow(slot));
    }

    /// Makes place for `len` more bytes on a full tape, by policy.
    pub(super) fn make_place(&mut self, id: GroupId, len: usize) {
        let max = self.bounds.tape_bytes_max >> self.shortened;
        self.trim_to_laggards(id);
        let held = |this: &Self| {
            this.groups[id as usize]
                .tape
                .as_ref()
                .map_or(0, |t| t.held_bytes())
        };
        if self.groups[id as usize].terms.policy == SlowPolicy::Latest && held(self) + len > max {
            // Who is behind needs the newest of each key only.
            let to = self.groups[id as usize].cursor;
            self.compact_old(id, to);
        }
        // An eighth at a time, so that the members are walked once in a while, not at every
        // append.
        let mut goal = held(self) + len;
        while goal > max {
            goal = max - max / 8;
            if !self.drop_laggards(id, held(self) + len - goal) {
                return;
            }
            self.trim_to_laggards(id);
            goal = held(self) + len;
        }
    }

    /// Applies the policy to blocked members whose cursors lie in the oldest `bytes` of the tape.
    /// False when there was none.
    fn drop_laggards(&mut self, id: GroupId, bytes: usize) -> bool {
        let group = &self.groups[id as usize];
        let Some(tape) = &group.tape else {
            return false;
        };
        let (line, offered) = (tape.base() + bytes as u64, group.offered());
        // What was not offered yet some others may not be sent either: it is not missed.
        let line = match group.terms.policy {
            SlowPolicy::Disconnect | SlowPolicy::Replay => line,
            _ => line.min(offered),
        };
        let slow: Vec<u32> = group
            .members
            .iter()
            .filter(|&&w| w != TOMB && w & BLOCKED != 0)
            .map(|w| w & SLOT)
            .filter(|&slot| self.own_cursor(slot, id) < line)
            .collect();
        for &slot in &slow {
            match self.groups[id as usize].terms.policy {
                SlowPolicy::Disconnect => self.give_up(slot),
                SlowPolicy::Skip | SlowPolicy::Latest => self.jump(slot, id, offered),
                SlowPolicy::Volatile => self.drop_volatile(slot, id, offered),
                SlowPolicy::Replay => self.begin_replay(slot, id),
            }
        }
        !slow.is_empty()
    }

    /// The member goes on with what comes next, and the host is told how much it missed.
    fn jump(&mut self, slot: u32, id: GroupId, to: u64) {
        let mut missed = Missed::none(false);
        let room = self.groups[id as usize].room.clone();
        self.pass(slot, id, to, |mark| missed.add(mark.offset()));
        self.notice_missed(slot, room, missed);
    }

    /// A volatile member is not sent what was offered while its socket took nothing.
    pub(super) fn drop_volatile(&mut self, slot: u32, id: GroupId, to: u64) {
        let from = self.own_cursor(slot, id);
        let mut dropped = 0;
        self.pass(slot, id, to, |_| dropped += 1);
        if dropped > 0 {
            self.tally.volatile_dropped += dropped;
            self.report_volatile(slot, id, from, to);
        }
    }

    /// Moves the cursor of a blocked member to `to`; calls `missed` with the frames that it would
    /// have been sent.
    pub(super) fn pass(&mut self, slot: u32, id: GroupId, to: u64, mut missed: impl FnMut(Mark)) {
        let cursor = self.own_cursor(slot, id);
        if cursor >= to {
            return;
        }
        let link = &mut self.links[slot as usize];
        let holes = link.outbox.as_ref().map_or(&[][..], |o| &o.holes);
        if let Some(tape) = &self.groups[id as usize].tape {
            let marks = tape.marks(cursor).take_while(|mark| mark.start < to);
            let owed = marks.filter(|m| !m.is_dead() && !holes.contains(&m.sequence));
            owed.for_each(&mut missed);
        }
        if let Some(m) = link.memberships.iter_mut().find(|m| m.group == id) {
            m.cursor = to;
        }
    }

    /// Drops what is not the newest of its key and was offered before `to`; those who are behind
    /// and are not sent it are told apart.
    fn compact_old(&mut self, id: GroupId, to: u64) {
        let group = &self.groups[id as usize];
        let Some(tape) = &group.tape else { return };
        let base = tape.base();
        let mut old: Vec<(u64, u64, u64)> = Vec::new();
        for mark in tape.marks(base).take_while(|mark| mark.start < to) {
            if mark.is_old() {
                old.push((mark.start, mark.sequence, mark.offset()));
            }
        }
        if old.is_empty() {
            return;
        }
        let room = group.room.clone();
        let blocked = group.members.iter();
        let blocked: Vec<u32> = blocked
            .filter(|&&w| w != TOMB && w & BLOCKED != 0)
            .map(|w| w & SLOT)
            .collect();
        for slot in blocked {
            let cursor = self.own_cursor(slot, id);
            let outbox = self.links[slot as usize].outbox.as_ref();
            let holes = outbox.map_or(&[][..], |o| &o.holes);
            let mut missed = Missed::none(true);
            let first = old.partition_point(|(start, ..)| *start < cursor);
            let owed = old[first..].iter().filter(|(_, s, _)| !holes.contains(s));
            owed.for_each(|(_, _, offset)| missed.add(*offset));
            self.notice_missed(slot, room.clone(), missed);
        }
        self.compact(id, base, to, true);
    }

    /// The cursor of a member with OWN; the head for one that was given up.
    fn own_cursor(&self, slot: u32, id: GroupId) -> u64 {
        let link = &self.links[slot as usize];
        match link.memberships.iter().find(|m| m.group == id) {
            Some(m) if !link.is(LINK_DONE) => m.cursor,
            _ => u64::MAX,
        }
    }

    /// Drops of a tape what even its slowest member has.
    pub(super) fn trim_to_laggards(&mut self, id: GroupId) {
        let group = &self.groups[id as usize];
        if group.tape.is_none() {
            return;
        }
        let slowest = group
            .members
            .iter()
            .filter(|&&w| w != TOMB && w & super::OWN != 0)
            .map(|w| self.own_cursor(w & SLOT, id))
            .min()
            .unwrap_or(u64::MAX);
        let oldest = slowest.min(group.cursor);
        let group = &mut self.groups[id as usize];
        group.let_go(id, oldest, &mut self.pool);
        if let Some(tape) = &mut group.tape {
            tape.sweep.trim_at = (tape.held_bytes() * 2).max(64 * 1024);
        }
    }

    /// Tapes may hold less than before: those who hold more than that meet their policy.
    pub(super) fn shorten(&mut self) {
        let max = self.bounds.tape_bytes_max >> self.shortened;
        let is_long = |g: &super::Group<R>| {
            g.laggards > 0 && g.tape.as_ref().is_some_and(|tape| tape.held_bytes() > max)
        };
        let long = self.groups.iter().filter(|(_, group)| is_long(group));
        let long: Vec<GroupId> = long.map(|(id, _)| id as GroupId).collect();
        long.into_iter().for_each(|id| self.make_place(id, 0));
    }

    /// Over 7/8 of what the shard's tapes may hold: the rooms whose laggards hold most go first.
    pub(super) fn relieve(&mut self) {
        let max = self.tapes_max();
        if self.pool.held_bytes <= max - max / 8 {
            return;
        }
        let held = |g: &super::Group<R>| g.tape.as_ref().map_or(0, |t| t.held_bytes());
        let mut lagging: Vec<(usize, GroupId)> = self
            .groups
            .iter()
            .filter(|(_, g)| g.laggards > 0)
            .map(|(id, g)| (held(g), id as GroupId))
            .collect();
        lagging.sort_unstable_by(|a, b| b.cmp(a));
        for (bytes, id) in lagging {
            if self.pool.held_bytes <= max - max / 4 {
                return;
            }
            if self.groups[id as usize].terms.policy == SlowPolicy::Latest {
                let to = self.groups[id as usize].cursor;
                self.compact_old(id, to);
                if held(&self.groups[id as usize]) * 2 <= bytes {
                    continue;
                }
            }
            self.drop_laggards(id, bytes);
            self.trim_to_laggards(id);
        }
    }
}
