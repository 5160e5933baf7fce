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

/// Apart from its neighbours in memory: each is written by every thread.
#[repr(align(128))]
pub(crate) struct Inbox<C> {
    /// None once the shard has ended: what comes after is dropped.
    queue: Mutex<Option<Vec<C>>>,
    /// Bytes of the payloads that wait, counted by those who push.
    bytes: AtomicUsize,
    asleep: AtomicBool,
    /// The sleep is a short one, whatever happens.
    dozing: AtomicBool,
    /// Set by the shard when its tapes are full.
    full: AtomicBool,
    waker: Box<dyn Wake>,
}

impl<C> Inbox<C> {
    pub(crate) fn new(waker: Box<dyn Wake>) -> Self {
        Inbox {
            queue: Mutex::new(Some(Vec::new())),
            bytes: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            dozing: AtomicBool::new(false),
            full: AtomicBool::new(false),
            waker,
        }
    }

    /// Adds a command whose payload has so many bytes; `rouse` must follow, once for any number
    /// of pushes and with no lock held. False when the shard has ended: it is dropped.
    pub(crate) fn push(&self, command: C, bytes: usize) -> bool {
        let mut queue = self.queue.lock();
        let Some(queue) = &mut *queue else {
            return false;
        };
        if bytes > 0 {
            // Here, so that what is dropped is not counted.
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        queue.push(command);
        true
    }

    /// The shard has ended: gives what waits, and takes nothing more.
    pub(crate) fn end(&self) -> Vec<C> {
        self.queue.lock().take().unwrap_or_default()
    }

    /// Wakes the shard if it sleeps.
    pub(crate) fn rouse(&self) {
        // The lock around the push orders this load after the shard's last look at the queue.
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    /// Wakes the shard if it sleeps for longer than a moment.
    pub(crate) fn rouse_from_sleep(&self) {
        if !self.dozing.load(Ordering::Relaxed) {
            self.rouse();
        }
    }

    /// Whether the shard's next sleep will be a short one. To be said before `may_sleep`, through
    /// whose lock everybody who pushes later sees it.
    pub(crate) fn set_dozing(&self, dozing: bool) {
        self.dozing.store(dozing, Ordering::Relaxed);
    }

    /// Wakes whoever sleeps on the shard's poller, though there is nothing to do.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    /// Takes everything, by exchange with an empty vector.
    pub(crate) fn take(&self, empty: &mut Vec<C>) {
        debug_assert!(empty.is_empty());
        if let Some(queue) = &mut *self.queue.lock() {
            std::mem::swap(queue, empty);
        }
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
        let empty = self.queue.lock().as_ref().is_none_or(Vec::is_empty);
        if !empty {
            self.asleep.store(false, Ordering::Relaxed);
        }
        empty
    }

    /// The shard is about to sleep shortly, though something waits.
    pub(crate) fn doze(&self) {
        self.asleep.store(true, Ordering::SeqCst);
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Silent;

    impl Wake for Silent {
        fn wake(&self) {}
    }

    #[test]
    fn nothing_stays_in_the_inbox_of_a_shard_that_has_ended() {
        let inbox = Inbox::new(Box::new(Silent));
        let socket = Arc::new(());
        assert!(inbox.push(socket.clone(), 0));
        assert_eq!(inbox.end().len(), 1);
        assert!(!inbox.push(socket.clone(), 0), "it is told");
        assert!(!inbox.push(socket.clone(), 9));
        assert_eq!(Arc::strong_count(&socket), 1, "and dropped");
        assert_eq!(inbox.bytes(), 0, "and not counted");
        assert!(inbox.may_sleep() && inbox.end().is_empty());
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::sync::atomic::{AtomicBool as Flag, Ordering};
    use loom::thread;
    use std::sync::Arc;

    struct Bell(Arc<Flag>);

    impl Wake for Bell {
        fn wake(&self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// A shard that may sleep is woken by whatever is pushed after its last look.
    #[test]
    fn loom_no_wake_up_is_lost() {
        loom::model(|| {
            let bell = Arc::new(Flag::new(false));
            let inbox = Arc::new(Inbox::new(Box::new(Bell(bell.clone()))));
            let publisher = {
                let inbox = inbox.clone();
                thread::spawn(move || {
                    inbox.push(1u32, 0);
                    inbox.rouse();
                })
            };
            let sleeps = inbox.may_sleep();
            publisher.join().expect("the publisher ends");
            let mut taken = Vec::new();
            inbox.take(&mut taken);
            assert_eq!(taken, [1]);
            if sleeps {
                assert!(
                    bell.load(Ordering::SeqCst),
                    "asleep with a command and no wake-up"
                );
            }
        });
    }

    /// A corked push wakes a shard that sleeps, unless its last word was that it only dozes.
    #[test]
    fn loom_a_corked_push_waits_for_a_dozing_shard_only() {
        loom::model(|| {
            let bell = Arc::new(Flag::new(false));
            let inbox = Arc::new(Inbox::new(Box::new(Bell(bell.clone()))));
            // It has dozed before, and now goes to sleep for long.
            inbox.set_dozing(true);
            let publisher = {
                let inbox = inbox.clone();
                thread::spawn(move || {
                    inbox.push(1u32, 0);
                    inbox.rouse_from_sleep();
                })
            };
            inbox.set_dozing(false);
            let sleeps = inbox.may_sleep();
            publisher.join().expect("the publisher ends");
            if sleeps {
                assert!(
                    bell.load(Ordering::SeqCst),
                    "asleep for long, and not woken"
                );
            }
        });
    }

    /// Two publishers: nothing is lost, and each one's commands keep their order.
    #[test]
    fn loom_commands_keep_their_order() {
        loom::model(|| {
            let bell = Arc::new(Flag::new(false));
            let inbox = Arc::new(Inbox::new(Box::new(Bell(bell))));
            let publish = |from: u32| {
                let inbox = inbox.clone();
                thread::spawn(move || {
                    inbox.push(from, 8);
                    inbox.push(from + 1, 8);
                    inbox.rouse();
                })
            };
            let (one, other) = (publish(10), publish(20));
            let mut taken = Vec::new();
            inbox.take(&mut taken);
            let early = taken.len();
            one.join().expect("it ends");
            other.join().expect("it ends");
            let mut rest = Vec::new();
            inbox.take(&mut rest);
            taken.append(&mut rest);
            assert_eq!(taken.len(), 4, "{early} were taken early");
            for from in [10, 20] {
                let place = |n| taken.iter().position(|t| *t == n);
                assert!(place(from) < place(from + 1));
            }
            assert_eq!(inbox.bytes(), 32);
            inbox.on_done(32);
            assert_eq!(inbox.bytes(), 0);
        });
    }
}
