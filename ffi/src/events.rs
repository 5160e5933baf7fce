//! Events, as C sees them: one struct for the callback, the queue and the blocking wait.

use std::ffi::c_void;
use std::sync::{Arc, OnceLock};

use roomcast::{Claims, CloseReason, Connection, Kind, Missed};

use crate::boundary::{Foreign, Lent, caught, roomcast_bytes, roomcast_str};
use crate::claims::{read_verb, roomcast_claims};
use crate::delivery::roomcast_delivery;
use crate::pull::Held;
use crate::request::roomcast_request;
use crate::wish::roomcast_wish;

/// The kinds of events.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_event_kind {
    /// Somebody asks for a WebSocket: answer with `roomcast_connection_accept` or `_refuse`, now or
    /// later. Has `connection` and `request`.
    Connecting = 1,
    /// A connection is open, and in the rooms that it was accepted into.
    Opened = 2,
    /// A message came. Has `message` and `message_kind`.
    Message = 3,
    /// A connection that had opened has ended: the last event about it. Has `close_reason`,
    /// `close_code` and `text`.
    Closed = 4,
    /// More than `outbox_high_bytes` wait for it (`high` is true), or less than half of that again
    /// (false). Between the two it is not read from.
    Backpressure = 5,
    /// It was too slow to be sent `missed` publications of the room `text`, and by its policy
    /// (`roomcast_slow_policy`) goes on without them. Has `missed_first`, `missed_last` and
    /// `missed_replaced`.
    Lagged = 6,
    /// What became of a publication that was tracked (`roomcast_engine_publish_tracked`). Comes
    /// once for each; has the room `text` and `delivery`, but no connection. In a queue in which
    /// `events_max` events wait it is dropped, and counted (`reports_dropped`).
    Delivered = 7,
    /// Its token expires in `token_notice_ms`; then it is closed with 4003, unless it has brought a
    /// new one (`roomcast_connection_refresh`). `roomcast_event_claims` says when.
    Expiring = 8,
    /// The peer wants something in the room `text` that its token does not allow by itself
    /// (`roomcast_connection_request_join` and `_request_publish`): answer by
    /// `roomcast_wish_allow` or `_deny`. Has `wish` and `verb`, and `message` and `message_kind`
    /// of what it wants to publish.
    Permission = 9,
}

/// Whether a payload is text or binary, on the wire as here.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_kind {
    /// UTF-8 text. Of what is received that was checked; what is sent is checked as well.
    Text = 1,
    /// Any bytes.
    Binary = 2,
}

/// Why a connection ended.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_close_reason {
    /// The peer sent a close frame.
    Peer = 0,
    /// The host closed it.
    Host = 1,
    /// The engine stopped (1001).
    Stopping = 2,
    /// The peer went without a close frame (end of file, reset).
    Vanished = 3,
    /// The peer broke RFC 6455; the code was sent to it.
    Protocol = 4,
    /// Too slow for its rooms or its own messages (4008).
    TooSlow = 5,
    /// No sign of life after a ping (`ping_timeout_ms`).
    PingTimeout = 6,
    /// No message for `idle_timeout_ms` (4001).
    IdleTimeout = 7,
    /// Its head or the verdict on it did not come in time.
    HandshakeTimeout = 8,
    /// It ended as an HTTP request.
    Http = 9,
    /// Beyond a limit that the host has set for its peers (1008); the text is its name.
    Limit = 10,
    /// Its token expired and it brought no new one (4003).
    TokenExpired = 11,
    /// It, its token or its user was revoked (4004).
    Revoked = 12,
    /// Its first message, or a new token in a later one, was no valid token (4401).
    Unauthorized = 13,
    /// A reason that is newer than this header.
    Other = 255,
}

/// What happened. Fields that an event of its kind does not have are zero.
///
/// In a callback it is the library's, valid until the callback returns. Taken from the queue it is
/// the host's until `roomcast_events_free`, and so is all that it points to.
#[repr(C)]
pub struct roomcast_event {
    /// One of `roomcast_event_kind`. One that the host does not know is to be left alone.
    pub kind: u32,
    /// Of a message and of permission to publish: one of `roomcast_kind`.
    pub message_kind: u32,
    /// The connection: never reused in the engine's life, and 0 in an event about none. While it is
    /// connecting, what to answer with, and the id that it will have.
    pub connection: u64,
    /// What it was accepted with.
    pub connection_data: *mut c_void,
    /// The user that it was accepted as; `data` is NULL where it is anonymous.
    pub user: roomcast_str,
    /// Of a message and of permission to publish: the payload.
    pub message: roomcast_bytes,
    /// Of connecting: what is asked for.
    pub request: *const roomcast_request<'static>,
    /// Of lagged, delivered and permission: the room's name. Of closed: the peer's text or the rule
    /// that it broke, or NULL.
    pub text: roomcast_str,
    /// Of lagged: how many publications were missed.
    pub missed: u64,
    /// Of lagged: the number of the first of them in the room.
    pub missed_first: u64,
    /// Of lagged: the number of the last of them.
    pub missed_last: u64,
    /// Of delivered: what became of the publication.
    pub delivery: *const roomcast_delivery,
    /// Of permission: to be answered, now or, if it is kept, later.
    pub wish: *const roomcast_wish,
    /// Of permission: one of `roomcast_verb`, to join or to publish.
    pub verb: u32,
    /// Of closed: one of `roomcast_close_reason`.
    pub close_reason: u32,
    /// Of closed: the WebSocket close code (RFC 6455 section 7.4); 1006 where no close frame
    /// passed.
    pub close_code: u32,
    /// Of backpressure: whether it is above the mark.
    pub high: bool,
    /// Of lagged: whether it was sent, or is owed, a newer publication for the key of each that it
    /// missed, so that these are old news (`ROOMCAST_SLOW_POLICY_LATEST`).
    pub missed_replaced: bool,
    /// The library's: what a callback is lent.
    pub lent: Lent<Caller<'static>>,
    /// The library's: what `roomcast_events_free` lets go of.
    pub held: Option<Box<Held>>,
}

impl roomcast_event {
    pub(crate) fn new(kind: roomcast_event_kind, connection: u64) -> Self {
        roomcast_event {
            kind: kind as u32,
            message_kind: 0,
            connection,
            connection_data: std::ptr::null_mut(),
            user: roomcast_str::NONE,
            message: roomcast_bytes::NONE,
            request: std::ptr::null(),
            text: roomcast_str::NONE,
            missed: 0,
            missed_first: 0,
            missed_last: 0,
            delivery: std::ptr::null(),
            wish: std::ptr::null(),
            verb: 0,
            close_reason: 0,
            close_code: 0,
            high: false,
            missed_replaced: false,
            lent: Lent::NONE,
            held: None,
        }
    }

    /// Of a connection that was accepted as this user, with this data.
    pub(crate) fn of(mut self, user: Option<&str>, data: Option<&Foreign>) -> Self {
        self.user = roomcast_str::of_option(user);
        self.connection_data = data.map_or(std::ptr::null_mut(), Foreign::data);
        self
    }

    pub(crate) fn message(mut self, kind: Kind, data: &[u8]) -> Self {
        self.message_kind = kind_number(kind);
        self.message = roomcast_bytes::of(data);
        self
    }

    pub(crate) fn lagged(mut self, room: &str, missed: Missed) -> Self {
        self.text = roomcast_str::of(room);
        self.missed = missed.count;
        self.missed_first = missed.first;
        self.missed_last = missed.last;
        self.missed_replaced = missed.replaced;
        self
    }

    pub(crate) fn delivered(mut self, room: &str, delivery: *const roomcast_delivery) -> Self {
        self.text = roomcast_str::of(room);
        self.delivery = delivery;
        self
    }

    pub(crate) fn permission(mut self, wish: &roomcast_wish) -> Self {
        self.text = roomcast_str::of(wish.room());
        self.wish = wish;
        self.verb = wish.verb();
        match wish.data() {
            Some((kind, data)) => self.message(kind, data),
            None => self,
        }
    }

    pub(crate) fn closed(mut self, reason: &CloseReason) -> Self {
        let (number, text) = reason_number(reason);
        self.close_reason = number as u32;
        self.close_code = u32::from(reason.code());
        self.text = roomcast_str::of_option(text);
        self
    }
}

/// The connection of a callback, for what is asked of it by the event.
pub struct Caller<'a> {
    connection: Connection<'a>,
    claims: KeptClaims,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(connection: Connection<'a>) -> Self {
        Caller {
            connection,
            claims: KeptClaims::default(),
        }
    }
}

/// Claims that were asked for once, and stay.
#[derive(Default)]
pub(crate) struct KeptClaims(OnceLock<Option<roomcast_claims>>);

impl KeptClaims {
    pub(crate) fn get(&self, find: impl FnOnce() -> Option<Arc<Claims>>) -> *const roomcast_claims {
        let kept = self.0.get_or_init(|| find().map(roomcast_claims::of));
        kept.as_ref().map_or(std::ptr::null(), std::ptr::from_ref)
    }
}

/// What the token of an event's connection says; the newest, if it has brought several. NULL where
/// it has none, and for NULL. Of connecting ask `roomcast_request_claims`.
///
/// @param event one that is the library's, or was taken and not given back
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_event_claims(event: Option<&roomcast_event>) -> *const roomcast_claims {
    let found = caught(|| {
        let event = event?;
        match (event.lent.get(), &event.held) {
            (Some(caller), _) => Some(caller.claims.get(|| caller.connection.claims())),
            (None, Some(held)) => Some(held.claims()),
            (None, None) => None,
        }
    });
    found.flatten().unwrap_or(std::ptr::null())
}

/// Whether the token of an event's connection allows something in a room, by now; false where it
/// has none, for NULL, and for what is no verb or no text.
///
/// @param event as for `roomcast_event_claims`
/// @param verb one of `roomcast_verb`
/// @param room the room's name
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_event_may(
    event: Option<&roomcast_event>,
    verb: u32,
    room: roomcast_str,
) -> bool {
    let found = caught(|| {
        let (event, verb, room) = (event?, read_verb(verb)?, room.text().ok()?);
        match (event.lent.get(), &event.held) {
            (Some(caller), _) => Some(caller.connection.may(verb, room)),
            (None, Some(held)) => Some(held.may(verb, room)),
            (None, None) => None,
        }
    });
    found.flatten().unwrap_or(false)
}

/// The kind that a number of C's stands for.
pub(crate) fn read_kind(kind: u32) -> Option<Kind> {
    match kind {
        k if k == roomcast_kind::Text as u32 => Some(Kind::Text),
        k if k == roomcast_kind::Binary as u32 => Some(Kind::Binary),
        _ => None,
    }
}

fn kind_number(kind: Kind) -> u32 {
    let kind = match kind {
        Kind::Text => roomcast_kind::Text,
        Kind::Binary => roomcast_kind::Binary,
    };
    kind as u32
}

fn reason_number(reason: &CloseReason) -> (roomcast_close_reason, Option<&str>) {
    use roomcast_close_reason as number;
    match reason {
        CloseReason::Peer { text, .. } => (number::Peer, Some(text)),
        CloseReason::Host { .. } => (number::Host, None),
        CloseReason::Stopping => (number::Stopping, None),
        CloseReason::Vanished => (number::Vanished, None),
        CloseReason::Protocol { text, .. } => (number::Protocol, Some(text)),
        CloseReason::TooSlow => (number::TooSlow, None),
        CloseReason::PingTimeout => (number::PingTimeout, None),
        CloseReason::IdleTimeout => (number::IdleTimeout, None),
        CloseReason::HandshakeTimeout => (number::HandshakeTimeout, None),
        CloseReason::Http { .. } => (number::Http, None),
        CloseReason::Limit { name } => (number::Limit, Some(name)),
        CloseReason::TokenExpired => (number::TokenExpired, None),
        CloseReason::Revoked => (number::Revoked, None),
        CloseReason::Unauthorized => (number::Unauthorized, None),
        _ => (number::Other, None),
    }
}
