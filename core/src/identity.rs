//! Who a connection is to the host: the user and the application's data, shared by its events.
//!
//! Rank 0: made at the verdict, dropped with the last event that names it. Any thread.

use std::any::Any;

use crate::auth::Claims;
use crate::delivery::{Delivery, Missed};
use crate::error::Refused;
use crate::grants::Verb;
use crate::payload::{ConnectionId, Kind};
use crate::sync::{Arc, AtomicBool, AtomicU32, PlainMutex};
use crate::wanted::Wanted;

/// What the host said of a connection when it accepted it.
pub(crate) struct Identity {
    pub(crate) user: Option<Arc<str>>,
    pub(crate) data: Option<Arc<dyn Any + Send + Sync>>,
    /// What others see of it in rooms with presence: JSON.
    pub(crate) info: Option<Arc<str>>,
    /// Events that wait in the queue of the pull side.
    pub(crate) waiting: AtomicU32,
    /// It is not read from until the host has taken some of them.
    pub(crate) paused: AtomicBool,
    /// What its token says, which is replaced when it brings a new one.
    claims: PlainMutex<Option<Arc<Claims>>>,
}

impl Identity {
    pub(crate) fn new(
        user: Option<Arc<str>>,
        data: Option<Arc<dyn Any + Send + Sync>>,
        info: Option<Arc<str>>,
    ) -> Arc<Self> {
        Arc::new(Identity {
            user,
            data,
            info,
            waiting: AtomicU32::new(0),
            paused: AtomicBool::new(false),
            claims: PlainMutex::new(None),
        })
    }

    /// Who a token says that it is.
    pub(crate) fn of_claims(claims: Arc<Claims>) -> Arc<Self> {
        let identity = Identity::new(claims.user.clone(), None, None);
        identity.set_claims(Some(claims));
        identity
    }

    /// Adds what the token of a new connection says to what the host said, which comes first.
    pub(crate) fn with_claims(identity: Option<Arc<Self>>, claims: &Arc<Claims>) -> Arc<Self> {
        let Some(mut identity) = identity else {
            return Identity::of_claims(claims.clone());
        };
        if let Some(own) = Arc::get_mut(&mut identity)
            && own.user.is_none()
        {
            own.user.clone_from(&claims.user);
        }
        if identity.claims().is_none() {
            identity.set_claims(Some(claims.clone()));
        }
        identity
    }

    pub(crate) fn claims(&self) -> Option<Arc<Claims>> {
        self.claims.lock().clone()
    }

    pub(crate) fn set_claims(&self, claims: Option<Arc<Claims>>) {
        *self.claims.lock() = claims;
    }

    /// What others are told of it: what the host said, else what its token says.
    pub(crate) fn info(&self) -> Option<Arc<str>> {
        let of_token = || self.claims.lock().as_ref()?.info.clone();
        self.info.clone().or_else(of_token)
    }

    /// Whether its token allows this.
    pub(crate) fn may(&self, verb: Verb, room: &str) -> bool {
        let claims = self.claims.lock();
        claims
            .as_ref()
            .is_some_and(|claims| claims.grants.may(verb, room))
    }
}

/// A connection, as the host is told of it.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) id: ConnectionId,
    pub(crate) identity: Option<&'a Arc<Identity>>,
}

/// What a shard tells the host. Called on the shard's thread with no lock and no borrow held.
pub(crate) trait Host: Send + Sync {
    fn on_connecting(&self, id: ConnectionId, request: Arc<crate::request::Request>);
    fn on_opened(&self, who: Who<'_>);
    fn on_message(&self, who: Who<'_>, kind: Kind, data: &[u8]);
    fn on_closed(&self, who: Who<'_>, reason: &crate::close::CloseReason);
    fn on_backpressure(&self, who: Who<'_>, high: bool);
    fn on_lagged(&self, who: Who<'_>, room: &str, missed: Missed);
    fn on_delivered(&self, room: &str, delivery: Delivery);
    /// The connection's token is about to expire.
    fn on_expiring(&self, who: Who<'_>);
    /// The connection wants something, and its token allows it, or does not say so.
    fn on_wanted(&self, who: Who<'_>, wanted: Box<Wanted>, is_granted: bool);
    /// Publishes a notice of who came and went to the room in this life of it.
    fn on_presence(&self, room: &str, epoch: u64, notice: &str) -> Result<(), Refused>;
    /// Whether the connection may be read from, as far as the host keeps up with its events.
    fn keeps_up(&self, who: Who<'_>) -> bool;
    /// Whether each connection needs an identity, to count its events.
    fn counts_events(&self) -> bool;
    /// A batch of all these was told.
    fn on_told(&self);
    /// The last shard has ended; nothing more will be told.
    fn on_stopped(&self);
}
