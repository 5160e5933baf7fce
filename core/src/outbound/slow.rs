//! Slow peers: what happens when a tape, an outbox or the shard has no place left.
//!
//! Policy fires only for members whose sockets refused bytes, those furthest behind first. In: a
//! group that needs place. Out: notices, and cursors that no longer pin the tape. Shard thread.

use super::group::{BLOCKED, SLOT, TOMB};
use super::{GroupId, LINK_DONE, Notice, Outbound, RoomRef};

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
        let max = self.bounds.tape_bytes_max;
        self.trim_to_laggards(id);
        let held = |this: &Self| {
            this.groups[id as usize]
                .tape
                .as_ref()
                .map_or(0, |t| t.held_bytes())
        };
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
        let (line, head) = (tape.base() + bytes as u64, group.head);
        let slow: Vec<u32> = group
            .members
            .iter()
            .filter(|&&w| w != TOMB && w & BLOCKED != 0)
            .map(|w| w & SLOT)
            .filter(|&slot| self.own_cursor(slot, id) < line)
            .collect();
        for &slot in &slow {
            match self.bounds.skip {
                true => self.jump(slot, id, head),
                false => self.give_up(slot),
            }
        }
        !slow.is_empty()
    }

    /// Policy `skip`: the member goes on with the next publication.
    fn jump(&mut self, slot: u32, id: GroupId, head: u64) {
        let cursor = self.own_cursor(slot, id);
        let group = &self.groups[id as usize];
        let missed = group
            .tape
            .as_ref()
            .map_or(0, |t| t.count(cursor, head) as u64);
        let room = group.room.clone();
        let link = &mut self.links[slot as usize];
        if let Some(m) = link.memberships.iter_mut().find(|m| m.group == id) {
            m.cursor = head;
        }
        self.tally.lagged += missed;
        self.notices.push(Notice::Lagged(slot, room, missed));
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

    /// Over 7/8 of what the shard's tapes may hold: the rooms whose laggards hold most go first.
    pub(super) fn relieve(&mut self) {
        let max = self.bounds.shard_tape_bytes_max;
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
            self.drop_laggards(id, bytes);
            self.trim_to_laggards(id);
        }
    }
}
