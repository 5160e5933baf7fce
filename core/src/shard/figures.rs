//! Figures that are taken now and then instead of each turn: CPU time, and what connections weigh.
//!
//! In: the time. Out: counters set. Asking for them costs a system call, so it is done when enough
//! time has passed, and before a sleep after which they might be asked for. Shard thread.

use std::time::Duration;

use super::Shard;
use super::net::Net;

/// A sleep before which they are taken once more.
pub(super) const LONG: Duration = Duration::from_millis(10);
const EACH_NS: u64 = 10_000_000;
/// The least between two takings, whatever the shard does.
const LEAST_NS: u64 = 1_000_000;

impl<N: Net> Shard<N> {
    /// Takes them if it is time to. `own`: on a thread of the engine's.
    pub(super) fn sample(&mut self, own: bool) {
        if self.ended_ns - self.sampled_ns >= EACH_NS {
            self.take_sample(own);
        }
    }

    pub(super) fn sample_before_sleep(&mut self) {
        if self.ended_ns - self.sampled_ns >= LEAST_NS {
            self.take_sample(true);
        }
    }

    fn take_sample(&mut self, own: bool) {
        self.sampled_ns = self.ended_ns;
        let counters = &self.shared.counters[self.me];
        if own {
            // On the host's thread it would be the host's.
            counters.cpu_ns.set(self.net.cpu_ns());
        }
        let rates = self.rates.as_ref().map_or(0, |rates| rates.bytes());
        let addresses = self.addresses.capacity() * size_of::<Option<std::net::IpAddr>>();
        let own = self.conns.bytes() + self.wheel.bytes() + addresses + rates;
        let bytes = own + self.router.bytes() + self.net.session_bytes();
        counters.connection_bytes.set(bytes as u64);
    }
}
