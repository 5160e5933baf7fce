//! The yardstick's connections: 32 bytes each in an array by descriptor, and side tables for the
//! few that hold half a frame or bytes that their socket refused. In go bytes to send, out come
//! descriptors to drop. Must never know frames or rooms beyond their numbers. One thread.

use std::collections::HashMap;
use std::io;

use roomcast_fanout::sys::{self, Epoll, Fd, READ, Stop, WRITE};

/// How many rooms one connection may list.
pub const ROOMS_MAX: usize = 3;
/// A peer that lets more than this pile up is dropped.
const HELD_BYTES_MAX: usize = 4 << 20;

#[derive(Clone, Default)]
pub struct Link {
    /// Its rooms, the one that it publishes to first.
    pub rooms: [u32; ROOMS_MAX],
    /// Where it stands among the members of each.
    pub slots: [u32; ROOMS_MAX],
    /// The turn in which it was last sent to (gather only).
    pub stamp: u32,
    pub count: u8,
    pub state: State,
    /// Publishes to others only.
    pub skip: bool,
    /// Has bytes in `Links::held`.
    pub blocked: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Free,
    /// Has not sent a whole head.
    Greeting,
    Open,
    /// To be dropped at the end of the turn.
    Doomed,
}

pub struct Links {
    pub epoll: Epoll,
    all: Vec<Link>,
    /// Bytes that came without the rest of their frame.
    halves: HashMap<Fd, Vec<u8>>,
    held: HashMap<Fd, Vec<u8>>,
    pub doomed: Vec<Fd>,
    /// Those that became blocked or unblocked since the rooms were last told.
    pub turned: Vec<Fd>,
}

impl Links {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            all: Vec::new(),
            halves: HashMap::new(),
            held: HashMap::new(),
            doomed: Vec::new(),
            turned: Vec::new(),
        })
    }

    pub fn add(&mut self, fd: Fd) {
        let at = fd as usize;
        if self.epoll.add(fd, READ, fd as u64).is_err() {
            return sys::close(fd);
        }
        if self.all.len() <= at {
            self.all.resize(at + 1, Link::default());
        }
        self.all[at] = Link {
            state: State::Greeting,
            ..Link::default()
        };
    }

    #[inline]
    pub fn at(&mut self, fd: Fd) -> &mut Link {
        &mut self.all[fd as usize]
    }

    /// Moves what is left of an unfinished frame to the start of `buf`.
    pub fn take_half(&mut self, fd: Fd, buf: &mut [u8]) -> usize {
        if self.halves.is_empty() {
            return 0;
        }
        let Some(half) = self.halves.remove(&fd) else {
            return 0;
        };
        buf[..half.len()].copy_from_slice(&half);
        half.len()
    }

    pub fn keep_half(&mut self, fd: Fd, half: &[u8]) {
        if !half.is_empty() {
            self.halves.insert(fd, half.to_vec());
        }
    }

    /// Sends to a member that is not blocked.
    #[inline]
    pub fn send(&mut self, fd: Fd, bytes: &[u8]) {
        match sys::send(fd, bytes) {
            Ok(sent) if sent == bytes.len() => {}
            Ok(sent) => self.hold(fd, &bytes[sent..]),
            Err(Stop::Block) => self.hold(fd, bytes),
            Err(Stop::Gone) => self.doom(fd),
        }
    }

    /// Sends, or keeps behind what its socket refused before.
    pub fn send_or_hold(&mut self, fd: Fd, bytes: &[u8]) {
        match self.at(fd).blocked {
            true => self.hold(fd, bytes),
            false => self.send(fd, bytes),
        }
    }

    #[cold]
    pub fn hold(&mut self, fd: Fd, bytes: &[u8]) {
        let held = self.held.entry(fd).or_default();
        held.extend_from_slice(bytes);
        if held.len() > HELD_BYTES_MAX {
            return self.doom(fd);
        }
        if !self.at(fd).blocked {
            self.at(fd).blocked = true;
            self.turned.push(fd);
            let _ = self.epoll.modify(fd, READ | WRITE, fd as u64);
        }
    }

    /// The socket takes bytes again.
    pub fn resume(&mut self, fd: Fd) {
        let Some(held) = self.held.get_mut(&fd) else {
            return;
        };
        match sys::send(fd, held) {
            Ok(sent) => drop(held.drain(..sent)),
            Err(Stop::Block) => return,
            Err(Stop::Gone) => return self.doom(fd),
        }
        if held.is_empty() {
            self.held.remove(&fd);
            self.at(fd).blocked = false;
            self.turned.push(fd);
            let _ = self.epoll.modify(fd, READ, fd as u64);
        }
    }

    #[cold]
    pub fn doom(&mut self, fd: Fd) {
        if self.at(fd).state != State::Doomed {
            self.at(fd).state = State::Doomed;
            self.doomed.push(fd);
        }
    }

    /// Closes a connection that is in no room any more.
    pub fn free(&mut self, fd: Fd) {
        self.halves.remove(&fd);
        self.held.remove(&fd);
        *self.at(fd) = Link::default();
        sys::close(fd);
    }
}
