//! The pull side: events in a bounded queue, for hosts that cannot work in callbacks.
//!
//! In: what shards tell. Out: the same as owned values, through a blocking `recv`, a batch
//! `drain`, an async `next` for any executor, and on unix a descriptor that is readable while
//! something waits. A connection whose events the host does not take is not read from. A [`Gate`]
//! decides on the shards' threads what is queued at all.

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::auth::Claims;
use crate::close::CloseReason;
use crate::delivery::{Delivery, Missed};
use crate::error::Refused;
use crate::grants::Verb;
use crate::handle::Handle;
use crate::host::Pending;
use crate::identity::{Host, Identity, Who};
use crate::log::LogLevel;
use crate::payload::{ConnectionId, Kind, Message};
use crate::request::Request;
use crate::shard::shared::Ask;
use crate::sync::{Arc, Condvar, Ordering, PlainMutex};
use crate::wanted::Wanted;
use crate::wish::Wish;

/// The connection that an event is about.
#[derive(Clone)]
pub struct Peer {
    id: ConnectionId,
    identity: Option<Arc<Identity>>,
}

impl Peer {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The user that it was accepted as.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.identity.as_ref()?.user.as_deref()
    }

    /// What its token says; the newest, if it has brought several.
    #[must_use]
    pub fn claims(&self) -> Option<Arc<Claims>> {
        self.identity.as_ref()?.claims()
    }

    /// Whether its token allows this.
    #[must_use]
    pub fn may(&self, verb: Verb, room: &str) -> bool {
        self.identity
            .as_ref()
            .is_some_and(|identity| identity.may(verb, room))
    }

    /// The application's data that it was accepted with, if it is of this type.
    #[must_use]
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.identity.as_ref()?.data.as_ref()?.downcast_ref()
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer")
            .field("id", &self.id)
            .field("user", &self.user())
            .finish()
    }
}

/// What happened. Events of one connection come in order.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Somebody asks for a WebSocket: answer through `pending`.
    Connecting {
        /// What was asked.
        request: Arc<Request>,
        /// Takes the answer.
        pending: Pending,
    },
    /// A connection is open.
    Opened {
        /// Which.
        peer: Peer,
    },
    /// A message came.
    Message {
        /// From whom.
        peer: Peer,
        /// Text or binary.
        kind: Kind,
        /// The payload; of text it has been checked to be UTF-8.
        data: Bytes,
    },
    /// A connection that had opened has ended.
    Closed {
        /// Which.
        peer: Peer,
        /// Why.
        reason: CloseReason,
    },
    /// More than `outbox_high_bytes` wait for it (true), or less than half of that again (false).
    Backpressure {
        /// Which.
        peer: Peer,
        /// Above the mark.
        high: bool,
    },
    /// It was too slow to be sent publications of a room.
    Lagged {
        /// Which.
        peer: Peer,
        /// The room.
        room: String,
        /// How many publications, and which.
        missed: Missed,
    },
    /// The connection's token expires in `token_notice_ms`; then it is closed with
    /// [`TOKEN_EXPIRED`](crate::TOKEN_EXPIRED), unless it has brought a new one
    /// ([`Handle::refresh`]).
    Expiring {
        /// Which.
        peer: Peer,
    },
    /// The peer wants something in a room ([`Handle::request_join`], [`Handle::request_publish`])
    /// that its token does not allow by itself: answer through `wish`.
    Permission {
        /// Who.
        peer: Peer,
        /// What; takes the answer.
        wish: Wish,
    },
    /// What became of a publication of [`Handle::publish_tracked`]. While `events_max` events wait
    /// it is dropped, and counted (`reports_dropped`).
    Delivered {
        /// The room.
        room: String,
        /// What became of it.
        delivery: Delivery,
    },
    /// The engine has something to say to whoever operates it. Only where the [`Gate`] wants it.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// What it says.
        text: String,
    },
}

/// The kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// [`Event::Connecting`].
    Connecting,
    /// [`Event::Opened`].
    Opened,
    /// [`Event::Message`].
    Message,
    /// [`Event::Closed`].
    Closed,
    /// [`Event::Backpressure`].
    Backpressure,
    /// [`Event::Lagged`].
    Lagged,
    /// [`Event::Expiring`].
    Expiring,
    /// [`Event::Permission`].
    Permission,
    /// [`Event::Log`].
    Log,
    /// [`Event::Delivered`].
    Delivered,
}

/// What an engine with a queue of events decides without it, on the shards' threads. Its methods
/// must be quick, as those of a [`Handler`](crate::Handler).
pub trait Gate: Send + Sync + 'static {
    /// Somebody asks for a WebSocket. Given back, `pending` is queued as an event; else the answer
    /// was given here, or will be later.
    fn connecting(&self, request: &Arc<Request>, pending: Pending) -> Option<Pending> {
        let _ = request;
        Some(pending)
    }

    /// Whether events of this kind are queued; the others are let go of, and hold nobody up. The
    /// default is all but [`EventKind::Log`].
    fn wants(&self, kind: EventKind) -> bool {
        kind != EventKind::Log
    }
}

/// Everything is queued.
impl Gate for () {}

impl Event {
    /// The message of a `Message` event, ready to be published again.
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        match self {
            Event::Message { kind, data, .. } => Some(Message { kind: *kind, data }),
            _ => None,
        }
    }

    /// What it counts for in the memory budget.
    fn cost(&self) -> usize {
        size_of::<Event>()
            + match self {
                Event::Message { data, .. } => data.len(),
                Event::Log { text, .. } => text.len(),
                Event::Permission { wish, .. } => wish.bytes(),
                _ => 0,
            }
    }

    fn peer(&self) -> Option<&Peer> {
        match self {
            Event::Connecting { .. } | Event::Delivered { .. } | Event::Log { .. } => None,
            Event::Opened { peer }
            | Event::Message { peer, .. }
            | Event::Closed { peer, .. }
            | Event::Backpressure { peer, .. }
            | Event::Expiring { peer }
            | Event::Permission { peer, .. }
            | Event::Lagged { peer, .. } => Some(peer),
        }
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Event>,
    wakers: Vec<Waker>,
    ended: bool,
    /// A byte is in the pipe.
    signalled: bool,
}

struct Queue {
    state: PlainMutex<State>,
    arrived: Condvar,
    #[cfg(unix)]
    pipe: (
        std::os::unix::net::UnixStream,
        std::os::unix::net::UnixStream,
    ),
}

impl Queue {
    fn new() -> std::io::Result<Self> {
        Ok(Queue {
            state: PlainMutex::new(State::default()),
            arrived: Condvar::new(),
            #[cfg(unix)]
            pipe: {
                let (read, write) = std::os::unix::net::UnixStream::pair()?;
                read.set_nonblocking(true)?;
                write.set_nonblocking(true)?;
                (read, write)
            },
        })
    }

    /// Changes the state, and wakes whoever waits where there is something to take.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        if state.queue.is_empty() && !state.ended {
            return;
        }
        let wakers = std::mem::take(&mut state.wakers);
        self.signal(&mut state);
        drop(state);
        self.arrived.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The descriptor is readable exactly while there is something to take, or the end.
    fn signal(&self, state: &mut State) {
        let wanted = !state.queue.is_empty() || state.ended;
        if wanted == state.signalled {
            return;
        }
        state.signalled = wanted;
        #[cfg(unix)]
        {
            use std::io::{Read, Write};
            // One byte at most is in the pipe, so neither can fail for want of place.
            let _ = match wanted {
                true => (&self.pipe.1).write(&[1]),
                false => (&self.pipe.0).read(&mut [0]),
            };
        }
    }
}

/// The receiving end of an engine's events. Dropping it refuses and closes nothing by itself, but
/// its connections are soon read from no more: stop the engine with it.
pub struct Events {
    queue: Arc<Queue>,
    handle: Handle,
}

impl Events {
    /// Waits for the next event; None once the engine has stopped and all are taken.
    pub fn recv(&self) -> Option<Event> {
        let mut state = self.queue.state.lock();
        loop {
            if let Some(event) = state.queue.pop_front() {
                return Some(self.taken(&mut state, event));
            }
            if state.ended {
                return None;
            }
            self.queue.arrived.wait(&mut state);
        }
    }

    /// As [`Events::recv`], for at most so long. `Ok(None)` is the end; `Err` the timeout.
    ///
    /// # Errors
    /// [`TimedOut`] when nothing came in time.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<Event>, TimedOut> {
        let until = Instant::now() + timeout;
        let mut state = self.queue.state.lock();
        loop {
            if let Some(event) = state.queue.pop_front() {
                return Ok(Some(self.taken(&mut state, event)));
            }
            if state.ended {
                return Ok(None);
            }
            if self.queue.arrived.wait_until(&mut state, until).timed_out() {
                return Err(TimedOut);
            }
        }
    }

    /// Waits for at most so long until an event can be taken, or the end is there: whether it is.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.queue.state.lock();
        while state.queue.is_empty() && !state.ended {
            match until {
                Some(until) if self.queue.arrived.wait_until(&mut state, until).timed_out() => {
                    return !state.queue.is_empty() || state.ended;
                }
                Some(_) => {}
                None => self.queue.arrived.wait(&mut state),
            }
        }
        true
    }

    /// Takes up to `max` events that wait, without waiting. Returns how many were added.
    pub fn drain(&self, max: usize, into: &mut Vec<Event>) -> usize {
        let before = into.len();
        let n = self.drain_held(max, into);
        let peers = into[before..].iter().filter_map(Event::peer);
        peers.for_each(|peer| self.release(peer));
        n
    }

    /// As [`Events::drain`], but each event counts against `connection_events_max` until
    /// [`Events::release`] is called with its peer: for hosts that work on events later than they
    /// take them. Peers whose events are never released are soon not read from any more.
    pub fn drain_held(&self, max: usize, into: &mut Vec<Event>) -> usize {
        let mut state = self.queue.state.lock();
        let n = state.queue.len().min(max);
        into.extend(state.queue.drain(..n));
        let taken = &into[into.len() - n..];
        self.forget_bytes(taken.iter().map(Event::cost).sum());
        self.queue.signal(&mut state);
        n
    }

    /// The host is done with one event of this peer that [`Events::drain_held`] gave. Call it once
    /// for each.
    pub fn release(&self, peer: &Peer) {
        let Some(identity) = &peer.identity else {
            return;
        };
        let max = self.handle.shared.limits.connection_events_max;
        let left = identity.waiting.fetch_sub(1, Ordering::SeqCst) - 1;
        if left <= max / 2
            && identity.paused.load(Ordering::SeqCst)
            && identity.paused.swap(false, Ordering::SeqCst)
        {
            let resume = Ask::Resume(peer.id);
            self.handle.shared.ask(peer.id.shard(), resume);
        }
    }

    /// The next event, for any executor; None once the engine has stopped and all are taken.
    pub fn next(&self) -> Next<'_> {
        Next { events: self }
    }

    /// Whether the engine has stopped and all events are taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        let state = self.queue.state.lock();
        state.ended && state.queue.is_empty()
    }

    /// How many events wait.
    #[cfg(feature = "internal-testing")]
    #[doc(hidden)]
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.state.lock().queue.len()
    }

    /// Another end for shards to tell: a simulated engine may fill this queue too.
    #[cfg(feature = "internal-testing")]
    pub(crate) fn also<G: Gate>(&self, handle: &Handle, gate: G) -> Queued<G> {
        Queued {
            queue: self.queue.clone(),
            handle: handle.clone(),
            gate,
        }
    }

    /// So much waits no more.
    fn forget_bytes(&self, bytes: usize) {
        let waiting = &self.handle.shared.event_bytes;
        waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Lets the connection be read from again where this event held it up.
    fn taken(&self, state: &mut State, event: Event) -> Event {
        self.queue.signal(state);
        self.forget_bytes(event.cost());
        if let Some(peer) = event.peer() {
            self.release(peer);
        }
        event
    }
}

/// A descriptor that is readable while events wait, for the host's own poller. Never read it.
#[cfg(unix)]
impl std::os::fd::AsFd for Events {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.queue.pipe.0.as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for Events {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.queue.pipe.0.as_raw_fd()
    }
}

/// Nothing came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl std::fmt::Display for TimedOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no event came in time")
    }
}

impl std::error::Error for TimedOut {}

/// The future of [`Events::next`].
pub struct Next<'a> {
    events: &'a Events,
}

impl Future for Next<'_> {
    type Output = Option<Event>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.events.queue.state.lock();
        if let Some(event) = state.queue.pop_front() {
            return Poll::Ready(Some(self.events.taken(&mut state, event)));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if !state.wakers.iter().any(|w| w.will_wake(context.waker())) {
            state.wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

/// The queue, as the shards tell it.
pub(crate) struct Queued<G> {
    queue: Arc<Queue>,
    handle: Handle,
    gate: G,
}

/// Both ends of a queue.
pub(crate) fn queue<G: Gate>(handle: &Handle, gate: G) -> std::io::Result<(Queued<G>, Events)> {
    let queue = Arc::new(Queue::new()?);
    if gate.wants(EventKind::Log) {
        let (queue, max) = (queue.clone(), handle.shared.limits.events_max);
        let bytes = handle.shared.event_bytes.clone();
        handle.shared.log_to(move |level, text| {
            queue.change(|state| {
                if state.queue.len() < max {
                    let text = text.to_owned();
                    let event = Event::Log { level, text };
                    bytes.fetch_add(event.cost(), Ordering::Relaxed);
                    state.queue.push_back(event);
                }
            });
        });
    }
    let events = Events {
        queue: queue.clone(),
        handle: handle.clone(),
    };
    let handle = handle.clone();
    Ok((
        Queued {
            queue,
            handle,
            gate,
        },
        events,
    ))
}

impl<G: Gate> Queued<G> {
    fn has_place(&self, identity: &Identity) -> bool {
        let limits = &self.handle.shared.limits;
        let waiting = identity.waiting.load(Ordering::SeqCst);
        waiting == 0 || (waiting < limits.connection_events_max && !self.is_crowded())
    }

    fn is_crowded(&self) -> bool {
        let max = self.handle.shared.limits.events_max;
        self.queue.state.lock().queue.len() >= max
    }

    fn push(&self, kind: EventKind, who: Who<'_>, event: impl FnOnce(Peer) -> Event) {
        if !self.gate.wants(kind) {
            return;
        }
        if let Some(identity) = who.identity {
            identity.waiting.fetch_add(1, Ordering::SeqCst);
        }
        let event = event(Peer {
            id: who.id,
            identity: who.identity.cloned(),
        });
        self.enqueue(event);
    }

    fn enqueue(&self, event: Event) {
        let bytes = &self.handle.shared.event_bytes;
        bytes.fetch_add(event.cost(), Ordering::Relaxed);
        self.queue.state.lock().queue.push_back(event);
    }
}

impl<G: Gate> Host for Queued<G> {
    fn on_connecting(&self, id: ConnectionId, request: Arc<Request>) {
        let pending = Pending::new(id, self.handle.clone());
        if self.is_crowded() {
            // Each connection that comes and goes would leave its events here.
            return pending.refuse_crowded();
        }
        if let Some(pending) = self.gate.connecting(&request, pending)
            && self.gate.wants(EventKind::Connecting)
        {
            self.enqueue(Event::Connecting { request, pending });
        }
    }

    fn on_opened(&self, who: Who<'_>) {
        self.push(EventKind::Opened, who, |peer| Event::Opened { peer });
    }

    fn on_message(&self, who: Who<'_>, kind: Kind, data: &[u8]) {
        self.push(EventKind::Message, who, |peer| Event::Message {
            peer,
            kind,
            data: Bytes::copy_from_slice(data),
        });
    }

    fn on_closed(&self, who: Who<'_>, reason: &CloseReason) {
        self.push(EventKind::Closed, who, |peer| Event::Closed {
            peer,
            reason: reason.clone(),
        });
    }

    fn on_backpressure(&self, who: Who<'_>, high: bool) {
        self.push(EventKind::Backpressure, who, |peer| Event::Backpressure {
            peer,
            high,
        });
    }

    fn on_expiring(&self, who: Who<'_>) {
        self.push(EventKind::Expiring, who, |peer| Event::Expiring { peer });
    }

    fn on_wanted(&self, who: Who<'_>, wanted: Box<Wanted>, is_granted: bool) {
        let wish = Wish::new(who.id, wanted, self.handle.clone());
        match is_granted {
            true => wish.fulfil(),
            // Where nobody takes it, it is dropped, and so denied.
            false => self.push(EventKind::Permission, who, |peer| Event::Permission {
                peer,
                wish,
            }),
        }
    }

    fn on_delivered(&self, room: &str, delivery: Delivery) {
        if !self.gate.wants(EventKind::Delivered) {
            return;
        }
        if self.is_crowded() {
            let dropped = &self.handle.shared.reports_dropped;
            dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let room = room.to_owned();
        self.enqueue(Event::Delivered { room, delivery });
    }

    fn on_presence(&self, room: &str, epoch: u64, notice: &str) -> Result<(), Refused> {
        self.handle.publish_notice(room, epoch, notice)
    }

    fn on_lagged(&self, who: Who<'_>, room: &str, missed: Missed) {
        self.push(EventKind::Lagged, who, |peer| Event::Lagged {
            peer,
            room: room.to_owned(),
            missed,
        });
    }

    fn keeps_up(&self, who: Who<'_>) -> bool {
        let Some(identity) = who.identity else {
            return true;
        };
        if self.has_place(identity) {
            return true;
        }
        // Either the taker of an event sees `paused`, or we see here what it has taken.
        identity.paused.store(true, Ordering::SeqCst);
        self.has_place(identity) && identity.paused.swap(false, Ordering::SeqCst)
    }

    fn counts_events(&self) -> bool {
        true
    }

    /// One wake-up for all that a turn has brought.
    fn on_told(&self) {
        self.queue.change(|_| {});
    }

    fn on_stopped(&self) {
        self.queue.change(|state| state.ended = true);
    }
}
