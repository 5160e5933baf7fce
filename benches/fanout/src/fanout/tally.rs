//! What the generator counts: what was lost, doubled or out of order, and samples of CPU clocks.
//! In go events, out come `key=value` pairs. Must never know sockets.

use std::collections::{BTreeMap, HashSet};

use roomcast_fanout::clocks::{CpuClock, Softirq, machine_busy_ns, now_ns, user_ns};

/// A run's results by name.
pub type Results = BTreeMap<String, f64>;

/// What a reader did not get exactly once and in order.
#[derive(Default)]
pub struct Faults {
    missing: HashSet<(u32, u32, u32)>,
    pub lost: u64,
    pub doubled: u64,
    pub reordered: u64,
    pub closed: u64,
}

impl Faults {
    /// Member `who` got number `got` of `room` where `expected` was due; returns the next one due.
    #[cold]
    pub fn judge(&mut self, who: u32, room: u32, expected: u32, got: u32) -> u32 {
        if got > expected {
            self.lost += u64::from(got - expected);
            self.missing
                .extend((expected..got).map(|number| (who, room, number)));
            return got + 1;
        }
        if self.missing.remove(&(who, room, got)) {
            self.lost -= 1;
            self.reordered += 1;
        } else {
            self.doubled += 1;
        }
        expected
    }

    pub fn report(&self, results: &mut Results) {
        for (name, count) in [
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("reordered", self.reordered),
            ("closed", self.closed),
        ] {
            results.insert(name.into(), count as f64);
        }
    }
}

/// The clocks that a window is measured with.
pub struct Meter {
    pid: u32,
    server: CpuClock,
    softirq: Softirq,
    cores: [usize; 2],
}

#[derive(Clone, Copy, Default)]
pub struct Sample {
    at_ns: u64,
    server_ns: u64,
    user_ns: u64,
    soft_ns: [u64; 2],
    own_ns: u64,
    machine_ns: u64,
}

impl Meter {
    /// `cores`: the server's and our own.
    pub fn new(pid: u32, cores: [usize; 2]) -> std::io::Result<Self> {
        Ok(Self {
            pid,
            server: CpuClock::of(pid)?,
            softirq: Softirq::find(),
            cores,
        })
    }

    pub fn sample(&self) -> Sample {
        Sample {
            at_ns: now_ns(),
            server_ns: self.server.read(),
            user_ns: user_ns(self.pid),
            soft_ns: self.cores.map(|core| self.softirq.read(core)),
            own_ns: CpuClock::own().read(),
            machine_ns: machine_busy_ns(),
        }
    }
}

impl Sample {
    /// Adds what passed since `start` to what earlier windows reported.
    pub fn report_since(&self, start: &Sample, results: &mut Results) {
        for (name, from, to) in [
            ("wall_ns", start.at_ns, self.at_ns),
            ("server_ns", start.server_ns, self.server_ns),
            ("user_ns", start.user_ns, self.user_ns),
            ("soft_server_ns", start.soft_ns[0], self.soft_ns[0]),
            ("soft_own_ns", start.soft_ns[1], self.soft_ns[1]),
            ("own_ns", start.own_ns, self.own_ns),
            ("machine_ns", start.machine_ns, self.machine_ns),
        ] {
            *results.entry(name.into()).or_default() += to.saturating_sub(from) as f64;
        }
    }
}

/// CPU that neither the server nor we used, in cores: what else ran on the machine.
pub fn foreign_cores(results: &Results) -> f64 {
    let known = ["server_ns", "soft_server_ns", "soft_own_ns", "own_ns"];
    let known: f64 = known.iter().map(|name| results[*name]).sum();
    (results["machine_ns"] - known).max(0.0) / results["wall_ns"]
}

/// The server's CPU in a window, ksoftirqd of its core included.
pub fn server_cpu_ns(results: &Results) -> f64 {
    results["server_ns"] + results["soft_server_ns"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_message_is_reordered_and_a_second_one_doubled() {
        let mut faults = Faults::default();
        assert_eq!(faults.judge(0, 0, 3, 5), 6);
        assert_eq!((faults.lost, faults.reordered, faults.doubled), (2, 0, 0));
        assert_eq!(faults.judge(0, 0, 6, 4), 6);
        assert_eq!((faults.lost, faults.reordered, faults.doubled), (1, 1, 0));
        assert_eq!(faults.judge(0, 0, 6, 4), 6);
        assert_eq!((faults.lost, faults.reordered, faults.doubled), (1, 1, 1));
    }
}
