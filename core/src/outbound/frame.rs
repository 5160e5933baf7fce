//! A frame: one publication or message as the bytes that go on the wire, header and all.
//!
//! Made once, on the publisher's thread, with one copy of the payload; then shared, never changed.
//! Knows no protocol: the header comes from outside. Any thread.

use smallvec::SmallVec;

/// Header and payload in one piece; small ones without an allocation of their own.
#[derive(Debug, Default)]
pub(crate) struct Frame(SmallVec<[u8; INLINE]>);

/// Chosen so that a frame of 64 bytes of payload stays inline.
const INLINE: usize = 80;

impl Frame {
    pub(crate) fn new(header: &[u8], payload: &[u8]) -> Self {
        let mut frame = Frame::default();
        frame.fill(header, payload);
        frame
    }

    /// Makes it another frame, in the same place.
    pub(crate) fn fill(&mut self, header: &[u8], payload: &[u8]) {
        self.0.clear();
        self.0.reserve_exact(header.len() + payload.len());
        self.0.extend_from_slice(header);
        self.0.extend_from_slice(payload);
    }

    /// Bytes that it can hold without another allocation.
    pub(crate) fn capacity(&self) -> usize {
        self.0.capacity()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
