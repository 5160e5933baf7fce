//! Keyed: what a publication's key does to what was published before, and to whom it goes.
//!
//! On a tape a newer frame makes older ones of its key old (who is behind needs only the newest)
//! or, in a room that conflates and before they were offered, dead (nobody is sent them). For
//! members that watch keys there is no tape: an index leads to them, and frames go into their
//! outboxes. Shard thread.

use smallvec::SmallVec;

use super::group::{OWN, SLOT, TOMB};
use super::watch::{News, Waiting};
use super::{
    FRAME_OVERHEAD, GroupId, LINK_BLOCKED, LINK_CLOSING, LINK_DONE, LINK_NEWS, Outbound, RoomRef,
    SharedFrame, Stamp,
};
use crate::config::SlowPolicy;
use crate::delivery::{Fate, Missed};
use crate::sync::Arc;

/// Dead bytes that a tape has at least before it is compacted while frames wait.
const COMPACT_BYTES: usize = 64 * 1024;

impl<R: RoomRef + Clone> Outbound<R> {
    /// The frame that was just appended is the newest of its key.
    #[inline(never)]
    pub(super) fn replace_older(&mut self, id: GroupId, key: &str, sequence: u64) {
        let group = &mut self.groups[id as usize];
        let offered = group.offered();
        let older = group.extra().newest.set(key, sequence);
        let tape = group.tape.as_mut().expect("it was just appended to");
        let frames = tape.count(0, tape.head());
        let first = tape.mark(0).map_or(sequence, |(mark, _)| mark.sequence);
        group
            .extra
            .as_mut()
            .expect("it was just used")
            .newest
            .tidy(frames, first);
        let Some(at) = older.and_then(|older| tape.find(older)) else {
            return;
        };
        let mark = tape.mark(at).expect("it was found there").0;
        if !(group.terms.conflates && mark.start >= offered) {
            return tape.set_old(at);
        }
        let bytes = tape.kill(at);
        let (_, dead) = tape.dead();
        group.room.on_swept(self.shard, bytes + FRAME_OVERHEAD);
        self.tally.conflated += 1;
        self.report_conflated(id, mark.sequence);
        let group = &self.groups[id as usize];
        if dead > COMPACT_BYTES && dead * 2 > (group.head - offered) as usize {
            self.compact(id, offered, u64::MAX, false);
        }
    }

    /// Takes dead (and, if `old`, old) frames in `from..to` out of the tape, and moves all cursors.
    pub(super) fn compact(&mut self, id: GroupId, from: u64, to: u64, old: bool) {
        let group = &mut self.groups[id as usize];
        let Some(tape) = &mut group.tape else { return };
        let moves = tape.compact(from, to, old, &mut self.pool);
        tape.sweep.cut = moves.of(tape.sweep.cut);
        group.cursor = moves.of(group.cursor);
        group.head = tape.head();
        let own = |word: &&u32| **word != TOMB && **word & OWN != 0;
        for word in group.members.iter().filter(own) {
            let link = &mut self.links[(word & SLOT) as usize];
            let m = link.memberships.iter_mut().find(|m| m.group == id);
            if let Some(m) = m.filter(|m| !m.is_replaying()) {
                m.cursor = moves.of(m.cursor);
            }
        }
        self.merge.forget();
    }

    /// From now on the member is sent what is published of these keys, in the room's group of those
    /// who watch. For a member of another group this does nothing.
    pub(crate) fn watch(&mut self, slot: u32, id: GroupId, keys: &[Box<str>]) {
        let since = self.sequence;
        let group = &mut self.groups[id as usize];
        if group.terms.watches {
            let watch = &mut group.extra().watch;
            keys.iter().for_each(|key| watch.add(slot, key, since));
        }
    }

    /// The member is sent nothing more of these keys.
    pub(crate) fn unwatch(&mut self, slot: u32, id: GroupId, keys: &[Box<str>]) {
        if self.groups[id as usize].terms.watches {
            // What waits was published before.
            self.deliver_waiting_to(slot, id);
            let watch = &mut self.groups[id as usize].extra().watch;
            keys.iter().for_each(|key| watch.remove(slot, key));
        }
    }

    /// What the member watches in the room of this group.
    pub(crate) fn keys_of(&self, slot: u32, id: GroupId) -> Vec<Box<str>> {
        let extra = self.groups[id as usize].extra.as_ref();
        let keys = extra.map_or(&[][..], |extra| extra.watch.keys_of(slot));
        keys.iter().map(|key| (&**key).into()).collect()
    }

    /// Rooms in which the connection has a filter.
    pub(crate) fn filtered(&self, slot: u32) -> usize {
        let memberships = self.links[slot as usize].memberships.iter();
        let terms = memberships.map(|m| self.groups[m.group as usize].terms);
        terms.filter(|terms| terms.filter != 0).count()
    }

    /// Keys that the connection watches, in all its rooms.
    pub(crate) fn watched(&self, slot: u32) -> usize {
        let watches = |id: GroupId| {
            let group = &self.groups[id as usize];
            let extra = group.extra.as_ref().filter(|_| group.terms.watches);
            extra.map_or(0, |extra| extra.watch.keys_of(slot).len())
        };
        let memberships = self.links[slot as usize].memberships.iter();
        memberships.map(|m| watches(m.group)).sum()
    }

    /// Gives a publication to those members of the group who watch its key. Its cost stands in the
    /// room's *ahead*. Gives back how many members do not watch it.
    pub(crate) fn append_watched(
        &mut self,
        id: GroupId,
        frame: SharedFrame,
        stamp: &Stamp<'_>,
    ) -> usize {
        let cost = (*frame).as_ref().len() + FRAME_OVERHEAD;
        if self.volatile_off && self.is_off(id) {
            self.report_off(id, stamp);
            self.groups[id as usize].room.on_swept(self.shard, cost);
            return 0;
        }
        let group = &mut self.groups[id as usize];
        let alive = group.alive();
        let (conflates, policy) = (group.terms.conflates, group.terms.policy);
        // A union is compared with what the member's other rooms have, so it does not wait.
        let is_paced = group.terms.interval_ms > 0 && !stamp.is_union;
        let watch = &mut group.extra().watch;
        let Some((key, watchers)) = stamp.key.and_then(|key| watch.key(key)) else {
            group.room.on_swept(self.shard, cost);
            return alive;
        };
        let news = Arc::new(News {
            group: id,
            key: key.clone(),
            offset: stamp.offset,
            replaceable: policy == SlowPolicy::Latest,
        });
        let tracker = stamp.tracker.map(|tracker| {
            tracker.open(1);
            tracker.clone()
        });
        let waiting = Waiting {
            news,
            frame,
            sequence: stamp.sequence,
            tracker,
            except: stamp.except.into(),
        };
        if !is_paced {
            self.deliver_waiting(id);
            self.deliver(id, waiting);
            return alive - watchers;
        }
        if let Some(replaced) = watch.keep(waiting, conflates) {
            let members = watch.entitled(&replaced).len();
            group.room.on_swept(self.shard, replaced.cost());
            self.tally.conflated += 1;
            if let Some(tracker) = replaced.tracker {
                tracker.count(Fate::Conflated, members);
                self.close_tracker(tracker);
            }
        }
        self.hold(id, stamp.since_ns);
        alive - watchers
    }

    /// The interval ends.
    pub(super) fn deliver_waiting(&mut self, id: GroupId) {
        let group = &mut self.groups[id as usize];
        self.specials -= usize::from(std::mem::take(&mut group.held));
        let watch = &mut group.extra().watch;
        if watch.waiting_cost() > 0 {
            let due = watch.take_waiting();
            due.into_iter()
                .for_each(|waiting| self.deliver(id, waiting));
        }
    }

    /// The member is given what waits for it in this group, ahead of the others.
    pub(super) fn deliver_waiting_to(&mut self, slot: u32, id: GroupId) {
        let group = &mut self.groups[id as usize];
        let policy = group.terms.policy;
        for waiting in group.extra().watch.take_waiting_for(slot) {
            let fate = self.deliver_to(slot, policy, &waiting);
            if let Some(tracker) = &waiting.tracker {
                tracker.count(fate, 1);
            }
        }
    }

    /// Something is about to be written to a connection: what waits for it goes with it, in its
    /// place. True where there was anything.
    pub(super) fn take_along(&mut self, slot: u32) -> bool {
        let before = self.waiting_bytes(slot);
        for at in 0..self.links[slot as usize].memberships.len() {
            let id = self.links[slot as usize].memberships[at].group;
            let group = &self.groups[id as usize];
            if group.terms.watches && group.held {
                self.deliver_waiting_to(slot, id);
            }
        }
        self.waiting_bytes(slot) > before
    }

    /// Puts a frame into the outboxes of those who watch its key.
    fn deliver(&mut self, id: GroupId, waiting: Waiting) {
        let group = &self.groups[id as usize];
        let policy = group.terms.policy;
        group.room.on_swept(self.shard, waiting.cost());
        let extra = group.extra.as_ref();
        let slots = extra.map_or_else(SmallVec::new, |extra| extra.watch.entitled(&waiting));
        for slot in slots {
            let fate = self.deliver_to(slot, policy, &waiting);
            if let Some(tracker) = &waiting.tracker {
                tracker.count(fate, 1);
            }
        }
        if let Some(tracker) = waiting.tracker {
            self.close_tracker(tracker);
        }
    }

    fn deliver_to(&mut self, slot: u32, policy: SlowPolicy, waiting: &Waiting) -> Fate {
        let len = (*waiting.frame).as_ref().len();
        let link = &self.links[slot as usize];
        if link.is(LINK_DONE | LINK_CLOSING) {
            return Fate::Skipped;
        }
        if waiting.except.contains(&slot) {
            return Fate::Skipped;
        }
        let outbox = link.outbox.as_deref();
        if outbox.is_some_and(|outbox| outbox.has(waiting.sequence))
            || self.is_owed_elsewhere(slot, waiting.news.group, waiting.sequence)
        {
            return Fate::Reached;
        }
        let link = &self.links[slot as usize];
        let is_blocked = link.is(LINK_BLOCKED);
        if is_blocked && policy == SlowPolicy::Volatile {
            self.tally.volatile_dropped += 1;
            return Fate::Skipped;
        }
        // Who is read from is not slow, however much one turn brings: the rooms' *ahead* bounds it.
        let is_full = |this: &Self| {
            is_blocked && this.waiting_bytes(slot) + len > this.bounds.outbox_bytes_max
        };
        if is_full(self) && policy == SlowPolicy::Latest {
            self.links[slot as usize].flags |= LINK_NEWS;
            self.keep_newest(slot);
        }
        if is_full(self) {
            if policy == SlowPolicy::Disconnect {
                self.give_up(slot);
                return Fate::Skipped;
            }
            let mut missed = Missed::none(false);
            missed.add(waiting.news.offset);
            let room = self.groups[waiting.news.group as usize].room.clone();
            self.notice_missed(slot, room, missed);
            return Fate::Skipped;
        }
        self.take_out(slot);
        if is_blocked && waiting.news.replaceable {
            self.links[slot as usize].flags |= LINK_NEWS;
        }
        let (frame, news) = (waiting.frame.clone(), Some(waiting.news.clone()));
        self.push_news(slot, frame, waiting.sequence, news);
        match is_blocked {
            true => Fate::Lagging,
            false => Fate::Reached,
        }
    }

    /// Of what waits for a connection that was blocked, only the newest of each key that it watches
    /// is still to be sent.
    pub(super) fn keep_newest(&mut self, slot: u32) {
        let link = &mut self.links[slot as usize];
        if !link.is(LINK_NEWS) {
            return;
        }
        link.flags &= !LINK_NEWS;
        let Some(outbox) = &mut link.outbox else {
            return;
        };
        let before = outbox.bytes();
        let mut dropped: Vec<(GroupId, Missed)> = Vec::new();
        // What is left of a room that it has left, it is sent: there is nobody to tell.
        let memberships = &link.memberships;
        let is_in = |news: &News| memberships.iter().any(|m| m.group == news.group);
        outbox.keep_newest(is_in, |news| {
            if dropped.last().is_none_or(|(group, _)| *group != news.group) {
                dropped.push((news.group, Missed::none(true)));
            }
            if let Some((_, missed)) = dropped.last_mut() {
                missed.add(news.offset);
            }
        });
        self.private_bytes -= before - outbox.bytes();
        for (id, missed) in dropped {
            let room = self.groups[id as usize].room.clone();
            self.notice_missed(slot, room, missed);
        }
    }
}
