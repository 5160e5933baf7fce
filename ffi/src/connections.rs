//! Open connections: sending to one, its rooms, closing it.

use roomcast::{CommandError, ConnectionId, Position, Status};

use crate::boundary::{In, Out, give, place, put, roomcast_bytes, roomcast_str};
use crate::engine::{engine_guard, roomcast_engine};
use crate::join::{read_join, roomcast_join};
use crate::lists::{roomcast_ids, roomcast_names};
use crate::publish::{payload, texts};
use crate::status::roomcast_status;

/// A place in a room's sequence of publications. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_position {
    /// Which life of the room: a room that emptied and came back has another.
    pub epoch: u64,
    /// The number of the newest publication before this place; 0 before the first.
    pub offset: u64,
}

impl From<Position> for roomcast_position {
    fn from(position: Position) -> Self {
        roomcast_position {
            epoch: position.epoch,
            offset: position.offset,
        }
    }
}

/// The connection of this number, if it is there.
pub(crate) fn there(engine: &roomcast_engine, connection: u64) -> Result<ConnectionId, Status> {
    let id = ConnectionId::from_u64(connection);
    match engine.handle() {
        handle if handle.is_open(id) => Ok(id),
        handle if handle.is_stopping() => Err(Status::Stopped),
        _ => Err(Status::Gone),
    }
}

fn status(error: CommandError) -> Status {
    error.status()
}

/// Whether a connection is there: it is open, or waits for a verdict. At once; a connection that
/// is there now may close at any moment.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_is_open(
    engine: Option<&roomcast_engine>,
    connection: u64,
) -> bool {
    engine.is_some_and(|engine| engine.handle().is_open(ConnectionId::from_u64(connection)))
}

/// Sends a message to one connection, in its place among the publications of its rooms. One that
/// still waits for a verdict is there, but is sent nothing before it is accepted.
///
/// @param kind one of `roomcast_kind`
/// @param data the payload, copied
/// @return `ROOMCAST_STATUS_GONE` for a connection that has closed; else as
///         `roomcast_engine_publish`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_send(
    engine: Option<&roomcast_engine>,
    connection: u64,
    kind: u32,
    data: roomcast_bytes,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let message = payload(kind, &data)?;
        let sent = engine.handle().send(there(engine, connection)?, message);
        sent.map_err(|refused| refused.status())
    })
}

/// Makes a connection a member of a room: it is sent everything that is published after this call,
/// and nothing that was published before. Joining twice is joining once.
///
/// @param room the room's name
/// @param position gets where in the room's sequence it begins; may be NULL
/// @return `ROOMCAST_STATUS_GONE`, `_ROOM_NAME` or `_STOPPED`. A connection that is in
///         `connection_rooms_max` rooms is not reported here.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_join(
    engine: Option<&roomcast_engine>,
    connection: u64,
    room: roomcast_str,
    position: Out<'_, roomcast_position>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let room = room.text()?;
        let joined = engine.handle().join(there(engine, connection)?, room);
        put(position, joined.map_err(status)?.into());
        Ok(())
    })
}

/// Makes a connection a member of a room, as `roomcast_connection_join`, with a filter, a
/// watch-list, or another pace or policy than the room's. Of a member already it changes how it is
/// one, between two publications.
///
/// @param room the room's name
/// @param join how; NULL for everything, as the room's options say
/// @param position gets where in the room's sequence it begins; may be NULL
/// @return also `ROOMCAST_STATUS_KEY`. A join beyond `room_filters_max` or `connection_filters_max`
///         has no effect and is counted (`joins_refused_filters`), keys beyond
///         `connection_keys_max` are not watched and counted (`watches_refused`).
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_join_with(
    engine: Option<&roomcast_engine>,
    connection: u64,
    room: roomcast_str,
    join: In<roomcast_join>,
    position: Out<'_, roomcast_position>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (room, how) = (room.text()?, read_join(&join)?);
        let joined = engine
            .handle()
            .join_with(there(engine, connection)?, room, how);
        put(position, joined.map_err(status)?.into());
        Ok(())
    })
}

/// Adds keys to the watch-list of a member that joined with one: it is sent what is published of
/// them after this call. For others it does nothing.
///
/// @param room the room's name
/// @param keys an array of `count` keys
/// @return `ROOMCAST_STATUS_GONE`, `_ROOM_NAME` or `_STOPPED`; `_KEY` for one that is longer than
///         `key_bytes_max`, and then none is added
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_watch(
    engine: Option<&roomcast_engine>,
    connection: u64,
    room: roomcast_str,
    keys: In<roomcast_str>,
    count: usize,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (room, keys) = (room.text()?, texts(keys.slice(count)?)?);
        let id = there(engine, connection)?;
        engine.handle().watch(id, room, keys).map_err(status)
    })
}

/// Takes keys off the watch-list of a member: it is sent nothing that is published of them after
/// this call.
///
/// @param room the room's name
/// @param keys an array of `count` keys
/// @return as `roomcast_connection_watch`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_unwatch(
    engine: Option<&roomcast_engine>,
    connection: u64,
    room: roomcast_str,
    keys: In<roomcast_str>,
    count: usize,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (room, keys) = (room.text()?, texts(keys.slice(count)?)?);
        let id = there(engine, connection)?;
        engine.handle().unwatch(id, room, keys).map_err(status)
    })
}

/// Ends a membership: what is published after this call is not sent to the connection. Not being a
/// member is no error. Until its shard has seen to it, about a turn, counts and lists of members
/// may still have it.
///
/// @return `ROOMCAST_STATUS_GONE`, `_ROOM_NAME` or `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_leave(
    engine: Option<&roomcast_engine>,
    connection: u64,
    room: roomcast_str,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let room = room.text()?;
        let left = engine.handle().leave(there(engine, connection)?, room);
        left.map_err(status)
    })
}

/// Closes a connection, after what it is owed. What it has sent and the host was not told of by
/// then is dropped.
///
/// @param code 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455 section 7.4)
/// @param text a line for the client, cut at 123 bytes; may be empty
/// @return `ROOMCAST_STATUS_GONE`, `_CLOSE_CODE` or `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_close(
    engine: Option<&roomcast_engine>,
    connection: u64,
    code: u32,
    text: roomcast_str,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let text = text.text()?;
        let code = u16::try_from(code).map_err(|_| Status::CloseCode)?;
        let closed = engine
            .handle()
            .close(there(engine, connection)?, code, text);
        closed.map_err(status)
    })
}

/// Names of the rooms that a connection is in. Waits for its shard, about a turn.
///
/// @param rooms gets the names, in no order, to be let go of by `roomcast_names_free`
/// @return `ROOMCAST_STATUS_GONE`; `_ON_SHARD` in a callback, and as the head of this file says;
///         `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_rooms(
    engine: Option<&roomcast_engine>,
    connection: u64,
    rooms: Out<'_, Box<roomcast_names>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (place, id) = (place(rooms)?, there(engine, connection)?);
        let names = engine.handle().rooms_of(id).map_err(status)?;
        let counted = names.into_iter().map(|name| {
            let members = engine.handle().count(&name);
            (name, members)
        });
        give(place, roomcast_names::new(counted.collect()));
        Ok(())
    })
}

/// All open connections. Waits for the shards, about a turn.
///
/// @param connections gets their ids, in no order, to be let go of by `roomcast_ids_free`
/// @return `ROOMCAST_STATUS_ON_SHARD` as in `roomcast_connection_rooms`; `_STOPPED`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_connections(
    engine: Option<&roomcast_engine>,
    connections: Out<'_, Box<roomcast_ids>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(connections)?;
        let ids = engine.handle().connections().map_err(status)?;
        give(place, roomcast_ids::new(&ids));
        Ok(())
    })
}
