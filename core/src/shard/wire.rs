//! The sockets of a shard as outbound writes to them.
//!
//! In: a slot and bytes. Out: how many the socket took. Would-block is a value here, not an error.
//! Shard thread.

use std::io::{self, IoSlice};

use super::net::Net;
use crate::metrics::Counters;
use crate::outbound::{Wire, Wrote};

pub(super) struct Sockets<'a, N: Net> {
    pub(super) net: &'a mut N,
    pub(super) sockets: &'a mut [Option<N::Socket>],
    pub(super) counters: &'a Counters,
    /// How late a sweep came to its end, at most, in this turn.
    pub(super) late_ns: &'a mut Option<u64>,
}

impl<N: Net> Sockets<'_, N> {
    #[inline(always)]
    fn wrote(result: io::Result<usize>) -> Wrote {
        match result {
            Ok(n) => Wrote::Bytes(n),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Wrote::Bytes(0),
            Err(_) => Wrote::Failed,
        }
    }
}

impl<N: Net> Wire for Sockets<'_, N> {
    // The walk over members is this call; left to itself, some builds do not inline it.
    #[inline(always)]
    fn write(&mut self, slot: u32, bytes: &[u8]) -> Wrote {
        let Some(socket) = &mut self.sockets[slot as usize] else {
            return Wrote::Failed;
        };
        loop {
            match self.net.write(socket, bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Self::wrote(result),
            }
        }
    }

    fn write_slices(&mut self, slot: u32, slices: &[IoSlice<'_>]) -> Wrote {
        let Some(socket) = &mut self.sockets[slot as usize] else {
            return Wrote::Failed;
        };
        loop {
            match self.net.write_slices(socket, slices) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Self::wrote(result),
            }
        }
    }

    fn warm(&self, slot: u32) {
        std::hint::black_box(self.sockets.get(slot as usize).is_some_and(Option::is_some));
    }

    fn now_ns(&mut self) -> u64 {
        self.net.now_ns()
    }

    fn on_sweep(&mut self, since_ns: u64, interval_ns: u64, small: bool) {
        let took = self.net.now_ns().saturating_sub(since_ns);
        let late = took.saturating_sub(interval_ns);
        *self.late_ns = (*self.late_ns).max(Some(late));
        self.counters.publish_to_flush.record(took);
        if small {
            self.counters.publish_to_flush_small.record(took);
        }
    }
}
