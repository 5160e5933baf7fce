//! Who a connection is to the host: the user and the application's data, shared by its events.
//!
//! Rank 0: made at the verdict, dropped with the last event that names it. Any thread.

use std::any::Any;

use crate::delivery::{Delivery, Missed};
use crate::error::Refused;
use crate::payload::{ConnectionId, Kind};
use crate::sync::{Arc, AtomicBool, AtomicU32};

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
        })
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
