//! The peers: all connections of the generator, on one thread with one poller. Each has an account
//! (`check`), which judges what comes; what ends without our doing is a fault unless the peer was
//! slow and the engine's policy is to disconnect.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, SockRef, Socket, Type};

use crate::check::Account;
use crate::plan::{self, Dice};
use crate::wire::{self, Said};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Down,
    Shaking,
    Open,
    /// It asked the host to close it.
    Parting,
    /// A close frame came, and was answered.
    Closed(u16),
}

pub struct Peer {
    stream: Option<TcpStream>,
    pub engine: usize,
    pub slow: bool,
    pub phase: Phase,
    pub account: Account,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
    /// Until then nothing is read.
    pub stalled: Option<Instant>,
    pub next_stall: Instant,
    pub echoes: (u64, u64),
    /// Since when something is missing of which the host has not been told.
    gap_since: Option<Instant>,
}

/// How long the host may be in the dark about a gap.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// How often things happened to peers.
#[derive(Default)]
pub struct Tally {
    pub opened: u64,
    pub frames: u64,
    pub bytes: u64,
    pub checked: u64,
    pub mail: u64,
    pub echoes: u64,
    pub relays: u64,
    pub thrown_out: u64,
    /// Thrown out, or jumped over something, and meant to keep up.
    pub too_slow_honest: u64,
    pub stalls: u64,
    pub byes: u64,
    pub cuts: u64,
    pub pings: u64,
}

pub struct Peers {
    poll: Poll,
    addresses: [SocketAddr; 2],
    pub all: Vec<Peer>,
    pub dice: Dice,
    pub tally: Tally,
    pub faults: Vec<String>,
    /// Connections that were not let in, or ended without our doing: nothing can be judged there.
    pub ended: Vec<String>,
    scratch: Vec<u8>,
    pub finishing: bool,
}

impl Peers {
    pub fn new(count: usize, addresses: [SocketAddr; 2]) -> io::Result<Self> {
        let now = Instant::now();
        let peer = |at: usize| Peer {
            stream: None,
            engine: at % 2,
            // One in twelve, on both engines.
            slow: (at / 2).is_multiple_of(12),
            phase: Phase::Down,
            account: Account::new(false),
            inbound: Vec::new(),
            outbound: Vec::new(),
            stalled: None,
            next_stall: now,
            echoes: (0, 0),
            gap_since: None,
        };
        Ok(Peers {
            poll: Poll::new()?,
            addresses,
            all: (0..count).map(peer).collect(),
            dice: Dice::new(7),
            tally: Tally::default(),
            faults: Vec::new(),
            ended: Vec::new(),
            scratch: vec![0; 256 * 1024],
            finishing: false,
        })
    }

    pub fn fault(&mut self, at: usize, text: &str) {
        let text = self.told(at, text);
        self.faults.push(text);
    }

    fn ended_early(&mut self, at: usize, text: &str) {
        let text = self.told(at, text);
        self.ended.push(text);
    }

    fn told(&self, at: usize, text: &str) -> String {
        let peer = &self.all[at];
        let (engine, slow) = (peer.engine, peer.slow);
        let text = format!("peer {at} of engine {engine}, slow: {slow}: {text}");
        if self.faults.len() + self.ended.len() < 40 {
            eprintln!("FAULT {text}");
        }
        text
    }

    /// Starts a connection; in its rooms it is from the first moment.
    pub fn connect(&mut self, at: usize) {
        let peer = &mut self.all[at];
        let mut rooms: Vec<u16> = match peer.slow {
            true => vec![self.dice.wide(), self.dice.room_to_join()],
            // A few members of these rooms are quick.
            false if at % 50 == 1 => vec![self.dice.wide()],
            false => (0..self.dice.below(3))
                .map(|_| self.dice.room_to_join())
                .collect(),
        };
        rooms.retain(|&room| plan::is_held(room));
        rooms.sort_unstable();
        rooms.dedup();
        let stream = match start(self.addresses[peer.engine], peer.slow) {
            Ok(stream) => stream,
            Err(error) => return self.fault(at, &format!("no connection: {error}")),
        };
        peer.account = Account::new(peer.engine == 1);
        rooms.iter().for_each(|&room| peer.account.joins(room));
        let listed: Vec<String> = rooms.iter().map(u16::to_string).collect();
        peer.inbound.clear();
        peer.outbound = wire::head(&format!("/soak?rooms={}", listed.join(","))).into_bytes();
        (peer.echoes, peer.stalled) = ((0, 0), None);
        peer.gap_since = None;
        peer.phase = Phase::Shaking;
        peer.next_stall = Instant::now() + Duration::from_millis(500 + self.dice.next() % 5_000);
        let stream = peer.stream.insert(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(stream, Token(at), both) {
            self.fault(at, &format!("no registration: {error}"));
        }
        // Over loopback the connection is often there already.
        self.write(at);
    }

    /// Cuts a connection, whatever it is owed, by a reset or by an end of the stream.
    pub fn cut(&mut self, at: usize, reset: bool) {
        self.tally.cuts += 1;
        self.check_gaps(at);
        let peer = &mut self.all[at];
        if let Some(stream) = peer.stream.as_ref().filter(|_| reset) {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        self.down(at);
    }

    fn down(&mut self, at: usize) {
        let peer = &mut self.all[at];
        peer.stream = None;
        peer.phase = Phase::Down;
        self.tally.checked += std::mem::take(&mut peer.account.checked);
    }

    pub fn say(&mut self, at: usize, text: &str) {
        let peer = &mut self.all[at];
        match self.dice.percent(10) {
            false => wire::push(&mut peer.outbound, 0x80 | wire::TEXT, text.as_bytes()),
            true => {
                let (first, last) = text.as_bytes().split_at(text.len() / 2);
                wire::push(&mut peer.outbound, wire::TEXT, first);
                wire::push(&mut peer.outbound, 0x80, last);
            }
        }
        self.write(at);
    }

    /// Asks to join a room.
    pub fn join(&mut self, at: usize, room: u16) {
        self.all[at].account.joins(room);
        self.say(at, &format!("join {room}"));
    }

    /// Asks to leave a room that it is in.
    pub fn leave(&mut self, at: usize, room: u16) {
        self.all[at].account.leaves(room);
        self.say(at, &format!("leave {room}"));
    }

    /// What it has missed must have been told to the host before long.
    fn check_gaps(&mut self, at: usize) {
        let peer = &mut self.all[at];
        let gap = peer.account.unexplained();
        let since = gap
            .as_ref()
            .map(|_| peer.gap_since.unwrap_or_else(Instant::now));
        peer.gap_since = since;
        if let (Some(gap), Some(since)) = (gap, since)
            && since.elapsed() > TOLD_WITHIN
        {
            self.fault(at, &gap);
            self.all[at].account = Account::new(true);
        }
    }

    pub fn bye(&mut self, at: usize) {
        self.tally.byes += 1;
        self.all[at].phase = Phase::Parting;
        self.say(at, "bye");
    }

    fn write(&mut self, at: usize) {
        let peer = &mut self.all[at];
        let Some(stream) = &mut peer.stream else {
            return;
        };
        while !peer.outbound.is_empty() {
            match stream.write(&peer.outbound) {
                Ok(written) => drop(peer.outbound.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What is broken shows when it is read.
                Err(_) => return,
            }
        }
    }

    /// Looks whether gaps are old that nobody was told of; now and then, for everybody.
    pub fn check_all_gaps(&mut self) {
        (0..self.all.len()).for_each(|at| self.check_gaps(at));
    }

    /// Waits for what comes, for so long at most, and judges it.
    pub fn turn(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        if let Err(error) = self.poll.poll(events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error);
        }
        for event in events.iter() {
            let at = event.token().0;
            if event.is_writable() {
                self.write(at);
            }
            self.read(at);
        }
        Ok(())
    }

    /// Reads all that is there, unless the peer is stalled: then it is read when that is over.
    pub fn read(&mut self, at: usize) {
        if self.all[at].stalled.is_some() {
            return;
        }
        loop {
            let peer = &mut self.all[at];
            let Some(stream) = &mut peer.stream else {
                return;
            };
            match stream.read(&mut self.scratch) {
                Ok(0) => return self.ended(at, "the end of its stream"),
                Ok(read) => {
                    self.tally.bytes += read as u64;
                    peer.inbound.extend_from_slice(&self.scratch[..read]);
                    self.take(at);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::NotConnected => return,
                Err(error) => return self.ended(at, &error.to_string()),
            }
        }
    }

    fn ended(&mut self, at: usize, how: &str) {
        let peer = &self.all[at];
        let may_be_thrown_out = peer.slow && peer.engine == 0;
        match peer.phase {
            Phase::Closed(1000) => {}
            Phase::Closed(4008) => self.tally.thrown_out += 1,
            Phase::Open | Phase::Parting if may_be_thrown_out => self.tally.thrown_out += 1,
            phase => self.ended_early(at, &format!("{how} in {phase:?}")),
        }
        self.down(at);
        if !self.finishing {
            self.connect(at);
        }
    }

    /// Judges the whole frames that have come.
    fn take(&mut self, at: usize) {
        let inbound = std::mem::take(&mut self.all[at].inbound);
        let mut rest = &inbound[..];
        if self.all[at].phase == Phase::Shaking {
            let Some(end) = inbound.windows(4).position(|four| four == b"\r\n\r\n") else {
                self.all[at].inbound = inbound;
                return;
            };
            if !inbound.starts_with(b"HTTP/1.1 101 ") {
                let head = String::from_utf8_lossy(&inbound[..end]).into_owned();
                let status = head.lines().next().unwrap_or_default();
                self.ended_early(at, &format!("not let in: {status}"));
                self.cut(at, true);
                if !self.finishing {
                    self.connect(at);
                }
                return;
            }
            self.tally.opened += 1;
            self.all[at].phase = Phase::Open;
            rest = &inbound[end + 4..];
        }
        while let Some(frame) = wire::frame(rest) {
            self.tally.frames += 1;
            let payload = &rest[frame.start..frame.end];
            let verdict = match frame.opcode {
                wire::PING => self.pong(at, payload),
                wire::CLOSE => self.closed(at, payload),
                _ => self.judge(at, payload),
            };
            if let Err(text) = verdict {
                self.fault(at, &text);
                // One breach brings others; a new connection begins a new account.
                self.cut(at, true);
                if !self.finishing {
                    self.connect(at);
                }
                return;
            }
            rest = &rest[frame.end..];
        }
        let rest = rest.len();
        let mut inbound = inbound;
        inbound.drain(..inbound.len() - rest);
        self.all[at].inbound = inbound;
    }

    fn pong(&mut self, at: usize, payload: &[u8]) -> Result<(), String> {
        self.tally.pings += 1;
        wire::push(&mut self.all[at].outbound, 0x80 | wire::PONG, payload);
        self.write(at);
        Ok(())
    }

    fn closed(&mut self, at: usize, payload: &[u8]) -> Result<(), String> {
        let code = payload
            .first_chunk()
            .map_or(1005, |code| u16::from_be_bytes(*code));
        let peer = &mut self.all[at];
        let parted = peer.phase == Phase::Closed(0) && code == 1000;
        let thrown_out = peer.engine == 0 && code == 4008;
        self.tally.too_slow_honest += u64::from(thrown_out && !peer.slow);
        if !parted && !thrown_out {
            let text = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
            return Err(format!("closed with {code} {text} in {:?}", peer.phase));
        }
        peer.phase = Phase::Closed(code);
        wire::push(&mut peer.outbound, 0x80 | wire::CLOSE, &code.to_be_bytes());
        self.write(at);
        Ok(())
    }

    fn judge(&mut self, at: usize, payload: &[u8]) -> Result<(), String> {
        let said = Said::read(payload).ok_or("a payload that nobody wrote")?;
        let peer = &mut self.all[at];
        match said {
            Said::Published { by, nth, places } => peer.account.published(by, nth, &places),
            Said::Joined(room, base) => peer.account.joined(room, base),
            Said::Left(room, low, high) => peer.account.left(room, low, high),
            Said::Relayed(room, nth) => {
                self.tally.relays += 1;
                peer.account.relayed(room, nth)
            }
            Said::Mail(nth) => {
                self.tally.mail += 1;
                peer.account.mail(nth)
            }
            Said::All(nth) => peer.account.all(nth),
            Said::Missed(room, told) => {
                self.tally.too_slow_honest += u64::from(!peer.slow);
                peer.account.missed(room, told)
            }
            Said::Echo(nth) => {
                peer.echoes.1 += 1;
                self.tally.echoes += 1;
                match nth == peer.echoes.1 {
                    true => Ok(()),
                    false => Err(format!("answer {nth}, not {}", peer.echoes.1)),
                }
            }
            Said::Bye { mail, places } => {
                if peer.phase != Phase::Parting || peer.echoes.0 != peer.echoes.1 {
                    return Err(format!("bye in {:?}, echoes {:?}", peer.phase, peer.echoes));
                }
                peer.phase = Phase::Closed(0);
                peer.account.bye(mail, &places)?;
                let overstated = peer.account.overstated(|room| !plan::has_unions(room));
                peer.account
                    .unexplained()
                    .or(overstated)
                    .map_or(Ok(()), Err)
            }
        }
    }
}

/// Begins to connect. Slow peers have small buffers, so that soon the engine has to wait.
fn start(to: SocketAddr, slow: bool) -> io::Result<TcpStream> {
    if !slow {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        return Ok(stream);
    }
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_recv_buffer_size(8 * 1024)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(115) => return Err(error),
        _ => {}
    }
    Ok(TcpStream::from_std(socket.into()))
}
