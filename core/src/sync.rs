//! Locks, atomics and shared pointers: the one file that names where they come from.
//!
//! Everything that two threads touch is built from these, so that `--cfg loom` swaps them for
//! loom's models and the lock-free parts can be checked exhaustively. Nothing else in the crate
//! names `std::sync`, `parking_lot` or `loom`.

#[cfg(not(loom))]
mod imp {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

    /// Locks that the directory of rooms is divided among.
    pub(crate) const STRIPES: usize = 64;

    /// A lock that is never poisoned: a panic under it is the host's, and the state under our
    /// locks is consistent between any two statements.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

    pub(crate) type Guard<'a, T> = parking_lot::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Mutex(parking_lot::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.0.lock()
        }

        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock()
        }
    }
}

#[cfg(loom)]
mod imp {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

    /// One: a model tries every order of every lock.
    pub(crate) const STRIPES: usize = 1;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    pub(crate) type Guard<'a, T> = loom::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.0.lock().expect("loom's locks are not poisoned")
        }

        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock().ok()
        }
    }
}

pub(crate) use imp::*;
/// Waiting threads of the pull side; not modelled, since loom has no timed waits.
pub(crate) use parking_lot::{Condvar, Mutex as PlainMutex};
pub(crate) use std::sync::{Arc, OnceLock};
