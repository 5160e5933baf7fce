//! The machine over a socket that takes and gives as little as it likes, with rustls as the peer.

use std::collections::VecDeque;
use std::io::Read;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::*;
use crate::tls::certificates;

/// What the peer has sent and not been asked for; what it was sent and has not read; how many
/// bytes the socket takes still.
#[derive(Default)]
struct Sim {
    input: VecDeque<u8>,
    output: VecDeque<u8>,
    place: usize,
    ended: bool,
    end_sent: bool,
}

impl Pipe for Sim {
    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.input.read(into)? {
            0 if !self.ended => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.place);
        self.place -= n;
        self.output.extend(&bytes[..n]);
        match n {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }

    fn end(&mut self) {
        self.end_sent = true;
    }
}

struct Pair {
    machine: Machine<Sim>,
    scratch: Scratch,
    peer: ClientConnection,
    /// Plaintext that the peer has read.
    got: Vec<u8>,
}

fn configs() -> (Offer, Arc<ClientConfig>) {
    let (cert, key) = certificates::A;
    let tls = Tls::new().pair(cert.as_bytes(), key.as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    let cert = rustls::pki_types::CertificateDer::from_pem_slice(cert.as_bytes()).unwrap();
    roots.add(cert).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Offer::new(&tls).unwrap(), Arc::new(client))
}

impl Pair {
    /// In the middle of nothing: neither has said a word.
    fn new() -> Pair {
        let (offer, client) = configs();
        let name = ServerName::try_from("a.example").unwrap();
        Pair {
            machine: Machine::new(Sim::default(), Session::new(offer.config()).unwrap(), &[]),
            scratch: Scratch::default(),
            peer: ClientConnection::new(client, name).unwrap(),
            got: Vec::new(),
        }
    }

    fn agreed() -> Pair {
        let mut pair = Pair::new();
        pair.machine.pipe.place = usize::MAX;
        while !pair.machine.agreed || pair.peer.is_handshaking() {
            pair.peer_sends();
            assert_eq!(
                pair.read(4096).unwrap_err().kind(),
                io::ErrorKind::WouldBlock
            );
            pair.peer_reads();
        }
        pair.machine.pipe.place = 0;
        pair
    }

    fn read(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut into = vec![0; most];
        let n = self.machine.read(&mut self.scratch, &mut into)?;
        into.truncate(n);
        Ok(into)
    }

    fn peer_sends(&mut self) {
        while self.peer.wants_write() {
            let mut bytes = Vec::new();
            self.peer.write_tls(&mut bytes).unwrap();
            self.machine.pipe.input.extend(bytes);
        }
    }

    fn peer_reads(&mut self) {
        while !self.machine.pipe.output.is_empty() {
            self.peer.read_tls(&mut self.machine.pipe.output).unwrap();
            self.peer.process_new_packets().unwrap();
            match self.peer.reader().read_to_end(&mut self.got) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => panic!("{error}"),
                _ => {}
            }
        }
    }
}

/// Frames of so many bytes each, in which each byte depends on where it stands.
fn stream(frames: &[usize]) -> Vec<u8> {
    (0..frames.iter().sum::<usize>())
        .map(|i| (i * 7 + i / 251) as u8)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// As outbound does, offers what is unsent up to the end of a frame, in a slice or several.
    #[test]
    fn the_peer_gets_each_byte_once_and_no_more_is_reported_than_was_taken(
        frames in prop::collection::vec(prop_oneof![2..300usize, 2..40_000usize], 1..30),
        moves in prop::collection::vec((0..60_000usize, 1..8usize, any::<bool>()), 1..40),
    ) {
        let mut pair = Pair::agreed();
        let bytes = stream(&frames);
        let ends: Vec<usize> = frames
            .iter()
            .scan(0, |end, frame| { *end += frame; Some(*end) })
            .collect();
        let mut reported = 0;
        let unbound = (usize::MAX, 100, false);
        for (place, ahead, sliced) in moves.into_iter().chain(std::iter::repeat(unbound)) {
            if reported == bytes.len() {
                break;
            }
            pair.machine.pipe.place = place;
            let next = ends.iter().position(|end| *end > reported).unwrap();
            let last = (next + ahead).min(ends.len()) - 1;
            let cuts = ends[next..=last].iter().copied();
            let written = match sliced {
                false => {
                    let piece = &bytes[reported..ends[last]];
                    pair.machine.write(&mut pair.scratch, piece)
                }
                true => {
                    let mut from = reported;
                    let slices: Vec<_> = cuts
                        .map(|to| IoSlice::new(&bytes[std::mem::replace(&mut from, to)..to]))
                        .collect();
                    pair.machine.write_slices(&mut pair.scratch, &slices)
                }
            };
            let n = match written {
                Err(error) => {
                    prop_assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    0
                }
                Ok(n) => n,
            };
            reported += n;
            pair.peer_reads();
            prop_assert_eq!(&pair.got[..], &bytes[..pair.got.len()]);
            prop_assert!(reported <= pair.got.len() + RECORD, "a record ahead at most");
            prop_assert!(pair.machine.waiting.len() < RECORD + 1024);
            if reported == ends[last] {
                prop_assert_eq!(pair.got.len(), reported, "nothing waits behind what is all out");
                prop_assert!(pair.machine.waiting.is_empty() && !pair.machine.ahead);
            }
            // Where less was taken, the frame at hand has begun, or it is not on its way at all.
            if pair.machine.ahead {
                prop_assert!(!ends.contains(&reported) && reported > 0);
            }
        }
        prop_assert_eq!(pair.got, bytes);
        prop_assert_eq!(pair.machine.buffered(), 0, "an idle one keeps nothing");
    }

    #[test]
    fn what_the_peer_says_is_read_whole_however_it_is_cut(
        messages in prop::collection::vec(prop_oneof![1..200usize, 1..50_000usize], 1..12),
        pieces in prop::collection::vec(1..20_000usize, 1..60),
        most in prop_oneof![Just(1usize), 1..300usize, 1..70_000usize],
    ) {
        let mut pair = Pair::agreed();
        let bytes = stream(&messages);
        let mut sent = 0;
        let mut wire = VecDeque::new();
        for message in messages {
            std::io::Write::write_all(&mut pair.peer.writer(), &bytes[sent..sent + message])
                .unwrap();
            sent += message;
            while pair.peer.wants_write() {
                let mut bytes = Vec::new();
                pair.peer.write_tls(&mut bytes).unwrap();
                wire.extend(bytes);
            }
        }
        pair.peer.send_close_notify();
        pair.peer.write_tls(&mut wire).unwrap();
        let mut got = Vec::new();
        let mut pieces = pieces.into_iter().cycle();
        'all: loop {
            let n = pieces.next().unwrap().min(wire.len());
            pair.machine.pipe.input.extend(wire.drain(..n));
            loop {
                match pair.read(most) {
                    Ok(read) if read.is_empty() => break 'all,
                    Ok(read) => got.extend(read),
                    Err(error) => prop_assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
                // Everything that is there is found as long as we are told to read again.
                if !pair.machine.again && pair.machine.pipe.input.is_empty() {
                    break;
                }
            }
            prop_assert!(n > 0 || !wire.is_empty(), "the end was said");
        }
        prop_assert!(got == bytes);
        prop_assert!(pair.machine.held.len() < 20_000);
    }
}

#[test]
fn an_end_is_said_and_comes_behind_what_waits() {
    let mut pair = Pair::agreed();
    pair.machine.pipe.place = 100;
    assert_eq!(
        pair.machine.write(&mut pair.scratch, &[7; 1000]).unwrap(),
        999
    );
    pair.machine.shutdown(&mut pair.scratch);
    assert!(!pair.machine.pipe.end_sent, "something waits");
    pair.machine.pipe.place = usize::MAX;
    assert!(pair.machine.flush().unwrap() && pair.machine.pipe.end_sent);
    pair.machine.pipe.end_sent = false;
    assert!(
        pair.machine.flush().unwrap() && !pair.machine.pipe.end_sent,
        "once"
    );
    pair.peer_reads();
    assert_eq!(pair.got, [7; 1000]);
    let error = pair.machine.write(&mut pair.scratch, b"more").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    assert!(pair.peer.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn what_is_no_tls_is_answered_with_an_alert_and_ends() {
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        &[0; 64],
        &[22, 3, 1, 0, 4, 9, 0, 0, 0],
    ] {
        let mut pair = Pair::new();
        pair.machine.pipe.place = usize::MAX;
        pair.machine.pipe.input.extend(garbage);
        let error = pair.read(4096).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(pair.scratch.tally.failed, 1);
        let alert: Vec<u8> = pair.machine.pipe.output.drain(..).collect();
        assert_eq!(
            (alert[0], alert[5], alert.len()),
            (21, 2, 7),
            "{garbage:?}: {alert:?}"
        );
        assert!(
            pair.read(4096).is_err() && pair.scratch.tally.failed == 1,
            "once"
        );
    }
}

#[test]
fn a_flood_of_key_updates_ends() {
    let mut pair = Pair::agreed();
    for _ in 0..40 {
        pair.peer.refresh_traffic_keys().unwrap();
    }
    pair.peer_sends();
    pair.machine.pipe.place = usize::MAX;
    let error = loop {
        match pair.read(1 << 16) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert!(
        pair.machine.waiting.is_empty(),
        "answers to it are not heaped up"
    );
}

#[test]
fn a_hello_that_does_not_end_is_not_kept_for_ever() {
    let mut pair = Pair::new();
    pair.machine.pipe.place = usize::MAX;
    // A handshake message of 64 KiB but one, in records of 1,000 bytes.
    let mut piece = vec![22, 3, 1, 3, 0xe8, 1, 0, 0xff, 0xff];
    let mut most = 0;
    let error = loop {
        piece.resize(5 + 1000, 7);
        pair.machine.pipe.input.extend(&piece);
        piece.truncate(5);
        match pair.read(4096) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => break other.unwrap_err(),
        }
        most = most.max(pair.machine.buffered());
        assert!(most < 2 * HELLO_BYTES);
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert!(most > HELLO_BYTES / 2 && pair.machine.buffered() == 0);
}
