//! The engine: start, adopt, turn, stop.
//!
//! In: a checked config and a host. Out: shards on threads of their own (or none), and a handle.
//! Opens listeners on the caller's thread, so that an address in use is an error of `start`.
//! Dropping it stops it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::address::Proxies;
use crate::config::{Config, Limits, Listen};
use crate::error::{AdoptError, StartError};
use crate::events::{self, Events, Gate};
use crate::handle::Handle;
use crate::host::{Accept, Callbacks, Handler};
use crate::identity::{Host, Identity};
use crate::inbox::Inbox;
use crate::log;
use crate::metrics::Counters;
use crate::request::Request;
use crate::rooms::Directory;
use crate::rooms::encoded::Spare;
use crate::rooms::options::Rules;
use crate::shard::admission::Admission;
#[cfg(target_os = "linux")]
use crate::shard::descriptors;
use crate::shard::kernel::Kernel;
use crate::shard::net::Incoming;
use crate::shard::shared::{Ask, Clock, Ending, Shared, Stage, StopReport};
#[cfg(feature = "tls")]
use crate::shard::tls::Offer;
use crate::shard::trust::{Denial, Proof, Trust};
use crate::shard::{Flow, Shard, listen};
use crate::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, OnceLock, Ordering, PlainMutex,
};
use crate::transport::http::{self as head, Deflate};

/// A running engine. It derefs to its [`Handle`]; dropping it stops it.
///
/// ```
/// use roomcast::{Accept, Config, Engine, Handler, Pending, Request};
///
/// struct Lobby;
///
/// impl Handler for Lobby {
///     fn connecting(&self, _: &Request, pending: Pending) {
///         pending.accept(Accept::new().room("lobby"));
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::start(Config::new().listen("127.0.0.1:0").shards(1), Lobby)?;
/// let published = engine.publish("lobby", "hello")?;
/// assert_eq!(published.members, 0);
/// let report = engine.stop();
/// assert_eq!(report.cut, 0);
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    handle: Handle,
    addresses: Vec<SocketAddr>,
    threads: PlainMutex<Vec<JoinHandle<()>>>,
    /// A stop has given up on a callback; the next one does not wait for it again.
    gave_up: AtomicBool,
    /// The one shard of an engine without threads; None once it has ended.
    own: Option<Mutex<Option<Shard<Kernel>>>>,
    /// The poller of the one shard that has ended. It stays readable, so that a host asleep on it
    /// wakes, and open, so that no other file gets its number while the host still polls it.
    spent: PlainMutex<Option<Kernel>>,
    #[cfg(unix)]
    fd: Option<std::os::fd::RawFd>,
}

impl Engine {
    /// Starts with callbacks.
    ///
    /// # Errors
    /// [`StartError`]: a setting, a listener, or the operating system. Nothing is left running.
    pub fn start(config: Config, handler: impl Handler) -> Result<Engine, StartError> {
        Self::start_with(config, |handle| {
            let host = Callbacks {
                handler,
                handle: handle.clone(),
            };
            Ok((Arc::new(host) as Arc<dyn Host>, ()))
        })
        .map(|(engine, ())| engine)
    }

    /// Starts with a queue of events instead of callbacks.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_with_events(config: Config) -> Result<(Engine, Events), StartError> {
        Self::start_with_gate(config, ())
    }

    /// As [`Engine::start_with_events`], with a say on the shards' threads in what is queued.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start_with_gate(
        config: Config,
        gate: impl Gate,
    ) -> Result<(Engine, Events), StartError> {
        Self::start_with(config, |handle| {
            let (queued, events) = events::queue(handle, gate)?;
            Ok((Arc::new(queued) as Arc<dyn Host>, events))
        })
    }

    fn start_with<E>(
        config: Config,
        host: impl FnOnce(&Handle) -> Result<(Arc<dyn Host>, E), StartError>,
    ) -> Result<(Engine, E), StartError> {
        config.check()?;
        let shards = match (config.own_threads, config.shards) {
            (false, _) => 1,
            (true, 0) => std::thread::available_parallelism()?.get().min(255),
            (true, n) => n,
        };
        let mut listeners = Some(listen::open_all(&config)?);
        let addresses = listeners
            .iter()
            .flatten()
            .filter_map(|l| l.address())
            .collect();
        let clock = Clock::Real(Instant::now());
        let mut kernels = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..shards {
            let own = listeners.take().unwrap_or_default();
            let (kernel, waker) = Kernel::new(own, clock.clone())?;
            kernels.push(kernel);
            inboxes.push(Inbox::new(waker));
        }
        #[cfg(target_os = "linux")]
        descriptors::make_place(kernels[0].fd(), config.limits.connections_max);
        #[cfg(unix)]
        let fd = (!config.own_threads).then(|| kernels[0].fd());
        let own_threads = config.own_threads;
        #[cfg(feature = "tls")]
        let tls = offer_tls(&config, &mut kernels)?;
        #[cfg_attr(
            not(feature = "tls"),
            expect(unused_mut, reason = "TLS is what is set")
        )]
        let mut shared = shared(config, clock, inboxes);
        #[cfg(feature = "tls")]
        {
            shared.tls = tls;
        }
        let handle = Handle {
            shared: Arc::new(shared),
        };
        let (host, end) = host(&handle)?;
        let mut made = kernels
            .into_iter()
            .enumerate()
            .map(|(i, kernel)| Shard::new(i, kernel, handle.shared.clone(), host.clone()));
        let mut engine = Engine {
            handle: handle.clone(),
            addresses,
            threads: PlainMutex::new(Vec::new()),
            gave_up: AtomicBool::new(false),
            own: None,
            spent: PlainMutex::new(None),
            #[cfg(unix)]
            fd,
        };
        match own_threads {
            true => engine.spawn(made)?,
            false => engine.own = made.next().map(|shard| Mutex::new(Some(shard))),
        }
        Ok((engine, end))
    }

    fn spawn(&mut self, shards: impl Iterator<Item = Shard<Kernel>>) -> Result<(), StartError> {
        let mut threads = Vec::new();
        let mut failed = None;
        for (i, mut shard) in shards.enumerate() {
            let builder = std::thread::Builder::new().name(format!("roomcast-{i}"));
            let shared = self.handle.shared.clone();
            let run = move || {
                // Callbacks ask whether they are on a shard, the first one too.
                shared.threads.wait();
                shared.logged(|| shard.run());
            };
            match builder.spawn(run) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    self.handle.shared.ending.lock().shards_left = threads.len();
                    self.handle.shared.begin_stop();
                    failed = Some(error);
                    break;
                }
            }
        }
        let ids = threads.iter().map(|t| t.thread().id()).collect();
        self.handle.shared.threads.get_or_init(|| ids);
        *self.threads.lock() = threads;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A handle, to be kept anywhere.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Where the TCP listeners listen, in the order of the config.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes over a connected socket of the host's, of which these bytes were read already; the
    /// HTTP head is read, checked and answered here.
    ///
    /// # Errors
    /// [`AdoptError`]; the socket is closed then.
    pub fn adopt(&self, stream: impl Into<Stream>, bytes: &[u8]) -> Result<(), AdoptError> {
        self.adopt_at(stream.into().0, Stage::Head(bytes.to_vec()))
    }

    /// Checks a request that came to the host's own HTTP server, and makes the 101 for it. Once
    /// the host has sent that, [`Upgrade::adopt`] takes the socket over.
    ///
    /// # Errors
    /// [`AdoptError::NotUpgrade`] holds status and text to answer with; 401 where [`Config::auth`]
    /// asks for a token and the request has none that is valid.
    pub fn upgrade(&self, parts: &http::request::Parts) -> Result<Upgrade<'_>, AdoptError> {
        let mut request = Request::from_parts(parts, None);
        let refuse = |reject: head::Reject| AdoptError::NotUpgrade {
            status: reject.status,
            text: reject.text,
        };
        match head::route(&request) {
            head::Route::WebSocket => {}
            head::Route::Reject(reject) => return Err(refuse(reject)),
            head::Route::Plain => {
                let text = "this path takes WebSocket upgrades";
                return Err(refuse(head::Reject { status: 426, text }));
            }
        }
        if !head::origin_allowed(&request, &self.handle.shared.origins) {
            return Err(refuse(head::Reject::origin()));
        }
        if let Some(trust) = &self.handle.shared.trust {
            let now_s = self.handle.shared.clock.unix_ms() / 1_000;
            match trust.prove(&request, now_s) {
                Proof::Given(claims) => request.set_claims(claims),
                // There is no first message before the host has decided.
                Proof::Later => return Err(refuse(Denial::Missing.reject())),
                Proof::Refused(denial) => return Err(refuse(denial.reject())),
            }
        }
        let deflate = self.handle.shared.agreed_deflate(&request);
        let response = head::switching_response(&request, None, deflate);
        Ok(Upgrade {
            response,
            request,
            deflate,
            accept: Accept::new(),
            engine: &self.handle,
        })
    }

    fn adopt_at(&self, incoming: Incoming, stage: Stage) -> Result<(), AdoptError> {
        adopt(&self.handle, incoming, stage)
    }

    /// One turn of an engine without threads (`own_threads(false)`): waits for at most `wait`,
    /// then does what there is to do. False once the engine has stopped, when called inside a
    /// callback or on another thread at the same time, and for an engine with threads.
    ///
    /// # Panics
    /// Where a callback does. The engine has ended then, as on threads of its own.
    pub fn turn(&self, wait: Duration) -> bool {
        match self.handle.shared.turned(|| self.turn_here(wait)) {
            Ok(flow) => flow == Flow::Running,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// A turn, or the panic in it, behind which the engine has ended.
    fn turn_here(&self, wait: Duration) -> std::thread::Result<Flow> {
        let own = self.own.as_ref().and_then(|own| own.try_lock());
        let Some(mut own) = own else {
            return Ok(Flow::Ended);
        };
        let Some(shard) = own.as_mut() else {
            return Ok(Flow::Ended);
        };
        // While this thread waits for an answer of the shard, nobody would turn it.
        *self.handle.shared.turner.lock() = Some(std::thread::current().id());
        let shared = &self.handle.shared;
        let turn = AssertUnwindSafe(|| shared.logged(|| shard.turn(Some(wait))));
        let result = match std::panic::catch_unwind(turn) {
            Ok(Ok(Flow::Running)) => return Ok(Flow::Running),
            Ok(Ok(Flow::Ended)) => Ok(Flow::Ended),
            Ok(Err(error)) => {
                shared.logged(|| {
                    tracing::error!(target: "roomcast", %error, "the sockets cannot be polled");
                    shard.cut_all();
                });
                Ok(Flow::Ended)
            }
            Err(panic) => {
                shared.logged(|| shard.give_up());
                Err(panic)
            }
        };
        self.spend(own.take());
        result
    }

    fn spend(&self, ended: Option<Shard<Kernel>>) {
        *self.spent.lock() = ended.map(|shard| shard.net);
        self.handle.shared.inboxes[0].wake();
    }

    /// How long a host without our threads may sleep on the descriptor before it must call
    /// [`Engine::turn`]: zero while work is left over, else until the nearest timer; None for as
    /// long as the descriptor is not readable.
    #[must_use]
    pub fn next_turn(&self) -> Option<Duration> {
        let mut own = self.own.as_ref()?.try_lock()?;
        own.as_mut()?.next_turn()
    }

    /// The descriptor that becomes readable when an engine without threads has something to do.
    #[cfg(unix)]
    #[must_use]
    pub fn fd(&self) -> Option<std::os::fd::RawFd> {
        self.fd
    }

    /// Stops: no new connections, peers are told (1001, spread over `stop_spread_ms`), what they
    /// are owed is sent, and after `stop_timeout_ms` whoever is left is cut. Returns when that is
    /// done; in a callback it returns at once and the engine ends when the callback has.
    pub fn stop(&self) -> StopReport {
        self.begin_stop();
        self.handle.shared.logged(|| self.wait_for_end())
    }

    /// As [`Engine::stop`], with another timeout than `stop_timeout_ms`.
    pub fn stop_within(&self, timeout: Duration) -> StopReport {
        self.begin_stop_within(timeout);
        self.stop()
    }

    /// As [`Engine::begin_stop`], with another timeout than `stop_timeout_ms`.
    pub fn begin_stop_within(&self, timeout: Duration) {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let order = Ordering::Relaxed;
        // Bounded, so that it can be added to.
        let shared = &self.handle.shared;
        shared.stop_timeout_ms.store(ms.min(1 << 40), order);
        shared.begin_stop();
    }

    /// Begins to stop and returns at once; [`Engine::stop`] waits. Without threads of our own the
    /// host goes on calling [`Engine::turn`].
    pub fn begin_stop(&self) {
        self.handle.shared.begin_stop();
    }

    fn wait_for_end(&self) -> StopReport {
        let shared = &self.handle.shared;
        let timeout_ms = shared.stop_timeout_ms.load(Ordering::Relaxed);
        let until = Instant::now() + Duration::from_millis(timeout_ms.saturating_add(5_000));
        let ending = loop {
            while self.turn(Duration::from_millis(10)) {}
            let mut ending = shared.ending.lock();
            if self.handle.is_in_callback() {
                return ending.report;
            }
            if ending.shards_left == 0 {
                break ending;
            }
            let now = Instant::now();
            if self.gave_up.load(Ordering::Relaxed) {
                return ending.report;
            }
            if now >= until {
                // A callback that never returns holds its shard; we do not wait for it for ever.
                let report = ending.report;
                drop(ending);
                self.gave_up.store(true, Ordering::Relaxed);
                tracing::error!(target: "roomcast", "a callback holds a shard; stop gave up on it");
                return report;
            }
            // Another thread may be in a turn; if it does not turn on after that, this one does.
            let wait = match self.own.is_some() {
                true => until.min(now + Duration::from_millis(10)),
                false => until,
            };
            shared.ended.wait_until(&mut ending, wait);
        };
        let report = ending.report;
        drop(ending);
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!(target: "roomcast", "a shard panicked");
            }
        }
        report
    }
}

impl Deref for Engine {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

pub(crate) fn shared(config: Config, clock: Clock, inboxes: Vec<Inbox<Ask>>) -> Shared {
    let shards = inboxes.len();
    let stop_timeout_ms = AtomicU64::new(config.limits.stop_timeout_ms);
    let log = OnceLock::new();
    if let Some(tell) = config.log {
        log.get_or_init(|| log::dispatch(move |level, text| tell(level, text)));
    }
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let epoch = since_1970.map_or(1, |d| d.as_micros() as u64);
    let rules = Rules::new(&config.limits, config.slow_policy, config.room_options);
    Shared {
        listeners: config.listen.iter().map(Listen::options).collect(),
        proxies: Proxies {
            trusted: config.trusted_proxies.unwrap_or_default(),
            header: config.forwarded_header,
        },
        #[cfg(feature = "tls")]
        tls: None,
        own_threads: config.own_threads,
        inbox_bytes_max: inbox_bytes_max(&config.limits, shards),
        message_rate_policy: config.message_rate_policy,
        trust: config.auth.map(|auth| Trust::new(auth, &config.limits)),
        limits: config.limits,
        origins: config.origins,
        health_path: config.health_path,
        metrics_path: config.metrics_path,
        websocket_metrics: config.websocket_metrics,
        pages: config.pages,
        clock,
        directory: Arc::new(Directory::new(shards, epoch, rules)),
        alive: (0..shards).map(|_| Arc::default()).collect(),
        inboxes: inboxes.into(),
        spare: Spare::default(),
        counters: (0..shards).map(|_| Counters::default()).collect(),
        loads: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
        total: AtomicUsize::new(0),
        refused: AtomicU64::new(0),
        reports_dropped: AtomicU64::new(0),
        tokens: AtomicU64::new(0),
        memory: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
        event_bytes: Arc::default(),
        corked_ns: AtomicU64::new(0),
        corks: AtomicUsize::new(0),
        admission: Admission::default(),
        stop_ns: AtomicU64::new(0),
        broken: AtomicBool::new(false),
        stop_timeout_ms,
        ending: PlainMutex::new(Ending {
            shards_left: shards,
            ..Ending::default()
        }),
        ended: Condvar::new(),
        threads: OnceLock::new(),
        turner: PlainMutex::new(None),
        log,
    }
}

/// Has the shards offer TLS, where the host gave certificates.
#[cfg(feature = "tls")]
fn offer_tls(config: &Config, kernels: &mut [Kernel]) -> Result<Option<Arc<Offer>>, StartError> {
    let Some(tls) = &config.tls else {
        return Ok(None);
    };
    let offer = Offer::new(tls).map_err(std::io::Error::other)?;
    let offer = Arc::new(offer);
    for kernel in kernels {
        kernel.offer_tls(offer.clone());
    }
    Ok(Some(offer))
}

/// What may wait in one inbox: between two turns inboxes alone must not use the memory budget up.
fn inbox_bytes_max(limits: &Limits, shards: usize) -> usize {
    match limits.memory_bytes_max {
        0 => limits.inbox_bytes_max,
        budget => limits.inbox_bytes_max.min(budget / 4 / shards.max(1)),
    }
}

fn adopt(handle: &Handle, incoming: Incoming, stage: Stage) -> Result<(), AdoptError> {
    let shared = &handle.shared;
    if shared.is_stopping() {
        return Err(AdoptError::Stopped);
    }
    Kernel::prepare(&incoming, &shared.limits).map_err(AdoptError::Io)?;
    if shared.total.fetch_add(1, Ordering::Relaxed) >= shared.limits.connections_max {
        shared.total.fetch_sub(1, Ordering::Relaxed);
        return Err(AdoptError::Full);
    }
    let shard = shared.least_loaded();
    shared.loads[shard].fetch_add(1, Ordering::Relaxed);
    shared.ask(shard, Ask::Adopt(Box::new((incoming, stage))));
    Ok(())
}

/// A connected socket to be adopted: a TCP or unix stream of the standard library.
#[derive(Debug)]
pub struct Stream(Incoming);

impl From<std::net::TcpStream> for Stream {
    fn from(stream: std::net::TcpStream) -> Self {
        let peer = stream.peer_addr().ok();
        Stream(Incoming::Tcp(stream, peer))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixStream> for Stream {
    fn from(stream: std::os::unix::net::UnixStream) -> Self {
        Stream(Incoming::Unix(stream))
    }
}

/// A checked upgrade: send `response`, then adopt the socket.
pub struct Upgrade<'a> {
    response: http::Response<()>,
    request: Request,
    deflate: Option<Deflate>,
    accept: Accept,
    engine: &'a Handle,
}

impl Upgrade<'_> {
    /// The 101 to send.
    #[must_use]
    pub fn response(&self) -> &http::Response<()> {
        &self.response
    }

    /// The request, as events show it.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// How it will be accepted: user, rooms, data. The host has decided already, so there is no
    /// connecting event. Call it before sending the response, which names the subprotocol.
    #[must_use]
    pub fn accept(mut self, accept: Accept) -> Self {
        let protocol = accept.protocol();
        self.response = head::switching_response(&self.request, protocol, self.deflate);
        self.accept = accept;
        self
    }

    /// Lets go of the engine's borrow, for a task that adopts when the response is out.
    #[must_use]
    pub fn detach(self) -> Upgraded {
        Upgraded {
            request: self.request,
            accept: self.accept,
            deflate: self.deflate,
            handle: self.engine.clone(),
        }
    }

    /// Takes the socket over once the response was sent; `leftover` is what the host has read
    /// behind the request's head. It is sent what is published to its rooms from when its shard
    /// has it, about a turn later; its opened event says so. Rooms with unusable names are left
    /// out and logged.
    ///
    /// # Errors
    /// [`AdoptError`]; the socket is closed then.
    pub fn adopt(self, stream: impl Into<Stream>, leftover: &[u8]) -> Result<(), AdoptError> {
        self.detach().adopt(stream, leftover)
    }
}

/// An upgrade whose response is on its way.
pub struct Upgraded {
    request: Request,
    accept: Accept,
    deflate: Option<Deflate>,
    handle: Handle,
}

impl Upgraded {
    /// As [`Upgrade::adopt`].
    ///
    /// # Errors
    /// [`AdoptError`]; the socket is closed then.
    pub fn adopt(self, stream: impl Into<Stream>, leftover: &[u8]) -> Result<(), AdoptError> {
        let (mut accepted, mut rooms) = self.accept.into_parts(&self.handle);
        rooms.retain(|(room, how)| self.handle.admits(room, how.as_ref()));
        if let Some(claims) = self.request.shared_claims() {
            accepted.identity = Some(Identity::with_claims(accepted.identity, claims));
        }
        accepted.rooms = rooms;
        accepted.deflate = self.deflate;
        let incoming = stream.into().0;
        let proxies = &self.handle.shared.proxies;
        accepted.address = proxies.peer_ip(incoming.sender(), self.request.headers());
        let stage = Stage::Open(accepted, leftover.to_vec());
        adopt(&self.handle, incoming, stage)
    }
}
