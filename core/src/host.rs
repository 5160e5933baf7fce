//! The host's side: callbacks, the connection that they are about, and the verdict on a new one.
//!
//! In: what shards tell. Out: calls of the host's [`Handler`], on the shard's thread. Everything
//! that a callback may do goes through a [`Handle`], so it is safe to do it there.

use std::any::Any;

use crate::auth::{Claims, TokenError};
use crate::close::CloseReason;
use crate::delivery::{Delivery, Missed};
use crate::error::{CommandError, Refused};
use crate::grants::Verb;
use crate::handle::Handle;
use crate::identity::{Host, Identity, Who};
use crate::join::Join;
use crate::payload::{ConnectionId, Kind, Message, Position, Publication};
use crate::request::Request;
use crate::shard::shared::{Accepted, Ask, Refusal};
use crate::sync::Arc;
use crate::wanted::Wanted;
use crate::wish::Wish;

/// What a host does about connections. Every method runs on a shard's thread and must be quick:
/// while it runs, the connections of that shard wait. Publishing, sending, closing and stopping
/// are safe in all of them. For slow or asynchronous work take the events instead:
/// [`Engine::start_with_events`](crate::Engine::start_with_events).
pub trait Handler: Send + Sync + 'static {
    /// Somebody asks for a WebSocket. Answer through `pending`, now or later, from any thread;
    /// the default accepts everybody, into no room.
    fn connecting(&self, request: &Request, pending: Pending) {
        let _ = request;
        pending.accept(Accept::new());
    }

    /// A connection is open, and in the rooms that it was accepted into.
    fn opened(&self, connection: Connection<'_>) {
        let _ = connection;
    }

    /// A message came.
    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let _ = (connection, message);
    }

    /// A connection that had opened has ended. The last call about it.
    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        let _ = (connection, reason);
    }

    /// More than `outbox_high_bytes` wait for the connection (true), or less than half of that
    /// again (false). Between the two it is not read from.
    fn backpressure(&self, connection: Connection<'_>, high: bool) {
        let _ = (connection, high);
    }

    /// The connection was too slow to be sent these publications of a room, and by its policy goes
    /// on without them ([`SlowPolicy`](crate::SlowPolicy)).
    fn lagged(&self, connection: Connection<'_>, room: &str, missed: Missed) {
        let _ = (connection, room, missed);
    }

    /// The connection's token expires in `token_notice_ms`; then it is closed with
    /// [`TOKEN_EXPIRED`](crate::TOKEN_EXPIRED), unless it has brought a new one
    /// ([`Handle::refresh`]).
    fn expiring(&self, connection: Connection<'_>) {
        let _ = connection;
    }

    /// The peer wants something in a room ([`Handle::request_join`], [`Handle::request_publish`])
    /// that its token does not allow by itself. Answer through `wish`, now or later, from any
    /// thread; the default denies it.
    fn permission(&self, connection: Connection<'_>, wish: Wish) {
        let _ = connection;
        wish.deny();
    }

    /// What became of a publication of [`Handle::publish_tracked`]. Comes once for each, on one of
    /// the shards' threads.
    fn delivered(&self, handle: &Handle, room: &str, delivery: Delivery) {
        let _ = (handle, room, delivery);
    }
}

/// A handler that accepts everybody and does nothing.
impl Handler for () {}

/// The connection that an event is about. Valid during the callback; keep its `id` for later.
#[derive(Clone, Copy)]
pub struct Connection<'a> {
    who: Who<'a>,
    handle: &'a Handle,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(who: Who<'a>, handle: &'a Handle) -> Self {
        Connection { who, handle }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.who.id
    }

    /// The user that it was accepted as.
    #[must_use]
    pub fn user(&self) -> Option<&'a str> {
        self.who.identity?.user.as_deref()
    }

    /// The application's data that it was accepted with, if it is of this type.
    #[must_use]
    pub fn data<T: Any>(&self) -> Option<&'a T> {
        self.who.identity?.data.as_ref()?.downcast_ref()
    }

    /// What its token says; the newest, if it has brought several.
    #[must_use]
    pub fn claims(&self) -> Option<Arc<Claims>> {
        self.who.identity?.claims()
    }

    /// Whether its token allows this.
    #[must_use]
    pub fn may(&self, verb: Verb, room: &str) -> bool {
        self.who
            .identity
            .is_some_and(|identity| identity.may(verb, room))
    }

    /// A handle of the engine.
    #[must_use]
    pub fn handle(&self) -> &'a Handle {
        self.handle
    }

    /// As [`Handle::send`].
    ///
    /// # Errors
    /// [`Refused`].
    pub fn send<'b>(&self, message: impl Into<Publication<'b>>) -> Result<(), Refused> {
        self.handle.send(self.who.id, message)
    }

    /// As [`Handle::join`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn join(&self, room: &str) -> Result<Position, CommandError> {
        self.handle.join(self.who.id, room)
    }

    /// As [`Handle::join_with`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn join_with(&self, room: &str, how: Join) -> Result<Position, CommandError> {
        self.handle.join_with(self.who.id, room, how)
    }

    /// As [`Handle::request_join`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn request_join(&self, room: &str, how: Join) -> Result<(), CommandError> {
        self.handle.request_join(self.who.id, room, how)
    }

    /// As [`Handle::request_publish`].
    ///
    /// # Errors
    /// [`Refused`].
    pub fn request_publish<'b>(
        &self,
        room: &str,
        publication: impl Into<Publication<'b>>,
    ) -> Result<(), Refused> {
        self.handle.request_publish(self.who.id, room, publication)
    }

    /// As [`Handle::refresh`].
    ///
    /// # Errors
    /// [`TokenError`]; `Invalid` also for the token of another user.
    pub fn refresh(&self, token: &str) -> Result<(), TokenError> {
        self.handle.refresh_as(self.who.id, self.user(), token)
    }

    /// As [`Handle::watch`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn watch<K: AsRef<str>>(
        &self,
        room: &str,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), CommandError> {
        self.handle.watch(self.who.id, room, keys)
    }

    /// As [`Handle::unwatch`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn unwatch<K: AsRef<str>>(
        &self,
        room: &str,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<(), CommandError> {
        self.handle.unwatch(self.who.id, room, keys)
    }

    /// As [`Handle::leave`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn leave(&self, room: &str) -> Result<(), CommandError> {
        self.handle.leave(self.who.id, room)
    }

    /// As [`Handle::close`].
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn close(&self, code: u16, text: &str) -> Result<(), CommandError> {
        self.handle.close(self.who.id, code, text)
    }
}

/// How a connection is accepted.
///
/// ```
/// use roomcast::Accept;
///
/// let accept = Accept::new().user("ada").room("lobby").room("team:7").subprotocol("chat.v1");
/// # let _ = accept;
/// ```
#[derive(Default)]
pub struct Accept {
    user: Option<Arc<str>>,
    data: Option<Arc<dyn Any + Send + Sync>>,
    info: Option<Arc<str>>,
    rooms: Vec<(String, Option<Join>)>,
    subprotocol: Option<String>,
    claims: Option<Claims>,
}

impl Accept {
    /// Anonymous, in no room, without a subprotocol.
    #[must_use]
    pub fn new() -> Self {
        Accept::default()
    }

    /// Who it is, for [`Handle::send_user`]. One user may have many connections.
    #[must_use]
    pub fn user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// What a token would have said, for hosts that find out by themselves who a peer is: its
    /// user (where [`Accept::user`] says none), when that ends to hold, what it may do. Instead of
    /// what its token says, if it had one.
    #[must_use]
    pub fn claims(mut self, claims: Claims) -> Self {
        self.claims = Some(claims);
        self
    }

    /// Adds a room to be in from the first moment.
    #[must_use]
    pub fn room(mut self, room: impl Into<String>) -> Self {
        self.rooms.push((room.into(), None));
        self
    }

    /// Adds a room to be in from the first moment, in this way: [`Handle::join_with`].
    #[must_use]
    pub fn room_with(mut self, room: impl Into<String>, how: Join) -> Self {
        self.rooms.push((room.into(), Some(how)));
        self
    }

    /// Data of the application, found again in every event through [`Connection::data`].
    #[must_use]
    pub fn data<T: Any + Send + Sync>(mut self, data: Arc<T>) -> Self {
        self.data = Some(data);
        self
    }

    /// What others are told of it in rooms with presence
    /// ([`RoomOptions::presence`](crate::RoomOptions::presence)): a value in JSON, best a small
    /// one. What is no JSON is left out and logged.
    #[must_use]
    pub fn info(mut self, json: impl Into<Arc<str>>) -> Self {
        self.info = Some(json.into());
        self
    }

    /// The subprotocol, one of those offered; another is left out of the answer.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The verdict, and the rooms to join.
    pub(crate) fn into_parts(mut self, handle: &Handle) -> (Accepted, Vec<(String, Option<Join>)>) {
        self.info = self.info.filter(|info| handle.admits_info(info));
        let identity = match (self.user, self.data, self.info) {
            (None, None, None) => None,
            (user, data, info) => Some(Identity::new(user, data, info)),
        };
        let identity = match self.claims {
            Some(mut claims) => {
                claims.info = claims.info.filter(|info| handle.admits_info(info));
                Some(Identity::with_claims(identity, &Arc::new(claims)))
            }
            None => identity,
        };
        let accepted = Accepted {
            identity,
            subprotocol: self.subprotocol,
            rooms: Vec::new(),
            deflate: None,
            address: None,
        };
        (accepted, self.rooms)
    }
}

impl std::fmt::Debug for Accept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accept")
            .field("user", &self.user)
            .field("rooms", &self.rooms)
            .finish()
    }
}

/// A connection that waits for the host's verdict, for at most `verdict_timeout_ms`.
///
/// Dropped without an answer, it is refused with 503.
#[derive(Debug)]
pub struct Pending {
    id: ConnectionId,
    handle: Handle,
    answered: bool,
}

impl Pending {
    pub(crate) fn new(id: ConnectionId, handle: Handle) -> Self {
        Pending {
            id,
            handle,
            answered: false,
        }
    }

    /// The id that the connection will have.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// A handle of the engine.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Lets it in. From the return of this call on it is sent what is published to its rooms; rooms
    /// with unusable names or filters are left out and logged. If the peer has gone or the time for
    /// a verdict is over, nothing happens.
    pub fn accept(mut self, accept: Accept) {
        self.answered = true;
        let (accepted, rooms) = accept.into_parts(&self.handle);
        self.tell(Ask::Accept(self.id, Box::new(accepted)));
        for (room, how) in rooms {
            let joined = match how {
                Some(how) => self.handle.join_with(self.id, &room, how),
                None => self.handle.join(self.id, &room),
            };
            if let Err(error) = joined {
                self.handle.shared.logged(|| {
                    tracing::warn!(target: "roomcast", %error, "a room was left out");
                });
            }
        }
    }

    /// Turns it away with an HTTP status (400 to 599, else 403) and a line of text.
    pub fn refuse(mut self, status: u16, text: &str) {
        self.answered = true;
        let status = if (400..600).contains(&status) {
            status
        } else {
            403
        };
        self.tell_refusal(status, text, false);
    }

    /// Turns it away because its events would find no place.
    pub(crate) fn refuse_crowded(mut self) {
        self.answered = true;
        let text = "too many events wait for the host (events_max)";
        self.tell_refusal(503, text, true);
    }

    fn tell_refusal(&self, status: u16, text: &str, is_crowded: bool) {
        let refusal = Refusal {
            status,
            text: text.into(),
            is_crowded,
        };
        self.tell(Ask::Refuse(self.id, Box::new(refusal)));
    }

    fn tell(&self, ask: Ask) {
        self.handle.shared.ask(self.id.shard(), ask);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.tell_refusal(503, "the host gave no answer", false);
        }
    }
}

/// A handler, as the shards call it.
pub(crate) struct Callbacks<H> {
    pub(crate) handler: H,
    pub(crate) handle: Handle,
}

impl<H: Handler> Callbacks<H> {
    fn connection<'a>(&'a self, who: Who<'a>) -> Connection<'a> {
        Connection::new(who, &self.handle)
    }
}

impl<H: Handler> Host for Callbacks<H> {
    fn on_connecting(&self, id: ConnectionId, request: Arc<Request>) {
        self.handler
            .connecting(&request, Pending::new(id, self.handle.clone()));
    }

    fn on_opened(&self, who: Who<'_>) {
        self.handler.opened(self.connection(who));
    }

    fn on_message(&self, who: Who<'_>, kind: Kind, data: &[u8]) {
        self.handler
            .message(self.connection(who), Message { kind, data });
    }

    fn on_closed(&self, who: Who<'_>, reason: &CloseReason) {
        self.handler.closed(self.connection(who), reason);
    }

    fn on_backpressure(&self, who: Who<'_>, high: bool) {
        self.handler.backpressure(self.connection(who), high);
    }

    fn on_lagged(&self, who: Who<'_>, room: &str, missed: Missed) {
        self.handler.lagged(self.connection(who), room, missed);
    }

    fn on_delivered(&self, room: &str, delivery: Delivery) {
        self.handler.delivered(&self.handle, room, delivery);
    }

    fn on_expiring(&self, who: Who<'_>) {
        self.handler.expiring(self.connection(who));
    }

    fn on_wanted(&self, who: Who<'_>, wanted: Box<Wanted>, is_granted: bool) {
        let wish = Wish::new(who.id, wanted, self.handle.clone());
        match is_granted {
            true => wish.fulfil(),
            false => self.handler.permission(self.connection(who), wish),
        }
    }

    fn on_presence(&self, room: &str, epoch: u64, notice: &str) -> Result<(), Refused> {
        self.handle.publish_notice(room, epoch, notice)
    }

    fn keeps_up(&self, _: Who<'_>) -> bool {
        true
    }

    fn counts_events(&self) -> bool {
        false
    }

    fn on_told(&self) {}

    fn on_stopped(&self) {}
}
