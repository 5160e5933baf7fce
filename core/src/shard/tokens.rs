//! Tokens of connections: asked for, checked, renewed, expired, revoked.
//!
//! In: requests, first messages, new tokens, timers, revocations. Out: requests with claims for the
//! host to decide on, or an end. What a token says is kept with the connection's identity, so it is
//! checked once. Shard thread.

use super::conns::{Hello, Phase, SWITCHED, place};
use super::net::Net;
use super::timers::NEVER;
use super::trust::{Denial, Proof};
use super::{Shard, Told, What, ticks};
use crate::auth::{Claims, TokenError};
use crate::close::{CloseReason, UNAUTHORIZED};
use crate::identity::Identity;
use crate::metrics::{Counter, Counters};
use crate::outbound::frame::Frame;
use crate::payload::{ConnectionId, Kind};
use crate::request::Request;
use crate::rooms::framed::Framed;
use crate::router::Command;
use crate::sync::Arc;
use crate::transport::http;
use crate::transport::ws;

/// When the token of a connection expires: a tick, 0 for never.
#[derive(Clone, Copy, Default)]
pub(super) struct Expiry {
    at: u32,
    is_told: bool,
}

/// Whose connections end.
#[derive(Debug)]
pub(crate) enum Revocation {
    Connection(ConnectionId),
    User(Arc<str>),
    Token(Arc<str>),
}

impl<N: Net> Shard<N> {
    /// Looks for the token of a request.
    pub(super) fn prove(&self, request: &Request) -> Proof {
        let Some(trust) = &self.shared.trust else {
            return Proof::Given(None);
        };
        let proof = trust.prove(request, self.now_s());
        let counters = &self.shared.counters[self.me];
        match &proof {
            Proof::Given(Some(_)) => counters.tokens_accepted.add(1),
            Proof::Refused(Denial::Token(_)) => counters.tokens_refused.add(1),
            _ => {}
        }
        proof
    }

    /// Turns a request away because of its token.
    pub(super) fn deny(&mut self, slot: u32, denial: Denial) {
        let reason: fn(&Counters) -> &Counter = match denial {
            Denial::Guessing => |c| &c.rejected_guessing,
            _ => |c| &c.rejected_token,
        };
        self.reject(slot, reason, denial.reject(), false);
    }

    fn now_s(&self) -> u64 {
        self.shared.clock.unix_ms() / 1_000
    }

    /// Opens the WebSocket to hear the token in its first message.
    pub(super) fn await_proof(&mut self, slot: u32, request: Request) {
        let deflate = match self.allows_deflate(slot) {
            true => self.shared.agreed_deflate(&request),
            false => None,
        };
        let first = request.subprotocols().next();
        let response = http::switching(&request, first, deflate);
        let conn = self.conns.at(slot);
        conn.phase = Phase::Proving;
        conn.flags |= SWITCHED;
        conn.spoke = conn.heard;
        if deflate.is_some() {
            conn.reader.allow_deflate();
        }
        let Some(hello) = &mut conn.hello else { return };
        hello.deflate = deflate;
        let early = std::mem::take(&mut hello.bytes);
        hello.request = Some(Arc::new(request));
        self.router.outbound.send_first(slot, response);
        self.set_timer(slot);
        if !early.is_empty() {
            self.intake.keep(slot, early);
            self.read_later(slot);
        }
    }

    /// The first message of a connection that is to prove who it is.
    pub(super) fn on_proof(&mut self, slot: u32, kind: Kind, message: &[u8]) {
        let Some(trust) = &self.shared.trust else {
            return;
        };
        let hello = self.conns.all[slot as usize].hello.as_deref();
        let request = hello.and_then(|hello| hello.request.as_ref());
        let address = request.and_then(|request| request.peer_ip());
        let begins = trust.places.message.as_deref().unwrap_or_default();
        let checked = match token_in(kind, message, begins) {
            Some(token) => trust.check_of(token, address, self.now_s()),
            None if trust.places.optional => return self.ask_host(slot, None),
            None => Err(Denial::Missing),
        };
        let counters = &self.shared.counters[self.me];
        match checked {
            Ok(claims) => {
                counters.tokens_accepted.add(1);
                self.ask_host(slot, Some(Arc::new(claims)));
            }
            Err(denial) => {
                match denial {
                    Denial::Guessing => counters.rejected_guessing.add(1),
                    _ => counters.rejected_token.add(1),
                }
                if matches!(denial, Denial::Token(_)) {
                    counters.tokens_refused.add(1);
                }
                self.end_unproven(slot, denial.reject().text);
            }
        }
    }

    /// The connection has not said who it is, or not truly.
    pub(super) fn end_unproven(&mut self, slot: u32, text: &str) {
        let frame = Frame::new(&[], &ws::close_frame(UNAUTHORIZED, text));
        self.close(slot, CloseReason::Unauthorized, frame);
    }

    /// Asks the host for its verdict on a connection.
    pub(super) fn ask_host(&mut self, slot: u32, claims: Option<Arc<Claims>>) {
        let conn = self.conns.at(slot);
        let Some(hello) = &mut conn.hello else { return };
        let Some(request) = &mut hello.request else {
            return;
        };
        // Nobody else has seen it yet.
        if let Some(request) = Arc::get_mut(request) {
            request.set_claims(claims);
        }
        let request = request.clone();
        conn.phase = Phase::Deciding;
        conn.spoke = conn.heard;
        self.set_timer(slot);
        self.told.push(Told {
            slot,
            what: What::Connecting(request),
        });
    }

    /// Reads a new token in a message of an open connection: whether it was one.
    pub(super) fn is_new_token(&mut self, slot: u32, kind: Kind, message: &[u8]) -> bool {
        let Some(trust) = &self.shared.trust else {
            return false;
        };
        let begins = trust.places.message.as_deref();
        let Some(token) = begins.and_then(|begins| token_in(kind, message, begins)) else {
            return false;
        };
        match trust.check(token, self.now_s()) {
            Ok(claims) => self.renew(slot, Arc::new(claims)),
            Err(error) => self.on_bad_renewal(slot, error.status().text()),
        }
        true
    }

    fn on_bad_renewal(&mut self, slot: u32, text: &str) {
        self.shared.counters[self.me].tokens_refused.add(1);
        let frame = Frame::new(&[], &ws::close_frame(UNAUTHORIZED, text));
        let end = What::Ended(Some(Box::new((CloseReason::Unauthorized, frame))));
        self.told.push(Told { slot, what: end });
    }

    /// The connection has a new token. One of another user changes nothing.
    pub(super) fn renew(&mut self, slot: u32, claims: Arc<Claims>) {
        let counters = &self.shared.counters[self.me];
        let who = self.router.who(slot);
        let user = who.identity.and_then(|identity| identity.user.as_ref());
        if claims.user.is_some() && claims.user.as_ref() != user {
            counters.tokens_refused.add(1);
            return;
        }
        counters.tokens_accepted.add(1);
        self.expire_at(slot, claims.expires_at);
        match self.router.who(slot).identity {
            Some(identity) => identity.set_claims(Some(claims)),
            None => self.router.identify(slot, Identity::of_claims(claims)),
        }
        self.set_timer(slot);
    }

    /// Notes when the token of an open connection expires.
    pub(super) fn expire_at(&mut self, slot: u32, expires_at: Option<u64>) {
        let Some(at_s) = expires_at else {
            if let Some(expiry) = self.expiries.get_mut(slot as usize) {
                *expiry = Expiry::default();
            }
            return;
        };
        let left_ms = at_s
            .saturating_mul(1_000)
            .saturating_sub(self.shared.clock.unix_ms());
        // What is further away than the wheel reaches is looked at again then.
        let at = self.tick().saturating_add(ticks(left_ms));
        *place(&mut self.expiries, slot) = Expiry { at, is_told: false };
    }

    /// The tick at which something is due because of the connection's token.
    pub(super) fn token_deadline(&self, slot: u32) -> u32 {
        match self.expiries.get(slot as usize) {
            None | Some(Expiry { at: 0, .. }) => NEVER,
            Some(expiry) => expiry.at.saturating_sub(self.notice_ticks(expiry)),
        }
    }

    /// How long before the end a connection is still to be told of it.
    fn notice_ticks(&self, expiry: &Expiry) -> u32 {
        match self.shared.limits.token_notice_ms {
            0 => 0,
            _ if expiry.is_told => 0,
            ms => ticks(ms),
        }
    }

    /// Something is due: the host and the peer are told that the token expires, or it is the end.
    /// True when the connection ends.
    pub(super) fn on_token_deadline(&mut self, slot: u32) -> bool {
        let now = self.tick();
        if self.token_deadline(slot) > now {
            return false;
        }
        let Some(expiry) = self.expiries.get_mut(slot as usize) else {
            return false;
        };
        if expiry.at <= now {
            self.close_with(slot, CloseReason::TokenExpired, "token expired");
            return true;
        }
        expiry.is_told = true;
        self.told.push(Told {
            slot,
            what: What::Expiring,
        });
        let notice = self
            .shared
            .trust
            .as_ref()
            .and_then(|t| t.places.notice.clone());
        if let Some(text) = notice {
            self.router.apply(Command::Send {
                to: self.router.id(slot),
                message: Arc::new(Framed::new(Kind::Text, text.as_bytes())),
            });
        }
        false
    }

    /// Ends the connections that this is about.
    pub(super) fn revoke(&mut self, revocation: &Revocation) {
        let slots: Vec<u32> = match revocation {
            Revocation::Connection(id) => self.router.slot(*id).into_iter().collect(),
            Revocation::User(user) => self.router.slots_of(user),
            Revocation::Token(id) => self.router.slots_with(|identity| {
                let claims = identity.claims();
                claims.is_some_and(|claims| claims.token_id.as_ref() == Some(id))
            }),
        };
        for slot in slots {
            match self.conns.at(slot).phase {
                Phase::Open => self.close_with(slot, CloseReason::Revoked, "revoked"),
                Phase::Head | Phase::Proving | Phase::Deciding => {
                    self.deny(slot, Denial::Token(TokenError::Revoked));
                }
                _ => {}
            }
        }
    }
}

impl Hello {
    /// What the token of the request said.
    pub(super) fn claims(&self) -> Option<&Arc<Claims>> {
        self.request.as_ref()?.shared_claims()
    }
}

/// The token behind the text that tokens begin with.
fn token_in<'a>(kind: Kind, message: &'a [u8], begins: &str) -> Option<&'a str> {
    let token = message.strip_prefix(begins.as_bytes())?;
    (kind == Kind::Text)
        .then(|| std::str::from_utf8(token).ok())
        .flatten()
        .map(str::trim)
}
