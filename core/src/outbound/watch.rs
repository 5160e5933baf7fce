//! Watch: the members of a room that are sent the publications of certain keys only.
//!
//! In: keys that members begin and cease to watch, and publications with a key. Out: for each, the
//! slots that watch it. An index from key to slots, not a delivery group for each set of keys; a
//! frame goes by reference into the outboxes. Shard thread.

use std::collections::HashMap;

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
#[derive(Clone)]
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

/// Who watches a key.
#[derive(Clone, Copy)]
struct Watcher {
    slot: u32,
    /// What has this sequence or an earlier one is not for it, or was sent to it before.
    since: u64,
}

#[derive(Default)]
pub(super) struct Watch {
    watchers: HashMap<Arc<str>, SmallVec<[Watcher; 1]>, RandomState>,
    /// What each member watches.
    keys: HashMap<u32, SmallVec<[Arc<str>; 2]>, RandomState>,
    /// In the order in which they came. None for those that a newer one took the place of.
    waiting: Vec<Option<Waiting>>,
    /// What `waiting` counts for, and how many of it are none.
    waiting_cost: usize,
    dead: usize,
    /// Where in `waiting` the publications of each key are, ascending.
    places: HashMap<Arc<str>, SmallVec<[u32; 2]>, RandomState>,
}

impl Watch {
    /// A member that watches nothing yet.
    pub(super) fn come(&mut self, slot: u32) {
        self.keys.insert(slot, SmallVec::new());
    }

    /// The member has left.
    pub(super) fn go(&mut self, slot: u32) {
        let keys = self.keys.remove(&slot).unwrap_or_default();
        keys.iter().for_each(|key| self.unlist(slot, key));
    }

    /// It is sent what is published of this key after the publication of this sequence.
    pub(super) fn add(&mut self, slot: u32, key: &str, since: u64) {
        let Some(keys) = self.keys.get_mut(&slot) else {
            return;
        };
        let key = match self.watchers.get_key_value(key) {
            Some((_, watchers)) if watchers.iter().any(|w| w.slot == slot) => return,
            Some((known, _)) => known.clone(),
            None => key.into(),
        };
        keys.push(key.clone());
        let watchers = self.watchers.entry(key).or_default();
        watchers.push(Watcher { slot, since });
    }

    /// It is sent nothing more of this key.
    pub(super) fn remove(&mut self, slot: u32, key: &str) {
        let Some(keys) = self.keys.get_mut(&slot) else {
            return;
        };
        if let Some(at) = keys.iter().position(|k| **k == *key) {
            keys.swap_remove(at);
            self.unlist(slot, key);
        }
    }

    fn unlist(&mut self, slot: u32, key: &str) {
        if let Some(watchers) = self.watchers.get_mut(key) {
            watchers.retain(|watcher| watcher.slot != slot);
            if watchers.is_empty() {
                self.watchers.remove(key);
            }
        }
    }

    /// What the member watches.
    pub(super) fn keys_of(&self, slot: u32) -> &[Arc<str>] {
        self.keys.get(&slot).map_or(&[], SmallVec::as_slice)
    }

    /// The key as it is kept, and how many watch it.
    pub(super) fn key(&self, key: &str) -> Option<(&Arc<str>, usize)> {
        let (key, watchers) = self.watchers.get_key_value(key)?;
        Some((key, watchers.len()))
    }

    /// Whom the publication is for.
    pub(super) fn entitled(&self, waiting: &Waiting) -> SmallVec<[u32; 16]> {
        let watchers = self.watchers.get(&waiting.news.key).into_iter().flatten();
        let entitled = watchers.filter(|watcher| watcher.since < waiting.sequence);
        entitled.map(|watcher| watcher.slot).collect()
    }

    /// What waits for the end of the interval counts for so many bytes.
    pub(super) fn waiting_cost(&self) -> usize {
        self.waiting_cost
    }

    /// Keeps a publication until the interval ends; where the room conflates, gives back the one of
    /// its key that it takes the place of.
    pub(super) fn keep(&mut self, waiting: Waiting, conflates: bool) -> Option<Waiting> {
        self.waiting_cost += waiting.cost();
        let at = self.waiting.len() as u32;
        let places = self.places.entry(waiting.news.key.clone()).or_default();
        let before = places.last().copied().filter(|_| conflates);
        if before.is_some() {
            places.pop();
        }
        places.push(at);
        self.waiting.push(Some(waiting));
        let replaced = self.waiting[before? as usize].take()?;
        self.waiting_cost -= replaced.cost();
        self.dead += 1;
        if self.dead > DEAD_MAX && self.dead * 2 > self.waiting.len() {
            self.close_ranks();
        }
        Some(replaced)
    }

    /// Forgets the places of those that were replaced.
    fn close_ranks(&mut self) {
        self.waiting.retain(Option::is_some);
        self.dead = 0;
        self.places.clear();
        for (at, waiting) in self.waiting.iter().flatten().enumerate() {
            let places = self.places.entry(waiting.news.key.clone());
            places.or_default().push(at as u32);
        }
    }

    /// The interval has ended.
    pub(super) fn take_waiting(&mut self) -> Vec<Waiting> {
        self.waiting_cost = 0;
        self.dead = 0;
        self.places.clear();
        std::mem::take(&mut self.waiting)
            .into_iter()
            .flatten()
            .collect()
    }

    /// What waits for this member, in order; it is not given it again.
    pub(super) fn take_waiting_for(&mut self, slot: u32) -> Vec<Waiting> {
        let Some(keys) = self.keys.get(&slot).filter(|_| self.waiting_cost > 0) else {
            return Vec::new();
        };
        let mut all: Vec<u32> = Vec::new();
        for key in keys {
            let (Some(places), Some(watchers)) = (self.places.get(key), self.watchers.get_mut(key))
            else {
                continue;
            };
            let Some(watcher) = watchers.iter_mut().find(|w| w.slot == slot) else {
                continue;
            };
            for &at in places {
                if let Some(waiting) = &self.waiting[at as usize]
                    && waiting.sequence > watcher.since
                {
                    watcher.since = waiting.sequence;
                    all.push(at);
                }
            }
        }
        all.sort_unstable();
        let waiting = all
            .into_iter()
            .filter_map(|at| self.waiting[at as usize].as_ref());
        waiting.cloned().collect()
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
        watch.add(1, "a", 10);
        watch.add(1, "a", 30);
        watch.add(2, "a", 20);
        watch.add(2, "b", 20);
        watch.add(3, "a", 0);
        let of = |watch: &Watch, key, sequence| watch.entitled(&waiting(key, sequence)).to_vec();
        assert_eq!(
            (of(&watch, "a", 10), of(&watch, "a", 11)),
            (vec![], vec![1])
        );
        assert_eq!(
            (of(&watch, "a", 21), of(&watch, "b", 21)),
            (vec![1, 2], vec![2])
        );
        watch.remove(1, "a");
        assert!(watch.keys_of(1).is_empty());
        watch.go(2);
        assert!(
            watch.watchers.is_empty(),
            "nothing is left of keys that nobody watches"
        );
        watch.go(1);
    }

    #[test]
    fn a_member_is_given_ahead_what_waits_for_it() {
        let mut watch = Watch::default();
        watch.come(1);
        watch.come(2);
        for key in ["a", "b"] {
            watch.add(1, key, 0);
            watch.add(2, key, 0);
        }
        for (key, sequence) in [("b", 1), ("a", 2), ("c", 3), ("b", 4)] {
            watch.keep(waiting(key, sequence), false);
        }
        let numbers = |taken: Vec<Waiting>| taken.iter().map(|w| w.sequence).collect::<Vec<_>>();
        assert_eq!(numbers(watch.take_waiting_for(1)), [1, 2, 4]);
        assert!(numbers(watch.take_waiting_for(1)).is_empty());
        watch.keep(waiting("a", 5), false);
        assert_eq!(numbers(watch.take_waiting_for(1)), [5]);
        let all = watch.take_waiting();
        assert!(
            all.iter()
                .all(|waiting| !watch.entitled(waiting).contains(&1))
        );
        assert_eq!(watch.entitled(&all[0]).as_slice(), [2]);
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
        assert_eq!(keep(&mut watch, "a", 4), Some(3));
        for sequence in 5..1000 {
            assert_eq!(keep(&mut watch, "a", sequence), Some(sequence - 1));
        }
        assert!(watch.waiting.len() < 2 * DEAD_MAX + 2);
        assert_eq!(watch.waiting_cost(), 2 * waiting("a", 1).cost());
        assert_eq!(numbers(watch.take_waiting()), [2, 999]);
        assert_eq!(watch.waiting_cost(), 0);
    }
}
