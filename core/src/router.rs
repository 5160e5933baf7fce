//! The router: a command and whom it is about → effects on groups and outboxes of this shard.
//!
//! In: commands in the order of the inbox. Out: appends, private frames, joins, leaves; what it
//! cannot do itself (sockets, handshakes, timers) it gives back to the shard. It knows who is
//! connected and who may be in which room; it never knows sockets, threads or the clock.

mod filters;

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use self::filters::Filters;
use crate::alive::Alive;
use crate::config::{Limits, SlowPolicy};
use crate::delivery::Fate;
use crate::dialect::WireKind;
use crate::identity::{Identity, Who};
use crate::join::Join;
use crate::outbound::frame::Frame;
use crate::outbound::{Bounds, FRAME_OVERHEAD, GroupId, Outbound, RoomRef, Stamp, Terms};
use crate::payload::ConnectionId;
use crate::rooms::encoded::{Encoded, Spare};
use crate::rooms::framed::{Codec, Framed};
use crate::rooms::options::{self, Rule};
use crate::rooms::presence::Present;
use crate::rooms::{Directory, RoomState};
use crate::sync::Arc;

/// What a handle asks of a shard about rooms and messages.
pub(crate) enum Command {
    /// To the publication's own room.
    Publish(Arc<Encoded>),
    /// To several rooms, with its number in each.
    Union {
        rooms: Box<[(Arc<RoomState>, u64)]>,
        publication: Arc<Encoded>,
    },
    Send {
        to: ConnectionId,
        message: Arc<Framed>,
    },
    SendUser {
        user: Arc<str>,
        message: Arc<Framed>,
    },
    SendAll {
        message: Arc<Framed>,
    },
    /// `how`: None for everything, as the room's options say.
    Join {
        who: ConnectionId,
        room: Arc<RoomState>,
        how: Option<Box<Join>>,
    },
    /// The member watches these keys, or (`begin` is false) ceases to.
    Watch {
        who: ConnectionId,
        room: Arc<RoomState>,
        keys: Box<[Box<str>]>,
        begin: bool,
    },
    Leave {
        who: ConnectionId,
        room: Arc<RoomState>,
    },
}

impl Command {
    /// Bytes that it counts for in the inbox.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Command::Publish(publication) | Command::Union { publication, .. } => {
                publication.held_bytes()
            }
            Command::Send { message, .. }
            | Command::SendUser { message, .. }
            | Command::SendAll { message } => message.len() + FRAME_OVERHEAD,
            Command::Join { .. } | Command::Watch { .. } | Command::Leave { .. } => 0,
        }
    }
}

/// Bytes of a history that a connection is sent at a time.
const REPLAY_BYTES: usize = 64 * 1024;

/// A slot's present owner.
#[derive(Default)]
struct Person {
    generation: u32,
    open: bool,
    wire: WireKind,
    identity: Option<Arc<Identity>>,
}

/// Counters of the router, read by the shard once a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) publications: u64,
    pub(crate) sends: u64,
    pub(crate) joins: u64,
    pub(crate) leaves: u64,
    pub(crate) joins_refused: u64,
    pub(crate) joins_refused_filters: u64,
    pub(crate) watches_refused: u64,
    /// Publications times members that were not sent them because of a filter or their keys.
    pub(crate) filtered: u64,
    pub(crate) filters_asked: u64,
}

/// The limits that a join meets on the shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JoinLimits {
    pub(crate) connection_rooms_max: usize,
    pub(crate) connection_filters_max: usize,
    pub(crate) connection_keys_max: usize,
    pub(crate) room_filters_max: usize,
}

impl JoinLimits {
    pub(crate) fn of(limits: &Limits) -> Self {
        JoinLimits {
            connection_rooms_max: limits.connection_rooms_max,
            connection_filters_max: limits.connection_filters_max,
            connection_keys_max: limits.connection_keys_max,
            room_filters_max: limits.room_filters_max,
        }
    }
}

pub(crate) struct Router {
    shard: usize,
    limits: JoinLimits,
    filters: Filters,
    directory: Arc<Directory>,
    alive: Arc<Alive>,
    people: Vec<Person>,
    users: HashMap<Arc<str>, SmallVec<[u32; 2]>, RandomState>,
    pub(crate) outbound: Outbound<Arc<RoomState>>,
    pub(crate) tally: Tally,
    pub(crate) codec: Codec,
    /// Publications of this turn, let go of together behind it.
    spent: Vec<Arc<Encoded>>,
    /// The address of the room that was published to before, and its first group here: publishers
    /// are at work on what lies in the room, so it is not looked at for each publication. Forgotten
    /// when a membership changes, and before `spent` lets the room go.
    last: Option<(usize, GroupId)>,
    /// Rooms for which a notice of who came and went is to be scheduled.
    to_notify: Vec<Arc<RoomState>>,
}

impl Router {
    pub(crate) fn new(
        shard: usize,
        limits: JoinLimits,
        directory: Arc<Directory>,
        alive: Arc<Alive>,
        bounds: Bounds,
        codec: Codec,
    ) -> Self {
        Router {
            shard,
            limits,
            filters: Filters::default(),
            directory,
            alive,
            people: Vec::new(),
            users: HashMap::default(),
            outbound: Outbound::new(shard, bounds),
            tally: Tally::default(),
            codec,
            spent: Vec::new(),
            last: None,
            to_notify: Vec::new(),
        }
    }

    /// Bytes of the tables that hold connections and their first memberships.
    pub(crate) fn bytes(&self) -> usize {
        self.people.capacity() * size_of::<Person>() + self.outbound.link_bytes()
    }

    /// Lets go of what this turn has published.
    pub(crate) fn let_go(&mut self, spare: &Spare) {
        self.last = None;
        for number in self.outbound.take_freed_filters() {
            self.filters.give(number);
        }
        self.tally.filters_asked += std::mem::take(&mut self.filters.asked);
        if !self.spent.is_empty() {
            spare.give(&mut self.spent);
        }
    }

    /// A connection came to be in this slot; it has a new id, and no rooms before it is open.
    pub(crate) fn attach(&mut self, slot: u32) -> ConnectionId {
        let at = slot as usize;
        while self.people.len() <= at {
            if self.people.len() == self.people.capacity() {
                self.people.reserve_exact((self.people.len() / 8).max(1024));
            }
            self.people.push(Person::default());
        }
        self.outbound.attach(slot);
        let person = &mut self.people[at];
        // 0 is nobody's.
        person.generation = person.generation.wrapping_add(1).max(1);
        self.alive.set(slot, person.generation);
        ConnectionId::new(self.shard, person.generation, slot)
    }

    /// The host accepted it: from now on it joins rooms and is sent messages.
    pub(crate) fn open(&mut self, slot: u32, wire: WireKind, identity: Option<Arc<Identity>>) {
        let person = &mut self.people[slot as usize];
        person.open = true;
        person.wire = wire;
        if let Some(identity) = identity {
            self.identify(slot, identity);
        }
    }

    /// The connection will get this frame after what it is owed, and nothing else any more.
    pub(crate) fn close(&mut self, slot: u32, frame: Frame) {
        self.last = None;
        self.people[slot as usize].open = false;
        self.alive.set(slot, 0);
        for room in self.outbound.close(slot, Arc::new(frame)) {
            self.on_left(slot, &room);
        }
    }

    /// The connection is gone. Gives back who it was, for its last event.
    pub(crate) fn detach(&mut self, slot: u32) -> Option<Arc<Identity>> {
        self.last = None;
        for room in self.outbound.detach(slot) {
            self.on_left(slot, &room);
        }
        self.alive.set(slot, 0);
        let person = &mut self.people[slot as usize];
        person.open = false;
        let identity = person.identity.take();
        if let Some(user) = identity.as_ref().and_then(|i| i.user.as_ref())
            && let Some(slots) = self.users.get_mut(user)
        {
            slots.retain(|s| *s != slot);
            if slots.is_empty() {
                self.users.remove(user);
            }
        }
        identity
    }

    /// The present id of a slot.
    pub(crate) fn id(&self, slot: u32) -> ConnectionId {
        ConnectionId::new(self.shard, self.people[slot as usize].generation, slot)
    }

    /// The connection in a slot, as the host is told of it.
    pub(crate) fn who(&self, slot: u32) -> Who<'_> {
        Who {
            id: self.id(slot),
            identity: self.people[slot as usize].identity.as_ref(),
        }
    }

    /// Who it is is known only now.
    pub(crate) fn identify(&mut self, slot: u32, identity: Arc<Identity>) {
        if let Some(user) = identity.user.clone() {
            self.users.entry(user).or_default().push(slot);
        }
        self.people[slot as usize].identity = Some(identity);
    }

    /// The connections of a user.
    pub(crate) fn slots_of(&self, user: &str) -> Vec<u32> {
        self.users
            .get(user)
            .map_or_else(Vec::new, |slots| slots.to_vec())
    }

    /// The connections with such an identity.
    pub(crate) fn slots_with(&self, fits: impl Fn(&Identity) -> bool) -> Vec<u32> {
        let people = self.people.iter().enumerate();
        let fitting = people.filter(|(_, p)| p.identity.as_ref().is_some_and(|i| fits(i)));
        fitting.map(|(slot, _)| slot as u32).collect()
    }

    /// The slot of a connection that is still there, on this shard.
    pub(crate) fn slot(&self, id: ConnectionId) -> Option<u32> {
        let person = self.people.get(id.slot() as usize)?;
        let same = id.shard() == self.shard && person.generation == id.generation();
        same.then(|| id.slot())
    }

    fn open_slot(&self, id: ConnectionId) -> Option<u32> {
        self.slot(id)
            .filter(|&slot| self.people[slot as usize].open)
    }

    /// Connections that are open.
    pub(crate) fn open_ids(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        let open = self.people.iter().enumerate().filter(|(_, p)| p.open);
        open.map(|(slot, p)| ConnectionId::new(self.shard, p.generation, slot as u32))
    }

    /// Members of a room on this shard.
    pub(crate) fn members(&self, room: &Arc<RoomState>) -> Vec<ConnectionId> {
        let members = self.members_of(room).map(|slot| self.id(slot));
        members.collect()
    }

    fn members_of(&self, room: &Arc<RoomState>) -> impl Iterator<Item = u32> + '_ {
        let groups = self.outbound.groups_of(room);
        groups.flat_map(|group| self.outbound.members(group))
    }

    /// Names of the rooms that a connection is in.
    pub(crate) fn rooms_of(&self, id: ConnectionId) -> Vec<String> {
        let rooms = self.open_slot(id).map(|slot| self.outbound.rooms_of(slot));
        rooms
            .into_iter()
            .flatten()
            .map(|room| room.name().to_owned())
            .collect()
    }

    /// Has what the command needs in the cache soon.
    pub(crate) fn warm(&self, command: &Command) {
        if let Command::Publish(publication) = command
            && let Some(group) = publication
                .room()
                .and_then(|room| room.first_group(self.shard))
        {
            self.outbound.warm(group);
        }
    }

    /// Does what the command asks.
    pub(crate) fn apply(&mut self, command: Command) {
        match command {
            Command::Publish(publication) => {
                self.tally.publications += 1;
                self.publish_to_one(&publication);
                self.spent.push(publication);
            }
            Command::Union { rooms, publication } => {
                self.tally.publications += 1;
                self.publish(&rooms, &publication);
                self.spent.push(publication);
            }
            Command::Send { to, message } => {
                let slot = self.open_slot(to);
                self.send(slot, &message);
            }
            Command::SendUser { user, message } => {
                let slots = self.users.get(&user).cloned().unwrap_or_default();
                self.send(slots, &message);
            }
            Command::SendAll { message } => self.send(0..self.people.len() as u32, &message),
            Command::Join { who, room, how } => self.join(who, &room, how.as_deref()),
            Command::Watch {
                who,
                room,
                keys,
                begin,
            } => self.watch(who, &room, &keys, begin),
            Command::Leave { who, room } => self.leave(who, &room),
        }
    }

    /// One message to those of these connections that are open, under one sequence number.
    fn send(&mut self, slots: impl IntoIterator<Item = u32>, message: &Arc<Framed>) {
        self.tally.sends += 1;
        let sequence = self.outbound.next_sequence();
        for slot in slots {
            let person = &self.people[slot as usize];
            if person.open {
                match message.compressed(person.wire, &mut self.codec) {
                    Some(frame) => self.outbound.send(slot, frame.clone(), sequence),
                    None => self.outbound.send(slot, message.clone(), sequence),
                }
            }
        }
    }

    /// One publication to the groups of its room.
    fn publish_to_one(&mut self, publication: &Arc<Encoded>) {
        let Some(room) = publication.room() else {
            return;
        };
        let sequence = self.outbound.next_sequence();
        let is_in = |this: &Self, slot| this.is_in(slot, room);
        let except = self.leave_out(publication, sequence, is_in);
        let stamp = stamp(publication, sequence, &except);
        self.append(room, publication, &stamp);
        if let Some(tracker) = &publication.tracker {
            self.outbound.close_tracker(tracker.clone());
        }
    }

    /// One publication to the groups of its rooms, under one sequence number.
    fn publish(&mut self, rooms: &[(Arc<RoomState>, u64)], publication: &Arc<Encoded>) {
        let sequence = self.outbound.next_sequence();
        let is_in = |this: &Self, slot| rooms.iter().any(|(room, _)| this.is_in(slot, room));
        let except = self.leave_out(publication, sequence, is_in);
        for &(ref room, offset) in rooms {
            let stamp = Stamp {
                offset,
                is_union: true,
                ..stamp(publication, sequence, &except)
            };
            self.append(room, publication, &stamp);
        }
    }

    /// Leaves out those whom the publisher excludes and who would be sent it. Gives them back.
    #[inline]
    fn leave_out(
        &mut self,
        publication: &Encoded,
        sequence: u64,
        is_in: impl Fn(&Self, u32) -> bool,
    ) -> SmallVec<[u32; 4]> {
        let mut slots = SmallVec::new();
        if publication.except.is_empty() && publication.except_rooms.is_empty() {
            return slots;
        }
        let named = publication.except.iter();
        slots.extend(named.filter_map(|id| self.open_slot(*id)));
        for room in &publication.except_rooms {
            slots.extend(self.members_of(room));
        }
        slots.sort_unstable();
        slots.dedup();
        slots.retain(|slot| is_in(self, *slot));
        for &slot in &slots {
            self.outbound.skip(slot, sequence);
        }
        slots
    }

    /// Appends a publication to the room's groups.
    fn append(&mut self, room: &Arc<RoomState>, publication: &Arc<Encoded>, stamp: &Stamp<'_>) {
        match self.group(room) {
            Some(group) if self.outbound.is_plain(group) => {
                self.outbound.append(group, publication, stamp);
            }
            Some(group) => self.append_to_all(room, group, publication, stamp),
            None => room.on_swept(self.shard, publication.cost()),
        }
    }

    /// To a room whose members are not all sent each publication in its plain frame. What each of
    /// its groups is sent is *ahead* from here on, instead of what was numbered.
    #[inline(never)]
    fn append_to_all(
        &mut self,
        room: &Arc<RoomState>,
        first: GroupId,
        publication: &Arc<Encoded>,
        stamp: &Stamp<'_>,
    ) {
        let mut group = Some(first);
        while let Some(id) = group {
            group = self.outbound.next_group(id);
            let Terms {
                filter,
                kind,
                watches,
                ..
            } = *self.outbound.terms(id);
            let (labels, framed) = (&publication.labels, &publication.framed);
            if filter != 0
                && !self
                    .filters
                    .admits(filter, stamp.sequence, labels, framed.payload())
            {
                self.count_filtered(publication, self.outbound.alive(id));
                self.outbound.on_applied(id, stamp.offset);
                continue;
            }
            let compressed = match kind {
                0 => None,
                kind => {
                    let wire = WireKind::of(kind);
                    self.codec.compressed(framed, wire, &room.shrink).cloned()
                }
            };
            let cost = match &compressed {
                Some(frame) => frame.len() + FRAME_OVERHEAD,
                None => publication.cost(),
            };
            room.add_ahead(self.shard, cost);
            match compressed {
                _ if watches => {
                    let frame: crate::outbound::SharedFrame = match compressed {
                        Some(frame) => frame,
                        None => publication.clone(),
                    };
                    let others = self.outbound.append_watched(id, frame, stamp);
                    self.count_filtered(publication, others);
                }
                Some(frame) => self.outbound.append(id, &frame, stamp),
                None => self.outbound.append(id, publication, stamp),
            }
        }
        room.on_swept(self.shard, publication.cost());
    }

    /// The connection catches up from the history of rooms, and has nothing left to be sent: the
    /// next part of it.
    pub(crate) fn replay(&mut self, slot: u32) {
        for (id, next, applied) in self.outbound.replays(slot) {
            let room = self.outbound.room(id).clone();
            let part = {
                let tail = room.lock();
                let history = tail.history();
                history.map_or_else(Vec::new, |h| h.range(next, applied, REPLAY_BYTES))
            };
            let first = part.first().map_or(applied + 1, |(offset, _)| *offset);
            if first > next {
                self.outbound.miss(slot, id, next, first - 1);
            }
            let last = part.last().map_or(applied, |(offset, _)| *offset);
            for (_, publication) in part {
                self.replay_one(slot, id, &publication);
            }
            self.outbound
                .on_replayed(slot, id, last + 1, last >= applied);
        }
    }

    fn replay_one(&mut self, slot: u32, id: GroupId, publication: &Arc<Encoded>) {
        let Terms { kind, filter, .. } = *self.outbound.terms(id);
        let framed = &publication.framed;
        let is_named = publication.except.contains(&self.id(slot));
        let mut rooms = publication.except_rooms.iter();
        if is_named || rooms.any(|room| self.is_in(slot, room)) {
            return;
        }
        if filter != 0 {
            let (labels, payload) = (&publication.labels, framed.payload());
            if !self.filters.matches(filter, labels, payload) {
                self.tally.filtered += 1;
                return;
            }
        }
        let compressed = framed
            .compressed(WireKind::of(kind), &mut self.codec)
            .cloned();
        match compressed {
            Some(frame) => self.outbound.send_replayed(slot, frame),
            None => self.outbound.send_replayed(slot, publication.clone()),
        }
    }

    fn count_filtered(&mut self, publication: &Encoded, members: usize) {
        self.tally.filtered += members as u64;
        if let Some(tracker) = &publication.tracker {
            tracker.count(Fate::Filtered, members);
        }
    }

    /// The room's first group on this shard.
    fn group(&mut self, room: &Arc<RoomState>) -> Option<GroupId> {
        let address = Arc::as_ptr(room).addr();
        match self.last {
            Some((last, group)) if last == address => Some(group),
            _ => {
                let group = room.first_group(self.shard)?;
                self.last = Some((address, group));
                Some(group)
            }
        }
    }

    fn is_in(&self, slot: u32, room: &Arc<RoomState>) -> bool {
        self.outbound.membership(slot, room).is_some()
    }

    fn join(&mut self, who: ConnectionId, room: &Arc<RoomState>, how: Option<&Join>) {
        self.last = None;
        let joined = self.open_slot(who).is_some_and(|slot| match how {
            None => self.join_as_is(slot, room),
            Some(how) => self.join_anew(slot, room, how),
        });
        match joined {
            true => self.on_joined(who, room),
            // Gone, beyond a limit, or a member already: the count was raised for nothing.
            false => self.directory.leave(room, self.shard),
        }
    }

    /// What the room's options make of a member who says no more.
    fn terms(&self, slot: u32, room: &RoomState) -> Terms {
        let rule = self.directory.rule(room);
        let wire = self.people[slot as usize].wire;
        Terms {
            kind: if rule.deflate { wire as u8 } else { 0 },
            policy: within(rule, rule.policy),
            conflates: rule.conflates,
            watches: false,
            interval_ms: rule.interval_ms,
            filter: 0,
        }
    }

    /// True when this made it a member.
    fn join_as_is(&mut self, slot: u32, room: &Arc<RoomState>) -> bool {
        self.has_place(slot, room) && {
            let terms = self.terms(slot, room);
            self.outbound.join(slot, terms, room)
        }
    }

    fn has_place(&mut self, slot: u32, room: &Arc<RoomState>) -> bool {
        let rooms = self.outbound.memberships(slot);
        let may = rooms < self.limits.connection_rooms_max || self.is_in(slot, room);
        self.tally.joins_refused += u64::from(!may);
        may
    }

    /// As `join_as_is`; a member already changes how it is one.
    fn join_anew(&mut self, slot: u32, room: &Arc<RoomState>, how: &Join) -> bool {
        if !self.has_place(slot, room) {
            return false;
        }
        let asked = self.terms(slot, room);
        let mut terms = Terms {
            policy: how.slow_policy.map_or(asked.policy, |policy| {
                within(self.directory.rule(room), policy)
            }),
            interval_ms: how
                .flush_interval_ms
                .map_or(asked.interval_ms, options::interval_ms),
            watches: how.keys.is_some(),
            ..asked
        };
        // Without an interval there is nothing to conflate in.
        terms.conflates &= terms.interval_ms > 0;
        let before = self.outbound.membership(slot, room);
        if let Some(filter) = &how.filter {
            terms.filter = self.filters.find(filter);
            let is_new = terms.filter == 0 || self.outbound.group_of(room, &terms).is_none();
            if !self.has_filter_place(slot, room, terms.filter, before) {
                self.tally.joins_refused_filters += 1;
                return false;
            }
            if is_new {
                terms.filter = self.filters.take(filter);
            }
        }
        if let Some(before) = before
            && *self.outbound.terms(before) != terms
        {
            // What was published before is sent as it was to be.
            self.outbound.leave(slot, before);
        }
        let joined = self.outbound.join(slot, terms, room);
        if let Some(keys) = &how.keys {
            self.set_keys(slot, room, keys);
        }
        joined && before.is_none()
    }

    /// Whether the limits allow one more filter to the room, and to the connection.
    fn has_filter_place(
        &self,
        slot: u32,
        room: &Arc<RoomState>,
        number: u32,
        before: Option<GroupId>,
    ) -> bool {
        let had = before.is_some_and(|id| self.outbound.terms(id).filter != 0);
        let own = self.outbound.filtered(slot) - usize::from(had);
        if own >= self.limits.connection_filters_max {
            return false;
        }
        // A filter that only this member has goes when it changes it.
        let last = before.filter(|&id| self.outbound.alive(id) == 1);
        let groups = self.outbound.groups_of(room);
        let groups = groups.filter(|id| Some(*id) != last);
        let mut filters: Vec<u32> = groups.map(|id| self.outbound.terms(id).filter).collect();
        if number != 0 && filters.contains(&number) {
            return true;
        }
        filters.retain(|filter| *filter != 0);
        filters.sort_unstable();
        filters.dedup();
        filters.len() < self.limits.room_filters_max
    }

    /// The member watches these keys and no others.
    fn set_keys(&mut self, slot: u32, room: &Arc<RoomState>, keys: &[Box<str>]) {
        let Some(id) = self.outbound.membership(slot, room) else {
            return;
        };
        let mut others = self.outbound.keys_of(slot, id);
        others.retain(|key| !keys.contains(key));
        self.outbound.unwatch(slot, id, &others);
        self.watch_more(slot, id, keys);
    }

    fn watch(&mut self, who: ConnectionId, room: &Arc<RoomState>, keys: &[Box<str>], begin: bool) {
        let Some(slot) = self.open_slot(who) else {
            return;
        };
        let Some(id) = self.outbound.membership(slot, room) else {
            return;
        };
        match begin {
            true => self.watch_more(slot, id, keys),
            false => self.outbound.unwatch(slot, id, keys),
        }
    }

    /// As many of them as the connection may watch.
    fn watch_more(&mut self, slot: u32, id: GroupId, keys: &[Box<str>]) {
        let place = self.limits.connection_keys_max;
        let place = place.saturating_sub(self.outbound.watched(slot));
        let had: HashSet<Box<str>, RandomState> =
            self.outbound.keys_of(slot, id).into_iter().collect();
        let new = keys.iter().filter(|key| !had.contains(*key));
        let mut new: Vec<Box<str>> = new.cloned().collect();
        new.sort_unstable();
        new.dedup();
        let (within, beyond) = new.split_at(new.len().min(place));
        self.tally.watches_refused += beyond.len() as u64;
        self.outbound.watch(slot, id, within);
    }

    fn leave(&mut self, who: ConnectionId, room: &Arc<RoomState>) {
        self.last = None;
        if let Some(slot) = self.open_slot(who)
            && let Some(group) = self.outbound.membership(slot, room)
            && self.outbound.leave(slot, group)
        {
            self.on_left(slot, room);
        }
    }

    /// A membership began.
    fn on_joined(&mut self, who: ConnectionId, room: &Arc<RoomState>) {
        self.tally.joins += 1;
        if let Some(roster) = room.roster() {
            let identity = self.people[who.slot() as usize].identity.as_ref();
            let present = Present {
                id: who,
                user: identity.and_then(|identity| identity.user.clone()),
                info: identity.and_then(|identity| identity.info()),
            };
            if roster.come(present) {
                self.to_notify.push(room.clone());
            }
        }
    }

    /// A membership ended.
    fn on_left(&mut self, slot: u32, room: &Arc<RoomState>) {
        self.tally.leaves += 1;
        if let Some(roster) = room.roster()
            && roster.go(self.id(slot))
        {
            self.to_notify.push(room.clone());
        }
        self.directory.leave(room, self.shard);
    }

    /// Rooms that a first change was made to since the last call.
    pub(crate) fn take_to_notify(&mut self) -> Vec<Arc<RoomState>> {
        std::mem::take(&mut self.to_notify)
    }
}

/// The policy that a member of the room has who asks for this one.
fn within(rule: &Rule, policy: SlowPolicy) -> SlowPolicy {
    match policy {
        SlowPolicy::Replay if rule.history == 0 => SlowPolicy::Skip,
        policy => policy,
    }
}

/// A publication to its one room, as the room's groups are given it.
#[inline]
fn stamp<'a>(publication: &'a Encoded, sequence: u64, except: &'a [u32]) -> Stamp<'a> {
    Stamp {
        sequence,
        offset: publication.offset,
        since_ns: publication.since_ns,
        key: publication.labels.key(),
        is_union: false,
        except,
        tracker: publication.tracker.as_ref(),
    }
}
