//! The second and third way of being told: a queue, taken from in batches or waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roomcast::{
    Accept, CloseReason, Event, EventKind, Events, Gate, Peer, Pending, Request, Status, Verb,
};

use crate::boundary::{Foreign, Out, OutArray, Places, guard, place};
use crate::claims::roomcast_claims;
use crate::delivery::roomcast_delivery;
use crate::engine::{engine_guard, roomcast_engine};
use crate::events::{KeptClaims, roomcast_event, roomcast_event_kind as kind};
use crate::request::roomcast_request;
use crate::status::roomcast_status;
use crate::wish::roomcast_wish;

/// What an event that was taken points to, until the host lets go of it.
pub struct Held {
    peer: Option<Peer>,
    claims: KeptClaims,
    _what: What,
    events: Arc<Events>,
}

impl Held {
    pub(crate) fn claims(&self) -> *const roomcast_claims {
        self.claims.get(|| self.peer.as_ref()?.claims())
    }

    pub(crate) fn may(&self, verb: Verb, room: &str) -> bool {
        let peer = self.peer.as_ref();
        peer.is_some_and(|peer| peer.may(verb, room))
    }
}

/// Kept, not looked at; shared pointers, since a box may not be pointed into from elsewhere.
#[expect(dead_code, reason = "events point into it")]
enum What {
    Nothing,
    Asked(Arc<roomcast_request<'static>>),
    Message(Bytes),
    Closed(Arc<CloseReason>),
    Room(Arc<str>),
    Delivered(Arc<str>, Arc<roomcast_delivery>),
    Wished(Arc<roomcast_wish>),
}

/// Events that are taken from the queue at a time.
const BATCH: usize = 256;

impl Drop for Held {
    /// The host is done with the event, so its connection may send more.
    fn drop(&mut self) {
        if let Some(peer) = &self.peer {
            self.events.release(peer);
        }
    }
}

/// Which kinds are queued.
pub(crate) struct Kinds(pub(crate) u32);

impl Kinds {
    fn has(&self, kind: kind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }
}

impl Gate for Kinds {
    fn connecting(&self, _: &Arc<Request>, pending: Pending) -> Option<Pending> {
        if self.has(kind::Connecting) {
            return Some(pending);
        }
        pending.accept(Accept::new());
        None
    }

    fn wants(&self, kind: EventKind) -> bool {
        match kind {
            EventKind::Connecting => self.has(kind::Connecting),
            EventKind::Opened => self.has(kind::Opened),
            EventKind::Message => self.has(kind::Message),
            EventKind::Closed => self.has(kind::Closed),
            EventKind::Backpressure => self.has(kind::Backpressure),
            EventKind::Lagged => self.has(kind::Lagged),
            EventKind::Delivered => self.has(kind::Delivered),
            EventKind::Expiring => self.has(kind::Expiring),
            EventKind::Permission => self.has(kind::Permission),
            _ => false,
        }
    }
}

/// Takes events that wait, without waiting: for a host with a loop of its own, that watches
/// `roomcast_engine_fd`. Several threads may take from one engine; each event goes to one of them.
///
/// Each event counts against `connection_events_max` until it is given back, so a connection whose
/// events the host does not get through is not read from; the others are.
///
/// @param struct_size `sizeof(roomcast_event)`
/// @param capacity how many events the array has place for; at least 1
/// @param events gets up to `capacity` events, to be given to `roomcast_events_free`
/// @param count gets how many; 0 where none wait
/// @return `ROOMCAST_STATUS_STOPPED` once the engine has stopped and all events are taken,
///         `ROOMCAST_STATUS_WRONG_MODE` for an engine with a callback
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_drain(
    engine: Option<&roomcast_engine>,
    struct_size: usize,
    capacity: usize,
    events: OutArray<roomcast_event>,
    count: Out<'_, usize>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (array, count) = (events.places(struct_size, capacity)?, place(count)?);
        count.write(fill(engine, queue(engine)?, &array)?);
        Ok(())
    })
}

/// Waits until an event can be taken, then takes as `roomcast_engine_drain`: for a host that has a
/// thread for it.
///
/// @param timeout_ms milliseconds to wait at most; negative for as long as it takes
/// @param struct_size `sizeof(roomcast_event)`
/// @param capacity how many events the array has place for; at least 1
/// @param events gets up to `capacity` events, to be given to `roomcast_events_free`
/// @param count gets how many, at least 1
/// @return `ROOMCAST_STATUS_TIMED_OUT` when none came; `ROOMCAST_STATUS_STOPPED` once the engine
///         has stopped and all events are taken; `ROOMCAST_STATUS_WRONG_MODE` for an engine with a
///         callback, or without threads of its own
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_wait(
    engine: Option<&roomcast_engine>,
    timeout_ms: i64,
    struct_size: usize,
    capacity: usize,
    events: OutArray<roomcast_event>,
    count: Out<'_, usize>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (array, count) = (events.places(struct_size, capacity)?, place(count)?);
        let queue = queue(engine)?;
        if engine.running().engine.fd().is_some() {
            return Err(Status::WrongMode);
        }
        if engine.handle().is_on_shard() {
            return Err(Status::OnShard);
        }
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        let until = Instant::now().checked_add(timeout);
        loop {
            let left = until.map_or(Duration::MAX, |u| {
                u.saturating_duration_since(Instant::now())
            });
            if !queue.wait(left) {
                return Err(Status::TimedOut);
            }
            let found = fill(engine, queue, &array)?;
            // With none, another thread was quicker.
            if found > 0 {
                count.write(found);
                return Ok(());
            }
        }
    })
}

fn queue(engine: &roomcast_engine) -> Result<&Arc<Events>, Status> {
    engine.running().events.as_ref().ok_or(Status::WrongMode)
}

/// Takes what waits into the array; gives how many.
fn fill(
    engine: &roomcast_engine,
    queue: &Arc<Events>,
    array: &Places<roomcast_event>,
) -> Result<usize, Status> {
    let mut taken = Vec::with_capacity(array.len().min(BATCH));
    let mut count = 0;
    while count < array.len() {
        let most = (array.len() - count).min(BATCH);
        let n = queue.drain_held(most, &mut taken);
        for event in taken.drain(..) {
            array.write(count, owned_event(engine, queue, event));
            count += 1;
        }
        if n < most {
            break;
        }
    }
    match count == 0 && queue.is_ended() {
        true => Err(Status::Stopped),
        false => Ok(count),
    }
}

/// An event as C owns it. What it points to lies on the heap, so it stays when it is moved.
fn owned_event(engine: &roomcast_engine, queue: &Arc<Events>, event: Event) -> roomcast_event {
    let (mut made, peer, what) = match event {
        Event::Connecting { request, pending } => {
            let mut made = roomcast_event::new(kind::Connecting, pending.id().as_u64());
            engine.waiting.add(pending);
            let request = Arc::new(roomcast_request::shared(request));
            made.request = Arc::as_ptr(&request);
            (made, None, What::Asked(request))
        }
        Event::Opened { peer } => (of_peer(kind::Opened, &peer), Some(peer), What::Nothing),
        Event::Message { peer, kind, data } => {
            let made = of_peer(kind::Message, &peer).message(kind, &data);
            (made, Some(peer), What::Message(data))
        }
        Event::Closed { peer, reason } => {
            let reason = Arc::new(reason);
            let made = of_peer(kind::Closed, &peer).closed(&reason);
            (made, Some(peer), What::Closed(reason))
        }
        Event::Backpressure { peer, high } => {
            let mut made = of_peer(kind::Backpressure, &peer);
            made.high = high;
            (made, Some(peer), What::Nothing)
        }
        Event::Lagged { peer, room, missed } => {
            let room: Arc<str> = room.into();
            let made = of_peer(kind::Lagged, &peer).lagged(&room, missed);
            (made, Some(peer), What::Room(room))
        }
        Event::Delivered { room, delivery } => {
            let (room, delivery) = (Arc::<str>::from(room), Arc::new(delivery.into()));
            let made = roomcast_event::new(kind::Delivered, 0);
            let made = made.delivered(&room, Arc::as_ptr(&delivery));
            (made, None, What::Delivered(room, delivery))
        }
        Event::Expiring { peer } => (of_peer(kind::Expiring, &peer), Some(peer), What::Nothing),
        Event::Permission { peer, wish } => {
            let wish = Arc::new(roomcast_wish::new(wish));
            let made = of_peer(kind::Permission, &peer).permission(&wish);
            (made, Some(peer), What::Wished(wish))
        }
        // The gate lets no other kind in.
        _ => (roomcast_event::new(kind::Opened, 0), None, What::Nothing),
    };
    let held = Held {
        peer,
        claims: KeptClaims::default(),
        _what: what,
        events: queue.clone(),
    };
    made.held = Some(Box::new(held));
    made
}

fn of_peer(kind: kind, peer: &Peer) -> roomcast_event {
    roomcast_event::new(kind, peer.id().as_u64()).of(peer.user(), peer.data::<Foreign>())
}

/// Gives events back that `roomcast_engine_drain` or `_wait` gave: what they point to is gone then,
/// and their connections may send more. From any thread, in any order, also after
/// `roomcast_engine_free`. Each event is set to zero, so giving it back twice does nothing.
///
/// An event that is not given back keeps its memory, and its connection is soon not read from.
///
/// @param struct_size `sizeof(roomcast_event)`
/// @param count how many
/// @param events the first of them; NULL does nothing
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_events_free(
    struct_size: usize,
    count: usize,
    events: OutArray<roomcast_event>,
) {
    guard(|| {
        let array = events.places(struct_size, count)?;
        (0..count).for_each(|index| drop(array.take(index)));
        Ok(())
    });
}
