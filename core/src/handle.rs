//! Handles: what a host calls, from any thread, to publish, send, join, leave, close and ask.
//!
//! In: calls. Out: numbers and refusals at once; commands in the inboxes of the shards, in the
//! order of the calls. Nothing here waits for a peer; only `connections`, `members` wait for the
//! shards. No lock is held while encoding or waking.

mod auth;
mod membership;
mod permission;
mod presence;
mod room;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use smallvec::SmallVec;

pub use self::auth::Revoke;
pub use self::presence::{Presence, PresencePage};
pub use self::room::Room;
use crate::close;
use crate::config::Limits;
use crate::delivery::{Tracked, Tracker};
use crate::error::{CommandError, Refused};
use crate::join::Join;
use crate::metrics::Snapshot;
use crate::payload::{ConnectionId, Publication, Published};
use crate::rooms::RoomState;
use crate::rooms::encoded::Encoded;
use crate::rooms::framed::Framed;
use crate::router::Command;
use crate::shard::shared::{Ask, Reply, Shared};
use crate::sync::{Arc, Ordering};

/// Publishes, sends, joins, leaves, closes and asks, from any thread. Cheap to clone.
///
/// A handle does not keep the engine running: after `stop` its calls answer `Stopped`.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

type Shards = SmallVec<[usize; 8]>;

/// What becomes of a publication to a room that does not exist.
const NOBODY: Published = Published {
    offset: None,
    members: 0,
};

impl Handle {
    /// Publishes to all members of a room. Never blocks on a peer.
    ///
    /// Publishing to a room that nobody is in is no error: it has 0 members and, where it does not
    /// even exist, no offset.
    ///
    /// # Errors
    /// [`Refused`] says why nobody was sent it; only `Behind` and `Overloaded` pass with time.
    pub fn publish<'a>(
        &self,
        room: &str,
        publication: impl Into<Publication<'a>>,
    ) -> Result<Published, Refused> {
        let publication = publication.into();
        self.count_refusal(self.check_publication(&publication).and_then(|()| {
            self.check_name(room)?;
            match self.shared.directory.find(room) {
                Some(room) => self.publish_to(&room, publication, None),
                None => Ok(NOBODY),
            }
        }))
    }

    /// As [`Handle::publish`], and the host is told later what became of it: when all members in
    /// step have been offered it, [`Handler::delivered`](crate::Handler::delivered) or
    /// [`Event::Delivered`](crate::Event::Delivered) comes with the token. It costs a walk over the
    /// members, so track what matters. A stop that comes meanwhile may take the report with it.
    ///
    /// ```
    /// # let engine = roomcast::Engine::start(roomcast::Config::new().shards(1), ())?;
    /// let tracked = engine.publish_tracked("lobby", "closing time")?;
    /// println!("{} for {} members", tracked.token, tracked.published.members);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Handle::publish`]; then there is no report.
    pub fn publish_tracked<'a>(
        &self,
        room: &str,
        publication: impl Into<Publication<'a>>,
    ) -> Result<Tracked, Refused> {
        let publication = publication.into();
        self.count_refusal(self.check_publication(&publication).and_then(|()| {
            self.check_name(room)?;
            let token = self.next_token();
            let tracker = Arc::new(Tracker::new(token, room));
            let published = match self.shared.directory.find(room) {
                Some(room) => self.publish_to(&room, publication, Some(tracker))?,
                None => self.report_nobody(tracker, None),
            };
            Ok(Tracked { token, published })
        }))
    }

    fn next_token(&self) -> u64 {
        self.shared.tokens.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Reports that there was nobody to be sent it.
    fn report_nobody(&self, mut tracker: Arc<Tracker>, offset: Option<u64>) -> Published {
        if let Some(own) = Arc::get_mut(&mut tracker) {
            own.number(offset);
        }
        self.shared.ask(0, Ask::Report(tracker));
        Published { offset, ..NOBODY }
    }

    /// Publishes to all members of several rooms; a member of more than one is sent it once. It is
    /// numbered in each of them, or refused in all.
    ///
    /// # Errors
    /// As [`Handle::publish`].
    pub fn publish_union<'a>(
        &self,
        rooms: &[&str],
        publication: impl Into<Publication<'a>>,
    ) -> Result<Published, Refused> {
        let publication = publication.into();
        self.count_refusal(self.check_publication(&publication).and_then(|()| {
            rooms.iter().try_for_each(|name| self.check_name(name))?;
            let found: Vec<_> = rooms
                .iter()
                .filter_map(|name| self.shared.directory.find(name))
                .collect();
            self.publish_to_union(found, publication)
        }))
    }

    #[inline]
    fn check_publication(&self, publication: &Publication<'_>) -> Result<(), Refused> {
        let limits = &self.shared.limits;
        if publication.data.len() + publication.labels_bytes() > limits.publication_bytes_max {
            return Err(Refused::TooLarge);
        }
        if publication
            .key
            .is_some_and(|key| key.len() > limits.key_bytes_max)
        {
            return Err(Refused::Key);
        }
        match self.shared.is_stopping() {
            true => Err(Refused::Stopped),
            false => Ok(()),
        }
    }

    /// Whether a room may be joined so; one that may not is left out, and logged.
    pub(crate) fn admits(&self, room: &str, how: Option<&Join>) -> bool {
        let key_bytes_max = self.shared.limits.key_bytes_max;
        let name = self.check_name(room).map_err(|_| CommandError::RoomName);
        let how = || how.map_or(Ok(()), |how| how.check(key_bytes_max));
        let admitted = name.and_then(|()| how());
        if let Err(error) = admitted {
            self.shared.logged(|| {
                tracing::warn!(target: "roomcast", %error, "a room was left out");
            });
        }
        admitted.is_ok()
    }

    fn check_name(&self, room: &str) -> Result<(), Refused> {
        match room.is_empty() || room.len() > self.shared.limits.room_name_bytes_max {
            true => Err(Refused::RoomName),
            false => Ok(()),
        }
    }

    #[inline]
    fn count_refusal<T>(&self, result: Result<T, Refused>) -> Result<T, Refused> {
        if result.is_err() {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn encode(&self, room: Option<&Arc<RoomState>>, publication: &Publication<'_>) -> Arc<Encoded> {
        let mut shared = self.shared.spare.take();
        let encoded = Arc::get_mut(&mut shared).expect("a spare one has no other holder");
        let now = self.shared.clock.now_ns();
        encoded.fill(room, publication.kind, publication.data, now);
        let Publication {
            event, key, tags, ..
        } = *publication;
        encoded.labels.fill(event, key, tags);
        encoded.except.extend_from_slice(publication.except);
        let find = |name: &&str| self.shared.directory.find(name);
        encoded.except_rooms = publication.except_rooms.iter().filter_map(find).collect();
        shared
    }

    /// Whether the shards that have members of the room can take so much more of it.
    fn check_place(&self, room: &RoomState, cost: usize) -> Result<(), Refused> {
        for shard in room.shards() {
            let ahead = room.ahead_bytes(shard);
            if ahead > 0 && ahead + cost > self.shared.limits.room_ahead_bytes_max {
                return Err(Refused::Behind);
            }
            if !self.shared.has_place(shard, cost) {
                return Err(Refused::Overloaded);
            }
        }
        Ok(())
    }

    pub(crate) fn publish_to(
        &self,
        room: &Arc<RoomState>,
        publication: Publication<'_>,
        mut tracker: Option<Arc<Tracker>>,
    ) -> Result<Published, Refused> {
        let mut encoded = None;
        loop {
            if encoded.is_none() && room.members() > 0 {
                encoded = Some(self.encode(Some(room), &publication));
            }
            let mut tail = room.lock();
            let members = room.members();
            if tail.is_dead() || members == 0 {
                let offset = (!tail.is_dead()).then(|| tail.number());
                drop(tail);
                return Ok(match tracker {
                    Some(tracker) => self.report_nobody(tracker, offset),
                    None => Published { offset, members },
                });
            }
            // Somebody joined between the look and the lock: encode with no lock held.
            let Some(mut publication) = encoded.take() else {
                continue;
            };
            let cost = publication.cost();
            self.check_place(room, cost)?;
            let offset = tail.number();
            let shards: Shards = room.shards().collect();
            if let Some(tracker) = &tracker {
                tracker.open(shards.len() - 1);
            }
            let own = Arc::get_mut(&mut publication).expect("it is not shared yet");
            own.tracker = tracker.take();
            own.number(offset);
            let inbox_cost = own.held_bytes();
            tail.remember(offset, &publication);
            let copies = std::iter::repeat_n(publication, shards.len());
            for (&shard, publication) in shards.iter().zip(copies) {
                room.add_ahead(shard, cost);
                let publish = Ask::Route(Command::Publish(publication));
                self.shared.inboxes[shard].push(publish, inbox_cost);
            }
            drop(tail);
            self.rouse(&shards);
            let offset = Some(offset);
            return Ok(Published { offset, members });
        }
    }

    /// All rooms are locked in one order (of their addresses), numbered, and pushed as one.
    fn publish_to_union(
        &self,
        rooms: Vec<Arc<RoomState>>,
        publication: Publication<'_>,
    ) -> Result<Published, Refused> {
        let encoded = self.encode(None, &publication);
        let (cost, inbox_cost) = (encoded.cost(), encoded.held_bytes());
        let address = |at: usize| Arc::as_ptr(&rooms[at]).addr();
        let mut order: Vec<usize> = (0..rooms.len()).collect();
        order.sort_by_key(|&at| (address(at), at));
        order.dedup_by_key(|at| address(*at));
        let mut tails: Vec<_> = order.iter().map(|&at| (at, rooms[at].lock())).collect();
        tails.retain(|(_, tail)| !tail.is_dead());
        for (at, _) in &tails {
            self.check_place(&rooms[*at], cost)?;
        }
        let mut published = NOBODY;
        let mut shards = Shards::new();
        let mut offsets = vec![0; rooms.len()];
        let first = tails.iter().map(|(at, _)| *at).min();
        for (at, tail) in &mut tails {
            let offset = tail.number();
            offsets[*at] = offset;
            tail.remember(offset, &encoded);
            if Some(*at) == first {
                published.offset = Some(offset);
            }
            published.members += rooms[*at].members();
            shards.extend(rooms[*at].shards());
        }
        shards.sort_unstable();
        shards.dedup();
        // To the shards in the order in which they were named, whatever their addresses are.
        order.sort_unstable();
        for &shard in &shards {
            let named = order.iter().map(|&at| (&rooms[at], offsets[at]));
            let here = named.filter(|(room, _)| room.shards().any(|one| one == shard));
            let here: Box<[_]> = here.map(|(room, offset)| (room.clone(), offset)).collect();
            here.iter()
                .for_each(|(room, _)| room.add_ahead(shard, cost));
            let command = Command::Union {
                rooms: here,
                publication: encoded.clone(),
            };
            self.shared.inboxes[shard].push(Ask::Route(command), inbox_cost);
        }
        drop(tails);
        self.rouse(&shards);
        Ok(published)
    }

    fn rouse(&self, shards: &[usize]) {
        for &shard in shards {
            self.shared.rouse(shard);
        }
    }

    /// A held room: the quick way to publish to it often. While a handle of it exists, the room
    /// does too, with its numbering.
    ///
    /// # Errors
    /// [`CommandError::RoomName`].
    pub fn room(&self, name: &str) -> Result<Room, CommandError> {
        self.check_name(name).map_err(|_| CommandError::RoomName)?;
        let state = self.shared.directory.hold(name);
        Ok(Room {
            state,
            handle: self.clone(),
        })
    }

    /// Sends a message to one connection, in its place among the publications of its rooms.
    /// Exclusions of the publication mean nothing here.
    ///
    /// # Errors
    /// [`Refused`]. A connection that has closed is not an error: peers leave at any moment.
    pub fn send<'a>(
        &self,
        to: ConnectionId,
        message: impl Into<Publication<'a>>,
    ) -> Result<(), Refused> {
        let shard = to.shard();
        let known = shard < self.shared.inboxes.len();
        self.send_to(message.into(), known, shard..shard + 1, |message| {
            Command::Send { to, message }
        })
    }

    /// Sends a message to all connections of a user.
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn send_user<'a>(
        &self,
        user: &str,
        message: impl Into<Publication<'a>>,
    ) -> Result<(), Refused> {
        let user: Arc<str> = user.into();
        let all = 0..self.shared.inboxes.len();
        self.send_to(message.into(), true, all, |message| Command::SendUser {
            user: user.clone(),
            message,
        })
    }

    /// Sends a message to every open connection.
    ///
    /// # Errors
    /// As [`Handle::send`].
    pub fn send_all<'a>(&self, message: impl Into<Publication<'a>>) -> Result<(), Refused> {
        let all = 0..self.shared.inboxes.len();
        self.send_to(message.into(), true, all, |message| Command::SendAll {
            message,
        })
    }

    fn send_to(
        &self,
        message: Publication<'_>,
        known: bool,
        shards: std::ops::Range<usize>,
        command: impl Fn(Arc<Framed>) -> Command,
    ) -> Result<(), Refused> {
        let send = || {
            if !known {
                return Err(Refused::Gone);
            }
            self.check_publication(&message)?;
            if !shards
                .clone()
                .all(|shard| self.shared.has_place(shard, message.data.len()))
            {
                return Err(Refused::Overloaded);
            }
            let framed = Arc::new(Framed::new(message.kind, message.data));
            for shard in shards.clone() {
                self.shared.ask(shard, Ask::Route(command(framed.clone())));
            }
            Ok(())
        };
        self.count_refusal(send())
    }

    fn shard_of(&self, id: ConnectionId) -> Result<usize, CommandError> {
        if self.shared.is_stopping() {
            return Err(CommandError::Stopped);
        }
        let shard = id.shard();
        (shard < self.shared.inboxes.len())
            .then_some(shard)
            .ok_or(CommandError::Gone)
    }

    /// Closes a connection with a code and a text (cut at 123 bytes), after what it is owed. What
    /// it has sent and the host was not told of by then is dropped.
    ///
    /// # Errors
    /// [`CommandError::CloseCode`] for a code that RFC 6455 §7.4 keeps from applications.
    pub fn close(&self, id: ConnectionId, code: u16, text: &str) -> Result<(), CommandError> {
        if !close::may_send(code) {
            return Err(CommandError::CloseCode);
        }
        let shard = self.shard_of(id)?;
        self.shared.ask(shard, Ask::Close(id, code, text.into()));
        Ok(())
    }

    /// Members of a room, 0 for one that does not exist.
    #[must_use]
    pub fn count(&self, room: &str) -> usize {
        self.shared
            .directory
            .find(room)
            .map_or(0, |room| room.members())
    }

    /// Names and member counts of all rooms, in no order.
    #[must_use]
    pub fn rooms(&self) -> Vec<(String, usize)> {
        self.shared.directory.list()
    }

    /// All open connections. Waits for the shards, so it takes about a turn.
    ///
    /// # Errors
    /// [`CommandError::OnShard`] in a callback, since a shard cannot wait for itself; without
    /// threads of our own also on the thread that called [`Engine::turn`](crate::Engine::turn)
    /// last.
    pub fn connections(&self) -> Result<Vec<ConnectionId>, CommandError> {
        self.list(None)
    }

    /// The members of a room. Waits for the shards, so it takes about a turn.
    ///
    /// # Errors
    /// As [`Handle::connections`].
    pub fn members(&self, room: &str) -> Result<Vec<ConnectionId>, CommandError> {
        match self.shared.directory.find(room) {
            Some(room) => self.list(Some(room)),
            None => Ok(Vec::new()),
        }
    }

    /// Names of the rooms that a connection is in, in no order; none of one that has closed. Waits
    /// for its shard, so it takes about a turn.
    ///
    /// # Errors
    /// As [`Handle::connections`], and [`CommandError::Gone`].
    pub fn rooms_of(&self, id: ConnectionId) -> Result<Vec<String>, CommandError> {
        let shard = self.shard_of(id)?;
        self.question(shard..shard + 1, |reply| Ask::Rooms(id, reply))
    }

    fn list(&self, room: Option<Arc<RoomState>>) -> Result<Vec<ConnectionId>, CommandError> {
        let all = 0..self.shared.inboxes.len();
        self.question(all, |reply| Ask::List(room.clone(), reply))
    }

    /// Asks shards, and waits until all of them have answered.
    fn question<T>(
        &self,
        shards: std::ops::Range<usize>,
        ask: impl Fn(Arc<Reply<T>>) -> Ask,
    ) -> Result<Vec<T>, CommandError> {
        if self.is_on_shard() {
            return Err(CommandError::OnShard);
        }
        let reply = Arc::new(Reply::default());
        let asked = shards.len();
        for shard in shards {
            self.shared.ask(shard, ask(reply.clone()));
            // It is waited for, so no cork may hold it back.
            self.shared.inboxes[shard].rouse();
        }
        let mut state = reply.state.lock();
        while state.0 < asked {
            if self.has_ended() {
                return Err(CommandError::Stopped);
            }
            reply
                .answered
                .wait_for(&mut state, Duration::from_millis(50));
        }
        Ok(std::mem::take(&mut state.1))
    }

    /// Whether the engine has stopped: its last callback has returned.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.shared.ending.lock().shards_left == 0
    }

    /// Whether this thread is one that shards run on, so that calls which wait for a shard cannot
    /// be made: one of the engine's own, or else the one that turned it last.
    #[must_use]
    pub fn is_on_shard(&self) -> bool {
        let me = std::thread::current().id();
        let threads = self.shared.threads.get();
        match threads {
            Some(threads) => threads.contains(&me),
            // Without threads of ours, who turns it is the shard; before the first turn nobody is.
            None => self.shared.turner.lock().is_none_or(|turner| turner == me),
        }
    }

    /// Whether this thread is in a callback of this engine, or in whatever else its shards run:
    /// there a stop does not wait.
    #[must_use]
    pub fn is_in_callback(&self) -> bool {
        match self.shared.threads.get() {
            Some(_) => self.is_on_shard(),
            None => self.shared.is_in_turn(),
        }
    }

    /// Holds back wake-ups: while the cork lives, what this thread asks of this engine wakes no
    /// shard that dozes. Dropping it wakes them. So a host that works off a batch of events has
    /// its publications leave together, in one write to each member.
    ///
    /// A shard dozes for a millisecond at most, and only where corks were in use just before, so
    /// nothing waits longer than that. Calls that wait for shards (`members`, `stop`) are not held
    /// back.
    ///
    /// ```
    /// # let engine = roomcast::Engine::start(roomcast::Config::new().shards(1), ())?;
    /// let cork = engine.cork();
    /// for text in ["one", "two", "three"] {
    ///     engine.publish("lobby", text)?;
    /// }
    /// drop(cork);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cork(&self) -> Cork<'_> {
        Cork {
            before: self.shared.cork(),
            handle: self,
        }
    }

    /// Whether a connection is there: it is open, or waits for a verdict. At once, from any
    /// thread; a connection that is there now may close at any moment.
    #[must_use]
    pub fn is_open(&self, id: ConnectionId) -> bool {
        let alive = self.shared.alive.get(id.shard());
        alive.is_some_and(|alive| alive.has(id.slot(), id.generation()))
    }

    /// Whether the engine stops by itself because a callback, or the engine, panicked.
    #[must_use]
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.shared.broken.load(Ordering::Relaxed)
    }

    /// Whether the engine is stopping or has stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    /// The numbers that the engine runs on.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The engine's figures now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.shared.snapshot()
    }
}

/// Holds back the wake-ups of one thread: [`Handle::cork`].
#[derive(Debug)]
pub struct Cork<'a> {
    handle: &'a Handle,
    /// What the thread held back before; also keeps the cork on its thread.
    before: *const Shared,
}

impl Drop for Cork<'_> {
    fn drop(&mut self) {
        self.handle.shared.uncork(self.before);
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("shards", &self.shared.inboxes.len())
            .finish()
    }
}
