//! Outbound: from publications in order to bytes on sockets, without a queue per connection.
//!
//! In: frames for groups and for single connections, joins, leaves, holes. Out: writes through
//! [`Wire`], and [`Notice`]s. Each append takes the next number of the shard's sequence, and a
//! connection is always written in the order of that sequence, whichever of its rooms a frame
//! belongs to: its cursors say what it has, the tapes hold the rest. Knows no sockets, no clock,
//! no protocol, no room names. Shard thread only.

mod flush;
pub(crate) mod frame;
mod group;
mod keyed;
mod members;
#[cfg(test)]
mod model;
mod newest;
mod outbox;
mod pace;
mod pacer;
mod replay;
mod slow;
mod sweep;
mod tape;
mod terms;
mod track;
mod watch;

use std::collections::VecDeque;
use std::io::IoSlice;

use slab::Slab;
use smallvec::SmallVec;

use self::flush::Merge;
use self::group::{Group, NO_GROUP, OWN, SLOT, SMALL};
use self::outbox::Outbox;
use self::pacer::Pacer;
use self::tape::Pool;
pub(crate) use self::tape::SharedFrame;
pub(crate) use self::terms::Terms;
use crate::delivery::{Missed, SharedTracker};
use crate::sync::Arc;

/// What a group tells the room that it belongs to.
pub(crate) trait RoomRef {
    /// So many bytes, [`FRAME_OVERHEAD`] a frame included, have been offered to all in step.
    fn on_swept(&self, shard: usize, bytes: usize);
    /// The first of its groups on the shard.
    fn first_group(&self, shard: usize) -> Option<GroupId>;
    /// Another one is the first, or none any more.
    fn set_first_group(&self, shard: usize, group: Option<GroupId>);
    /// Whether it is the same room.
    fn is(&self, other: &Self) -> bool;
}

/// The sockets, as a group sees them.
pub(crate) trait Wire {
    /// Writes to the connection in this slot; fewer bytes than given mean that it is blocked.
    fn write(&mut self, slot: u32, bytes: &[u8]) -> Wrote;
    /// The same for several slices.
    fn write_slices(&mut self, slot: u32, slices: &[IoSlice<'_>]) -> Wrote;
    /// Has the socket in the cache soon.
    fn warm(&self, _slot: u32) {}
    /// Nanoseconds of the engine's clock.
    fn now_ns(&mut self) -> u64;
    /// A sweep of a small or a large group ended; its oldest frame was published at `since_ns`, and
    /// may have waited for an interval of so long.
    fn on_sweep(&mut self, since_ns: u64, interval_ns: u64, small: bool);
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrote {
    /// So many bytes; fewer than given mean that the socket takes no more for now.
    Bytes(usize),
    /// The connection is broken.
    Failed,
}

/// What the shard has to act upon after a step or a flush.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice<R> {
    /// A write failed.
    Failed(u32),
    /// Over its bounds under the policy `disconnect`; nothing more is queued for it.
    TooSlow(u32),
    /// A closing connection has been sent all that it was owed.
    Drained(u32),
    /// Its waiting bytes went above the high water mark.
    High(u32),
    /// Its waiting bytes fell below half of the mark again.
    Low(u32),
    /// Was not sent these publications of this room.
    Lagged(u32, R, Missed),
    /// Has nothing left to be sent, and catches up from a history.
    Replay(u32),
    /// What became of a tracked publication is known, on this shard and all others.
    Delivered(SharedTracker),
}

/// The bounds that outbound keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) tape_bytes_max: usize,
    pub(crate) shard_tape_bytes_max: usize,
    pub(crate) outbox_bytes_max: usize,
    pub(crate) outbox_high_bytes: usize,
    /// A room's frames that wait for the end of an interval: with more it ends at once.
    pub(crate) pending_bytes_max: usize,
    /// Milliseconds up to which intervals widen.
    pub(crate) interval_max_ms: u32,
}

/// Plain counters, read by the shard once a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) writes: u64,
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) lagged: u64,
    /// Of those, the ones that a newer one of the same key took the place of.
    pub(crate) replaced: u64,
    pub(crate) conflated: u64,
    pub(crate) volatile_dropped: u64,
    pub(crate) replayed: u64,
    pub(crate) too_slow: u64,
    pub(crate) pongs_dropped: u64,
}

/// A publication, as all groups of its rooms are given it.
pub(crate) struct Stamp<'a> {
    pub(crate) sequence: u64,
    /// Its number in the room.
    pub(crate) offset: u64,
    /// Nanoseconds of the engine's clock when it was published.
    pub(crate) since_ns: u64,
    pub(crate) key: Option<&'a str>,
    /// It goes to other rooms too, and a member of several is sent it once.
    pub(crate) is_union: bool,
    /// Who is not sent it; each has a hole of this sequence.
    pub(crate) except: &'a [u32],
    /// Where its fate is to be reported.
    pub(crate) tracker: Option<&'a SharedTracker>,
}

pub(crate) type GroupId = u32;

/// Pongs that wait for one connection, in bytes.
const PONG_BYTES: usize = 2048;

/// What a frame costs beside its own bytes while it is on a tape; counted in `on_swept`.
pub(crate) const FRAME_OVERHEAD: usize = size_of::<tape::Mark>();

/// One membership, as the connection keeps it.
#[derive(Clone, Copy, Debug)]
struct Membership {
    group: GroupId,
    /// Index in the group's members.
    index: u32,
    /// What it has been sent; meaningful with OWN.
    cursor: u64,
}

const LINK_BLOCKED: u8 = 1;
const LINK_DIRTY: u8 = 2;
const LINK_CLOSING: u8 = 4;
const LINK_HIGH: u8 = 8;
/// Broken or given up: nothing more is queued or written.
const LINK_DONE: u8 = 16;
/// Something in its outbox may have become old news.
const LINK_NEWS: u8 = 32;
/// It is, or was, in a room whose keys it watches.
const LINK_WATCHES: u8 = 64;

/// The delivery side of one connection.
#[derive(Default)]
struct Link {
    memberships: SmallVec<[Membership; 2]>,
    outbox: Option<Box<Outbox>>,
    flags: u8,
}

impl Link {
    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

pub(crate) struct Outbound<R> {
    shard: usize,
    groups: Slab<Group<R>>,
    links: Vec<Link>,
    pool: Pool,
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is kept")]
    outboxes: Vec<Box<Outbox>>,
    sequence: u64,
    small: VecDeque<GroupId>,
    large: VecDeque<GroupId>,
    dirty: VecDeque<u32>,
    pacer: Pacer,
    /// Up to when groups that were due have been released.
    released_ms: u64,
    /// Groups that are held, and groups that are keyed: where there are none, a flush need not ask.
    specials: usize,
    /// Steps by which intervals are widened.
    steps: u32,
    /// Volatile groups are sent nothing, to save memory.
    volatile_off: bool,
    /// Tapes may hold this power of two less than their bounds say, to save memory.
    shortened: u32,
    /// Numbers of the filters of groups that are no more.
    freed_filters: Vec<u32>,
    merge: Merge,
    bounds: Bounds,
    private_bytes: usize,
    notices: Vec<Notice<R>>,
    pub(crate) tally: Tally,
}

impl<R: RoomRef + Clone> Outbound<R> {
    pub(crate) fn new(shard: usize, bounds: Bounds) -> Self {
        Outbound {
            shard,
            groups: Slab::new(),
            links: Vec::new(),
            pool: Pool::new(bounds.tape_bytes_max),
            outboxes: Vec::new(),
            sequence: 0,
            small: VecDeque::new(),
            large: VecDeque::new(),
            dirty: VecDeque::new(),
            pacer: Pacer::default(),
            released_ms: 0,
            specials: 0,
            steps: 0,
            volatile_off: false,
            shortened: 0,
            freed_filters: Vec::new(),
            merge: Merge::default(),
            bounds,
            private_bytes: 0,
            notices: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Makes place for the connection in this slot.
    pub(crate) fn attach(&mut self, slot: u32) {
        let at = slot as usize;
        while self.links.len() <= at {
            if self.links.len() == self.links.capacity() {
                self.links.reserve_exact((self.links.len() / 8).max(1024));
            }
            self.links.push(Link::default());
        }
        debug_assert!(
            self.links[at].memberships.is_empty() && self.links[at].flags & !LINK_DIRTY == 0
        );
    }

    /// Forgets the connection: what it was owed is dropped. Gives back the rooms it was in.
    pub(crate) fn detach(&mut self, slot: u32) -> SmallVec<[R; 2]> {
        let mut rooms = SmallVec::new();
        if let Some(outbox) = &mut self.links[slot as usize].outbox {
            // Its slot is another's soon: there is nobody to tell of what it misses.
            outbox.replays.clear();
        }
        while let Some(m) = self.links[slot as usize].memberships.last().copied() {
            rooms.push(self.groups[m.group as usize].room.clone());
            self.report_leaver(slot, m.group, false);
            self.remove_membership(slot, m.group);
        }
        let link = &mut self.links[slot as usize];
        if let Some(outbox) = link.outbox.take() {
            self.private_bytes -= outbox.bytes();
        }
        // A place in `dirty` may outlive the link: the flag stays until the queue is walked.
        link.flags &= LINK_DIRTY;
        rooms
    }

    /// What the members of the group are sent, and when.
    pub(crate) fn terms(&self, id: GroupId) -> &Terms {
        &self.groups[id as usize].terms
    }

    /// Members of the group.
    pub(crate) fn alive(&self, id: GroupId) -> usize {
        self.groups[id as usize].alive()
    }

    /// Whether the group is its room's only one here, and sent each publication as it is.
    #[inline]
    pub(crate) fn is_plain(&self, id: GroupId) -> bool {
        let group = &self.groups[id as usize];
        group.next == NO_GROUP && group.terms.is_plain()
    }

    /// Has the group in the cache soon; several calls in a row wait for memory together.
    pub(crate) fn warm(&self, id: GroupId) {
        if let Some(group) = self.groups.get(id as usize) {
            std::hint::black_box(group.head);
            std::hint::black_box(group.members.len());
        }
    }

    /// Bytes of the table of connections, the first two memberships of each included.
    pub(crate) fn link_bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }

    /// Takes the next number of the shard's sequence, for one publication or message.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Appends a publication to a group. The same sequence in several groups is one publication:
    /// a member of several of them is sent it once.
    pub(crate) fn append<F>(&mut self, id: GroupId, frame: &Arc<F>, stamp: &Stamp<'_>)
    where
        F: AsRef<[u8]> + Send + Sync + 'static,
    {
        let len = (**frame).as_ref().len();
        let Some(group) = self.groups.get(id as usize) else {
            return;
        };
        if group.alive() == 0 || (self.volatile_off && self.is_off(id)) {
            self.report_off(id, stamp);
            let group = &self.groups[id as usize];
            group.room.on_swept(self.shard, len + FRAME_OVERHEAD);
            return;
        }
        let group = &self.groups[id as usize];
        let held = group.tape.as_ref().map_or(0, |t| t.held_bytes());
        if held + len > self.bounds.tape_bytes_max >> self.shortened {
            self.make_place(id, len);
        }
        let Some(group) = self.groups.get_mut(id as usize) else {
            return;
        };
        let tape = match &mut group.tape {
            Some(tape) => tape,
            None => group.tape.insert(self.pool.tape(id, group.head)),
        };
        tape.append(frame, stamp.sequence, stamp.offset, &mut self.pool);
        group.head = tape.head();
        if tape.sweep.next_since_ns == 0 {
            tape.sweep.next_since_ns = stamp.since_ns.max(1);
        }
        let is_keyed = group.keyed;
        self.on_applied(id, stamp.offset);
        if let Some(tracker) = stamp.tracker {
            self.track(id, stamp, tracker);
        }
        if let Some(key) = stamp.key
            && is_keyed
        {
            self.replace_older(id, key, stamp.sequence);
        }
        let group = &self.groups[id as usize];
        if !group.queued {
            match group.terms.interval_ms == 0 {
                true => self.enqueue(id),
                false => self.hold(id, stamp.since_ns),
            }
        }
    }

    /// Has the group swept in this turn, or as soon as others leave time for it.
    fn enqueue(&mut self, id: GroupId) {
        let group = &mut self.groups[id as usize];
        group.queued = true;
        self.specials -= usize::from(std::mem::take(&mut group.held));
        match group.members.len() <= SMALL {
            true => self.small.push_back(id),
            false => self.large.push_back(id),
        }
    }

    /// Leaves the connection out of what is (about to be) appended under this sequence.
    pub(crate) fn skip(&mut self, slot: u32, sequence: u64) {
        if self.links[slot as usize].memberships.is_empty() {
            return;
        }
        self.take_out(slot);
        let outbox = self.outbox(slot);
        if outbox.holes.last() != Some(&sequence) {
            outbox.holes.push(sequence);
        }
    }

    /// Queues a frame for this connection alone.
    pub(crate) fn send(&mut self, slot: u32, frame: SharedFrame, sequence: u64) {
        if self.links[slot as usize].is(LINK_DONE | LINK_CLOSING) {
            return;
        }
        let waiting = self.waiting_bytes(slot);
        if waiting > 0 && waiting + (*frame).as_ref().len() > self.bounds.outbox_bytes_max {
            return self.give_up(slot);
        }
        self.take_out(slot);
        self.push_private(slot, frame, sequence);
    }

    /// Queues the first bytes of a connection, which nothing may overtake.
    pub(crate) fn send_first(&mut self, slot: u32, bytes: Vec<u8>) {
        self.private_bytes += bytes.len();
        self.take_out(slot);
        self.outbox(slot).keep_half(bytes);
        self.mark_dirty(slot);
    }

    fn push_private(&mut self, slot: u32, frame: SharedFrame, sequence: u64) {
        self.push_news(slot, frame, sequence, None);
    }

    fn push_news(
        &mut self,
        slot: u32,
        frame: SharedFrame,
        sequence: u64,
        news: Option<Arc<watch::News>>,
    ) {
        let bounds = self.bounds;
        let outbox = self.outbox(slot);
        let before = outbox.bytes();
        outbox.push_news(sequence, frame, news);
        let waiting = outbox.bytes();
        self.private_bytes += waiting - before;
        self.mark_dirty(slot);
        let link = &mut self.links[slot as usize];
        if waiting > bounds.outbox_high_bytes && !link.is(LINK_HIGH) {
            link.flags |= LINK_HIGH;
            self.notices.push(Notice::High(slot));
        }
    }

    /// Queues a pong behind those that have not gone out yet; when they pass `PONG_BYTES` only the
    /// newest is kept (RFC 6455 §5.5.3). Exempt from all other bounds.
    pub(crate) fn pong(&mut self, slot: u32, frame: &[u8]) {
        if self.links[slot as usize].is(LINK_DONE | LINK_CLOSING) {
            return;
        }
        self.take_out(slot);
        let mut dropped = 0;
        let pongs = &mut self.outbox(slot).pongs;
        if pongs.len() + frame.len() > PONG_BYTES {
            dropped = count_control_frames(pongs);
            pongs.clear();
        }
        pongs.extend_from_slice(frame);
        self.tally.pongs_dropped += dropped;
        self.mark_dirty(slot);
    }

    /// Queues a ping, if none waits. Exempt from all bounds.
    pub(crate) fn ping(&mut self, slot: u32, frame: &'static [u8]) {
        if !self.links[slot as usize].is(LINK_DONE | LINK_CLOSING) {
            self.take_out(slot);
            self.outbox(slot).ping = Some(frame);
            self.mark_dirty(slot);
        }
    }

    /// Ends all memberships, sends what is owed, then this frame, then says `Drained`. Gives back
    /// the rooms that it was in.
    pub(crate) fn close(&mut self, slot: u32, frame: SharedFrame) -> SmallVec<[R; 2]> {
        let mut rooms = SmallVec::new();
        if self.links[slot as usize].is(LINK_CLOSING) {
            return rooms;
        }
        while let Some(m) = self.links[slot as usize].memberships.last().copied() {
            rooms.push(self.groups[m.group as usize].room.clone());
            self.keep_owed(slot, m.group);
            self.report_leaver(slot, m.group, true);
            self.remove_membership(slot, m.group);
        }
        let sequence = self.next_sequence();
        let outbox = self.outbox(slot);
        let before = outbox.bytes();
        outbox.push(sequence, frame);
        self.private_bytes += outbox.bytes() - before;
        let link = &mut self.links[slot as usize];
        // A connection that was given up may be sent the close frame all the same.
        link.flags = (link.flags | LINK_CLOSING) & !LINK_DONE;
        self.mark_dirty(slot);
        rooms
    }

    /// Bytes that wait for this connection alone.
    pub(crate) fn waiting_bytes(&self, slot: u32) -> usize {
        self.links[slot as usize]
            .outbox
            .as_ref()
            .map_or(0, |o| o.bytes())
    }

    /// Whether the connection is above its high water mark.
    pub(crate) fn is_high(&self, slot: u32) -> bool {
        self.links[slot as usize].is(LINK_HIGH)
    }

    /// Bytes that all tapes hold.
    pub(crate) fn tape_bytes(&self) -> usize {
        self.pool.held_bytes
    }

    /// Bytes that wait in all outboxes.
    pub(crate) fn private_bytes(&self) -> usize {
        self.private_bytes
    }

    /// Says that a slow member was not sent these publications of a room.
    fn notice_missed(&mut self, slot: u32, room: R, missed: Missed) {
        if missed.count == 0 {
            return;
        }
        self.tally.lagged += missed.count;
        if missed.replaced {
            self.tally.replaced += missed.count;
        }
        if let Some(Notice::Lagged(last, of, before)) = self.notices.last_mut()
            && *last == slot
            && of.is(&room)
            && before.replaced == missed.replaced
        {
            return before.join(&missed);
        }
        self.notices.push(Notice::Lagged(slot, room, missed));
    }

    /// Whether the tapes of this shard hold all that they may.
    pub(crate) fn is_full(&self) -> bool {
        self.pool.held_bytes >= self.bounds.shard_tape_bytes_max
    }

    /// What happened since the last call.
    pub(crate) fn take_notices(&mut self, into: &mut Vec<Notice<R>>) {
        into.append(&mut self.notices);
    }

    /// Whether there is something to act upon or to write.
    pub(crate) fn has_work(&self) -> bool {
        !(self.small.is_empty() && self.large.is_empty() && self.dirty.is_empty())
    }

    fn outbox(&mut self, slot: u32) -> &mut Outbox {
        let fresh = &mut self.outboxes;
        self.links[slot as usize]
            .outbox
            .get_or_insert_with(|| fresh.pop().unwrap_or_default())
    }

    fn mark_dirty(&mut self, slot: u32) {
        let link = &mut self.links[slot as usize];
        if !link.is(LINK_DIRTY) {
            link.flags |= LINK_DIRTY;
            self.dirty.push_back(slot);
        }
    }

    /// Gives a member that is in step a cursor of its own.
    fn take_out(&mut self, slot: u32) {
        let link = &mut self.links[slot as usize];
        let [m] = link.memberships.as_mut_slice() else {
            return;
        };
        let group = &mut self.groups[m.group as usize];
        let word = &mut group.members[m.index as usize];
        if *word & OWN == 0 {
            *word |= OWN;
            m.cursor = group.step_of(m.index as usize);
        }
    }

    /// Puts a member back in step where it is: one room, nothing waiting, and where the group is.
    fn put_back(&mut self, slot: u32) {
        let link = &mut self.links[slot as usize];
        let [m] = link.memberships.as_slice() else {
            return;
        };
        if link.outbox.is_some() || link.is(LINK_BLOCKED | LINK_DONE | LINK_CLOSING) {
            return;
        }
        let group = &mut self.groups[m.group as usize];
        if m.cursor == group.step_of(m.index as usize) {
            group.members[m.index as usize] = slot;
        }
    }

    /// What the membership has been sent.
    fn cursor_of(&self, slot: u32, m: &Membership) -> u64 {
        let group = &self.groups[m.group as usize];
        debug_assert_eq!(group.members[m.index as usize] & SLOT, slot);
        match group.members[m.index as usize] & OWN {
            0 => group.step_of(m.index as usize),
            _ => m.cursor,
        }
    }
}

/// How many frames of at most 125 bytes of payload these bytes are.
fn count_control_frames(mut frames: &[u8]) -> u64 {
    let mut count = 0;
    while let [_, len, rest @ ..] = frames {
        frames = rest.get(usize::from(*len)..).unwrap_or_default();
        count += 1;
    }
    count
}
