//! The router: a command and whom it is about → effects on groups and outboxes of this shard.
//!
//! In: commands in the order of the inbox. Out: appends, private frames, joins, leaves; what it
//! cannot do itself (sockets, handshakes, timers) it gives back to the shard. It knows who is
//! connected and who may be in which room; it never knows sockets, threads or the clock.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::alive::Alive;
use crate::dialect::WireKind;
use crate::identity::{Identity, Who};
use crate::outbound::frame::Frame;
use crate::outbound::{Bounds, FRAME_OVERHEAD, GroupId, Outbound, RoomRef};
use crate::payload::ConnectionId;
use crate::rooms::encoded::{Encoded, Spare};
use crate::rooms::framed::{Codec, Framed};
use crate::rooms::{Directory, RoomState};
use crate::sync::Arc;

/// What a handle asks of a shard about rooms and messages.
pub(crate) enum Command {
    /// To the publication's own room.
    Publish(Arc<Encoded>),
    Union {
        rooms: Box<[Arc<RoomState>]>,
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
    Join {
        who: ConnectionId,
        room: Arc<RoomState>,
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
                publication.cost()
            }
            Command::Send { message, .. }
            | Command::SendUser { message, .. }
            | Command::SendAll { message } => message.len() + FRAME_OVERHEAD,
            Command::Join { .. } | Command::Leave { .. } => 0,
        }
    }
}

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
}

pub(crate) struct Router {
    shard: usize,
    rooms_max: usize,
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
}

impl Router {
    pub(crate) fn new(
        shard: usize,
        rooms_max: usize,
        directory: Arc<Directory>,
        alive: Arc<Alive>,
        bounds: Bounds,
        codec: Codec,
    ) -> Self {
        Router {
            shard,
            rooms_max,
            directory,
            alive,
            people: Vec::new(),
            users: HashMap::default(),
            outbound: Outbound::new(shard, bounds),
            tally: Tally::default(),
            codec,
            spent: Vec::new(),
            last: None,
        }
    }

    /// Bytes of the tables that hold connections and their first memberships.
    pub(crate) fn bytes(&self) -> usize {
        self.people.capacity() * size_of::<Person>() + self.outbound.link_bytes()
    }

    /// Lets go of what this turn has published.
    pub(crate) fn let_go(&mut self, spare: &Spare) {
        self.last = None;
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
        if let Some(user) = identity.as_ref().and_then(|i| i.user.clone()) {
            self.users.entry(user).or_default().push(slot);
        }
        person.identity = identity;
    }

    /// The connection will get this frame after what it is owed, and nothing else any more.
    pub(crate) fn close(&mut self, slot: u32, frame: Frame) {
        self.last = None;
        self.people[slot as usize].open = false;
        self.alive.set(slot, 0);
        for room in self.outbound.close(slot, Arc::new(frame)) {
            self.tally.leaves += 1;
            self.directory.leave(&room, self.shard);
        }
    }

    /// The connection is gone. Gives back who it was, for its last event.
    pub(crate) fn detach(&mut self, slot: u32) -> Option<Arc<Identity>> {
        self.last = None;
        for room in self.outbound.detach(slot) {
            self.tally.leaves += 1;
            self.directory.leave(&room, self.shard);
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
                if let Some(room) = publication.room() {
                    self.publish(std::slice::from_ref(room), &publication);
                }
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
            Command::Join { who, room } => self.join(who, &room),
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

    /// One publication to the groups of its rooms, under one sequence number.
    fn publish(&mut self, rooms: &[Arc<RoomState>], publication: &Arc<Encoded>) {
        let sequence = self.outbound.next_sequence();
        for id in &publication.except {
            if let Some(slot) = self.open_slot(*id)
                && rooms.iter().any(|r| self.is_in(slot, r))
            {
                self.outbound.skip(slot, sequence);
            }
        }
        for room in &publication.except_rooms {
            self.except_room(room, rooms, sequence);
        }
        for room in rooms {
            match self.group(room) {
                Some(group) if self.outbound.is_plain(group) => {
                    let since_ns = publication.since_ns;
                    self.outbound.append(group, publication, sequence, since_ns);
                }
                Some(group) => self.publish_in_kinds(room, group, publication, sequence),
                None => room.on_swept(self.shard, publication.cost()),
            }
        }
    }

    /// To a room whose members are not all sent the plain frame. What each of its groups is sent is
    /// *ahead* from here on, instead of what was numbered.
    #[inline(never)]
    fn publish_in_kinds(
        &mut self,
        room: &Arc<RoomState>,
        first: GroupId,
        publication: &Arc<Encoded>,
        sequence: u64,
    ) {
        let since_ns = publication.since_ns;
        let mut group = Some(first);
        while let Some(id) = group {
            group = self.outbound.next_group(id);
            let wire = WireKind::of(self.outbound.kind(id));
            match publication.framed.compressed(wire, &mut self.codec) {
                Some(frame) => {
                    room.add_ahead(self.shard, frame.len() + FRAME_OVERHEAD);
                    self.outbound.append(id, frame, sequence, since_ns);
                }
                None => {
                    room.add_ahead(self.shard, publication.cost());
                    self.outbound.append(id, publication, sequence, since_ns);
                }
            }
        }
        room.on_swept(self.shard, publication.cost());
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

    /// The group through which the connection is in the room.
    fn membership(&self, slot: u32, room: &Arc<RoomState>) -> Option<GroupId> {
        let mut groups = self.outbound.groups_of(room);
        groups.find(|&group| self.outbound.is_member(slot, group))
    }

    fn is_in(&self, slot: u32, room: &Arc<RoomState>) -> bool {
        self.membership(slot, room).is_some()
    }

    /// Leaves out the members of `room`.
    fn except_room(&mut self, room: &Arc<RoomState>, rooms: &[Arc<RoomState>], sequence: u64) {
        let both: Vec<u32> = self
            .members_of(room)
            .filter(|&slot| rooms.iter().any(|r| self.is_in(slot, r)))
            .collect();
        for slot in both {
            self.outbound.skip(slot, sequence);
        }
    }

    fn join(&mut self, who: ConnectionId, room: &Arc<RoomState>) {
        self.last = None;
        let slot = self.open_slot(who);
        let slot = slot.filter(|&slot| {
            let may = self.outbound.memberships(slot) < self.rooms_max || self.is_in(slot, room);
            self.tally.joins_refused += u64::from(!may);
            may
        });
        let joined = slot.is_some_and(|slot| {
            let kind = self.people[slot as usize].wire as u8;
            self.outbound.join(slot, kind, room)
        });
        match joined {
            true => self.tally.joins += 1,
            // Gone, in too many rooms, or a member already: the count was raised for nothing.
            false => self.directory.leave(room, self.shard),
        }
    }

    fn leave(&mut self, who: ConnectionId, room: &Arc<RoomState>) {
        self.last = None;
        if let Some(slot) = self.open_slot(who)
            && let Some(group) = self.membership(slot, room)
            && self.outbound.leave(slot, group)
        {
            self.tally.leaves += 1;
            self.directory.leave(room, self.shard);
        }
    }
}
