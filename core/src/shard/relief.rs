//! Relief: what a shard does at the end of a turn about lateness and memory.
//!
//! In: how late publications were and what is held. Out: wider intervals, and the rungs of saving
//! memory, as the ladder says. Shard thread.

use std::time::Duration;

use super::ladder::{self, Change, Rung};
use super::net::Net;
use super::shared::Ask;
use super::{ASKS_KEPT_SAVING, Shard, Told, What};
use crate::delivery::SharedTracker;

/// While something is widened or saved, a shard without work looks so often whether it still must.
const LOOK: Duration = Duration::from_millis(50);
/// The least between two lines of the log about it.
const WARN_NS: u64 = 10_000_000_000;
/// Steps by which intervals are widened to save memory.
const MEMORY_STEPS: u32 = 2;

impl<N: Net> Shard<N> {
    /// Judges this turn, and changes what follows from it.
    pub(super) fn relieve(&mut self, began: u64) {
        if let Some(late_ns) = self.late_ns.take() {
            let took_ns = self.ended_ns.saturating_sub(began);
            self.pressure.on_late(late_ns.max(took_ns));
        }
        let change = self.pressure.judge(self.ended_ns);
        let rung = self.weigh();
        if change.is_some() || rung != self.rung {
            self.apply(change, rung);
        }
        let is_full = self.router.outbound.is_full() || self.rung == Rung::Full;
        self.shared.inboxes[self.me].set_full(is_full);
    }

    /// What this shard holds of what the budget is for, and the rung that the engine is on.
    fn weigh(&mut self) -> Rung {
        let outbound = &self.router.outbound;
        let held = outbound.tape_bytes() + outbound.private_bytes() + self.assembly_bytes;
        // Both of the vectors that the inbox swaps are about as large, and some places are there
        // always.
        let places = self.asks.capacity().saturating_sub(ASKS_KEPT_SAVING);
        let places = 2 * places * size_of::<Ask>();
        let held = held + places + self.shared.inboxes[self.me].bytes();
        let held = held + self.net.buffered_bytes();
        let counters = &self.shared.counters[self.me];
        counters.assembly_bytes.set(self.assembly_bytes as u64);
        counters.memory_bytes.set(held as u64);
        let used = self.shared.weigh(self.me, held);
        ladder::rung(self.rung, used, self.shared.limits.memory_bytes_max)
    }

    fn apply(&mut self, change: Option<Change>, rung: Rung) {
        let counters = &self.shared.counters[self.me];
        match change {
            Some(Change::Widened) => counters.intervals_widened.add(1),
            Some(Change::Narrowed) => counters.intervals_narrowed.add(1),
            None => {}
        }
        if rung > self.rung {
            counters.memory_rungs_entered.add(1);
            // It may go up and down many times a second.
            if self.warned_ns == 0 || self.ended_ns - self.warned_ns > WARN_NS {
                self.warned_ns = self.ended_ns;
                tracing::warn!(target: "roomcast", ?rung,
                    "the engine saves memory; memory_bytes_max is its budget");
            }
        } else if rung < self.rung {
            counters.memory_rungs_left.add(1);
        }
        self.rung = rung;
        let is = |least: Rung| u64::from(rung >= least);
        counters.memory_widen.set(is(Rung::Widen));
        counters.memory_volatile_off.set(is(Rung::VolatileOff));
        counters.memory_short_tapes.set(is(Rung::ShortTapes));
        counters.memory_no_connections.set(is(Rung::NoConnections));
        counters.memory_full.set(is(Rung::Full));
        let saving = if rung >= Rung::Widen { MEMORY_STEPS } else { 0 };
        let steps = self.pressure.steps() + saving;
        counters.interval_steps.set(steps.into());
        let outbound = &mut self.router.outbound;
        outbound.set_steps(steps);
        let (off, short) = (rung >= Rung::VolatileOff, rung >= Rung::ShortTapes);
        outbound.save_memory(rung >= Rung::Widen, off, short);
        self.take_notices();
    }

    /// How soon the shard is to look again though nothing comes.
    pub(super) fn look_again(&self) -> Option<Duration> {
        (self.rung != Rung::Ground || !self.pressure.is_settled()).then_some(LOOK)
    }

    /// Tells the host what became of a tracked publication.
    pub(super) fn report_on(&mut self, tracker: SharedTracker) {
        let what = What::Delivered(tracker);
        self.told.push(Told { slot: 0, what });
    }
}
