//! The connections of a shard: a socket, a reader and a phase in each slot.
//!
//! In: slots. Out: places in dense arrays, since the walk over a group's members touches nothing
//! of a connection but its socket. Knows no rooms. Shard thread.

use super::net::Net;
use super::timers::NEVER;
use crate::address::Sender;
use crate::close::CloseReason;
use crate::request::Request;
use crate::sync::Arc;
use crate::transport::http::Deflate;
use crate::transport::ws::Reader;

/// How far a connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The slot is free.
    #[default]
    Free,
    /// Its HTTP head is being read.
    Head,
    /// Its WebSocket is open, for it to say who it is in its first message.
    Proving,
    /// The host decides on it.
    Deciding,
    /// A WebSocket.
    Open,
    /// It was given its last frame or response, which is on its way.
    Closing,
    /// All was sent, and the end of our stream; what the peer still sends is thrown away.
    Lingering,
    /// Ended; its slot is freed at the end of the turn.
    Dead,
}

/// On the list of sockets to read.
pub(super) const READY: u16 = 1;
/// Has bytes that are not read for now; the edge of its readiness is spent.
pub(super) const UNREAD: u16 = 2;
/// Was sent a ping and has not been heard since.
pub(super) const PINGED: u16 = 4;
/// The host was told that it opened, so it will be told that it closed.
pub(super) const TOLD: u16 = 8;
/// The peer has sent a close frame: when ours is out, the socket is closed.
pub(super) const PEER_CLOSED: u16 = 16;
/// Over `connections_max`: its request will be answered with 503.
pub(super) const OVER: u16 = 32;
/// One too many from its address: its request will be answered with 429.
pub(super) const CROWD: u16 = 128;
/// The peer has ended its stream: to be read to the end, since no edge will tell of it again.
pub(super) const ENDED: u16 = 64;

/// It was sent a ping: the next pong of its counts against no rate.
pub(super) const AWAITED: u16 = 256;
/// It said more than it may, and is about to be closed: what it says is not looked at.
pub(super) const CUT: u16 = 512;

/// It came through a listener on which nothing is compressed.
pub(super) const PLAIN: u16 = 1024;
/// It begins with a PROXY header, which has not come whole.
pub(super) const PROXIED: u16 = 2048;

/// It is to speak TLS as soon as its PROXY header, if it has one, is over.
pub(super) const SECURED: u16 = 4096;

/// Its 101 is out already: it is turned away with a close frame.
pub(super) const SWITCHED: u16 = 8192;

/// What is kept of a connection until it is open.
#[derive(Default)]
pub(super) struct Hello {
    pub(super) bytes: Vec<u8>,
    pub(super) request: Option<Arc<Request>>,
    /// What was agreed on of permessage-deflate where the 101 is out already.
    pub(super) deflate: Option<Deflate>,
    /// The other end, by the socket or by its PROXY header.
    pub(super) sender: Sender,
}

pub(super) struct Conn {
    pub(super) phase: Phase,
    pub(super) flags: u16,
    pub(super) reader: Reader,
    pub(super) hello: Option<Box<Hello>>,
    pub(super) reason: Option<Box<CloseReason>>,
    /// Ticks: when it was last heard; when it last sent a message; when its phase began.
    pub(super) heard: u32,
    pub(super) spoke: u32,
    /// The tick of its entry in the wheel.
    pub(super) timer: u32,
}

impl Conn {
    fn new() -> Self {
        Conn {
            phase: Phase::Free,
            flags: 0,
            reader: Reader::new(),
            hello: None,
            reason: None,
            heard: 0,
            spoke: 0,
            timer: NEVER,
        }
    }

    /// Whether it is in its handshake.
    pub(super) fn shakes_hands(&self) -> bool {
        matches!(self.phase, Phase::Head | Phase::Proving | Phase::Deciding)
    }

    pub(super) fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// A slot's place in a table that grows by an eighth, not by doubling.
pub(super) fn place<T: Default + Clone>(table: &mut Vec<T>, slot: u32) -> &mut T {
    let at = slot as usize;
    if at >= table.len() {
        if at >= table.capacity() {
            let more = (table.len() / 8).max(1024).max(at + 1 - table.len());
            table.reserve_exact(more);
        }
        table.resize(at + 1, T::default());
    }
    &mut table[at]
}

pub(super) struct Conns<N: Net> {
    pub(super) sockets: Vec<Option<N::Socket>>,
    pub(super) all: Vec<Conn>,
    free: Vec<u32>,
}

impl<N: Net> Conns<N> {
    pub(super) fn new() -> Self {
        Conns {
            sockets: Vec::new(),
            all: Vec::new(),
            free: Vec::new(),
        }
    }

    /// A slot for a new connection; its socket is still to come.
    pub(super) fn take_slot(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        if self.all.len() == self.all.capacity() {
            let more = (self.all.len() / 8).max(1024);
            self.all.reserve_exact(more);
            self.sockets.reserve_exact(more);
        }
        self.all.push(Conn::new());
        self.sockets.push(None);
        (self.all.len() - 1) as u32
    }

    /// Frees the slot, whose socket was closed.
    pub(super) fn free(&mut self, slot: u32) {
        self.sockets[slot as usize] = None;
        self.all[slot as usize] = Conn::new();
        self.free.push(slot);
    }

    /// Bytes of the tables, free places included.
    pub(super) fn bytes(&self) -> usize {
        self.all.capacity() * size_of::<Conn>()
            + self.sockets.capacity() * size_of::<Option<N::Socket>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// Connections, in whatever phase.
    pub(super) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }

    pub(super) fn at(&mut self, slot: u32) -> &mut Conn {
        &mut self.all[slot as usize]
    }
}
