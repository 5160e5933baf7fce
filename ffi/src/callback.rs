//! The first way of being told: a function of the host's, called on the threads of the shards.

use std::ptr::from_ref;
use std::sync::Arc;

use roomcast::{
    Accept, CloseReason, Connection, Delivery, Handle, Handler, Message, Missed, Pending, Request,
    Wish,
};

use crate::boundary::{Foreign, Lent};
use crate::config::Callback;
use crate::engine::roomcast_engine;
use crate::events::{Caller, roomcast_event, roomcast_event_kind as kind};
use crate::request::roomcast_request;
use crate::wish::roomcast_wish;

pub(crate) struct Callbacks {
    /// Held until the last shard has ended, so what callbacks are given is there.
    engine: Arc<roomcast_engine>,
    callback: Callback,
    kinds: u32,
}

impl Callbacks {
    pub(crate) fn new(engine: Arc<roomcast_engine>, callback: Callback, kinds: u32) -> Self {
        Callbacks {
            engine,
            callback,
            kinds,
        }
    }

    fn wants(&self, kind: kind) -> bool {
        self.kinds & 1 << kind as u32 != 0
    }

    fn tell(&self, event: &roomcast_event) {
        // `roomcast_engine_new` may still be at work; calls from the callback need what it makes.
        self.engine.running();
        (self.callback.call)(self.callback.user.data(), Arc::as_ptr(&self.engine), event);
    }

    fn tell_of(
        &self,
        kind: kind,
        connection: Connection<'_>,
        fill: impl FnOnce(roomcast_event) -> roomcast_event,
    ) {
        if self.wants(kind) {
            let event = roomcast_event::new(kind, connection.id().as_u64());
            let mut event = event.of(connection.user(), connection.data::<Foreign>());
            let caller = Caller::new(connection);
            event.lent = Lent::to(&caller);
            self.tell(&fill(event));
        }
    }
}

impl Handler for Callbacks {
    fn connecting(&self, request: &Request, pending: Pending) {
        if !self.wants(kind::Connecting) {
            return pending.accept(Accept::new());
        }
        let mut event = roomcast_event::new(kind::Connecting, pending.id().as_u64());
        self.engine.waiting.add(pending);
        let request = roomcast_request::lent(request);
        event.request = from_ref(&request).cast();
        self.tell(&event);
    }

    fn opened(&self, connection: Connection<'_>) {
        self.tell_of(kind::Opened, connection, |event| event);
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        self.tell_of(kind::Message, connection, |event| {
            event.message(message.kind(), message.bytes())
        });
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        self.tell_of(kind::Closed, connection, |event| event.closed(reason));
    }

    fn backpressure(&self, connection: Connection<'_>, high: bool) {
        self.tell_of(kind::Backpressure, connection, |mut event| {
            event.high = high;
            event
        });
    }

    fn lagged(&self, connection: Connection<'_>, room: &str, missed: Missed) {
        self.tell_of(kind::Lagged, connection, |event| event.lagged(room, missed));
    }

    fn expiring(&self, connection: Connection<'_>) {
        self.tell_of(kind::Expiring, connection, |event| event);
    }

    fn permission(&self, connection: Connection<'_>, wish: Wish) {
        if !self.wants(kind::Permission) {
            return wish.deny();
        }
        let wish = roomcast_wish::new(wish);
        self.tell_of(kind::Permission, connection, |event| {
            event.permission(&wish)
        });
    }

    fn delivered(&self, _: &Handle, room: &str, delivery: Delivery) {
        if self.wants(kind::Delivered) {
            let delivery = delivery.into();
            self.tell(&roomcast_event::new(kind::Delivered, 0).delivered(room, &delivery));
        }
    }
}
