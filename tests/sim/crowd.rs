//! The crowd of a storm: what each peer is owed by what was asked for, and what it was sent.
//!
//! The host's callbacks and the test write down what they ask of the engine in the order in which
//! they ask it, since that is the order that the engine promises. One thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use roomcast::{
    Accept, CloseReason, Connection, ConnectionId, Handler, Message, Missed, Pending, Publication,
    Published, Refused, Request,
};

use super::frames::{CLOSE, Frame, frames, texts};

/// A message that begins with this asks the host to publish to the room behind it.
pub const PUBLISH: &str = "publish ";

/// One peer, from its first byte to its last.
#[derive(Default)]
pub struct Peer {
    pub id: Option<ConnectionId>,
    /// From the verdict until the host or the peer ends it.
    pub open: bool,
    /// It takes all that it is sent, answers pings and breaks no rule.
    pub clean: bool,
    pub rooms: Vec<String>,
    pub owed: Vec<String>,
    /// Messages that it sent, and that the host was told.
    pub sent: usize,
    pub heard: usize,
    pub told_open: usize,
    pub closed: Vec<CloseReason>,
    pub host_closed: Option<u16>,
    pub lagged: u64,
    /// All that it was sent.
    pub stream: Vec<u8>,
}

#[derive(Default)]
pub struct Crowd {
    /// By number of the simulated connection.
    pub peers: BTreeMap<u32, Peer>,
    pub by_id: BTreeMap<ConnectionId, u32>,
    pub undecided: Vec<(u32, Pending)>,
    /// Publications and messages are numbered, so that each is told from all others.
    pub count: u64,
    /// What was refused, as the engine is to count it.
    pub refused: u64,
    /// How far the rooms are numbered that a handle is held of.
    pub numbers: BTreeMap<String, u64>,
}

impl Crowd {
    fn of(&mut self, id: ConnectionId) -> &mut Peer {
        let number = self.by_id[&id];
        self.peers.get_mut(&number).expect("peers stay")
    }

    /// A text that is like no other.
    pub fn text(&mut self, filler: usize) -> String {
        self.count += 1;
        format!("{} {}", self.count, "x".repeat(filler))
    }

    /// What became of a publication: who is owed it, and which number it has.
    pub fn on_published(
        &mut self,
        text: &str,
        to: &[&str],
        but: &[&str],
        except: &[ConnectionId],
        published: Result<Published, Refused>,
    ) {
        let published = match published {
            Ok(published) => published,
            Err(refused) => {
                assert!(matches!(refused, Refused::Behind | Refused::Overloaded));
                self.refused += 1;
                return;
            }
        };
        let is_in = |p: &Peer, rooms: &[&str]| p.rooms.iter().any(|r| rooms.contains(&r.as_str()));
        let mut members = 0;
        for peer in self.peers.values_mut().filter(|p| p.open && is_in(p, to)) {
            members += usize::from(peer.clean);
            let excepted = peer.id.is_some_and(|id| except.contains(&id));
            if !is_in(peer, but) && !excepted {
                peer.owed.push(text.to_owned());
            }
        }
        // Who has just left may still be counted; nobody who is there is not.
        assert!(published.members >= members, "{published:?} of {members}");
        for room in to.iter().collect::<std::collections::BTreeSet<_>>() {
            if let Some(number) = self.numbers.get_mut(*room) {
                *number += 1;
                let number = (to.len() == 1).then_some(*number);
                assert!(number.is_none() || published.offset == number, "of {room}");
            }
        }
    }

    /// The peer is owed the text, if it is open.
    pub fn owe(&mut self, number: u32, text: &str) {
        let peer = self.peers.get_mut(&number).expect("peers stay");
        if peer.open {
            peer.owed.push(text.to_owned());
        }
    }
}

/// The host: path `/now/ROOM` is accepted into ROOM, `/later` is decided by the storm, `/never` is
/// turned away; messages are echoed, or published to the room that they name, but to their sender.
pub struct Host(pub Arc<Mutex<Crowd>>);

impl Host {
    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.0.lock().expect("a panic ends the test")
    }
}

fn number(path: &str) -> u32 {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.parse().expect("paths end in a number")
}

/// Accepts into a room; from now on the peer is owed what is published there.
pub fn accept(crowd: &mut Crowd, peer: u32, pending: Pending, room: &str) {
    let p = crowd.peers.get_mut(&peer).expect("peers stay");
    p.id = Some(pending.id());
    p.open = true;
    p.rooms.push(room.to_owned());
    crowd.by_id.insert(pending.id(), peer);
    pending.accept(Accept::new().user(format!("user-{}", peer % 7)).room(room));
}

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let path = request.path().to_owned();
        let peer = number(&path);
        let mut crowd = self.crowd();
        match path.split('/').nth(1) {
            Some("now") => {
                let room = format!("room-{}", peer % 6);
                accept(&mut crowd, peer, pending, &room);
            }
            Some("later") => crowd.undecided.push((peer, pending)),
            _ => pending.refuse(403, "never"),
        }
    }

    fn opened(&self, connection: Connection<'_>) {
        self.crowd().of(connection.id()).told_open += 1;
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let text = message.text().expect("peers send text");
        let mut crowd = self.crowd();
        let peer = crowd.of(connection.id());
        assert!(peer.told_open == 1 && peer.closed.is_empty());
        peer.heard += 1;
        if let Some(room) = text.strip_prefix(PUBLISH) {
            let (text, except) = (crowd.text(20), [connection.id()]);
            let publication = Publication::text(&text).except(&except);
            let published = connection.handle().publish(room, publication);
            crowd.on_published(&text, &[room], &[], &except, published);
        } else if connection.send(Publication::text(text)).is_err() {
            crowd.refused += 1;
        } else if let peer = crowd.of(connection.id())
            && peer.open
        {
            peer.owed.push(text.to_owned());
        }
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        let mut crowd = self.crowd();
        let peer = crowd.of(connection.id());
        assert_eq!(peer.told_open, 1, "opened before it closed");
        peer.open = false;
        peer.rooms.clear();
        peer.closed.push(reason.clone());
    }

    fn lagged(&self, connection: Connection<'_>, _: &str, missed: Missed) {
        assert!(connection.user().is_some(), "whoever is told of is known");
        self.crowd().of(connection.id()).lagged += missed.count;
    }

    fn backpressure(&self, connection: Connection<'_>, _: bool) {
        assert!(connection.user().is_some(), "whoever is told of is known");
        let closed = self.crowd().of(connection.id()).closed.is_empty();
        assert!(closed, "closed is told last");
    }
}

/// How what was sent is held against what is owed.
pub fn check(number: u32, peer: &Peer, skip: bool) {
    let Some(all) = frames(&peer.stream) else {
        let stream = String::from_utf8_lossy(&peer.stream);
        let unopened = !peer.clean || peer.id.is_none();
        assert!(unopened, "peer {number}, {:?}: {stream}", peer.closed);
        return;
    };
    let got = texts(&all);
    let short = |texts: &[String]| -> Vec<String> {
        let first = |t: &String| t.split(' ').next().unwrap_or_default().to_owned();
        texts.iter().map(first).collect()
    };
    let (is, due) = (short(&got), short(&peer.owed));
    let says = || format!("peer {number} got {is:?} of {due:?}; {:?}", peer.closed);
    check_end(number, peer, &all);
    match (peer.clean, skip) {
        (true, _) => {
            assert!(got == peer.owed, "{}", says());
            // What was not read yet when the host closed is not told.
            let all_heard = peer.heard == peer.sent || peer.host_closed.is_some();
            assert!(
                all_heard,
                "{} of {} messages of peer {number}",
                peer.heard, peer.sent
            );
            assert_eq!(peer.lagged, 0, "peer {number}");
        }
        (false, false) => assert!(peer.owed.starts_with(&got), "{}", says()),
        (false, true) => {
            let mut owed = peer.owed.iter();
            let in_order = got.iter().all(|text| owed.any(|o| o == text));
            assert!(in_order, "{}", says());
            let missed = (peer.owed.len() - got.len()) as u64;
            let told = !peer.closed.is_empty() || missed <= peer.lagged;
            assert!(told, "{missed} missed, {} told; {}", peer.lagged, says());
        }
    }
}

/// Nothing comes behind a close frame, and the reason is the one that was given.
fn check_end(number: u32, peer: &Peer, all: &[Frame]) {
    let close = all.iter().position(|(opcode, _)| *opcode == CLOSE);
    if let Some(at) = close {
        assert_eq!(at + 1, all.len(), "peer {number}: frames behind the close");
    }
    let Some(code) = peer.host_closed.filter(|_| peer.clean) else {
        return;
    };
    let (_, payload) = all.last().expect("a close frame");
    assert_eq!(payload[..2], code.to_be_bytes(), "peer {number}");
    assert_eq!(peer.closed, [CloseReason::Host { code }], "peer {number}");
}
