//! The inbox of a shard: what every other thread asks of it, in order, and the wake-up.
//!
//! In: commands from any thread. Out: all of them at once, to the shard, once a turn. The queue is
//! swapped under a short lock and worked on outside it; a shard that is awake is not woken. Knows
//! neither commands nor pollers.

use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

/// Ends the wait of a sleeping shard.
pub(crate) trait Wake: Send + Sync {
    fn wake(&self);
}

pub(crate) struct Inbox<C> {
    queue: Mutex<Vec<C>>,
    /// Bytes of the payloads that wait, counted by those who push.
    bytes: AtomicUsize,
    asleep: AtomicBool,
    /// Set by the shard when its tapes are full.
    full: AtomicBool,
    waker: Box<dyn Wake>,
}

impl<C> Inbox<C> {
    pub(crate) fn new(waker: Box<dyn Wake>) -> Self {
        Inbox {
            queue: Mutex::new(Vec::new()),
            bytes: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            full: AtomicBool::new(false),
            waker,
        }
    }

    /// Adds a command whose payload has so many bytes; `rouse` must follow, once for any number
    /// of pushes and with no lock held.
    pub(crate) fn push(&self, command: C, bytes: usize) {
        if bytes > 0 {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        self.queue.lock().push(command);
    }

    /// Wakes the shard if it sleeps.
    pub(crate) fn rouse(&self) {
        // The lock around the push orders this load after the shard's last look at the queue.
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    /// Takes everything, by exchange with an empty vector.
    pub(crate) fn take(&self, empty: &mut Vec<C>) {
        debug_assert!(empty.is_empty());
        std::mem::swap(&mut *self.queue.lock(), empty);
    }

    /// Gives back the bytes of commands that were worked on.
    pub(crate) fn on_done(&self, bytes: usize) {
        if bytes > 0 {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// The shard is about to sleep: true when it may. From then on a push wakes it.
    pub(crate) fn may_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        let empty = self.queue.lock().is_empty();
        if !empty {
            self.asleep.store(false, Ordering::Relaxed);
        }
        empty
    }

    /// The shard is awake.
    pub(crate) fn on_awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Bytes of payloads that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_full(&self, full: bool) {
        if self.full.load(Ordering::Relaxed) != full {
            self.full.store(full, Ordering::Relaxed);
        }
    }

    /// Whether the shard takes no more publications.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
}
