//! A shard: one thread's loop over its sockets, and the only place that knows them.
//!
//! In: readiness, and asks from its inbox. Out: bytes on sockets, and what the host is told. A turn
//! is wait, read, tell, step, flush, reap; each kind of work has its place and writing is last. A
//! connection lives on one shard for its life. No lock is held and nothing is borrowed while the
//! host is called.

mod accept;
pub(crate) mod admission;
mod asks;
mod close;
mod conns;
mod cpu;
#[cfg(target_os = "linux")]
pub(crate) mod descriptors;
mod figures;
mod head;
mod intake;
pub(crate) mod kernel;
mod ladder;
pub(crate) mod listen;
pub(crate) mod net;
mod presence;
mod rate;
mod read;
mod relief;
pub(crate) mod shared;
mod timers;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod tokens;
pub(crate) mod trust;
mod wire;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use self::conns::{Conns, ENDED, READY};
use self::intake::Intake;
use self::ladder::{Pressure, Rung};
use self::net::{Net, Ready};
use self::presence::Notified;
use self::rate::{Bucket, Rate, Rates};
use self::shared::{Ask, Shared};
use self::timers::{TICK_MS, Wheel};
use self::tokens::Expiry;
use self::wire::Sockets;
use crate::close::CloseReason;
use crate::delivery::{Missed, SharedTracker};
use crate::identity::{Host, Identity, Who};
use crate::outbound::frame::Frame;
use crate::outbound::{Bounds, Notice};
use crate::payload::{ConnectionId, Kind};
use crate::request::Request;
use crate::rooms::RoomState;
use crate::rooms::framed::Codec;
use crate::router::{JoinLimits, Router};
use crate::sync::{Arc, Ordering};
use crate::transport::ws::{Payload, ReadLimits};
use crate::wanted::Wanted;

/// Bytes that one socket is read at a time.
const READ_BYTES: usize = 64 * 1024;
/// What all sockets are read into before the host is told.
const ARENA_BYTES: usize = 256 * 1024;
/// The longest sleep while corks are in use: what is asked under one is done by then.
const DOZE: Duration = Duration::from_nanos(DOZE_NS);
const DOZE_NS: u64 = 1_000_000;
/// Places for commands that are kept from turn to turn; the second while memory is saved.
const ASKS_KEPT: usize = 65_536;
const ASKS_KEPT_SAVING: usize = 1_024;
/// Connections accepted in one turn.
const ACCEPTS: usize = 32;
/// What makes more to write (accepting, timers) is done so often in a turn while the one before has
/// left something unwritten.
const BEHIND: usize = 8;

/// Something that the host is to be told.
struct Told {
    slot: u32,
    what: What,
}

enum What {
    Connecting(Arc<Request>),
    Opened,
    /// The peer closes, broke the protocol or (None) just ended its stream: ended behind what the
    /// host does about the messages before.
    Ended(Option<Box<(CloseReason, Frame)>>),
    Message(Kind, Payload),
    Closed(ConnectionId, Option<Arc<Identity>>, Box<CloseReason>),
    Backpressure(bool),
    Lagged(Arc<RoomState>, Missed),
    Delivered(SharedTracker),
    Expiring,
    /// And whether its grants allow it.
    Wanted(Box<Wanted>, bool),
}

/// Whether there will be another turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Running,
    Ended,
}

pub(crate) struct Shard<N: Net> {
    me: usize,
    pub(crate) net: N,
    shared: Arc<Shared>,
    router: Router,
    conns: Conns<N>,
    wheel: Wheel,
    /// Rooms with a notice to come.
    notified: Notified,
    /// By slot, where connections are counted by address.
    addresses: Vec<Option<IpAddr>>,
    /// By slot, where tokens expire.
    expiries: Vec<Expiry>,
    /// How fast peers may speak, where that is limited.
    rates: Option<Rates>,
    read_limits: ReadLimits,
    arena: Vec<u8>,
    arena_used: usize,
    intake: Intake,
    told: Vec<Told>,
    /// Sockets with something to read.
    to_read: VecDeque<u32>,
    /// Listeners with somebody waiting, and until when accepting is put off.
    to_accept: Vec<usize>,
    accept_after_ns: u64,
    accept_rate: Option<Rate>,
    accept_bucket: Bucket,
    dying: Vec<u32>,
    stopping: Option<close::Stopping>,
    unflushed: bool,
    ready: Vec<Ready>,
    asks: Vec<Ask>,
    notices: Vec<Notice<Arc<RoomState>>>,
    /// Slots whose timers are to be looked at.
    passed: Vec<u32>,
    /// When the wait of this turn was over, and when the turn before ended.
    now_ns: u64,
    ended_ns: u64,
    /// When the figures that are not for each turn were taken last.
    sampled_ns: u64,
    /// Since when the inbox is left alone because of a cork; 0 for not.
    put_off_ns: u64,
    /// Bytes of messages of peers that have not arrived whole.
    assembly_bytes: usize,
    /// How late the publications of this turn were; None where there was none.
    late_ns: Option<u64>,
    pressure: Pressure,
    rung: Rung,
    /// When the log was told last that memory is saved; 0 for never.
    warned_ns: u64,
    /// The last field, so that it is dropped behind what was given by it.
    host: Arc<dyn Host>,
}

impl<N: Net> Shard<N> {
    pub(crate) fn new(me: usize, net: N, shared: Arc<Shared>, host: Arc<dyn Host>) -> Self {
        let limits = &shared.limits;
        let bounds = Bounds {
            tape_bytes_max: limits.tape_bytes_max,
            shard_tape_bytes_max: limits.shard_tape_bytes_max,
            outbox_bytes_max: limits.outbox_bytes_max,
            outbox_high_bytes: limits.outbox_high_bytes,
            pending_bytes_max: limits.room_ahead_bytes_max / 2,
            interval_max_ms: limits.flush_interval_max_ms,
        };
        let join_limits = JoinLimits::of(limits);
        let clock = shared.clock.clone();
        let now = Box::new(move || clock.now_ns());
        let codec = Codec::new(limits.deflate_level, limits.deflate_bytes_min, now);
        let bound_us = if shared.own_threads {
            limits.pressure_us
        } else {
            0
        };
        let pressure = Pressure::new(bound_us.saturating_mul(1_000));
        let rates = Rates::new(limits, shared.message_rate_policy);
        let accept_rate = Rate::new(limits.accept_rate_max, 0);
        let directory = shared.directory.clone();
        let alive = shared.alive[me].clone();
        Shard {
            me,
            router: Router::new(me, join_limits, directory, alive, bounds, codec),
            read_limits: ReadLimits {
                message_bytes_max: limits.message_bytes_max,
                fragments_max: limits.message_fragments_max,
            },
            to_accept: (0..net.listeners()).collect(),
            net,
            shared,
            host,
            conns: Conns::new(),
            wheel: Wheel::new(),
            notified: Notified::default(),
            addresses: Vec::new(),
            expiries: Vec::new(),
            rates,
            arena: vec![0; ARENA_BYTES],
            arena_used: 0,
            intake: Intake::new(),
            told: Vec::new(),
            to_read: VecDeque::new(),
            accept_after_ns: 0,
            accept_rate,
            accept_bucket: Bucket::default(),
            dying: Vec::new(),
            stopping: None,
            unflushed: false,
            ready: Vec::new(),
            asks: Vec::new(),
            notices: Vec::new(),
            passed: Vec::new(),
            now_ns: 0,
            ended_ns: 0,
            sampled_ns: 0,
            put_off_ns: 0,
            assembly_bytes: 0,
            late_ns: None,
            pressure,
            rung: Rung::Ground,
            warned_ns: 0,
        }
    }

    /// Turns until the engine has stopped. A callback that panics stops the engine: its
    /// connections cannot be told what the host would have done.
    pub(crate) fn run(&mut self) {
        loop {
            let turn = std::panic::AssertUnwindSafe(|| self.turn(None));
            match std::panic::catch_unwind(turn) {
                Ok(Ok(Flow::Running)) => continue,
                Ok(Ok(Flow::Ended)) => return,
                Ok(Err(error)) => {
                    tracing::error!(target: "roomcast", %error, "a shard cannot poll its sockets");
                    self.shared.counters[self.me].errors.add(1);
                }
                Err(_) => {
                    self.give_up();
                    return;
                }
            }
            self.end_at_once();
            return;
        }
    }

    /// A turn panicked, most likely in a callback: says so, and ends.
    pub(crate) fn give_up(&mut self) {
        tracing::error!(target: "roomcast", "a callback panicked; the engine stops");
        self.shared.broken.store(true, Ordering::Relaxed);
        self.shared.counters[self.me].errors.add(1);
        self.end_at_once();
    }

    fn end_at_once(&mut self) {
        self.shared.begin_stop();
        let cut = std::panic::AssertUnwindSafe(|| self.cut_all());
        if std::panic::catch_unwind(cut).is_err() {
            // A second panic, in the closed callback: the end is reported without it.
            self.told.clear();
            self.report();
        }
    }

    /// One turn: waits for at most `wait` (None: until there is something to do), then does it.
    pub(crate) fn turn(&mut self, wait: Option<Duration>) -> io::Result<Flow> {
        self.wait(wait)?;
        let began = self.now_ns;
        self.read();
        self.tell();
        self.step();
        self.tell();
        self.judge_intake(began);
        self.flush();
        // Before those who have ended lose their user and data.
        self.tell();
        self.reap();
        self.tell();
        self.schedule_notices();
        self.count(began);
        self.relieve(began);
        self.sample(wait.is_none());
        Ok(self.end_of_turn())
    }

    /// Has the next turn take in what keeps it within the budget.
    fn judge_intake(&mut self, began: u64) {
        if self.intake.is_judged() {
            let busy_ns = self.net.now_ns().saturating_sub(began);
            let budget_ns = self.shared.limits.turn_budget_us.saturating_mul(1_000);
            self.intake.judge(busy_ns, budget_ns);
        }
    }

    /// How long the shard may sleep: None for ever, zero while something is left to do. What is
    /// pushed to its inbox from now on wakes it.
    pub(crate) fn next_turn(&mut self) -> Option<Duration> {
        let now = self.net.now_ns();
        self.sleep_at(now)
    }

    /// The same, of a moment just past.
    fn sleep_at(&mut self, now: u64) -> Option<Duration> {
        let waiting_to_accept = !self.to_accept.is_empty();
        let busy = self.unflushed
            || !self.told.is_empty()
            || !self.to_read.is_empty()
            || !self.dying.is_empty()
            || !self.passed.is_empty()
            || (waiting_to_accept && now >= self.accept_after_ns);
        let dozes = self.shared.is_corked(now);
        let inbox = &self.shared.inboxes[self.me];
        inbox.set_dozing(dozes);
        if busy || !(inbox.may_sleep() || self.may_doze()) {
            return Some(Duration::ZERO);
        }
        let tick_ns = TICK_MS * 1_000_000;
        let timer = self.wheel.next().map(|ticks| {
            let due = (u64::from(self.tick()) + u64::from(ticks)) * tick_ns;
            Duration::from_nanos(due.saturating_sub(now))
        });
        let accept = waiting_to_accept
            .then(|| Duration::from_nanos(self.accept_after_ns.saturating_sub(now)));
        let stop = self.stopping.is_some().then_some(Duration::from_millis(5));
        let interval = self.router.outbound.next_due_ns();
        let interval = interval.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(now)));
        let notified = self.notified.next_ns();
        let notified = notified.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(now)));
        // What is put off is due then, also where its cork was made long ago.
        let doze = (dozes || self.put_off_ns != 0).then_some(DOZE);
        let all = [timer, accept, stop, doze, interval, notified];
        let all = all.into_iter().chain([self.look_again()]);
        all.flatten().min()
    }

    /// Whether what waits in the inbox is put off, until its cork is gone.
    fn may_doze(&self) -> bool {
        if self.put_off_ns == 0 {
            return false;
        }
        // Said before the last look at the corks: whoever drops one after that wakes us.
        self.shared.inboxes[self.me].doze();
        let may = self.shared.is_held();
        if !may {
            self.shared.inboxes[self.me].on_awake();
        }
        may
    }

    /// Whether the inbox is left alone for now: a cork is held, so more of the same batch comes in
    /// a moment, and one sweep will do for all of it.
    fn puts_off(&mut self) -> bool {
        let since = match self.put_off_ns {
            0 => self.now_ns.max(1),
            since => since,
        };
        let puts_off = self.shared.is_held() && self.now_ns.saturating_sub(since) < DOZE_NS;
        self.put_off_ns = if puts_off { since } else { 0 };
        puts_off
    }

    fn wait(&mut self, wait: Option<Duration>) -> io::Result<()> {
        // A shard on a thread of its own begins a turn where the one before has ended.
        let now = match wait {
            None => self.ended_ns,
            Some(_) => self.net.now_ns(),
        };
        let timeout = match (self.sleep_at(now), wait) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if wait.is_none() && timeout.is_none_or(|timeout| timeout > figures::LONG) {
            self.sample_before_sleep();
        }
        let mut ready = std::mem::take(&mut self.ready);
        let polled = self.net.poll(&mut ready, timeout);
        self.shared.inboxes[self.me].on_awake();
        self.now_ns = self.net.now_ns();
        for event in ready.drain(..) {
            self.on_ready(event);
        }
        self.ready = ready;
        polled
    }

    fn on_ready(&mut self, event: Ready) {
        match event {
            Ready::Woken => {}
            Ready::Listener(listener) => {
                if !self.to_accept.contains(&listener) {
                    self.to_accept.push(listener);
                }
            }
            Ready::Socket {
                slot,
                readable,
                writable,
                ended,
            } => {
                if ended {
                    self.conns.at(slot).flags |= ENDED;
                }
                if writable {
                    if let Some(socket) = &mut self.conns.sockets[slot as usize] {
                        self.net.on_writable(socket);
                    }
                    let counters = &self.shared.counters[self.me];
                    let mut wire = self.conns.wire(&mut self.net, counters, &mut self.late_ns);
                    self.router.outbound.on_writable(slot, &mut wire);
                }
                if readable {
                    self.read_later(slot);
                }
            }
        }
    }

    /// Puts a socket on the list of those to read.
    fn read_later(&mut self, slot: u32) {
        let conn = self.conns.at(slot);
        if !conn.is(READY) {
            conn.flags |= READY;
            self.to_read.push_back(slot);
        }
    }

    /// Tells the host all that was collected, in order; then the arena is free again.
    fn tell(&mut self) {
        self.arena_used = 0;
        if self.told.is_empty() {
            return;
        }
        let counters = &self.shared.counters[self.me];
        for Told { slot, what } in self.told.drain(..) {
            if let What::Delivered(tracker) = &what {
                self.host.on_delivered(&tracker.room, tracker.report());
                continue;
            }
            let who = self.router.who(slot);
            match what {
                What::Connecting(request) => self.host.on_connecting(who.id, request),
                What::Opened => self.host.on_opened(who),
                What::Ended(end) => {
                    self.shared.inboxes[self.me].push(Ask::End(who.id, end), 0);
                }
                What::Message(kind, payload) => {
                    counters.messages_in.add(1);
                    self.host.on_message(who, kind, payload.bytes(&self.arena));
                }
                What::Closed(id, identity, reason) => {
                    self.host.on_closed(
                        Who {
                            id,
                            identity: identity.as_ref(),
                        },
                        &reason,
                    );
                }
                What::Backpressure(high) => self.host.on_backpressure(who, high),
                What::Lagged(room, missed) => self.host.on_lagged(who, room.name(), missed),
                What::Expiring => self.host.on_expiring(who),
                What::Wanted(wanted, is_granted) => self.host.on_wanted(who, wanted, is_granted),
                What::Delivered(_) => unreachable!("it was told above"),
            }
        }
        self.host.on_told();
    }

    /// Takes the inbox and does what it asks, in order.
    fn step(&mut self) {
        self.notify_rooms();
        if !self.puts_off() {
            self.take_inbox();
        }
        self.fire_timers();
        self.go_on_stopping();
        self.take_notices();
    }

    fn take_inbox(&mut self) {
        let mut asks = std::mem::take(&mut self.asks);
        self.shared.inboxes[self.me].take(&mut asks);
        let mut bytes = 0;
        if let Some(since_ns) = asks.iter().find_map(Ask::since_ns) {
            let lag_ns = self.net.now_ns().saturating_sub(since_ns);
            self.shared.counters[self.me].turn_lag.record(lag_ns);
            self.late_ns = self.late_ns.max(Some(lag_ns));
        }
        for ask in &asks {
            if let Ask::Route(command) = ask {
                self.router.warm(command);
            }
        }
        for ask in asks.drain(..) {
            match ask {
                Ask::Route(command) => {
                    bytes += command.bytes();
                    self.router.apply(command);
                }
                other => {
                    bytes += other.bytes();
                    self.on_ask(other);
                }
            }
        }
        self.shared.inboxes[self.me].on_done(bytes);
        let kept = match self.rung {
            Rung::Ground => ASKS_KEPT,
            _ => ASKS_KEPT_SAVING,
        };
        if asks.capacity() <= kept {
            self.asks = asks;
        }
    }

    fn flush(&mut self) {
        let budget_ns = self.shared.limits.turn_budget_us.saturating_mul(1000);
        let counters = &self.shared.counters[self.me];
        let mut wire = self.conns.wire(&mut self.net, counters, &mut self.late_ns);
        self.unflushed = self.router.outbound.flush(&mut wire, budget_ns);
        self.take_notices();
        // A connection that was just given up has a close frame to be sent.
        self.unflushed |= self.router.outbound.has_work();
        self.router.let_go(&self.shared.spare);
    }

    /// Adds this turn's plain counters to the shared ones.
    fn count(&mut self, began: u64) {
        self.count_tls();
        self.count_compression();
        let counters = &self.shared.counters[self.me];
        let out = std::mem::take(&mut self.router.outbound.tally);
        let routed = std::mem::take(&mut self.router.tally);
        counters.writes.add(out.writes);
        counters.deliveries.add(out.frames);
        counters.bytes_out.add(out.bytes);
        counters.lagged.add(out.lagged);
        counters.replaced.add(out.replaced);
        counters.conflated.add(out.conflated);
        counters.volatile_dropped.add(out.volatile_dropped);
        counters.replayed.add(out.replayed);
        counters.too_slow.add(out.too_slow);
        counters.publications.add(routed.publications);
        counters.sends.add(routed.sends);
        counters.joins.add(routed.joins);
        counters.leaves.add(routed.leaves);
        counters.joins_refused.add(routed.joins_refused);
        counters
            .joins_refused_filters
            .add(routed.joins_refused_filters);
        counters.watches_refused.add(routed.watches_refused);
        counters.filtered.add(routed.filtered);
        counters.filters_asked.add(routed.filters_asked);
        counters.pongs_dropped.add(out.pongs_dropped);
        counters.connections.set(self.conns.len() as u64);
        counters
            .tape_bytes
            .set(self.router.outbound.tape_bytes() as u64);
        counters
            .outbox_bytes
            .set(self.router.outbound.private_bytes() as u64);
        counters
            .inbox_bytes
            .set(self.shared.inboxes[self.me].bytes() as u64);
        counters.turns.add(1);
        self.ended_ns = self.net.now_ns();
        let took_ns = self.ended_ns.saturating_sub(began);
        counters.busy_ns.add(took_ns);
        counters.turn.record(took_ns);
    }

    fn count_compression(&mut self) {
        let counters = &self.shared.counters[self.me];
        let deflated = std::mem::take(&mut self.router.codec.tally);
        counters.deflated.add(deflated.messages);
        counters.deflate_bytes_in.add(deflated.bytes);
        counters.deflate_bytes_out.add(deflated.compressed_bytes);
        counters.deflate_ns.add(deflated.ns);
        counters.deflate_passed.add(deflated.passed);
        counters.deflate_switched_off.add(deflated.paused);
        let inflated = std::mem::take(&mut self.intake.tally);
        counters.inflated.add(inflated.messages);
        counters.inflate_bytes_in.add(inflated.compressed_bytes);
        counters.inflate_bytes_out.add(inflated.bytes);
        counters.intake_paused.add(inflated.paused);
    }

    fn count_tls(&mut self) {
        let Some(tally) = self.net.take_tls_tally() else {
            return;
        };
        let counters = &self.shared.counters[self.me];
        counters.tls_connections.set(tally.connections);
        counters.tls_handshakes.add(tally.handshakes);
        counters.tls_resumed.add(tally.resumed);
        counters.tls_failed.add(tally.failed);
        let put_off = std::mem::take(&mut self.intake.tally.handshakes_put_off);
        counters.tls_put_off.add(put_off);
    }

    /// The present tick of the wheel.
    fn tick(&self) -> u32 {
        (self.now_ns / (TICK_MS * 1_000_000)) as u32
    }
}

/// Ticks for so many milliseconds, at least one.
fn ticks(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(TICK_MS))
        .unwrap_or(u32::MAX / 4)
        .clamp(1, u32::MAX / 4)
}

impl<N: Net> Conns<N> {
    fn wire<'a>(
        &'a mut self,
        net: &'a mut N,
        counters: &'a crate::metrics::Counters,
        late_ns: &'a mut Option<u64>,
    ) -> Sockets<'a, N> {
        Sockets {
            net,
            sockets: &mut self.sockets,
            counters,
            late_ns,
        }
    }
}
