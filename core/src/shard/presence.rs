//! Notices of who came and who went: when each room's is due, and what is done then.
//!
//! In: rooms that somebody came to or left, from the router. Out: one publication for each room and
//! interval, made through the host's handle as any other. A room's notices are with one shard at a
//! time: that of the first change. None are made once a stop has begun. Shard thread.

use std::collections::BTreeMap;

use super::net::Net;
use super::{BEHIND, Shard};
use crate::error::Refused;
use crate::rooms::RoomState;
use crate::rooms::presence::{EVENT, Roster, Round};
use crate::sync::Arc;

/// Notices that one turn makes: rooms that changed together are told one after the other.
const NOTICES: usize = 32;
/// So many may wait before it is looked whether some are of rooms that have ended.
const WAITING_MIN: usize = 1_024;

/// Rooms with a notice to come, by the time when it is due.
#[derive(Default)]
pub(super) struct Notified {
    due: BTreeMap<u64, Vec<Arc<RoomState>>>,
    waiting: usize,
    /// Waiting ones that were there when those of ended rooms were let go of last.
    kept: usize,
}

impl Notified {
    /// When the next is due, in nanoseconds.
    pub(super) fn next_ns(&self) -> Option<u64> {
        let first = self.due.first_key_value();
        first.map(|(due_ms, _)| due_ms.saturating_mul(1_000_000))
    }

    fn push(&mut self, due_ms: u64, room: Arc<RoomState>) {
        if self.waiting >= 2 * self.kept.max(WAITING_MIN) {
            self.let_go_of_ended();
        }
        self.due.entry(due_ms).or_default().push(room);
        self.waiting += 1;
    }

    /// Rooms may come and end faster than their intervals do.
    fn let_go_of_ended(&mut self) {
        self.due.retain(|_, rooms| {
            rooms.retain(|room| !room.lock().is_dead());
            !rooms.is_empty()
        });
        self.waiting = self.due.values().map(Vec::len).sum();
        self.kept = self.waiting;
    }

    fn pop(&mut self, now_ms: u64) -> Option<Arc<RoomState>> {
        let mut first = self.due.first_entry().filter(|e| *e.key() <= now_ms)?;
        let room = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        self.waiting -= usize::from(room.is_some());
        room
    }
}

impl<N: Net> Shard<N> {
    fn now_ms(&self) -> u64 {
        self.now_ns / 1_000_000
    }

    /// Has rooms that changed in this turn notified at the end of their intervals.
    pub(super) fn schedule_notices(&mut self) {
        for room in self.router.take_to_notify() {
            if let Some(roster) = room.roster() {
                let due_ms = self.now_ms() + u64::from(roster.interval_ms());
                self.notified.push(due_ms, room);
            }
        }
    }

    /// Makes the notices that are due.
    pub(super) fn notify_rooms(&mut self) {
        if self.notified.due.is_empty() {
            return;
        }
        if self.shared.is_stopping() {
            self.notified = Notified::default();
            return;
        }
        // What was to be written before comes first: each of these adds to it.
        let most = if self.unflushed { BEHIND } else { NOTICES };
        for _ in 0..most {
            let Some(room) = self.notified.pop(self.now_ms()) else {
                return;
            };
            if let Some(roster) = room.roster() {
                self.notify(&room, roster);
                if roster.finish() {
                    let due_ms = self.now_ms() + u64::from(roster.interval_ms());
                    self.notified.push(due_ms, room);
                }
            }
        }
    }

    fn notify(&self, room: &RoomState, roster: &Roster) {
        let counters = &self.shared.counters[self.me];
        let limits = &self.shared.limits;
        let changes = match roster.end_round(limits.presence_notice_members_max) {
            Round::Quiet => return,
            Round::Crowded => return counters.presence_passed.add(1),
            Round::Changed(changes) => changes,
        };
        let bytes_max = limits.publication_bytes_max.saturating_sub(EVENT.len());
        let notice = changes.text(room.name(), bytes_max);
        let epoch = room.lock().position().epoch;
        match self.host.on_presence(room.name(), epoch, &notice) {
            Ok(()) => counters.presence_notices.add(1),
            Err(Refused::Behind | Refused::Overloaded) => roster.put_back(changes),
            Err(_) => {}
        }
    }
}
