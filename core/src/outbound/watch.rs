//! Watch: the members of a room that are sent the publications of certain keys only.
//!
//! In: keys that members begin and cease to watch, and publications with a key. Out: for each, the
//! slots that watch it. An index from key to slots, not a delivery group for each set of keys; a
//! frame goes by reference into the outboxes. Shard thread.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::tape::SharedFrame;
use crate::delivery::SharedTracker;
use crate::sync::Arc;

/// What a frame in an outbox is news of, shared by all outboxes that it is in.
pub(crate) struct News {
    pub(super) group: super::GroupId,
    pub(super) key: Arc<str>,
    pub(super) offset: u64,
    /// Where it waits, a newer one of its key takes its place.
    pub(super) replaceable: bool,
}

/// A publication that waits for the end of the interval.
pub(super) struct Waiting {
    pub(super) news: Arc<News>,
    pub(super) frame: SharedFrame,
    pub(super) sequence: u64,
    pub(super) tracker: Option<SharedTracker>,
    /// Who is not sent it.
    pub(super) except: SmallVec<[u32; 2]>,
}

impl Waiting {
    /// What it counts for in the room's *ahead*.
    pub(super) fn cost(&self) -> usize {
        (*self.frame).as_ref().len() + super::FRAME_OVERHEAD
    }
}

#[derive(Default)]
pub(super) struct Watch {
    slots: HashMap<Arc<str>, SmallVec<[u32; 2]>, RandomState>,
    /// What each member watches.
    keys: HashMap<u32, SmallVec<[Arc<str>; 2]>, RandomState>,
    /// In the order in which they came. None for those that a newer one took the place of.
    waiting: Vec<Option<Waiting>>,
    /// What `waiting` counts for, and how many of it are none.
    waiting_cost: usize,
    dead: usize,
    /// Where in `waiting` the newest of each key is.
    newest: HashMap<Arc<str>, usize, RandomState>,
}

impl Watch {
    /// A member that watches nothing yet.
    pub(super) fn come(&mut self, slot: u32) {
        self.keys.insert(slot, SmallVec::new());
    }

    /// The member has left. Gives back how many keys it watched.
    pub(super) fn go(&mut self, slot: u32) -> usize {
        let keys = self.keys.remove(&slot).unwrap_or_default();
        keys.iter().for_each(|key| self.unlist(slot, key));
        keys.len()
    }

    /// From now on it is sent what is published of this key. False where it was already.
    pub(super) fn add(&mut self, slot: u32, key: &str) -> bool {
        let Some(keys) = self.keys.get_mut(&slot) else {
            return false;
        };
        let key = match self.slots.get_key_value(key) {
            Some((_, slots)) if slots.contains(&slot) => return false,
            Some((known, _)) => known.clone(),
            None => key.into(),
        };
        keys.push(key.clone());
        self.slots.entry(key).or_default().push(slot);
        true
    }

    /// It is sent nothing more of this key. False where it was not.
    pub(super) fn remove(&mut self, slot: u32, key: &str) -> bool {
        let Some(keys) = self.keys.get_mut(&slot) else {
            return false;
        };
        let Some(at) = keys.iter().position(|k| **k == *key) else {
            return false;
        };
        keys.swap_remove(at);
        self.unlist(slot, key);
        true
    }

    fn unlist(&mut self, slot: u32, key: &str) {
        if let Some(slots) = self.slots.get_mut(key) {
            slots.retain(|s| *s != slot);
            if slots.is_empty() {
                self.slots.remove(key);
            }
        }
    }

    /// What the member watches.
    pub(super) fn keys_of(&self, slot: u32) -> &[Arc<str>] {
        self.keys.get(&slot).map_or(&[], SmallVec::as_slice)
    }

    /// The key as it is kept, and how many watch it.
    pub(super) fn key(&self, key: &str) -> Option<(&Arc<str>, usize)> {
        let (key, slots) = self.slots.get_key_value(key)?;
        Some((key, slots.len()))
    }

    /// Who watches the key.
    pub(super) fn of(&self, key: &str) -> &[u32] {
        self.slots.get(key).map_or(&[], SmallVec::as_slice)
    }

    /// What waits for the end of the interval counts for so many bytes.
    pub(super) fn waiting_cost(&self) -> usize {
        self.waiting_cost
    }

    /// Keeps a publication until the interval ends; where the room conflates, gives back the one of
    /// its key that it takes the place of.
    pub(super) fn keep(&mut self, waiting: Waiting, conflates: bool) -> Option<Waiting> {
        let key = waiting.news.key.clone();
        self.waiting_cost += waiting.cost();
        let before = match conflates {
            true => self.newest.insert(key, self.waiting.len()),
            false => None,
        };
        self.waiting.push(Some(waiting));
        let replaced = self.waiting[before?].take()?;
        self.waiting_cost -= replaced.cost();
        self.dead += 1;
        if self.dead > DEAD_MAX && self.dead * 2 > self.waiting.len() {
            self.waiting.retain(Option::is_some);
            self.dead = 0;
            self.find_newest();
        }
        Some(replaced)
    }

    /// The interval has ended, for all keys or for these.
    pub(super) fn take_waiting(&mut self, only: Option<&[Arc<str>]>) -> Vec<Waiting> {
        let all = std::mem::take(&mut self.waiting).into_iter().flatten();
        let (due, rest): (Vec<_>, Vec<_>) = match only {
            None => (all.collect(), Vec::new()),
            Some(only) => {
                let only: HashSet<&str, RandomState> = only.iter().map(|key| &**key).collect();
                all.partition(|waiting| only.contains(&*waiting.news.key))
            }
        };
        self.waiting_cost = rest.iter().map(Waiting::cost).sum();
        self.dead = 0;
        self.waiting = rest.into_iter().map(Some).collect();
        self.find_newest();
        due
    }

    fn find_newest(&mut self) {
        self.newest.clear();
        let waiting = self.waiting.iter().flatten().enumerate();
        let newest = waiting.map(|(at, waiting)| (waiting.news.key.clone(), at));
        self.newest.extend(newest);
    }
}

/// Places of replaced publications that are kept at least.
const DEAD_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_those_who_watch_them() {
        let mut watch = Watch::default();
        watch.come(1);
        watch.come(2);
        assert!(watch.add(1, "a") && watch.add(2, "a") && watch.add(2, "b"));
        assert!(!watch.add(1, "a"), "already");
        assert!(!watch.add(3, "a"), "no member");
        assert_eq!((watch.of("a"), watch.of("b")), (&[1, 2][..], &[2][..]));
        assert!(watch.remove(1, "a") && !watch.remove(1, "a"));
        assert_eq!(watch.go(2), 2);
        assert!(
            watch.slots.is_empty(),
            "nothing is left of keys that nobody watches"
        );
        assert_eq!(watch.go(1), 0);
    }

    fn waiting(key: &str, sequence: u64) -> Waiting {
        Waiting {
            news: Arc::new(News {
                group: 0,
                key: key.into(),
                offset: sequence,
                replaceable: false,
            }),
            frame: Arc::new(vec![0u8; 4]),
            sequence,
            tracker: None,
            except: SmallVec::new(),
        }
    }

    #[test]
    fn the_newest_of_a_key_takes_the_place_of_the_others() {
        let mut watch = Watch::default();
        let keep = |watch: &mut Watch, key, sequence| {
            let replaced = watch.keep(waiting(key, sequence), true);
            replaced.map(|waiting| waiting.sequence)
        };
        assert_eq!(keep(&mut watch, "a", 1), None);
        assert_eq!(keep(&mut watch, "b", 2), None);
        assert_eq!(keep(&mut watch, "a", 3), Some(1));
        let numbers = |due: Vec<Waiting>| due.iter().map(|w| w.sequence).collect::<Vec<_>>();
        assert_eq!(numbers(watch.take_waiting(Some(&["b".into()]))), [2]);
        assert_eq!(keep(&mut watch, "a", 4), Some(3));
        for sequence in 5..1000 {
            assert_eq!(keep(&mut watch, "a", sequence), Some(sequence - 1));
        }
        assert!(watch.waiting.len() < 2 * DEAD_MAX + 2);
        assert_eq!(watch.waiting_cost(), waiting("a", 1).cost());
        assert_eq!(numbers(watch.take_waiting(None)), [999]);
        assert_eq!(watch.waiting_cost(), 0);
    }
}
