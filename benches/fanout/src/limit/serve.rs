//! The yardstick's loop: wait, read what is ready, send what the turn owes, drop who is gone.
//! In come sockets, out go frames. Must never know what is measured. One thread.

use std::io;

use roomcast_fanout::sys::{self, Fd, HANGUP, READ, Stop, WRITE, epoll_event};
use roomcast_fanout::wire;

use crate::Mode;
use crate::links::{Links, ROOMS_MAX, State};
use crate::rooms::{BLOCKED, Rooms};

const READ_BYTES: usize = 256 * 1024;
const EVENTS: usize = 1024;

pub struct Server {
    mode: Mode,
    listener: Fd,
    port: u16,
    links: Links,
    rooms: Rooms,
    /// Rooms with frames in this turn.
    dirty: Vec<u32>,
    scratch: Vec<u8>,
    turn: u32,
}

impl Server {
    pub fn listen(port: u16, mode: Mode) -> io::Result<Self> {
        sys::raise_nofile()?;
        let (listener, port) = sys::listen(port)?;
        let links = Links::new()?;
        links.epoll.add(listener, READ, listener as u64)?;
        let (dirty, scratch) = (Vec::new(), Vec::with_capacity(READ_BYTES));
        let rooms = Rooms::default();
        Ok(Self {
            mode,
            listener,
            port,
            links,
            rooms,
            dirty,
            scratch,
            turn: 0,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn run(mut self) -> ! {
        let mut events = vec![epoll_event { events: 0, u64: 0 }; EVENTS];
        let mut buf = vec![0; READ_BYTES];
        loop {
            let ready = self.links.epoll.wait(&mut events, -1);
            for event in &events[..ready] {
                self.on_ready(event.u64 as Fd, event.events, &mut buf);
            }
            match self.mode {
                Mode::Limit => {}
                Mode::Coalesce => self.sweep_rooms(),
                Mode::Gather => self.sweep_members(),
            }
            self.reap();
        }
    }

    fn on_ready(&mut self, fd: Fd, what: u32, buf: &mut [u8]) {
        if fd == self.listener {
            while let Some(fd) = sys::accept(self.listener) {
                self.links.add(fd);
            }
            return;
        }
        if what & WRITE != 0 {
            self.links.resume(fd);
        }
        if what & (READ | HANGUP) != 0 {
            self.read(fd, buf);
        }
    }

    fn read(&mut self, fd: Fd, buf: &mut [u8]) {
        let have = self.links.take_half(fd, buf);
        let len = match sys::recv(fd, &mut buf[have..]) {
            Ok(1..) if self.links.at(fd).state == State::Doomed => return,
            Ok(0) | Err(Stop::Gone) => return self.links.doom(fd),
            Ok(len) => have + len,
            Err(Stop::Block) => have,
        };
        let mut at = match self.links.at(fd).state {
            State::Greeting => self.greet(fd, &buf[..len]),
            _ => 0,
        };
        while self.links.at(fd).state == State::Open {
            let rest = &mut buf[at..len];
            let Some(frame) = wire::parse(rest) else {
                break;
            };
            if !frame.masked {
                return self.links.doom(fd);
            }
            wire::unmask(rest, frame);
            self.on_frame(fd, frame.opcode, &rest[frame.start..frame.end]);
            at += frame.end;
        }
        if len - at == buf.len() {
            return self.links.doom(fd);
        }
        self.links.keep_half(fd, &buf[at..len]);
    }

    /// Answers the upgrade request and joins; returns how many bytes it took.
    fn greet(&mut self, fd: Fd, head: &[u8]) -> usize {
        let Some(request) = wire::request(head) else {
            return 0;
        };
        let joined = request
            .ok()
            .filter(|request| self.join(fd, request.target).is_some());
        let Some(request) = joined else {
            let _ = sys::send(fd, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            self.links.doom(fd);
            return 0;
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
              Connection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        self.scratch
            .extend_from_slice(&wire::accept_key(request.key));
        self.scratch.extend_from_slice(b"\r\n\r\n");
        self.links.at(fd).state = State::Open;
        self.links.send(fd, &self.scratch);
        request.end
    }

    fn join(&mut self, fd: Fd, target: &str) -> Option<()> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let names = path
            .strip_prefix("/room/")
            .or_else(|| path.strip_prefix("/rooms/"))?;
        if names.is_empty() || names.split(',').count() > ROOMS_MAX {
            return None;
        }
        for (at, name) in names.split(',').enumerate() {
            let (room, slot) = self.rooms.join(name, fd);
            let link = self.links.at(fd);
            link.rooms[at] = room;
            link.slots[at] = slot;
            link.count += 1;
        }
        self.links.at(fd).skip = query.split('&').any(|pair| pair == "skip=1");
        Some(())
    }

    #[inline]
    fn on_frame(&mut self, fd: Fd, opcode: u8, payload: &[u8]) {
        match opcode {
            wire::TEXT | wire::BINARY => self.publish(fd, opcode, payload),
            wire::PING | wire::CLOSE => {
                let answer = if opcode == wire::PING {
                    wire::PONG
                } else {
                    wire::CLOSE
                };
                let mut frame = Vec::new();
                wire::push_frame(&mut frame, answer, payload);
                self.links.send_or_hold(fd, &frame);
                if opcode == wire::CLOSE {
                    self.links.doom(fd);
                }
            }
            _ => {}
        }
    }

    #[inline]
    fn publish(&mut self, fd: Fd, opcode: u8, payload: &[u8]) {
        let link = self.links.at(fd);
        let (number, not_to) = (link.rooms[0], link.skip.then_some(fd));
        let room = self.rooms.at_mut(number);
        if self.mode == Mode::Limit {
            self.scratch.clear();
            wire::push_frame(&mut self.scratch, opcode, payload);
            for &member in &room.members {
                if Some(member & !BLOCKED) != not_to {
                    send_to(&mut self.links, member, &self.scratch);
                }
            }
            return self.mark_turned();
        }
        if room.turn.is_empty() {
            self.dirty.push(number);
        }
        room.append(opcode, payload, not_to);
    }

    /// Sends each member of each dirty room what the room got in this turn.
    fn sweep_rooms(&mut self) {
        for number in self.dirty.drain(..) {
            let room = self.rooms.at(number);
            for &member in &room.members {
                if room.holes.is_empty() || !room.has_hole(member & !BLOCKED) {
                    send_to(&mut self.links, member, &room.turn);
                    continue;
                }
                self.scratch.clear();
                room.gather(member & !BLOCKED, &mut self.scratch);
                send_to(&mut self.links, member, &self.scratch);
            }
            self.rooms.at_mut(number).clear_turn();
        }
        self.mark_turned();
    }

    /// Sends each member of any dirty room, once, what all its rooms got in this turn.
    fn sweep_members(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        for &number in &self.dirty {
            for &member in &self.rooms.at(number).members {
                let link = self.links.at(member & !BLOCKED);
                if link.stamp == self.turn {
                    continue;
                }
                link.stamp = self.turn;
                self.scratch.clear();
                for &room in &link.rooms[..usize::from(link.count)] {
                    self.rooms
                        .at(room)
                        .gather(member & !BLOCKED, &mut self.scratch);
                }
                send_to(&mut self.links, member, &self.scratch);
            }
        }
        for number in self.dirty.drain(..) {
            self.rooms.at_mut(number).clear_turn();
        }
        self.mark_turned();
    }

    /// Tells the rooms which of their members are blocked now.
    fn mark_turned(&mut self) {
        while let Some(fd) = self.links.turned.pop() {
            let link = self.links.at(fd);
            let mark = if link.blocked { fd | BLOCKED } else { fd };
            for at in 0..usize::from(link.count) {
                self.rooms.at_mut(link.rooms[at]).members[link.slots[at] as usize] = mark;
            }
        }
    }

    fn reap(&mut self) {
        self.mark_turned();
        while let Some(fd) = self.links.doomed.pop() {
            let link = self.links.at(fd).clone();
            for at in 0..usize::from(link.count) {
                if let Some(moved) = self.rooms.leave(link.rooms[at], link.slots[at]) {
                    let other = self.links.at(moved);
                    let same = other.rooms.iter().position(|&room| room == link.rooms[at]);
                    other.slots[same.expect("a member knows its room")] = link.slots[at];
                }
            }
            self.links.free(fd);
        }
    }
}

/// One send to a member as the rooms' arrays name it.
#[inline]
fn send_to(links: &mut Links, member: Fd, bytes: &[u8]) {
    match member < 0 {
        false if !bytes.is_empty() => links.send(member, bytes),
        false => {}
        true => links.hold(member & !BLOCKED, bytes),
    }
}
