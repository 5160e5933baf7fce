//! Replay: members that have lost their place on a tape and catch up from their room's history.
//!
//! In: members that the tape has no place for any more, later the frames that the history has. Out:
//! notices of who is ready for more. Meanwhile such a member pins nothing and is sent nothing of
//! the room's tape; when it has all that was appended, it goes on from the tape's head. Shard
//! thread.

use super::outbox::Replay;
use super::{
    GroupId, LINK_BLOCKED, LINK_CLOSING, LINK_DONE, Membership, Notice, Outbound, RoomRef,
    SharedFrame,
};
use crate::config::SlowPolicy;
use crate::delivery::Missed;

/// The cursor of a member that catches up from the history.
const REPLAYING: u64 = u64::MAX;

impl Membership {
    /// Whether it catches up from the history, and so needs nothing of the tape.
    pub(super) fn is_replaying(&self) -> bool {
        self.cursor == REPLAYING
    }
}

impl<R: RoomRef + Clone> Outbound<R> {
    /// The group has been given the publications up to this number, or they are not for it.
    pub(crate) fn on_applied(&mut self, id: GroupId, offset: u64) {
        let group = &mut self.groups[id as usize];
        if group.terms.policy == SlowPolicy::Replay {
            group.extra().applied = offset;
        }
    }

    /// The member goes on from the history instead of the tape.
    pub(super) fn begin_replay(&mut self, slot: u32, id: GroupId) {
        let mut first = None;
        self.pass(slot, id, REPLAYING, |mark| {
            first = first.or(Some(mark.offset()));
        });
        let link = &mut self.links[slot as usize];
        let Some(m) = link.memberships.iter_mut().find(|m| m.group == id) else {
            return;
        };
        match first {
            Some(next) => self.outbox(slot).replays.push(Replay { group: id, next }),
            // All that it had not got was not for it.
            None => m.cursor = self.groups[id as usize].head,
        }
    }

    /// After a flush: who has nothing left to be sent is ready for more of the history.
    #[inline(never)]
    pub(super) fn ask_for_replay(&mut self, slot: u32) {
        let link = &mut self.links[slot as usize];
        if link.is(LINK_BLOCKED | LINK_DONE | LINK_CLOSING) {
            return;
        }
        let Some(outbox) = &mut link.outbox else {
            return;
        };
        if !outbox.replays.is_empty() && outbox.is_drained() && !outbox.is_replay_asked {
            outbox.is_replay_asked = true;
            self.notices.push(Notice::Replay(slot));
        }
    }

    /// The groups that the connection catches up with, each with the next publication that it is to
    /// be sent and the last that the group has been given.
    pub(crate) fn replays(&mut self, slot: u32) -> Vec<(GroupId, u64, u64)> {
        let Some(outbox) = &mut self.links[slot as usize].outbox else {
            return Vec::new();
        };
        outbox.is_replay_asked = false;
        let replays = outbox.replays.iter();
        let applied = |id: GroupId| {
            let extra = self.groups[id as usize].extra.as_ref();
            extra.map_or(0, |extra| extra.applied)
        };
        replays
            .map(|r| (r.group, r.next, applied(r.group)))
            .collect()
    }

    /// The room of a group.
    pub(crate) fn room(&self, id: GroupId) -> &R {
        &self.groups[id as usize].room
    }

    /// Sends the member a frame from the history.
    pub(crate) fn send_replayed(&mut self, slot: u32, frame: SharedFrame) {
        self.tally.replayed += 1;
        let sequence = self.next_sequence();
        self.take_out(slot);
        self.push_private(slot, frame, sequence);
    }

    /// The history does not have these publications any more.
    pub(crate) fn miss(&mut self, slot: u32, id: GroupId, first: u64, last: u64) {
        let missed = Missed {
            count: last + 1 - first,
            first,
            last,
            replaced: false,
        };
        let room = self.groups[id as usize].room.clone();
        self.notice_missed(slot, room, missed);
    }

    /// The member was sent what there is before `next`. `is_all`: it has all that the group was
    /// given, and goes on from the tape.
    pub(crate) fn on_replayed(&mut self, slot: u32, id: GroupId, next: u64, is_all: bool) {
        let head = self.groups[id as usize].head;
        let link = &mut self.links[slot as usize];
        let Some(outbox) = &mut link.outbox else {
            return;
        };
        let Some(at) = outbox.replays.iter().position(|r| r.group == id) else {
            return;
        };
        if !is_all {
            outbox.replays[at].next = next;
            return self.mark_dirty(slot);
        }
        outbox.replays.remove(at);
        if let Some(m) = link.memberships.iter_mut().find(|m| m.group == id) {
            m.cursor = head;
        }
        self.mark_dirty(slot);
    }

    /// The membership ends: what the history would have had is missed.
    pub(super) fn end_replay(&mut self, slot: u32, id: GroupId) {
        let Some(outbox) = &mut self.links[slot as usize].outbox else {
            return;
        };
        let Some(at) = outbox.replays.iter().position(|r| r.group == id) else {
            return;
        };
        let next = outbox.replays.remove(at).next;
        let extra = self.groups[id as usize].extra.as_ref();
        let applied = extra.map_or(0, |extra| extra.applied);
        if next <= applied {
            self.miss(slot, id, next, applied);
        }
    }
}
