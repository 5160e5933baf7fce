//! Counters of the engine, one set per shard, and the snapshot of all of them.
//!
//! Each shard adds to its own set once a turn, so that the walk over members counts in plain
//! integers; anybody reads at any time. Rank 0.

use crate::close;
use crate::sync::{AtomicU64, Ordering};

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Counter,
    Gauge,
}

/// Two buckets for each power of two of nanoseconds, from 1 us up to 68 s.
const BUCKETS: usize = 54;

/// Durations, in buckets of a factor of 1.5 at most.
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_ns: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            sum_ns: Counter::default(),
        }
    }
}

fn bucket(ns: u64) -> usize {
    let ns = ns.max(1024);
    let power = 63 - ns.leading_zeros() as usize;
    let half = (ns >> (power - 1)) as usize & 1;
    ((power - 10) * 2 + half).min(BUCKETS - 1)
}

fn upper_ns(bucket: usize) -> u64 {
    let base = 1u64 << (bucket / 2 + 10);
    base + base / 2 * (bucket as u64 % 2 + 1)
}

impl Histogram {
    pub(crate) fn record(&self, ns: u64) {
        let cell = &self.counts[bucket(ns)];
        cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.sum_ns.add(ns);
    }
}

/// How long something took, counted in buckets whose bounds grow by a factor of 1.5 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    counts: Vec<u64>,
    sum_ns: u64,
}

impl Durations {
    fn add(&mut self, histogram: &Histogram) {
        self.counts.resize(BUCKETS, 0);
        for (sum, cell) in self.counts.iter_mut().zip(&histogram.counts) {
            *sum += cell.load(Ordering::Relaxed);
        }
        self.sum_ns += histogram.sum_ns.load();
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in nanoseconds.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// An upper bound in nanoseconds of the duration below which this share (0 to 1) of them lie;
    /// 0 when nothing was recorded.
    #[must_use]
    pub fn quantile_ns(&self, share: f64) -> u64 {
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (i, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= rank && seen > 0 {
                return upper_ns(i);
            }
        }
        0
    }

    /// Upper bounds in nanoseconds, ascending, and how many were recorded below each and above the
    /// one before; empty ones are left out.
    #[must_use]
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let counts = self.counts.iter().copied().enumerate();
        let filled = counts.filter(|(_, count)| *count > 0);
        filled.map(|(i, count)| (upper_ns(i), count)).collect()
    }

    /// What was recorded since an earlier snapshot.
    #[must_use]
    pub fn since(&self, earlier: &Durations) -> Durations {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        Durations {
            counts: self.counts.iter().zip(before).map(|(n, b)| n - b).collect(),
            sum_ns: self.sum_ns - earlier.sum_ns,
        }
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident: $form:ident;)+) => {
        /// The counters of one shard. Only its own thread writes, so an addition is not atomic.
        #[derive(Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
            pub(crate) closed: [Counter; close::NAMES.len()],
            pub(crate) turn: Histogram,
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
            /// Connections that ended, by reason.
            pub closed: Vec<(&'static str, u64)>,
            /// How long turns took, without the wait.
            pub turn: Durations,
            /// From `publish` until the last member in step had been offered the publication; one
            /// sample a sweep, of its oldest publication.
            pub publish_to_flush: Durations,
            /// The same, of rooms with at most 64 members on their shard only: what a large room
            /// adds to their latency shows here.
            pub publish_to_flush_small: Durations,
        }

        /// The forms of the plain figures.
        pub(crate) const FORMS: &[Form] = &[$(Form::$form,)+ Form::Gauge, Form::Counter];

        impl Snapshot {
            /// Names of the plain figures, in the order of [`Snapshot::figures`].
            pub const NAMES: &'static [&'static str] =
                &[$(stringify!($name),)+ "rooms", "refused"];

            /// What each of them is: the text of its field's documentation.
            pub const TEXTS: &'static [&'static str] = &[
                $(concat!($($doc),+),)+
                " Rooms that exist.",
                " Publications and messages that were refused, by any handle.",
            ];

            pub(crate) fn of<'a>(shards: impl Iterator<Item = &'a Counters>) -> Self {
                let mut all = Snapshot::default();
                all.closed = close::NAMES.iter().map(|n| (*n, 0)).collect();
                for shard in shards {
                    $(all.$name += shard.$name.load();)+
                    for ((_, sum), n) in all.closed.iter_mut().zip(&shard.closed) {
                        *sum += n.load();
                    }
                    all.turn.add(&shard.turn);
                    all.publish_to_flush.add(&shard.publish_to_flush);
                    all.publish_to_flush_small.add(&shard.publish_to_flush_small);
                }
                all
            }

            /// Name and value of every plain figure, for whoever shows them.
            #[must_use]
            pub fn figures(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+
                    ("rooms", self.rooms), ("refused", self.refused)]
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
    /// Sockets answered with 503 because of `connections_max`.
    rejected_full: Counter;
    /// Sockets answered with 429 because of `address_connections_max`.
    rejected_address: Counter;
    /// Connections turned away with 429 (or, adopted when they were open, closed with 1008)
    /// because of `user_connections_max`.
    rejected_user: Counter;
    /// Requests answered with an error status.
    rejected_http: Counter;
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
    /// Memberships that began.
    joins: Counter;
    /// Memberships that ended.
    leaves: Counter;
    /// Publications that members jumped over under the policy `skip`.
    lagged: Counter;
    /// Connections given up as too slow.
    too_slow: Counter;
    /// Bytes that tapes hold now.
    tape_bytes: Gauge;
    /// Bytes that wait for single connections now.
    outbox_bytes: Gauge;
    /// Bytes of commands that wait for shards now.
    inbox_bytes: Gauge;
    /// Turns of the shards.
    turns: Counter;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_ordered_and_bound_what_they_hold() {
        let mut last = 0;
        for ns in [
            1,
            1024,
            1500,
            1536,
            2047,
            2048,
            1_000_000,
            50_000_000_000,
            u64::MAX,
        ] {
            let b = bucket(ns);
            assert!(b >= last, "{ns}");
            assert!(ns > 60_000_000_000 || upper_ns(b) >= ns, "{ns}");
            assert!(upper_ns(b) as f64 <= (ns.max(1024) as f64) * 1.51 || ns > 60_000_000_000);
            last = b;
        }
    }

    #[test]
    fn quantiles_count() {
        let histogram = Histogram::default();
        for i in 0..100 {
            histogram.record(if i < 99 { 10_000 } else { 10_000_000 });
        }
        let mut all = Durations::default();
        all.add(&histogram);
        assert_eq!(all.count(), 100);
        assert_eq!(all.sum_ns(), 99 * 10_000 + 10_000_000);
        assert!(all.quantile_ns(0.5) < 20_000);
        assert!(all.quantile_ns(1.0) >= 10_000_000);
        assert_eq!(all.since(&all.clone()).count(), 0);
        let buckets = all.buckets();
        assert_eq!((buckets.len(), buckets[0].1, buckets[1].1), (2, 99, 1));
        assert!(buckets[0].0 >= 10_000 && buckets[1].0 >= 10_000_000);
    }
}
