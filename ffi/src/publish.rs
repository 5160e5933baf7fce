//! Publishing and sending: to rooms, connections, users and all, from any thread.

use std::ffi::c_void;

use roomcast::{ConnectionId, Kind, Publication, Published, Status};

use crate::boundary::{In, Out, given, place, put, roomcast_bytes, roomcast_str};
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

/// A tag of a publication. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_tag {
    /// Its name.
    pub name: roomcast_str,
    /// Its value.
    pub value: roomcast_str,
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
    /// What kind of event it is, for filters; none where `data` is NULL, which is not the same as
    /// the empty text. Like key and tags it is not on the wire.
    pub event: roomcast_str,
    /// What it is about, at most `key_bytes_max` bytes; none where `data` is NULL. Newer news of
    /// the same key takes its place where a room conflates, and for members whose policy is
    /// `ROOMCAST_SLOW_POLICY_LATEST`; members may watch keys (`roomcast_join`).
    pub key: roomcast_str,
    /// Names and values for filters, an array of `tag_count`. Of two with one name the first
    /// counts. With event, key and payload they count for `publication_bytes_max`.
    pub tags: In<roomcast_tag>,
    /// How many tags.
    pub tag_count: usize,
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

/// A whole publication, read.
pub(crate) struct Given<'a> {
    pub(crate) rooms: &'a [&'a str],
    pub(crate) event: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) tags: &'a [(&'a str, &'a str)],
    /// All of it but the rooms.
    pub(crate) publication: Publication<'a>,
}

/// Reads a whole publication and does something with it.
pub(crate) fn with_publication<R>(
    publication: &In<roomcast_publication>,
    work: impl FnOnce(Given<'_>) -> Result<R, Status>,
) -> Result<R, Status> {
    let given = given(publication.growing()?)?;
    let rooms = texts(given.rooms.slice(given.room_count)?)?;
    let except_rooms = texts(given.except_rooms.slice(given.except_room_count)?)?;
    let except = given.except.slice(given.except_count)?;
    let except: Vec<_> = except.iter().copied().map(ConnectionId::from_u64).collect();
    let (event, key) = (given.event.maybe()?, given.key.maybe()?);
    let tags = given.tags.slice(given.tag_count)?.iter();
    let tags = tags.map(|tag| Ok((tag.name.text()?, tag.value.text()?)));
    let tags = tags.collect::<Result<Vec<_>, Status>>()?;
    let mut made = payload(given.kind, &given.data)?;
    made = made.except(&except).except_rooms(&except_rooms).tags(&tags);
    if let Some(event) = event {
        made = made.event(event);
    }
    if let Some(key) = key {
        made = made.key(key);
    }
    work(Given {
        rooms: &rooms,
        event,
        key,
        tags: &tags,
        publication: made,
    })
}

pub(crate) fn texts(texts: &[roomcast_str]) -> Result<Vec<&str>, Status> {
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

/// Publishes to one or several rooms, with exclusions and labels. It is numbered in each room, or
/// refused in all.
///
/// @param publication what, where, and who is left out
/// @param published gets what became of it; may be NULL
/// @return as `roomcast_engine_publish`; `ROOMCAST_STATUS_KEY`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_publish_with(
    engine: Option<&roomcast_engine>,
    publication: In<roomcast_publication>,
    published: Out<'_, roomcast_published>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let handle = engine.handle();
        let done = with_publication(&publication, |given| {
            let done = match given.rooms {
                [] => return Err(Status::InvalidArgument),
                [room] => handle.publish(room, given.publication),
                rooms => handle.publish_union(rooms, given.publication),
            };
            done.map_err(|refused| refused.status())
        })?;
        put(published, done.into());
        Ok(())
    })
}

/// Publishes to one room, as `roomcast_engine_publish_with`, and tells later what became of it:
/// when all members in step have been offered it, `ROOMCAST_EVENT_DELIVERED` comes with its token.
/// That may be before this call returns, on another thread. It costs a walk over the members, so
/// track what matters.
///
/// @param publication what, where (`room_count` is 1), and who is left out
/// @param token gets the number by which the event is known, never used twice in the engine's life
/// @param published gets what became of it; may be NULL
/// @return as `roomcast_engine_publish_with`; then there is no event
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_publish_tracked(
    engine: Option<&roomcast_engine>,
    publication: In<roomcast_publication>,
    token: Out<'_, u64>,
    published: Out<'_, roomcast_published>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(token)?;
        let done = with_publication(&publication, |given| {
            let [room] = given.rooms else {
                return Err(Status::InvalidArgument);
            };
            let done = engine.handle().publish_tracked(room, given.publication);
            done.map_err(|refused| refused.status())
        })?;
        place.write(done.token);
        put(published, done.published.into());
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
