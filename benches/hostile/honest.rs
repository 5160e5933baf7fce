//! The honest members: rooms of equal size, one member of each says something at a fixed rate.
//!
//! In: the server's address. Out: how long each message took to each member, and whether all came
//! once and in order. What is measured begins at the member who speaks, so a server that does not
//! read, host, or write in time shows. Generator thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use crate::net::{self, Flags, Watch, now_ns};
use crate::plan::Plan;

/// Payload of a message: `s`, its number, when it was sent, and padding.
const PAYLOAD: usize = 100;
const FRAME: usize = PAYLOAD + 2;
/// How long the setup or the last messages may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Member {
    socket: TcpStream,
    /// Of a frame that came in part.
    rest: Vec<u8>,
    expected: u64,
}

pub struct Honest {
    members: Vec<Member>,
    watch: Watch,
    ready: Vec<(usize, Flags)>,
    chunk: Vec<u8>,
    /// Members of each room; the first of them speaks.
    room_size: usize,
    said: Vec<u64>,
    next_room: usize,
    next_ns: u64,
    interval_ns: u64,
    /// Nanoseconds from saying to hearing.
    pub latencies: Vec<u64>,
    faults: Vec<String>,
}

pub fn upgrade(path: &str) -> Vec<u8> {
    format!(
        "GET /{path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// The `n`th member joins a room, from an address that it shares with nine others.
fn join(address: SocketAddr, n: usize, room: usize) -> io::Result<Member> {
    let house = n / 10;
    let from = Ipv4Addr::new(127, 1, (house / 200) as u8, (1 + house % 200) as u8);
    let from = SocketAddrV4::new(from, 10_000 + (n % 10) as u16);
    let mut socket = net::connect(from, address)?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&upgrade(&format!("honest-{room}")))?;
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut octet)?;
        head.push(octet[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other("an honest member was refused"));
    }
    socket.set_nonblocking(true)?;
    Ok(Member {
        socket,
        rest: Vec::new(),
        expected: 0,
    })
}

/// The first frame, when it is whole; none is longer than a header of two octets says.
fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*bytes.get(1)?);
    bytes.get(..2 + length)
}

impl Honest {
    pub fn join(address: SocketAddr, plan: &Plan) -> io::Result<Honest> {
        let watch = Watch::new(256)?;
        let mut members = Vec::new();
        for n in 0..plan.rooms * plan.room_size {
            let member = join(address, n, n / plan.room_size)?;
            watch.add(&member.socket, n, Flags::IN)?;
            members.push(member);
        }
        Ok(Honest {
            members,
            watch,
            ready: Vec::new(),
            chunk: vec![0; 64 * 1024],
            room_size: plan.room_size,
            said: vec![0; plan.rooms],
            next_room: 0,
            next_ns: now_ns(),
            interval_ns: 1_000_000_000 / (plan.rate * plan.rooms as u64),
            latencies: Vec::new(),
            faults: Vec::new(),
        })
    }

    /// Says what is due.
    pub fn speak(&mut self) {
        let now = now_ns();
        if now < self.next_ns {
            return;
        }
        self.next_ns = (self.next_ns + self.interval_ns).max(now - self.interval_ns);
        let room = self.next_room;
        self.next_room = (room + 1) % self.said.len();
        let mut payload = [b'.'; PAYLOAD];
        payload[0] = b's';
        payload[1..9].copy_from_slice(&self.said[room].to_be_bytes());
        payload[9..17].copy_from_slice(&now.to_be_bytes());
        // Masked by zeroes.
        let mut frame = vec![0x82, 0x80 | PAYLOAD as u8, 0, 0, 0, 0];
        frame.extend_from_slice(&payload);
        match self.members[room * self.room_size].socket.write(&frame) {
            Ok(n) if n == frame.len() => self.said[room] += 1,
            other => self.fault(format!("room {room} could not be spoken to: {other:?}")),
        }
    }

    /// Hears what is there; true when there was something.
    pub fn hear(&mut self) -> bool {
        let mut ready = std::mem::take(&mut self.ready);
        self.watch.ready(&mut ready);
        for &(n, _) in &ready {
            self.read(n);
        }
        let any = !ready.is_empty();
        self.ready = ready;
        any
    }

    fn read(&mut self, n: usize) {
        let member = &mut self.members[n];
        let read = match member.socket.read(&mut self.chunk) {
            Ok(0) => Err(ErrorKind::UnexpectedEof),
            Ok(read) => Ok(read),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => return,
                other => Err(other),
            },
        };
        let now = now_ns();
        let read = match read {
            Ok(read) => read,
            Err(kind) => {
                // Else its end would be ready for ever.
                let _ = member.socket.shutdown(std::net::Shutdown::Both);
                return self.fault(format!("member {n} was lost: {kind}"));
            }
        };
        let mut bytes = std::mem::take(&mut member.rest);
        bytes.extend_from_slice(&self.chunk[..read]);
        let taken = self.take(n, &bytes, now);
        bytes.drain(..taken);
        self.members[n].rest = bytes;
    }

    /// Takes whole frames; gives how many octets they were.
    fn take(&mut self, n: usize, bytes: &[u8], now: u64) -> usize {
        let mut at = 0;
        while let Some(frame) = first_frame(&bytes[at..]) {
            at += frame.len();
            match frame[0] {
                0x82 if frame.len() == FRAME => self.hear_one(n, &frame[2..], now),
                // A ping, empty as the engine's are; the answer is as empty.
                0x89 => drop(self.members[n].socket.write(&[0x8a, 0x80, 0, 0, 0, 0])),
                other => self.fault(format!("member {n} got a frame {other:#x}")),
            }
        }
        at
    }

    fn hear_one(&mut self, n: usize, payload: &[u8], now: u64) {
        let number = u64::from_be_bytes(payload[1..9].try_into().expect("eight octets"));
        let sent = u64::from_be_bytes(payload[9..17].try_into().expect("eight octets"));
        let expected = self.members[n].expected;
        if number != expected {
            self.fault(format!("member {n} got {number} for {expected}"));
        }
        self.members[n].expected = number + 1;
        self.latencies.push(now.saturating_sub(sent));
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < 5 {
            self.faults.push(text);
        }
    }

    /// Waits for what is on its way, doing `meanwhile` too; gives what went wrong in all.
    pub fn finish(&mut self, mut meanwhile: impl FnMut()) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        while self.missing() > 0 && self.faults.is_empty() && Instant::now() < until {
            self.hear();
            meanwhile();
        }
        let missing = self.missing();
        if missing > 0 {
            self.fault(format!("{missing} messages did not arrive"));
        }
        std::mem::take(&mut self.faults)
    }

    fn missing(&self) -> u64 {
        let owed = |n: usize| self.said[n / self.room_size];
        let members = self.members.iter().enumerate();
        members
            .map(|(n, m)| owed(n).saturating_sub(m.expected))
            .sum()
    }
}
