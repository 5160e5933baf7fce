//! The configuration: a builder that C fills by setters and engines are started from.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use roomcast::{Config, ForwardedHeader, LogLevel, MessageRatePolicy, Origins, Status};

use crate::boundary::{
    Foreign, In, Out, Why, give, given, guard, place, put, roomcast_free_fn, roomcast_str,
};
use crate::engine::roomcast_engine;
use crate::events::roomcast_event;
use crate::limits::limit_name;
use crate::pages::{Pages, roomcast_page_fn};
use crate::publish::texts;
use crate::status::roomcast_status;
use crate::version::is_served;

/// Everything that a host may choose before an engine starts. One thread at a time.
///
/// Made by `roomcast_config_new`, filled by `roomcast_config_set_...` and `_add_...`, read by
/// `roomcast_engine_new` (which copies it, so it may start several engines), let go of by
/// `roomcast_config_free`. Without a listener an engine only takes adopted sockets.
pub struct roomcast_config {
    pub(crate) config: Config,
    pub(crate) callback: Option<Callback>,
    pub(crate) kinds: u32,
}

impl roomcast_config {
    pub(crate) fn of(config: Config) -> Self {
        roomcast_config {
            config,
            callback: None,
            kinds: u32::MAX,
        }
    }
}

/// Where events go, if not into a queue.
#[derive(Clone)]
pub(crate) struct Callback {
    pub(crate) user: Arc<Foreign>,
    pub(crate) call: EventFn,
}

type EventFn = extern "C" fn(*mut c_void, *const roomcast_engine, *const roomcast_event);

/// Tells of one event: the first way of being told (`roomcast_config_set_callback`).
///
/// - Thread: one of the engine's own, where `roomcast_config_set_own_threads` was not turned off;
///   else the one that is in `roomcast_engine_turn`. Events of one connection come one after the
///   other; those of different connections at the same time, where there are several shards.
/// - Pointers: `event` and all that it points to are valid until this function returns.
/// - Blocking: no. While it runs, the connections of its shard wait.
/// - Calls: every function of this header is allowed. Those that would wait for a shard answer
///   `ROOMCAST_STATUS_ON_SHARD`; `roomcast_engine_stop` then has begun to stop. What is published
///   or sent here leaves when the shard's turn goes on.
/// - After the stop: none. `roomcast_engine_stop` and `_free` return when the last one has.
/// - It must return: no C++ exception and no longjmp may leave it.
///
/// @param user_data what `roomcast_config_set_callback` was given
/// @param engine the engine, also before `roomcast_engine_new` has returned it
/// @param event what happened
pub type roomcast_event_fn = Option<
    extern "C" fn(
        user_data: *mut c_void,
        engine: *const roomcast_engine,
        event: *const roomcast_event,
    ),
>;

/// Tells one line of the engine's log, without a line feed.
///
/// - Thread: the one that wrote the line, often one of the engine's own; several at a time.
/// - Pointers: `line` is valid until this function returns.
/// - Blocking: no.
/// - Calls: as in `roomcast_event_fn`; what these log is not told.
/// - After the stop: none, but for calls that are made after it.
///
/// @param user_data what `roomcast_config_set_log` was given
/// @param level one of `roomcast_log_level`
/// @param line what the engine says
pub type roomcast_log_fn =
    Option<extern "C" fn(user_data: *mut c_void, level: u32, line: roomcast_str)>;

/// How much a line of the log matters.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_log_level {
    /// Of use to whoever develops the host.
    Debug = 0,
    /// The ordinary course.
    Info = 1,
    /// Something was left out or put off.
    Warn = 2,
    /// Something has ended that should not have.
    Error = 3,
}

/// What happens to what a peer says beyond `message_rate_max`.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_message_rate_policy {
    /// It is dropped before the host is told, and counted. A ping gets no pong. The default.
    Refuse = 0,
    /// Its connection is closed with 1008 and the limit's name.
    Close = 1,
}

/// Makes a configuration with all defaults.
///
/// @param header_version always `ROOMCAST_VERSION`: what the program was compiled with
/// @param config gets the new configuration
/// @return `ROOMCAST_STATUS_VERSION_MISMATCH` where the library does not serve that header
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_new(
    header_version: u32,
    config: Out<'_, Box<roomcast_config>>,
) -> roomcast_status {
    guard(|| {
        let place = place(config)?;
        if !is_served(header_version) {
            return Err(Status::VersionMismatch);
        }
        // A log that says nothing, so that no other engine's log gets this one's lines.
        give(place, roomcast_config::of(Config::new().log(|_, _| {})));
        Ok(())
    })
}

/// Lets go of a configuration; engines that were started from it go on. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_free(config: Option<Box<roomcast_config>>) {
    guard(|| {
        drop(config);
        Ok(())
    });
}

pub(crate) fn change(
    config: Option<&mut roomcast_config>,
    change: impl FnOnce(&mut roomcast_config) -> Result<(), Status>,
) -> roomcast_status {
    guard(|| change(given(config)?))
}

/// Replaces the inner value by what a method of the builder makes of it.
pub(crate) fn build(config: &mut roomcast_config, build: impl FnOnce(Config) -> Config) {
    let inner = std::mem::replace(&mut config.config, Config::new());
    config.config = build(inner);
}

/// Adds a TCP listener.
///
/// @param address `host:port`; port 0 for a free one, which `roomcast_engine_address` tells
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_add_listener(
    config: Option<&mut roomcast_config>,
    address: roomcast_str,
) -> roomcast_status {
    change(config, |config| {
        let address = address.text()?;
        build(config, |c| c.listen(address));
        Ok(())
    })
}

/// Adds a unix socket. A stale socket file (nobody accepts on it) is replaced; the file is removed
/// when the engine stops.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_add_unix_listener(
    config: Option<&mut roomcast_config>,
    path: roomcast_str,
) -> roomcast_status {
    change(config, |config| {
        let path = path.text()?;
        build(config, |c| c.listen_unix(path));
        Ok(())
    })
}

/// How many threads serve connections; 0 (the default) is one per core, at most 255.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_shards(
    config: Option<&mut roomcast_config>,
    shards: usize,
) -> roomcast_status {
    change(config, |config| {
        build(config, |c| c.shards(shards));
        Ok(())
    })
}

/// With false the engine starts no thread: it has one shard, and the host calls
/// `roomcast_engine_turn` on a thread of its own. Default true.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_own_threads(
    config: Option<&mut roomcast_config>,
    own_threads: bool,
) -> roomcast_status {
    change(config, |config| {
        build(config, |c| c.own_threads(own_threads));
        Ok(())
    })
}

/// Lets several processes share a port (SO_REUSEPORT). Default false, so that a second start of
/// the same program fails instead of silently taking half of the connections.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_reuse_port(
    config: Option<&mut roomcast_config>,
    reuse_port: bool,
) -> roomcast_status {
    change(config, |config| {
        build(config, |c| c.reuse_port(reuse_port));
        Ok(())
    })
}

/// What happens to what a peer says beyond `message_rate_max`. Default
/// `ROOMCAST_MESSAGE_RATE_POLICY_REFUSE`.
///
/// @param policy one of `roomcast_message_rate_policy`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_message_rate_policy(
    config: Option<&mut roomcast_config>,
    policy: u32,
) -> roomcast_status {
    use roomcast_message_rate_policy as number;
    change(config, |config| {
        let policy = match policy {
            p if p == number::Refuse as u32 => MessageRatePolicy::Refuse,
            p if p == number::Close as u32 => MessageRatePolicy::Close,
            _ => return Err(Status::InvalidArgument),
        };
        build(config, |c| c.message_rate_policy(policy));
        Ok(())
    })
}

/// The header by which trusted proxies say for whom they speak.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_forwarded_header {
    /// `X-Forwarded-For: 192.0.2.1, 10.0.0.7`: what nearly every proxy writes. The default.
    XForwardedFor = 0,
    /// `Forwarded: for=192.0.2.1, for="[2001:db8::7]:4711"` (RFC 7239), of which the `for`
    /// parameters are read.
    Forwarded = 1,
}

/// Names the proxies whose word is taken for the address of a peer, in the header of
/// `roomcast_config_set_forwarded_header` and in PROXY headers (`roomcast_listen_options`). Default
/// none: such headers are what anybody may write, and are ignored.
///
/// Name no more than what stands in front of the engine. A network where peers live themselves lets
/// each of them choose its address. An IPv4 address within IPv6 counts as IPv4.
///
/// @param proxies an array of `count` networks ("10.0.0.0/8", "2001:db8::/32"), single addresses
///        ("::1"), and "unix" for whoever connects to a unix socket; it replaces what was said
///        before. One that cannot be read is told by `roomcast_config_check`.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_trusted_proxies(
    config: Option<&mut roomcast_config>,
    proxies: In<roomcast_str>,
    count: usize,
) -> roomcast_status {
    change(config, |config| {
        let proxies = texts(proxies.slice(count)?)?;
        build(config, |c| c.trusted_proxies(proxies));
        Ok(())
    })
}

/// The header by which trusted proxies say for whom they speak. Just this one is believed. Default
/// `ROOMCAST_FORWARDED_HEADER_X_FORWARDED_FOR`.
///
/// @param header one of `roomcast_forwarded_header`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_forwarded_header(
    config: Option<&mut roomcast_config>,
    header: u32,
) -> roomcast_status {
    use roomcast_forwarded_header as number;
    change(config, |config| {
        let header = match header {
            h if h == number::XForwardedFor as u32 => ForwardedHeader::XForwardedFor,
            h if h == number::Forwarded as u32 => ForwardedHeader::Forwarded,
            _ => return Err(Status::InvalidArgument),
        };
        build(config, |c| c.forwarded_header(header));
        Ok(())
    })
}

/// Says which web pages may connect: those of these origins, written as browsers send them
/// (`https://app.example`). Pages of the engine's own host, and clients that are no browsers, may
/// always; by default nobody else.
///
/// @param origins an array of `count` origins; it replaces what was said before
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_origins(
    config: Option<&mut roomcast_config>,
    origins: In<roomcast_str>,
    count: usize,
) -> roomcast_status {
    change(config, |config| {
        let listed = texts(origins.slice(count)?)?.into_iter().map(str::to_owned);
        let listed = listed.collect();
        build(config, |c| c.origins(Origins::Listed(listed)));
        Ok(())
    })
}

/// Lets every web page connect: for services whose clients prove who they are by other means than
/// cookies.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_allow_any_origin(
    config: Option<&mut roomcast_config>,
) -> roomcast_status {
    change(config, |config| {
        build(config, |c| c.origins(Origins::Any));
        Ok(())
    })
}

/// The path that answers GET with 200 while the engine runs and 503 while it stops; the empty text
/// for none. Default `/health`.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_health_path(
    config: Option<&mut roomcast_config>,
    path: roomcast_str,
) -> roomcast_status {
    change(config, |config| {
        let path = path.text()?;
        let path = (!path.is_empty()).then(|| path.to_owned());
        build(config, |c| c.health_path(path));
        Ok(())
    })
}

/// The path that answers GET with the engine's figures, as `roomcast_engine_metrics` gives them;
/// the empty text, the default, for none. Whoever reaches the listener may read them: keep the
/// path from the outside in your proxy.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_metrics_path(
    config: Option<&mut roomcast_config>,
    path: roomcast_str,
) -> roomcast_status {
    change(config, |config| {
        let path = path.text()?;
        let path = (!path.is_empty()).then(|| path.to_owned());
        build(config, |c| c.metrics_path(path));
        Ok(())
    })
}

/// Has the figures for Prometheus say some things a second time, under the names that many
/// dashboards of WebSocket servers have: `websocket_connections_total` (connections now, a gauge),
/// `websocket_messages_total` by `event_type` (`in`, `out`, `publish`, `send`) and
/// `websocket_message_duration_seconds` (from publishing until the members in step had been offered
/// it). Default false.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_websocket_metrics(
    config: Option<&mut roomcast_config>,
    also: bool,
) -> roomcast_status {
    change(config, |config| {
        build(config, |c| c.websocket_metrics(also));
        Ok(())
    })
}

/// Sets a limit. Whether the limits fit together is checked when an engine starts.
///
/// @param limit one of `roomcast_limit`
/// @param value in the unit that the limit's name ends with
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_limit(
    config: Option<&mut roomcast_config>,
    limit: u32,
    value: u64,
) -> roomcast_status {
    change(config, |config| {
        let name = limit_name(limit).ok_or(Status::InvalidArgument)?;
        set(config, |variable| {
            (variable == environment(name)).then(|| value.to_string())
        })
        .map_err(|_| Status::InvalidArgument)
    })
}

/// Sets limits from the environment: `ROOMCAST_` and a limit's name in upper case, such as
/// `ROOMCAST_CONNECTIONS_MAX=5000`. Variables that are not set change nothing. No other thread may
/// change the environment meanwhile.
///
/// @param why if not NULL, gets a sentence that names the variable which cannot be read
/// @param why_size bytes that `why` has place for
/// @return `ROOMCAST_STATUS_CONFIG`, and then nothing was changed
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_read_environment(
    config: Option<&mut roomcast_config>,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    change(config, |config| {
        let read = config.config.clone().from_env();
        config.config = read.map_err(|error| why.told(Status::Config, &error))?;
        Ok(())
    })
}

fn environment(limit: &str) -> String {
    format!("ROOMCAST_{}", limit.to_uppercase())
}

fn set(
    config: &mut roomcast_config,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(), roomcast::ConfigError> {
    config.config = config.config.clone().from_variables(lookup)?;
    Ok(())
}

/// Has events told by a function. Without one they wait in a queue, for `roomcast_engine_drain`
/// and `roomcast_engine_wait`.
///
/// @param user_data given to `call`; the library never looks at it, and may pass it on any thread
/// @param call the function; NULL goes back to the queue
/// @param free called once with `user_data` when neither this configuration nor an engine needs it
///        any more; may be NULL. Where this function fails, it is not called.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_callback(
    config: Option<&mut roomcast_config>,
    user_data: *mut c_void,
    call: roomcast_event_fn,
    free: roomcast_free_fn,
) -> roomcast_status {
    change(config, |config| {
        let user = Arc::new(Foreign::new(user_data, free));
        config.callback = call.map(|call| Callback { user, call });
        Ok(())
    })
}

/// Which kinds of events are told or queued at all. The default is all of them. Where
/// `ROOMCAST_EVENT_CONNECTING` is not among them, everybody is accepted, into no room.
///
/// @param kinds the sum of `1 << kind` of each wanted `roomcast_event_kind`; other bits mean
///        nothing
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_events(
    config: Option<&mut roomcast_config>,
    kinds: u32,
) -> roomcast_status {
    change(config, |config| {
        config.kinds = kinds;
        Ok(())
    })
}

/// Answers plain GET requests (a page, a script) from memory.
///
/// @param user_data given to `call`
/// @param call the function; NULL for no pages
/// @param free called once with `user_data` when it is needed no more; may be NULL
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_pages(
    config: Option<&mut roomcast_config>,
    user_data: *mut c_void,
    call: roomcast_page_fn,
    free: roomcast_free_fn,
) -> roomcast_status {
    change(config, |config| {
        let user = Foreign::new(user_data, free);
        let pages = call.map(|call| Pages::new(user, call));
        build(config, |c| {
            c.pages(move |request| pages.as_ref()?.answer(request))
        });
        Ok(())
    })
}

/// Has the log of each engine told by a function. Without one the engine says nothing.
///
/// @param user_data given to `call`
/// @param call the function
/// @param free called once with `user_data` when it is needed no more; may be NULL
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_log(
    config: Option<&mut roomcast_config>,
    user_data: *mut c_void,
    call: roomcast_log_fn,
    free: roomcast_free_fn,
) -> roomcast_status {
    change(config, |config| {
        let user = Foreign::new(user_data, free);
        build(config, |c| {
            c.log(move |level, line| {
                if let Some(call) = call {
                    call(user.data(), level_number(level), roomcast_str::of(line));
                }
            })
        });
        Ok(())
    })
}

fn level_number(level: LogLevel) -> u32 {
    let level = match level {
        LogLevel::Debug => roomcast_log_level::Debug,
        LogLevel::Info => roomcast_log_level::Info,
        LogLevel::Warn => roomcast_log_level::Warn,
        _ => roomcast_log_level::Error,
    };
    level as u32
}

/// Whether an engine could run on this configuration; `roomcast_engine_new` asks the same.
///
/// @param why if not NULL, gets a sentence that names the setting, what it is and what it may be
/// @param why_size bytes that `why` has place for
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_check(
    config: Option<&roomcast_config>,
    why: *mut c_char,
    why_size: usize,
) -> roomcast_status {
    let why = Why {
        text: why,
        size: why_size,
    };
    guard(|| {
        let checked = given(config)?.config.check();
        checked.map_err(|error| why.told(Status::Config, &error))
    })
}

/// The value of a limit by now.
///
/// @param limit one of `roomcast_limit`
/// @param value gets it
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_limit(
    config: Option<&roomcast_config>,
    limit: u32,
    value: Out<'_, u64>,
) -> roomcast_status {
    guard(|| {
        let (config, place) = (given(config)?, place(value)?);
        let limits = config.config.limits();
        let value = crate::limits::limit_value(limits, limit).ok_or(Status::InvalidArgument)?;
        put(Some(place), value);
        Ok(())
    })
}
