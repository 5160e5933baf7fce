//! What all shards and handles of one engine share: limits, rooms, inboxes, counters, the clock.
//!
//! Made once at the start, then only read, locked or counted in. Any thread.

use std::cell::Cell;
use std::net::IpAddr;
use std::thread::ThreadId;
use std::time::{Instant, SystemTime};

use super::admission::Admission;
use super::net::Incoming;
#[cfg(feature = "tls")]
use super::tls::Offer;
use super::tokens::Revocation;
use super::trust::Trust;
use crate::address::Proxies;
use crate::alive::Alive;
use crate::auth::Claims;
use crate::close::CloseReason;
use crate::config::{Limits, ListenOptions, MessageRatePolicy, Origins};
use crate::delivery::SharedTracker;
use crate::identity::Identity;
use crate::inbox::Inbox;
use crate::join::Join;
use crate::log::{self, LogLevel};
use crate::metrics::{Counters, Snapshot};
use crate::outbound::frame::Frame;
use crate::page::PageFn;
use crate::payload::ConnectionId;
use crate::request::Request;
use crate::rooms::encoded::Spare;
use crate::rooms::{Directory, RoomState};
use crate::router::Command;
use crate::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Condvar, OnceLock, Ordering, PlainMutex,
};
use crate::transport::http::{self, Deflate};
use crate::wanted::Wanted;

/// The engine's clock: nanoseconds since it started, real or simulated.
#[derive(Clone)]
pub(crate) enum Clock {
    Real(Instant),
    #[cfg_attr(not(feature = "internal-testing"), allow(dead_code))]
    Virtual(Arc<AtomicU64>),
}

impl Clock {
    pub(crate) fn now_ns(&self) -> u64 {
        match self {
            Clock::Real(start) => start.elapsed().as_nanos() as u64,
            Clock::Virtual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Milliseconds since 1970; a simulated engine starts at [`SIMULATED_START_MS`].
    pub(crate) fn unix_ms(&self) -> u64 {
        match self {
            Clock::Real(_) => {
                let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since_1970.map_or(0, |since| since.as_millis() as u64)
            }
            Clock::Virtual(_) => SIMULATED_START_MS + self.now_ns() / 1_000_000,
        }
    }
}

/// When simulated engines start: in the year 2020.
pub(crate) const SIMULATED_START_MS: u64 = 1_577_836_800_000;

/// A connection that the host has decided on.
#[derive(Default)]
pub(crate) struct Accepted {
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) subprotocol: Option<String>,
    /// Rooms to join at once, for sockets whose id is not known before.
    pub(crate) rooms: Vec<(String, Option<Join>)>,
    /// What was agreed on of permessage-deflate.
    pub(crate) deflate: Option<Deflate>,
    /// The peer's, of a socket whose request the host has read itself.
    pub(crate) address: Option<IpAddr>,
}

/// A connection that is turned away.
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) text: Box<str>,
    /// By the queue of events, which is full, instead of by the host.
    pub(crate) is_crowded: bool,
}

/// How far an adopted socket is.
pub(crate) enum Stage {
    /// Its HTTP head is still to be read, beginning with these bytes.
    Head(Vec<u8>),
    /// The same, of one that came through this listener, with nothing read yet. One that is over
    /// `connections_max` is answered with 503.
    Accepted { listener: usize, over: bool },
    /// It is a WebSocket already; these bytes came after the head.
    Open(Accepted, Vec<u8>),
}

/// Answer to a question that each shard that is asked answers for its own connections: how many
/// have, and what they said.
pub(crate) struct Reply<T> {
    pub(crate) state: PlainMutex<(usize, Vec<T>)>,
    pub(crate) answered: Condvar,
}

impl<T> Default for Reply<T> {
    fn default() -> Self {
        Reply {
            state: PlainMutex::new((0, Vec::new())),
            answered: Condvar::new(),
        }
    }
}

impl<T> Reply<T> {
    pub(crate) fn answer(&self, items: impl IntoIterator<Item = T>) {
        let mut state = self.state.lock();
        state.1.extend(items);
        state.0 += 1;
        self.answered.notify_all();
    }
}

/// What a handle asks of a shard.
pub(crate) enum Ask {
    Route(Command),
    Adopt(Box<(Incoming, Stage)>),
    Accept(ConnectionId, Box<Accepted>),
    Refuse(ConnectionId, Box<Refusal>),
    Close(ConnectionId, u16, Box<str>),
    /// A peer wants something that its grants or the host must allow.
    Want(ConnectionId, Box<Wanted>),
    /// The host has decided on such a thing; it is counted.
    Decided(bool),
    /// The connection has a new token, which was checked.
    Renew(ConnectionId, Arc<Claims>),
    Revoke(Arc<Revocation>),
    /// The peer closed, broke the protocol or (None) just ended its stream; pushed by the shard
    /// itself, behind what the host asked for in answer to the messages before.
    End(ConnectionId, Option<Box<(CloseReason, Frame)>>),
    /// The host has taken events of this connection: it may be read from again.
    Resume(ConnectionId),
    /// All open connections, or the members of a room.
    List(Option<Arc<RoomState>>, Arc<Reply<ConnectionId>>),
    /// Names of the rooms that a connection is in.
    Rooms(ConnectionId, Arc<Reply<String>>),
    /// The host is to be told what became of this publication.
    Report(SharedTracker),
    Stop,
}

impl Ask {
    /// Bytes that it counts for in the inbox.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Ask::Route(command) => command.bytes(),
            Ask::Want(_, wanted) => wanted.bytes(),
            _ => 0,
        }
    }

    /// When it was published, where it is a publication.
    pub(crate) fn since_ns(&self) -> Option<u64> {
        match self {
            Ask::Route(Command::Publish(publication) | Command::Union { publication, .. }) => {
                Some(publication.since_ns)
            }
            _ => None,
        }
    }
}

/// How stopping went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Connections that were open when the stop began.
    pub connections: usize,
    /// Of these, how many were still there when `stop_timeout_ms` was over and were cut.
    pub cut: usize,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// Who waits for the end of the engine, and what the shards report.
#[derive(Default)]
pub(crate) struct Ending {
    pub(crate) report: StopReport,
    pub(crate) shards_left: usize,
}

/// For so long after a cork shards sleep shortly, in case of another.
const CORKED_NS: u64 = 50_000_000;

thread_local! {
    /// The engine in one of whose turns this thread is. Compared, never followed.
    static TURNING: Cell<*const Shared> = const { Cell::new(std::ptr::null()) };
    /// The engine whose dozing shards this thread does not wake for now. Compared, never followed.
    static CORKED: Cell<*const Shared> = const { Cell::new(std::ptr::null()) };
}

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    /// Of each listener.
    pub(crate) listeners: Box<[ListenOptions]>,
    pub(crate) proxies: Proxies,
    /// What TLS listeners offer; None where the engine was started without.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<Offer>>,
    /// The engine has threads of its own; else the host turns it.
    pub(crate) own_threads: bool,
    /// What may wait in one inbox.
    pub(crate) inbox_bytes_max: usize,
    pub(crate) message_rate_policy: MessageRatePolicy,
    pub(crate) origins: Origins,
    pub(crate) health_path: Option<String>,
    pub(crate) metrics_path: Option<String>,
    pub(crate) websocket_metrics: bool,
    pub(crate) pages: Option<PageFn>,
    pub(crate) clock: Clock,
    pub(crate) directory: Arc<Directory>,
    /// Of each shard.
    pub(crate) alive: Box<[Arc<Alive>]>,
    pub(crate) inboxes: Box<[Inbox<Ask>]>,
    pub(crate) spare: Spare,
    pub(crate) counters: Box<[Counters]>,
    /// Connections of each shard, for placing new ones; and of all.
    pub(crate) loads: Box<[AtomicUsize]>,
    pub(crate) total: AtomicUsize,
    pub(crate) refused: AtomicU64,
    /// Reports of tracked publications that found no place in the queue of events.
    pub(crate) reports_dropped: AtomicU64,
    /// The last token of a tracked publication.
    pub(crate) tokens: AtomicU64,
    /// Bytes that each shard holds of what the memory budget is for, and those of untaken events.
    pub(crate) memory: Box<[AtomicUsize]>,
    pub(crate) event_bytes: Arc<AtomicUsize>,
    /// When a cork was made last; 0 for never. And how many are held.
    pub(crate) corked_ns: AtomicU64,
    pub(crate) corks: AtomicUsize,
    pub(crate) admission: Admission,
    /// Where tokens are asked for.
    pub(crate) trust: Option<Trust>,
    /// 0 while running; nanoseconds of the clock when the stop began.
    pub(crate) stop_ns: AtomicU64,
    /// A shard panicked; the engine stops by itself.
    pub(crate) broken: AtomicBool,
    /// `stop_timeout_ms`, or what the host said when it stopped.
    pub(crate) stop_timeout_ms: AtomicU64,
    pub(crate) ending: PlainMutex<Ending>,
    pub(crate) ended: Condvar,
    /// The engine's own threads, where it has any; else the thread of the host that turned it last.
    pub(crate) threads: OnceLock<Vec<ThreadId>>,
    pub(crate) turner: PlainMutex<Option<ThreadId>>,
    /// Where this engine's log lines go, if not to whatever subscriber there is.
    pub(crate) log: OnceLock<tracing::Dispatch>,
}

impl Shared {
    /// Has log lines told; the first who asks is told.
    pub(crate) fn log_to(&self, tell: impl Fn(LogLevel, &str) + Send + Sync + 'static) {
        self.log.get_or_init(|| log::dispatch(tell));
    }

    /// Does something whose log lines are this engine's.
    pub(crate) fn logged<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.log.get() {
            Some(dispatch) if !log::is_telling() => {
                tracing::dispatcher::with_default(dispatch, work)
            }
            _ => work(),
        }
    }

    /// Does a turn on this thread of the host's.
    pub(crate) fn turned<T>(&self, turn: impl FnOnce() -> T) -> T {
        let before = TURNING.replace(self);
        let result = turn();
        TURNING.set(before);
        result
    }

    /// Whether this thread is in a turn of this engine, and so in a callback of it.
    pub(crate) fn is_in_turn(&self) -> bool {
        std::ptr::eq(TURNING.get(), self)
    }

    /// What is agreed on with a peer of permessage-deflate.
    pub(crate) fn agreed_deflate(&self, request: &Request) -> Option<Deflate> {
        match self.limits.deflate_level {
            0 => None,
            _ => http::offered_deflate(request),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop_ns.load(Ordering::Relaxed) != 0
    }

    /// Asks all shards to stop; the first call does.
    pub(crate) fn begin_stop(&self) {
        let now = self.clock.now_ns().max(1);
        let order = Ordering::Relaxed;
        if self.stop_ns.compare_exchange(0, now, order, order).is_ok() {
            for inbox in &self.inboxes {
                inbox.push(Ask::Stop, 0);
                // Its end is waited for, so no cork may hold it back.
                inbox.rouse();
            }
        }
    }

    /// Gives a shard something to do and wakes it.
    pub(crate) fn ask(&self, shard: usize, ask: Ask) {
        let bytes = ask.bytes();
        self.inboxes[shard].push(ask, bytes);
        self.rouse(shard);
    }

    /// Wakes a shard that sleeps; where this thread holds a cork, not from a short sleep.
    pub(crate) fn rouse(&self, shard: usize) {
        match std::ptr::eq(CORKED.get(), self) {
            true => self.inboxes[shard].rouse_from_sleep(),
            false => self.inboxes[shard].rouse(),
        }
    }

    /// From now on this thread lets dozing shards of this engine doze; gives what was so before.
    pub(crate) fn cork(&self) -> *const Shared {
        self.corked_ns.store(self.clock.now_ns(), Ordering::Relaxed);
        self.corks.fetch_add(1, Ordering::SeqCst);
        CORKED.replace(self)
    }

    /// Whether a thread holds a cork, so that more will come in a moment.
    pub(crate) fn is_held(&self) -> bool {
        self.corks.load(Ordering::SeqCst) > 0
    }

    /// Whether a cork was held lately, so that shards only doze.
    pub(crate) fn is_corked(&self, now_ns: u64) -> bool {
        let corked_ns = self.corked_ns.load(Ordering::Relaxed);
        corked_ns != 0 && now_ns.saturating_sub(corked_ns) < CORKED_NS
    }

    /// The end of that.
    pub(crate) fn uncork(&self, before: *const Shared) {
        CORKED.set(before);
        self.corks.fetch_sub(1, Ordering::SeqCst);
        if !std::ptr::eq(before, self) {
            self.inboxes.iter().for_each(Inbox::rouse);
        }
    }

    /// This shard holds so many bytes: what the whole engine does.
    pub(crate) fn weigh(&self, shard: usize, bytes: usize) -> usize {
        if self.memory[shard].load(Ordering::Relaxed) != bytes {
            self.memory[shard].store(bytes, Ordering::Relaxed);
        }
        let shards = self.memory.iter().map(|m| m.load(Ordering::Relaxed));
        let events = self.event_bytes.load(Ordering::Relaxed);
        shards.sum::<usize>() + events + self.history_bytes() + self.directory.rosters.bytes()
    }

    fn history_bytes(&self) -> usize {
        self.directory.history_bytes.load(Ordering::Relaxed)
    }

    /// The engine's figures now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot::of(self.counters.iter());
        all.rooms = self.directory.len() as u64;
        all.refused = self.refused.load(Ordering::Relaxed);
        all.reports_dropped = self.reports_dropped.load(Ordering::Relaxed);
        all.event_bytes = self.event_bytes.load(Ordering::Relaxed) as u64;
        all.history_bytes = self.history_bytes() as u64;
        let rosters = self.directory.rosters.bytes() as u64;
        all.memory_bytes += all.event_bytes + all.history_bytes + rosters;
        all.websocket_names = self.websocket_metrics;
        all
    }

    /// The shard with the fewest connections.
    pub(crate) fn least_loaded(&self) -> usize {
        let loads = self
            .loads
            .iter()
            .map(|l| l.load(Ordering::Relaxed))
            .enumerate();
        loads
            .min_by_key(|(_, load)| *load)
            .map_or(0, |(shard, _)| shard)
    }

    /// Whether a shard can take a payload of so many bytes.
    pub(crate) fn has_place(&self, shard: usize, bytes: usize) -> bool {
        let inbox = &self.inboxes[shard];
        !inbox.is_full() && inbox.bytes() + bytes <= self.inbox_bytes_max
    }
}
