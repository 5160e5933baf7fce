//! Synthetic users: WebSocket clients on one thread, which join a board and move their cursors.
//!
//! In: orders (add so many, remove them). Out: real connections over loopback. They know nothing
//! of the host but its address. Their moves come in ticks, as those of a game would, and all of
//! them together stay within `MOVES_PER_SECOND`, since each move goes to everybody.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::dice::Dice;
use crate::lines::PLACE_MAX;

const TICK: Duration = Duration::from_millis(25);
const MOVES_PER_SECOND: f32 = 1_000.0;
const MOVES_PER_USER: f32 = 8.0;
const CONNECTS_PER_TICK: usize = 8;
const USERS_MAX: usize = 900;
/// Open files that are left to everything else.
const FILES_SPARED: usize = 200;
/// Where the system does not say how many files may be open.
const USERS_MAX_UNKNOWN: usize = 100;
const HEAD_BYTES_MAX: usize = 4_096;
const READ_BYTES: usize = 64 * 1024;

/// What the board asks for.
pub enum Order {
    Add { board: &'static str, count: usize },
    Remove,
}

/// How many there are, for whoever asks.
#[derive(Default)]
pub struct Head {
    pub count: AtomicUsize,
    most: std::sync::OnceLock<usize>,
}

impl Head {
    /// How many there may be: each takes two of the process's open files.
    pub fn most(&self) -> usize {
        *self.most.get_or_init(|| match open_files_max() {
            Some(files) => (files.saturating_sub(FILES_SPARED) / 2).min(USERS_MAX),
            None => USERS_MAX_UNKNOWN,
        })
    }
}

fn open_files_max() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

pub struct Crowd {
    address: SocketAddr,
    orders: Receiver<Order>,
    head: Arc<Head>,
    poll: Poll,
    users: Slab<User>,
    /// How many are still to come, and onto which board.
    wanted: (usize, &'static str),
    next_tick: Instant,
    /// Where in the slab the next tick goes on, and the moves it is owed (a fraction stays).
    turn: usize,
    owed: f32,
    dice: Dice,
    buffer: Box<[u8]>,
}

impl Crowd {
    pub fn new(address: SocketAddr, orders: Receiver<Order>, head: Arc<Head>) -> io::Result<Self> {
        Ok(Crowd {
            address,
            orders,
            head,
            poll: Poll::new()?,
            users: Slab::new(),
            wanted: (0, ""),
            next_tick: Instant::now(),
            turn: 0,
            owed: 0.0,
            dice: Dice::new(),
            buffer: vec![0; READ_BYTES].into(),
        })
    }

    /// Until nobody can give orders any more.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        while self.take_orders() {
            let wait = self.next_tick.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            for event in &events {
                self.read(event.token().0, event.is_read_closed());
            }
            let now = Instant::now();
            if now >= self.next_tick {
                self.next_tick = now.max(self.next_tick + TICK);
                self.connect();
                self.move_some(now);
            }
            self.head.count.store(self.users.len(), Ordering::Relaxed);
        }
    }

    /// Sleeps here while there is nobody to move; false when there will be no orders any more.
    fn take_orders(&mut self) -> bool {
        loop {
            let idle = self.users.is_empty() && self.wanted.0 == 0;
            let order = match idle {
                true => self.orders.recv().map_err(|_| TryRecvError::Disconnected),
                false => self.orders.try_recv(),
            };
            match order {
                Ok(Order::Add { board, count }) => {
                    let place = self.head.most().saturating_sub(self.users.len());
                    self.wanted = ((self.wanted.0 + count).min(place), board);
                }
                Ok(Order::Remove) => {
                    self.wanted.0 = 0;
                    for mut user in self.users.drain() {
                        let _ = user.send(0x8, &1000u16.to_be_bytes(), &mut self.dice);
                    }
                    self.head.count.store(0, Ordering::Relaxed);
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn connect(&mut self) {
        for _ in 0..self.wanted.0.min(CONNECTS_PER_TICK) {
            self.wanted.0 -= 1;
            let made = User::connect(self.address, self.wanted.1, &mut self.dice);
            let entry = self.users.vacant_entry();
            let registered = made.and_then(|mut user| {
                let (token, readable) = (Token(entry.key()), Interest::READABLE);
                self.poll
                    .registry()
                    .register(&mut user.stream, token, readable)?;
                Ok(user)
            });
            match registered {
                Ok(user) => {
                    entry.insert(user);
                }
                // No more files or ports: those who are here stay.
                Err(_) => self.wanted.0 = 0,
            }
        }
    }

    fn move_some(&mut self, now: Instant) {
        let count = self.users.len();
        let per_second = (count as f32 * MOVES_PER_USER).min(MOVES_PER_SECOND);
        self.owed = (self.owed + per_second * TICK.as_secs_f32()).min(count as f32);
        for _ in 0..self.users.capacity() {
            if self.owed < 1.0 {
                return;
            }
            self.turn = (self.turn + 1) % self.users.capacity();
            let Some(user) = self.users.get_mut(self.turn) else {
                continue;
            };
            self.owed -= 1.0;
            if user.step(now, &mut self.dice).is_err() {
                self.users.remove(self.turn);
            }
        }
    }

    fn read(&mut self, key: usize, closing: bool) {
        let Some(user) = self.users.get_mut(key) else {
            return;
        };
        loop {
            let gone = match user.stream.read(&mut self.buffer) {
                Ok(0) => true,
                Ok(n) => {
                    let (bytes, full) = (&self.buffer[..n], n == self.buffer.len());
                    let heard = user.hear(bytes, &mut self.dice);
                    // A short read has emptied the socket: no need to hear that from the kernel.
                    if heard.is_ok() && !full && !closing {
                        return;
                    }
                    heard.is_err()
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => error.kind() != ErrorKind::Interrupted,
            };
            if gone {
                self.users.remove(key);
                return;
            }
        }
    }
}

/// One client: its socket, what it has half read, and where it walks.
struct User {
    stream: TcpStream,
    open: bool,
    /// A head, a frame header or a control frame that has not arrived whole.
    held: Vec<u8>,
    /// Payload bytes still to pass over.
    skip: u64,
    walk: Walk,
}

impl User {
    /// Connects and asks for the WebSocket. Loopback takes both at once.
    fn connect(address: SocketAddr, board: &str, dice: &mut Dice) -> io::Result<User> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream);
        let head = format!(
            "GET /ws?synthetic=1&board={board} HTTP/1.1\r\nHost: {address}\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {}\r\n\r\n",
            tungstenite::handshake::client::generate_key()
        );
        stream.write_all(head.as_bytes())?;
        Ok(User {
            stream,
            open: false,
            held: Vec::new(),
            skip: 0,
            walk: Walk::new(dice),
        })
    }

    /// Walks on, and says where it is now; while it rests it says nothing.
    fn step(&mut self, now: Instant, dice: &mut Dice) -> io::Result<()> {
        if !self.open || !self.walk.step(now, dice) {
            return Ok(());
        }
        let line = format!("m {} {}", self.walk.x as u16, self.walk.y as u16);
        self.send(0x1, line.as_bytes(), dice)
    }

    /// Sends a masked frame of at most 125 bytes, whole or not at all.
    fn send(&mut self, opcode: u8, payload: &[u8], dice: &mut Dice) -> io::Result<()> {
        debug_assert!(payload.len() <= 125);
        let mask = (dice.roll() as u32).to_ne_bytes();
        let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8];
        frame.extend_from_slice(&mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        frame.extend(masked.map(|(byte, key)| byte ^ key));
        match self.stream.write(&frame) {
            Ok(n) if n == frame.len() => Ok(()),
            Ok(_) => Err(ErrorKind::WriteZero.into()),
            // The host does not read now; the next move will do as well.
            Err(error) if error.kind() == ErrorKind::WouldBlock && opcode == 0x1 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes what came; an error ends the connection.
    fn hear(&mut self, mut bytes: &[u8], dice: &mut Dice) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let n = bytes
                    .len()
                    .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                self.skip -= n as u64;
                bytes = &bytes[n..];
                continue;
            }
            self.held.push(bytes[0]);
            bytes = &bytes[1..];
            match self.open {
                true => self.hear_frame(dice)?,
                false => self.hear_head()?,
            }
        }
        Ok(())
    }

    fn hear_head(&mut self) -> io::Result<()> {
        if self.held.ends_with(b"\r\n\r\n") {
            self.open = self.held.starts_with(b"HTTP/1.1 101 ");
            self.held.clear();
            return match self.open {
                true => Ok(()),
                false => Err(ErrorKind::ConnectionRefused.into()),
            };
        }
        match self.held.len() > HEAD_BYTES_MAX {
            true => Err(ErrorKind::InvalidData.into()),
            false => Ok(()),
        }
    }

    /// Passes over data, answers a ping, ends on a close frame.
    fn hear_frame(&mut self, dice: &mut Dice) -> io::Result<()> {
        let &[opcode, short, ref rest @ ..] = self.held.as_slice() else {
            return Ok(());
        };
        let long = match short & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if rest.len() < long {
            return Ok(());
        }
        let length = match long {
            0 => u64::from(short & 0x7f),
            _ => rest[..long]
                .iter()
                .fold(0, |n, byte| n << 8 | u64::from(*byte)),
        };
        match opcode & 0xf {
            0x8 => return Err(ErrorKind::ConnectionAborted.into()),
            0x9 if (rest.len() as u64) < length => return Ok(()),
            0x9 => {
                let payload = rest.to_vec();
                self.send(0xa, &payload, dice)?;
            }
            _ => self.skip = length,
        }
        self.held.clear();
        Ok(())
    }
}

/// A way over the board: to a place at some speed, a rest, to the next place.
struct Walk {
    x: f32,
    y: f32,
    to: (f32, f32),
    speed: f32,
    last: Instant,
    rest_until: Instant,
}

impl Walk {
    fn new(dice: &mut Dice) -> Self {
        let edge = f32::from(PLACE_MAX);
        let now = Instant::now();
        let mut walk = Walk {
            x: dice.share() * edge,
            y: dice.share() * edge,
            to: (0.0, 0.0),
            speed: 0.0,
            last: now,
            rest_until: now,
        };
        walk.choose(dice);
        walk
    }

    fn choose(&mut self, dice: &mut Dice) {
        let edge = f32::from(PLACE_MAX);
        self.to = (dice.share() * edge, dice.share() * edge);
        self.speed = 900.0 + 2_600.0 * dice.share();
    }

    /// True when it moved.
    fn step(&mut self, now: Instant, dice: &mut Dice) -> bool {
        let seconds = now.duration_since(self.last).as_secs_f32().min(1.0);
        self.last = now;
        if now < self.rest_until {
            return false;
        }
        let (dx, dy) = (self.to.0 - self.x, self.to.1 - self.y);
        let left = dx.hypot(dy);
        // Slower towards the end, as a hand is.
        let way = (self.speed * (left / 1_500.0).clamp(0.25, 1.0) * seconds).min(left);
        if left < 40.0 {
            self.rest_until = now + Duration::from_secs_f32(0.2 + 1.6 * dice.share());
            self.choose(dice);
            return false;
        }
        self.x += dx / left * way;
        self.y += dy / left * way;
        true
    }
}
