//! What handles ask of a shard about its connections: adopt, accept, refuse, close, list, stop.
//!
//! In: asks, in the order of the inbox. Out: phases changed, responses in outboxes. Stale ids are
//! answered with nothing: peers leave at any moment. Shard thread.

use super::conns::{PLAIN, Phase, SWITCHED, TOLD};
use super::net::Net;
use super::shared::{Accepted, Ask, Refusal, Reply};
use super::trust::Denial;
use super::{Shard, Told, What};
use crate::auth::TokenError;
use crate::close::CloseReason;
use crate::dialect::WireKind;
use crate::identity::Identity;
use crate::payload::ConnectionId;
use crate::rooms::RoomState;
use crate::router::Command;
use crate::sync::Arc;
use crate::transport::http::{self, Reject};
use crate::wanted::Wanted;

impl<N: Net> Shard<N> {
    pub(super) fn on_ask(&mut self, ask: Ask) {
        match ask {
            Ask::Route(command) => self.router.apply(command),
            Ask::Adopt(adopt) => {
                let (incoming, stage) = *adopt;
                match self.stopping.is_some() {
                    true => self.uncount(),
                    false => self.adopt(incoming, stage),
                }
            }
            Ask::Accept(id, accepted) => self.on_accept(id, *accepted),
            Ask::Refuse(id, refusal) => self.on_refuse(id, &refusal),
            Ask::Want(id, wanted) => self.on_want(id, wanted),
            Ask::Decided(is_granted) => self.count_decision(is_granted),
            Ask::Renew(id, claims) => {
                if let Some(slot) = self.router.slot(id)
                    && self.conns.at(slot).phase == Phase::Open
                {
                    self.renew(slot, claims);
                }
            }
            Ask::Revoke(revocation) => self.revoke(&revocation),
            Ask::Close(id, code, text) => {
                if let Some(slot) = self.router.slot(id)
                    && self.conns.at(slot).phase == Phase::Open
                {
                    self.close_with(slot, CloseReason::Host { code }, &text);
                }
            }
            Ask::End(id, end) => {
                if let Some(slot) = self.router.slot(id) {
                    match end.map(|end| *end) {
                        Some((reason, frame)) => self.close(slot, reason, frame),
                        None => self.on_end(slot),
                    }
                }
            }
            Ask::Resume(id) => {
                if let Some(slot) = self.router.slot(id) {
                    self.resume(slot);
                }
            }
            Ask::List(room, reply) => self.on_list(room.as_ref(), &reply),
            Ask::Rooms(id, reply) => reply.answer(self.router.rooms_of(id)),
            Ask::Report(tracker) => self.report_on(tracker),
            Ask::Stop => self.begin_stop(),
        }
    }

    fn deciding(&mut self, id: ConnectionId) -> Option<u32> {
        let slot = self.router.slot(id)?;
        (self.conns.at(slot).phase == Phase::Deciding).then_some(slot)
    }

    fn on_accept(&mut self, id: ConnectionId, accepted: Accepted) {
        let Some(slot) = self.deciding(id) else {
            return;
        };
        let conn = self.conns.at(slot);
        let is_switched = conn.is(SWITCHED);
        let Some(hello) = &conn.hello else { return };
        let Some(request) = hello.request.clone() else {
            return;
        };
        let (claims, deflate) = (hello.claims().cloned(), hello.deflate);
        let is_revoked = |claims| {
            self.shared
                .trust
                .as_ref()
                .is_some_and(|t| t.is_revoked(claims))
        };
        if claims.as_deref().is_some_and(is_revoked) {
            return self.deny(slot, Denial::Token(TokenError::Revoked));
        }
        let accepted = Accepted {
            identity: match claims {
                Some(claims) => Some(Identity::with_claims(accepted.identity, &claims)),
                None => accepted.identity,
            },
            ..accepted
        };
        if self.is_one_too_many(&accepted) {
            let text = "user_connections_max connections of this user are open";
            let reject = Reject { status: 429, text };
            return self.reject(slot, |c| &c.rejected_user, reject, false);
        }
        let deflate = match (is_switched, self.allows_deflate(slot)) {
            (true, _) => deflate,
            (false, true) => self.shared.agreed_deflate(&request),
            (false, false) => None,
        };
        let accepted = Accepted {
            deflate,
            ..accepted
        };
        if is_switched {
            self.open(slot, accepted);
        } else {
            let response = http::switching(&request, accepted.subprotocol.as_deref(), deflate);
            self.open(slot, accepted);
            // Ahead of everything, also of pongs to pings that came with the request.
            self.router.outbound.send_first(slot, response);
        }
        self.read_early(slot);
    }

    /// Whether messages may be compressed on the listener that the connection came through.
    pub(super) fn allows_deflate(&mut self, slot: u32) -> bool {
        !self.conns.at(slot).is(PLAIN)
    }

    /// What a peer wants, if it is still there: told to the host in its place among the peer's
    /// messages.
    fn on_want(&mut self, id: ConnectionId, wanted: Box<Wanted>) {
        let Some(slot) = self.router.slot(id) else {
            return;
        };
        if self.conns.at(slot).phase != Phase::Open {
            return;
        }
        let who = self.router.who(slot);
        let identity = who.identity;
        let is_granted = identity.is_some_and(|who| who.may(wanted.verb(), &wanted.room));
        if is_granted {
            self.count_decision(true);
        }
        let what = What::Wanted(wanted, is_granted);
        self.told.push(Told { slot, what });
    }

    fn count_decision(&self, is_granted: bool) {
        let counters = &self.shared.counters[self.me];
        match is_granted {
            true => counters.permissions_granted.add(1),
            false => counters.permissions_denied.add(1),
        }
    }

    /// Counts a connection for its user: whether that is one too many, and was not counted.
    pub(super) fn is_one_too_many(&self, accepted: &Accepted) -> bool {
        let max = self.shared.limits.user_connections_max;
        let identity = accepted.identity.as_ref();
        let Some(user) = identity.and_then(|i| i.user.as_ref()) else {
            return false;
        };
        max > 0 && !self.shared.admission.user_comes(user, max)
    }

    /// From now on the connection is a WebSocket.
    pub(super) fn open(&mut self, slot: u32, mut accepted: Accepted) {
        if accepted.identity.is_none() && self.host.counts_events() {
            accepted.identity = Some(Identity::new(None, None, None));
        }
        let wire = match accepted.deflate {
            None => WireKind::Raw,
            Some(deflate) if deflate.is_narrow() => WireKind::Deflate9,
            Some(_) => WireKind::Deflate15,
        };
        let claims = accepted
            .identity
            .as_ref()
            .and_then(|identity| identity.claims());
        self.router.open(slot, wire, accepted.identity);
        if let Some(claims) = claims {
            self.expire_at(slot, claims.expires_at);
        }
        self.shared.counters[self.me].opened.add(1);
        let now = self.tick();
        self.end_handshake(slot);
        let conn = self.conns.at(slot);
        conn.phase = Phase::Open;
        conn.flags |= TOLD;
        if accepted.deflate.is_some() {
            conn.reader.allow_deflate();
        }
        if let Some(rates) = &mut self.rates {
            rates.begin(slot);
        }
        let conn = self.conns.at(slot);
        (conn.heard, conn.spoke) = (now, now);
        self.set_timer(slot);
        self.told.push(Told {
            slot,
            what: What::Opened,
        });
        let id = self.router.id(slot);
        for (name, how) in accepted.rooms {
            self.shared.directory.join(&name, self.me, |room| {
                let join = Command::Join {
                    who: id,
                    room: room.clone(),
                    how: how.map(Box::new),
                };
                self.shared.inboxes[self.me].push(Ask::Route(join), 0);
            });
        }
        if self
            .conns
            .at(slot)
            .hello
            .as_ref()
            .is_some_and(|h| h.request.is_none())
        {
            self.read_early(slot);
        }
    }

    /// Frames that arrived with the head or while the host was deciding.
    fn read_early(&mut self, slot: u32) {
        if let Some(hello) = self.conns.at(slot).hello.take()
            && !hello.bytes.is_empty()
        {
            // Read in its place, within what a turn takes in.
            self.intake.keep(slot, hello.bytes);
            self.read_later(slot);
        }
        self.resume(slot);
    }

    fn on_refuse(&mut self, id: ConnectionId, refusal: &Refusal) {
        let Some(slot) = self.deciding(id) else {
            return;
        };
        let (status, text) = (refusal.status, &refusal.text);
        let counters = &self.shared.counters[self.me];
        counters.rejected_http.add(1);
        match refusal.is_crowded {
            true => counters.rejected_events.add(1),
            false => counters.rejected_host.add(1),
        }
        if self.conns.at(slot).is(SWITCHED) {
            return self.respond_in_close(slot, status, text);
        }
        let headers = [("Content-Type", "text/plain; charset=utf-8")];
        let body = format!("{text}\n");
        self.respond(
            slot,
            status,
            http::response(status, &headers, body.as_bytes(), false),
        );
    }

    fn on_list(&mut self, room: Option<&Arc<RoomState>>, reply: &Reply<ConnectionId>) {
        match room {
            Some(room) => reply.answer(self.router.members(room)),
            None => reply.answer(self.router.open_ids()),
        }
    }
}
