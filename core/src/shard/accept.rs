//! Accepting: who waits at the listeners, within the limits, and which shard serves them.
//!
//! In: listeners on the ready list, sockets that other shards or the host give. Out: connections in
//! their first phase, whose streams begin behind a PROXY header where their listener says so. Who
//! is one too many is marked, and answered when its request is read. Shard thread.

use std::io;
use std::net::IpAddr;

use http::request::Parts;

use super::conns::{CROWD, Hello, OVER, PLAIN, PROXIED, Phase, SECURED, place};
use super::net::{Incoming, Net};
use super::shared::{Ask, Stage};
use super::{ACCEPTS, BEHIND, Shard};
use crate::address::Sender;
use crate::close::CloseReason;
use crate::config::ListenOptions;
use crate::request::Request;
use crate::sync::Ordering;
use crate::transport::proxy;

/// How long accepting is put off when the process has no descriptor left.
const EXHAUSTED_NS: u64 = 50_000_000;
/// How long it is put off when too many handshakes are in flight.
const CROWDED_NS: u64 = 5_000_000;
/// The shortest time for which it is put off because of `accept_rate_max`.
const PACED_NS: u64 = 1_000_000;
/// Connections beyond `connections_max` that are answered with 503 instead of being dropped.
const OVER_MAX: usize = 256;

impl<N: Net> Shard<N> {
    pub(super) fn accept(&mut self) {
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
                        self.place(incoming, listener);
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
    fn place(&mut self, incoming: Incoming, listener: usize) {
        let counters = &self.shared.counters[self.me];
        if self.options(listener).proxy_protocol && !self.is_trusted(incoming.sender()) {
            if counters.rejected_proxy.load() == 0 {
                tracing::warn!(target: "roomcast", sender = ?incoming.sender(),
                    "a connection was dropped: its listener has proxy_protocol, and its sender is \
                     none of trusted_proxies");
            }
            return counters.rejected_proxy.add(1);
        }
        let total = self.shared.total.load(Ordering::Relaxed);
        if total >= self.shared.limits.connections_max + OVER_MAX {
            return counters.rejected_full.add(1);
        }
        let before = self.shared.total.fetch_add(1, Ordering::Relaxed);
        // Decided here: where it is taken over, those behind it are counted too.
        let over = before >= self.shared.limits.connections_max;
        let stage = Stage::Accepted { listener, over };
        let shard = self.shared.least_loaded();
        self.shared.loads[shard].fetch_add(1, Ordering::Relaxed);
        if shard == self.me {
            return self.adopt(incoming, stage);
        }
        self.shared
            .ask(shard, Ask::Adopt(Box::new((incoming, stage))));
    }

    fn options(&self, listener: usize) -> ListenOptions {
        let listeners = &self.shared.listeners;
        listeners.get(listener).copied().unwrap_or_default()
    }

    fn is_trusted(&self, sender: Sender) -> bool {
        self.shared.proxies.trusted.has(sender)
    }

    /// Takes over a socket that is counted already.
    pub(super) fn adopt(&mut self, incoming: Incoming, stage: Stage) {
        let sender = incoming.sender();
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
        let conn = self.conns.at(slot);
        (conn.heard, conn.spoke) = (now, now);
        match stage {
            Stage::Head(bytes) => self.expect_head(slot, sender, &bytes),
            Stage::Accepted { listener, over } => {
                let options = self.options(listener);
                let flags = [
                    (PLAIN, !options.deflate),
                    (PROXIED, options.proxy_protocol),
                    (SECURED, options.tls),
                    (OVER, over),
                ];
                let set = flags.iter().filter(|(_, is)| *is);
                self.conns.at(slot).flags |= set.fold(0, |all, (flag, _)| all | flag);
                self.expect_head(slot, sender, &[]);
            }
            Stage::Open(accepted, _) if self.is_one_too_many(&accepted) => {
                // It has its 101 already, so all that can be said is a close frame.
                self.shared.counters[self.me].rejected_user.add(1);
                self.conns.at(slot).phase = Phase::Open;
                let name = "user_connections_max";
                self.close_with(slot, CloseReason::Limit { name }, name);
            }
            Stage::Open(accepted, bytes) => {
                if let Some(address) = accepted.address {
                    self.count_for(slot, address);
                }
                self.conns.at(slot).hello = Some(Box::new(Hello {
                    bytes,
                    ..Hello::default()
                }));
                self.open(slot, accepted);
            }
        }
    }

    fn expect_head(&mut self, slot: u32, sender: Sender, bytes: &[u8]) {
        let conn = self.conns.at(slot);
        conn.phase = Phase::Head;
        conn.hello = Some(Box::new(Hello {
            sender,
            ..Hello::default()
        }));
        self.shared.admission.begin_handshake();
        self.count_stranger(slot, sender);
        self.set_timer(slot);
        if !self.conns.at(slot).is(PROXIED) {
            self.begin_stream(slot, bytes);
        }
    }

    /// More of a connection that has made no request yet.
    pub(super) fn on_beginning(&mut self, slot: u32, bytes: &[u8]) {
        match self.conns.at(slot).is(PROXIED) {
            true => self.on_proxy_header(slot, bytes),
            false => self.on_head(slot, bytes),
        }
    }

    /// More of a PROXY header. The connection is a trusted sender's: others were not let in.
    fn on_proxy_header(&mut self, slot: u32, bytes: &[u8]) {
        let conn = self.conns.at(slot);
        let Some(hello) = &mut conn.hello else {
            return;
        };
        hello.bytes.extend_from_slice(bytes);
        match proxy::parse(&hello.bytes) {
            Ok(None) => {}
            Ok(Some(header)) => {
                conn.flags &= !PROXIED;
                let bytes = std::mem::take(&mut hello.bytes);
                if let Some(peer) = header.peer {
                    hello.sender = peer;
                }
                let sender = hello.sender;
                self.count_stranger(slot, sender);
                self.begin_stream(slot, &bytes[header.len..]);
            }
            Err(proxy::Invalid) => {
                self.shared.counters[self.me].rejected_proxy.add(1);
                self.kill(slot);
            }
        }
    }

    /// The PROXY header is over, where there is to be one: what follows is the peer's own stream,
    /// beginning with these bytes.
    fn begin_stream(&mut self, slot: u32, bytes: &[u8]) {
        let conn = self.conns.at(slot);
        if conn.is(SECURED) {
            conn.flags &= !SECURED;
            self.start_tls(slot, bytes);
        } else if !bytes.is_empty() {
            self.on_head(slot, bytes);
        }
    }

    /// A request, with the address of the peer that it is made for. A connection that a trusted
    /// sender made is counted for that address, now that it is known.
    pub(super) fn request_of(&mut self, slot: u32, sender: Sender, head: Parts) -> Request {
        let request = Request::new(head, sender.socket());
        let peer_ip = self.shared.proxies.peer_ip(sender, request.headers());
        if let Some(address) = peer_ip
            && self.is_trusted(sender)
        {
            self.count_for(slot, address);
        }
        request.made_by(peer_ip)
    }

    /// Counts a connection for its sender's address, unless that is trusted and may yet say whose
    /// it is.
    fn count_stranger(&mut self, slot: u32, sender: Sender) {
        if let Some(address) = sender.ip()
            && !self.is_trusted(sender)
        {
            self.count_for(slot, address);
        }
    }

    /// Counts a connection for an address, and marks it where that has one too many.
    fn count_for(&mut self, slot: u32, address: IpAddr) {
        let max = self.shared.limits.address_connections_max;
        if max == 0 {
            return;
        }
        *place(&mut self.addresses, slot) = Some(address);
        if self.shared.admission.come(address) > max {
            self.conns.at(slot).flags |= CROWD;
        }
    }

    /// Has a socket speak TLS from now on, of which these bytes were read before: what precedes
    /// TLS, if anything, is read by then.
    fn start_tls(&mut self, slot: u32, bytes: &[u8]) {
        let Some(socket) = &mut self.conns.sockets[slot as usize] else {
            return;
        };
        match self.net.start_tls(socket, bytes) {
            Ok(()) if bytes.is_empty() => {}
            Ok(()) => self.read_later(slot),
            Err(error) => {
                tracing::warn!(target: "roomcast", %error, "a socket cannot speak TLS");
                self.shared.counters[self.me].errors.add(1);
                self.vanish(slot);
            }
        }
    }
}
