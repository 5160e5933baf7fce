//! What the peers do, and when: talk, join, leave, part, break off, stall, storm; and the orderly
//! end, in which everybody leaves every room and is told how far it was. The generator's thread.

use std::io;
use std::time::{Duration, Instant};

use mio::Events;

use crate::peers::{Peers, Phase};

/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// Something that happens so many times a second for each peer.
struct Habit {
    rate: f64,
    due: f64,
    act: fn(&mut Peers, usize),
}

pub struct Driver {
    pub peers: Peers,
    events: Events,
    habits: Vec<Habit>,
    last: Instant,
    looked: Instant,
    storm_every: Duration,
    next_storm: Instant,
    pub storms: u64,
    /// The longest time between two looks at the sockets: what the generator itself is to blame
    /// for.
    pub longest_pause: Duration,
}

impl Driver {
    pub fn new(mut peers: Peers, storm_every: Duration) -> Self {
        for at in 0..peers.all.len() {
            peers.connect(at);
        }
        let habit = |rate, act| Habit {
            rate,
            due: 0.0,
            act,
        };
        let now = Instant::now();
        Driver {
            peers,
            events: Events::with_capacity(1024),
            habits: vec![
                habit(0.2, join_or_leave),
                habit(0.2, echo),
                habit(0.05, relay),
                habit(0.02, part),
                habit(0.01, break_off),
            ],
            last: now,
            looked: now,
            storm_every,
            next_storm: now + storm_every,
            storms: 0,
            longest_pause: Duration::ZERO,
        }
    }

    /// One look at the sockets, and what is due.
    pub fn turn(&mut self) -> io::Result<()> {
        self.look()?;
        let now = Instant::now();
        let passed = (now - self.last).as_secs_f64().min(0.1);
        self.last = now;
        for habit in &mut self.habits {
            habit.due += habit.rate * passed * self.peers.all.len() as f64;
            while habit.due >= 1.0 {
                habit.due -= 1.0;
                let at = self.peers.dice.below(self.peers.all.len());
                let peer = &self.peers.all[at];
                if peer.phase == Phase::Open && !peer.slow {
                    (habit.act)(&mut self.peers, at);
                }
            }
        }
        self.stall(now);
        if now >= self.next_storm {
            self.next_storm = now + self.storm_every;
            self.peers.check_all_gaps();
            self.storm();
        }
        Ok(())
    }

    fn look(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.longest_pause = self.longest_pause.max(now - self.looked);
        self.looked = now;
        self.peers.turn(&mut self.events, Duration::from_millis(1))
    }

    /// Slow peers stop reading for up to six seconds, and go on.
    fn stall(&mut self, now: Instant) {
        for at in 0..self.peers.all.len() {
            let peer = &mut self.peers.all[at];
            if !peer.slow || peer.phase != Phase::Open {
                continue;
            }
            if peer.stalled.is_some_and(|until| now >= until) {
                peer.stalled = None;
                let pause = 1_000 + self.peers.dice.next() % 5_000;
                peer.next_stall = now + Duration::from_millis(pause);
                self.peers.read(at);
            } else if peer.stalled.is_none() && now >= peer.next_stall {
                let length = 200 + self.peers.dice.next() % 6_000;
                peer.stalled = Some(now + Duration::from_millis(length));
                self.peers.tally.stalls += 1;
            }
        }
    }

    /// A third of all connections at once, and all of them come back at once.
    fn storm(&mut self) {
        self.storms += 1;
        let first = self.peers.dice.below(3);
        let hit: Vec<usize> = (first..self.peers.all.len()).step_by(3).collect();
        for &at in &hit {
            let reset = self.peers.dice.percent(50);
            self.peers.cut(at, reset);
        }
        hit.into_iter().for_each(|at| self.peers.connect(at));
    }

    /// Looks at the sockets until this is so for every peer; whoever it is not so for in the end
    /// is a fault.
    fn until(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&mut Peers, usize) -> bool,
    ) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.look()?;
            let all = 0..self.peers.all.len();
            let open: Vec<usize> = all.filter(|&at| !is_so(&mut self.peers, at)).collect();
            if open.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                open.iter().for_each(|&at| self.peers.fault(at, what));
                return Ok(());
            }
        }
    }

    /// Reads on until `is_so`, for as long as an answer may take.
    pub fn read_until(&mut self, mut is_so: impl FnMut() -> bool) -> io::Result<bool> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.look()?;
            if is_so() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All stalls end, nobody new comes, and everybody has an answer to everything.
    pub fn finish(&mut self) -> io::Result<()> {
        self.peers.finishing = true;
        for at in 0..self.peers.all.len() {
            self.peers.all[at].stalled = None;
            self.peers.read(at);
        }
        self.until("it has no answer to its leaving", |peers, at| {
            let peer = &peers.all[at];
            if peer.phase == Phase::Shaking {
                return false;
            }
            if peer.phase != Phase::Open {
                return true;
            }
            let rooms: Vec<u16> = peer.account.rooms().collect();
            for &room in &rooms {
                peers.leave(at, room);
            }
            rooms.is_empty() && !peers.all[at].account.is_waiting()
        })?;
        for at in 0..self.peers.all.len() {
            if self.peers.all[at].phase == Phase::Open {
                self.peers.bye(at);
            }
        }
        let is_down = |peers: &mut Peers, at: usize| peers.all[at].phase == Phase::Down;
        self.until("its connection does not end", is_down)
    }
}

fn join_or_leave(peers: &mut Peers, at: usize) {
    let rooms: Vec<u16> = peers.all[at].account.rooms().collect();
    // A third is in one room at most: those are written in step.
    let most = if at.is_multiple_of(3) { 1 } else { 6 };
    if rooms.len() < most && !peers.dice.percent(rooms.len() as u64 * 15) {
        let room = peers.dice.room_to_join();
        if !peers.all[at].account.knows(room) {
            peers.join(at, room);
        }
    } else if let Some(&room) = rooms.get(peers.dice.below(rooms.len())) {
        peers.leave(at, room);
    }
}

fn echo(peers: &mut Peers, at: usize) {
    let peer = &mut peers.all[at];
    peer.echoes.0 += 1;
    let nth = peer.echoes.0;
    let padding = "x".repeat(peers.dice.below(300));
    peers.say(at, &format!("echo {nth} {padding}"));
}

fn relay(peers: &mut Peers, at: usize) {
    let room = peers.all[at].account.rooms().next();
    if let Some(room) = room {
        peers.say(at, &format!("relay {room}"));
    }
}

/// Parts in order: it hears how far its rooms are, then the host closes.
fn part(peers: &mut Peers, at: usize) {
    if !peers.all[at].account.is_waiting() {
        peers.bye(at);
    }
}

fn break_off(peers: &mut Peers, at: usize) {
    let reset = peers.dice.percent(50);
    peers.cut(at, reset);
    peers.connect(at);
}
