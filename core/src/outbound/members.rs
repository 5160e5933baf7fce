//! Members: who is in which group, from the first join of its kind to the last leave.
//!
//! In: joins and leaves with their terms. Out: groups in their rooms' chains, members in order of
//! arrival, and what a leaver is still owed, as private frames. Shard thread.

use smallvec::SmallVec;

use super::group::{BLOCKED, Group, NO_GROUP, OWN, SLOT, TOMB};
use super::{
    FRAME_OVERHEAD, GroupId, LINK_BLOCKED, LINK_DONE, LINK_WATCHES, Membership, Outbound, RoomRef,
    SharedFrame, Terms,
};
use crate::sync::Arc;

impl<R: RoomRef + Clone> Outbound<R> {
    /// Makes the connection a member, from the next append on, in the room's group of these terms.
    /// False for one already in.
    pub(crate) fn join(&mut self, slot: u32, terms: Terms, room: &R) -> bool {
        if self.membership(slot, room).is_some() {
            return false;
        }
        let found = self.group_of(room, &terms);
        let id = found.unwrap_or_else(|| self.add_group(room, terms));
        self.take_out(slot);
        let group = &mut self.groups[id as usize];
        let index = group.members.len() as u32;
        let link = &mut self.links[slot as usize];
        let mut word = slot | OWN;
        if link.is(LINK_BLOCKED) {
            word |= BLOCKED;
            group.laggards += 1;
        }
        group.members.push(word);
        debug_assert!(group.tape.is_some() || group.cursor == group.head);
        link.memberships.push(Membership {
            group: id,
            index,
            cursor: group.head,
        });
        if terms.watches {
            group.extra().watch.come(slot);
            self.links[slot as usize].flags |= LINK_WATCHES;
        }
        self.put_back(slot);
        true
    }

    fn add_group(&mut self, room: &R, terms: Terms) -> GroupId {
        let next = room.first_group(self.shard).unwrap_or(NO_GROUP);
        let group = Group::new(room.clone(), terms, next);
        self.specials += usize::from(group.keyed);
        let id = self.groups.insert(group) as GroupId;
        room.set_first_group(self.shard, Some(id));
        id
    }

    /// The room's group of these terms.
    pub(crate) fn group_of(&self, room: &R, terms: &Terms) -> Option<GroupId> {
        let same = |id: &GroupId| self.groups[*id as usize].terms == *terms;
        self.groups_of(room).find(same)
    }

    /// The group through which the connection is in the room.
    pub(crate) fn membership(&self, slot: u32, room: &R) -> Option<GroupId> {
        let memberships = self.links[slot as usize].memberships.iter();
        let mut groups = memberships.map(|m| m.group);
        groups.find(|&id| self.groups[id as usize].room.is(room))
    }

    /// Numbers of filters whose groups are no more, once for each group, since the last call.
    pub(crate) fn take_freed_filters(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.freed_filters)
    }

    /// The room's groups on this shard, one for each terms that it has members on.
    pub(crate) fn groups_of(&self, room: &R) -> impl Iterator<Item = GroupId> + '_ {
        std::iter::successors(room.first_group(self.shard), |&id| self.next_group(id))
    }

    /// The group behind this one in its room's chain.
    pub(crate) fn next_group(&self, id: GroupId) -> Option<GroupId> {
        Some(self.groups[id as usize].next).filter(|&next| next != NO_GROUP)
    }

    /// Ends a membership; what was appended before is still sent. False when there was none.
    pub(crate) fn leave(&mut self, slot: u32, id: GroupId) -> bool {
        let link = &self.links[slot as usize];
        if !link.memberships.iter().any(|m| m.group == id) {
            return false;
        }
        self.keep_owed(slot, id);
        self.report_leaver(slot, id, true);
        self.remove_membership(slot, id);
        self.put_back(slot);
        true
    }

    /// Number of rooms that the connection is in.
    pub(crate) fn memberships(&self, slot: u32) -> usize {
        self.links[slot as usize].memberships.len()
    }

    /// Whether the connection is a member of the group.
    pub(crate) fn is_member(&self, slot: u32, id: GroupId) -> bool {
        self.links[slot as usize]
            .memberships
            .iter()
            .any(|m| m.group == id)
    }

    /// Slots of the group's members, in order of arrival.
    pub(crate) fn members(&self, id: GroupId) -> impl Iterator<Item = u32> + '_ {
        let words = self
            .groups
            .get(id as usize)
            .map(|g| g.members.as_slice())
            .unwrap_or_default();
        words.iter().filter(|&&w| w != TOMB).map(|w| w & SLOT)
    }

    /// The rooms that the connection is in.
    pub(crate) fn rooms_of(&self, slot: u32) -> impl Iterator<Item = &R> + '_ {
        let memberships = self.links[slot as usize].memberships.iter();
        memberships.map(|m| &self.groups[m.group as usize].room)
    }

    /// Turns what a membership is still owed into private frames, in their places. Of a connection
    /// whose socket refuses bytes no more than an outbox may hold; what another one is owed was
    /// published in this turn or is still being offered, which the rooms' *ahead* bounds.
    pub(super) fn keep_owed(&mut self, slot: u32, id: GroupId) {
        self.take_out(slot);
        let link = &self.links[slot as usize];
        if link.is(LINK_DONE) {
            return;
        }
        let Some(m) = link.memberships.iter().find(|m| m.group == id).copied() else {
            return;
        };
        let group = &self.groups[id as usize];
        if group.terms.watches {
            return self.deliver_waiting_to(slot, id);
        }
        let Some(tape) = group.tape.as_ref().filter(|_| m.cursor < group.head) else {
            return;
        };
        let holes = link
            .outbox
            .as_ref()
            .map(|o| o.holes.clone())
            .unwrap_or_default();
        let mut owed: Vec<(u64, SharedFrame)> = Vec::new();
        let mut at = tape.mark_index(m.cursor);
        while let Some((mark, end)) = tape.mark(at) {
            at += 1;
            let outbox = link.outbox.as_deref();
            if mark.is_dead()
                || outbox.is_some_and(|outbox| outbox.has(mark.sequence))
                || holes.contains(&mark.sequence)
                || self.is_owed_elsewhere(slot, id, mark.sequence)
            {
                continue;
            }
            let mut bytes = Vec::with_capacity((end - mark.start) as usize);
            tape.slices(mark.start, end, |s| bytes.extend_from_slice(s));
            owed.push((mark.sequence, Arc::new(bytes)));
        }
        let bytes: usize = owed.iter().map(|(_, frame)| (**frame).as_ref().len()).sum();
        let waiting = self.waiting_bytes(slot);
        let is_slow = self.links[slot as usize].is(LINK_BLOCKED);
        if is_slow && waiting + bytes > self.bounds.outbox_bytes_max {
            return self.give_up(slot);
        }
        for (sequence, frame) in owed {
            self.push_private(slot, frame, sequence);
        }
    }

    /// Whether another room of the connection still owes it the same publication (a union).
    pub(super) fn is_owed_elsewhere(&self, slot: u32, id: GroupId, sequence: u64) -> bool {
        self.links[slot as usize].memberships.iter().any(|m| {
            m.group != id
                && self.groups[m.group as usize]
                    .tape
                    .as_ref()
                    .is_some_and(|tape| {
                        let mut marks = tape.marks(m.cursor);
                        marks.any(|mark| mark.sequence == sequence && !mark.is_dead())
                    })
        })
    }

    pub(super) fn remove_membership(&mut self, slot: u32, id: GroupId) {
        self.end_replay(slot, id);
        let link = &mut self.links[slot as usize];
        let Some(at) = link.memberships.iter().position(|m| m.group == id) else {
            return;
        };
        let m = link.memberships.swap_remove(at);
        let group = &mut self.groups[id as usize];
        let word = std::mem::replace(&mut group.members[m.index as usize], TOMB);
        group.tombs += 1;
        if word & BLOCKED != 0 {
            group.laggards -= 1;
        }
        if group.terms.watches {
            group.extra().watch.go(slot);
        }
        if group.alive() == 0 && !group.queued {
            self.remove_group(id);
        } else if !group.queued {
            self.tidy_group(id);
        }
    }

    /// Compacts the members when over an eighth of them has left, and lets go of what nobody
    /// needs. Only between sweeps.
    pub(super) fn tidy_group(&mut self, id: GroupId) {
        let group = &mut self.groups[id as usize];
        if group.tape.as_ref().is_some_and(|t| t.sweep.active) {
            return;
        }
        if group.tombs as usize * 8 > group.members.len() {
            group.forget_tombs_of_tracked();
            let mut to = 0;
            for from in 0..group.members.len() {
                let word = group.members[from];
                if word == TOMB {
                    continue;
                }
                if from != to {
                    group.members[to] = word;
                    let link = &mut self.links[(word & SLOT) as usize];
                    if let Some(m) = link.memberships.iter_mut().find(|m| m.group == id) {
                        m.index = to as u32;
                    }
                }
                to += 1;
            }
            group.members.truncate(to);
            group.members.shrink_to_fit_when_idle();
            group.tombs = 0;
        }
        if group.laggards == 0 {
            group.let_go(id, group.cursor, &mut self.pool);
        }
    }

    pub(super) fn remove_group(&mut self, id: GroupId) {
        self.untrack_all(id);
        let mut group = self.groups.remove(id as usize);
        self.specials -= usize::from(group.held) + usize::from(group.keyed);
        if let Some(tape) = group.tape.take() {
            let (dead, dead_bytes) = tape.dead();
            let frames = tape.count(group.cursor, group.head) - dead;
            let bytes = (group.head - group.cursor) as usize - dead_bytes;
            group
                .room
                .on_swept(self.shard, bytes + frames * FRAME_OVERHEAD);
            self.pool.recycle(id, tape);
        }
        if group.terms.filter != 0 {
            self.freed_filters.push(group.terms.filter);
        }
        self.unchain(&group.room, id, group.next);
    }

    /// Has the room's chain go round a group that is no more.
    fn unchain(&mut self, room: &R, id: GroupId, next: u32) {
        if room.first_group(self.shard) == Some(id) {
            let next = Some(next).filter(|&next| next != NO_GROUP);
            return room.set_first_group(self.shard, next);
        }
        let is_before = |at: &GroupId| self.groups[*at as usize].next == id;
        let before = self.groups_of(room).find(is_before);
        let before = before.expect("it stood in its room's chain");
        self.groups[before as usize].next = next;
    }
}

/// Gives memory back after a crowd has left, without doing so at every leave.
trait ShrinkWhenIdle {
    fn shrink_to_fit_when_idle(&mut self);
}

impl ShrinkWhenIdle for SmallVec<[u32; 4]> {
    fn shrink_to_fit_when_idle(&mut self) {
        if self.spilled() && self.len() * 4 < self.capacity() {
            self.shrink_to_fit();
        }
    }
}
