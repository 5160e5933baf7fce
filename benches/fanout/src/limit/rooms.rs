//! The yardstick's rooms: a dense array of members each, in order of arrival, and the frames of
//! the turn. In go joins, leaves and frames, out come slices to send. Must never know sockets.
//! One thread.

use std::collections::HashMap;

use roomcast_fanout::sys::Fd;
use roomcast_fanout::wire;

/// Set in a member's number while its socket refuses bytes, so that the walk over the members
/// reads nothing but this array.
pub const BLOCKED: Fd = Fd::MIN;

/// A message that its sender does not get.
pub struct Hole {
    pub sender: Fd,
    pub from: usize,
    pub to: usize,
}

#[derive(Default)]
pub struct Room {
    name: Box<str>,
    pub members: Vec<Fd>,
    /// The frames of this turn.
    pub turn: Vec<u8>,
    pub holes: Vec<Hole>,
}

impl Room {
    #[inline]
    pub fn append(&mut self, opcode: u8, payload: &[u8], not_to: Option<Fd>) {
        let from = self.turn.len();
        wire::push_frame(&mut self.turn, opcode, payload);
        if let Some(sender) = not_to {
            self.holes.push(Hole {
                sender,
                from,
                to: self.turn.len(),
            });
        }
    }

    /// Whether this turn holds a message that this member sent and does not get.
    #[inline]
    pub fn has_hole(&self, fd: Fd) -> bool {
        self.holes.iter().any(|hole| hole.sender == fd)
    }

    /// Copies what this turn owes a member.
    #[inline]
    pub fn gather(&self, fd: Fd, out: &mut Vec<u8>) {
        if !self.has_hole(fd) {
            return out.extend_from_slice(&self.turn);
        }
        let mut at = 0;
        for hole in self.holes.iter().filter(|hole| hole.sender == fd) {
            out.extend_from_slice(&self.turn[at..hole.from]);
            at = hole.to;
        }
        out.extend_from_slice(&self.turn[at..]);
    }

    pub fn clear_turn(&mut self) {
        self.turn.clear();
        self.holes.clear();
    }
}

#[derive(Default)]
pub struct Rooms {
    names: HashMap<Box<str>, u32>,
    all: Vec<Room>,
    unused: Vec<u32>,
}

impl Rooms {
    #[inline]
    pub fn at(&self, room: u32) -> &Room {
        &self.all[room as usize]
    }

    #[inline]
    pub fn at_mut(&mut self, room: u32) -> &mut Room {
        &mut self.all[room as usize]
    }

    /// Joins; returns the room's number and the member's place.
    pub fn join(&mut self, name: &str, fd: Fd) -> (u32, u32) {
        let number = match self.names.get(name) {
            Some(&number) => number,
            None => self.create(name),
        };
        let members = &mut self.at_mut(number).members;
        members.push(fd);
        (number, members.len() as u32 - 1)
    }

    fn create(&mut self, name: &str) -> u32 {
        let number = self.unused.pop().unwrap_or(self.all.len() as u32);
        if number as usize == self.all.len() {
            self.all.push(Room::default());
        }
        self.at_mut(number).name = name.into();
        self.names.insert(name.into(), number);
        number
    }

    /// Leaves; returns who took the leaver's place.
    pub fn leave(&mut self, room: u32, slot: u32) -> Option<Fd> {
        let members = &mut self.at_mut(room).members;
        members.swap_remove(slot as usize);
        let moved = members.get(slot as usize).map(|fd| fd & !BLOCKED);
        if members.is_empty() {
            let room_gone = std::mem::take(self.at_mut(room));
            self.names.remove(&room_gone.name);
            self.unused.push(room);
        }
        moved
    }
}
