//! The host of a run: asks the engine, and writes down in the model what it asked.
//!
//! In: operations, and callbacks of the engine. Out: calls of a handle and, in the same moment,
//! what they mean to the model; the order of the calls is what the engine promises. One thread.

use std::sync::{Arc, Mutex, MutexGuard};

use roomcast::{
    Accept, CloseReason, Connection, ConnectionId, Handle, Handler, Message, Missed, Pending,
    Publication, Request, Room,
};

use super::model::{Model, ROOMS, each, room_name};

/// How many users the peers are.
pub const USERS: usize = 3;

/// Asks from the run and from callbacks alike.
#[derive(Clone)]
pub struct Host(pub Arc<Mutex<Model>>);

impl Host {
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().expect("a panic ends the run")
    }

    pub fn join(&self, handle: &Handle, id: ConnectionId, room: usize) {
        let mut model = self.model();
        model.look(&handle.rooms());
        let position = handle.join(id, &room_name(room)).expect("it is taken");
        model.on_position(room, position);
        let peer = model.peer(id);
        peer.rooms |= u8::from(peer.open) << room;
    }

    pub fn leave(&self, handle: &Handle, id: ConnectionId, room: usize) {
        handle.leave(id, &room_name(room)).expect("it is taken");
        self.model().on_leave(id, room);
    }

    /// Publishes to one room or a union, through a held room where there is one.
    pub fn publish(&self, by: &By<'_>, to: u8, but: u8, except: &[ConnectionId], len: usize) {
        let mut model = self.model();
        model.look(&by.handle.rooms());
        let draft = model.draft(len);
        let names = |rooms: u8| each(rooms).map(room_name).collect::<Vec<_>>();
        let (to_names, but_names) = (names(to), names(but));
        let to_names: Vec<&str> = to_names.iter().map(String::as_str).collect();
        let but_names: Vec<&str> = but_names.iter().map(String::as_str).collect();
        let publication = publication(draft.text, &draft.payload)
            .except(except)
            .except_rooms(&but_names);
        let result = match (by.held, &to_names[..]) {
            (Some(room), _) => room.publish(publication),
            (None, [one]) => by.handle.publish(one, publication),
            (None, several) => by.handle.publish_union(several, publication),
        };
        if model.is_taken(&result, draft.payload.len()) {
            model.on_published(to, result.expect("it is taken"));
            model.owe_members(draft.number, to, but, except);
        }
    }

    pub fn send(&self, handle: &Handle, to: To, len: usize) {
        let mut model = self.model();
        let draft = model.draft(len);
        let message = publication(draft.text, &draft.payload);
        let result = match to {
            To::Peer(at) => match model.peers[at].id {
                Some(id) => handle.send(id, message),
                None => return,
            },
            To::User(user) => handle.send_user(&format!("user-{user}"), message),
            To::All => handle.send_all(message),
        };
        if !model.is_taken(&result, draft.payload.len()) {
            return;
        }
        for at in 0..model.peers.len() {
            let is_to = match to {
                To::Peer(one) => at == one,
                To::User(user) => at % USERS == user,
                To::All => true,
            };
            if is_to {
                model.owe(draft.number, at);
            }
        }
    }
}

fn publication(text: bool, payload: &[u8]) -> Publication<'_> {
    match text {
        true => Publication::text(std::str::from_utf8(payload).expect("it is ASCII")),
        false => Publication::binary(payload),
    }
}

/// Through what something is published.
pub struct By<'a> {
    pub handle: &'a Handle,
    pub held: Option<&'a Room>,
}

/// Who is sent a message.
#[derive(Clone, Copy)]
pub enum To {
    Peer(usize),
    User(usize),
    All,
}

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let mut parts = request.path().split('/').skip(1);
        let mut part = || parts.next().and_then(|p| p.parse().ok());
        let at: usize = part().expect("the peer's number");
        let rooms = part().expect("its rooms") as u8;
        let mut model = self.model();
        model.look(&pending.handle().rooms());
        model.on_accept(at, pending.id(), rooms);
        let user = format!("user-{}", at % USERS);
        let mut accept = Accept::new().user(user);
        for room in each(rooms) {
            model.on_accepted_into(room);
            accept = accept.room(room_name(room));
        }
        pending.accept(accept);
    }

    fn opened(&self, connection: Connection<'_>) {
        self.model().on_opened(connection.id());
    }

    /// The peer says what the host is to do about it.
    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let id = connection.id();
        self.model().on_message(id);
        let what = message.bytes().first().copied().unwrap_or_default();
        let (room, handle) = (usize::from(what) % ROOMS, connection.handle());
        let by = By { handle, held: None };
        match what >> 3 & 3 {
            0 => self.publish(&by, 1 << room, 0, &[id], 40),
            1 => self.publish(&by, 1 << room, 0, &[], 200),
            2 => self.join(handle, id, room),
            _ => self.leave(handle, id, room),
        }
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        self.model().on_closed(connection.id(), reason);
    }

    fn lagged(&self, connection: Connection<'_>, _: &str, missed: Missed) {
        self.model().on_lagged(connection.id(), missed.count);
    }
}
