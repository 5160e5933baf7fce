//! The engine: started from a configuration, stopped, turned, let go of.

use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use roomcast::{Engine, Events, Handle, Room, Status, StopReport};

use crate::boundary::{Out, Why, caught, given, guard, place, put, roomcast_str};
use crate::callback::Callbacks;
use crate::config::roomcast_config;
use crate::limits::limit_value;
use crate::pull::Kinds;
use crate::slots::Slots;
use crate::status::roomcast_status;
use crate::verdict::Waiting;

/// A running engine. Its functions may be called from any thread at any time, callbacks included,
/// until `roomcast_engine_free`; hence all of them take it as const.
///
/// Made by `roomcast_engine_new`; ended by `roomcast_engine_stop`; let go of by
/// `roomcast_engine_free`.
pub struct roomcast_engine {
    /// Itself: C's pointer is one of its holders, callbacks are another.
    me: Weak<roomcast_engine>,
    /// Set before `roomcast_engine_new` returns; threads of the engine wait for that.
    running: OnceLock<Running>,
    pub(crate) rooms: Slots<Room>,
    pub(crate) waiting: Waiting,
    broken: AtomicBool,
    /// C has let go of it.
    let_go: AtomicBool,
}

pub(crate) struct Running {
    pub(crate) engine: Engine,
    /// The queue of events, where they are not told by a callback.
    pub(crate) events: Option<Arc<Events>>,
    addresses: Vec<String>,
}

impl roomcast_engine {
    /// Another holder; None in the finalizers that run when the last one has let go.
    pub(crate) fn hold(&self) -> Option<Arc<roomcast_engine>> {
        self.me.upgrade()
    }

    /// What runs. Only a thread of the engine can come before it is there, and waits shortly.
    pub(crate) fn running(&self) -> &Running {
        match self.running.get() {
            Some(running) => running,
            None => self.running.wait(),
        }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.running().engine
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.handle().is_broken()
    }
}

impl Drop for roomcast_engine {
    /// What was not taken from the queue goes while the engine is there for its finalizers.
    fn drop(&mut self) {
        let events = self
            .running
            .get()
            .and_then(|running| running.events.as_ref());
        if let Some(events) = events {
            events.drain(usize::MAX, &mut Vec::new());
        }
    }
}

/// A call about an engine: it must be there and not be broken, and is broken by a panic.
#[inline]
pub(crate) fn engine_guard<'a>(
    engine: Option<&'a roomcast_engine>,
    work: impl FnOnce(&'a roomcast_engine) -> Result<(), Status>,
) -> roomcast_status {
    let Some(engine) = engine else {
        return roomcast_status::InvalidArgument;
    };
    if engine.is_broken() {
        return roomcast_status::Broken;
    }
    match caught(|| work(engine)) {
        Some(Ok(())) => roomcast_status::Ok,
        // Stopping by itself, because a shard panicked.
        Some(Err(Status::Stopped)) if engine.is_broken() => roomcast_status::Broken,
        Some(Err(status)) => status.into(),
        None => broke(engine),
    }
}

/// The same of a call in which a function of the host's may let go of the engine.
pub(crate) fn holding_guard(
    engine: Option<&roomcast_engine>,
    work: impl FnOnce(&roomcast_engine) -> Result<(), Status>,
) -> roomcast_status {
    let held = engine.map(roomcast_engine::hold);
    let result = engine_guard(engine, work);
    drop(held);
    result
}

#[cold]
fn broke(engine: &roomcast_engine) -> roomcast_status {
    engine.broken.store(true, Ordering::Relaxed);
    let _ = caught(|| engine.running().engine.begin_stop());
    roomcast_status::Broken
}

/// Starts an engine: opens the listeners, starts the threads, and returns. Callbacks may come
/// before it has returned.
///
/// @param config what it runs on; copied
/// @param engine gets the engine
/// @param why if not NULL, gets a sentence that says what is wrong: which setting or address
/// @param why_size bytes that `why` has place for; 256 are enough
/// @return `ROOMCAST_STATUS_CONFIG` or `ROOMCAST_STATUS_IO`, and then nothing is left running
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_new(
    config: Option<&roomcast_config>,
    engine: Out<'_, *mut roomcast_engine>,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    guard(|| {
        let (config, place) = (given(config)?, place(engine)?);
        let started = start(config).map_err(|error| why.told(error.status(), &error))?;
        place.write(Arc::into_raw(started).cast_mut());
        Ok(())
    })
}

fn start(config: &roomcast_config) -> Result<Arc<roomcast_engine>, roomcast::StartError> {
    let engine = Arc::new_cyclic(|me| roomcast_engine {
        me: me.clone(),
        running: OnceLock::new(),
        rooms: Slots::default(),
        waiting: Waiting::new(config.config.limits().verdict_timeout_ms),
        broken: AtomicBool::new(false),
        let_go: AtomicBool::new(false),
    });
    let inner = config.config.clone();
    let (started, events) = match &config.callback {
        Some(callback) => {
            let callbacks = Callbacks::new(engine.clone(), callback.clone(), config.kinds);
            (Engine::start(inner, callbacks)?, None)
        }
        None => {
            let (started, events) = Engine::start_with_gate(inner, Kinds(config.kinds))?;
            (started, Some(Arc::new(events)))
        }
    };
    let addresses = started.addresses().iter().map(ToString::to_string);
    let addresses = addresses.collect();
    engine.running.get_or_init(|| Running {
        addresses,
        engine: started,
        events,
    });
    Ok(engine)
}

/// Stops an engine that has not been stopped (as `roomcast_engine_stop`) and lets go of it. NULL
/// does nothing.
///
/// When it returns, no callback runs any more (but one that the stop gave up on), and what was
/// given with finalizers has been let go of, but for what a configuration or an event that was
/// taken still holds. In a callback it returns at once instead: the engine stops in its own time
/// (without threads of its own, before the `roomcast_engine_turn` around it returns), callbacks may
/// come until then, and their finalizer tells that the last one has been.
///
/// # Safety
/// `engine` came from `roomcast_engine_new`, and after this call nobody uses it; in a callback the
/// argument `engine` of later callbacks stays usable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn roomcast_engine_free(engine: *mut roomcast_engine) {
    guard(|| {
        given((!engine.is_null()).then_some(()))?;
        // SAFETY: C's holder, as `roomcast_engine_new` gave it, and it gives it up with this call.
        let engine = unsafe { Arc::from_raw(engine.cast_const()) };
        engine.let_go.store(true, Ordering::Relaxed);
        engine.running().engine.stop();
        Ok(())
    });
}

/// How stopping went.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_stop_report {
    /// Connections that were open when the stop began.
    pub connections: usize,
    /// Of these, how many were still there when `stop_timeout_ms` was over and were cut.
    pub cut: usize,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

impl From<StopReport> for roomcast_stop_report {
    fn from(report: StopReport) -> Self {
        roomcast_stop_report {
            connections: report.connections,
            cut: report.cut,
            took_ms: report.took_ms,
        }
    }
}

/// Stops: no new connections, peers are told (1001, spread over `stop_spread_ms`), what they are
/// owed is sent, and after `stop_timeout_ms` whoever is left is cut. Returns when that is done and
/// the last callback has returned; calling it again returns the same report.
///
/// Waits, but not for ever: a callback that never returns is given up after five seconds more.
///
/// @param report gets how it went; may be NULL
/// @return `ROOMCAST_STATUS_ON_SHARD` in a callback: the stop has begun, and ends when the
///         callback has returned. `ROOMCAST_STATUS_TIMED_OUT` where a callback was given up. It
///         works on a broken engine too.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_stop(
    engine: Option<&roomcast_engine>,
    report: Out<'_, roomcast_stop_report>,
) -> roomcast_status {
    guard(|| stop(given(engine)?, None, report))
}

/// As `roomcast_engine_stop`, with another timeout than `stop_timeout_ms`.
///
/// @param timeout_ms milliseconds after which connections are cut
/// @param report gets how it went; may be NULL
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_stop_within(
    engine: Option<&roomcast_engine>,
    timeout_ms: u64,
    report: Out<'_, roomcast_stop_report>,
) -> roomcast_status {
    let timeout = Duration::from_millis(timeout_ms);
    guard(|| stop(given(engine)?, Some(timeout), report))
}

fn stop(
    engine: &roomcast_engine,
    timeout: Option<Duration>,
    report: Out<'_, roomcast_stop_report>,
) -> Result<(), Status> {
    // The log's function may let go of it.
    let _held = engine.hold();
    let inner = &engine.running().engine;
    if let Some(timeout) = timeout {
        inner.begin_stop_within(timeout);
    }
    let stopped = inner.stop();
    if inner.has_ended() {
        put(report, stopped.into());
        return Ok(());
    }
    match inner.is_in_callback() {
        true => Err(Status::OnShard),
        false => Err(Status::TimedOut),
    }
}

/// Begins to stop and returns at once, anywhere; `roomcast_engine_stop` waits for the end. Without
/// threads of its own the host goes on calling `roomcast_engine_turn`.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_begin_stop(engine: Option<&roomcast_engine>) -> roomcast_status {
    guard(|| {
        given(engine)?.running().engine.begin_stop();
        Ok(())
    })
}

/// Whether the engine is stopping or has stopped; true for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_is_stopping(engine: Option<&roomcast_engine>) -> bool {
    engine.is_none_or(|engine| engine.handle().is_stopping())
}

/// Whether an internal error has happened, in a call or on a thread of the engine. It stops by
/// itself then; calls answer `ROOMCAST_STATUS_BROKEN`, and stopping and letting go still work.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_is_broken(engine: Option<&roomcast_engine>) -> bool {
    engine.is_some_and(roomcast_engine::is_broken)
}

/// How many TCP listeners there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_address_count(engine: Option<&roomcast_engine>) -> usize {
    engine.map_or(0, |engine| engine.running().addresses.len())
}

/// Where a TCP listener listens.
///
/// @param index of the listener among the TCP listeners, in the order of the configuration
/// @param address gets text such as "127.0.0.1:8080" or "[::1]:8080", valid while the engine is;
///        may be NULL
/// @param port gets the port; may be NULL
/// @return `ROOMCAST_STATUS_INVALID_ARGUMENT` where there is no such listener
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_address(
    engine: Option<&roomcast_engine>,
    index: usize,
    address: Out<'_, roomcast_str>,
    port: Out<'_, u16>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let running = engine.running();
        let text = given(running.addresses.get(index))?;
        let socket = given(running.engine.addresses().get(index))?;
        put(address, roomcast_str::of(text));
        put(port, socket.port());
        Ok(())
    })
}

/// The value of a limit that the engine runs on.
///
/// @param limit one of `roomcast_limit`
/// @param value gets it
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_limit(
    engine: Option<&roomcast_engine>,
    limit: u32,
    value: Out<'_, u64>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(value)?;
        let value = given(limit_value(engine.handle().limits(), limit))?;
        put(Some(place), value);
        Ok(())
    })
}

/// The descriptor to watch for readability in the host's own loop; never read it, never close it.
/// It stays the same and open until `roomcast_engine_free`.
///
/// - Of an engine without threads of its own: when it is readable, or the time is over that
///   `roomcast_engine_next_turn_ms` gave, call `roomcast_engine_turn`.
/// - Of one with threads and no callback: while it is readable, `roomcast_engine_drain` has
///   something to give, or the end.
///
/// @param fd gets the descriptor
/// @return `ROOMCAST_STATUS_WRONG_MODE` for an engine with threads and a callback
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_fd(
    engine: Option<&roomcast_engine>,
    fd: Out<'_, i32>,
) -> roomcast_status {
    use std::os::fd::AsRawFd;
    engine_guard(engine, |engine| {
        let (place, running) = (place(fd)?, engine.running());
        let own = running.engine.fd();
        let queue = || running.events.as_ref().map(|events| events.as_raw_fd());
        let fd = own.or_else(queue).ok_or(Status::WrongMode)?;
        put(Some(place), fd);
        Ok(())
    })
}

/// One turn of an engine without threads of its own: waits, then does what there is to do, and
/// calls the callback from inside, on this thread.
///
/// @param timeout_ms milliseconds to wait at most, 0 for none; negative until there is something
/// @return `ROOMCAST_STATUS_STOPPED` once the engine has stopped, `ROOMCAST_STATUS_ON_SHARD` in a
///         callback or while another thread turns it, `ROOMCAST_STATUS_WRONG_MODE` for an engine
///         with threads of its own
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_turn(
    engine: Option<&roomcast_engine>,
    timeout_ms: i64,
) -> roomcast_status {
    holding_guard(engine, |engine| {
        let running = engine.running();
        check_turned(running)?;
        let wait = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        let went_on = running.engine.turn(wait);
        if engine.let_go.load(Ordering::Relaxed) {
            // In a callback of this turn: nobody else will turn it to its end.
            running.engine.stop();
        }
        match went_on && !running.engine.has_ended() {
            true => Ok(()),
            false if running.engine.has_ended() => Err(Status::Stopped),
            false => Err(Status::OnShard),
        }
    })
}

/// Only an engine without threads of its own is turned.
fn check_turned(running: &Running) -> Result<(), Status> {
    running.engine.fd().map(drop).ok_or(Status::WrongMode)
}

/// How long a host that turns the engine may sleep on its descriptor.
///
/// @param ms gets milliseconds until the next turn is due: 0 while work is left over, -1 for as
///        long as the descriptor is not readable, and in a callback
/// @return `ROOMCAST_STATUS_STOPPED` or `ROOMCAST_STATUS_WRONG_MODE`, as `roomcast_engine_turn`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_next_turn_ms(
    engine: Option<&roomcast_engine>,
    ms: Out<'_, i64>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (place, running) = (place(ms)?, engine.running());
        check_turned(running)?;
        if running.engine.has_ended() {
            return Err(Status::Stopped);
        }
        let next = running.engine.next_turn();
        // Rounded up, so that the host does not come a little too early again and again.
        let ms = next.map_or(-1, |next| {
            i64::try_from(next.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
        });
        put(Some(place), ms);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::mem::MaybeUninit;
    use std::net::TcpStream;
    use std::time::Instant;

    use roomcast::Config;

    use super::*;

    fn started(config: Config) -> *mut roomcast_engine {
        let config = roomcast_config::of(config);
        let mut engine = MaybeUninit::uninit();
        let no_text = std::ptr::null_mut();
        let status = roomcast_engine_new(Some(&config), Some(&mut engine), no_text, 0);
        assert_eq!(status, roomcast_status::Ok);
        // SAFETY: it was written, since the call has succeeded.
        unsafe { engine.assume_init() }
    }

    /// What a host can still do with an engine that is broken.
    fn assert_broken(engine: *mut roomcast_engine) {
        // SAFETY: it is let go of below.
        let held = unsafe { &*engine };
        assert!(roomcast_engine_is_broken(Some(held)));
        let mut port = MaybeUninit::uninit();
        let status = roomcast_engine_address(Some(held), 0, None, Some(&mut port));
        assert_eq!(status, roomcast_status::Broken);
        let mut report = MaybeUninit::uninit();
        let status = roomcast_engine_stop(Some(held), Some(&mut report));
        assert_eq!(status, roomcast_status::Ok);
        // SAFETY: as `started` made it; nobody uses it any more.
        unsafe { roomcast_engine_free(engine) };
    }

    #[test]
    fn a_panic_in_a_call_does_not_cross_and_breaks_the_engine() {
        let engine = started(Config::new().listen("127.0.0.1:0").shards(1));
        // SAFETY: it is let go of below.
        let status = engine_guard(Some(unsafe { &*engine }), |_| panic!("on purpose"));
        assert_eq!(status, roomcast_status::Broken);
        assert_broken(engine);
    }

    fn with_a_panicking_page() -> Config {
        Config::new()
            .listen("127.0.0.1:0")
            .shards(1)
            .pages(|_| panic!("on purpose"))
    }

    fn asked(engine: &roomcast_engine) -> TcpStream {
        let mut peer = TcpStream::connect(engine.running().engine.addresses()[0]).unwrap();
        peer.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
            .unwrap();
        peer
    }

    #[test]
    fn a_panic_on_a_shard_breaks_the_engine() {
        let engine = started(with_a_panicking_page());
        // SAFETY: it is let go of below.
        let mut peer = asked(unsafe { &*engine });
        assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
        // SAFETY: as above.
        let held = unsafe { &*engine };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !roomcast_engine_is_broken(Some(held)) {
            assert!(Instant::now() < deadline, "it is said to be broken");
            std::thread::yield_now();
        }
        assert_broken(engine);
    }

    #[test]
    fn a_panic_in_a_turn_does_not_cross_and_breaks_the_engine() {
        let engine = started(with_a_panicking_page().own_threads(false));
        // SAFETY: it is let go of below.
        let held = unsafe { &*engine };
        let _peer = asked(held);
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = loop {
            match roomcast_engine_turn(Some(held), 10) {
                roomcast_status::Ok => assert!(Instant::now() < deadline, "the page is asked for"),
                status => break status,
            }
        };
        assert_eq!(status, roomcast_status::Broken);
        assert_broken(engine);
    }
}
