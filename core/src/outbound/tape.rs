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

/// Free segments and tapes of one shard.
pub(crate) struct Pool {
    /// Classes in use: a tape is let go of by whole segments, so one is a quarter of it at most.
    classes: usize,
    free: [Vec<Vec<u8>>; 3],
    #[expect(clippy::vec_box, reason = "the boxes themselves are what is kept")]
    tapes: Vec<Box<Tape>>,
    /// Bytes that all tapes of the shard hold: segments by capacity, shared frames by length.
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
        tape.head = position;
        tape
    }

    /// Takes the group's tape back with all that it holds.
    pub(crate) fn recycle(&mut self, group: u32, mut tape: Box<Tape>) {
        self.taped[group as usize / 64] &= !(1 << (group % 64));
        tape.trim(u64::MAX, self);
        tape.sweep = Sweep::default();
        if self.tapes.len() < 1024 && tape.index.capacity() <= 4096 {
            self.tapes.push(tape);
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

/// Where a frame begins, and when it was appended in the shard's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) sequence: u64,
    pub(crate) start: u64,
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
    pub(crate) sweep: Sweep,
}

impl Tape {
    /// The position behind the last frame.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Appends a frame.
    pub(crate) fn append<F>(&mut self, frame: &Arc<F>, sequence: u64, pool: &mut Pool)
    where
        F: AsRef<[u8]> + Send + Sync + 'static,
    {
        let bytes = (**frame).as_ref();
        self.index.push_back(Mark {
            sequence,
            start: self.head,
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
            _ => {
                let class = pool
                    .class_for(len)
                    .expect("what no segment holds is not copied");
                let data = Data::Own(pool.take(class));
                self.segments.push_back(Segment {
                    start: self.head,
                    data,
                });
            }
        }
        match self.segments.back_mut() {
            Some(Segment {
                data: Data::Own(last),
                ..
            }) => last,
            _ => unreachable!("the last segment was just made or found to be our own"),
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
            match self.segments.pop_front().expect("it has a front").data {
                Data::Own(bytes) => pool.give(bytes),
                Data::Shared(frame) => pool.held_bytes -= (*frame).as_ref().len(),
            }
        }
        if self.segments.is_empty() {
            self.index.clear();
        } else {
            let base = self.base();
            let dead = self.mark_index(base);
            self.index.drain(..dead);
        }
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
            tape.append(&frame, i, &mut pool);
            all.extend_from_slice(&frame);
        }
        let big = Arc::new(vec![7u8; SHARED_BYTES]);
        tape.append(&big, 500, &mut pool);
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
            tape.append(&Arc::new(vec![i as u8; 100]), i, &mut pool);
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
            tape.append(&frame, i, &mut pool);
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
            tape.append(&Arc::new(vec![1u8; 1028]), i, &mut pool);
        }
        assert_eq!(
            tape.contiguous(0, tape.head()).map(<[u8]>::len),
            Some(16 * 1028)
        );
    }
}
