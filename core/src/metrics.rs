//! Counters of the engine, one set per shard, and the snapshot of all of them.
//!
//! Each shard adds to its own set once a turn, so that the walk over members counts in plain
//! integers; anybody reads at any time. Rank 0.

use crate::close;
use crate::durations::{Durations, Histogram};
use crate::sync::{AtomicU64, Ordering};

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Counter,
    Gauge,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident: $form:ident;)+) => {
        /// The counters of one shard. Only its own thread writes, so an addition is not atomic.
        #[derive(Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
            pub(crate) closed: [Counter; close::NAMES.len()],
            pub(crate) turn: Histogram,
            pub(crate) turn_lag: Histogram,
            pub(crate) publish_to_flush: Histogram,
            pub(crate) publish_to_flush_small: Histogram,
        }

        /// The engine's figures at one moment; counters count from the start.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Snapshot {
            $($(#[doc = $doc])+ pub $name: u64,)+
            /// Rooms that exist.
            pub rooms: u64,
            /// Publications and messages that were refused, by any handle.
            pub refused: u64,
            /// Reports of tracked publications that were dropped because `events_max` events
            /// waited.
            pub reports_dropped: u64,
            /// Bytes of events that wait for the host.
            pub event_bytes: u64,
            /// Bytes of the histories of rooms.
            pub history_bytes: u64,
            /// Connections that ended, by reason.
            pub closed: Vec<(&'static str, u64)>,
            /// How long turns took, without the wait.
            pub turn: Durations,
            /// How late turns come to what waits for them: from `publish` until a turn took the
            /// publication from its shard's inbox, behind the reading and the callbacks of that
            /// turn; one sample a turn, of the oldest publication that it took.
            pub turn_lag: Durations,
            /// From `publish` until the last member in step had been offered the publication; one
            /// sample a sweep, of its oldest publication.
            pub publish_to_flush: Durations,
            /// The same, of rooms with at most 64 members on their shard only: what a large room
            /// adds to their latency shows here.
            pub publish_to_flush_small: Durations,
            /// The same figures of each shard, to see which one is hot. `rooms`, `refused`,
            /// `reports_dropped`, `event_bytes` and `history_bytes` are the engine's alone and 0
            /// here.
            pub shards: Vec<Snapshot>,
            /// The text for Prometheus has the names of [`Config::websocket_metrics`] too.
            ///
            /// [`Config::websocket_metrics`]: crate::Config::websocket_metrics
            pub(crate) websocket_names: bool,
        }

        /// The forms of the plain figures.
        pub(crate) const FORMS: &[Form] = &[
            $(Form::$form,)+
            Form::Gauge,
            Form::Counter,
            Form::Counter,
            Form::Gauge,
            Form::Gauge,
        ];

        impl Snapshot {
            /// Names of the plain figures, in the order of [`Snapshot::figures`].
            pub const NAMES: &'static [&'static str] =
                &[
                $(stringify!($name),)+
                "rooms",
                "refused",
                "reports_dropped",
                "event_bytes",
                "history_bytes",
            ];

            /// What each of them is: the text of its field's documentation.
            pub const TEXTS: &'static [&'static str] = &[
                $(concat!($($doc),+),)+
                " Rooms that exist.",
                " Publications and messages that were refused, by any handle.",
                concat!(
                    " Reports of tracked publications that were dropped because",
                    " `events_max` events waited.",
                ),
                " Bytes of events that wait for the host.",
                " Bytes of the histories of rooms.",
            ];

            pub(crate) fn of<'a>(shards: impl Iterator<Item = &'a Counters>) -> Self {
                let none: Vec<_> = close::NAMES.iter().map(|n| (*n, 0)).collect();
                let mut all = Snapshot { closed: none.clone(), ..Snapshot::default() };
                for shard in shards {
                    let mut one = Snapshot { closed: none.clone(), ..Snapshot::default() };
                    one.add(shard);
                    all.add(shard);
                    all.shards.push(one);
                }
                all
            }

            fn add(&mut self, shard: &Counters) {
                $(self.$name += shard.$name.load();)+
                for ((_, sum), n) in self.closed.iter_mut().zip(&shard.closed) {
                    *sum += n.load();
                }
                self.turn.add(&shard.turn);
                self.turn_lag.add(&shard.turn_lag);
                self.publish_to_flush.add(&shard.publish_to_flush);
                self.publish_to_flush_small.add(&shard.publish_to_flush_small);
            }

            /// Name and value of every plain figure, for whoever shows them.
            #[must_use]
            pub fn figures(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+
                    ("rooms", self.rooms), ("refused", self.refused),
                    ("reports_dropped", self.reports_dropped), ("event_bytes", self.event_bytes),
                    ("history_bytes", self.history_bytes)]
            }
        }
    };
}

counters! {
    /// Connections now, handshakes included.
    connections: Gauge;
    /// Sockets accepted or adopted.
    accepted: Counter;
    /// WebSockets opened.
    opened: Counter;
    /// Sockets answered with 503, or dropped, because of `connections_max`.
    rejected_full: Counter;
    /// Sockets answered with 429 because of `address_connections_max`.
    rejected_address: Counter;
    /// Connections turned away with 429 (or, adopted when they were open, closed with 1008)
    /// because of `user_connections_max`.
    rejected_user: Counter;
    /// Requests answered with 503 because of `events_max`.
    rejected_events: Counter;
    /// Upgrades that the host's verdict refused, or that it gave no answer to.
    rejected_host: Counter;
    /// Requests answered with 503 because no verdict came within `verdict_timeout_ms`.
    rejected_verdict_timeout: Counter;
    /// Connections that had to begin with a PROXY header and did not, or came from an address that
    /// may not send one: dropped.
    rejected_proxy: Counter;
    /// Upgrades without a valid token: answered with 401, or closed with 4401 after their first
    /// message.
    rejected_token: Counter;
    /// Upgrades answered with 429 because of `token_failures_max`.
    rejected_guessing: Counter;
    /// Upgrades answered with 403: pages of an origin that may not connect.
    rejected_origin: Counter;
    /// Requests answered with 431: a head of more than `head_bytes_max`, or too many fields.
    rejected_head_size: Counter;
    /// Connections without a complete head within `handshake_timeout_ms`: answered with 408, or
    /// just closed where they had said nothing.
    rejected_head_timeout: Counter;
    /// Requests that are malformed or ask for what is not spoken here (400, 405, 413, 426, 505).
    rejected_invalid: Counter;
    /// Requests answered with 404: there is no such page.
    rejected_path: Counter;
    /// Requests answered with 503 because `memory_bytes_max` was nearly used up.
    rejected_memory: Counter;
    /// Requests answered with 503 because the engine was stopping.
    rejected_stopping: Counter;
    /// Requests answered with an error status by the engine, or by the host's verdict, for
    /// whichever of these reasons.
    rejected_http: Counter;
    /// TLS connections now, handshakes included.
    tls_connections: Gauge;
    /// TLS handshakes that were completed.
    tls_handshakes: Counter;
    /// Of these, the ones that went on with an earlier session.
    tls_resumed: Counter;
    /// TLS connections that ended because of what the peer sent: no TLS, no common version, a
    /// broken record.
    tls_failed: Counter;
    /// Times that a TLS handshake was put off to the next turn because of `tls_budget_us`.
    tls_put_off: Counter;
    /// Tokens that were found valid, of new connections and of live ones.
    tokens_accepted: Counter;
    /// Tokens that were not, of new connections and of live ones.
    tokens_refused: Counter;
    /// What peers asked for in rooms and was allowed, by their grants or by the host.
    permissions_granted: Counter;
    /// What peers asked for in rooms and was not allowed, or not within `verdict_timeout_ms`.
    permissions_denied: Counter;
    /// Notices of who came and who went, made for rooms with presence.
    presence_notices: Counter;
    /// Times that a room's interval ended without a notice because it has more members than
    /// `presence_notice_members_max`.
    presence_passed: Counter;
    /// Times that the process had no file descriptor for a waiting connection.
    accept_exhausted: Counter;
    /// Times that accepting was put off because `handshakes_max` were in flight.
    accept_paused: Counter;
    /// Times that accepting was put off because of `accept_rate_max`.
    accept_paced: Counter;
    /// Messages received.
    messages_in: Counter;
    /// Messages, pings and pongs beyond `message_rate_max`: nobody was told of them.
    messages_refused: Counter;
    /// Peers closed with 1002: a frame that the protocol does not allow.
    violations_frame: Counter;
    /// Peers closed with 1007: text that is not UTF-8.
    violations_text: Counter;
    /// Peers closed with 1007: a compressed message that does not inflate.
    violations_deflate: Counter;
    /// Peers closed with 1009: a message larger than `message_bytes_max`, as it came or inflated.
    violations_size: Counter;
    /// Peers closed with 1009: a message in more than `message_fragments_max` fragments.
    violations_fragments: Counter;
    /// Pings of peers.
    pings_in: Counter;
    /// Pongs dropped because their peer does not read: of those that wait, the newest is sent.
    pongs_dropped: Counter;
    /// Bytes read from sockets.
    bytes_in: Counter;
    /// Bytes written to sockets.
    bytes_out: Counter;
    /// Publications handed to delivery groups.
    publications: Counter;
    /// Messages sent to single connections, users or all.
    sends: Counter;
    /// Frames written: one for each publication and member, each private message, and what ends
    /// a connection (a close frame, an HTTP response).
    deliveries: Counter;
    /// Writes; `deliveries / writes` is what batching gains.
    writes: Counter;
    /// Messages compressed for peers: once for all of them with the same window.
    deflated: Counter;
    /// Payload bytes of those before.
    deflate_bytes_in: Counter;
    /// Payload bytes of those after.
    deflate_bytes_out: Counter;
    /// Nanoseconds that compressing took.
    deflate_ns: Counter;
    /// Publications that went as they are because those of their room do not shrink.
    deflate_passed: Counter;
    /// Times that a room's publications were found not to shrink, so that the next ones pass.
    deflate_switched_off: Counter;
    /// Messages of peers inflated, those given up included.
    inflated: Counter;
    /// Payload bytes of those before.
    inflate_bytes_in: Counter;
    /// Payload bytes of those after; one that is given up counts as `message_bytes_max`.
    inflate_bytes_out: Counter;
    /// Times that reading went on in the next turn: this one had read (or inflated) its share.
    intake_paused: Counter;
    /// Memberships that began.
    joins: Counter;
    /// Joins without effect: the connection was in `connection_rooms_max` rooms.
    joins_refused: Counter;
    /// Joins without effect: `room_filters_max` or `connection_filters_max` filters are there.
    joins_refused_filters: Counter;
    /// Keys not watched: their connections watch `connection_keys_max`.
    watches_refused: Counter;
    /// Memberships that ended.
    leaves: Counter;
    /// Publications times members that were not sent them, by their filters or their keys.
    filtered: Counter;
    /// Times that a filter decided; once for each publication and distinct filter of a shard.
    filters_asked: Counter;
    /// Publications that a newer one of the same key took the place of within an interval, once for
    /// each delivery group.
    conflated: Counter;
    /// Publications that slow members were not sent, each told to the host.
    lagged: Counter;
    /// Those of them for which the member was sent a newer one of the same key (policy `latest`).
    replaced: Counter;
    /// Publications that volatile members were not sent, because their sockets took nothing or to
    /// save memory.
    volatile_dropped: Counter;
    /// Connections given up as too slow.
    too_slow: Counter;
    /// Publications that slow members were sent from the history of their room (policy `replay`).
    replayed: Counter;
    /// Bytes that tapes hold now.
    tape_bytes: Gauge;
    /// Bytes that wait for single connections now.
    outbox_bytes: Gauge;
    /// Bytes of commands that wait for shards now.
    inbox_bytes: Gauge;
    /// Bytes of messages of peers that have not arrived whole.
    assembly_bytes: Gauge;
    /// Bytes that `memory_bytes_max` is for: tapes, outboxes, inboxes, messages in the making and,
    /// of the whole engine, untaken events, histories and presence.
    memory_bytes: Gauge;
    /// Connections closed with 1013 in the middle of a message, since `memory_bytes_max` was used
    /// up.
    memory_cut: Counter;
    /// Times that a shard went up the ladder of saving memory.
    memory_rungs_entered: Counter;
    /// Times that a shard went down the ladder of saving memory.
    memory_rungs_left: Counter;
    /// Shards that save memory by wider flush intervals.
    memory_widen: Gauge;
    /// Shards that send volatile members nothing, to save memory.
    memory_volatile_off: Gauge;
    /// Shards whose tapes may hold a quarter of `tape_bytes_max` only, to save memory.
    memory_short_tapes: Gauge;
    /// Shards that turn new connections away, to save memory.
    memory_no_connections: Gauge;
    /// Shards that take no publications, because `memory_bytes_max` is used up.
    memory_full: Gauge;
    /// Steps by which flush intervals are widened now, of all shards together.
    interval_steps: Gauge;
    /// Times that flush intervals were widened by a step because publications were late.
    intervals_widened: Counter;
    /// Times that flush intervals were narrowed by a step.
    intervals_narrowed: Counter;
    /// Bytes of the tables that hold connections now: sockets, readers, timers, addresses, rates,
    /// and two memberships of each, free places included. Neither what waits (`tape_bytes`,
    /// `outbox_bytes`), further memberships and the members of rooms, messages in the making, nor
    /// what the kernel keeps.
    connection_bytes: Gauge;
    /// Turns of the shards.
    turns: Counter;
    /// Nanoseconds in which shards were in a turn, without the wait.
    busy_ns: Counter;
    /// Nanoseconds of CPU that the shards' own threads took, a few milliseconds late; 0 where the
    /// host turns the engine.
    cpu_ns: Counter;
    /// Failures inside: a socket that could not be registered, a poller that failed, a callback
    /// that panicked. The log says which.
    errors: Counter;
    /// Reads put off because the host did not take its events or a peer its messages.
    reads_paused: Counter;
}

/// A number that one thread writes and any thread reads.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        if n > 0 {
            self.0
                .store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        }
    }

    pub(crate) fn set(&self, n: u64) {
        if self.0.load(Ordering::Relaxed) != n {
            self.0.store(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
