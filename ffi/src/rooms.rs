//! Rooms: by name, and held by a number, which is the quick way to publish to one often.

use roomcast::{Room, Status};

use crate::boundary::{In, Out, give, given, place, put, roomcast_bytes, roomcast_str};
use crate::connections::roomcast_position;
use crate::engine::{engine_guard, roomcast_engine};
use crate::lists::{roomcast_ids, roomcast_names};
use crate::publish::{payload, roomcast_publication, roomcast_published, with_publication};
use crate::status::roomcast_status;

/// Members of a room, 0 for one that does not exist.
///
/// @param room the room's name
/// @param members gets how many
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_count(
    engine: Option<&roomcast_engine>,
    room: roomcast_str,
    members: Out<'_, usize>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        place(members)?.write(engine.handle().count(room.text()?));
        Ok(())
    })
}

/// Names and member counts of all rooms.
///
/// @param rooms gets them, in no order, to be let go of by `roomcast_names_free`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_rooms(
    engine: Option<&roomcast_engine>,
    rooms: Out<'_, Box<roomcast_names>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        give(place(rooms)?, roomcast_names::new(engine.handle().rooms()));
        Ok(())
    })
}

/// The members of a room. Waits for the shards, about a turn.
///
/// @param room the room's name
/// @param members gets their ids, in no order, to be let go of by `roomcast_ids_free`
/// @return `ROOMCAST_STATUS_ON_SHARD` as in `roomcast_connection_rooms`, unless the room does not
///         exist; `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_members(
    engine: Option<&roomcast_engine>,
    room: roomcast_str,
    members: Out<'_, Box<roomcast_ids>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (place, room) = (place(members)?, room.text()?);
        let ids = engine.handle().members(room).map_err(|e| e.status())?;
        give(place, roomcast_ids::new(&ids));
        Ok(())
    })
}

/// Holds a room: publishing through its number looks no name up, and while it is held it exists,
/// with its numbering.
///
/// @param name the room's name
/// @param room gets its number, never 0, to be let go of by `roomcast_room_release`
/// @return `ROOMCAST_STATUS_ROOM_NAME`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_hold(
    engine: Option<&roomcast_engine>,
    name: roomcast_str,
    room: Out<'_, u64>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(room)?;
        let held = engine.handle().room(name.text()?).map_err(|e| e.status())?;
        let number = engine.rooms.keep(held).ok_or(Status::Overloaded)?;
        place.write(number);
        Ok(())
    })
}

/// Lets go of a held room; its number is stale from then on. What is still held goes with the
/// engine.
///
/// @return `ROOMCAST_STATUS_GONE` for a number that is not held
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_release(
    engine: Option<&roomcast_engine>,
    room: u64,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        engine.rooms.take(room).map(drop).ok_or(Status::Gone)
    })
}

pub(crate) fn held<R>(
    engine: &roomcast_engine,
    room: u64,
    work: impl FnOnce(&Room) -> Result<R, Status>,
) -> Result<R, Status> {
    engine.rooms.with(room, work).ok_or(Status::Gone)?
}

/// Publishes to all members of a held room, as `roomcast_engine_publish`.
///
/// @param kind one of `roomcast_kind`
/// @param data the payload, copied
/// @param published gets what became of it; may be NULL
/// @return `ROOMCAST_STATUS_GONE` for a number that is not held; else as `roomcast_engine_publish`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_publish(
    engine: Option<&roomcast_engine>,
    room: u64,
    kind: u32,
    data: roomcast_bytes,
    published: Out<'_, roomcast_published>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let publication = payload(kind, &data)?;
        let done = held(engine, room, |room| {
            room.publish(publication).map_err(|e| e.status())
        })?;
        put(published, done.into());
        Ok(())
    })
}

/// Publishes to all members of a held room, with exclusions and labels.
///
/// @param publication what, and who is left out; its `room_count` is 0
/// @param published gets what became of it; may be NULL
/// @return as `roomcast_room_publish`; `ROOMCAST_STATUS_KEY`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_publish_with(
    engine: Option<&roomcast_engine>,
    room: u64,
    publication: In<roomcast_publication>,
    published: Out<'_, roomcast_published>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let done = with_publication(&publication, |what| {
            given(what.rooms.is_empty().then_some(()))?;
            held(engine, room, |room| {
                room.publish(what.publication).map_err(|e| e.status())
            })
        })?;
        put(published, done.into());
        Ok(())
    })
}

/// Publishes to all members of a held room, and tells later what became of it, as
/// `roomcast_engine_publish_tracked`.
///
/// @param publication what, and who is left out; its `room_count` is 0
/// @param token gets the number by which the event is known
/// @param published gets what became of it; may be NULL
/// @return as `roomcast_room_publish_with`; then there is no event
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_publish_tracked(
    engine: Option<&roomcast_engine>,
    room: u64,
    publication: In<roomcast_publication>,
    token: Out<'_, u64>,
    published: Out<'_, roomcast_published>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(token)?;
        let done = with_publication(&publication, |what| {
            given(what.rooms.is_empty().then_some(()))?;
            held(engine, room, |room| {
                let tracked = room.publish_tracked(what.publication);
                tracked.map_err(|e| e.status())
            })
        })?;
        place.write(done.token);
        put(published, done.published.into());
        Ok(())
    })
}

/// Members of a held room now.
///
/// @param members gets how many
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_members(
    engine: Option<&roomcast_engine>,
    room: u64,
    members: Out<'_, usize>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(members)?;
        place.write(held(engine, room, |room| Ok(room.members()))?);
        Ok(())
    })
}

/// Epoch and offset of a held room now.
///
/// @param position gets them
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_position(
    engine: Option<&roomcast_engine>,
    room: u64,
    position: Out<'_, roomcast_position>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(position)?;
        place.write(held(engine, room, |room| Ok(room.position()))?.into());
        Ok(())
    })
}

/// The name of a held room.
///
/// @param name gets it, valid until the room is released
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_name(
    engine: Option<&roomcast_engine>,
    room: u64,
    name: Out<'_, roomcast_str>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(name)?;
        place.write(held(engine, room, |room| {
            Ok(roomcast_str::of(room.name()))
        })?);
        Ok(())
    })
}
