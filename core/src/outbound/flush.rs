//! Flush: everything that one connection is owed, in the shard's order, in one write.
//!
//! In: a slot whose socket takes bytes. Out: one write of the unsent part of its rooms' tapes and
//! of its outbox, merged by sequence; then cursors moved by exactly what was written. A half-sent
//! frame is copied out, so that cursors always stand between frames. Shard thread only.

use std::io::IoSlice;

use smallvec::SmallVec;

use super::group::{BLOCKED, OWN};
use super::outbox::Outbox;
use super::tape::Mark;
use super::{
    GroupId, LINK_BLOCKED, LINK_CLOSING, LINK_DONE, LINK_HIGH, LINK_WATCHES, Notice, Outbound,
    RoomRef, Wire, Wrote,
};
use crate::config::SlowPolicy;
use crate::delivery::Missed;

/// Up to this much is joined in the scratch buffer for one plain write.
const JOIN_BYTES: usize = 64 * 1024;
/// Slices of one gathered write (IOV_MAX is 1,024 on Linux).
const SLICES: usize = 256;

/// A tape with something unsent for the connection at hand.
#[derive(Clone, Copy)]
struct Source {
    membership: u32,
    group: GroupId,
    from: u64,
    to: u64,
    /// Index of the next mark.
    at: usize,
}

/// Which frames of a source are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thin {
    All,
    /// Those that no newer one of their key has taken the place of before they were offered.
    Alive,
    /// The newest of each key: who is behind needs no more under the policy `latest`.
    Newest,
}

impl Thin {
    /// What becomes of this frame, which the connection was not sent yet.
    fn fate(self, mark: Option<(Mark, u64)>) -> Fate {
        match mark {
            Some((mark, _)) if mark.is_dead() => Fate::PassedOver,
            Some((mark, _)) if mark.is_old() && self == Thin::Newest => Fate::Replaced,
            _ => Fate::Sent,
        }
    }
}

#[derive(Clone, Copy)]
enum What {
    Half,
    Pongs,
    Ping,
    Private,
    /// Frames of a source.
    Tape {
        source: usize,
        from: u64,
        to: u64,
        fate: Fate,
    },
}

/// What becomes of frames of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Sent,
    /// Not for this connection, or sent from another tape.
    PassedOver,
    /// Not sent because a newer one of the key is: the host is told.
    Replaced,
}

#[derive(Clone, Copy)]
struct Piece {
    what: What,
    len: usize,
}

/// The merge of the connection at hand, kept while the next one owes exactly the same.
#[derive(Default)]
pub(super) struct Merge {
    sources: SmallVec<[Source; 8]>,
    /// Of each source, where some of them are not sent whole; else empty.
    thin: Vec<Thin>,
    pieces: Vec<Piece>,
    joined: Vec<u8>,
    frames: u64,
    last_sequence: u64,
    /// What `pieces` and `joined` were made of: groups, from where to where, at a shard sequence.
    key: SmallVec<[(GroupId, u64, u64); 8]>,
    key_sequence: u64,
}

impl Merge {
    /// Positions on a tape have changed.
    pub(super) fn forget(&mut self) {
        self.key.clear();
    }
}

impl<R: RoomRef + Clone> Outbound<R> {
    /// The socket takes bytes again.
    pub(crate) fn on_writable<W: Wire>(&mut self, slot: u32, wire: &mut W) {
        if self.links[slot as usize].is(LINK_BLOCKED) {
            self.unblock(slot);
            self.keep_newest(slot);
            self.flush_link(slot, wire, u64::MAX);
            for at in 0..self.links[slot as usize].memberships.len() {
                let id = self.links[slot as usize].memberships[at].group;
                if !self.groups[id as usize].queued {
                    self.tidy_group(id);
                }
            }
        }
    }

    /// Writes what the connection is owed; with one room and no outbox only up to `limit`.
    pub(super) fn flush_link<W: Wire>(&mut self, slot: u32, wire: &mut W, limit: u64) {
        let link = &self.links[slot as usize];
        if link.is(LINK_BLOCKED | LINK_DONE) {
            return;
        }
        let (bare, watches) = (link.outbox.is_none(), link.is(LINK_WATCHES));
        self.collect_sources(slot, limit);
        let bare = match watches {
            true => !self.collect_watched(slot, limit),
            false => bare,
        };
        match self.merge.sources.len() {
            0 if bare => {}
            1 if bare && self.merge.thin.is_empty() => self.write_one_source(slot, wire),
            _ => {
                if !(bare && self.same_as_before()) {
                    self.merge_pieces(slot);
                }
                self.write_pieces(slot, wire);
            }
        }
        self.settle(slot);
    }

    /// Where something is to be written to one who watches keys, what waits for it becomes private,
    /// and so takes along what waits in other rooms. Whether it has an outbox now.
    #[inline(never)]
    fn collect_watched(&mut self, slot: u32, limit: u64) -> bool {
        let outbox = self.links[slot as usize].outbox.as_deref();
        let has_private = outbox.is_some_and(|outbox| !outbox.queue.is_empty());
        if (has_private || !self.merge.sources.is_empty()) && self.take_along(slot) {
            self.collect_sources(slot, limit);
        }
        self.links[slot as usize].outbox.is_some()
    }

    /// What is unsent on the tapes of the connection's rooms. Frames that wait for their interval
    /// are left there, unless something goes that would overtake them.
    fn collect_sources(&mut self, slot: u32, limit: u64) {
        let link = &self.links[slot as usize];
        let outbox = link.outbox.as_deref();
        // A private frame may stand behind frames beyond the limit, and must not overtake them.
        let limit = match link.memberships.len() == 1 && outbox.is_none() {
            true => limit,
            false => u64::MAX,
        };
        self.merge.sources.clear();
        self.merge.thin.clear();
        for (i, m) in link.memberships.iter().enumerate() {
            if !self.pool.is_taped(m.group) {
                continue;
            }
            let group = &self.groups[m.group as usize];
            let to = group.head.min(limit);
            let from = match link.memberships.len() {
                1 => self.cursor_of(slot, m),
                _ => m.cursor,
            };
            if from < to {
                let (membership, group) = (i as u32, m.group);
                self.merge.sources.push(Source {
                    membership,
                    group,
                    from,
                    to,
                    at: 0,
                });
            }
        }
        if self.specials > 0 {
            self.narrow_sources(slot);
        }
    }

    /// Some of the sources wait for their intervals, or have frames that not everybody is sent.
    #[inline(never)]
    fn narrow_sources(&mut self, slot: u32) {
        let outbox = self.links[slot as usize].outbox.as_deref();
        let has_private = outbox.is_some_and(|outbox| !outbox.queue.is_empty());
        let (mut waits, mut is_thin) = (false, false);
        for source in &mut self.merge.sources {
            let group = &self.groups[source.group as usize];
            let policy = group.terms.policy;
            let has_dead = || group.tape.as_ref().is_some_and(|tape| tape.dead().0 > 0);
            let thin = match policy == SlowPolicy::Latest && source.from < group.cursor {
                true => Thin::Newest,
                false if group.keyed && has_dead() => Thin::Alive,
                false => Thin::All,
            };
            is_thin |= thin != Thin::All;
            self.merge.thin.push(thin);
            // What may still be conflated waits as what is held does.
            if (group.held || group.terms.conflates) && !has_private {
                let to = group.offered().clamp(source.from, source.to);
                waits |= to < std::mem::replace(&mut source.to, to);
            }
        }
        if !is_thin {
            self.merge.thin.clear();
        }
        if waits {
            self.let_wait();
        }
    }

    /// Some of the sources wait for their intervals.
    fn let_wait(&mut self) {
        let sources = &mut self.merge.sources;
        if sources.len() > 1 && sources.iter().any(|source| source.from < source.to) {
            // What is due must not overtake what waits in another room.
            for source in sources {
                source.to = self.groups[source.group as usize].head;
            }
            return;
        }
        for at in (0..sources.len()).rev() {
            if sources[at].from == sources[at].to {
                sources.remove(at);
                if !self.merge.thin.is_empty() {
                    self.merge.thin.remove(at);
                }
            }
        }
    }

    /// The common case: one room has something, usually in one slice.
    fn write_one_source<W: Wire>(&mut self, slot: u32, wire: &mut W) {
        let Source {
            membership,
            group,
            from,
            to,
            ..
        } = self.merge.sources[0];
        let tape = self.groups[group as usize]
            .tape
            .as_ref()
            .expect("cursors behind have a tape");
        let len = (to - from) as usize;
        let frames = tape.count(from, to) as u64;
        let wrote = match tape.contiguous(from, to) {
            Some(bytes) => wire.write(slot, bytes),
            None => {
                let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
                tape.slices(from, to, |s| slices.push(IoSlice::new(s)));
                match slices.len() > SLICES {
                    true => wire.write_slices(slot, &slices[..SLICES]),
                    false => wire.write_slices(slot, &slices),
                }
            }
        };
        self.tally.writes += 1;
        if wrote == Wrote::Bytes(len) {
            self.tally.bytes += len as u64;
            self.tally.frames += frames;
            self.links[slot as usize].memberships.as_mut_slice()[membership as usize].cursor = to;
            return;
        }
        self.account_one(slot, wrote);
    }

    /// As after a write of the slice that the group's sweep sends, to a member just taken out.
    pub(super) fn account_short(&mut self, id: GroupId, slot: u32, wrote: Wrote) {
        self.merge.sources.clear();
        self.merge.thin.clear();
        let group = &self.groups[id as usize];
        let to = group.tape.as_ref().map_or(group.head, |t| t.sweep.cut);
        let from = self.links[slot as usize].memberships[0].cursor;
        self.merge.sources.push(Source {
            membership: 0,
            group: id,
            from,
            to,
            at: 0,
        });
        self.tally.writes += 1;
        self.account_one(slot, wrote);
    }

    /// Accounts for a write of less than the one source has.
    fn account_one(&mut self, slot: u32, wrote: Wrote) {
        let Source { from, to, .. } = self.merge.sources[0];
        let len = (to - from) as usize;
        self.merge.key.clear();
        self.merge.pieces.clear();
        self.merge.last_sequence = 0;
        self.merge.pieces.push(Piece {
            what: What::Tape {
                source: 0,
                from,
                to,
                fate: Fate::Sent,
            },
            len,
        });
        self.account(slot, wrote, len);
    }

    /// Whether the connection before owed the same bytes, so that its merge can be sent again.
    fn same_as_before(&self) -> bool {
        let merge = &self.merge;
        merge.key_sequence == self.sequence
            && merge.key.len() == merge.sources.len()
            && merge
                .key
                .iter()
                .zip(&merge.sources)
                .all(|(k, s)| *k == (s.group, s.from, s.to))
    }

    /// Has the merge forget the connection before, and finds where its sources begin.
    fn begin_merge(&mut self, slot: u32) {
        let merge = &mut self.merge;
        merge.pieces.clear();
        merge.joined.clear();
        merge.key.clear();
        (merge.frames, merge.last_sequence) = (0, 0);
        let outbox = self.links[slot as usize].outbox.as_deref();
        if let Some(outbox) = outbox {
            push_first(&mut merge.pieces, outbox);
        } else {
            merge
                .key
                .extend(merge.sources.iter().map(|s| (s.group, s.from, s.to)));
            merge.key_sequence = self.sequence;
        }
        for source in &mut merge.sources {
            let tape = self.groups[source.group as usize].tape.as_ref();
            source.at = tape
                .expect("cursors behind have a tape")
                .mark_index(source.from);
        }
    }

    /// Merges the sources and the outbox by sequence into pieces, and joins small ones.
    fn merge_pieces(&mut self, slot: u32) {
        self.begin_merge(slot);
        let merge = &mut self.merge;
        let outbox = self.links[slot as usize].outbox.as_deref();
        let holes = outbox.map_or(&[][..], |o| &o.holes);
        // The publication that was sent last: in another tape, or in the outbox, it is the same
        // one.
        let mut sent_sequence = 0;
        let mut private = outbox.into_iter().flat_map(|o| &o.queue).peekable();
        loop {
            let mut first: Option<(u64, usize, u64, u64)> = None;
            for (i, s) in merge.sources.iter().enumerate() {
                let tape = self.groups[s.group as usize].tape.as_ref();
                if let Some((mark, end)) = tape.and_then(|t| t.mark(s.at))
                    && mark.start < s.to
                    && first.is_none_or(|f| mark.sequence < f.0)
                {
                    first = Some((mark.sequence, i, mark.start, end));
                }
            }
            if let Some(p) = private.peek()
                && first.is_none_or(|f| p.sequence < f.0)
            {
                let twice = p.news.is_some() && p.sequence == sent_sequence;
                let len = match twice {
                    true => 0,
                    false => (*p.frame).as_ref().len(),
                };
                merge.pieces.push(Piece {
                    what: What::Private,
                    len,
                });
                merge.frames += u64::from(!twice);
                private.next();
                continue;
            }
            let Some((sequence, source, start, end)) = first else {
                break;
            };
            let from = &mut merge.sources[source];
            let mut fate = match sequence == sent_sequence || holes.contains(&sequence) {
                true => Fate::PassedOver,
                false => Fate::Sent,
            };
            if let Some(thin) = merge.thin.get(source)
                && fate == Fate::Sent
            {
                let tape = self.groups[from.group as usize].tape.as_ref();
                fate = thin.fate(tape.and_then(|tape| tape.mark(from.at)));
            }
            from.at += 1;
            merge.last_sequence = sequence;
            if fate == Fate::Sent {
                sent_sequence = sequence;
                merge.frames += 1;
            }
            push_tape(&mut merge.pieces, source, start, end, fate);
        }
    }

    fn write_pieces<W: Wire>(&mut self, slot: u32, wire: &mut W) {
        let total: usize = self.merge.pieces.iter().map(|p| p.len).sum();
        if total == 0 {
            return self.account(slot, Wrote::Bytes(0), 0);
        }
        let wrote = match total <= JOIN_BYTES {
            true => {
                if self.merge.joined.is_empty() {
                    let mut joined = std::mem::take(&mut self.merge.joined);
                    self.visit_pieces(slot, |s| joined.extend_from_slice(s));
                    self.merge.joined = joined;
                }
                debug_assert_eq!(self.merge.joined.len(), total);
                wire.write(slot, &self.merge.joined)
            }
            false => {
                let mut slices: Vec<IoSlice<'_>> = Vec::new();
                self.visit_pieces(slot, |s| slices.push(IoSlice::new(s)));
                write_in_chunks(slot, wire, &slices)
            }
        };
        self.tally.writes += 1;
        self.account(slot, wrote, total);
    }

    /// Calls `visit` with the bytes of all pieces, in order.
    fn visit_pieces<'a>(&'a self, slot: u32, mut visit: impl FnMut(&'a [u8])) {
        let outbox = self.links[slot as usize].outbox.as_deref();
        let mut private = outbox.into_iter().flat_map(|o| &o.queue);
        for piece in &self.merge.pieces {
            match (piece.what, outbox) {
                (What::Half, Some(o)) => visit(&o.half[o.half_at..]),
                (What::Pongs, Some(o)) => visit(&o.pongs),
                (What::Ping, Some(o)) => visit(o.ping.unwrap_or_default()),
                (What::Private, _) => {
                    let p = private
                        .next()
                        .expect("a piece was made for each private frame");
                    if piece.len > 0 {
                        visit((*p.frame).as_ref());
                    }
                }
                (What::Tape { .. }, _) if piece.len == 0 => {}
                (
                    What::Tape {
                        source, from, to, ..
                    },
                    _,
                ) => {
                    let group = self.merge.sources[source].group;
                    let tape = self.groups[group as usize].tape.as_ref();
                    tape.expect("cursors behind have a tape")
                        .slices(from, to, &mut visit);
                }
                (_, None) => unreachable!("pieces of an outbox come from an outbox"),
            }
        }
    }

    /// Moves cursors and the outbox by what was written, of `total` bytes.
    fn account(&mut self, slot: u32, wrote: Wrote, total: usize) {
        let Wrote::Bytes(written) = wrote else {
            self.links[slot as usize].flags |= LINK_DONE;
            self.notices.push(Notice::Failed(slot));
            return;
        };
        self.tally.bytes += written as u64;
        if written == total {
            self.tally.frames += self.merge.frames;
        }
        let mut left = written;
        for i in 0..self.merge.pieces.len() {
            let piece = self.merge.pieces[i];
            if piece.len <= left {
                left -= piece.len;
                self.complete(slot, piece.what);
            } else if !self.begin(slot, piece.what, left) {
                break;
            } else {
                left = 0;
            }
        }
        if written < total {
            // Holes behind what was written still stand.
            self.merge.last_sequence = 0;
            self.block(slot);
        }
    }

    fn complete(&mut self, slot: u32, what: What) {
        let link = &mut self.links[slot as usize];
        if let What::Tape {
            source,
            from,
            to,
            fate,
        } = what
        {
            let membership = self.merge.sources[source].membership;
            link.memberships.as_mut_slice()[membership as usize].cursor = to;
            if fate == Fate::Replaced {
                self.notice_replaced(slot, source, from, to);
            }
            return;
        }
        let outbox = link
            .outbox
            .as_mut()
            .expect("pieces of an outbox come from an outbox");
        let before = outbox.bytes();
        match what {
            What::Half => outbox.advance_half(outbox.half.len() - outbox.half_at),
            What::Pongs => outbox.pongs.clear(),
            What::Ping => outbox.ping = None,
            What::Private => drop(outbox.pop()),
            What::Tape { .. } => {}
        }
        self.private_bytes -= before - outbox.bytes();
    }

    /// `left` bytes of a piece were written, fewer than it has. True when all of its frames have
    /// at least begun, so that what is passed over behind it may be passed over now.
    fn begin(&mut self, slot: u32, what: What, left: usize) -> bool {
        if left == 0 {
            return false;
        }
        let link = &mut self.links[slot as usize];
        if let What::Tape {
            source, from, to, ..
        } = what
        {
            let source = self.merge.sources[source];
            let tape = self.groups[source.group as usize].tape.as_ref();
            let tape = tape.expect("cursors behind have a tape");
            let at = from + left as u64;
            let end = tape.frame_end(at);
            let outbox = link
                .outbox
                .get_or_insert_with(|| self.outboxes.pop().unwrap_or_default());
            let mut rest = Vec::with_capacity((end - at) as usize);
            tape.slices(at, end, |s| rest.extend_from_slice(s));
            self.private_bytes += rest.len();
            self.tally.frames += tape.count(from, end) as u64;
            outbox.keep_half(rest);
            let m = &mut link.memberships[source.membership as usize];
            m.cursor = end;
            let word = &mut self.groups[m.group as usize].members[m.index as usize];
            *word |= OWN;
            return end == to;
        }
        let outbox = link
            .outbox
            .as_mut()
            .expect("pieces of an outbox come from an outbox");
        let before = outbox.bytes();
        let rest = match what {
            What::Half => {
                outbox.advance_half(left);
                self.private_bytes -= left;
                return false;
            }
            What::Pongs => Some(std::mem::take(&mut outbox.pongs)[left..].to_vec()),
            What::Ping => outbox.ping.take().map(|p| p[left..].to_vec()),
            _ => outbox.pop().map(|p| (*p.frame).as_ref()[left..].to_vec()),
        };
        outbox.keep_half(rest.expect("the piece was made of it"));
        self.private_bytes += outbox.bytes();
        self.private_bytes -= before;
        true
    }

    /// After a flush: gives an empty outbox back, says what has changed, and puts the member back
    /// in step where that is possible.
    pub(super) fn settle(&mut self, slot: u32) {
        let high = self.bounds.outbox_high_bytes;
        let link = &mut self.links[slot as usize];
        if let Some(outbox) = &mut link.outbox {
            let all_sent = link
                .memberships
                .iter()
                .all(|m| self.groups[m.group as usize].head <= m.cursor);
            match all_sent {
                true => outbox.holes.clear(),
                false => outbox.holes.retain(|h| *h > self.merge.last_sequence),
            }
            if link.flags & LINK_HIGH != 0 && outbox.bytes() <= high / 2 {
                link.flags &= !LINK_HIGH;
                self.notices.push(Notice::Low(slot));
            }
            if outbox.is_drained() && link.flags & LINK_CLOSING != 0 {
                self.notices.push(Notice::Drained(slot));
            }
            if !outbox.replays.is_empty() {
                self.ask_for_replay(slot);
            } else if outbox.is_drained()
                && outbox.holes.is_empty()
                && let Some(empty) = link.outbox.take()
                && self.outboxes.len() < 256
            {
                self.outboxes.push(empty);
            }
        }
        self.put_back(slot);
    }

    /// Frames of a room were not sent because newer ones of their keys are.
    #[inline(never)]
    fn notice_replaced(&mut self, slot: u32, source: usize, from: u64, to: u64) {
        let group = &self.groups[self.merge.sources[source].group as usize];
        let mut missed = Missed::none(true);
        if let Some(tape) = &group.tape {
            let marks = tape.marks(from).take_while(|mark| mark.start < to);
            marks.for_each(|mark| missed.add(mark.offset()));
        }
        let room = group.room.clone();
        self.notice_missed(slot, room, missed);
    }

    /// The socket refused bytes: the connection waits, in all its rooms, for it to take more.
    pub(super) fn block(&mut self, slot: u32) {
        let link = &mut self.links[slot as usize];
        if link.is(LINK_BLOCKED) {
            return;
        }
        link.flags |= LINK_BLOCKED;
        for m in &link.memberships {
            let group = &mut self.groups[m.group as usize];
            debug_assert!(
                group.members[m.index as usize] & OWN != 0,
                "taken out before"
            );
            group.members[m.index as usize] |= BLOCKED;
            group.laggards += 1;
        }
    }

    fn unblock(&mut self, slot: u32) {
        let link = &mut self.links[slot as usize];
        link.flags &= !LINK_BLOCKED;
        for m in &link.memberships {
            let group = &mut self.groups[m.group as usize];
            group.members[m.index as usize] &= !BLOCKED;
            group.laggards -= 1;
        }
    }
}

fn push_first(pieces: &mut Vec<Piece>, outbox: &Outbox) {
    let half = outbox.half.len() - outbox.half_at;
    if half > 0 {
        pieces.push(Piece {
            what: What::Half,
            len: half,
        });
    }
    if !outbox.pongs.is_empty() {
        let len = outbox.pongs.len();
        pieces.push(Piece {
            what: What::Pongs,
            len,
        });
    }
    if let Some(ping) = outbox.ping {
        pieces.push(Piece {
            what: What::Ping,
            len: ping.len(),
        });
    }
}

/// Adds a frame of a source, to the piece before where it continues it.
fn push_tape(pieces: &mut Vec<Piece>, source: usize, from: u64, to: u64, fate: Fate) {
    let len = match fate {
        Fate::Sent => (to - from) as usize,
        Fate::PassedOver | Fate::Replaced => 0,
    };
    if let Some(Piece {
        what:
            What::Tape {
                source: before,
                to: end,
                fate: so_far,
                ..
            },
        len: total,
    }) = pieces.last_mut()
        && *before == source
        && *end == from
        && *so_far == fate
    {
        *end = to;
        *total += len;
        return;
    }
    let what = What::Tape {
        source,
        from,
        to,
        fate,
    };
    pieces.push(Piece { what, len });
}

fn write_in_chunks<W: Wire>(slot: u32, wire: &mut W, slices: &[IoSlice<'_>]) -> Wrote {
    let mut all = 0;
    for chunk in slices.chunks(SLICES) {
        let total: usize = chunk.iter().map(|s| s.len()).sum();
        match wire.write_slices(slot, chunk) {
            Wrote::Bytes(n) => {
                all += n;
                if n < total {
                    break;
                }
            }
            Wrote::Failed => return Wrote::Failed,
        }
    }
    Wrote::Bytes(all)
}
