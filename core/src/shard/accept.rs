//! Accepting: who waits at the listeners, within the limits, and which shard serves them.
//!
//! In: listeners on the ready list, sockets that other shards or the host give. Out: connections in
//! their first phase. Who is one too many is marked, and answered when its request is read. Shard
//! thread.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::conns::{CROWD, Hello, OVER, PLAIN, Phase, place};
use super::net::{Incoming, Net};
use super::shared::{Ask, Stage};
use super::{ACCEPTS, BEHIND, Shard};
use crate::close::CloseReason;
use crate::sync::Ordering;

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
        let total = self.shared.total.load(Ordering::Relaxed);
        if total >= self.shared.limits.connections_max + OVER_MAX {
            self.shared.counters[self.me].rejected_full.add(1);
            return;
        }
        let before = self.shared.total.fetch_add(1, Ordering::Relaxed);
        // Decided here: where it is taken over, those behind it are counted too.
        let is_over = before >= self.shared.limits.connections_max;
        let stage = Stage::Listened { listener, is_over };
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
            Stage::Listened { listener, is_over } => {
                let options = self.shared.listeners.get(listener);
                let options = options.copied().unwrap_or_default();
                conn.flags |= if is_over { OVER } else { 0 };
                conn.flags |= if options.deflate { 0 } else { PLAIN };
                self.expect_head(slot, peer, &[]);
                if options.tls {
                    self.start_tls(slot, &[]);
                }
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
