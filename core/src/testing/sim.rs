//! A simulated network, and an engine of one shard on it: virtual time, faults, null sinks.
//!
//! The shard runs the very turn that it runs on the kernel; sockets are vectors, time moves when
//! the test says so, and nothing waits. Everything happens on the caller's thread.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use crate::config::Config;
use crate::engine;
use crate::events::{Events, Gate};
use crate::handle::Handle;
use crate::host::{Callbacks, Handler};
use crate::identity::Host;
use crate::inbox::{Inbox, Wake};
use crate::shard::net::{Incoming, Net, Ready};
use crate::shard::shared::{Ask, Clock, Stage};
use crate::shard::{Flow, Shard};
use crate::sync::{Arc, AtomicU64, Ordering};

/// The peer's side of a simulated connection.
struct End {
    slot: Option<u32>,
    input: VecDeque<u8>,
    ended: bool,
    reset: bool,
    /// Bytes that the peer takes from now on.
    place: usize,
    /// What it took; None counts only.
    output: Option<Vec<u8>>,
    /// It takes everything, and nothing is kept of that, not even a count.
    null: bool,
    written: u64,
    /// The engine has ended its stream.
    shut: bool,
}

pub(crate) struct SimNet {
    ends: Vec<End>,
    arrivals: VecDeque<u32>,
    ready: Vec<Ready>,
    clock: Arc<AtomicU64>,
    /// Nanoseconds that pass with each look at the clock.
    look_ns: u64,
    /// Called at each look: another thread that does something while the shard is at work.
    on_look: Option<Box<dyn FnMut() + Send>>,
    /// The number of the system's error that accepting fails with.
    accept_error: Option<i32>,
    accepts_failed: u64,
}

impl SimNet {
    fn new(clock: &Arc<AtomicU64>) -> Self {
        SimNet {
            ends: Vec::new(),
            arrivals: VecDeque::new(),
            ready: Vec::new(),
            clock: clock.clone(),
            look_ns: 0,
            on_look: None,
            accept_error: None,
            accepts_failed: 0,
        }
    }

    /// Apart from `now_ns`, so that counted paths stay as short as they are on the kernel.
    #[cold]
    #[inline(never)]
    fn pass(&mut self) -> u64 {
        if let Some(on_look) = &mut self.on_look {
            on_look();
        }
        self.clock.fetch_add(self.look_ns, Ordering::Relaxed) + self.look_ns
    }

    fn notify(&mut self, end: u32, writable: bool) {
        if let Some(slot) = self.ends[end as usize].slot {
            let ended = self.ends[end as usize].ended;
            self.ready.push(Ready::Socket {
                slot,
                readable: !writable,
                writable,
                ended,
            });
        }
    }

    fn write_to(&mut self, end: u32, slices: &[&[u8]]) -> io::Result<usize> {
        let end = &mut self.ends[end as usize];
        if end.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let mut all = 0;
        for bytes in slices {
            let n = bytes.len().min(end.place);
            end.place -= if end.place == usize::MAX { 0 } else { n };
            if let Some(output) = &mut end.output {
                output.extend_from_slice(&bytes[..n]);
            }
            all += n;
            if n < bytes.len() {
                break;
            }
        }
        end.written += all as u64;
        match all {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

/// The engine's side.
pub(crate) struct SimSocket {
    end: u32,
    null: bool,
}

impl Net for SimNet {
    type Socket = SimSocket;

    fn poll(&mut self, ready: &mut Vec<Ready>, _: Option<Duration>) -> io::Result<()> {
        ready.append(&mut self.ready);
        Ok(())
    }

    fn now_ns(&mut self) -> u64 {
        match self.look_ns {
            0 => self.clock.load(Ordering::Relaxed),
            _ => self.pass(),
        }
    }

    fn listeners(&self) -> usize {
        1
    }

    fn accept(&mut self, _: usize) -> io::Result<Incoming> {
        // As on Linux: a descriptor is looked for before a connection is.
        if let Some(number) = self.accept_error {
            self.accepts_failed += 1;
            return Err(io::Error::from_raw_os_error(number));
        }
        match self.arrivals.pop_front() {
            Some(end) => Ok(Incoming::Simulated(end)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn close_listeners(&mut self) {
        self.arrivals.clear();
    }

    fn register(&mut self, incoming: Incoming, slot: u32) -> io::Result<SimSocket> {
        let Incoming::Simulated(end) = incoming else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.ends[end as usize].slot = Some(slot);
        if !self.ends[end as usize].input.is_empty() {
            self.notify(end, false);
        }
        let null = self.ends[end as usize].null;
        Ok(SimSocket { end, null })
    }

    fn read(&mut self, socket: &mut SimSocket, into: &mut [u8]) -> io::Result<usize> {
        let end = &mut self.ends[socket.end as usize];
        if end.reset {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if end.input.is_empty() {
            return match end.ended {
                true => Ok(0),
                false => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let n = into.len().min(end.input.len());
        for (to, from) in into.iter_mut().zip(end.input.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }

    #[inline]
    fn write(&mut self, socket: &mut SimSocket, bytes: &[u8]) -> io::Result<usize> {
        if socket.null {
            return Ok(bytes.len());
        }
        self.write_to(socket.end, &[bytes])
    }

    fn write_slices(
        &mut self,
        socket: &mut SimSocket,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        if socket.null {
            return Ok(slices.iter().map(|s| s.len()).sum());
        }
        let slices: Vec<&[u8]> = slices.iter().map(|s| &**s).collect();
        self.write_to(socket.end, &slices)
    }

    fn shutdown(&mut self, socket: &mut SimSocket) {
        self.ends[socket.end as usize].shut = true;
    }
}

struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// One shard of an engine, on a simulated network. Its connections are numbered from 0.
pub struct Sim {
    me: usize,
    shard: Shard<SimNet>,
    handle: Handle,
    clock: Arc<AtomicU64>,
    running: bool,
}

impl Sim {
    /// An engine that nobody is connected to, at time 0.
    ///
    /// # Panics
    /// When the config cannot work.
    pub fn new(config: Config, handler: impl Handler) -> Sim {
        Sim::shards(config, handler, 1)
            .pop()
            .expect("one shard was asked for")
    }

    /// An engine of several shards, each with a network of its own, under one clock. They may be
    /// turned on threads of their own, or on one in any order. With more than one shard nobody
    /// listens: who connects to a shard is adopted by it.
    ///
    /// # Panics
    /// When the config cannot work.
    pub fn shards(config: Config, handler: impl Handler, shards: usize) -> Vec<Sim> {
        Sim::telling(config, shards, |handle| {
            let handle = handle.clone();
            Arc::new(Callbacks { handler, handle })
        })
    }

    /// An engine of one shard whose events go into another engine's queue. It is not told when
    /// they are taken, so its config has to leave room for all that wait.
    ///
    /// # Panics
    /// When the config cannot work.
    pub fn into_queue(config: Config, gate: impl Gate, events: &Events) -> Sim {
        Sim::telling(config, 1, |handle| Arc::new(events.also(handle, gate)))
            .pop()
            .expect("one shard was asked for")
    }

    fn telling(
        config: Config,
        shards: usize,
        host: impl FnOnce(&Handle) -> Arc<dyn Host>,
    ) -> Vec<Sim> {
        config.check().expect("the config of a test works");
        let now = Arc::new(AtomicU64::new(1));
        let clock = Clock::Virtual(now.clone());
        let inbox = |_| Inbox::new(Box::new(NoWake) as Box<dyn Wake>);
        let inboxes = (0..shards).map(inbox).collect();
        let shared = Arc::new(engine::shared(config, clock, inboxes));
        let handle = Handle { shared };
        let host = host(&handle);
        let sim = |me: usize| Sim {
            me,
            shard: Shard::new(me, SimNet::new(&now), handle.shared.clone(), host.clone()),
            handle: handle.clone(),
            clock: now.clone(),
            running: true,
        };
        (0..shards).map(sim).collect()
    }

    /// The engine's handle.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Somebody connects and asks for a WebSocket at `path`. `keep`: what it is sent is kept to be
    /// looked at, else only counted.
    pub fn connect(&mut self, path: &str, keep: bool) -> u32 {
        self.connect_with(path, "", keep)
    }

    /// The same with more header fields, each with its line's end.
    pub fn connect_with(&mut self, path: &str, fields: &str, keep: bool) -> u32 {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             {fields}\r\n"
        );
        self.connect_raw(head.as_bytes(), keep)
    }

    /// As `connect`, for figures: the peer takes everything and its end is never touched.
    pub fn connect_null(&mut self, path: &str) -> u32 {
        let end = self.connect(path, false);
        self.shard.net.ends[end as usize].null = true;
        end
    }

    /// Somebody connects and sends these bytes.
    pub fn connect_raw(&mut self, bytes: &[u8], keep: bool) -> u32 {
        let end = self.shard.net.ends.len() as u32;
        self.shard.net.ends.push(End {
            slot: None,
            input: bytes.iter().copied().collect(),
            ended: false,
            reset: false,
            place: usize::MAX,
            output: keep.then(Vec::new),
            null: false,
            written: 0,
            shut: false,
        });
        match self.handle.shared.inboxes.len() {
            1 => {
                self.shard.net.arrivals.push_back(end);
                self.shard.net.ready.push(Ready::Listener(0));
            }
            _ => self.adopt(end),
        }
        end
    }

    /// Gives the connection to this very shard; a listener would give it to any.
    fn adopt(&self, end: u32) {
        let shared = &self.handle.shared;
        shared.total.fetch_add(1, Ordering::Relaxed);
        shared.loads[self.me].fetch_add(1, Ordering::Relaxed);
        let head = Stage::Head(Vec::new());
        let adopt = Ask::Adopt(Box::new((Incoming::Simulated(end), head)));
        shared.ask(self.me, adopt);
    }

    /// So many nanoseconds pass with each look at the clock, so that budgets run out.
    pub fn set_look_ns(&mut self, ns: u64) {
        self.shard.net.look_ns = ns;
    }

    /// Calls this at each look at the clock, while `set_look_ns` is above 0: what another thread
    /// would do in the middle of a turn. Handles may be used in it.
    pub fn set_on_look(&mut self, on_look: impl FnMut() + Send + 'static) {
        self.shard.net.on_look = Some(Box::new(on_look));
    }

    /// The error that accepting fails with from now on, by the system's number, as in a process
    /// without free descriptors (24 is EMFILE, 23 ENFILE); None for none.
    pub fn set_accept_error(&mut self, number: Option<i32>) {
        self.shard.net.accept_error = number;
    }

    /// How often accepting has failed.
    #[must_use]
    pub fn accepts_failed(&self) -> u64 {
        self.shard.net.accepts_failed
    }

    /// The peer sends bytes.
    pub fn feed(&mut self, connection: u32, bytes: &[u8]) {
        self.shard.net.ends[connection as usize].input.extend(bytes);
        self.shard.net.notify(connection, false);
    }

    /// The peer sends a message in one frame.
    pub fn feed_frame(&mut self, connection: u32, opcode: u8, payload: &[u8]) {
        assert!(payload.len() < 126, "short frames only");
        let mut bytes = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        bytes.extend_from_slice(payload);
        self.feed(connection, &bytes);
    }

    /// The peer ends its stream.
    pub fn end(&mut self, connection: u32) {
        self.shard.net.ends[connection as usize].ended = true;
        self.shard.net.notify(connection, false);
    }

    /// The peer resets the connection.
    pub fn reset(&mut self, connection: u32) {
        self.shard.net.ends[connection as usize].reset = true;
        self.shard.net.notify(connection, false);
    }

    /// The peer takes so many bytes from now on; `usize::MAX` is all.
    pub fn set_place(&mut self, connection: u32, place: usize) {
        self.shard.net.ends[connection as usize].place = place;
        if place > 0 {
            self.shard.net.notify(connection, true);
        }
    }

    /// What the peer was sent since the last call.
    pub fn take_output(&mut self, connection: u32) -> Vec<u8> {
        let output = &mut self.shard.net.ends[connection as usize].output;
        output.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Bytes that the peer was sent.
    #[must_use]
    pub fn written(&self, connection: u32) -> u64 {
        self.shard.net.ends[connection as usize].written
    }

    /// Whether the engine has ended its stream to the peer.
    #[must_use]
    pub fn is_shut(&self, connection: u32) -> bool {
        self.shard.net.ends[connection as usize].shut
    }

    /// One turn.
    ///
    /// # Panics
    /// When the simulated poll fails, which it does not.
    pub fn turn(&mut self) {
        if self.running {
            let flow = self
                .shard
                .turn(Some(Duration::ZERO))
                .expect("a simulated poll works");
            self.running = flow == Flow::Running;
        }
    }

    /// Turns until nothing is left to do at this moment.
    ///
    /// # Panics
    /// When that takes more than 100,000 turns.
    pub fn settle(&mut self) {
        for _ in 0..100_000 {
            self.turn();
            if self.is_at_rest() {
                return;
            }
        }
        panic!("the engine does not come to rest");
    }

    /// Whether nothing is left to do for this shard at this moment.
    pub fn is_at_rest(&mut self) -> bool {
        let net = &self.shard.net;
        !self.running || (net.ready.is_empty() && self.shard.next_turn() != Some(Duration::ZERO))
    }

    /// Time passes for all shards of the engine, without a turn.
    pub fn pass_ns(&self, ns: u64) {
        self.clock.fetch_add(ns, Ordering::Relaxed);
    }

    /// Time passes as on a thread of the engine's own: the shard sleeps until it has set itself to
    /// wake, and no longer.
    pub fn run_ms(&mut self, ms: u64) {
        let mut left = ms * 1_000_000;
        self.settle();
        while left > 0 {
            let sleep = self.shard.next_turn().filter(|_| self.running);
            let sleep = sleep.map_or(left, |s| s.as_nanos().clamp(1, left.into()) as u64);
            self.pass_ns(sleep);
            left -= sleep;
            self.settle();
        }
    }

    /// Time passes, in steps of a tick, with a turn at each.
    pub fn advance_ms(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(8) {
            self.clock.fetch_add(8_000_000, Ordering::Relaxed);
            self.settle();
        }
    }

    /// Asks the engine to stop; time must pass for it to be done.
    pub fn stop(&mut self) {
        self.handle.shared.begin_stop();
    }

    /// Whether the engine has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running
    }
}
