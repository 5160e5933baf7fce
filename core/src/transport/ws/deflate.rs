//! permessage-deflate (RFC 7692 §7.2): a message's payload compressed or inflated.
//!
//! In: the payload of one message. Out: the other form of it. Nothing is kept from one message to
//! the next, in either direction: so one compressed frame serves every peer, and a shard needs one
//! of each of these, made when first used. Shard thread.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Violation;

/// What a flush to a byte boundary ends with; it is left out on the wire (§7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How far back a compressor may refer: what the peer has memory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// 32 KiB.
    Bits15,
    /// 512 bytes.
    Bits9,
}

/// Compresses messages.
pub(crate) struct Deflater {
    level: Compression,
    wide: Option<Compress>,
    narrow: Option<Compress>,
}

impl Deflater {
    /// `level` from 1, quick, to 9, small.
    pub(crate) fn new(level: u32) -> Self {
        Deflater {
            level: Compression::new(level),
            wide: None,
            narrow: None,
        }
    }

    /// The compressed payload, where it is smaller.
    pub(crate) fn deflate(&mut self, window: Window, payload: &[u8]) -> Option<Vec<u8>> {
        let (compress, bits) = match window {
            Window::Bits15 => (&mut self.wide, 15),
            Window::Bits9 => (&mut self.narrow, 9),
        };
        let level = self.level;
        let compress =
            compress.get_or_insert_with(|| Compress::new_with_window_bits(level, false, bits));
        compress.reset();
        // Dense data grows by an eighth at most. The place is never to be full: zlib-rs 0.6 loses
        // some of its own for good when what did not fit is given up by a reset.
        let place = payload.len() + payload.len() / 7 + 64;
        let mut out = Vec::with_capacity(place);
        let done = compress.compress_vec(payload, &mut out, FlushCompress::Sync);
        if done.is_err() || out.len() == out.capacity() || !out.ends_with(&TAIL) {
            self.forget(window);
            return None;
        }
        out.truncate(out.len() - TAIL.len());
        (out.len() < payload.len()).then_some(out)
    }

    fn forget(&mut self, window: Window) {
        match window {
            Window::Bits15 => self.wide = None,
            Window::Bits9 => self.narrow = None,
        }
    }
}

/// Inflates messages.
#[derive(Default)]
pub(crate) struct Inflater(Option<Decompress>);

impl Inflater {
    /// The payload as it was before the peer compressed it; one that is larger than
    /// `message_bytes_max` is given up as soon as that shows.
    pub(crate) fn inflate(
        &mut self,
        compressed: &[u8],
        message_bytes_max: usize,
    ) -> Result<Vec<u8>, Violation> {
        let decompress = self.0.get_or_insert_with(|| Decompress::new(false));
        decompress.reset(false);
        let guess = (compressed.len() * 4 + 64).min(message_bytes_max);
        let mut out = Vec::with_capacity(guess.saturating_add(1));
        for input in [compressed, &TAIL] {
            if feed(decompress, input, &mut out, message_bytes_max)? {
                break;
            }
        }
        Ok(out)
    }
}

/// Inflates all of `input`; true when the stream has ended in it.
fn feed(
    decompress: &mut Decompress,
    mut input: &[u8],
    out: &mut Vec<u8>,
    max: usize,
) -> Result<bool, Violation> {
    loop {
        let before = decompress.total_in();
        let status = decompress
            .decompress_vec(input, out, FlushDecompress::Sync)
            .map_err(|_| Violation::Inflate)?;
        input = &input[(decompress.total_in() - before) as usize..];
        if out.len() > max {
            return Err(Violation::MessageBytes);
        }
        if status == Status::StreamEnd {
            // A last block (§7.2.3.4) is followed by the rest of an empty one, and by no more.
            return match input {
                [] | [0] => Ok(true),
                _ => Err(Violation::Inflate),
            };
        }
        if out.len() < out.capacity() {
            return match input {
                [] => Ok(false),
                _ => Err(Violation::Inflate),
            };
        }
        // One byte more than may be: enough to see that it is too large.
        let more = max.saturating_add(1) - out.len();
        out.reserve_exact(out.len().min(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAX: usize = 1 << 20;

    fn deflated(window: Window, payload: &[u8]) -> Vec<u8> {
        Deflater::new(6)
            .deflate(window, payload)
            .expect("it gets smaller")
    }

    #[test]
    fn the_rfcs_examples_inflate() {
        let hello = [
            (
                &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
                "7.2.3.1, one block",
            ),
            (
                &[
                    0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
                ][..],
                "7.2.3.3, not compressed",
            ),
            (
                &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00][..],
                "7.2.3.4, a last block",
            ),
            (
                &[
                    0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
                ][..],
                "7.2.3.5, two blocks",
            ),
        ];
        let mut inflater = Inflater::default();
        for (bytes, which) in hello {
            assert_eq!(
                inflater.inflate(bytes, MAX),
                Ok(b"Hello".to_vec()),
                "{which}"
            );
        }
        assert_eq!(
            inflater.inflate(&[0], MAX),
            Ok(Vec::new()),
            "7.2.3.6, empty"
        );
    }

    #[test]
    fn a_window_of_nine_bits_is_kept() {
        // A text that repeats itself after a kilobyte: only the wide window reaches back to it.
        let mut state = 1u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (state >> 24) as u8 % 16
        })
        .take(1024)
        .collect();
        let twice = [noise.clone(), noise].concat();
        let (wide, narrow) = (
            deflated(Window::Bits15, &twice),
            deflated(Window::Bits9, &twice),
        );
        assert!(
            wide.len() * 3 < narrow.len() * 2,
            "{} {}",
            wide.len(),
            narrow.len()
        );
        let mut small = Decompress::new_with_window_bits(false, 9);
        let mut out = Vec::with_capacity(MAX);
        let fed = feed(&mut small, &narrow, &mut out, MAX)
            .and_then(|_| feed(&mut small, &TAIL, &mut out, MAX));
        assert_eq!((fed, out.as_slice()), (Ok(false), twice.as_slice()));
    }

    #[test]
    fn dense_messages_leave_nothing_behind() {
        let mut state = 7u32;
        let mut noise = |len: usize| -> Vec<u8> {
            let next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            std::iter::repeat_with(next).take(len).collect()
        };
        for level in [1, 6] {
            let mut deflater = Deflater::new(level);
            for round in 0..700 {
                let dense = noise(1 + round % 400);
                let window = [Window::Bits15, Window::Bits9][round % 2];
                assert_eq!(deflater.deflate(window, &dense), None);
            }
            let large = noise(200_000);
            assert_eq!(deflater.deflate(Window::Bits15, &large), None);
            assert!(
                deflater.wide.is_some() && deflater.narrow.is_some(),
                "never full"
            );
            let text = b"again and again and ".repeat(20);
            for window in [Window::Bits15, Window::Bits9] {
                let bytes = deflater.deflate(window, &text).expect("it gets smaller");
                assert_eq!(Inflater::default().inflate(&bytes, MAX), Ok(text.clone()));
            }
        }
    }

    #[test]
    fn what_does_not_get_smaller_stays_plain() {
        let mut deflater = Deflater::new(1);
        assert_eq!(deflater.deflate(Window::Bits15, b""), None);
        assert_eq!(deflater.deflate(Window::Bits15, b"abc"), None);
        assert!(deflater.deflate(Window::Bits9, &[b'a'; 300]).is_some());
    }

    #[test]
    fn a_bomb_is_given_up_at_the_limit() {
        let bomb = deflated(Window::Bits15, &vec![0; 8 << 20]);
        assert!(bomb.len() < 10_000);
        let mut inflater = Inflater::default();
        assert_eq!(inflater.inflate(&bomb, MAX), Err(Violation::MessageBytes));
        assert_eq!(inflater.inflate(&bomb, 8 << 20), Ok(vec![0; 8 << 20]));
        assert_eq!(
            inflater.inflate(&bomb, (8 << 20) - 1),
            Err(Violation::MessageBytes)
        );
        assert_eq!(inflater.inflate(&bomb, 0), Err(Violation::MessageBytes));
        let any = inflater.inflate(&bomb, usize::MAX);
        assert_eq!(any.map(|payload| payload.len()), Ok(8 << 20));
    }

    #[test]
    fn nonsense_is_refused_and_forgotten() {
        let mut inflater = Inflater::default();
        let bad: [&[u8]; 4] = [
            &[0xff; 20],
            &[0x06],
            // Two streams, and what is no end of one.
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xf2, 0x48],
            &[0x03, 0x00, 0x01],
        ];
        for bytes in bad {
            assert_eq!(
                inflater.inflate(bytes, MAX),
                Err(Violation::Inflate),
                "{bytes:?}"
            );
        }
        let good = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflater.inflate(&good, MAX), Ok(b"Hello".to_vec()));
    }

    proptest! {
        #[test]
        fn what_was_compressed_inflates(
            words in prop::collection::vec(0u8..12, 0..3000),
            level in 1u32..10,
            narrow: bool,
        ) {
            let window = if narrow { Window::Bits9 } else { Window::Bits15 };
            let payload: Vec<u8> = words.iter().flat_map(|w| [b'k', b'a' + w, b'=']).collect();
            let mut deflater = Deflater::new(level);
            for _ in 0..2 {
                if let Some(bytes) = deflater.deflate(window, &payload) {
                    prop_assert!(bytes.len() < payload.len());
                    prop_assert_eq!(Inflater::default().inflate(&bytes, MAX), Ok(payload.clone()));
                }
            }
        }

        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(out) = Inflater::default().inflate(&bytes, 1000) {
                prop_assert!(out.len() <= 1000);
            }
        }
    }
}
