//! The sockets of the members: reads what came, matches it with what others of the room got, and
//! keeps latencies. In goes a port, out come counts. Must never know orders, except that a line of
//! them is there. One thread.

use std::collections::VecDeque;
use std::io::BufRead;

use roomcast_fanout::clocks::{CpuClock, now_ns};
use roomcast_fanout::greet;
use roomcast_fanout::histogram::Histogram;
use roomcast_fanout::sys::{Epoll, Fd, READ, Stop, epoll_event, recv};
use roomcast_fanout::wire;

const READ_BYTES: usize = 256 * 1024;
const EVENTS: usize = 512;
const STDIN: Fd = 0;
/// In an event: there is an order.
const ORDER: u64 = u64::MAX;

struct Member {
    fd: Fd,
    room: usize,
    /// The publication of its room that is due.
    next: u64,
    /// The first half of a frame.
    half: Vec<u8>,
}

/// What a room's members have in common: publications that some still wait for.
#[derive(Default)]
struct Room {
    /// The number of the first one that is open.
    first: u64,
    /// Stamp, and how many have it.
    open: VecDeque<(u64, usize)>,
}

pub struct Listeners {
    epoll: Epoll,
    members: Vec<Member>,
    rooms: Vec<Room>,
    size: usize,
    buf: Vec<u8>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    deliveries: u64,
    /// Deliveries that differ from what another member got at that place.
    faults: u64,
    closed: u64,
    each: Histogram,
    last: Histogram,
}

impl Listeners {
    /// Connects `size` members to each of `rooms` rooms.
    pub fn open(port: u16, rooms: usize, size: usize) -> Result<Self, String> {
        let paths: Vec<String> = (0..rooms * size)
            .map(|at| format!("/room/r{}", at % rooms))
            .collect();
        let fds = greet::open_all(port, paths.iter().map(String::as_str))?;
        let epoll = Epoll::new().map_err(|error| error.to_string())?;
        let add = |fd, data| epoll.add(fd, READ, data).map_err(|error| error.to_string());
        add(STDIN, ORDER)?;
        for (at, &fd) in fds.iter().enumerate() {
            add(fd, at as u64)?;
        }
        let member = |(at, fd)| Member {
            fd,
            room: at % rooms,
            next: 0,
            half: Vec::new(),
        };
        Ok(Self {
            epoll,
            members: fds.into_iter().enumerate().map(member).collect(),
            rooms: (0..rooms).map(|_| Room::default()).collect(),
            size,
            buf: vec![0; READ_BYTES],
            tally: Tally::default(),
        })
    }

    /// Reads until there is an order; `None` once there will be none.
    pub fn listen(&mut self) -> Option<String> {
        let mut events = [epoll_event { events: 0, u64: 0 }; EVENTS];
        loop {
            let ready = self.epoll.wait(&mut events, -1);
            let mut ordered = false;
            for event in &events[..ready] {
                match event.u64 {
                    ORDER => ordered = true,
                    at => self.read(at as usize),
                }
            }
            if ordered {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line);
                return read.is_ok_and(|len| len > 0).then_some(line);
            }
        }
    }

    fn read(&mut self, at: usize) {
        let member = &mut self.members[at];
        let kept = member.half.len();
        self.buf[..kept].copy_from_slice(&member.half);
        member.half.clear();
        match recv(member.fd, &mut self.buf[kept..]) {
            Ok(0) | Err(Stop::Gone) => {
                self.tally.closed += 1;
                let _ = self.epoll.remove(member.fd);
            }
            Err(Stop::Block) => {}
            Ok(len) => {
                let room = &mut self.rooms[member.room];
                let bytes = &self.buf[..kept + len];
                let used = take_frames(bytes, member, room, self.size, &mut self.tally);
                member.half.extend_from_slice(&bytes[used..]);
            }
        }
    }

    /// What came since the start.
    pub fn counts(&self) -> String {
        let tally = &self.tally;
        format!(
            "deliveries={} faults={} closed={} cpu_ns={}",
            tally.deliveries,
            tally.faults,
            tally.closed,
            CpuClock::own().read()
        )
    }

    /// Latencies since the last time; the next ones start afresh.
    pub fn take(&mut self) -> String {
        let counts = self.counts();
        let each = std::mem::take(&mut self.tally.each);
        let last = std::mem::take(&mut self.tally.last);
        format!(
            "{counts} p50_ns={} p99_ns={} max_ns={} last_p50_ns={} last_p99_ns={} last_max_ns={}",
            each.quantile(0.5),
            each.quantile(0.99),
            each.quantile(0.999_999),
            last.quantile(0.5),
            last.quantile(0.99),
            last.quantile(0.999_999),
        )
    }
}

/// Counts the whole frames at the start of `bytes`; returns where they end.
fn take_frames(
    bytes: &[u8],
    member: &mut Member,
    room: &mut Room,
    size: usize,
    tally: &mut Tally,
) -> usize {
    let now = now_ns();
    let mut used = 0;
    while let Some(frame) = wire::parse(&bytes[used..]) {
        let payload = &bytes[used + frame.start..used + frame.end];
        used += frame.end;
        if frame.opcode != wire::TEXT && frame.opcode != wire::BINARY {
            continue;
        }
        let stamp = payload
            .first_chunk()
            .map_or(0, |eight| u64::from_le_bytes(*eight));
        tally.deliveries += 1;
        if stamp != 0 {
            tally.each.record(now.saturating_sub(stamp));
        }
        room.got(member.next, stamp, size, now, tally);
        member.next += 1;
    }
    used
}

impl Room {
    /// A member got the publication of this number.
    fn got(&mut self, number: u64, stamp: u64, size: usize, now: u64, tally: &mut Tally) {
        let place = (number - self.first) as usize;
        if place == self.open.len() {
            self.open.push_back((stamp, 0));
        }
        let entry = &mut self.open[place];
        entry.1 += 1;
        tally.faults += u64::from(entry.0 != stamp);
        if entry.1 == size {
            // Everybody who has this one has those before it.
            self.open.pop_front();
            self.first += 1;
            if stamp != 0 {
                tally.last.record(now.saturating_sub(stamp));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_member_ends_a_publication_and_a_wrong_one_is_a_fault() {
        let (mut room, mut tally) = (Room::default(), Tally::default());
        room.got(0, 5, 2, 10, &mut tally);
        room.got(1, 6, 2, 11, &mut tally);
        assert_eq!(room.open.len(), 2);
        room.got(0, 5, 2, 25, &mut tally);
        assert_eq!((room.first, tally.last.quantile(0.5)), (1, 20.0));
        room.got(1, 7, 2, 26, &mut tally);
        assert_eq!((room.first, tally.faults), (2, 1));
    }
}
