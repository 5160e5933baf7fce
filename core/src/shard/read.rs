//! The read phase: accept, read each ready socket once, turn bytes into what the host is told.
//!
//! In: listeners and sockets on the ready lists. Out: `Told`s, whose payloads lie in the arena;
//! pongs and closes in outboxes. Reads are bounded, so one peer costs a turn no more than 64 KiB.
//! Shard thread.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::conns::{
    CROWD, CUT, ENDED, Hello, OVER, PEER_CLOSED, PINGED, Phase, READY, UNREAD, place,
};
use super::net::{Incoming, Net};
use super::shared::{Ask, Stage};
use super::{ACCEPTS, BEHIND, READ_BYTES, Shard, Told, What};
use crate::close::CloseReason;
use crate::dialect::raw;
use crate::exposition;
use crate::metrics::{Counter, Counters};
use crate::outbound::frame::Frame;
use crate::payload::Kind;
use crate::request::Request;
use crate::sync::{Arc, Ordering};
use crate::transport::http::{self, HeadLimits, Reject, Route};
use crate::transport::ws::{self, Item, Payload, Violation};

pub(super) const STOPPING: Reject = Reject {
    status: 503,
    text: "stopping",
};
/// Header fields of a request.
const HEADERS_MAX: usize = 100;
/// How long accepting is put off when the process has no descriptor left.
const EXHAUSTED_NS: u64 = 50_000_000;
/// How long it is put off when too many handshakes are in flight.
const CROWDED_NS: u64 = 5_000_000;
/// The shortest time for which it is put off because of `accept_rate_max`.
const PACED_NS: u64 = 1_000_000;
/// Connections beyond `connections_max` that are answered with 503 instead of being dropped.
const OVER_MAX: usize = 256;

impl<N: Net> Shard<N> {
    pub(super) fn read(&mut self) {
        self.accept();
        self.intake.begin_turn();
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
            self.conns.at(slot).flags &= !READY;
            self.read_socket(slot);
        }
    }

    fn accept(&mut self) {
        if self.to_accept.is_empty() || self.now_ns < self.accept_after_ns {
            return;
        }
        let most = if self.unflushed { BEHIND } else { ACCEPTS };
        for i in (0..self.to_accept.len()).rev() {
            let listener = self.to_accept[i];
            for n in 0.. {
                if n == most {
                    // More may wait; the list brings us back without an edge.
                    break;
                }
                if !self.may_accept() {
                    break;
                }
                if self.shared.admission.handshakes() >= self.shared.limits.handshakes_max {
                    self.shared.counters[self.me].accept_paused.add(1);
                    self.accept_after_ns = self.now_ns + CROWDED_NS;
                    break;
                }
                match self.net.accept(listener) {
                    Ok(incoming) => {
                        if let Some(rate) = self.accept_rate {
                            rate.take(&mut self.accept_bucket, self.now_ns);
                        }
                        self.place(incoming);
                    }
                    Err(error) => {
                        if self.on_accept_error(&error) {
                            self.to_accept.swap_remove(i);
                        }
                        break;
                    }
                }
            }
        }
    }

    /// Whether `accept_rate_max` lets one more in now; if not, accepting is put off.
    fn may_accept(&mut self) -> bool {
        let Some(rate) = self.accept_rate else {
            return true;
        };
        let wait_ns = rate.wait_ns(self.accept_bucket, self.now_ns);
        if wait_ns > 0 {
            self.shared.counters[self.me].accept_paced.add(1);
            self.accept_after_ns = self.now_ns + wait_ns.max(PACED_NS);
        }
        wait_ns == 0
    }

    /// True when nobody waits any more; else the listener stays on the list.
    fn on_accept_error(&mut self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::WouldBlock => true,
            io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => false,
            _ => {
                // EMFILE, ENFILE, ENOBUFS, ENOMEM: they pass when something is closed.
                let counters = &self.shared.counters[self.me];
                if counters.accept_exhausted.load() == 0 {
                    tracing::warn!(target: "roomcast", %error,
                        "connections wait because accept fails; raise the limit of open files");
                }
                counters.accept_exhausted.add(1);
                self.accept_after_ns = self.now_ns + EXHAUSTED_NS;
                false
            }
        }
    }

    /// Gives an accepted socket to the shard with the fewest connections.
    fn place(&mut self, incoming: Incoming) {
        let total = self.shared.total.load(Ordering::Relaxed);
        if total >= self.shared.limits.connections_max + OVER_MAX {
            self.shared.counters[self.me].rejected_full.add(1);
            return;
        }
        let before = self.shared.total.fetch_add(1, Ordering::Relaxed);
        // Decided here: where it is taken over, those behind it are counted too.
        let stage = match before >= self.shared.limits.connections_max {
            true => Stage::Over,
            false => Stage::Head(Vec::new()),
        };
        let shard = self.shared.least_loaded();
        self.shared.loads[shard].fetch_add(1, Ordering::Relaxed);
        if shard == self.me {
            return self.adopt(incoming, stage);
        }
        self.shared
            .ask(shard, Ask::Adopt(Box::new((incoming, stage))));
    }

    /// Takes over a socket that is counted already.
    pub(super) fn adopt(&mut self, incoming: Incoming, stage: Stage) {
        let peer = incoming.peer();
        let slot = self.conns.take_slot();
        match self.net.register(incoming, slot) {
            Ok(socket) => self.conns.sockets[slot as usize] = Some(socket),
            Err(error) => {
                tracing::warn!(target: "roomcast", %error, "a socket could not be registered");
                self.shared.counters[self.me].errors.add(1);
                self.conns.free(slot);
                return self.uncount();
            }
        }
        self.shared.counters[self.me].accepted.add(1);
        self.router.attach(slot);
        let now = self.tick();
        let crowd = peer.is_some_and(|peer| self.is_crowd(slot, peer.ip()));
        let conn = self.conns.at(slot);
        (conn.heard, conn.spoke) = (now, now);
        if crowd {
            conn.flags |= CROWD;
        }
        match stage {
            Stage::Head(bytes) => self.expect_head(slot, peer, &bytes),
            Stage::Over => {
                conn.flags |= OVER;
                self.expect_head(slot, peer, &[]);
            }
            Stage::Open(accepted, _) if self.is_one_too_many(&accepted) => {
                // It has its 101 already, so all that can be said is a close frame.
                self.shared.counters[self.me].rejected_user.add(1);
                self.conns.at(slot).phase = Phase::Open;
                let name = "user_connections_max";
                self.close_with(slot, CloseReason::Limit { name }, name);
            }
            Stage::Open(accepted, bytes) => {
                self.conns.at(slot).hello = Some(Box::new(Hello {
                    bytes,
                    request: None,
                    peer,
                }));
                self.open(slot, accepted);
            }
        }
    }

    /// Counts a connection for its address: whether that is one too many.
    fn is_crowd(&mut self, slot: u32, address: IpAddr) -> bool {
        let max = self.shared.limits.address_connections_max;
        if max == 0 {
            return false;
        }
        *place(&mut self.addresses, slot) = Some(address);
        self.shared.admission.come(address) > max
    }

    fn expect_head(&mut self, slot: u32, peer: Option<SocketAddr>, bytes: &[u8]) {
        let conn = self.conns.at(slot);
        conn.phase = Phase::Head;
        self.shared.admission.begin_handshake();
        let conn = self.conns.at(slot);
        conn.hello = Some(Box::new(Hello {
            bytes: Vec::new(),
            request: None,
            peer,
        }));
        self.set_timer(slot);
        if !bytes.is_empty() {
            self.on_head(slot, bytes);
        }
    }

    fn read_socket(&mut self, slot: u32) {
        if !self.may_read(slot) {
            return;
        }
        if self.arena.len() - self.arena_used < READ_BYTES {
            self.tell();
        }
        self.intake.begin_read();
        if let Some(mut bytes) = self.intake.take(slot) {
            self.read_later(slot);
            if matches!(self.conns.at(slot).phase, Phase::Open | Phase::Closing) {
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
        match self.net.read(socket, into) {
            Ok(0) if self.conns.at(slot).phase == Phase::Open => {
                let what = What::Ended(None);
                self.told.push(Told { slot, what });
            }
            Ok(0) => self.on_end(slot),
            Ok(n) => {
                self.shared.counters[self.me].bytes_in.add(n as u64);
                self.intake.on_read(n, most);
                if n == most || self.conns.at(slot).is(ENDED) {
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
                io::ErrorKind::WouldBlock => {}
                io::ErrorKind::Interrupted => self.read_later(slot),
                _ => self.vanish(slot),
            },
        }
    }

    /// Whether more may be read; if not, it is remembered that something waits.
    fn may_read(&mut self, slot: u32) -> bool {
        let conn = &mut self.conns.all[slot as usize];
        match conn.phase {
            Phase::Head | Phase::Lingering | Phase::Closing => return true,
            Phase::Free | Phase::Dead => return false,
            Phase::Deciding => conn.flags |= UNREAD,
            Phase::Open => {
                let limits = &self.shared.limits;
                if self.shared.inboxes[self.me].bytes() > limits.inbox_bytes_max / 2 {
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
                self.on_head(slot, &arena[from..from + n]);
                self.arena = arena;
            }
            Phase::Open | Phase::Closing => {
                let mut arena = std::mem::take(&mut self.arena);
                self.on_frames(slot, &mut arena[..from + n], from, false);
                self.arena = arena;
                self.arena_used = from + n;
            }
            _ => {}
        }
    }

    /// More of a request has arrived. The usual head comes in one piece and is parsed where it is.
    pub(super) fn on_head(&mut self, slot: u32, bytes: &[u8]) {
        let limits = HeadLimits {
            head_bytes_max: self.shared.limits.head_bytes_max,
            headers_max: HEADERS_MAX,
        };
        let Some(hello) = &mut self.conns.at(slot).hello else {
            return;
        };
        let before = hello.bytes.len();
        if before > 0 {
            hello.bytes.extend_from_slice(bytes);
            // A head ends, and is too large, no earlier than here: one that comes in a thousand
            // pieces is not parsed a thousand times.
            if !bytes.contains(&b'\n') && hello.bytes.len() < limits.head_bytes_max {
                return;
            }
        }
        let head = match before > 0 {
            true => http::parse(&hello.bytes, &limits),
            false => http::parse(bytes, &limits),
        };
        let parts = match head {
            Ok(Some((parts, taken))) => {
                hello.bytes.clear();
                hello.bytes.extend_from_slice(&bytes[taken - before..]);
                parts
            }
            Ok(None) if before == 0 => return hello.bytes.extend_from_slice(bytes),
            Ok(None) => return,
            Err(reject) if reject.status == 431 => {
                return self.reject(slot, |c| &c.rejected_head_size, reject, false);
            }
            Err(reject) => return self.reject(slot, |c| &c.rejected_invalid, reject, false),
        };
        let request = Request::new(parts, hello.peer);
        self.intake.on_head();
        self.on_request(slot, request);
    }

    fn on_request(&mut self, slot: u32, request: Request) {
        let head_only = request.method() == ::http::Method::HEAD;
        if self.conns.at(slot).is(OVER) {
            let text = "connections_max connections are open";
            let reject = Reject { status: 503, text };
            return self.reject(slot, |c| &c.rejected_full, reject, head_only);
        }
        if self.conns.at(slot).is(CROWD) {
            let text = "address_connections_max connections are open from this address";
            let reject = Reject { status: 429, text };
            return self.reject(slot, |c| &c.rejected_address, reject, head_only);
        }
        match http::route(&request) {
            Route::Reject(reject) => {
                self.reject(slot, |c| &c.rejected_invalid, reject, head_only);
            }
            Route::Plain => self.on_page(slot, &request, head_only),
            Route::WebSocket if !http::origin_allowed(&request, &self.shared.origins) => {
                self.reject(slot, |c| &c.rejected_origin, Reject::origin(), false);
            }
            Route::WebSocket if self.shared.is_stopping() => {
                self.reject(slot, |c| &c.rejected_stopping, STOPPING, false);
            }
            Route::WebSocket => {
                let request = Arc::new(request);
                let conn = self.conns.at(slot);
                conn.phase = Phase::Deciding;
                conn.spoke = conn.heard;
                if let Some(hello) = &mut conn.hello {
                    hello.request = Some(request.clone());
                }
                self.set_timer(slot);
                self.told.push(Told {
                    slot,
                    what: What::Connecting(request),
                });
            }
        }
    }

    /// Answers a plain GET or HEAD: health, figures, the host's pages, or 404.
    fn on_page(&mut self, slot: u32, request: &Request, head_only: bool) {
        let text = [("Content-Type", "text/plain; charset=utf-8")];
        if self.shared.health_path.as_deref() == Some(request.path()) {
            let (status, body) = match self.shared.is_stopping() {
                true => (503, "stopping\n"),
                false => (200, "ok\n"),
            };
            return self.respond(
                slot,
                status,
                http::response(status, &text, body.as_bytes(), head_only),
            );
        }
        if self.shared.metrics_path.as_deref() == Some(request.path()) {
            let text = [("Content-Type", exposition::CONTENT_TYPE)];
            let figures = self.shared.snapshot().prometheus();
            let bytes = http::response(200, &text, figures.as_bytes(), head_only);
            return self.respond(slot, 200, bytes);
        }
        let pages = self.shared.pages.clone();
        match pages.and_then(|pages| pages(request)) {
            Some(page) => {
                let headers = [("Content-Type", page.content_type.as_str())];
                let bytes = http::response(page.status, &headers, &page.body, head_only);
                self.respond(slot, page.status, bytes);
            }
            None => {
                let reject = Reject {
                    status: 404,
                    text: "there is no such page here",
                };
                self.reject(slot, |c| &c.rejected_path, reject, head_only);
            }
        }
    }

    /// Answers with an error, and counts that under its reason.
    pub(super) fn reject(
        &mut self,
        slot: u32,
        reason: fn(&Counters) -> &Counter,
        reject: Reject,
        head_only: bool,
    ) {
        let counters = &self.shared.counters[self.me];
        reason(counters).add(1);
        counters.rejected_http.add(1);
        self.respond(slot, reject.status, reject.to_bytes(head_only));
    }

    /// Sends an HTTP response as the last thing.
    pub(super) fn respond(&mut self, slot: u32, status: u16, bytes: Vec<u8>) {
        let frame = Frame::new(&[], &bytes);
        self.close(slot, CloseReason::Http { status }, frame);
    }

    /// Reads frames from `buf[from..]`. `own`: the payloads are copied, since `buf` is not the
    /// arena.
    pub(super) fn on_frames(&mut self, slot: u32, buf: &mut [u8], from: usize, own: bool) {
        let mut at = from;
        loop {
            let reader = &mut self.conns.all[slot as usize].reader;
            match reader.next(buf, &mut at, &self.read_limits) {
                Ok(None) => return,
                Ok(Some(item)) if self.rates.is_some() && !self.may_say(slot, &item) => {}
                Ok(Some(Item::Deflated { text, payload })) => {
                    if let Err(violation) = self.on_deflated(slot, text, payload.bytes(buf)) {
                        self.conns.at(slot).reader.end();
                        return self.on_violation(slot, violation);
                    }
                    if self.intake.read_is_spent() && at < buf.len() {
                        self.intake.put_off(slot, &buf[at..]);
                        return self.read_later(slot);
                    }
                }
                Ok(Some(item)) => self.on_item(slot, item, buf, own),
                Err(violation) => return self.on_violation(slot, violation),
            }
            self.intake.on_item();
        }
    }

    fn on_deflated(&mut self, slot: u32, text: bool, compressed: &[u8]) -> Result<(), Violation> {
        if self.conns.at(slot).phase == Phase::Open {
            let item = self.intake.inflate(text, compressed, &self.read_limits)?;
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
        conn.spoke = now;
        if conn.phase != Phase::Open {
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
            Phase::Open => self.end(slot, reason, &ws::close_frame(code.unwrap_or(1005), "")),
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
