//! Publishing and sending: to rooms, connections, users and all, from any thread.

use std::ffi::c_void;

use roomcast::{ConnectionId, Kind, Publication, Published, Status};

use crate::boundary::{In, Out, given, put, roomcast_bytes, roomcast_str};
use crate::engine::{engine_guard, holding_guard, roomcast_engine};
use crate::events::read_kind;
use crate::status::roomcast_status;

/// What became of a publication. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_published {
    /// Its number in the room, counted from 1 in each epoch; of the first room of several. 0 when
    /// the room did not exist, and so had no members.
    pub offset: u64,
    /// Members of the room when it was numbered, exclusions not subtracted; of several rooms the
    /// sum, which is an upper bound.
    pub members: usize,
}

impl From<Published> for roomcast_published {
    fn from(published: Published) -> Self {
        roomcast_published {
            offset: published.offset.unwrap_or(0),
            members: published.members,
        }
    }
}

/// A publication with all that can be said of it. Set `struct_size`, and the rest to zero where it
/// is not needed.
#[repr(C)]
pub struct roomcast_publication {
    /// `sizeof(roomcast_publication)`.
    pub struct_size: usize,
    /// One of `roomcast_kind`.
    pub kind: u32,
    /// The payload.
    pub data: roomcast_bytes,
    /// To the members of these rooms, an array of `room_count` names; a member of several is sent
    /// it once. `roomcast_room_publish_with` wants none.
    pub rooms: In<roomcast_str>,
    /// How many rooms.
    pub room_count: usize,
    /// But not to these connections, an array of `except_count` ids: for instance the sender.
    pub except: In<u64>,
    /// How many connections.
    pub except_count: usize,
    /// And not to members of these rooms, an array of `except_room_count` names.
    pub except_rooms: In<roomcast_str>,
    /// How many rooms.
    pub except_room_count: usize,
}

/// A payload as it is published, checked to be UTF-8 where it is text.
#[inline]
pub(crate) fn payload(kind: u32, data: &roomcast_bytes) -> Result<Publication<'_>, Status> {
    let bytes = data.bytes()?;
    match given(read_kind(kind))? {
        Kind::Binary => Ok(Publication::binary(bytes)),
        Kind::Text => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Publication::text(text)),
            Err(_) => Err(Status::InvalidArgument),
        },
    }
}

/// Reads a whole publication and does something with it and its rooms.
pub(crate) fn with_publication(
    publication: &In<roomcast_publication>,
    work: impl FnOnce(&[&str], Publication<'_>) -> Result<Published, Status>,
) -> Result<Published, Status> {
    let publication = given(publication.growing()?)?;
    let rooms = texts(publication.rooms.slice(publication.room_count)?)?;
    let except_rooms = publication
        .except_rooms
        .slice(publication.except_room_count)?;
    let except_rooms = texts(except_rooms)?;
    let except = publication.except.slice(publication.except_count)?;
    let except: Vec<_> = except.iter().copied().map(ConnectionId::from_u64).collect();
    let made = payload(publication.kind, &publication.data)?;
    work(&rooms, made.except(&except).except_rooms(&except_rooms))
}

fn texts(texts: &[roomcast_str]) -> Result<Vec<&str>, Status> {
    texts.iter().map(roomcast_str::text).collect()
}

/// Publishes to all members of a room. Never blocks on a peer. Publishing to a room that nobody is
/// in is no error: it has 0 members and, where it does not even exist, no offset.
///
/// @param room the room's name
/// @param kind one of `roomcast_kind`
/// @param data the payload, copied
/// @param published gets what became of it; may be NULL
/// @return `ROOMCAST_STATUS_BEHIND` and `ROOMCAST_STATUS_OVERLOADED` pass with time; also
///         `_PAYLOAD_TOO_LARGE`, `_ROOM_NAME`, `_STOPPED`. Nobody was sent it then.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_publish(
    engine: Option<&roomcast_engine>,
    room: roomcast_str,
    kind: u32,
    data: roomcast_bytes,
    published: Out<'_, roomcast_published>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (room, publication) = (room.text()?, payload(kind, &data)?);
        let done = engine.handle().publish(room, publication);
        put(published, done.map_err(|e| e.status())?.into());
        Ok(())
    })
}

/// Publishes to one or several rooms, with exclusions. It is numbered in each room, or refused in
/// all.
///
/// @param publication what, where, and who is left out
/// @param published gets what became of it; may be NULL
/// @return as `roomcast_engine_publish`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_publish_with(
    engine: Option<&roomcast_engine>,
    publication: In<roomcast_publication>,
    published: Out<'_, roomcast_published>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let handle = engine.handle();
        let publish = |rooms: &[&str], publication: Publication<'_>| {
            let done = match rooms {
                [] => return Err(Status::InvalidArgument),
                [room] => handle.publish(room, publication),
                rooms => handle.publish_union(rooms, publication),
            };
            done.map_err(|refused| refused.status())
        };
        let done = with_publication(&publication, publish)?;
        put(published, done.into());
        Ok(())
    })
}

/// Sends a message to every open connection.
///
/// @param kind one of `roomcast_kind`
/// @param data the payload, copied
/// @return as `roomcast_engine_publish`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_send_all(
    engine: Option<&roomcast_engine>,
    kind: u32,
    data: roomcast_bytes,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let sent = engine.handle().send_all(payload(kind, &data)?);
        sent.map_err(|refused| refused.status())
    })
}

/// Sends a message to all connections of a user; none is no error.
///
/// @param user as connections were accepted
/// @param kind one of `roomcast_kind`
/// @param data the payload, copied
/// @return as `roomcast_engine_publish`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_user_send(
    engine: Option<&roomcast_engine>,
    user: roomcast_str,
    kind: u32,
    data: roomcast_bytes,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let sent = engine
            .handle()
            .send_user(user.text()?, payload(kind, &data)?);
        sent.map_err(|refused| refused.status())
    })
}

/// Does something (`roomcast_engine_corked`), on the thread and before the return of that call.
///
/// @param user_data what that call was given
pub type roomcast_work_fn = Option<extern "C" fn(user_data: *mut c_void)>;

/// Calls a function, and has what it publishes and sends on this thread leave together, in one
/// write to each member: for a host that works off a batch of events. Nothing is held back for
/// longer than a millisecond, and calls that wait for a shard are not held back.
///
/// @param user_data given to `work`
/// @param work called once, before this returns, if it returns `ROOMCAST_STATUS_OK`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_corked(
    engine: Option<&roomcast_engine>,
    user_data: *mut c_void,
    work: roomcast_work_fn,
) -> roomcast_status {
    holding_guard(engine, |engine| {
        let work = given(work)?;
        let cork = engine.handle().cork();
        work(user_data);
        drop(cork);
        Ok(())
    })
}
