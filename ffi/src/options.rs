//! Options of rooms and listeners, and the policies for slow members, as numbers.

use roomcast::{Config, ListenOptions, RoomOptions, SlowPolicy, Status};

use crate::boundary::{In, roomcast_str};
use crate::config::{build, change, roomcast_config};
use crate::status::roomcast_status;
#[cfg(feature = "tls")]
use crate::tls::built::listen as with_tls;
#[cfg(not(feature = "tls"))]
use crate::unbuilt::tls::listen as with_tls;

/// What happens to a member that takes no bytes until its room's tape has no place left.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum roomcast_slow_policy {
    /// What holds otherwise: of a member the room's policy, of a room the engine's, of the engine
    /// `ROOMCAST_SLOW_POLICY_DISCONNECT`.
    Default = 0,
    /// Its connection is closed with 4008, which invites the client to come back.
    Disconnect = 1,
    /// It jumps ahead to the newest publication, and an event tells what it missed.
    Skip = 2,
    /// Of what it has not got, it is sent the newest publication of each key and those without one;
    /// an event tells what it missed. Whom the newest one excludes is sent none. Where the tape has
    /// no place for all, it jumps ahead.
    Latest = 3,
    /// What is published while its socket takes no bytes is dropped at once and counted
    /// (`volatile_dropped`), without an event: for news that is worthless when it is late.
    Volatile = 4,
    /// It catches up from the room's history (`history` of `roomcast_room_options`) when its socket
    /// takes bytes again; an event tells what the history does not have any more, whether or not
    /// its filter would match. Without a history, and for a member with a watch-list, it is as
    /// `ROOMCAST_SLOW_POLICY_SKIP`. Its order is kept within the room, but not with other rooms
    /// while it catches up.
    Replay = 5,
}

const POLICIES: [(roomcast_slow_policy, SlowPolicy); 5] = [
    (roomcast_slow_policy::Disconnect, SlowPolicy::Disconnect),
    (roomcast_slow_policy::Skip, SlowPolicy::Skip),
    (roomcast_slow_policy::Latest, SlowPolicy::Latest),
    (roomcast_slow_policy::Volatile, SlowPolicy::Volatile),
    (roomcast_slow_policy::Replay, SlowPolicy::Replay),
];

/// The policy of a number; None for what holds otherwise.
fn read_policy(policy: u32) -> Result<Option<SlowPolicy>, Status> {
    if policy == roomcast_slow_policy::Default as u32 {
        return Ok(None);
    }
    let found = POLICIES.iter().find(|(number, _)| *number as u32 == policy);
    found
        .map(|(_, found)| Some(*found))
        .ok_or(Status::InvalidArgument)
}

/// As a flush interval: none, so that publications leave with each turn.
pub const ROOMCAST_EACH_TURN: u32 = u32::MAX;

/// Interval and policy of a room or member, as C sets them.
pub(crate) struct Pace {
    pub(crate) interval_ms: Option<u32>,
    pub(crate) policy: Option<SlowPolicy>,
}

impl Pace {
    pub(crate) fn read(interval_ms: u32, policy: u32) -> Result<Self, Status> {
        let interval_ms = match interval_ms {
            0 => None,
            ROOMCAST_EACH_TURN => Some(0),
            ms => Some(ms),
        };
        Ok(Pace {
            interval_ms,
            policy: read_policy(policy)?,
        })
    }
}

/// What holds for the rooms whose names begin alike. Set `struct_size`, and the rest to zero where
/// it is not needed.
#[repr(C)]
pub struct roomcast_room_options {
    /// `sizeof(roomcast_room_options)`.
    pub struct_size: usize,
    /// Milliseconds within which publications of a room wait for each other, to leave together in
    /// one write to each member, at most an hour; `ROOMCAST_EACH_TURN` for none; 0 for the engine's
    /// (`ROOMCAST_LIMIT_FLUSH_INTERVAL_MS`).
    pub flush_interval_ms: u32,
    /// One of `roomcast_slow_policy`; 0 for the engine's.
    pub slow_policy: u32,
    /// How many publications a room keeps while it exists, within `history_bytes_max`, for members
    /// with the policy `ROOMCAST_SLOW_POLICY_REPLAY`.
    pub history: u32,
    /// Of publications with one key only the newest of each interval leaves, in its own place of
    /// the order; whom that one excludes is sent neither. Those without a key all leave. Needs a
    /// flush interval.
    pub conflate: bool,
    /// Publications are sent as they are, also to members that agreed on compression: where they
    /// are dense already.
    pub deflate_off: bool,
    /// The engine knows of the room's members who they are: users are counted
    /// (`roomcast_engine_presence`), members listed page by page (`roomcast_engine_present`).
    pub presence: bool,
    /// Has the room's members told who came and who went: so many milliseconds after the first
    /// change one notice tells all that has changed by then; 0 for no notices. Needs `presence`.
    ///
    /// A notice is a publication to the room like any other, also for those whom it names. Its
    /// event is `presence`, so that a filter can leave it out. It is text, in JSON:
    ///
    ///     {"presence": {"room": "lobby", "members": 12, "users": 10,
    ///      "came": [{"id": "72057594054705154", "user": "ada", "info": {"name": "Ada"}}],
    ///      "came_count": 1,
    ///      "gone": [{"id": "72057594054705153", "user": "bob"}],
    ///      "gone_count": 1}}
    ///
    /// `came_count` and `gone_count` count also those who are not named, beyond
    /// `presence_notice_names_max` of either. Above `presence_notice_members_max` members there are
    /// no notices, and what changes then is not told later: whoever keeps a list from notices
    /// compares its length with `members`, and asks for the pages where it differs.
    pub presence_interval_ms: u32,
}

/// What holds for one listener. Set `struct_size`, and the rest to zero where it is not needed.
#[repr(C)]
pub struct roomcast_listen_options {
    /// `sizeof(roomcast_listen_options)`.
    pub struct_size: usize,
    /// Compression is not agreed on with peers that come through it: for a listener on a fast
    /// network of your own.
    pub deflate_off: bool,
    /// Peers speak TLS here, with the certificates of `roomcast_config_set_tls`. Plain HTTP is
    /// ended with an alert and counted (`tls_failed`).
    pub tls: bool,
    /// Each connection begins with a PROXY header, of version 1 or 2, by which a proxy says whose
    /// connection it is (`roomcast_request_peer` and `_peer_ip`). Only those of
    /// `roomcast_config_set_trusted_proxies` are believed, so at least one must be set. A
    /// connection of anybody else is dropped, and so is one that begins otherwise
    /// (`rejected_proxy` counts them).
    pub proxy_protocol: bool,
    /// Permissions of the file of a unix socket, such as 0660: whoever may write to it may connect.
    /// They hold before the first connection is taken. 0 for what the process's umask leaves. Of no
    /// effect for TCP.
    pub unix_mode: u32,
}

/// What happens to members that are too slow, where neither their room's options nor their own say
/// otherwise. Default `ROOMCAST_SLOW_POLICY_DISCONNECT`.
///
/// @param policy one of `roomcast_slow_policy`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_slow_policy(
    config: Option<&mut roomcast_config>,
    policy: u32,
) -> roomcast_status {
    change(config, |config| {
        let policy = read_policy(policy)?.unwrap_or_default();
        build(config, |c| c.slow_policy(policy));
        Ok(())
    })
}

/// Sets options of all rooms whose names begin with a prefix; of several prefixes that fit the
/// longest counts. They are looked at when a room comes to be. Whether they can work is checked
/// when an engine starts.
///
/// @param prefix such as "ticker:"; empty for all rooms. One that was named before gets these
///        options.
/// @param options what holds; NULL for all defaults
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_set_room_options(
    config: Option<&mut roomcast_config>,
    prefix: roomcast_str,
    options: In<roomcast_room_options>,
) -> roomcast_status {
    change(config, |config| {
        let (prefix, mut made) = (prefix.text()?, RoomOptions::new());
        if let Some(options) = options.growing()? {
            let pace = Pace::read(options.flush_interval_ms, options.slow_policy)?;
            made = made
                .history(options.history)
                .conflate(options.conflate)
                .deflate(!options.deflate_off)
                .presence(options.presence)
                .presence_interval_ms(options.presence_interval_ms);
            if let Some(interval) = pace.interval_ms {
                made = made.flush_interval_ms(interval);
            }
            if let Some(policy) = pace.policy {
                made = made.slow_policy(policy);
            }
        }
        build(config, |c| c.room_options(prefix, made));
        Ok(())
    })
}

fn listen(
    config: Option<&mut roomcast_config>,
    at: &roomcast_str,
    options: &In<roomcast_listen_options>,
    add: impl FnOnce(Config, &str, ListenOptions) -> Config,
) -> roomcast_status {
    change(config, |config| {
        let (at, mut made) = (at.text()?, ListenOptions::new());
        if let Some(options) = options.growing()? {
            made = made
                .deflate(!options.deflate_off)
                .proxy_protocol(options.proxy_protocol);
            made = with_tls(made, options.tls)?;
            if options.unix_mode != 0 {
                made = made.unix_mode(options.unix_mode);
            }
        }
        build(config, |c| add(c, at, made));
        Ok(())
    })
}

/// Adds a TCP listener, as `roomcast_config_add_listener`, with options of its own.
///
/// @param address `host:port`
/// @param options what holds; NULL for all defaults
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_add_listener_with(
    config: Option<&mut roomcast_config>,
    address: roomcast_str,
    options: In<roomcast_listen_options>,
) -> roomcast_status {
    listen(config, &address, &options, |c, at, made| {
        c.listen_with(at, made)
    })
}

/// Adds a unix socket, as `roomcast_config_add_unix_listener`, with options of its own.
///
/// @param path where the socket is
/// @param options what holds; NULL for all defaults
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_config_add_unix_listener_with(
    config: Option<&mut roomcast_config>,
    path: roomcast_str,
    options: In<roomcast_listen_options>,
) -> roomcast_status {
    listen(config, &path, &options, |c, at, made| {
        c.listen_unix_with(at, made)
    })
}
