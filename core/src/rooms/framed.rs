//! Framed: one message as the bytes that each kind of wire carries.
//!
//! In: a payload, on the publisher's thread, where it becomes a plain frame. Out: that frame, or
//! the compressed one, which the first shard that needs it makes for all of them: the others wait
//! for it for as long as their own would have taken them. Any thread.

use super::shrink::Shrink;
use crate::dialect::{WireKind, raw};
use crate::outbound::frame::Frame;
use crate::payload::Kind;
use crate::sync::{Arc, OnceLock};
use crate::transport::ws::deflate::{Deflater, Window};
use crate::transport::ws::{self, RSV1};

/// A message in frames.
#[derive(Default)]
pub(crate) struct Framed {
    plain: Frame,
    /// With windows of 15 and of 9 bits. None inside: it goes as it is.
    deflated: [OnceLock<Option<Arc<Frame>>>; 2],
}

impl AsRef<[u8]> for Framed {
    fn as_ref(&self) -> &[u8] {
        self.plain.as_ref()
    }
}

impl Framed {
    pub(crate) fn new(kind: Kind, data: &[u8]) -> Self {
        let mut framed = Framed::default();
        framed.fill(kind, data);
        framed
    }

    /// Makes it another message.
    pub(crate) fn fill(&mut self, kind: Kind, data: &[u8]) {
        let payload = raw::envelope(data);
        let opcode = match kind {
            Kind::Text => ws::Opcode::Text,
            Kind::Binary => ws::Opcode::Binary,
        };
        let mut header = [0; 10];
        let len = ws::write_header(opcode, payload.len(), &mut header);
        self.plain.fill(&header[..len], payload);
        for deflated in &mut self.deflated {
            deflated.take();
        }
    }

    /// The message itself.
    pub(crate) fn payload(&self) -> &[u8] {
        ws::split(self.plain.as_ref()).1
    }

    /// Bytes of the plain frame.
    pub(crate) fn len(&self) -> usize {
        self.plain.len()
    }

    /// Bytes that the plain frame can have without another allocation.
    pub(crate) fn capacity(&self) -> usize {
        self.plain.capacity()
    }

    /// The compressed frame, on a wire that has them; None where the plain one is sent.
    #[inline]
    pub(crate) fn compressed(&self, wire: WireKind, codec: &mut Codec) -> Option<&Arc<Frame>> {
        let (at, window) = match wire {
            WireKind::Raw => return None,
            WireKind::Deflate15 => (0, Window::Bits15),
            WireKind::Deflate9 => (1, Window::Bits9),
        };
        let made = self.deflated[at].get_or_init(|| codec.compress(&self.plain, window));
        made.as_ref()
    }
}

/// What a shard compresses messages with.
pub(crate) struct Codec {
    deflater: Deflater,
    bytes_min: usize,
    clock: Clock,
    pub(crate) tally: Tally,
}

/// Nanoseconds, to see how long compressing takes.
pub(crate) type Clock = Box<dyn Fn() -> u64 + Send>;

/// What compressing has done, as counted by the shard that did it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) compressed_bytes: u64,
    /// Nanoseconds that it took, also where nothing came of it.
    pub(crate) ns: u64,
    /// Messages that went as they are because their room's do not shrink, and how often a room was
    /// found to be such.
    pub(crate) passed: u64,
    pub(crate) paused: u64,
}

impl Codec {
    /// Messages of less than `bytes_min` go as they are.
    pub(crate) fn new(level: u32, bytes_min: usize, clock: Clock) -> Self {
        Codec {
            deflater: Deflater::new(level),
            bytes_min,
            clock,
            tally: Tally::default(),
        }
    }

    /// The compressed frame of a room's publication, unless the room's do not shrink.
    pub(crate) fn compressed<'a>(
        &mut self,
        framed: &'a Framed,
        wire: WireKind,
        shrink: &Shrink,
    ) -> Option<&'a Arc<Frame>> {
        let len = framed.payload().len();
        if wire == WireKind::Raw || len < self.bytes_min {
            return None;
        }
        if !shrink.next() {
            self.tally.passed += 1;
            return None;
        }
        let frame = framed.compressed(wire, self);
        let is_off = shrink.on_done(len, frame.map(|frame| frame.len()));
        self.tally.paused += u64::from(is_off);
        frame
    }

    #[inline(never)]
    fn compress(&mut self, plain: &Frame, window: Window) -> Option<Arc<Frame>> {
        let (first, payload) = ws::split(plain.as_ref());
        if payload.len() < self.bytes_min {
            return None;
        }
        let began = (self.clock)();
        let compressed = self.deflater.deflate(window, payload);
        self.tally.ns += (self.clock)().saturating_sub(began);
        let compressed = compressed?;
        self.tally.messages += 1;
        self.tally.bytes += payload.len() as u64;
        self.tally.compressed_bytes += compressed.len() as u64;
        let mut header = [0; 10];
        // The opcode of the plain frame stands in its first byte, under RSV1.
        let len = ws::write_header(ws::Opcode::Binary, compressed.len(), &mut header);
        header[0] = first | RSV1;
        Some(Arc::new(Frame::new(&header[..len], &compressed)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::transport::ws::deflate::Inflater;

    fn inflated(frame: &Frame) -> (u8, Vec<u8>) {
        let (first, payload) = ws::split(frame.as_ref());
        (
            first,
            Inflater::default().inflate(payload, 1 << 20).unwrap(),
        )
    }

    #[test]
    fn a_message_is_compressed_once_for_each_window() {
        let text = "one and one and one more ".repeat(20);
        let framed = Framed::new(Kind::Text, text.as_bytes());
        let mut codec = Codec::new(1, 100, Box::new(|| 0));
        for wire in [WireKind::Deflate15, WireKind::Deflate9] {
            let first = framed.compressed(wire, &mut codec).unwrap().clone();
            assert!(first.len() < framed.len());
            assert_eq!(inflated(&first), (0xc1, text.clone().into_bytes()));
            let again = framed.compressed(wire, &mut codec).unwrap();
            assert!(Arc::ptr_eq(&first, again));
        }
        assert_eq!(codec.tally.messages, 2);
        assert_eq!(codec.tally.bytes, 2 * text.len() as u64);
        assert!(framed.compressed(WireKind::Raw, &mut codec).is_none());
    }

    #[test]
    fn small_and_dense_messages_go_as_they_are() {
        let mut codec = Codec::new(1, 100, Box::new(|| 0));
        let dense: Vec<u8> = (0..=255).collect();
        for data in [&[b'a'; 99][..], &dense] {
            let framed = Framed::new(Kind::Binary, data);
            assert!(framed.compressed(WireKind::Deflate15, &mut codec).is_none());
        }
        assert_eq!(codec.tally.messages, 0);
        let framed = Framed::new(Kind::Binary, &[b'a'; 100]);
        assert!(framed.compressed(WireKind::Deflate15, &mut codec).is_some());
    }

    #[test]
    fn another_message_forgets_the_last_one() {
        let (a, b) = ([b'a'; 300], [b'b'; 70_000]);
        let mut codec = Codec::new(1, 100, Box::new(|| 0));
        let mut framed = Framed::new(Kind::Binary, &a);
        framed.compressed(WireKind::Deflate15, &mut codec).unwrap();
        framed.fill(Kind::Text, &b);
        let frame = framed.compressed(WireKind::Deflate15, &mut codec).unwrap();
        assert_eq!(inflated(frame), (0xc1, b.to_vec()));
    }
}
