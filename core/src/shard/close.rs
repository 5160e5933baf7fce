//! Endings: closing one connection, timers that say so, stopping all, and freeing what is left.
//!
//! In: reasons. Out: close frames, `Closed` told exactly once for every connection that opened,
//! slots free for others. Everything here is bounded by `close_timeout_ms` or `stop_timeout_ms`,
//! whatever peers do. Shard thread.

use smallvec::SmallVec;

use super::conns::{AWAITED, Hello, PEER_CLOSED, PINGED, PROXIED, Phase, TOLD, UNREAD};
use super::head::STOPPING;
use super::net::Net;
use super::timers::NEVER;
use super::{BEHIND, Flow, Shard, Told, What, ticks};
use crate::close::CloseReason;
use crate::outbound::Notice;
use crate::outbound::frame::Frame;
use crate::sync::Ordering;
use crate::transport::http::Reject;
use crate::transport::ws;

/// Most that a peer has to take the end of our stream after its last frame.
const LINGER_MS: u64 = 1_000;
/// How much each connection adds to the time over which a stop is spread.
const SPREAD_EACH_MS: u64 = 10;
/// Connections that one turn looks at because of their timers, and that it frees: thousands that
/// came together end together.
const ENDINGS: usize = 32;
const PING: &[u8] = &[0x89, 0x00];

/// The engine is stopping: who is still to be told, in which order.
pub(super) struct Stopping {
    began_ns: u64,
    order: Vec<u32>,
    told: usize,
    connections: usize,
    cut: usize,
}

impl<N: Net> Shard<N> {
    /// Sends the last frame or response; the connection ends when it is out.
    pub(super) fn close(&mut self, slot: u32, reason: CloseReason, frame: Frame) {
        let now = self.tick();
        let conn = self.conns.at(slot);
        if matches!(
            conn.phase,
            Phase::Free | Phase::Closing | Phase::Lingering | Phase::Dead
        ) {
            return;
        }
        self.end_handshake(slot);
        let conn = self.conns.at(slot);
        conn.phase = Phase::Closing;
        conn.spoke = now;
        conn.reason = Some(Box::new(reason));
        conn.hello = None;
        self.router.close(slot, frame);
        self.set_timer(slot);
    }

    /// Closes an open connection with a code and a text.
    pub(super) fn close_with(&mut self, slot: u32, reason: CloseReason, text: &str) {
        let bytes = ws::close_frame(reason.code(), text);
        self.close(slot, reason, Frame::new(&[], &bytes));
    }

    /// All that a closing connection was owed has been written.
    fn on_drained(&mut self, slot: u32) {
        let now = self.tick();
        let conn = self.conns.at(slot);
        if conn.phase != Phase::Closing {
            return;
        }
        let host_closed = matches!(
            conn.reason.as_deref(),
            Some(
                CloseReason::Host { .. }
                    | CloseReason::Stopping
                    | CloseReason::IdleTimeout
                    | CloseReason::TokenExpired
                    | CloseReason::Revoked
                    | CloseReason::TooSlow
            )
        );
        if conn.is(PEER_CLOSED) {
            self.kill(slot);
        } else if !host_closed {
            // What the peer has sent and we have not read would turn our close into a reset,
            // which could overtake our last frame: so end our stream and read on for a moment.
            conn.phase = Phase::Lingering;
            conn.spoke = now;
            if let Some(socket) = &mut self.conns.sockets[slot as usize] {
                self.net.shutdown(socket);
            }
            self.set_timer(slot);
            self.resume(slot);
        }
    }

    /// The peer's close frame came while ours was on its way.
    pub(super) fn kill_if_drained(&mut self, slot: u32) {
        if self.router.outbound.waiting_bytes(slot) == 0 {
            self.kill(slot);
        }
    }

    /// The peer has ended its stream. One that is closing may still take what it is owed.
    pub(super) fn on_end(&mut self, slot: u32) {
        let conn = self.conns.at(slot);
        match conn.phase {
            Phase::Closing => {
                conn.flags |= PEER_CLOSED;
                self.kill_if_drained(slot);
            }
            _ => self.vanish(slot),
        }
    }

    /// The socket is of no use any more.
    pub(super) fn vanish(&mut self, slot: u32) {
        let conn = self.conns.at(slot);
        if conn.reason.is_none() {
            conn.reason = Some(Box::new(CloseReason::Vanished));
        }
        self.kill(slot);
    }

    pub(super) fn kill(&mut self, slot: u32) {
        let conn = self.conns.at(slot);
        if matches!(conn.phase, Phase::Free | Phase::Dead) {
            return;
        }
        self.end_handshake(slot);
        self.conns.at(slot).phase = Phase::Dead;
        self.dying.push(slot);
    }

    /// The connection is about to leave its handshake, if it is in it.
    pub(super) fn end_handshake(&mut self, slot: u32) {
        if self.conns.at(slot).shakes_hands() {
            self.shared.admission.end_handshake();
        }
    }

    pub(super) fn take_notices(&mut self) {
        let mut notices = std::mem::take(&mut self.notices);
        self.router.outbound.take_notices(&mut notices);
        for notice in notices.drain(..) {
            match notice {
                Notice::Failed(slot) => self.vanish(slot),
                Notice::Drained(slot) => self.on_drained(slot),
                Notice::TooSlow(slot) => {
                    self.close_with(slot, CloseReason::TooSlow, "too slow");
                }
                Notice::High(slot) => {
                    self.told.push(Told {
                        slot,
                        what: What::Backpressure(true),
                    });
                }
                Notice::Low(slot) => {
                    self.told.push(Told {
                        slot,
                        what: What::Backpressure(false),
                    });
                    self.resume(slot);
                }
                Notice::Lagged(slot, room, missed) => {
                    self.told.push(Told {
                        slot,
                        what: What::Lagged(room, missed),
                    });
                }
                Notice::Replay(slot) => self.router.replay(slot),
                Notice::Delivered(tracker) => self.report_on(tracker),
            }
        }
        self.notices = notices;
    }

    /// Frees the slots of what has died, and says so to the host in the next batch.
    pub(super) fn reap(&mut self) {
        let now = self.dying.len().min(ENDINGS);
        for slot in self
            .dying
            .drain(..now)
            .collect::<SmallVec<[u32; ENDINGS]>>()
        {
            let id = self.router.id(slot);
            let identity = self.router.detach(slot);
            if self.shared.limits.user_connections_max > 0
                && let Some(user) = identity.as_ref().and_then(|i| i.user.as_ref())
            {
                self.shared.admission.user_goes(user);
            }
            let conn = self.conns.at(slot);
            let reason = conn
                .reason
                .take()
                .unwrap_or_else(|| Box::new(CloseReason::Vanished));
            self.shared.counters[self.me].closed[reason.index()].add(1);
            if conn.is(TOLD) {
                self.told.push(Told {
                    slot,
                    what: What::Closed(id, identity, reason),
                });
            }
            self.wheel.remove(slot);
            if let Some(address) = self.addresses.get_mut(slot as usize).and_then(Option::take) {
                self.shared.admission.go(address);
            }
            self.intake.take(slot);
            self.expire_at(slot, None);
            self.assembly_bytes -= self.conns.at(slot).reader.held_bytes();
            if let Some(socket) = self.conns.sockets[slot as usize].take() {
                self.net.close(socket);
            }
            self.conns.free(slot);
            self.accept_after_ns = 0;
            self.uncount();
        }
    }

    /// One connection fewer.
    pub(super) fn uncount(&self) {
        self.shared.total.fetch_sub(1, Ordering::Relaxed);
        self.shared.loads[self.me].fetch_sub(1, Ordering::Relaxed);
    }

    /// Makes sure that the wheel looks at the connection when its next deadline comes.
    pub(super) fn set_timer(&mut self, slot: u32) {
        let due = self.deadline(slot);
        let conn = &mut self.conns.all[slot as usize];
        if due < conn.timer {
            conn.timer = due;
            self.wheel.set(slot, due);
        }
    }

    /// The tick at which something is due for the connection.
    fn deadline(&self, slot: u32) -> u32 {
        let conn = &self.conns.all[slot as usize];
        let l = &self.shared.limits;
        match conn.phase {
            Phase::Free | Phase::Dead => NEVER,
            Phase::Head => conn.spoke + ticks(l.handshake_timeout_ms),
            Phase::Proving => conn.spoke + ticks(l.handshake_timeout_ms),
            Phase::Deciding => conn.spoke + ticks(l.verdict_timeout_ms),
            Phase::Closing => conn.spoke + ticks(l.close_timeout_ms),
            Phase::Lingering => conn.spoke + ticks(l.close_timeout_ms.min(LINGER_MS)),
            Phase::Open => self.silence_deadline(slot).min(self.token_deadline(slot)),
        }
    }

    /// The tick at which an open connection has said nothing for too long.
    fn silence_deadline(&self, slot: u32) -> u32 {
        let conn = &self.conns.all[slot as usize];
        let l = &self.shared.limits;
        let idle = match l.idle_timeout_ms {
            0 => NEVER,
            ms => conn.spoke.saturating_add(ticks(ms)),
        };
        let ping = match (l.ping_interval_ms, conn.is(PINGED)) {
            (0, _) => NEVER,
            (ms, false) => conn.heard + self.spread(slot, ticks(ms)),
            (ms, true) => conn.heard + self.spread(slot, ticks(ms)) + ticks(l.ping_timeout_ms),
        };
        idle.min(ping)
    }

    /// Between three quarters and all of an interval, different from slot to slot, so that pings
    /// to those who came together do not go out together.
    fn spread(&self, slot: u32, interval: u32) -> u32 {
        let mixed = u64::from(slot.wrapping_mul(0x9e37_79b9) >> 16);
        let part = (mixed * u64::from(interval / 4)) >> 16;
        (interval - part as u32).max(1)
    }

    pub(super) fn fire_timers(&mut self) {
        let mut passed = std::mem::take(&mut self.passed);
        self.wheel.advance(self.tick(), &mut passed);
        // What was to be written before comes first: each of these adds to it.
        let most = if self.unflushed { BEHIND } else { ENDINGS };
        let now = passed.len().min(most);
        for slot in passed.drain(..now) {
            let conn = &mut self.conns.all[slot as usize];
            conn.timer = NEVER;
            if self.deadline(slot) <= self.tick() {
                self.on_deadline(slot);
            }
            self.set_timer(slot);
        }
        if passed.capacity() > 65_536 && passed.is_empty() {
            passed = Vec::new();
        }
        self.passed = passed;
    }

    fn on_deadline(&mut self, slot: u32) {
        let now = self.tick();
        match self.conns.all[slot as usize].phase {
            Phase::Head if self.has_asked_nothing(slot) => {
                // Browsers connect ahead of need, and take an answer that comes unasked for that
                // to their next request. In a PROXY header nothing is asked either.
                self.shared.counters[self.me].rejected_head_timeout.add(1);
                self.conns.at(slot).reason = Some(Box::new(CloseReason::HandshakeTimeout));
                self.kill(slot);
            }
            Phase::Head => {
                let reject = Reject {
                    status: 408,
                    text: "no request in handshake_timeout_ms",
                };
                self.reject(slot, |c| &c.rejected_head_timeout, reject, false);
                self.conns.at(slot).reason = Some(Box::new(CloseReason::HandshakeTimeout));
            }
            Phase::Proving => {
                self.shared.counters[self.me].rejected_token.add(1);
                self.end_unproven(slot, "no token in handshake_timeout_ms");
            }
            Phase::Deciding => {
                let reject = Reject {
                    status: 503,
                    text: "no verdict in verdict_timeout_ms",
                };
                self.reject(slot, |c| &c.rejected_verdict_timeout, reject, false);
                self.conns.at(slot).reason = Some(Box::new(CloseReason::HandshakeTimeout));
            }
            Phase::Closing | Phase::Lingering => self.kill(slot),
            Phase::Open => {
                let ended = self.on_token_deadline(slot);
                if !ended && self.silence_deadline(slot) <= now {
                    self.on_silence(slot);
                }
            }
            Phase::Free | Phase::Dead => {}
        }
    }

    /// The peer has said nothing for so long that it is asked, or given up.
    fn on_silence(&mut self, slot: u32) {
        let now = self.tick();
        let l = &self.shared.limits;
        let idle_ms = l.idle_timeout_ms;
        let interval = self.spread(slot, ticks(l.ping_interval_ms));
        let conn = self.conns.at(slot);
        if conn.is(UNREAD) {
            // It has spoken; it is we who do not listen. A ping still finds out, through
            // the kernel, that nobody is there any more.
            (conn.heard, conn.spoke) = (now, now);
            conn.flags |= AWAITED;
            self.router.outbound.ping(slot, PING);
        } else if idle_ms > 0 && conn.spoke.saturating_add(ticks(idle_ms)) <= now {
            self.close_with(slot, CloseReason::IdleTimeout, "idle");
        } else if conn.is(PINGED) {
            conn.reason = Some(Box::new(CloseReason::PingTimeout));
            self.kill(slot);
        } else {
            conn.flags |= PINGED | AWAITED;
            // The peer has its time from now on, however late the ping was.
            conn.heard = now.saturating_sub(interval);
            self.router.outbound.ping(slot, PING);
        }
    }

    fn has_asked_nothing(&self, slot: u32) -> bool {
        let conn = &self.conns.all[slot as usize];
        let is_silent = |hello: &Hello| hello.bytes.is_empty();
        conn.is(PROXIED) || conn.hello.as_deref().is_none_or(is_silent)
    }

    /// Begins to stop: no new connections, and everybody is told, one after the other.
    pub(super) fn begin_stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.net.close_listeners();
        self.to_accept.clear();
        let mut order: Vec<u32> = (0..self.conns.all.len() as u32)
            .filter(|&s| !matches!(self.conns.all[s as usize].phase, Phase::Free | Phase::Dead))
            .collect();
        // Any order but that of arrival will do: neighbours came together and would come back so.
        order.sort_unstable_by_key(|slot| slot.wrapping_mul(0x9e37_79b9).rotate_left(7));
        self.stopping = Some(Stopping {
            began_ns: self.now_ns,
            connections: order.len(),
            order,
            told: 0,
            cut: 0,
        });
    }

    /// Tells the next batch of connections that the engine stops.
    pub(super) fn go_on_stopping(&mut self) {
        let Some(mut stopping) = self.stopping.take() else {
            return;
        };
        let timeout_ms = self.shared.stop_timeout_ms.load(Ordering::Relaxed);
        let timeout_ns = timeout_ms.saturating_mul(1_000_000);
        // A few that come back together hurt nobody, and need not be waited for.
        let few_ms = stopping.order.len() as u64 * SPREAD_EACH_MS;
        let most_ms = self.shared.limits.stop_spread_ms.min(timeout_ms / 2);
        let spread_ms = most_ms.min(few_ms);
        let spread_ns = spread_ms * 1_000_000;
        let passed = self.now_ns.saturating_sub(stopping.began_ns);
        let all = stopping.order.len();
        let due = match passed >= spread_ns {
            true => all,
            false => (all as u64 * passed / spread_ns) as usize,
        };
        while stopping.told < due {
            let slot = stopping.order[stopping.told];
            stopping.told += 1;
            match self.conns.at(slot).phase {
                Phase::Open => self.close_with(slot, CloseReason::Stopping, "going away"),
                Phase::Deciding | Phase::Proving | Phase::Head => {
                    self.reject(slot, |c| &c.rejected_stopping, STOPPING, false);
                }
                _ => {}
            }
        }
        if passed >= timeout_ns {
            stopping.cut += self.kill_all();
        }
        self.stopping = Some(stopping);
    }

    /// Gives the number of those that were there.
    fn kill_all(&mut self) -> usize {
        let mut killed = 0;
        for slot in 0..self.conns.all.len() as u32 {
            let conn = self.conns.at(slot);
            if !matches!(conn.phase, Phase::Free | Phase::Dead) {
                conn.reason
                    .get_or_insert_with(|| Box::new(CloseReason::Stopping));
                self.kill(slot);
                killed += 1;
            }
        }
        killed
    }

    /// The shard cannot go on: every connection ends here and now.
    pub(crate) fn cut_all(&mut self) {
        self.begin_stop();
        self.kill_all();
        while !self.dying.is_empty() {
            self.reap();
        }
        self.finish();
    }

    /// Works off what is left, tells the host what came of it, and reports the end.
    fn finish(&mut self) {
        self.end_inbox();
        self.take_notices();
        self.tell();
        self.report();
    }

    /// After a turn: whether the stop is complete.
    pub(super) fn end_of_turn(&mut self) -> Flow {
        if self.stopping.is_none() || self.conns.len() > 0 {
            return Flow::Running;
        }
        self.finish();
        Flow::Ended
    }

    /// Joins count in the directory and sockets are open: none may stay behind.
    fn end_inbox(&mut self) {
        if self.stopping.is_some() {
            for ask in self.shared.inboxes[self.me].end() {
                self.on_ask(ask);
            }
        }
    }

    pub(super) fn report(&mut self) {
        self.end_inbox();
        let Some(stopping) = self.stopping.take() else {
            return;
        };
        let mut ending = self.shared.ending.lock();
        ending.report.connections += stopping.connections;
        ending.report.cut += stopping.cut;
        let took_ms = self.now_ns.saturating_sub(stopping.began_ns) / 1_000_000;
        ending.report.took_ms = ending.report.took_ms.max(took_ms);
        ending.shards_left -= 1;
        let last = ending.shards_left == 0;
        drop(ending);
        self.shared.counters[self.me].connections.set(0);
        if last {
            self.host.on_stopped();
        }
        self.shared.ended.notify_all();
    }
}
