//! What a host may set, with defaults, and what the engine runs on once that is checked.
//!
//! `Config` is the builder; [`Limits`] is its checked outcome and is never changed afterwards.
//! Every limit has its unit in its name. Rank 0: plain values, no sockets, any thread.

mod check;
mod listen;
mod policy;
mod rooms;

use std::fmt;
use std::path::PathBuf;

pub(crate) use self::check::INTERVAL_MS_MAX;
pub(crate) use self::listen::Listen;
pub use self::listen::ListenOptions;
pub use self::policy::{MessageRatePolicy, SlowPolicy};
pub use self::rooms::RoomOptions;
use crate::address::{ForwardedHeader, Trusted};
use crate::auth::Auth;
use crate::error::ConfigError;
use crate::log::LogLevel;
use crate::page::{Page, PageFn};
use crate::request::Request;
use crate::sync::Arc;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Which `Origin` headers may open a WebSocket.
///
/// A request without `Origin` (not a browser) and one whose origin equals its `Host` are always
/// allowed; these rules say who else is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Origins {
    /// Nobody else.
    #[default]
    SameHost,
    /// The listed origins too, written as browsers send them: `https://app.example`.
    Listed(Vec<String>),
    /// Anybody: for services whose clients prove who they are by other means than cookies.
    Any,
}

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)+) => {
        /// The engine's numbers, checked. Every field is set by the [`Config`] method of its name.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Limits { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Names of all limits, as used in the environment (`ROOMCAST_` + upper case).
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// What each limit is, in the order of [`Limits::NAMES`]: the text of its field's
            /// documentation, for interfaces in other languages.
            pub const TEXTS: &'static [&'static str] = &[$(concat!($($doc),+)),+];

            fn set(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
                match name {
                    $(stringify!($name) => {
                        self.$name = value.trim().parse().map_err(|_| {
                            let setting = stringify!($name);
                            ConfigError::Unreadable { setting, value: value.into() }
                        })?;
                    })+
                    _ => return Err(ConfigError::Unknown { name: name.into() }),
                }
                Ok(())
            }
        }

        impl Config {
            $($(#[doc = $doc])+
            #[must_use]
            pub fn $name(mut self, value: $type) -> Self {
                self.limits.$name = value;
                self
            })+
        }
    };
}

limits! {
    /// Connections that the engine holds at once, handshakes included; one more is answered with
    /// 503. Default 100,000.
    connections_max: usize = 100_000;
    /// Connections from one IP address, handshakes included, 0 for no such limit; one more is
    /// answered with 429. Those of `trusted_proxies` count for the peer's own address, once that is
    /// known; behind any other proxy all come from the proxy's. Default 0.
    address_connections_max: usize = 0;
    /// Connections of one user, as the host named it in its verdict, on all shards, 0 for no such
    /// limit; one more is answered with 429. Default 0.
    user_connections_max: usize = 0;
    /// Connections that the listeners take a second, on average, and in one go; 0 for no such
    /// limit. Above it the others wait in the backlogs (`listen_backlog`). Default 0.
    accept_rate_max: u32 = 0;
    /// Microseconds that a turn spends on TLS handshakes before it goes on with its other work; the
    /// other handshakes wait for the next turn. Default 1,000.
    tls_budget_us: u64 = 1_000;
    /// Bytes of a token; a longer one is not valid. Default 8 KiB.
    token_bytes_max: usize = 8 * 1024;
    /// Tokens that are not valid which one address (of IPv6 the first 64 bits) may bring a minute,
    /// 0 for no such limit; beyond it requests from there are answered with 429, their tokens
    /// unread. Default 60.
    token_failures_max: u32 = 60;
    /// Milliseconds before its token expires that a connection is told so, 0 for not at all.
    /// Default 30 s.
    token_notice_ms: u64 = 30_000;
    /// Users and tokens that are remembered as revoked; the oldest are forgotten first. Default
    /// 100,000.
    revocations_max: usize = 100_000;
    /// Members of a room on one page of who is there. Default 1,000.
    presence_page_max: usize = 1_000;
    /// Members of a room above which no notices of who came and went are made. Default 1,000.
    presence_notice_members_max: usize = 1_000;
    /// Members that one notice names as having come, or gone; of more than that only their number
    /// is told. Default 100.
    presence_notice_names_max: usize = 100;
    /// Handshakes in flight, the host's verdict included; while there are so many, the others wait
    /// in the listeners' backlogs (`listen_backlog`). Default 10,000.
    handshakes_max: usize = 10_000;
    /// Bytes of an HTTP request head; one larger is answered with 431. Default 16 KiB.
    head_bytes_max: usize = 16 * 1024;
    /// Milliseconds from accepting a socket to its complete request head, then 408, or just the end
    /// where nothing was said. Default 10 s.
    handshake_timeout_ms: u64 = 10_000;
    /// Milliseconds that the host has to answer a connecting event, then 503. Default 10 s.
    verdict_timeout_ms: u64 = 10_000;
    /// Bytes of one inbound message, all fragments together; a larger one closes the connection
    /// with 1009. Default 1 MiB.
    message_bytes_max: usize = 1024 * 1024;
    /// How hard messages are compressed for peers that offer permessage-deflate, from 1 (quick) to
    /// 9 (small), 0 for not at all. Compressing costs the shard; 1 is right for most. Default 0.
    deflate_level: u32 = 0;
    /// Payload bytes from which a message is compressed; shorter ones go as they are. Default 256.
    deflate_bytes_min: usize = 256;
    /// Fragments of one inbound message, else 1009. Default 4,096.
    message_fragments_max: u32 = 4_096;
    /// Messages that a peer may send a second, on average, its pings and pongs among them, 0 for
    /// no such limit; what is beyond meets the [`MessageRatePolicy`]. Default 0.
    message_rate_max: u32 = 0;
    /// Messages that a peer which was silent may send at once; 0 for as many as
    /// `message_rate_max`. Default 0.
    message_burst_max: u32 = 0;
    /// Payload bytes of one publication, at most a quarter of `tape_bytes_max`. Default 1 MiB.
    publication_bytes_max: usize = 1024 * 1024;
    /// Bytes that a room keeps on one shard for members who have not got them yet; beyond that
    /// the slowest meet their [`SlowPolicy`]. Default 4 MiB.
    tape_bytes_max: usize = 4 * 1024 * 1024;
    /// Bytes that all tapes of one shard keep together. Default 256 MiB.
    shard_tape_bytes_max: usize = 256 * 1024 * 1024;
    /// Bytes waiting for one connection alone (private messages, half-sent frames, what it
    /// watches), 64 more for each frame than it has; a message beyond that closes it with 4008. One
    /// larger message is taken when nothing waits. Default 1 MiB.
    outbox_bytes_max: usize = 1024 * 1024;
    /// Waiting bytes of a connection above which the host is told (backpressure high) and the
    /// connection is not read from; low again below half of it. Default 256 KiB.
    outbox_high_bytes: usize = 256 * 1024;
    /// Bytes published to a room but not yet offered to its members, per shard; above it
    /// `publish` answers `Refused::Behind`. Default 1 MiB.
    room_ahead_bytes_max: usize = 1024 * 1024;
    /// Bytes of commands waiting for one shard, some 300 more for each publication than its data;
    /// above it `publish` and `send` answer `Refused::Overloaded`. Default 64 MiB.
    inbox_bytes_max: usize = 64 * 1024 * 1024;
    /// Bytes of a room's name in UTF-8. Default 255.
    room_name_bytes_max: usize = 255;
    /// Rooms that one connection may be in. Default 1,024.
    connection_rooms_max: usize = 1_024;
    /// Milliseconds within which publications of a room wait for each other, to leave together,
    /// where neither the room's options nor the member's say otherwise; 0 for each turn. Default 0.
    flush_interval_ms: u32 = 0;
    /// Milliseconds up to which flush intervals widen while a shard is under pressure
    /// (`pressure_us`) or near its memory budget. Default 1 s.
    flush_interval_max_ms: u32 = 1_000;
    /// Microseconds that publications may be late, in all turns of a tenth of a second, before
    /// flush intervals widen by a step; they narrow again below half of it. 0 for never, as it is
    /// where the host turns the engine, since then lateness is the host's. Default 50 ms.
    pressure_us: u64 = 50_000;
    /// Bytes of a publication's key, and of a key that a member watches. Default 255.
    key_bytes_max: usize = 255;
    /// Keys of all rooms that one connection may watch. Default 4,096.
    connection_keys_max: usize = 4_096;
    /// Distinct filters that the members of one room may have on a shard; a join with one more has
    /// no effect. Default 1,000.
    room_filters_max: usize = 1_000;
    /// Rooms that one connection may be in with a filter. Default 64.
    connection_filters_max: usize = 64;
    /// Bytes of a room's history, where it has one ([`RoomOptions::history`]). Default 1 MiB.
    history_bytes_max: usize = 1024 * 1024;
    /// Bytes that the whole engine may hold for tapes, histories, outboxes, inboxes, untaken events
    /// and messages in the making, 0 for no such budget. Near it the engine degrades step by step;
    /// at it `publish` answers `Refused::Overloaded`. Default 1 GiB.
    memory_bytes_max: usize = 1024 * 1024 * 1024;
    /// Microseconds that one turn of a shard spends writing before it looks at its sockets and
    /// its inbox again. Default 1,000.
    turn_budget_us: u64 = 1_000;
    /// Milliseconds of silence from a peer after which it is pinged; 0 never pings.
    /// Default 25 s.
    ping_interval_ms: u64 = 25_000;
    /// Milliseconds that a pinged peer has to send anything, else it is closed. Default 20 s.
    ping_timeout_ms: u64 = 20_000;
    /// Milliseconds without a message from a peer (pongs do not count) after which it is closed;
    /// 0 never. Default 0.
    idle_timeout_ms: u64 = 0;
    /// Milliseconds that a peer has to answer a close frame and take what it is owed, before its
    /// socket is closed all the same. Default 2 s.
    close_timeout_ms: u64 = 2_000;
    /// Milliseconds over which `stop` spreads the close frames, so that clients do not come back
    /// all at once; at most ten for each connection of a shard. Default 500.
    stop_spread_ms: u64 = 500;
    /// Milliseconds in which `stop` ends, whatever peers do. Default 5 s.
    stop_timeout_ms: u64 = 5_000;
    /// Events of one connection that may wait in the event queue; a connection with more is not
    /// read from until the host catches up. Default 64.
    connection_events_max: u32 = 64;
    /// Events of all connections that may wait in the event queue; above it each connection may
    /// have just one, and new ones are answered with 503. Default 65,536.
    events_max: usize = 65_536;
    /// Bytes of unsent data that the kernel accepts for one socket (TCP_NOTSENT_LOWAT), 0 for the
    /// kernel's own choice. Default 64 KiB.
    notsent_lowat_bytes: u32 = 64 * 1024;
    /// Sockets waiting to be accepted. Default 4,096.
    listen_backlog: u32 = 4_096;
    /// Milliseconds of silence after which the kernel probes a TCP peer (SO_KEEPALIVE, rounded up
    /// to whole seconds), 0 for never; pings of the engine do more. Default 0.
    keepalive_ms: u64 = 0;
    /// Milliseconds that sent bytes may stay unacknowledged before the kernel gives a TCP peer up
    /// (TCP_USER_TIMEOUT), 0 for the kernel's own choice. Default 0.
    user_timeout_ms: u32 = 0;
}

/// Everything that a host may choose before an engine starts.
///
/// ```
/// use roomcast::{Config, SlowPolicy};
///
/// let config = Config::new()
///     .listen("127.0.0.1:0")
///     .shards(2)
///     .message_bytes_max(64 * 1024)
///     .slow_policy(SlowPolicy::Skip);
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) limits: Limits,
    pub(crate) listen: Vec<Listen>,
    pub(crate) shards: usize,
    pub(crate) own_threads: bool,
    pub(crate) reuse_port: bool,
    pub(crate) slow_policy: SlowPolicy,
    /// Prefixes of names, and what holds for rooms that begin so.
    pub(crate) room_options: Vec<(String, RoomOptions)>,
    pub(crate) message_rate_policy: MessageRatePolicy,
    pub(crate) origins: Origins,
    pub(crate) auth: Option<Auth>,
    /// Whom the host trusts, or what it wrote that cannot be read.
    pub(crate) trusted_proxies: Result<Trusted, ConfigError>,
    pub(crate) forwarded_header: ForwardedHeader,
    pub(crate) health_path: Option<String>,
    pub(crate) metrics_path: Option<String>,
    pub(crate) websocket_metrics: bool,
    pub(crate) pages: Option<PageFn>,
    pub(crate) log: Option<LogFn>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

type LogFn = Arc<dyn Fn(LogLevel, &str) + Send + Sync>;

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("limits", &self.limits)
            .field("listen", &self.listen)
            .field("shards", &self.shards)
            .field("own_threads", &self.own_threads)
            .field("slow_policy", &self.slow_policy)
            .field("message_rate_policy", &self.message_rate_policy)
            .field("origins", &self.origins)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("forwarded_header", &self.forwarded_header)
            .finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::new()
    }
}

impl Config {
    /// All defaults, no listener: an engine that only adopts sockets.
    #[must_use]
    pub fn new() -> Self {
        Config {
            limits: Limits::default(),
            listen: Vec::new(),
            shards: 0,
            own_threads: true,
            reuse_port: false,
            slow_policy: SlowPolicy::default(),
            room_options: Vec::new(),
            message_rate_policy: MessageRatePolicy::default(),
            origins: Origins::default(),
            auth: None,
            trusted_proxies: Ok(Trusted::default()),
            forwarded_header: ForwardedHeader::default(),
            health_path: Some("/health".into()),
            metrics_path: None,
            websocket_metrics: false,
            pages: None,
            log: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Adds a TCP listener: `host:port`, port 0 for a free one (ask `Engine::addresses`).
    #[must_use]
    pub fn listen(self, address: impl Into<String>) -> Self {
        self.listen_with(address, ListenOptions::new())
    }

    /// As [`Config::listen`], with options of this listener.
    #[must_use]
    pub fn listen_with(mut self, address: impl Into<String>, options: ListenOptions) -> Self {
        self.listen.push(Listen::Tcp(address.into(), options));
        self
    }

    /// Adds a unix socket. A stale socket file (nobody accepts on it) is replaced; the file is
    /// removed when the engine stops.
    #[must_use]
    pub fn listen_unix(self, path: impl Into<PathBuf>) -> Self {
        self.listen_unix_with(path, ListenOptions::new())
    }

    /// As [`Config::listen_unix`], with options of this listener.
    #[must_use]
    pub fn listen_unix_with(mut self, path: impl Into<PathBuf>, options: ListenOptions) -> Self {
        self.listen.push(Listen::Unix(path.into(), options));
        self
    }

    /// Options of all rooms whose names begin with `prefix`; of several that fit the longest
    /// counts, and a prefix that was named before gets these. They are looked at when a room comes
    /// to be.
    #[must_use]
    pub fn room_options(mut self, prefix: impl Into<String>, options: RoomOptions) -> Self {
        let prefix = prefix.into();
        self.room_options.retain(|(other, _)| *other != prefix);
        self.room_options.push((prefix, options));
        self
    }

    /// Threads that serve connections; 0 (the default) is one per core, at most 255.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards;
        self
    }

    /// With `false` the engine starts no thread: it has one shard, and the host calls
    /// `Engine::turn` on a thread of its own. Default true.
    #[must_use]
    pub fn own_threads(mut self, own: bool) -> Self {
        self.own_threads = own;
        self
    }

    /// Lets several processes share a port (SO_REUSEPORT). Default false, so that a second start
    /// of the same program fails instead of silently taking half of the connections.
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// What happens to members that are too slow. Default [`SlowPolicy::Disconnect`].
    #[must_use]
    pub fn slow_policy(mut self, policy: SlowPolicy) -> Self {
        self.slow_policy = policy;
        self
    }

    /// What happens to what a peer says beyond `message_rate_max`. Default
    /// [`MessageRatePolicy::Refuse`].
    #[must_use]
    pub fn message_rate_policy(mut self, policy: MessageRatePolicy) -> Self {
        self.message_rate_policy = policy;
        self
    }

    /// Which web pages may connect. Default [`Origins::SameHost`].
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// How peers prove who they are. Default: they do not, and the host decides by itself.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Proxies whose word is taken for the address of a peer, in the header of
    /// [`Config::forwarded_header`] and in PROXY headers ([`ListenOptions::proxy_protocol`]):
    /// networks (`10.0.0.0/8`, `2001:db8::/32`), single addresses (`::1`), and `unix` for whoever
    /// connects to a unix socket. Default none: such headers are what anybody may write, and are
    /// ignored.
    ///
    /// Name no more than what stands in front of the engine. A network where peers live themselves
    /// lets each of them choose its address. An IPv4 address within IPv6 counts as IPv4, so `::/0`
    /// is nobody who comes by IPv4. What was named before is replaced.
    ///
    /// ```
    /// use roomcast::Config;
    ///
    /// let config = Config::new().trusted_proxies(["10.0.0.0/8", "::1"]);
    /// assert!(config.check().is_ok());
    /// let error = config.trusted_proxies(["10.0.0.1/8"]).check().unwrap_err();
    /// assert!(error.to_string().starts_with("trusted_proxies cannot be \"10.0.0.1/8\""));
    /// ```
    #[must_use]
    pub fn trusted_proxies<T: Into<String>>(
        mut self,
        proxies: impl IntoIterator<Item = T>,
    ) -> Self {
        self.trusted_proxies = Trusted::parse(proxies.into_iter().map(Into::into));
        self
    }

    /// The header by which trusted proxies say for whom they speak. Just this one is believed.
    /// Default [`ForwardedHeader::XForwardedFor`].
    #[must_use]
    pub fn forwarded_header(mut self, header: ForwardedHeader) -> Self {
        self.forwarded_header = header;
        self
    }

    /// The path that answers GET with 200 while the engine runs and 503 while it stops; `None`
    /// for none. Default `/health`.
    #[must_use]
    pub fn health_path(mut self, path: Option<String>) -> Self {
        self.health_path = path;
        self
    }

    /// The path that answers GET with the engine's figures as Prometheus reads them
    /// ([`Snapshot::prometheus`](crate::Snapshot::prometheus)); `None`, the default, for none.
    /// Whoever reaches the listener may read them: keep the path from the outside in your proxy.
    #[must_use]
    pub fn metrics_path(mut self, path: Option<String>) -> Self {
        self.metrics_path = path;
        self
    }

    /// Has the figures for Prometheus say some things a second time, under the names that many
    /// dashboards of WebSocket servers have, so that these go on working. Default false.
    ///
    /// - `websocket_connections_total`: connections now (a gauge, in spite of its name).
    /// - `websocket_messages_total`, by `event_type`: `in` (messages received), `out` (frames
    ///   written), `publish` and `send` (what the host asked for).
    /// - `websocket_message_duration_seconds`: from `publish` until the members in step had been
    ///   offered it, in buckets from 1 ms to 1 s, estimated from the engine's own finer ones.
    #[must_use]
    pub fn websocket_metrics(mut self, also: bool) -> Self {
        self.websocket_metrics = also;
        self
    }

    /// Answers plain GET requests (a page, a script) from memory. Runs on a shard thread, so it
    /// must be quick; `None` is answered with 404.
    #[must_use]
    pub fn pages<F>(mut self, pages: F) -> Self
    where
        F: Fn(&Request) -> Option<Page> + Send + Sync + 'static,
    {
        self.pages = Some(Arc::new(pages));
        self
    }

    /// Has this engine's log lines told here instead of to the `tracing` subscriber. Called on the
    /// thread that wrote the line, often a shard's, so it must be quick.
    #[must_use]
    pub fn log(mut self, tell: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        self.log = Some(Arc::new(tell));
        self
    }

    /// The numbers as they are set by now.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Overrides limits from environment variables: `ROOMCAST_` and the limit's name in upper
    /// case, such as `ROOMCAST_CONNECTIONS_MAX=5000`. Variables that are not set change nothing.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when a value is not a number.
    pub fn from_env(self) -> Result<Self, ConfigError> {
        // What is not UTF-8 is no number either, and is told as such.
        self.from_variables(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// As [`Config::from_env`], from any source of variables.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when a value is not a number.
    pub fn from_variables(
        mut self,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        for name in Limits::NAMES {
            if let Some(value) = lookup(&format!("ROOMCAST_{}", name.to_uppercase())) {
                self.limits.set(name, &value)?;
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_consistent() {
        assert_eq!(Config::new().check(), Ok(()));
    }

    #[test]
    fn an_error_names_the_setting() {
        let error = Config::new()
            .publication_bytes_max(2 << 20)
            .check()
            .unwrap_err();
        assert!(
            error.to_string().contains("publication_bytes_max"),
            "{error}"
        );
        assert!(error.to_string().contains("tape_bytes_max"), "{error}");
    }

    #[test]
    fn the_environment_overrides_limits() {
        let from = |name: &str| (name == "ROOMCAST_CONNECTIONS_MAX").then(|| "7".to_string());
        assert_eq!(
            Config::new()
                .from_variables(from)
                .unwrap()
                .limits
                .connections_max,
            7
        );
        let bad = |name: &str| (name == "ROOMCAST_CONNECTIONS_MAX").then(|| "many".to_string());
        let error = Config::new().from_variables(bad).unwrap_err();
        assert!(error.to_string().contains("connections_max"), "{error}");
    }
}
