//! The directory: room name → the state that all shards share.
//!
//! A room exists while it has members or a handle; its last leaver removes it. Lock order: room,
//! then inbox or stripe; nobody locks a room while holding a stripe. Whoever locks a dead room
//! looks the name up again. Any thread.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use std::hash::BuildHasher;

use super::encoded::Encoded;
use super::history::History;
use super::options::{Rule, Rules};
use super::presence::{Roster, Rosters};
use super::shrink::Shrink;
use crate::outbound::{GroupId, RoomRef};
use crate::payload::Position;
use crate::sync::{Arc, AtomicU32, AtomicU64, AtomicUsize, Guard, Mutex, Ordering, STRIPES};

/// No delivery group on this shard.
const NONE: u32 = u32::MAX;

/// What a room is to one shard.
struct Seat {
    /// Its first delivery group there; written by that shard only.
    group: AtomicU32,
    /// Members there; written under the room's lock. Too high for a moment, never too low.
    members: AtomicU32,
    /// Bytes numbered but not yet offered to all members that are in step.
    ahead_bytes: AtomicUsize,
}

impl Seat {
    fn new() -> Self {
        Seat {
            group: AtomicU32::new(NONE),
            members: AtomicU32::new(0),
            ahead_bytes: AtomicUsize::new(0),
        }
    }
}

/// What only the holder of the room's lock sees.
pub(crate) struct Tail {
    epoch: u64,
    offset: u64,
    handles: u32,
    dead: bool,
    /// The newest publications, in rooms that keep them.
    history: Option<Box<History>>,
}

impl Tail {
    pub(crate) fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            offset: self.offset,
        }
    }

    /// Numbers a publication.
    pub(crate) fn number(&mut self) -> u64 {
        self.offset += 1;
        self.offset
    }

    /// Keeps a publication of this number, in a room that does.
    #[inline]
    pub(crate) fn remember(&mut self, offset: u64, publication: &Arc<Encoded>) {
        if let Some(history) = &mut self.history {
            history.push(offset, publication.clone());
        }
    }

    /// The newest publications, in a room that keeps them.
    pub(crate) fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// Whether the room has been removed: look its name up again.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }
}

/// A name of up to so many bytes takes no allocation of its own.
const INLINE_NAME: usize = 23;

/// The state of a room that all shards share.
pub(crate) struct RoomState {
    tail: Mutex<Tail>,
    first: Seat,
    others: Box<[Seat]>,
    /// The number of the rule that holds for it.
    rule: u16,
    pub(crate) shrink: Shrink,
    /// Who is there, in rooms with presence.
    roster: Option<Box<Roster>>,
    name: SmallVec<[u8; INLINE_NAME]>,
}

impl RoomState {
    pub(crate) fn name(&self) -> &str {
        std::str::from_utf8(&self.name).expect("it was made of a str")
    }

    /// Who is there, in a room with presence. Written by the shards when memberships begin and end.
    pub(crate) fn roster(&self) -> Option<&Roster> {
        self.roster.as_deref()
    }

    fn seat(&self, shard: usize) -> &Seat {
        match shard {
            0 => &self.first,
            n => &self.others[n - 1],
        }
    }

    fn seats(&self) -> impl Iterator<Item = (usize, &Seat)> {
        std::iter::once(&self.first).chain(&self.others).enumerate()
    }

    pub(crate) fn lock(&self) -> Guard<'_, Tail> {
        self.tail.lock()
    }

    /// Members on all shards.
    pub(crate) fn members(&self) -> usize {
        self.seats()
            .map(|(_, s)| s.members.load(Ordering::Relaxed) as usize)
            .sum()
    }

    /// Shards that have members.
    pub(crate) fn shards(&self) -> impl Iterator<Item = usize> + '_ {
        self.seats()
            .filter(|(_, s)| s.members.load(Ordering::Relaxed) > 0)
            .map(|(i, _)| i)
    }

    /// Bytes that the shard has not offered yet.
    pub(crate) fn ahead_bytes(&self, shard: usize) -> usize {
        self.seat(shard).ahead_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add_ahead(&self, shard: usize, bytes: usize) {
        self.seat(shard)
            .ahead_bytes
            .fetch_add(bytes, Ordering::Relaxed);
    }
}

impl RoomRef for Arc<RoomState> {
    fn on_swept(&self, shard: usize, bytes: usize) {
        self.seat(shard)
            .ahead_bytes
            .fetch_sub(bytes, Ordering::Relaxed);
    }

    // Asked and set on that shard's thread.
    fn first_group(&self, shard: usize) -> Option<GroupId> {
        Some(self.seat(shard).group.load(Ordering::Relaxed)).filter(|&g| g != NONE)
    }

    fn set_first_group(&self, shard: usize, group: Option<GroupId>) {
        let group = group.unwrap_or(NONE);
        self.seat(shard).group.store(group, Ordering::Relaxed);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }
}

/// The hash stands beside the room, so that a table that grows looks at no room.
struct Entry {
    hash: u64,
    room: Arc<RoomState>,
}

pub(crate) struct Directory {
    stripes: Box<[Mutex<HashTable<Entry>>]>,
    hasher: RandomState,
    shards: usize,
    epochs: AtomicU64,
    rules: Rules,
    /// Bytes of the histories of all rooms.
    pub(crate) history_bytes: Arc<AtomicUsize>,
    pub(crate) rosters: Arc<Rosters>,
}

impl Directory {
    /// `epoch` differs from one start of a program to the next.
    pub(crate) fn new(shards: usize, epoch: u64, rules: Rules) -> Self {
        Directory {
            stripes: (0..STRIPES).map(|_| Mutex::new(HashTable::new())).collect(),
            hasher: RandomState::default(),
            shards,
            epochs: AtomicU64::new(epoch),
            rules,
            history_bytes: Arc::new(AtomicUsize::new(0)),
            rosters: Arc::default(),
        }
    }

    /// What holds for the room.
    pub(crate) fn rule(&self, room: &RoomState) -> &Rule {
        self.rules.of(room.rule)
    }

    /// What would hold for a room of this name.
    pub(crate) fn rule_of(&self, name: &str) -> &Rule {
        self.rules.of(self.rules.number(name))
    }

    fn stripe(&self, hash: u64) -> &Mutex<HashTable<Entry>> {
        // The table inside uses the low and the very high bits.
        &self.stripes[(hash >> 48) as usize % STRIPES]
    }

    /// The room, if it exists.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<RoomState>> {
        let hash = self.hasher.hash_one(name);
        find_in(&self.stripe(hash).lock(), hash, name).cloned()
    }

    /// The room, made if it does not exist.
    fn find_or_make(&self, name: &str) -> Arc<RoomState> {
        let hash = self.hasher.hash_one(name);
        let mut stripe = self.stripe(hash).lock();
        if let Some(room) = find_in(&stripe, hash, name) {
            return room.clone();
        }
        let rule = self.rules.number(name);
        let history = self.rules.history(rule);
        let history = history.map(|bounds| Box::new(History::new(bounds, &self.history_bytes)));
        let roster = self.rules.roster(rule);
        let roster = roster.map(|bounds| Box::new(Roster::new(bounds, &self.rosters)));
        let room = Arc::new(RoomState {
            name: SmallVec::from_slice(name.as_bytes()),
            tail: Mutex::new(Tail {
                epoch: self.epochs.fetch_add(1, Ordering::Relaxed),
                offset: 0,
                handles: 0,
                dead: false,
                history,
            }),
            first: Seat::new(),
            others: (1..self.shards).map(|_| Seat::new()).collect(),
            rule,
            shrink: Shrink::new(),
            roster,
        });
        let entry = Entry {
            hash,
            room: room.clone(),
        };
        stripe.insert_unique(hash, entry, |e| e.hash);
        room
    }

    /// Counts a member on the shard and calls `mark` under the room's lock: what is published
    /// from then on comes behind the marker in the shard's inbox.
    pub(crate) fn join(
        &self,
        name: &str,
        shard: usize,
        mark: impl FnOnce(&Arc<RoomState>),
    ) -> Position {
        loop {
            let room = self.find_or_make(name);
            let tail = room.lock();
            if tail.is_dead() {
                continue;
            }
            room.seat(shard).members.fetch_add(1, Ordering::Relaxed);
            mark(&room);
            return tail.position();
        }
    }

    /// A membership on the shard ended, or never came to be.
    pub(crate) fn leave(&self, room: &Arc<RoomState>, shard: usize) {
        let tail = room.lock();
        room.seat(shard).members.fetch_sub(1, Ordering::Relaxed);
        self.remove_if_unused(room, tail);
    }

    /// Keeps the room alive until it is let go as often as it was held.
    pub(crate) fn hold(&self, name: &str) -> Arc<RoomState> {
        loop {
            let room = self.find_or_make(name);
            let mut tail = room.lock();
            if !tail.is_dead() {
                tail.handles += 1;
                drop(tail);
                return room;
            }
        }
    }

    /// Holds a room that is held already once more.
    pub(crate) fn hold_again(&self, room: &RoomState) {
        room.lock().handles += 1;
    }

    /// Ends a hold.
    pub(crate) fn let_go(&self, room: &Arc<RoomState>) {
        let mut tail = room.lock();
        tail.handles -= 1;
        self.remove_if_unused(room, tail);
    }

    fn remove_if_unused(&self, room: &Arc<RoomState>, mut tail: Guard<'_, Tail>) {
        if tail.handles > 0 || room.members() > 0 || tail.dead {
            return;
        }
        tail.dead = true;
        // It holds publications, which hold the room.
        let history = tail.history.take();
        let hash = self.hasher.hash_one(room.name());
        let mut stripe = self.stripe(hash).lock();
        if let Ok(entry) = stripe.find_entry(hash, |e| Arc::ptr_eq(&e.room, room)) {
            entry.remove();
        }
        if stripe.capacity() > 64 && stripe.len() * 4 < stripe.capacity() {
            stripe.shrink_to_fit(|e| e.hash);
        }
        drop(stripe);
        drop(tail);
        drop(history);
        if let Some(roster) = room.roster() {
            roster.clear();
        }
    }

    /// Number of rooms.
    pub(crate) fn len(&self) -> usize {
        self.stripes.iter().map(|s| s.lock().len()).sum()
    }

    /// Names and member counts of all rooms, in no order; each stripe is a moment of its own.
    pub(crate) fn list(&self) -> Vec<(String, usize)> {
        let mut all = Vec::new();
        for stripe in &self.stripes {
            all.extend(
                stripe
                    .lock()
                    .iter()
                    .map(|e| (e.room.name().to_owned(), e.room.members())),
            );
        }
        all
    }
}

fn find_in<'a>(table: &'a HashTable<Entry>, hash: u64, name: &str) -> Option<&'a Arc<RoomState>> {
    let is_it = |e: &Entry| e.hash == hash && e.room.name.as_slice() == name.as_bytes();
    table.find(hash, is_it).map(|e| &e.room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_lives_while_somebody_needs_it() {
        let directory = Arc::new(Directory::new(2, 100, Rules::default()));
        let first = directory.join("a", 1, |_| {});
        assert_eq!(
            first,
            Position {
                epoch: 100,
                offset: 0
            }
        );
        let room = directory.find("a").unwrap();
        assert_eq!((room.members(), directory.len()), (1, 1));
        let held = directory.hold("a");
        directory.leave(&room, 1);
        assert_eq!(directory.len(), 1);
        directory.let_go(&held);
        assert_eq!(directory.len(), 0);
        assert!(room.lock().is_dead());
        assert_eq!(directory.join("a", 0, |_| {}).epoch, 101);
    }

    #[test]
    fn counts_are_per_shard() {
        let directory = Arc::new(Directory::new(3, 1, Rules::default()));
        directory.join("a", 0, |_| {});
        directory.join("a", 2, |_| {});
        let room = directory.find("a").unwrap();
        assert_eq!(room.shards().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(directory.list(), [("a".to_string(), 2)]);
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use loom::thread;
    use std::sync::Arc as StdArc;

    type Inbox = StdArc<Mutex<Vec<&'static str>>>;

    fn publish(directory: &Directory, inbox: &Inbox) -> Option<u64> {
        let room = directory.find("a")?;
        let mut tail = room.lock();
        if tail.is_dead() {
            return None;
        }
        let offset = tail.number();
        if room.members() > 0 {
            inbox.lock().push("publication");
        }
        Some(offset)
    }

    /// What is numbered after a join's position comes behind its marker, and nothing else does.
    #[test]
    fn loom_a_join_is_exact() {
        loom::model(|| {
            let directory = StdArc::new(Directory::new(1, 1, Rules::default()));
            let inbox: Inbox = StdArc::new(Mutex::new(Vec::new()));
            directory.hold("a");
            let publisher = {
                let (directory, inbox) = (directory.clone(), inbox.clone());
                thread::spawn(move || publish(&directory, &inbox))
            };
            let position = directory.join("a", 0, |_| inbox.lock().push("marker"));
            let offset = publisher
                .join()
                .expect("it ends")
                .expect("the room is held");
            let seen = inbox.lock();
            let marker = seen
                .iter()
                .position(|s| *s == "marker")
                .expect("it was pushed");
            let behind = seen[marker..].contains(&"publication");
            assert_eq!(behind, offset > position.offset, "{seen:?} at {position:?}");
        });
    }

    /// A room that empties while somebody joins it is either the same room or a new one, and the
    /// joiner is in it.
    #[test]
    fn loom_a_join_survives_the_removal() {
        loom::model(|| {
            let directory = StdArc::new(Directory::new(1, 1, Rules::default()));
            directory.join("a", 0, |_| {});
            let old = directory.find("a").expect("it has a member");
            let leaver = {
                let (directory, old) = (directory.clone(), old.clone());
                thread::spawn(move || directory.leave(&old, 0))
            };
            let mut joined = None;
            directory.join("a", 0, |room| joined = Some(room.clone()));
            leaver.join().expect("it ends");
            let found = directory.find("a").expect("the room has a member");
            assert!(Arc::ptr_eq(&found, &joined.expect("it was joined")));
            assert_eq!(found.members(), 1);
            assert!(!found.lock().is_dead());
        });
    }

    enum Marker {
        Join(Arc<RoomState>),
        Leave,
        Close,
        Publication(u64),
    }

    /// A shard with one connection: what it was sent, and what the count of the room did.
    #[derive(Default)]
    struct OneShard {
        room: Option<Arc<RoomState>>,
        seen: Vec<u64>,
    }

    impl OneShard {
        fn step(&mut self, directory: &Directory, inbox: &Mutex<Vec<Marker>>) {
            let taken = std::mem::take(&mut *inbox.lock());
            for marker in taken {
                match marker {
                    Marker::Join(room) => {
                        assert!(room.members() >= 1, "raised before the marker");
                        self.room = Some(room);
                    }
                    Marker::Publication(offset) if self.room.is_some() => self.seen.push(offset),
                    Marker::Publication(_) => {}
                    Marker::Leave | Marker::Close => {
                        if let Some(room) = self.room.take() {
                            assert!(room.members() >= 1, "too low");
                            directory.leave(&room, 0);
                        }
                    }
                }
            }
        }
    }

    /// A join, two leaves and a close against a publication, while the shard works on its inbox:
    /// the count falls once, the publication reaches the connection exactly when it was numbered
    /// between the join and the first leave, and the room is gone at the end.
    #[test]
    fn loom_a_join_two_leaves_and_a_close() {
        loom::model(|| {
            let directory = StdArc::new(Directory::new(1, 1, Rules::default()));
            let inbox: StdArc<Mutex<Vec<Marker>>> = StdArc::new(Mutex::new(Vec::new()));
            let caller = {
                let (directory, inbox) = (directory.clone(), inbox.clone());
                thread::spawn(move || {
                    let push = |marker| inbox.lock().push(marker);
                    directory.join("a", 0, |room| push(Marker::Join(room.clone())));
                    push(Marker::Leave);
                    push(Marker::Leave);
                    push(Marker::Close);
                })
            };
            let publisher = {
                let (directory, inbox) = (directory.clone(), inbox.clone());
                thread::spawn(move || {
                    let room = directory.find("a")?;
                    let mut tail = room.lock();
                    if tail.is_dead() || room.members() == 0 {
                        return None;
                    }
                    let offset = tail.number();
                    let mut queue = inbox.lock();
                    let joined = queue.iter().any(|m| matches!(m, Marker::Join(_)));
                    let left = queue.iter().any(|m| matches!(m, Marker::Leave));
                    queue.push(Marker::Publication(offset));
                    Some((offset, joined, left))
                })
            };
            let mut shard = OneShard::default();
            shard.step(&directory, &inbox);
            caller.join().expect("it ends");
            let published = publisher.join().expect("it ends");
            shard.step(&directory, &inbox);
            match published {
                Some((_, _, true)) => assert!(shard.seen.is_empty(), "behind the leave"),
                Some((offset, true, false)) => assert_eq!(shard.seen, [offset], "before it"),
                _ => {}
            }
            assert!(shard.room.is_none());
            assert_eq!(directory.len(), 0, "the count fell exactly once");
        });
    }

    /// A join, a leave and a close (which leaves) against a publication: the count is never below
    /// the number of members, and the room is gone at the end.
    #[test]
    fn loom_the_count_is_never_too_low() {
        loom::model(|| {
            let directory = StdArc::new(Directory::new(1, 1, Rules::default()));
            let inbox: Inbox = StdArc::new(Mutex::new(Vec::new()));
            directory.join("a", 0, |_| {});
            let room = directory.find("a").expect("it has a member");
            let shard = {
                let (directory, room) = (directory.clone(), room.clone());
                thread::spawn(move || directory.leave(&room, 0))
            };
            let joiner = {
                let directory = directory.clone();
                thread::spawn(move || {
                    let mut joined = None;
                    directory.join("a", 0, |room| joined = Some(room.clone()));
                    let joined = joined.expect("it was joined");
                    assert!(joined.members() >= 1);
                    directory.leave(&joined, 0);
                })
            };
            publish(&directory, &inbox);
            shard.join().expect("it ends");
            joiner.join().expect("it ends");
            assert_eq!(directory.len(), 0);
        });
    }
}
