//! The rules of RFC 6455 one by one, at every place where a stream can be cut, and the reader
//! beside tungstenite on random streams.

use std::io::Cursor;

use proptest::prelude::*;

use super::oracle::{End, Heard, Said, disagreement, oracle, ours};
use tungstenite::protocol::frame::FrameHeader;

use super::*;

const LIMITS: ReadLimits = ReadLimits {
    message_bytes_max: 4096,
    fragments_max: 4,
};
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const FIN: u8 = 0x80;

/// A masked frame with the shortest header.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut out = vec![first];
    match len {
        0..=125 => out.push(0x80 | len as u8),
        126..=0xffff => out.extend([&[0xfe][..], &(len as u16).to_be_bytes()].concat()),
        _ => out.extend([&[0xff][..], &(len as u64).to_be_bytes()].concat()),
    }
    out.extend(MASK);
    out.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    out
}

fn text(payload: &str) -> Vec<u8> {
    frame(FIN | 1, payload.as_bytes())
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | 8, &[&code.to_be_bytes(), reason].concat())
}

fn said_text(text: &str) -> Said {
    Said::Text(text.into())
}

type Sample = (&'static str, Vec<u8>, Vec<Said>, Option<Violation>);

fn lawful() -> Vec<Sample> {
    let long: String = "wörld ".repeat(40);
    let nul = [0; 200];
    vec![
        ("text", text("hällo €𝄞"), vec![said_text("hällo €𝄞")], None),
        ("empty text", text(""), vec![said_text("")], None),
        (
            "binary",
            frame(FIN | 2, b"\0\xff"),
            vec![Said::Binary(b"\0\xff".to_vec())],
            None,
        ),
        ("16-bit length", text(&long), vec![said_text(&long)], None),
        (
            "two",
            [text("a"), text("b")].concat(),
            vec![said_text("a"), said_text("b")],
            None,
        ),
        (
            "ping",
            frame(FIN | 9, b"p"),
            vec![Said::Ping(b"p".to_vec())],
            None,
        ),
        (
            "pong",
            frame(FIN | 10, &nul[..125]),
            vec![Said::Pong(nul[..125].to_vec())],
            None,
        ),
        (
            "bare close",
            frame(FIN | 8, b""),
            vec![Said::Close(None, "".into())],
            None,
        ),
        (
            "close",
            close(1000, "gö".as_bytes()),
            vec![Said::Close(Some(1000), "gö".into())],
            None,
        ),
        (
            "nothing after a close",
            [close(3000, b""), text("x")].concat(),
            vec![Said::Close(Some(3000), "".into())],
            None,
        ),
        (
            "characters cut by fragments",
            [
                frame(1, b"\xf0\x9d"),
                frame(0, b""),
                frame(0, b"\x84"),
                frame(FIN, b"\x9e!"),
            ]
            .concat(),
            vec![said_text("𝄞!")],
            None,
        ),
        (
            "pings amid a message",
            [
                frame(2, b"ab"),
                frame(FIN | 9, b"1"),
                frame(FIN | 10, b""),
                frame(0, b"cd"),
                frame(FIN | 9, b"2"),
                frame(FIN, b""),
                text("next"),
            ]
            .concat(),
            vec![
                Said::Ping(b"1".to_vec()),
                Said::Pong(vec![]),
                Said::Ping(b"2".to_vec()),
                Said::Binary(b"abcd".to_vec()),
                said_text("next"),
            ],
            None,
        ),
        (
            "close amid a message",
            [frame(1, b"ab"), close(1001, b"")].concat(),
            vec![Said::Close(Some(1001), "".into())],
            None,
        ),
        (
            "as large as allowed",
            [frame(2, &[7; 4000]), frame(FIN, &[7; 96])].concat(),
            vec![Said::Binary(vec![7; 4096])],
            None,
        ),
    ]
}

fn unlawful() -> Vec<Sample> {
    use Violation::*;
    let bad = |name, bytes: Vec<u8>, violation| (name, bytes, vec![], Some(violation));
    let long = |head: &[u8]| [head, &MASK, &[0; 8]].concat();
    vec![
        bad("RSV1", frame(FIN | 0x41, b"x"), ReservedBits),
        bad("RSV2", frame(FIN | 0x22, b"x"), ReservedBits),
        bad("RSV3 of a ping", frame(FIN | 0x19, b""), ReservedBits),
        bad("data opcode 3", frame(FIN | 3, b""), Opcode),
        bad("data opcode 7", frame(7, b"x"), Opcode),
        bad("control opcode 11", frame(FIN | 11, b""), Opcode),
        bad("control opcode 15", frame(FIN | 15, b"x"), Opcode),
        bad("no mask", vec![FIN | 1, 1, b'x'], Unmasked),
        bad("no mask, no payload", vec![FIN | 9, 0], Unmasked),
        bad("125 in 16 bits", long(&[FIN | 2, 0xfe, 0, 125]), Length),
        bad(
            "65,535 in 64 bits",
            long(&[FIN | 2, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]),
            Length,
        ),
        bad(
            "top bit",
            long(&[FIN | 2, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0]),
            Length,
        ),
        bad("ping of 126", frame(FIN | 9, &[0; 126]), ControlLength),
        bad("ping without FIN", frame(9, b"x"), ControlFragment),
        bad("close without FIN", frame(8, b""), ControlFragment),
        bad("nothing to continue", frame(FIN, b"x"), Continuation),
        bad(
            "nothing to continue, more to come",
            frame(0, b""),
            Continuation,
        ),
        bad(
            "interrupted",
            [frame(1, b"a"), frame(FIN | 1, b"b")].concat(),
            Interrupted,
        ),
        bad(
            "interrupted by a fragment",
            [frame(2, b""), frame(2, b"")].concat(),
            Interrupted,
        ),
        bad("half a close code", frame(FIN | 8, b"\x03"), CloseLength),
        bad("close 1005", close(1005, b""), CloseCode),
        bad("close 999", close(999, b"x"), CloseCode),
        bad("close reason", close(1000, b"\xc3"), Utf8),
        bad("lone continuation byte", frame(FIN | 1, b"ab\x80"), Utf8),
        bad("overlong", frame(FIN | 1, b"\xc0\xaf"), Utf8),
        bad("surrogate", frame(FIN | 1, b"\xed\xa0\x80"), Utf8),
        bad("beyond U+10FFFF", frame(FIN | 1, b"\xf4\x90\x80\x80"), Utf8),
        bad(
            "cut short",
            frame(FIN | 1, "€".as_bytes().split_at(2).0),
            Utf8,
        ),
        bad(
            "cut short in the last fragment",
            [frame(1, b"\xe2"), frame(0, b"\x82"), frame(FIN, b"")].concat(),
            Utf8,
        ),
        bad(
            "bad across fragments",
            [frame(1, b"\xf0"), frame(FIN, b"\x8f")].concat(),
            Utf8,
        ),
        bad("too large", frame(FIN | 2, &[0; 4097]), MessageBytes),
        bad(
            "too large together",
            [frame(1, &[b'x'; 4096]), frame(FIN, b"x")].concat(),
            MessageBytes,
        ),
        bad(
            "2^63 - 1",
            long(&[
                FIN | 2,
                0xff,
                0x7f,
                0xff,
                0xff,
                0xff,
                0xff,
                0xff,
                0xff,
                0xff,
            ]),
            MessageBytes,
        ),
        bad(
            "five fragments",
            [
                frame(1, b""),
                frame(0, b""),
                frame(0, b""),
                frame(0, b""),
                frame(FIN, b""),
            ]
            .concat(),
            Fragments,
        ),
        (
            "after a good one",
            [text("a"), frame(FIN | 1, b"\xff"), text("b")].concat(),
            vec![said_text("a")],
            Some(Utf8),
        ),
    ]
}

fn expected(said: &[Said], violation: Option<Violation>) -> Heard {
    let end = match (violation, said.last()) {
        (Some(violation), _) => End::Broken(violation.close_code()),
        (None, Some(Said::Close(..))) => End::Closed,
        _ => End::Open,
    };
    Heard {
        said: said.to_vec(),
        end,
    }
}

#[test]
fn every_rule_at_every_cut() {
    for (name, bytes, said, violation) in lawful().into_iter().chain(unlawful()) {
        let want = (expected(&said, violation), violation);
        let check = |pieces: &[&[u8]], how: String| {
            assert_eq!(ours(pieces, &LIMITS), want, "{name}, {how}");
        };
        check(&[&bytes], "whole".into());
        check(&bytes.chunks(1).collect::<Vec<_>>(), "byte by byte".into());
        // Long samples are cut near frame borders (in the first and last bytes) only.
        let near = |at: &usize| bytes.len() < 600 || *at < 40 || bytes.len() - at < 40;
        for at in (0..=bytes.len()).filter(near) {
            let (front, back) = bytes.split_at(at);
            check(&[front, back], format!("cut at {at}"));
            if bytes.len() < 60 {
                for to in at..bytes.len() {
                    let (middle, back) = back.split_at(to - at);
                    check(&[front, middle, back], format!("cut at {at} and {to}"));
                }
            }
        }
    }
}

#[test]
fn the_oracle_agrees_on_the_samples() {
    for (name, bytes, ..) in lawful().into_iter().chain(unlawful()) {
        let limits = ReadLimits {
            fragments_max: 100,
            ..LIMITS
        };
        assert_eq!(disagreement(&bytes, &[3, 1, 50], &limits), None, "{name}");
    }
    let said = vec![said_text("a")];
    assert_eq!(
        oracle(&[&text("a")], &LIMITS),
        Heard {
            said,
            end: End::Open
        }
    );
}

#[test]
fn bad_text_fails_with_its_first_impossible_octet() {
    let cases: [(&[u8], usize); 6] = [
        (b"ab\xffcd", 2),
        (b"a\xc0\xafbcd", 1),
        (b"\xed\xa0\x80abc", 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"\xe2\x82a\x82", 2),
        ("κόσμε\u{d7ff}".as_bytes(), usize::MAX),
    ];
    for (payload, impossible) in cases {
        // The frame announces more than ever comes.
        let mut bytes = frame(FIN | 1, &[payload, &[b'.'; 90]].concat());
        bytes.truncate(6 + payload.len());
        let mut reader = Reader::new();
        let broken = bytes
            .iter()
            .position(|byte| reader.next(&mut [*byte], &mut 0, &LIMITS) == Err(Violation::Utf8));
        assert_eq!(broken, impossible.checked_add(6), "{payload:x?}");
    }
}

#[test]
fn a_limit_is_checked_before_the_bytes_come() {
    let head = &frame(FIN | 2, &[0; 4097])[..8];
    assert_eq!(ours(&[head], &LIMITS).1, Some(Violation::MessageBytes));
    let second = &frame(0, &[0; 97])[..6];
    let bytes = [&frame(2, &[0; 4000])[..], second].concat();
    assert_eq!(ours(&[&bytes], &LIMITS).1, Some(Violation::MessageBytes));
}

#[test]
fn memory_follows_what_arrived() {
    let limits = ReadLimits {
        message_bytes_max: usize::MAX,
        fragments_max: 10,
    };
    let mut reader = Reader::new();
    let mut head = [&[2, 0xff][..], &(1u64 << 40).to_be_bytes(), &MASK].concat();
    assert_eq!(reader.next(&mut head, &mut 0, &limits), Ok(None));
    assert!(reader.held_bytes() < 1024, "{}", reader.held_bytes());
    for round in 1..2_000 {
        assert_eq!(reader.next(&mut [1; 1000], &mut 0, &limits), Ok(None));
        assert!(
            reader.held_bytes() < round * 2000 + RESERVE_BYTES_MAX + 1024,
            "{round}"
        );
    }
}

#[test]
fn many_small_fragments_do_not_move_the_message_each_time() {
    let limits = ReadLimits {
        message_bytes_max: 1 << 20,
        fragments_max: u32::MAX,
    };
    let mut reader = Reader::new();
    let (mut held, mut moves) = (0, 0);
    for round in 0..10_000 {
        let first = if round == 0 { 2 } else { 0 };
        let mut bytes = frame(first, &[7; 64]);
        assert_eq!(reader.next(&mut bytes, &mut 0, &limits), Ok(None));
        moves += usize::from(held != reader.held_bytes());
        held = reader.held_bytes();
        assert!(held <= 2 * 64 * (round + 1) + 1024, "{held} in {round}");
    }
    assert!(moves <= 20, "{moves} moves");
    let mut end = frame(FIN, b"");
    let whole = reader.next(&mut end, &mut 0, &limits);
    assert_eq!(
        whole,
        Ok(Some(Item::Binary(Payload::Owned(vec![7; 640_000]))))
    );
}

#[test]
fn idle_is_two_words_and_nothing_held() {
    assert!(size_of::<Reader>() <= 16);
    for (name, bytes, _, violation) in lawful().into_iter().chain(unlawful()) {
        for size in [1, 7, bytes.len()] {
            let mut reader = Reader::new();
            for piece in bytes.chunks(size) {
                let mut piece = piece.to_vec();
                let mut at = 0;
                while let Ok(Some(_)) = reader.next(&mut piece, &mut at, &LIMITS) {}
            }
            // The one sample whose message is still open when its close comes ends as well.
            assert_eq!(reader.held_bytes(), 0, "{name} by {size}, {violation:?}");
        }
    }
}

#[test]
fn what_lies_whole_is_not_copied() {
    let mut buf = [frame(FIN | 9, b"p"), text("hello"), close(1000, b"bye")].concat();
    let (mut reader, mut at) = (Reader::new(), 0);
    let mut ranges = Vec::new();
    while let Ok(Some(item)) = reader.next(&mut buf, &mut at, &LIMITS) {
        match item {
            Item::Ping(Payload::Range(range)) | Item::Text(Payload::Range(range)) => {
                ranges.push(range);
            }
            Item::Close {
                reason: Payload::Range(range),
                ..
            } => ranges.push(range),
            other => panic!("{other:?}"),
        }
    }
    let found: Vec<_> = ranges
        .into_iter()
        .map(|range| buf[range].to_vec())
        .collect();
    assert_eq!(found, [b"p".to_vec(), b"hello".to_vec(), b"bye".to_vec()]);
}

#[test]
fn after_the_end_bytes_are_swallowed() {
    let mut reader = Reader::new();
    assert_eq!(
        reader.next(&mut [FIN | 1, 0], &mut 0, &LIMITS),
        Err(Violation::Unmasked)
    );
    let (mut more, mut at) = (text("x"), 0);
    assert_eq!(reader.next(&mut more, &mut at, &LIMITS), Ok(None));
    assert_eq!(at, more.len());
}

#[test]
fn close_codes_of_a_peer() {
    for code in 0..=u16::MAX {
        let allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let (heard, violation) = ours(&[&close(code, b"")], &LIMITS);
        match allowed {
            true => assert_eq!(heard.said, [Said::Close(Some(code), "".into())]),
            false => assert_eq!(violation, Some(Violation::CloseCode), "{code}"),
        }
    }
}

#[test]
fn unmasking_at_every_length_and_phase() {
    for len in 0..70 {
        let plain: Vec<u8> = (0..len).collect();
        let mut masked = plain.clone();
        for (at, byte) in masked.iter_mut().enumerate() {
            *byte ^= MASK[at % 4];
        }
        unmask(&mut masked, MASK);
        assert_eq!(masked, plain);
    }
}

#[test]
fn headers_we_write_are_the_shortest() {
    let cases: [(usize, &[u8]); 6] = [
        (0, &[0x81, 0]),
        (125, &[0x81, 125]),
        (126, &[0x81, 126, 0, 126]),
        (0xffff, &[0x81, 126, 0xff, 0xff]),
        (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (0x1_0000_0000, &[0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0]),
    ];
    for (len, want) in cases {
        let mut out = [0; 10];
        let taken = write_header(super::Opcode::Text, len, &mut out);
        assert_eq!(&out[..taken], want, "{len}");
    }
}

#[test]
fn control_frames_we_write() {
    use super::Opcode;
    assert_eq!(control(Opcode::Ping, b"ab"), [0x89, 2, b'a', b'b']);
    assert_eq!(control(Opcode::Pong, b""), [0x8a, 0]);
    assert_eq!(close_frame(1000, ""), [0x88, 2, 0x03, 0xe8]);
    assert_eq!(close_frame(1005, "not sent"), [0x88, 0]);
    // 122 bytes fit, the two of the next character do not.
    let reason = format!("{}éé", "x".repeat(122));
    let bytes = close_frame(4008, &reason);
    assert_eq!(bytes[1], 124);
    assert_eq!(&bytes[4..], &reason.as_bytes()[..122]);
}

#[test]
fn texts_name_the_settings() {
    assert!(Violation::MessageBytes.text().contains("message_bytes_max"));
    assert!(
        Violation::Fragments
            .text()
            .contains("message_fragments_max")
    );
}

/// One frame as a peer might build it: mostly lawful.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "[ -~]{0,30}".prop_map(String::into_bytes),
        4 => "\\PC{0,12}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..6),
        2 => prop::sample::select(vec![
            b"\xe2\x82".to_vec(), b"\xac".to_vec(), b"\xf0".to_vec(), b"\x9d\x84\x9e".to_vec(),
            b"\x03\xe8ok".to_vec(), b"\x03".to_vec(), b"\x03\xed".to_vec(), b"\x03\xf6".to_vec(),
        ]),
        1 => (0..600usize).prop_map(|len| vec![b'x'; len]),
    ];
    let first = prop_oneof![
        12 => prop::sample::select(vec![1, 2, 0, 0, FIN, FIN, FIN | 1, FIN | 2, FIN | 9, FIN | 10]),
        1 => Just(FIN | 8),
        1 => any::<u8>(),
    ];
    (first, payload, 0..40u8).prop_map(|(first, payload, odd)| {
        let mut bytes = frame(first, &payload);
        match odd {
            0 => bytes[1] ^= 0x80,
            1 => bytes[1] |= 0x7e,
            2 => bytes.truncate(bytes.len() / 2),
            _ => {}
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn hears_what_tungstenite_hears(
        frames in prop::collection::vec(any_frame(), 1..9),
        cuts in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let limits = ReadLimits { message_bytes_max: 700, fragments_max: 1000 };
        let bytes = frames.concat();
        prop_assert_eq!(disagreement(&bytes, &cuts, &limits), None);
    }

    #[test]
    fn random_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        prop_assert_eq!(disagreement(&bytes, &cuts, &LIMITS), None);
    }

    #[test]
    fn reads_headers_as_tungstenite_does(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
        let mut cursor = Cursor::new(&bytes[..]);
        let theirs = FrameHeader::parse(&mut cursor);
        let theirs_took = cursor.position() as usize;
        match (parse_header(&bytes, 0), theirs) {
            (Ok(Some((frame, taken))), Ok(Some((header, len)))) => {
                prop_assert_eq!(frame.opcode.code(), header.opcode);
                prop_assert_eq!(frame.fin, header.is_final);
                prop_assert_eq!(Some(frame.mask), header.mask);
                prop_assert_eq!((frame.left as u64, taken), (len, header.len(len)));
            }
            (Ok(None), theirs) => prop_assert!(matches!(theirs, Ok(None)), "{theirs:?}"),
            (Err(_), Ok(Some((header, len)))) => {
                let reserved = header.rsv1 || header.rsv2 || header.rsv3;
                let stretched = len >> 63 == 1 || header.len(len) < theirs_took;
                prop_assert!(reserved || header.mask.is_none() || stretched, "{header:?}");
            }
            (Err(_), _) => {}
            (ours, theirs) => prop_assert!(false, "{ours:?} {theirs:?}"),
        }
    }
}
