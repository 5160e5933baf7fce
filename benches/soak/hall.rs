//! The host of one engine: does what peers ask, numbers what it publishes, and compares its own
//! numbers with the offsets and positions that the engine gives back.
//!
//! Callbacks run on shard threads, the rest on the server's publishers. A room's numbers have a
//! lock, which is held while publishing, so that a payload can carry its own number. Joins and
//! leaves of held rooms take no lock: there the engine's own word is what is judged.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use roomcast::{
    Accept, CloseReason, Connection, ConnectionId, Handle, Handler, Message, Missed, Pending,
    Publication, Published, Refused, Request, Room,
};

use crate::plan;
use crate::wire::Said;

/// By whom a publication is that a peer asked for.
const RELAYED: u8 = 255;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Tail {
    /// Publications so far, over all lives of the room.
    count: u64,
    /// Of a room that is not held: its present life, and the offset there.
    epoch: u64,
    offset: u64,
}

struct Desk {
    name: String,
    tail: Mutex<Tail>,
    held: RwLock<Option<Room>>,
}

impl Desk {
    fn held(&self) -> Option<Room> {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What the host keeps of a connection.
pub struct Guest {
    id: OnceLock<ConnectionId>,
    user: String,
    mail: Mutex<u64>,
    echoes: AtomicU64,
    rooms: Mutex<Vec<u16>>,
    /// Where it stands in the roster.
    at: AtomicUsize,
}

/// How often things happened.
#[derive(Default)]
pub struct Counts {
    pub published: AtomicU64,
    pub unions: AtomicU64,
    pub relayed: AtomicU64,
    pub mail: AtomicU64,
    pub refused: AtomicU64,
    pub too_slow: AtomicU64,
    pub lagged: AtomicU64,
    pub high: AtomicU64,
    pub joins: AtomicU64,
    pub leaves: AtomicU64,
    pub lives: AtomicU64,
}

pub struct Hall {
    handle: OnceLock<Handle>,
    desks: Vec<Desk>,
    roster: Mutex<Vec<Arc<Guest>>>,
    guests: AtomicU64,
    all: Mutex<u64>,
    pub counts: Counts,
}

/// The handler of an engine.
pub struct Door(pub Arc<Hall>);

/// Says what the engine did wrong; the other process counts these lines.
pub fn fault(text: &str) {
    println!("fault {text}");
}

impl Hall {
    pub fn new() -> Arc<Hall> {
        let desk = |room: u16| Desk {
            name: format!("r{room}"),
            tail: Mutex::default(),
            held: RwLock::default(),
        };
        Arc::new(Hall {
            handle: OnceLock::new(),
            desks: (0..plan::ROOMS).map(desk).collect(),
            roster: Mutex::default(),
            guests: AtomicU64::new(0),
            all: Mutex::new(0),
            counts: Counts::default(),
        })
    }

    /// Takes the engine's handle, and takes hold of rooms.
    pub fn open(&self, handle: &Handle) -> Result<(), roomcast::CommandError> {
        self.handle.get_or_init(|| handle.clone());
        for (desk, room) in self.desks.iter().zip(0..) {
            if plan::is_held(room) {
                let held = Some(handle.room(&desk.name)?);
                *desk.held.write().unwrap_or_else(PoisonError::into_inner) = held;
            }
        }
        Ok(())
    }

    /// Lets go of all rooms.
    pub fn let_go(&self) {
        for desk in &self.desks {
            *desk.held.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    fn handle(&self) -> &Handle {
        self.handle.get().expect("opened before anybody connects")
    }

    /// Publishes to these rooms, in ascending order; false when it was refused.
    pub fn publish(&self, rooms: &[u16], by: u8, nth: u64, size: usize) -> bool {
        let publish = |places: &[(u16, u64)]| {
            let places = places.to_vec();
            let data = Said::Published { by, nth, places }.write(size);
            match *rooms {
                [room] => match self.desks[usize::from(room)].held() {
                    Some(held) => held.publish(&data),
                    None => self
                        .handle()
                        .publish(&self.desks[usize::from(room)].name, &data),
                },
                _ => {
                    let names: Vec<&str> = rooms.iter().map(|&room| self.name(room)).collect();
                    self.handle().publish_union(&names, &data)
                }
            }
        };
        let mut tails = self.tails(rooms);
        self.number(rooms, &mut tails, publish).is_some()
    }

    fn name(&self, room: u16) -> &str {
        &self.desks[usize::from(room)].name
    }

    fn tails(&self, rooms: &[u16]) -> Vec<MutexGuard<'_, Tail>> {
        rooms
            .iter()
            .map(|&room| lock(&self.desks[usize::from(room)].tail))
            .collect()
    }

    /// Publishes under the locks of the rooms, and holds the outcome against our own numbers.
    fn number(
        &self,
        rooms: &[u16],
        tails: &mut [MutexGuard<'_, Tail>],
        publish: impl FnOnce(&[(u16, u64)]) -> Result<Published, Refused>,
    ) -> Option<u64> {
        let counts = tails.iter().map(|tail| tail.count + 1);
        let places: Vec<(u16, u64)> = rooms.iter().copied().zip(counts).collect();
        let Ok(published) = publish(&places) else {
            self.counts.refused.fetch_add(1, Relaxed);
            return None;
        };
        self.counts.published.fetch_add(1, Relaxed);
        self.counts
            .unions
            .fetch_add(u64::from(rooms.len() > 1), Relaxed);
        let first = &mut tails[0];
        let expected = match (plan::is_held(rooms[0]), published.offset) {
            (true, _) => Some(first.count + 1),
            (false, None) => None,
            (false, Some(_)) => Some(first.offset + 1),
        };
        // Of a union the engine gives the offset of the first room that exists.
        let fits = match rooms.len() == 1 || plan::is_held(rooms[0]) {
            true => published.offset == expected,
            false => places.iter().any(|(_, nth)| Some(*nth) == published.offset),
        };
        if !fits {
            fault(&format!(
                "{published:?}, but {places:?} or {expected:?} was next"
            ));
        }
        first.offset = published.offset.unwrap_or(first.offset);
        tails.iter_mut().for_each(|tail| tail.count += 1);
        Some(places[0].1)
    }

    /// How far a room is: at least, if nothing is asked in between exactly.
    fn place(&self, room: u16) -> u64 {
        let desk = &self.desks[usize::from(room)];
        match desk.held() {
            Some(held) => held.position().offset,
            None => lock(&desk.tail).count,
        }
    }

    fn join(&self, id: ConnectionId, room: u16) -> Option<u64> {
        self.counts.joins.fetch_add(1, Relaxed);
        let desk = &self.desks[usize::from(room)];
        if plan::is_held(room) {
            return Some(self.handle().join(id, &desk.name).ok()?.offset);
        }
        let mut tail = lock(&desk.tail);
        let position = self.handle().join(id, &desk.name).ok()?;
        if tail.epoch != position.epoch {
            (tail.epoch, tail.offset) = (position.epoch, 0);
            self.counts.lives.fetch_add(1, Relaxed);
        }
        if tail.offset != position.offset {
            fault(&format!(
                "joined {} at {position:?}, not {}",
                desk.name, tail.offset
            ));
        }
        Some(tail.count)
    }

    fn leave(&self, id: ConnectionId, room: u16) -> Option<(u64, u64)> {
        self.counts.leaves.fetch_add(1, Relaxed);
        let desk = &self.desks[usize::from(room)];
        let tail = (!plan::is_held(room)).then(|| lock(&desk.tail));
        let low = tail
            .as_ref()
            .map_or_else(|| self.place(room), |tail| tail.count);
        self.handle().leave(id, &desk.name).ok()?;
        let high = tail
            .as_ref()
            .map_or_else(|| self.place(room), |tail| tail.count);
        Some((low, high))
    }

    /// Publishes for a peer to all others of the room, and tells it the number in its place.
    fn relay(&self, id: ConnectionId, room: u16) {
        let rooms = [room];
        let mut tails = self.tails(&rooms);
        let publish = |places: &[(u16, u64)]| {
            let (by, nth, places) = (RELAYED, places[0].1, places.to_vec());
            let data = Said::Published { by, nth, places }.write(100);
            let publication = Publication::binary(&data).except(std::slice::from_ref(&id));
            self.handle().publish(self.name(room), publication)
        };
        let nth = self.number(&rooms, &mut tails, publish).unwrap_or(0);
        self.counts.relayed.fetch_add(1, Relaxed);
        self.tell(id, &Said::Relayed(room, nth));
    }

    /// Answers must not be lost, so a refusal is a fault: the inbox is far larger than they are.
    fn tell(&self, id: ConnectionId, said: &Said) {
        if let Err(refused) = self.handle().send(id, &said.write(0)) {
            fault(&format!("{said:?} was refused: {refused}"));
        }
    }

    /// A message for one connection, by its id or by its user's name.
    pub fn mail(&self, dice: &mut plan::Dice) {
        let roster = lock(&self.roster);
        let Some(guest) = roster.get(dice.below(roster.len())).cloned() else {
            return;
        };
        drop(roster);
        let mut mail = lock(&guest.mail);
        let data = Said::Mail(*mail + 1).write(0);
        let id = *guest.id.get().expect("it is open");
        let sent = match dice.percent(50) {
            true => self.handle().send(id, &data),
            false => self.handle().send_user(&guest.user, &data),
        };
        if sent.is_ok() {
            *mail += 1;
            self.counts.mail.fetch_add(1, Relaxed);
        }
    }

    /// A message for everybody.
    pub fn all(&self) {
        let mut all = lock(&self.all);
        if self
            .handle()
            .send_all(&Said::All(*all + 1).write(0))
            .is_ok()
        {
            *all += 1;
        }
    }

    /// Somebody who is there.
    pub fn somebody(&self, dice: &mut plan::Dice) -> Option<ConnectionId> {
        let roster = lock(&self.roster);
        roster.get(dice.below(roster.len()))?.id.get().copied()
    }

    fn bye(&self, id: ConnectionId, guest: &Guest) {
        // Taken first: mail that comes later has a number beyond what is told here.
        let mail = lock(&guest.mail);
        let rooms = lock(&guest.rooms);
        let places = rooms.iter().map(|&room| (room, self.place(room))).collect();
        self.tell(
            id,
            &Said::Bye {
                mail: *mail,
                places,
            },
        );
        if let Err(error) = self.handle().close(id, 1000, "bye") {
            fault(&format!("no close: {error}"));
        }
    }

    fn hear(&self, id: ConnectionId, guest: &Guest, text: &str) -> Option<()> {
        let mut words = text.split(' ');
        let (what, number) = (words.next()?, words.next().unwrap_or("0"));
        let number: u64 = number.parse().ok()?;
        let room = number as u16;
        match what {
            "join" => {
                lock(&guest.rooms).push(room);
                self.tell(id, &Said::Joined(room, self.join(id, room)?));
            }
            "leave" => {
                lock(&guest.rooms).retain(|&other| other != room);
                let (low, high) = self.leave(id, room)?;
                self.tell(id, &Said::Left(room, low, high));
            }
            "echo" => {
                let expected = guest.echoes.fetch_add(1, Relaxed) + 1;
                if number != expected {
                    fault(&format!("message {number} of a peer, not {expected}"));
                }
                self.tell(id, &Said::Echo(number));
            }
            "relay" => self.relay(id, room),
            "bye" => self.bye(id, guest),
            _ => return None,
        }
        Some(())
    }
}

impl Handler for Door {
    /// The query lists held rooms to be in from the first moment.
    fn connecting(&self, request: &Request, pending: Pending) {
        let hall = &self.0;
        let listed = request.query_value("rooms").unwrap_or_default();
        let mut rooms: Vec<u16> = listed
            .split(',')
            .filter_map(|room| room.parse().ok())
            .collect();
        rooms.retain(|&room| room < plan::ROOMS && plan::is_held(room));
        rooms.sort_unstable();
        rooms.dedup();
        let guest = Arc::new(Guest {
            id: OnceLock::new(),
            user: format!("u{}", hall.guests.fetch_add(1, Relaxed)),
            mail: Mutex::new(0),
            echoes: AtomicU64::new(0),
            rooms: Mutex::new(rooms.clone()),
            at: AtomicUsize::new(0),
        });
        let mut accept = Accept::new()
            .user(guest.user.clone())
            .data(Arc::new(guest.clone()));
        for &room in &rooms {
            accept = accept.room(hall.name(room));
        }
        let id = pending.id();
        let places: Vec<(u16, u64)> = {
            let tails = hall.tails(&rooms);
            pending.accept(accept);
            rooms
                .iter()
                .copied()
                .zip(tails.iter().map(|tail| tail.count))
                .collect()
        };
        for (room, base) in places {
            hall.tell(id, &Said::Joined(room, base));
        }
    }

    fn opened(&self, connection: Connection<'_>) {
        let Some(guest) = connection.data::<Arc<Guest>>() else {
            return fault("a connection opened without its data");
        };
        guest.id.get_or_init(|| connection.id());
        let mut roster = lock(&self.0.roster);
        guest.at.store(roster.len(), Relaxed);
        roster.push(guest.clone());
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let guest = connection.data::<Arc<Guest>>();
        let heard = guest.zip(message.text());
        let heard = heard.and_then(|(guest, text)| self.0.hear(connection.id(), guest, text));
        if heard.is_none() {
            fault(&format!("it cannot be done: {:?}", message.text()));
        }
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        if *reason == CloseReason::TooSlow {
            self.0.counts.too_slow.fetch_add(1, Relaxed);
        }
        let Some(guest) = connection.data::<Arc<Guest>>() else {
            return fault("a connection closed without its data");
        };
        let mut roster = lock(&self.0.roster);
        let at = guest.at.load(Relaxed);
        if roster.get(at).and_then(|found| found.id.get()) != Some(&connection.id()) {
            return fault("a connection closed that had not opened");
        }
        roster.swap_remove(at);
        if let Some(moved) = roster.get(at) {
            moved.at.store(at, Relaxed);
        }
    }

    fn backpressure(&self, _: Connection<'_>, high: bool) {
        self.0.counts.high.fetch_add(u64::from(high), Relaxed);
    }

    fn lagged(&self, connection: Connection<'_>, room: &str, missed: Missed) {
        let missed = missed.count;
        self.0.counts.lagged.fetch_add(missed, Relaxed);
        let room = room
            .strip_prefix('r')
            .and_then(|room| room.parse::<u16>().ok());
        match room {
            Some(room) => self.0.tell(connection.id(), &Said::Missed(room, missed)),
            None => fault("somebody lagged in a room that nobody knows"),
        }
    }
}
