//! The receiving half of the generator: reads every member's socket, checks every number, times
//! every delivery, and keeps the publishing half fed. In goes a plan's fan, out come results.
//! Must never know which server answers. One thread, pinned by its caller.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use roomcast_fanout::clocks::{self, now_ns};
use roomcast_fanout::greet;
use roomcast_fanout::histogram::Histogram;
use roomcast_fanout::sys::{self, Epoll, Fd, READ, Stop, epoll_event};
use roomcast_fanout::wire;

use crate::plan::Fan;
use crate::publish::{Publisher, STAMP_BYTES};
use crate::tally::{Faults, Meter, Results};

const READ_BYTES: usize = 256 * 1024;
const EVENTS: usize = 1024;
const SECOND_NS: u64 = 1_000_000_000;
/// Without any delivery for this long the run is over.
const STALL_NS: u64 = 5 * SECOND_NS;
/// A server that was left alone for a while is warm again after this long.
const REWARM_NS: u64 = SECOND_NS / 20;
/// How long a nap is.
const NAP_NS: u64 = 100_000;
/// How often memory is looked at where readers are stopped.
const LOOK_NS: u64 = SECOND_NS / 2;

/// How the generator and its window are set.
pub struct Setting {
    pub port: u16,
    pub pid: u32,
    pub warmup_ns: u64,
    pub window_ns: u64,
    pub wait: Wait,
}

/// What the generator does while there is nothing to read. Over loopback a sender pays for waking
/// a reader that sleeps on its socket, which a sender to remote clients does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Sleep on the sockets: the server pays for each wake.
    Block,
    /// Ask again and again.
    Spin,
    /// Sleep a little beside the sockets, then read all that came.
    Nap,
}

impl Wait {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "block" => Some(Self::Block),
            "spin" => Some(Self::Spin),
            "nap" => Some(Self::Nap),
            _ => None,
        }
    }
}

const COUNTS: [&str; 4] = ["deliveries", "publications", "reads", "own_busy_ns"];

struct Reader {
    fd: Fd,
    rooms: [u32; 3],
    next: [u32; 3],
}

struct Drive {
    epoll: Epoll,
    readers: Vec<Reader>,
    halves: HashMap<u32, Vec<u8>>,
    publisher: Publisher,
    faults: Faults,
    latency: Histogram,
    deliveries: u64,
    reads: u64,
    /// Time in turns that had something to do.
    busy_ns: u64,
    last_ns: u64,
    buf: Vec<u8>,
}

/// Runs a fan-out: join, then for each `go` warm up, measure, and let everything arrive.
pub fn run(
    fan: Fan,
    setting: &Setting,
    meter: &Meter,
    mut go: impl FnMut() -> bool,
) -> Result<Results, String> {
    let mut results = Results::new();
    let before = [clocks::rss_bytes(setting.pid), clocks::tcp_memory_bytes()];
    let fds = greet::open_all(
        setting.port,
        fan.members.iter().map(|member| &member.path[..]),
    )?;
    let stopped = fan.stopped > 0;
    let mut drive = Drive::new(fan, &fds).map_err(|error| error.to_string())?;
    let mut latency = Histogram::new();
    let mut warmup_ns = setting.warmup_ns;
    while go() {
        drive.publisher.start(now_ns());
        drive.go_until(now_ns() + warmup_ns, setting);
        warmup_ns = warmup_ns.min(REWARM_NS);
        drive.latency = std::mem::take(&mut latency);
        let (start, counts) = (meter.sample(), drive.counts());
        let peak = drive.measure(setting, stopped);
        meter.sample().report_since(&start, &mut results);
        latency = std::mem::take(&mut drive.latency);
        for ((name, from), to) in COUNTS.iter().zip(counts).zip(drive.counts()) {
            *results.entry((*name).into()).or_default() += (to - from) as f64;
        }
        if stopped {
            report_memory(setting, before, peak, &mut results);
        }
        drive.settle();
    }
    results.insert("p50_ns".into(), latency.quantile(0.5));
    results.insert("p99_ns".into(), latency.quantile(0.99));
    drive.faults.report(&mut results);
    results.insert("held_back".into(), drive.publisher.held_back as f64);
    results.insert("unsettled".into(), f64::from(!drive.publisher.settled()));
    Ok(results)
}

fn report_memory(setting: &Setting, before: [u64; 2], peak: [u64; 2], results: &mut Results) {
    let growth = |at: usize| peak[at].saturating_sub(before[at]) as f64;
    let queued = clocks::send_queue_bytes(setting.port) as f64;
    results.insert("send_queue_bytes".into(), queued);
    results.insert("rss_growth_bytes".into(), growth(0));
    results.insert("tcp_growth_bytes".into(), growth(1));
}

impl Drive {
    fn new(fan: Fan, fds: &[Fd]) -> std::io::Result<Self> {
        let epoll = Epoll::new()?;
        for (at, &fd) in fds[..fds.len() - fan.stopped].iter().enumerate() {
            epoll.add(fd, READ, at as u64)?;
        }
        let reader = |(member, &fd): (&crate::plan::Member, &Fd)| {
            let room = |at: usize| member.rooms.get(at).copied().unwrap_or(u32::MAX);
            Reader {
                fd,
                rooms: [room(0), room(1), room(2)],
                next: [0; 3],
            }
        };
        let now = now_ns();
        Ok(Self {
            epoll,
            readers: fan.members.iter().zip(fds).map(reader).collect(),
            halves: HashMap::new(),
            publisher: Publisher::new(fan, fds),
            faults: Faults::default(),
            latency: Histogram::new(),
            deliveries: 0,
            reads: 0,
            busy_ns: 0,
            last_ns: now,
            buf: vec![0; READ_BYTES],
        })
    }

    fn counts(&self) -> [u64; 4] {
        [
            self.deliveries,
            self.publisher.published,
            self.reads,
            self.busy_ns,
        ]
    }

    /// Runs through the window; returns the peaks of the server's RSS and of TCP memory.
    fn measure(&mut self, setting: &Setting, look: bool) -> [u64; 2] {
        let (end, mut peak) = (now_ns() + setting.window_ns, [0; 2]);
        while now_ns() < end {
            let until = if look {
                end.min(now_ns() + LOOK_NS)
            } else {
                end
            };
            if !self.go_until(until, setting) {
                break;
            }
            if look {
                peak[0] = peak[0].max(clocks::rss_bytes(setting.pid));
                peak[1] = peak[1].max(clocks::tcp_memory_bytes());
            }
        }
        peak
    }

    /// Publishes and reads until then; false when nothing moves any more.
    fn go_until(&mut self, end: u64, setting: &Setting) -> bool {
        let mut events = vec![epoll_event { events: 0, u64: 0 }; EVENTS];
        let mut now = now_ns();
        self.last_ns = now;
        while now < end && now - self.last_ns < STALL_NS {
            self.publisher.turn(now);
            let left = self.publisher.flush();
            let due = self
                .publisher
                .next_due_ns(now)
                .unwrap_or(end - now)
                .min(end - now);
            let timeout = match (setting.wait, left) {
                (Wait::Spin | Wait::Nap, _) => 0,
                (Wait::Block, true) => due.min(1_000_000),
                (Wait::Block, false) => due,
            };
            self.busy_ns += now_ns() - now;
            if setting.wait == Wait::Nap {
                thread::sleep(Duration::from_nanos(due.min(NAP_NS)));
            }
            now = self.read_ready(&mut events, timeout);
        }
        now - self.last_ns < STALL_NS
    }

    /// Reads until nothing is owed any more, or nothing comes.
    fn settle(&mut self) {
        let mut events = vec![epoll_event { events: 0, u64: 0 }; EVENTS];
        let mut now = now_ns();
        self.last_ns = now;
        while !self.publisher.settled() && now - self.last_ns < STALL_NS {
            self.publisher.flush();
            now = self.read_ready(&mut events, SECOND_NS / 100);
        }
    }

    /// One wait and one read of each ready socket; returns the time before the reads.
    fn read_ready(&mut self, events: &mut [epoll_event], timeout_ns: u64) -> u64 {
        let ready = self.epoll.wait_ns(events, timeout_ns);
        let woke = now_ns();
        if ready == 0 {
            return woke;
        }
        self.last_ns = woke;
        for event in &events[..ready] {
            self.read(event.u64 as u32);
        }
        let now = now_ns();
        self.busy_ns += now - woke;
        now
    }

    #[inline]
    fn read(&mut self, who: u32) {
        let mut buf = std::mem::take(&mut self.buf);
        let half = if self.halves.is_empty() {
            None
        } else {
            self.halves.remove(&who)
        };
        let have = half.as_ref().map_or(0, Vec::len);
        if let Some(half) = half {
            buf[..have].copy_from_slice(&half);
        }
        match sys::recv(self.readers[who as usize].fd, &mut buf[have..]) {
            Ok(0) | Err(Stop::Gone) => self.on_gone(who),
            Ok(len) => self.on_bytes(who, &buf[..have + len]),
            Err(Stop::Block) => self.on_bytes(who, &buf[..have]),
        }
        self.buf = buf;
    }

    #[cold]
    fn on_gone(&mut self, who: u32) {
        self.faults.closed += 1;
        let _ = self.epoll.remove(self.readers[who as usize].fd);
    }

    #[inline]
    fn on_bytes(&mut self, who: u32, buf: &[u8]) {
        let (now, mut at) = (now_ns(), 0);
        self.reads += 1;
        while let Some(frame) = wire::parse(&buf[at..]) {
            let payload = &buf[at + frame.start..at + frame.end];
            at += frame.end;
            if frame.opcode == wire::BINARY && payload.len() >= STAMP_BYTES {
                let word = |from: usize| {
                    u32::from_le_bytes(payload[from..from + 4].try_into().expect("four bytes"))
                };
                self.on_message(who, word(0), word(4), now);
            }
        }
        if at < buf.len() {
            self.halves.insert(who, buf[at..].to_vec());
        }
    }

    #[inline]
    fn on_message(&mut self, who: u32, room: u32, number: u32, now: u64) {
        let reader = &mut self.readers[who as usize];
        let Some(place) = reader.rooms.iter().position(|&mine| mine == room) else {
            self.faults.doubled += 1;
            return;
        };
        let expected = reader.next[place];
        reader.next[place] = match number == expected {
            true => number + 1,
            false => self.faults.judge(who, room, expected, number),
        };
        if number < expected {
            return;
        }
        self.deliveries += 1;
        let sent_at = self.publisher.on_delivery(room, number);
        self.latency.record(now.saturating_sub(sent_at));
    }
}
