//! A tape: the encoded frames of one delivery group that somebody still has to be sent.
//!
//! In: frames with their shard sequence. Out: slices between two positions, and where frames
//! begin. Positions are absolute byte offsets that never move, whatever is dropped in front or
//! grown behind. Never knows who reads it. Shard thread only.

use std::collections::VecDeque;

use crate::sync::Arc;

/// A frame held by reference, shared by tapes and outboxes of all shards.
pub(crate) type SharedFrame = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Frames of this size and more, and those that no segment holds, are held by reference instead of
/// being copied.
pub(crate) const SHARED_BYTES: usize = 16 * 1024;

/// Sizes of pooled segments; the last segment grows through them before a new one begins.
const CLASSES: [usize; 3] = [256, 4 * 1024, 64 * 1024];

/// Segments that a pool keeps of each class when nobody needs them, 2 MiB in all at most.
const KEPT: [usize; 3] = [1024, 128, 16];

/// Tapes that it keeps, and marks that these have place for: 1.5 MiB.
const KEPT_TAPES: usize = 1024;
const KEPT_MARKS: usize = 64 * 1024;

/// Free segments and tapes of one shard.
pub(crate) struct Pool {
    /// Classes in use: a tape is let go of by whole segments, so one is a quarter of it at most.
    classes: usize,
    free: [Vec<Vec<u8>>; 3],
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is kept")]
    tapes: Vec<Box<Tape>>,
    /// Marks that the free tapes have place for.
    kept_marks: usize,
    /// What nobody needs is let go of, to save memory.
    is_saving: bool,
    /// Bytes that all tapes of the shard hold: segments and marks by capacity, shared frames by
    /// length.
    pub(crate) held_bytes: usize,
    /// A bit for each group that has a tape: who looks for unsent frames among the groups of a
    /// connection touches no others.
    taped: Vec<u64>,
}

impl Pool {
    /// For tapes that hold at most so many bytes.
    pub(crate) fn new(tape_bytes_max: usize) -> Self {
        let fits = |class: &&usize| **class <= tape_bytes_max / 4;
        Pool {
            classes: CLASSES.iter().take_while(fits).count(),
            free: Default::default(),
            tapes: Vec::new(),
            kept_marks: 0,
            is_saving: false,
            held_bytes: 0,
            taped: Vec::new(),
        }
    }

    /// The smallest class of segments that holds so many bytes.
    fn class_for(&self, bytes: usize) -> Option<usize> {
        CLASSES[..self.classes].iter().position(|&c| c >= bytes)
    }

    fn take(&mut self, class: usize) -> Vec<u8> {
        self.held_bytes += CLASSES[class];
        self.free[class]
            .pop()
            .unwrap_or_else(|| Vec::with_capacity(CLASSES[class]))
    }

    fn give(&mut self, mut segment: Vec<u8>) {
        self.held_bytes -= segment.capacity();
        if let Some(class) = CLASSES.iter().position(|&c| c == segment.capacity())
            && self.free[class].len() < KEPT[class]
            && !self.is_saving
        {
            segment.clear();
            self.free[class].push(segment);
        }
    }

    /// Whether the group has a tape.
    pub(crate) fn is_taped(&self, group: u32) -> bool {
        let word = self.taped.get(group as usize / 64);
        word.is_some_and(|word| word >> (group % 64) & 1 != 0)
    }

    /// An empty tape for a group, whose first frame begins at `position`.
    pub(crate) fn tape(&mut self, group: u32, position: u64) -> Box<Tape> {
        let word = group as usize / 64;
        if self.taped.len() <= word {
            self.taped.resize(word + 1, 0);
        }
        self.taped[word] |= 1 << (group % 64);
        let mut tape = self.tapes.pop().unwrap_or_default();
        self.kept_marks -= tape.index.capacity();
        self.held_bytes += tape.index.capacity() * size_of::<Mark>();
        tape.head = position;
        tape
    }

    /// Takes the group's tape back with all that it holds.
    pub(crate) fn recycle(&mut self, group: u32, mut tape: Box<Tape>) {
        self.taped[group as usize / 64] &= !(1 << (group % 64));
        tape.trim(u64::MAX, self);
        self.held_bytes -= tape.index.capacity() * size_of::<Mark>();
        tape.sweep = Sweep::default();
        let kept_marks = self.kept_marks + tape.index.capacity();
        if self.tapes.len() < KEPT_TAPES && kept_marks <= KEPT_MARKS && !self.is_saving {
            self.kept_marks = kept_marks;
            self.tapes.push(tape);
        }
    }

    /// Whether what nobody needs is let go of, to save memory.
    pub(crate) fn save_memory(&mut self, is_saving: bool) {
        self.is_saving = is_saving;
        if is_saving {
            self.free = Default::default();
            self.tapes = Vec::new();
            self.kept_marks = 0;
        }
    }
}

enum Data {
    Own(Vec<u8>),
    Shared(SharedFrame),
}

struct Segment {
    start: u64,
    data: Data,
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Own(bytes) => bytes,
            Data::Shared(frame) => (**frame).as_ref(),
        }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes().len() as u64
    }
}

/// Where a frame begins, when it was appended in the shard's sequence, and which publication of
/// its room it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) start: u64,
    /// The offset; the two highest bits say what has become of it.
    offset: u64,
}

/// A newer frame of its key took its place before it was offered: nobody is sent it any more.
const DEAD: u64 = 1 << 63;
/// A newer frame of its key is on the tape: who is behind needs only that one.
const OLD: u64 = 1 << 62;

impl Mark {
    /// The number of the publication in its room.
    pub(crate) fn offset(&self) -> u64 {
        self.offset & !(DEAD | OLD)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.offset & DEAD != 0
    }

    pub(crate) fn is_old(&self) -> bool {
        self.offset & OLD != 0
    }
}

/// Where frames have moved to in a compaction, ascending: from, to.
pub(crate) struct Moves(Vec<(u64, u64)>);

impl Moves {
    /// Where a place between frames is now.
    pub(crate) fn of(&self, position: u64) -> u64 {
        let at = self.0.partition_point(|(from, _)| *from < position);
        match self.0.first() {
            Some((first, _)) if position >= *first => self.0[at].1,
            _ => position,
        }
    }
}

/// One walk over a group's members that sends each of them what lies before the cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    pub(crate) active: bool,
    /// Members before this index have been sent everything up to the cut.
    pub(crate) at: usize,
    pub(crate) cut: u64,
    /// When the oldest frame of this sweep was published, nanoseconds.
    pub(crate) since_ns: u64,
    /// The same of the frames behind the cut; 0 when there is none.
    pub(crate) next_since_ns: u64,
    /// Held bytes at which the laggards are looked at again.
    pub(crate) trim_at: usize,
}

#[derive(Default)]
pub(crate) struct Tape {
    segments: VecDeque<Segment>,
    index: VecDeque<Mark>,
    head: u64,
    /// Frames that are dead, and their bytes.
    dead_frames: usize,
    dead_bytes: usize,
    pub(crate) sweep: Sweep,
}

impl Tape {
    /// The position behind the last frame.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Appends a frame.
    pub(crate) fn append<F>(&mut self, frame: &Arc<F>, sequence: u64, offset: u64, pool: &mut Pool)
    where
        F: AsRef<[u8]> + Send + Sync + 'static,
    {
        let bytes = (**frame).as_ref();
        if self.index.len() == self.index.capacity() {
            self.grow_index(pool);
        }
        self.index.push_back(Mark {
            sequence,
            start: self.head,
            offset,
        });
        if bytes.len() >= SHARED_BYTES || pool.class_for(bytes.len()).is_none() {
            pool.held_bytes += bytes.len();
            self.segments.push_back(Segment {
                start: self.head,
                data: Data::Shared(frame.clone() as _),
            });
        } else {
            self.room_for(bytes.len(), pool).extend_from_slice(bytes);
        }
        self.head += bytes.len() as u64;
    }

    #[inline(never)]
    fn grow_index(&mut self, pool: &mut Pool) {
        let before = self.index.capacity();
        self.index.reserve(1);
        pool.held_bytes += (self.index.capacity() - before) * size_of::<Mark>();
    }

    /// The own segment at the end, with place for `len` more bytes.
    fn room_for(&mut self, len: usize, pool: &mut Pool) -> &mut Vec<u8> {
        match self.segments.back_mut() {
            Some(Segment {
                data: Data::Own(last),
                ..
            }) if last.capacity() - last.len() >= len => {}
            Some(Segment {
                data: Data::Own(last),
                ..
            }) if pool.class_for(last.len() + len).is_some() => {
                let class = pool
                    .class_for(last.len() + len)
                    .expect("checked in the guard");
                let mut grown = pool.take(class);
                grown.extend_from_slice(last);
                pool.give(std::mem::replace(last, grown));
            }
            _ => return self.room_for_new(len, self.head, pool),
        }
        match self.segments.back_mut() {
            Some(Segment {
                data: Data::Own(last),
                ..
            }) => last,
            _ => unreachable!("the last segment was just made or found to be our own"),
        }
    }

    /// A new segment at the end, with place for `len` bytes.
    fn room_for_new(&mut self, len: usize, start: u64, pool: &mut Pool) -> &mut Vec<u8> {
        let class = pool
            .class_for(len)
            .expect("what no segment holds is not copied");
        let data = Data::Own(pool.take(class));
        self.segments.push_back(Segment { start, data });
        match self.segments.back_mut() {
            Some(Segment {
                data: Data::Own(last),
                ..
            }) => last,
            _ => unreachable!("it was just made"),
        }
    }

    /// Calls `visit` with the slices of `from..to`, in order; all of it must still be held.
    pub(crate) fn slices<'a>(&'a self, from: u64, to: u64, mut visit: impl FnMut(&'a [u8])) {
        debug_assert!(to <= self.head, "slices end at the head");
        debug_assert!(
            from >= to || self.base() <= from,
            "what is asked for is held"
        );
        for segment in &self.segments {
            let (start, end) = (segment.start.max(from), segment.end().min(to));
            if start < end {
                let at = (start - segment.start) as usize;
                visit(&segment.bytes()[at..at + (end - start) as usize]);
            }
        }
    }

    /// The slice `from..to` where it lies in one segment, else None.
    // Asked for each delivery; left to itself, some builds make it a call of 25 instructions.
    #[inline(always)]
    pub(crate) fn contiguous(&self, from: u64, to: u64) -> Option<&[u8]> {
        let segment = self.segments.iter().find(|s| s.end() > from)?;
        let at = from.checked_sub(segment.start)? as usize;
        segment.bytes().get(at..at + (to - from) as usize)
    }

    /// Marks of the frames that begin at `from` or later, in order.
    pub(crate) fn marks(&self, from: u64) -> impl Iterator<Item = Mark> + '_ {
        let at = self.mark_index(from);
        self.index.range(at..).copied()
    }

    /// Index among the marks of the first frame that begins at `from` or later.
    pub(crate) fn mark_index(&self, from: u64) -> usize {
        match self.index.front() {
            Some(first) if first.start < from => self.index.partition_point(|m| m.start < from),
            _ => 0,
        }
    }

    /// The mark at `index`, and where its frame ends.
    pub(crate) fn mark(&self, index: usize) -> Option<(Mark, u64)> {
        let mark = *self.index.get(index)?;
        Some((
            mark,
            self.index
                .get(index + 1)
                .map_or(self.head, |next| next.start),
        ))
    }

    /// Frames that begin in `from..to`.
    pub(crate) fn count(&self, from: u64, to: u64) -> usize {
        match to == self.head {
            true => self.index.len() - self.mark_index(from),
            false => self.mark_index(to) - self.mark_index(from),
        }
    }

    /// Index of the frame of this sequence, if the tape has it.
    pub(crate) fn find(&self, sequence: u64) -> Option<usize> {
        let at = self.index.partition_point(|m| m.sequence < sequence);
        let mark = self.index.get(at)?;
        (mark.sequence == sequence).then_some(at)
    }

    /// The frame at `index` is not the newest of its key any more.
    pub(crate) fn set_old(&mut self, index: usize) {
        self.index[index].offset |= OLD;
    }

    /// Nobody will be sent the frame at `index`. Gives back its bytes.
    pub(crate) fn kill(&mut self, index: usize) -> usize {
        let (mark, end) = self.mark(index).expect("it was found there");
        let bytes = (end - mark.start) as usize;
        debug_assert!(!mark.is_dead(), "a frame dies once");
        self.index[index].offset |= DEAD | OLD;
        self.dead_frames += 1;
        self.dead_bytes += bytes;
        bytes
    }

    /// Frames that are dead, and their bytes; all of them lie behind what has been offered.
    pub(crate) fn dead(&self) -> (usize, usize) {
        (self.dead_frames, self.dead_bytes)
    }

    /// Takes out the frames in `from..to` that are dead or, if `old`, not the newest of their keys.
    /// What lies behind them moves up.
    pub(crate) fn compact(&mut self, from: u64, to: u64, old: bool, pool: &mut Pool) -> Moves {
        let first = self.mark_index(from);
        let marks: Vec<Mark> = self.index.drain(first..).collect();
        let cut = marks.first().map_or(self.head, |mark| mark.start);
        let (segments, head) = (self.cut_off(cut, pool), self.head);
        self.head = cut;
        let mut moves = Vec::with_capacity(marks.len() + 1);
        let mut at = 0;
        for (i, mark) in marks.iter().enumerate() {
            moves.push((mark.start, self.head));
            let end = marks.get(i + 1).map_or(head, |next| next.start);
            while segments.get(at).is_some_and(|s| s.end() <= mark.start) {
                at += 1;
            }
            if mark.start < to && (mark.is_dead() || (old && mark.is_old())) {
                if mark.is_dead() {
                    self.dead_frames -= 1;
                    self.dead_bytes -= (end - mark.start) as usize;
                }
                continue;
            }
            self.index.push_back(Mark {
                start: self.head,
                ..*mark
            });
            let segment = segments.get(at).expect("each frame lies in a segment");
            let within = (mark.start - segment.start) as usize..(end - segment.start) as usize;
            match &segment.data {
                Data::Own(bytes) => {
                    let bytes = &bytes[within];
                    self.room_for(bytes.len(), pool).extend_from_slice(bytes);
                }
                Data::Shared(frame) => {
                    pool.held_bytes += (**frame).as_ref().len();
                    self.segments.push_back(Segment {
                        start: self.head,
                        data: Data::Shared(frame.clone()),
                    });
                }
            }
            self.head += end - mark.start;
        }
        moves.push((head, self.head));
        segments.into_iter().for_each(|s| drop_segment(s, pool));
        Moves(moves)
    }

    /// Takes off what lies behind `position`, where a frame begins.
    fn cut_off(&mut self, position: u64, pool: &mut Pool) -> Vec<Segment> {
        let keeps = |s: &Segment| s.end() <= position;
        let kept = self.segments.iter().take_while(|s| keeps(s)).count();
        let off: Vec<Segment> = self.segments.drain(kept..).collect();
        if let Some(first) = off.first()
            && first.start < position
        {
            // The part before it stays, in a segment of its own.
            let (start, len) = (first.start, (position - first.start) as usize);
            let bytes = &first.bytes()[..len];
            self.room_for_new(len, start, pool).extend_from_slice(bytes);
        }
        off
    }

    /// The end of the frame that `position` lies in; `position` itself where a frame begins.
    pub(crate) fn frame_end(&self, position: u64) -> u64 {
        self.index
            .get(self.mark_index(position))
            .map_or(self.head, |m| m.start)
    }

    /// The first position that is held.
    pub(crate) fn base(&self) -> u64 {
        self.segments.front().map_or(self.head, |s| s.start)
    }

    /// Bytes held between the first position and the head, the index included.
    pub(crate) fn held_bytes(&self) -> usize {
        (self.head - self.base()) as usize + self.index.len() * size_of::<Mark>()
    }

    /// Drops segments that end at or before `position`, and the marks of what they held.
    pub(crate) fn trim(&mut self, position: u64, pool: &mut Pool) {
        while let Some(front) = self.segments.front() {
            if front.end() > position {
                break;
            }
            let front = self.segments.pop_front().expect("it has a front");
            drop_segment(front, pool);
        }
        if self.segments.is_empty() {
            self.index.clear();
            (self.dead_frames, self.dead_bytes) = (0, 0);
        } else {
            let base = self.base();
            let dead = self.mark_index(base);
            self.index.drain(..dead);
        }
    }
}

fn drop_segment(segment: Segment, pool: &mut Pool) {
    match segment.data {
        Data::Own(bytes) => pool.give(bytes),
        Data::Shared(frame) => pool.held_bytes -= (*frame).as_ref().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tape: &Tape, from: u64, to: u64) -> Vec<u8> {
        let mut out = Vec::new();
        tape.slices(from, to, |s| out.extend_from_slice(s));
        out
    }

    #[test]
    fn a_tape_is_the_frames_in_order() {
        let mut pool = Pool::new(usize::MAX);
        let mut tape = pool.tape(3, 1000);
        let mut all = Vec::new();
        for i in 0..500u64 {
            let frame = Arc::new(vec![i as u8; 1 + (i as usize * 37) % 900]);
            tape.append(&frame, i, i, &mut pool);
            all.extend_from_slice(&frame);
        }
        let big = Arc::new(vec![7u8; SHARED_BYTES]);
        tape.append(&big, 500, 500, &mut pool);
        all.extend_from_slice(&big);
        assert_eq!(tape.head(), 1000 + all.len() as u64);
        assert_eq!(text(&tape, 1000, tape.head()), all);
        assert_eq!(text(&tape, 1234, 90_000), all[234..89_000]);
        assert_eq!(tape.count(1000, tape.head()), 501);
        let marks: Vec<u64> = tape.marks(1000).map(|m| m.sequence).collect();
        assert_eq!(marks, (0..=500).collect::<Vec<_>>());
    }

    #[test]
    fn positions_survive_trimming() {
        let mut pool = Pool::new(usize::MAX);
        let mut tape = pool.tape(70, 0);
        for i in 0..3000u64 {
            tape.append(&Arc::new(vec![i as u8; 100]), i, i, &mut pool);
        }
        tape.trim(150_050, &mut pool);
        assert!(tape.base() > 0 && tape.base() <= 150_050);
        assert_eq!(text(&tape, 150_100, 150_200), vec![(1501 % 256) as u8; 100]);
        assert_eq!(tape.marks(150_100).next().unwrap().sequence, 1501);
        assert_eq!(tape.frame_end(150_150), 150_200);
        assert_eq!(tape.frame_end(150_200), 150_200);
        assert!(pool.is_taped(70) && !pool.is_taped(69) && !pool.is_taped(700));
        pool.recycle(70, tape);
        assert_eq!(pool.held_bytes, 0);
        assert!(!pool.is_taped(70));
    }

    #[test]
    fn segments_are_a_quarter_of_a_tape_at_most() {
        let mut pool = Pool::new(8 * 1024);
        let mut tape = pool.tape(0, 0);
        let mut all = Vec::new();
        for i in 0..100u64 {
            let frame = Arc::new(vec![i as u8; 10 + i as usize * 20]);
            tape.append(&frame, i, i, &mut pool);
            all.extend_from_slice(&frame);
        }
        assert_eq!(text(&tape, 0, tape.head()), all);
        let (middle, max) = (tape.head() / 2, 8 * 1024 / 4);
        tape.trim(middle, &mut pool);
        assert!(
            middle - tape.base() < max,
            "{} before {middle}",
            tape.base()
        );
    }

    #[test]
    fn small_tapes_are_one_slice() {
        let mut pool = Pool::new(usize::MAX);
        let mut tape = pool.tape(70, 0);
        for i in 0..16u64 {
            tape.append(&Arc::new(vec![1u8; 1028]), i, i, &mut pool);
        }
        assert_eq!(
            tape.contiguous(0, tape.head()).map(<[u8]>::len),
            Some(16 * 1028)
        );
    }

    #[test]
    fn a_compaction_takes_out_what_nobody_needs() {
        let mut pool = Pool::new(usize::MAX);
        let mut tape = pool.tape(0, 5000);
        let frame = |i: u64| {
            let len = if i % 50 == 7 {
                SHARED_BYTES
            } else {
                30 + i as usize % 90
            };
            Arc::new(vec![i as u8; len])
        };
        for i in 0..400u64 {
            tape.append(&frame(i), i, 1000 + i, &mut pool);
        }
        let from = tape.mark(100).unwrap().0.start;
        let to = tape.mark(390).unwrap().0.start;
        let starts: Vec<u64> = tape.marks(0).map(|mark| mark.start).collect();
        let (mut dead, mut kept) = (0, Vec::new());
        for i in 0..400usize {
            match i % 3 {
                0 if i >= 100 => dead += tape.kill(i),
                1 => tape.set_old(i),
                _ => {}
            }
            if !(100..390).contains(&i) || i % 3 == 2 {
                kept.push(i as u64);
            }
        }
        // Behind `to` the dead stay.
        let late = (390..400).filter(|i| i % 3 == 0).count();
        assert_eq!(tape.dead(), (100, dead));
        let head = tape.head();
        let moves = tape.compact(from, to, true, &mut pool);
        assert_eq!(tape.dead().0, late);
        let left: Vec<u64> = tape.marks(0).map(|mark| mark.sequence).collect();
        assert_eq!(left, kept);
        assert_eq!(tape.mark(0).unwrap().0.offset(), 1000);
        let all: Vec<u8> = kept.iter().flat_map(|&i| frame(i).to_vec()).collect();
        assert_eq!(text(&tape, 5000, tape.head()), all);
        assert_eq!((moves.of(5000), moves.of(head)), (5000, tape.head()));
        for (i, start) in starts.iter().enumerate() {
            let next = kept.iter().position(|&kept| kept >= i as u64);
            let there = next.map_or(tape.head(), |next| tape.mark(next).unwrap().0.start);
            assert_eq!(moves.of(*start), there, "frame {i}");
        }
        pool.recycle(0, tape);
        assert_eq!(pool.held_bytes, 0);
    }
}
