//! The pull side: events in a bounded queue, for hosts that cannot work in callbacks.
//!
//! In: what shards tell. Out: the same as owned values, through a blocking `recv`, a batch
//! `drain`, an async `next` for any executor, and on unix a descriptor that is readable while
//! something waits. A connection whose events the host does not take is not read from.

use std::any::Any;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::close::CloseReason;
use crate::handle::Handle;
use crate::host::Pending;
use crate::identity::{Host, Identity, Who};
use crate::payload::{ConnectionId, Kind, Message};
use crate::request::Request;
use crate::shard::shared::Ask;
use crate::sync::{Arc, Condvar, Ordering, PlainMutex};

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
    /// It jumped over publications of a room.
    Lagged {
        /// Which.
        peer: Peer,
        /// The room.
        room: String,
        /// How many publications.
        missed: u64,
    },
}

impl Event {
    /// The message of a `Message` event, ready to be published again.
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        match self {
            Event::Message { kind, data, .. } => Some(Message { kind: *kind, data }),
            _ => None,
        }
    }

    fn peer(&self) -> Option<&Peer> {
        match self {
            Event::Connecting { .. } => None,
            Event::Opened { peer }
            | Event::Message { peer, .. }
            | Event::Closed { peer, .. }
            | Event::Backpressure { peer, .. }
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

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        self.signal(&mut state);
        drop(state);
        self.arrived.notify_one();
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

    /// Takes up to `max` events that wait, without waiting. Returns how many were added.
    pub fn drain(&self, max: usize, into: &mut Vec<Event>) -> usize {
        let mut state = self.queue.state.lock();
        let n = state.queue.len().min(max);
        for _ in 0..n {
            if let Some(event) = state.queue.pop_front() {
                into.push(self.taken(&mut state, event));
            }
        }
        n
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

    /// Lets the connection be read from again where this event held it up.
    fn taken(&self, state: &mut State, event: Event) -> Event {
        self.queue.signal(state);
        if let Some(peer) = event.peer()
            && let Some(identity) = &peer.identity
        {
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
pub(crate) struct Queued {
    queue: Arc<Queue>,
    handle: Handle,
}

/// Both ends of a queue.
pub(crate) fn queue(handle: &Handle) -> std::io::Result<(Queued, Events)> {
    let queue = Arc::new(Queue::new()?);
    let handle = handle.clone();
    Ok((
        Queued {
            queue: queue.clone(),
            handle: handle.clone(),
        },
        Events { queue, handle },
    ))
}

impl Queued {
    fn has_place(&self, identity: &Identity) -> bool {
        let limits = &self.handle.shared.limits;
        let waiting = identity.waiting.load(Ordering::SeqCst);
        let crowded = || self.queue.state.lock().queue.len() >= limits.events_max;
        waiting == 0 || (waiting < limits.connection_events_max && !crowded())
    }

    fn push(&self, who: Who<'_>, event: impl FnOnce(Peer) -> Event) {
        if let Some(identity) = who.identity {
            identity.waiting.fetch_add(1, Ordering::SeqCst);
        }
        let event = event(Peer {
            id: who.id,
            identity: who.identity.cloned(),
        });
        self.queue.change(|state| state.queue.push_back(event));
    }
}

impl Host for Queued {
    fn on_connecting(&self, id: ConnectionId, request: Arc<Request>) {
        let pending = Pending::new(id, self.handle.clone());
        self.queue
            .change(|s| s.queue.push_back(Event::Connecting { request, pending }));
    }

    fn on_opened(&self, who: Who<'_>) {
        self.push(who, |peer| Event::Opened { peer });
    }

    fn on_message(&self, who: Who<'_>, kind: Kind, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        self.push(who, |peer| Event::Message { peer, kind, data });
    }

    fn on_closed(&self, who: Who<'_>, reason: &CloseReason) {
        let reason = reason.clone();
        self.push(who, |peer| Event::Closed { peer, reason });
    }

    fn on_backpressure(&self, who: Who<'_>, high: bool) {
        self.push(who, |peer| Event::Backpressure { peer, high });
    }

    fn on_lagged(&self, who: Who<'_>, room: &str, missed: u64) {
        let room = room.to_owned();
        self.push(who, |peer| Event::Lagged { peer, room, missed });
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

    fn on_stopped(&self) {
        self.queue.change(|state| state.ended = true);
        self.queue.arrived.notify_all();
    }
}
