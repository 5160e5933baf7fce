//! Presence: who is in a room, for questions from any thread and for notices to its members.
//!
//! In: who came and who went, from the shards. Out: counts, pages in the order of joining, and what
//! has changed since the last notice. A roster has a lock of its own, under which nothing else is
//! locked, and it ends with its room. Knows no clock and publishes nothing. Any thread.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use foldhash::fast::RandomState;

use crate::payload::ConnectionId;
use crate::sync::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering};

/// The event of notices.
pub(crate) const EVENT: &str = "presence";
/// Members that are copied to a page while the shards wait.
const PAGE_PART: usize = 128;
/// Tables of so many places are not made smaller.
const PLACES_MIN: usize = 64;

/// A member of a room with presence ([`RoomOptions::presence`](crate::RoomOptions::presence)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Present {
    /// The connection.
    pub id: ConnectionId,
    /// The user that it was accepted as.
    pub user: Option<Arc<str>>,
    /// What it was accepted with for others to see: JSON ([`Accept::info`](crate::Accept::info)).
    pub info: Option<Arc<str>>,
}

/// A place in the list of a room's members, behind one of them. It stays good while others come and
/// go, also when that member has gone, and when the room has ended and come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cursor(u64);

impl Cursor {
    /// The place as a number, for other languages.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// The place of a number that [`Cursor::as_u64`] gave.
    #[must_use]
    pub fn from_u64(number: u64) -> Self {
        Cursor(number)
    }
}

/// What a roster tells, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RosterBounds {
    /// Milliseconds from a change to the notice, 0 for no notices.
    pub(crate) interval_ms: u32,
    /// Members that a notice names, as having come or gone.
    pub(crate) names_max: usize,
}

/// What the rosters of all rooms share.
#[derive(Default)]
pub(crate) struct Rosters {
    /// Joins by now. Numbers of all rooms are taken from here, so that a cursor from one life of a
    /// room stands before everybody in the next.
    joins: AtomicU64,
    bytes: AtomicUsize,
}

impl Rosters {
    /// Bytes of all rosters.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Who is in a room.
pub(crate) struct Roster {
    bounds: RosterBounds,
    rosters: Arc<Rosters>,
    state: Mutex<State>,
}

struct Entry {
    present: Present,
    /// The round in which it came; 0 when the notices told so far have it there, though it has left
    /// and come back.
    round: u64,
}

/// What a member takes: places in tables that are about half full.
const MEMBER_BYTES: usize = 2
    * (size_of::<(u64, Entry)>() + size_of::<(ConnectionId, u64)>() + size_of::<(Arc<str>, u32)>());

#[derive(Default)]
struct State {
    /// By the number of the join.
    entries: BTreeMap<u64, Entry>,
    numbers: HashMap<ConnectionId, u64, RandomState>,
    /// Connections of each user.
    users: HashMap<Arc<str>, u32, RandomState>,
    changes: Changing,
}

/// What is different from what the notices have told so far: this *round*.
#[derive(Default)]
struct Changing {
    /// Its number, from 1 on where there are notices at all.
    round: u64,
    /// Nobody of this round has a lower number.
    since: u64,
    /// Those who came, named in `entries` by their round; of a round before that was put back, some
    /// are not.
    came: usize,
    /// Those who went, and of them the first so many.
    gone: usize,
    gone_named: HashMap<ConnectionId, (u64, Present), RandomState>,
    /// A notice is scheduled or being made.
    is_awaited: bool,
}

/// What a notice tells.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) members: usize,
    pub(crate) users: usize,
    pub(crate) came: Vec<Present>,
    pub(crate) came_count: usize,
    pub(crate) gone: Vec<(u64, Present)>,
    pub(crate) gone_count: usize,
    since: u64,
}

/// What came of a round.
#[derive(Debug)]
pub(crate) enum Round {
    /// Nothing changed in the end, or nobody is there to be told.
    Quiet,
    /// Too many are there.
    Crowded,
    Changed(Changes),
}

impl Roster {
    pub(crate) fn new(bounds: RosterBounds, rosters: &Arc<Rosters>) -> Self {
        let changes = Changing {
            round: 1,
            ..Changing::default()
        };
        Roster {
            bounds,
            rosters: rosters.clone(),
            state: Mutex::new(State {
                changes,
                ..State::default()
            }),
        }
    }

    /// Milliseconds from a change to the notice.
    pub(crate) fn interval_ms(&self) -> u32 {
        self.bounds.interval_ms
    }

    /// A connection became a member. True when a notice is to be scheduled for that.
    pub(crate) fn come(&self, present: Present) -> bool {
        let mut state = self.state.lock();
        let State {
            entries,
            numbers,
            users,
            changes,
        } = &mut *state;
        let number = self.rosters.joins.fetch_add(1, Ordering::Relaxed) + 1;
        let before = numbers.insert(present.id, number);
        debug_assert!(before.is_none(), "it is a member once");
        if let Some(user) = &present.user {
            *users.entry(user.clone()).or_default() += 1;
        }
        let (tells, round) = match self.bounds.interval_ms {
            0 => (false, 0),
            _ => changes.come(present.id),
        };
        entries.insert(number, Entry { present, round });
        self.rosters
            .bytes
            .fetch_add(MEMBER_BYTES, Ordering::Relaxed);
        tells
    }

    /// A connection is no member any more. True when a notice is to be scheduled for that.
    pub(crate) fn go(&self, id: ConnectionId) -> bool {
        let mut state = self.state.lock();
        let State {
            entries,
            numbers,
            users,
            changes,
        } = &mut *state;
        let Some(number) = numbers.remove(&id) else {
            return false;
        };
        let Some(Entry { present, round }) = entries.remove(&number) else {
            return false;
        };
        if let Some(user) = &present.user
            && let Some(connections) = users.get_mut(user)
        {
            *connections -= 1;
            if *connections == 0 {
                users.remove(user);
                shrink(users);
            }
        }
        shrink(numbers);
        self.rosters
            .bytes
            .fetch_sub(MEMBER_BYTES, Ordering::Relaxed);
        match self.bounds.interval_ms {
            0 => false,
            _ => changes.go(number, present, round, self.bounds.names_max),
        }
    }

    /// Members, and users among them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.entries.len(), state.users.len())
    }

    /// Up to so many members (one at least) behind the cursor, and the cursor for the others.
    pub(crate) fn page(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> (Vec<Present>, Option<Cursor>) {
        let mut page = Vec::new();
        let mut last = after.map_or(0, |cursor| cursor.0);
        loop {
            let state = self.state.lock();
            let mut behind = state.entries.range(last.saturating_add(1)..);
            let part = PAGE_PART.min(limit - page.len());
            for (number, entry) in behind.by_ref().take(part) {
                page.push(entry.present.clone());
                last = *number;
            }
            if behind.next().is_none() {
                return (page, None);
            }
            if page.len() >= limit {
                return (page, Some(Cursor(last)));
            }
        }
    }

    /// Ends the round, for a notice. The next is not scheduled before `finish`, so that notices are
    /// told in their order.
    pub(crate) fn end_round(&self, members_max: usize) -> Round {
        let mut state = self.state.lock();
        let State {
            entries,
            users,
            changes,
            ..
        } = &mut *state;
        let (ended, since) = (changes.round, changes.since);
        let (came_count, gone_count) = (changes.came, changes.gone);
        let gone_named = std::mem::take(&mut changes.gone_named);
        *changes = Changing {
            round: ended + 1,
            since: self.rosters.joins.load(Ordering::Relaxed) + 1,
            is_awaited: true,
            ..Changing::default()
        };
        if entries.is_empty() || (came_count == 0 && gone_count == 0) {
            return Round::Quiet;
        }
        if entries.len() > members_max {
            return Round::Crowded;
        }
        let came = entries.range(since..).map(|(_, entry)| entry);
        let came = came.filter(|entry| entry.round == ended);
        let came = came.take(self.bounds.names_max);
        let came = came.map(|entry| entry.present.clone()).collect();
        let mut gone: Vec<_> = gone_named.into_values().collect();
        gone.sort_unstable_by_key(|(number, _)| *number);
        Round::Changed(Changes {
            members: entries.len(),
            users: users.len(),
            came,
            came_count,
            gone,
            gone_count,
            since,
        })
    }

    /// These could not be told: they are part of the present round too.
    pub(crate) fn put_back(&self, told: Changes) {
        let mut state = self.state.lock();
        let State {
            entries,
            numbers,
            changes,
            ..
        } = &mut *state;
        changes.since = told.since;
        changes.came += told.came_count;
        changes.gone += told.gone_count;
        for Present { id, .. } in &told.came {
            if changes.gone_named.remove(id).is_some() {
                changes.came -= 1;
                changes.gone -= 1;
            } else if let Some(entry) = numbers.get(id).and_then(|n| entries.get_mut(n)) {
                entry.round = changes.round;
            }
        }
        for (number, present) in told.gone {
            let back = numbers.get(&present.id);
            match back.and_then(|number| entries.get_mut(number)) {
                Some(entry) if entry.round == changes.round => {
                    entry.round = 0;
                    changes.came -= 1;
                    changes.gone -= 1;
                }
                _ if changes.gone_named.len() < self.bounds.names_max => {
                    changes.gone_named.insert(present.id, (number, present));
                }
                _ => {}
            }
        }
    }

    /// The notice is done with. True when what changed meanwhile is to be scheduled.
    pub(crate) fn finish(&self) -> bool {
        let changes = &mut self.state.lock().changes;
        changes.is_awaited = changes.came > 0 || changes.gone > 0;
        changes.is_awaited
    }

    /// The room has ended: nobody is there, and nobody will be told.
    pub(crate) fn clear(&self) {
        let state = std::mem::take(&mut *self.state.lock());
        debug_assert!(state.entries.is_empty(), "the last member has gone");
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        let bytes = self.state.lock().entries.len() * MEMBER_BYTES;
        self.rosters.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Changing {
    /// Whether a notice is to be scheduled, and the round that the member is of.
    fn come(&mut self, id: ConnectionId) -> (bool, u64) {
        let round = match self.gone_named.remove(&id) {
            Some(_) => {
                self.gone -= 1;
                0
            }
            None => {
                self.came += 1;
                self.round
            }
        };
        (!std::mem::replace(&mut self.is_awaited, true), round)
    }

    fn go(&mut self, number: u64, present: Present, round: u64, names_max: usize) -> bool {
        if round == self.round {
            self.came -= 1;
        } else {
            self.gone += 1;
            if self.gone_named.len() < names_max {
                self.gone_named.insert(present.id, (number, present));
            }
        }
        !std::mem::replace(&mut self.is_awaited, true)
    }
}

/// Gives places back after a crowd has left, without doing so at every leave.
fn shrink<K: Eq + std::hash::Hash, V>(table: &mut HashMap<K, V, RandomState>) {
    if table.capacity() > PLACES_MIN && table.len() * 4 < table.capacity() {
        table.shrink_to(table.len() * 2);
    }
}

impl Changes {
    /// The notice, in at most so many bytes as far as leaving names out can do that. Its form is
    /// promised at `RoomOptions::presence_interval_ms`.
    pub(crate) fn text(&self, room: &str, bytes_max: usize) -> String {
        let Changes { members, users, .. } = self;
        let (came_count, gone_count) = (self.came_count, self.gone_count);
        let head = format!(
            r#"{{"presence":{{"room":{},"members":{members},"users":{users},"came":["#,
            quoted(room)
        );
        let middle = format!(r#"],"came_count":{came_count},"gone":["#);
        let tail = format!(r#"],"gone_count":{gone_count}}}}}"#);
        let rest = bytes_max.saturating_sub(middle.len() + tail.len());
        let mut text = head;
        add_names(&mut text, self.came.iter().map(|p| (p, true)), rest);
        text.push_str(&middle);
        let gone = self.gone.iter().map(|(_, present)| (present, false));
        add_names(&mut text, gone, rest + middle.len());
        text.push_str(&tail);
        text
    }
}

/// Adds members to a list while the text has place for them, with their info or without.
fn add_names<'a>(
    text: &mut String,
    names: impl Iterator<Item = (&'a Present, bool)>,
    bytes_max: usize,
) {
    for (at, (present, with_info)) in names.enumerate() {
        let before = text.len();
        let comma = if at > 0 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, r#"{comma}{{"id":"{}""#, present.id.as_u64());
        if let Some(user) = &present.user {
            let _ = write!(text, r#","user":{}"#, quoted(user));
        }
        if let Some(info) = present.info.as_ref().filter(|_| with_info) {
            let _ = write!(text, r#","info":{info}"#);
        }
        text.push('}');
        if text.len() > bytes_max {
            return text.truncate(before);
        }
    }
}

fn quoted(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

#[cfg(all(test, not(loom)))]
mod tests;
