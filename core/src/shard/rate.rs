//! Rates: so many a second, with a burst, for what is accepted and for what each peer says.
//!
//! In: one more, and the time. Out: whether it may be. A bucket of tokens is one number, the time
//! at which it is full again, and peers have one only where the host has set `message_rate_max`.
//! Knows no clock. Shard thread.

use super::conns::{AWAITED, CUT, Phase, place};
use super::net::Net;
use super::{Shard, Told, What};
use crate::close::CloseReason;
use crate::config::{Limits, MessageRatePolicy};
use crate::outbound::frame::Frame;
use crate::transport::ws::{self, Item};

/// The name of the limit, as it is told to peers and to the host.
const MESSAGES: &str = "message_rate_max";
const SECOND_NS: u64 = 1_000_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    every_ns: u64,
    /// From empty to full.
    full_ns: u64,
}

/// When the bucket is full (again), in nanoseconds of the engine's clock.
#[derive(Clone, Copy, Default)]
pub(super) struct Bucket(u64);

impl Rate {
    /// So many a second; a burst of 0 means a second's worth. None for no such limit.
    pub(super) fn new(per_second: u32, burst: u32) -> Option<Rate> {
        let burst = if burst == 0 { per_second } else { burst };
        let every_ns = SECOND_NS.checked_div(u64::from(per_second))?.max(1);
        let full_ns = every_ns.saturating_mul(u64::from(burst));
        Some(Rate { every_ns, full_ns })
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self, bucket: &mut Bucket, now_ns: u64) -> bool {
        let full = bucket.0.max(now_ns) + self.every_ns;
        let may = full - now_ns <= self.full_ns;
        if may {
            bucket.0 = full;
        }
        may
    }

    /// Nanoseconds until there is a token again.
    pub(super) fn wait_ns(&self, bucket: Bucket, now_ns: u64) -> u64 {
        let full = bucket.0.max(now_ns) + self.every_ns;
        (full - now_ns).saturating_sub(self.full_ns)
    }
}

/// What the peers of a shard say, where it is limited.
pub(super) struct Rates {
    messages: Rate,
    policy: MessageRatePolicy,
    /// By slot.
    peers: Vec<Peer>,
}

/// What is known of one connection.
#[derive(Clone, Default)]
struct Peer {
    bucket: Bucket,
    /// Since when it is not read from for our own reasons, in milliseconds of the clock; 0: it is.
    unread_ms: u32,
    /// For how long it was not: what it said meanwhile comes all at once and is not its fault.
    credit_us: u32,
}

impl Rates {
    pub(super) fn new(limits: &Limits, policy: MessageRatePolicy) -> Option<Rates> {
        let messages = Rate::new(limits.message_rate_max, limits.message_burst_max)?;
        Some(Rates {
            messages,
            policy,
            peers: Vec::new(),
        })
    }

    /// A connection came to be in this slot.
    pub(super) fn begin(&mut self, slot: u32) {
        *place(&mut self.peers, slot) = Peer::default();
    }

    /// The connection is not read from until further notice.
    pub(super) fn pause(&mut self, slot: u32, now_ns: u64) {
        let peer = place(&mut self.peers, slot);
        if peer.unread_ms == 0 {
            peer.unread_ms = ((now_ns / 1_000_000) as u32).max(1);
        }
    }

    /// It is read from again.
    pub(super) fn resume(&mut self, slot: u32, now_ns: u64) {
        let peer = place(&mut self.peers, slot);
        let since = std::mem::take(&mut peer.unread_ms);
        if since != 0 {
            let ms = ((now_ns / 1_000_000) as u32).saturating_sub(since);
            peer.credit_us = peer.credit_us.saturating_add(ms.saturating_mul(1_000));
        }
    }

    /// Nothing of it is left in the kernel: what it says from now on, it says now.
    pub(super) fn catch_up(&mut self, slot: u32) {
        place(&mut self.peers, slot).credit_us = 0;
    }

    fn take(&mut self, slot: u32, now_ns: u64) -> bool {
        let peer = place(&mut self.peers, slot);
        if self.messages.take(&mut peer.bucket, now_ns) {
            return true;
        }
        let every_us = (self.messages.every_ns / 1_000).clamp(1, u64::from(u32::MAX));
        let left = peer.credit_us.checked_sub(every_us as u32);
        peer.credit_us = left.unwrap_or(peer.credit_us);
        left.is_some()
    }

    /// Bytes that is kept of peers.
    pub(super) fn bytes(&self) -> usize {
        self.peers.capacity() * size_of::<Peer>()
    }
}

impl<N: Net> Shard<N> {
    /// Whether the peer may say this now. What is over its rate is counted and goes no further;
    /// under the policy `Close` the connection ends, behind what the host does about the messages
    /// before. A close frame may always be said, and so may the answer to a ping of ours.
    pub(super) fn may_say(&mut self, slot: u32, item: &Item) -> bool {
        let Some(rates) = &mut self.rates else {
            return true;
        };
        let conn = &mut self.conns.all[slot as usize];
        if conn.phase != Phase::Open || matches!(item, Item::Close { .. }) {
            return true;
        }
        if conn.is(CUT) {
            return false;
        }
        if matches!(item, Item::Pong(_)) && conn.is(AWAITED) {
            conn.flags &= !AWAITED;
            return true;
        }
        if rates.take(slot, self.now_ns) {
            return true;
        }
        self.shared.counters[self.me].messages_refused.add(1);
        if rates.policy == MessageRatePolicy::Close {
            conn.flags |= CUT;
            let reason = CloseReason::Limit { name: MESSAGES };
            let frame = Frame::new(&[], &ws::close_frame(reason.code(), MESSAGES));
            let what = What::Ended(Some(Box::new((reason, frame))));
            self.told.push(Told { slot, what });
        }
        false
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let rate = Rate::new(10, 3).unwrap();
        let mut bucket = Bucket::default();
        let now = 5 * SECOND_NS;
        let taken = (0..9).filter(|_| rate.take(&mut bucket, now)).count();
        assert_eq!(taken, 3);
        let wait = rate.wait_ns(bucket, now);
        assert_eq!(wait, SECOND_NS / 10);
        assert!(!rate.take(&mut bucket, now + wait - 1));
        assert!(rate.take(&mut bucket, now + wait));
        assert!(!rate.take(&mut bucket, now + wait));
    }

    #[test]
    fn over_a_long_time_it_is_the_rate() {
        for (per_second, burst) in [(1, 1), (7, 0), (1_000, 10), (50_000, 0)] {
            let rate = Rate::new(per_second, burst).unwrap();
            let mut bucket = Bucket::default();
            let tries = (0..10_000_000u64).map(|i| i * 1_000);
            let taken = tries.filter(|now| rate.take(&mut bucket, *now)).count() as f64;
            let burst = if burst == 0 { per_second } else { burst };
            let most = f64::from(per_second) * 10.0 + f64::from(burst);
            assert!(
                taken <= most && taken > most * 0.98 - 1.0,
                "{per_second}: {taken}"
            );
        }
    }

    #[test]
    fn silence_fills_no_more_than_the_burst() {
        let rate = Rate::new(1_000, 5).unwrap();
        let mut bucket = Bucket::default();
        assert!(rate.take(&mut bucket, 0));
        let later = 3_600 * SECOND_NS;
        let taken = (0..99).filter(|_| rate.take(&mut bucket, later)).count();
        assert_eq!(taken, 5);
    }

    #[test]
    fn what_was_said_while_nobody_listened_is_credited_and_no_more() {
        let limits = Limits {
            message_rate_max: 10,
            message_burst_max: 10,
            ..Limits::default()
        };
        let mut rates = Rates::new(&limits, MessageRatePolicy::Refuse).unwrap();
        rates.begin(3);
        let said = |rates: &mut Rates, at_ns| (0..999).filter(|_| rates.take(3, at_ns)).count();
        assert_eq!(said(&mut rates, SECOND_NS), 10);
        rates.pause(3, SECOND_NS);
        rates.pause(3, 2 * SECOND_NS);
        rates.resume(3, 4 * SECOND_NS);
        rates.resume(3, 9 * SECOND_NS);
        // A burst, and three seconds of ten.
        assert_eq!(said(&mut rates, 9 * SECOND_NS), 40);
        assert_eq!(said(&mut rates, 9 * SECOND_NS + SECOND_NS / 10), 1);
        rates.pause(3, 10 * SECOND_NS);
        rates.resume(3, 15 * SECOND_NS);
        rates.catch_up(3);
        assert_eq!(said(&mut rates, 15 * SECOND_NS), 10);
        rates.pause(3, 16 * SECOND_NS);
        rates.begin(3);
        assert_eq!(said(&mut rates, 21 * SECOND_NS), 10, "another connection");
    }

    #[test]
    fn no_rate_is_no_limit_and_the_highest_rates_do_not_overflow() {
        assert!(Rate::new(0, 7).is_none());
        let rate = Rate::new(u32::MAX, u32::MAX).unwrap();
        let mut bucket = Bucket::default();
        assert!(rate.take(&mut bucket, u64::MAX / 2));
        let slow = Rate::new(1, u32::MAX).unwrap();
        assert!(slow.take(&mut bucket, u64::MAX / 2));
    }
}
