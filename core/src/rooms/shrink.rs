//! Shrink: whether compressing the publications of a room is worth it.
//!
//! In: what became of each one that was compressed. Out: whether the next is. A room whose messages
//! do not shrink is left alone for a while, then tried again. Shared by all shards; an update that
//! two of them make at once may be lost, which changes nothing that matters. Any thread.

use crate::sync::{AtomicU32, Ordering};

/// Messages that shrink by less than this part do not count as smaller.
const WORTH: usize = 10;
/// So many more that did not shrink than did (these count for `GOOD`) switch compression off.
const BAD_MAX: u32 = 32;
const GOOD: u32 = 4;
/// Messages that then go as they are, before a few are tried again.
const PAUSE: u32 = 1_000;
const TRIED_AGAIN: u32 = 4;

/// How compressing a room's messages went: bad ones in the high 8 bits, messages to pass in the
/// rest.
pub(crate) struct Shrink(AtomicU32);

impl Shrink {
    pub(crate) fn new() -> Self {
        Shrink(AtomicU32::new(0))
    }

    /// Whether the next message is compressed.
    pub(crate) fn next(&self) -> bool {
        let state = self.0.load(Ordering::Relaxed);
        let pauses = state & 0xff_ffff > 0;
        if pauses {
            self.0.store(state - 1, Ordering::Relaxed);
        }
        !pauses
    }

    /// One was compressed from `before` bytes to `after`, or (None) would not have been smaller.
    /// True when this switches compression off for a while.
    pub(crate) fn on_done(&self, before: usize, after: Option<usize>) -> bool {
        let state = self.0.load(Ordering::Relaxed);
        let bad = state >> 24;
        let is_smaller = after.is_some_and(|after| after + before / WORTH <= before);
        let bad = match is_smaller {
            true => bad.saturating_sub(GOOD),
            false => bad + 1,
        };
        let is_off = bad >= BAD_MAX;
        let state = match is_off {
            true => (BAD_MAX - TRIED_AGAIN) << 24 | PAUSE,
            false => bad << 24 | (state & 0xff_ffff),
        };
        self.0.store(state, Ordering::Relaxed);
        is_off
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_room_that_does_not_shrink_is_left_alone_and_tried_again() {
        let shrink = Shrink::new();
        let mut tried = 0;
        for _ in 0..10_000 {
            if shrink.next() {
                tried += 1;
                shrink.on_done(1000, None);
            }
        }
        assert!((60..100).contains(&tried), "{tried} of 10,000");
        for _ in 0..2_000 {
            if shrink.next() {
                shrink.on_done(1000, Some(300));
            }
        }
        assert!((0..1_000).all(|_| shrink.next()), "it shrinks again");
    }

    #[test]
    fn some_that_do_not_shrink_change_nothing() {
        let shrink = Shrink::new();
        for n in 0..10_000 {
            assert!(shrink.next());
            let after = if n % 4 == 0 { 400 } else { 990 };
            assert!(!shrink.on_done(1000, Some(after)));
        }
    }
}
