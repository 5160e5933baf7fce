//! The naive model: who is owed what, by what was asked of the engine in the order of asking.
//!
//! In: operations as they are asked, and what the host is told. Out: what each peer is owed, and
//! panics where the engine broke its word. Knows no tapes, no turns, no sockets. One thread.

use roomcast::{CloseReason, ConnectionId, Position, Published, Refused};

use super::asked::Asked;
use super::stream::{self, CLOSE, Frame};

pub const ROOMS: usize = 8;
/// All that a run publishes and sends, so that a run stays short.
const BYTES_MAX: usize = 256 * 1024;
/// More than the answer to a handshake has, which waits in the outbox like private bytes.
const ANSWER_BYTES: usize = 200;
/// A frame's header, and what the frame counts for beside its bytes in an outbox.
const ADDED_BYTES: usize = 10 + 64;

/// What the first byte of an input chooses.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub skip: bool,
    pub tape_bytes: usize,
    pub outbox_bytes: usize,
    /// The shard's tapes together may not hold more than two rooms' tapes.
    pub narrow_shard: bool,
}

/// One peer, from its first byte to its last.
#[derive(Default)]
pub struct Peer {
    pub id: Option<ConnectionId>,
    /// From the verdict until the host closes it or is told that it has closed.
    pub open: bool,
    /// A bit for each room.
    pub rooms: u8,
    /// What it asked for of each of them.
    asked: [Asked; ROOMS],
    /// Numbers of messages.
    owed: Vec<usize>,
    /// What its rooms' tapes have and it is not owed: exclusions, and second rooms of unions.
    passed_over: u64,
    /// Bytes that may wait for it, as many as is thinkable.
    waiting: usize,
    /// Those of them that may wait for it alone, in its outbox.
    private: usize,
    /// It takes no more than some bytes, or did so since the engine last came to rest.
    pub stopped: bool,
    /// It has gone, or asked to close.
    pub left: bool,
    /// So much has waited for it that the engine may have lost patience.
    exposed: bool,
    /// It did not take bytes while the host's close was on its way.
    pub hindered: bool,
    host_closed: Option<u16>,
    said: usize,
    heard: usize,
    told_open: usize,
    closed: Vec<CloseReason>,
    lagged: u64,
    pub stream: Vec<u8>,
}

/// A room that exists, and how it counts its publications; its epoch once it is known.
#[derive(Clone, Copy)]
struct Count {
    epoch: Option<u64>,
    offset: u64,
}

pub struct Model {
    bounds: Bounds,
    pub peers: Vec<Peer>,
    rooms: [Option<Count>; ROOMS],
    /// Lengths of all messages so far; a message's number is its place here.
    lens: Vec<usize>,
    bytes: usize,
    /// Nothing was published or sent since the engine came to rest.
    pub quiet: bool,
    /// Time has passed, so that a slow close may have been cut.
    pub hurried: bool,
    /// Whether to print what comes back.
    pub trace: bool,
}

/// The payload of a message, which is like no other.
fn payload(number: usize, len: usize) -> Vec<u8> {
    let mut payload = format!("{number}:").into_bytes();
    payload.resize(len.max(payload.len()), b'a' + (number % 26) as u8);
    payload
}

/// Whether the message is text.
fn is_text(number: usize) -> bool {
    !number.is_multiple_of(3)
}

/// A message that may be owed.
pub struct Draft {
    pub number: usize,
    pub text: bool,
    pub payload: Vec<u8>,
}

impl Model {
    pub fn new(bounds: Bounds) -> Model {
        Model {
            bounds,
            peers: Vec::new(),
            rooms: [None; ROOMS],
            lens: Vec::new(),
            bytes: 0,
            quiet: true,
            hurried: false,
            trace: false,
        }
    }

    pub fn publication_bytes_max(&self) -> usize {
        self.bounds.tape_bytes / 4
    }

    /// A new message of about so many bytes.
    pub fn draft(&mut self, len: usize) -> Draft {
        let number = self.lens.len();
        let len = if self.bytes + len > BYTES_MAX { 0 } else { len };
        let payload = payload(number, len);
        self.bytes += payload.len();
        self.lens.push(payload.len());
        let text = is_text(number);
        Draft {
            number,
            text,
            payload,
        }
    }

    pub fn peer(&mut self, id: ConnectionId) -> &mut Peer {
        let found = self.peers.iter_mut().find(|p| p.id == Some(id));
        found.expect("the host is told of peers that it accepted")
    }

    fn say(&self, what: impl Fn() -> String) {
        if self.trace {
            eprintln!("    {}", what());
        }
    }

    /// Whether the answer to a publish or a send is one that may be given now.
    pub fn is_taken<T>(&mut self, result: &Result<T, Refused>, len: usize) -> bool {
        let large = len > self.publication_bytes_max();
        match result {
            Ok(_) => assert!(!large, "{len} bytes are too large"),
            Err(Refused::TooLarge) => assert!(large, "{len} bytes are not too large"),
            Err(refused @ (Refused::Behind | Refused::Overloaded)) => {
                let full = *refused == Refused::Overloaded && self.bounds.narrow_shard;
                assert!(full || !self.quiet, "{refused:?} of an engine at rest");
            }
            Err(refused) => panic!("{refused:?}"),
        }
        self.say(|| format!("{len} bytes: {:?}", result.as_ref().err()));
        self.quiet &= result.is_err();
        result.is_ok()
    }

    /// Members that the room certainly has: nobody had a reason to end them.
    fn sure_members(&self, room: usize) -> usize {
        let sure = |p: &&Peer| p.open && p.rooms >> room & 1 != 0 && !p.exposed && !p.left;
        self.peers.iter().filter(sure).count()
    }

    /// Takes note of which rooms exist, before something is asked of one.
    pub fn look(&mut self, exist: &[(String, usize)]) {
        for (room, found) in by_number(exist).into_iter().enumerate() {
            let (members, sure) = (found.unwrap_or(0), self.sure_members(room));
            assert!(members >= sure, "room {room}: {members} of {sure} members");
            if found.is_none() {
                self.rooms[room] = None;
            }
        }
    }

    /// A position that the engine gave of a room, which exists from now on.
    pub fn on_position(&mut self, room: usize, position: Position) {
        let known = self.rooms[room].unwrap_or(Count {
            epoch: None,
            offset: 0,
        });
        assert_eq!(position.offset, known.offset, "offset of room {room}");
        let epoch = known.epoch.unwrap_or(position.epoch);
        assert_eq!(position.epoch, epoch, "epoch of room {room}");
        self.rooms[room] = Some(Count {
            epoch: Some(epoch),
            ..known
        });
    }

    /// A room that somebody was accepted into exists from now on.
    pub fn on_accepted_into(&mut self, room: usize) {
        self.rooms[room].get_or_insert(Count {
            epoch: None,
            offset: 0,
        });
    }

    /// Numbers that the engine gave to a publication.
    pub fn on_published(&mut self, rooms: u8, published: Published) {
        let mut offsets = Vec::new();
        let mut sure = 0;
        for room in each(rooms) {
            sure += self.sure_members(room);
            if let Some(count) = &mut self.rooms[room] {
                count.offset += 1;
                offsets.push(count.offset);
            }
        }
        match published.offset {
            Some(offset) => assert!(offsets.contains(&offset), "{offset} of {offsets:?}"),
            None => assert!(offsets.is_empty(), "no offset, but {offsets:?}"),
        }
        assert!(published.members >= sure, "{published:?}, {sure} members");
    }

    /// The publication is owed to all members but those left out.
    pub fn owe_members(&mut self, number: usize, to: u8, but: u8, except: &[ConnectionId]) {
        let len = self.lens[number];
        for peer in self.peers.iter_mut().filter(|p| p.open) {
            let asked = peer.asked;
            let wanting = each(peer.rooms & to).filter(|room| asked[*room].wants(number));
            let wanting: Vec<usize> = wanting.collect();
            let marks = wanting.len() as u64;
            if marks == 0 {
                continue;
            }
            if wanting.iter().any(|room| asked[*room].is_watching()) {
                peer.private += len + ADDED_BYTES;
            }
            let excepted = peer.id.is_some_and(|id| except.contains(&id));
            let owed = peer.rooms & but == 0 && !excepted;
            if owed {
                peer.owed.push(number);
            }
            peer.passed_over += marks - u64::from(owed);
            peer.burden(marks as usize * (len + ADDED_BYTES), self.bounds);
        }
    }

    /// A message for one connection alone.
    pub fn owe(&mut self, number: usize, at: usize) {
        let len = self.lens[number];
        let peer = &mut self.peers[at];
        if peer.open {
            peer.owed.push(number);
            peer.private += len + ADDED_BYTES;
            peer.burden(len + ADDED_BYTES, self.bounds);
            peer.exposed |= peer.private > self.bounds.outbox_bytes;
        }
    }

    pub fn on_accept(&mut self, at: usize, id: ConnectionId, rooms: u8) {
        let bounds = self.bounds;
        let peer = &mut self.peers[at];
        (peer.id, peer.open, peer.rooms) = (Some(id), true, rooms);
        peer.private = ANSWER_BYTES;
        peer.burden(ANSWER_BYTES, bounds);
    }

    /// For a member already this changes what it is sent; what it is owed becomes private.
    pub fn on_join(&mut self, id: ConnectionId, room: usize, asked: Option<Asked>) {
        let peer = self.peer(id);
        if !peer.open {
            return;
        }
        let is_member = peer.rooms >> room & 1 != 0;
        match asked {
            None if is_member => return,
            asked => peer.asked[room] = asked.unwrap_or_default(),
        }
        peer.rooms |= 1 << room;
        if is_member {
            peer.private = peer.waiting;
        }
    }

    /// A member that watches keys watches more of them, or fewer.
    pub fn on_watch(&mut self, id: ConnectionId, room: usize, keys: u8, begin: bool) {
        let peer = self.peer(id);
        if let Asked::Keys(watched) = &mut peer.asked[room] {
            match begin {
                true => *watched |= keys,
                false => *watched &= !keys,
            }
        }
    }

    /// What the peer is still owed of the room becomes private.
    pub fn on_leave(&mut self, id: ConnectionId, room: usize) {
        let peer = self.peer(id);
        peer.rooms &= !(1 << room);
        peer.private = peer.waiting;
    }

    pub fn on_host_close(&mut self, at: usize, code: u16) {
        let peer = &mut self.peers[at];
        if peer.open {
            (peer.open, peer.rooms) = (false, 0);
            peer.host_closed = Some(code);
            peer.hindered = peer.stopped;
        }
    }

    /// From now on the peer does not take everything.
    pub fn on_stop(&mut self, at: usize) {
        let bounds = self.bounds;
        let peer = &mut self.peers[at];
        peer.stopped = true;
        peer.hindered |= peer.host_closed.is_some();
        peer.burden(0, bounds);
    }

    pub fn on_said(&mut self, at: usize) {
        self.peers[at].said += 1;
    }

    pub fn on_opened(&mut self, id: ConnectionId) {
        self.peer(id).told_open += 1;
    }

    pub fn on_message(&mut self, id: ConnectionId) {
        let peer = self.peer(id);
        assert!(peer.told_open == 1 && peer.closed.is_empty());
        peer.heard += 1;
    }

    pub fn on_closed(&mut self, id: ConnectionId, reason: &CloseReason) {
        self.say(|| format!("closed {id}: {reason}"));
        let peer = self.peer(id);
        assert!(peer.told_open == 1 && peer.closed.is_empty());
        match reason {
            CloseReason::TooSlow => assert!(peer.exposed, "it was not slow"),
            CloseReason::Host { code } => assert_eq!(peer.host_closed, Some(*code)),
            CloseReason::Vanished | CloseReason::Peer { .. } => assert!(peer.left, "{reason}"),
            other => panic!("{other}"),
        }
        (peer.open, peer.rooms) = (false, 0);
        peer.closed.push(reason.clone());
    }

    pub fn on_lagged(&mut self, id: ConnectionId, missed: u64) {
        self.say(|| format!("lagged {id}: {missed}"));
        let skip = self.bounds.skip;
        let peer = self.peer(id);
        assert!(skip && peer.exposed, "{missed} missed without a reason");
        peer.lagged += missed;
    }

    /// The engine has come to rest; `takes` says whose sockets take everything.
    pub fn on_rest(&mut self, takes: &[bool]) {
        self.quiet = true;
        for (peer, takes) in self.peers.iter_mut().zip(takes) {
            if *takes {
                (peer.waiting, peer.private, peer.stopped) = (0, 0, false);
            }
        }
    }

    /// Members of each room, now that nobody is closing.
    pub fn check_counts(&self, exist: &[(String, usize)]) {
        for (room, counted) in by_number(exist).into_iter().enumerate() {
            let members = self.peers.iter().filter(|p| p.rooms >> room & 1 != 0);
            let counted = counted.unwrap_or(0);
            assert_eq!(counted, members.count(), "members of room {room}");
        }
    }

    /// Everybody takes everything and the engine is at rest: was each sent what it is owed?
    pub fn check(&self) {
        for (at, peer) in self.peers.iter().enumerate() {
            let (frames, rest) = stream::frames(&peer.stream);
            let got = self.numbers(&frames);
            let says = || {
                let owed = &peer.owed;
                format!("peer {at} got {got:?} of {owed:?}; {:?}", peer.closed)
            };
            let alive = peer.open && !peer.left;
            assert!(!(alive && rest), "half a frame; {}", says());
            self.check_close(&frames, peer, &says);
            let unhurried = !peer.hindered && !peer.exposed && !peer.left;
            let all = alive && peer.lagged == 0 || peer.host_closed.is_some() && unhurried;
            if all {
                assert!(got == peer.owed, "not all; {}", says());
            } else if !self.bounds.skip {
                assert!(peer.owed.starts_with(&got), "no prefix; {}", says());
            } else {
                let mut owed = peer.owed.iter();
                let in_order = got.iter().all(|n| owed.any(|o| o == n));
                assert!(in_order, "out of order; {}", says());
            }
            if alive {
                let missed = (peer.owed.len() - got.len()) as u64;
                let told = missed..=missed + peer.passed_over;
                let lagged = peer.lagged;
                assert!(told.contains(&lagged), "told of {lagged}; {}", says());
                assert_eq!(peer.heard, peer.said, "messages; {}", says());
            }
        }
    }

    /// The messages among the frames, by number.
    fn numbers(&self, frames: &[Frame]) -> Vec<usize> {
        let messages = frames.iter().filter(|(opcode, _)| *opcode < CLOSE);
        messages
            .map(|(opcode, payload)| {
                let number = payload.iter().map_while(|b| char::from(*b).to_digit(10));
                let number = number.fold(0, |sum, digit| sum * 10 + digit as usize);
                let len = *self.lens.get(number).expect("a message that was drafted");
                assert_eq!(*opcode == 1, is_text(number), "type of {number}");
                assert!(*payload == self::payload(number, len), "bytes of {number}");
                number
            })
            .collect()
    }

    /// Nothing comes behind a close frame, and its code is that of the reason.
    fn check_close(&self, frames: &[Frame], peer: &Peer, says: &dyn Fn() -> String) {
        let at = frames.iter().position(|(opcode, _)| *opcode == CLOSE);
        if let Some(at) = at {
            let last = at + 1 == frames.len();
            assert!(last, "a frame behind the close; {}", says());
            let [reason] = peer.closed.as_slice() else {
                panic!("a close frame and no event; {}", says());
            };
            let code = &frames[at].1[..2];
            assert_eq!(code, reason.code().to_be_bytes(), "{}", says());
        }
        let slow = peer.closed == [CloseReason::TooSlow] && !self.hurried && !peer.left;
        assert!(!slow || at.is_some(), "no close frame; {}", says());
    }

    /// Each that opened was told to have closed, once.
    pub fn check_ends(&self) {
        for (at, peer) in self.peers.iter().enumerate() {
            assert_eq!(peer.told_open, peer.closed.len(), "events of peer {at}");
        }
    }
}

impl Peer {
    /// More may wait for it. While it takes everything its rooms' tapes are no burden to it.
    fn burden(&mut self, bytes: usize, bounds: Bounds) {
        self.waiting += bytes;
        // A tape holds whole segments, which frames may fill by half, and an eighth of it is let
        // go of at a time; so a member with an eighth is never among the furthest behind.
        let patience = match bounds.narrow_shard {
            false => bounds.outbox_bytes.min(bounds.tape_bytes / 8),
            true => 0,
        };
        self.exposed |= self.stopped && self.waiting > patience;
    }
}

pub fn room_name(room: usize) -> String {
    format!("room-{room}")
}

/// Members of each room that exists, from a list in no order.
fn by_number(exist: &[(String, usize)]) -> [Option<usize>; ROOMS] {
    let mut all = [None; ROOMS];
    for (name, members) in exist {
        let digit = name.bytes().last().expect("names are not empty");
        all[usize::from(digit - b'0')] = Some(*members);
    }
    all
}

/// The rooms of a set.
pub fn each(rooms: u8) -> impl Iterator<Item = usize> {
    (0..ROOMS).filter(move |room| rooms >> room & 1 != 0)
}
