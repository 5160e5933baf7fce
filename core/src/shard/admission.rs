//! Admission: handshakes in flight, and how many connections each address and each user has.
//!
//! In: connections that come, get through their handshake, and go. Out: whether one more may.
//! Shared by the shards of an engine; addresses and users are counted only where the host has set
//! a limit for them.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;

use crate::sync::{Arc, AtomicUsize, Ordering, PlainMutex};

#[derive(Default)]
pub(crate) struct Admission {
    handshakes: AtomicUsize,
    addresses: PlainMutex<HashMap<IpAddr, usize, RandomState>>,
    users: PlainMutex<HashMap<Arc<str>, usize, RandomState>>,
}

impl Admission {
    /// Handshakes in flight.
    pub(super) fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::Relaxed)
    }

    pub(super) fn begin_handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_handshake(&self) {
        self.handshakes.fetch_sub(1, Ordering::Relaxed);
    }

    /// A connection from this address has come; gives how many there are with it.
    pub(super) fn come(&self, address: IpAddr) -> usize {
        let mut addresses = self.addresses.lock();
        let count = addresses.entry(address.to_canonical()).or_default();
        *count += 1;
        *count
    }

    /// One has gone.
    pub(super) fn go(&self, address: IpAddr) {
        let mut addresses = self.addresses.lock();
        let address = address.to_canonical();
        if let Some(count) = addresses.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                addresses.remove(&address);
            }
        }
    }

    /// A connection of this user is to be opened: whether it may, of which `max` may be open. Only
    /// one that may is counted.
    pub(super) fn user_comes(&self, user: &Arc<str>, max: usize) -> bool {
        let mut users = self.users.lock();
        match users.get_mut(user) {
            Some(count) if *count >= max => false,
            Some(count) => {
                *count += 1;
                true
            }
            None => users.insert(user.clone(), 1).is_none(),
        }
    }

    /// One of those has gone.
    pub(super) fn user_goes(&self, user: &Arc<str>) {
        let mut users = self.users.lock();
        if let Some(count) = users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                users.remove(user);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_forgotten_with_its_last_connection() {
        let admission = Admission::default();
        let four: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!((admission.come(four), admission.come(mapped)), (1, 2));
        admission.go(four);
        assert_eq!(admission.come(four), 2);
        admission.go(mapped);
        admission.go(four);
        assert!(admission.addresses.lock().is_empty());
    }

    #[test]
    fn a_user_has_as_many_as_it_may_and_is_forgotten_with_the_last() {
        let admission = Admission::default();
        let (ada, bob): (Arc<str>, Arc<str>) = ("ada".into(), "bob".into());
        assert!(admission.user_comes(&ada, 2) && admission.user_comes(&ada, 2));
        assert!(!admission.user_comes(&ada, 2) && admission.user_comes(&bob, 2));
        admission.user_goes(&ada);
        assert!(admission.user_comes(&ada, 2) && !admission.user_comes(&ada, 2));
        for user in [&ada, &bob, &ada] {
            admission.user_goes(user);
        }
        assert!(admission.users.lock().is_empty());
    }
}
