//! The attacker: so many peers that each say a load's words, again and again, and come back when
//! they are cut.
//!
//! In: a load and the server's address. Out: octets, in small steps between the honest members'
//! turns, since both share a core. Generator thread.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use crate::loads::{Load, Then};
use crate::net::{self, Flags, Watch};

/// Octets of one write: few, so that a step ends in time.
const PIECE: usize = 16 * 1024;
/// Ports of a source address, below those that the kernel hands out.
const FIRST_PORT: u16 = 10_000;
const PORTS: usize = 20_000;

struct Peer {
    socket: TcpStream,
    /// Octets of the load's hello and body that are out.
    out: usize,
}

pub struct Attack<'a> {
    load: &'a Load,
    server: SocketAddr,
    /// The third octet of the source addresses.
    from: u8,
    peers: Vec<Option<Peer>>,
    watch: Watch,
    ready: Vec<(usize, Flags)>,
    /// Peers that are to connect, and when those that drip are due.
    absent: Vec<usize>,
    drips: VecDeque<(Instant, usize)>,
    sink: Vec<u8>,
    /// How many peers there were in all.
    pub came: usize,
}

impl<'a> Attack<'a> {
    pub fn new(load: &'a Load, server: SocketAddr, from: u8) -> std::io::Result<Attack<'a>> {
        Ok(Attack {
            load,
            server,
            from,
            peers: (0..load.peers).map(|_| None).collect(),
            watch: Watch::new(64)?,
            ready: Vec::new(),
            absent: (0..load.peers).rev().collect(),
            drips: VecDeque::new(),
            sink: vec![0; 64 * 1024],
            came: 0,
        })
    }

    /// Goes on with the load for about so long.
    pub fn step(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.ready.is_empty() {
                self.watch.ready(&mut self.ready);
            }
            // What is left over is done in the next step: an edge is told once.
            let told = self.ready.pop();
            if let Some((n, flags)) = told {
                self.on_ready(n, flags);
            }
            let came = self.come();
            let dripped = self.drip();
            if told.is_none() && !came && !dripped {
                return;
            }
        }
    }

    /// A new port for each, and a new address when all ports were used.
    fn source(&self) -> SocketAddrV4 {
        let (house, port) = (self.came / PORTS, self.came % PORTS);
        let address = Ipv4Addr::new(127, 9, self.from, 2 + house as u8);
        SocketAddrV4::new(address, FIRST_PORT + port as u16)
    }

    /// One of the absent connects.
    fn come(&mut self) -> bool {
        if self.came >= self.load.peers_max {
            return false;
        }
        let Some(n) = self.absent.pop() else {
            return false;
        };
        let Ok(socket) = net::connect(self.source(), self.server) else {
            self.absent.push(n);
            return false;
        };
        let mut flags = Flags::RDHUP;
        if self.load.reads {
            flags |= Flags::IN;
        }
        match self.load.drips {
            Some(_) => self.drips.push_back((Instant::now(), n)),
            None if self.load.says_nothing() => {}
            None => flags |= Flags::OUT,
        }
        if self.load.is_said_once() && !self.load.reads {
            // Its last write is followed by silence, which a level would tell all the time.
            flags |= Flags::ET;
        }
        if self.watch.add(&socket, n, flags).is_err() {
            return false;
        }
        self.came += 1;
        self.peers[n] = Some(Peer { socket, out: 0 });
        true
    }

    fn on_ready(&mut self, n: usize, flags: Flags) {
        if flags.intersects(Flags::HUP | Flags::ERR | Flags::RDHUP) {
            return self.part(n);
        }
        if flags.contains(Flags::IN) {
            let Some(peer) = &mut self.peers[n] else {
                return;
            };
            if matches!(peer.socket.read(&mut self.sink), Ok(1..))
                && self.load.then == Then::PartWhenAnswered
            {
                return self.part(n);
            }
        }
        if flags.contains(Flags::OUT) && self.load.drips.is_none() {
            while self.say(n, PIECE) && self.load.is_said_once() {}
        }
    }

    /// The peer goes, and another comes in its place.
    fn part(&mut self, n: usize) {
        if self.peers[n].take().is_some() {
            self.absent.push(n);
        }
    }

    /// Writes so many octets more; false when the socket took none, or all is said.
    fn say(&mut self, n: usize, octets: usize) -> bool {
        let Some(peer) = &mut self.peers[n] else {
            return false;
        };
        let (hello, body) = (&self.load.hello, &self.load.body);
        let rest = match peer.out.checked_sub(hello.len()) {
            None => &hello[peer.out..],
            Some(_) if body.is_empty() => &[],
            Some(over) if self.load.then == Then::Again => &body[over % body.len()..],
            Some(over) => &body[over.min(body.len())..],
        };
        if rest.is_empty() {
            if self.load.then == Then::Part {
                self.part(n);
            }
            return false;
        }
        match peer.socket.write(&rest[..rest.len().min(octets)]) {
            Ok(wrote) => {
                peer.out += wrote;
                wrote > 0
            }
            Err(error) => {
                if !matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::NotConnected
                ) {
                    self.part(n);
                }
                false
            }
        }
    }

    /// The next octet of the peer whose turn it is.
    fn drip(&mut self) -> bool {
        let Some(&(due, n)) = self.drips.front() else {
            return false;
        };
        let now = Instant::now();
        if now < due {
            return false;
        }
        self.drips.pop_front();
        self.say(n, 1);
        if let (Some(each), true) = (self.load.drips, self.peers[n].is_some()) {
            self.drips.push_back((now + each, n));
        }
        true
    }
}
