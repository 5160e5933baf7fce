//! The read phase: read each ready socket once, turn frames into what the host is told.
//!
//! In: sockets on the ready list, within what a turn takes in. Out: `Told`s, whose payloads lie in
//! the arena; pongs and closes in outboxes. Shard thread.

use std::io;

use super::conns::{CUT, ENDED, PEER_CLOSED, PINGED, Phase, READY, UNREAD};
use super::ladder::Rung;
use super::net::Net;
use super::{READ_BYTES, Shard, Told, What};
use crate::close::CloseReason;
use crate::dialect::raw;
use crate::outbound::frame::Frame;
use crate::payload::Kind;
use crate::transport::ws::{self, Item, Payload, ReadLimits, Violation};

/// What a message in the making may hold while the engine's memory budget is used up.
const ASSEMBLY_BYTES: usize = 16 * 1024;
/// The close code for who had better come again later.
const TRY_LATER: u16 = 1013;

impl<N: Net> Shard<N> {
    pub(super) fn read(&mut self) {
        self.accept();
        self.intake.begin_turn();
        let budget_ns = self.shared.limits.tls_budget_us.saturating_mul(1_000);
        for _ in 0..self.to_read.len() {
            if self.intake.turn_is_spent() {
                self.intake.on_paused();
                return;
            }
            let Some(slot) = self.to_read.pop_front() else {
                return;
            };
            let spent = self.intake.inflating_is_spent();
            if spent && self.conns.at(slot).reader.allows_deflate() {
                self.intake.on_paused();
                self.to_read.push_back(slot);
                continue;
            }
            let shakes = self.shakes_hands(slot);
            if shakes && self.intake.puts_off_handshake(budget_ns) {
                self.to_read.push_back(slot);
                continue;
            }
            self.conns.at(slot).flags &= !READY;
            let began_ns = if shakes { self.net.now_ns() } else { 0 };
            self.read_socket(slot);
            if shakes {
                let took_ns = self.net.now_ns().saturating_sub(began_ns);
                self.intake.on_handshake(took_ns);
            }
        }
    }

    /// Whether the socket is in its TLS handshake.
    fn shakes_hands(&self, slot: u32) -> bool {
        let socket = self.conns.sockets[slot as usize].as_ref();
        socket.is_some_and(|socket| self.net.shakes_hands(socket))
    }

    fn read_socket(&mut self, slot: u32) {
        let before = self.conns.at(slot).reader.held_bytes();
        self.read_once(slot);
        let held = self.conns.at(slot).reader.held_bytes();
        self.assembly_bytes = self.assembly_bytes + held - before;
        if held > ASSEMBLY_BYTES && self.rung == Rung::Full {
            self.cut_assembly(slot);
        }
    }

    /// There is no memory for the rest of this message.
    fn cut_assembly(&mut self, slot: u32) {
        self.shared.counters[self.me].memory_cut.add(1);
        let reader = &mut self.conns.at(slot).reader;
        let held = reader.held_bytes();
        reader.end();
        self.assembly_bytes -= held - reader.held_bytes();
        let name = "memory_bytes_max";
        let frame = ws::close_frame(TRY_LATER, name);
        self.end(slot, CloseReason::Limit { name }, &frame);
    }

    fn read_once(&mut self, slot: u32) {
        if !self.may_read(slot) {
            return;
        }
        if self.arena.len() - self.arena_used < READ_BYTES {
            self.tell();
        }
        self.intake.begin_read();
        if let Some(mut bytes) = self.intake.take(slot) {
            self.read_later(slot);
            if matches!(
                self.conns.at(slot).phase,
                Phase::Open | Phase::Proving | Phase::Closing
            ) {
                self.on_frames(slot, &mut bytes, 0, true);
            }
            return;
        }
        let from = self.arena_used;
        let may_compress = self.conns.at(slot).reader.allows_deflate();
        let most = self.intake.read_bytes(may_compress);
        let into = &mut self.arena[from..from + most];
        let Some(socket) = &mut self.conns.sockets[slot as usize] else {
            return;
        };
        let read = self.net.read(socket, into);
        let left = self.net.left(socket);
        match read {
            Ok(0) if self.conns.at(slot).phase == Phase::Open => {
                let what = What::Ended(None);
                self.told.push(Told { slot, what });
            }
            Ok(0) => self.on_end(slot),
            Ok(n) => {
                self.shared.counters[self.me].bytes_in.add(n as u64);
                self.intake.on_read(n, most);
                self.intake.on_left(left);
                if n == most || left.again || self.conns.at(slot).is(ENDED) {
                    self.read_later(slot);
                }
                self.on_bytes(slot, from, n);
                if let Some(rates) = &mut self.rates
                    && n < most
                    && !self.intake.has(slot)
                {
                    rates.catch_up(slot);
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    // Records may hold nothing for us, so there may be more behind them.
                    self.intake.on_left(left);
                    if left.again {
                        self.read_later(slot);
                    }
                }
                io::ErrorKind::Interrupted => self.read_later(slot),
                _ => self.vanish(slot),
            },
        }
    }

    /// Whether more may be read; if not, it is remembered that something waits.
    fn may_read(&mut self, slot: u32) -> bool {
        let conn = &mut self.conns.all[slot as usize];
        match conn.phase {
            Phase::Head | Phase::Proving | Phase::Lingering | Phase::Closing => return true,
            Phase::Free | Phase::Dead => return false,
            Phase::Deciding => conn.flags |= UNREAD,
            Phase::Open => {
                if self.shared.inboxes[self.me].bytes() > self.shared.inbox_bytes_max / 2 {
                    // The step of this turn makes place, and the next turn reads.
                    self.read_later(slot);
                } else if !self.router.outbound.is_high(slot)
                    && self.host.keeps_up(self.router.who(slot))
                {
                    return true;
                } else {
                    conn.flags |= UNREAD;
                    if let Some(rates) = &mut self.rates {
                        rates.pause(slot, self.now_ns);
                    }
                }
                self.shared.counters[self.me].reads_paused.add(1);
            }
        }
        false
    }

    /// Reads on where reading was put off.
    pub(super) fn resume(&mut self, slot: u32) {
        let conn = self.conns.at(slot);
        if conn.is(UNREAD) {
            conn.flags &= !UNREAD;
            if let Some(rates) = &mut self.rates {
                rates.resume(slot, self.now_ns);
            }
            self.read_later(slot);
        }
    }

    fn on_bytes(&mut self, slot: u32, from: usize, n: usize) {
        let now = self.tick();
        let conn = self.conns.at(slot);
        conn.heard = now;
        if conn.is(PINGED) {
            // The next ping is due before the timeout of this one would have been.
            conn.flags &= !PINGED;
            self.set_timer(slot);
        }
        match self.conns.at(slot).phase {
            Phase::Head => {
                let arena = std::mem::take(&mut self.arena);
                self.on_beginning(slot, &arena[from..from + n]);
                self.arena = arena;
            }
            Phase::Open | Phase::Proving | Phase::Closing => {
                let mut arena = std::mem::take(&mut self.arena);
                self.on_frames(slot, &mut arena[..from + n], from, false);
                self.arena = arena;
                self.arena_used = from + n;
            }
            _ => {}
        }
    }

    /// Reads frames from `buf[from..]`. `own`: the payloads are copied, since `buf` is not the
    /// arena.
    pub(super) fn on_frames(&mut self, slot: u32, buf: &mut [u8], from: usize, own: bool) {
        let mut at = from;
        let limits = self.limits_of(slot);
        loop {
            let reader = &mut self.conns.all[slot as usize].reader;
            match reader.next(buf, &mut at, &limits) {
                Ok(None) => return,
                Ok(Some(item)) if self.rates.is_some() && !self.may_say(slot, &item) => {}
                Ok(Some(Item::Deflated { text, payload })) => {
                    if let Err(violation) =
                        self.on_deflated(slot, text, payload.bytes(buf), &limits)
                    {
                        self.conns.at(slot).reader.end();
                        return self.on_violation(slot, violation);
                    }
                    if self.intake.read_is_spent() && at < buf.len() {
                        self.intake.put_off(slot, &buf[at..]);
                        return self.read_later(slot);
                    }
                }
                Ok(Some(item)) => {
                    self.on_item(slot, item, buf, own);
                    if self.conns.at(slot).phase == Phase::Deciding {
                        return self.keep_early(slot, &buf[at..]);
                    }
                }
                Err(violation) => return self.on_violation(slot, violation),
            }
            self.intake.on_item();
        }
    }

    /// What came behind the first message, which the host is to decide on first.
    fn keep_early(&mut self, slot: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.intake.keep(slot, bytes.to_vec());
            self.conns.at(slot).flags |= UNREAD;
        }
    }

    /// What a peer may say at once: before it has said who it is, a token.
    fn limits_of(&self, slot: u32) -> ReadLimits {
        match (self.conns.all[slot as usize].phase, &self.shared.trust) {
            (Phase::Proving, Some(trust)) => ReadLimits {
                message_bytes_max: trust
                    .message_bytes_max()
                    .min(self.read_limits.message_bytes_max),
                ..self.read_limits
            },
            _ => self.read_limits,
        }
    }

    fn on_deflated(
        &mut self,
        slot: u32,
        text: bool,
        compressed: &[u8],
        limits: &ReadLimits,
    ) -> Result<(), Violation> {
        if matches!(self.conns.at(slot).phase, Phase::Open | Phase::Proving) {
            let item = self.intake.inflate(text, compressed, limits)?;
            self.on_item(slot, item, &[], true);
        }
        Ok(())
    }

    fn on_item(&mut self, slot: u32, item: Item, buf: &[u8], own: bool) {
        match item {
            Item::Text(payload) => self.on_message(slot, Kind::Text, payload, buf, own),
            Item::Binary(payload) => self.on_message(slot, Kind::Binary, payload, buf, own),
            Item::Deflated { .. } => unreachable!("it was inflated"),
            Item::Ping(payload) => {
                self.shared.counters[self.me].pings_in.add(1);
                let pong = ws::control(ws::Opcode::Pong, payload.bytes(buf));
                self.router.outbound.pong(slot, &pong);
            }
            Item::Pong(_) => {}
            Item::Close { code, reason } => {
                let text = String::from_utf8_lossy(reason.bytes(buf)).into_owned();
                self.on_peer_close(slot, code, text);
            }
        }
    }

    fn on_message(&mut self, slot: u32, kind: Kind, payload: Payload, buf: &[u8], own: bool) {
        let now = self.tick();
        let conn = self.conns.at(slot);
        match conn.phase {
            Phase::Open => conn.spoke = now,
            Phase::Proving => return self.on_proof(slot, kind, payload.bytes(buf)),
            _ => return,
        }
        if self.shared.trust.is_some() && self.is_new_token(slot, kind, payload.bytes(buf)) {
            return;
        }
        let raw::Heard::Message(kind) = raw::on_message(kind);
        let payload = match payload {
            Payload::Range(range) if own => Payload::Owned(buf[range].to_vec()),
            other => other,
        };
        self.told.push(Told {
            slot,
            what: What::Message(kind, payload),
        });
    }

    fn on_peer_close(&mut self, slot: u32, code: Option<u16>, text: String) {
        let conn = self.conns.at(slot);
        conn.flags |= PEER_CLOSED;
        let reason = CloseReason::Peer {
            code: code.unwrap_or(1005),
            text,
        };
        match conn.phase {
            Phase::Open | Phase::Proving => {
                self.end(slot, reason, &ws::close_frame(code.unwrap_or(1005), ""));
            }
            // Our own close frame is on its way or there already.
            _ => self.kill_if_drained(slot),
        }
    }

    fn on_violation(&mut self, slot: u32, violation: Violation) {
        let counters = &self.shared.counters[self.me];
        let counter = match violation {
            Violation::MessageBytes => &counters.violations_size,
            Violation::Fragments => &counters.violations_fragments,
            Violation::Utf8 => &counters.violations_text,
            Violation::Inflate => &counters.violations_deflate,
            _ => &counters.violations_frame,
        };
        let conn = &self.conns.all[slot as usize];
        if conn.phase == Phase::Open && !conn.is(CUT) {
            counter.add(1);
        }
        let (code, text) = (violation.close_code(), violation.text());
        self.end(
            slot,
            CloseReason::Protocol { code, text },
            &ws::close_frame(code, text),
        );
    }

    fn end(&mut self, slot: u32, reason: CloseReason, frame: &[u8]) {
        let what = What::Ended(Some(Box::new((reason, Frame::new(&[], frame)))));
        self.told.push(Told { slot, what });
    }
}
