//! Presence: how many are in a room, and who.

use roomcast::{Cursor, Presence, PresencePage};

use crate::boundary::{Out, give, given, guard, place, put, roomcast_str};
use crate::engine::{engine_guard, roomcast_engine};
use crate::rooms::held;
use crate::status::roomcast_status;

/// How many are in a room. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_presence {
    /// Connections that are members.
    pub members: usize,
    /// Users that these were accepted as; of one with several connections one, of anonymous
    /// connections none.
    pub users: usize,
    /// Whether users are counted: in rooms with `presence` in their `roomcast_room_options`. In
    /// others `users` is 0.
    pub counts_users: bool,
}

impl From<Presence> for roomcast_presence {
    fn from(from: Presence) -> Self {
        roomcast_presence {
            members: from.members,
            users: from.users.unwrap_or(0),
            counts_users: from.users.is_some(),
        }
    }
}

/// Some members of a room with presence, in the order in which they joined. Made by
/// `roomcast_engine_present` and `roomcast_room_present`, let go of by `roomcast_present_free`.
pub struct roomcast_present {
    page: PresencePage,
}

/// How many are in a room, at once, however many they are; nobody in one that does not exist.
///
/// @param room the room's name
/// @param presence gets the counts
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_presence(
    engine: Option<&roomcast_engine>,
    room: roomcast_str,
    presence: Out<'_, roomcast_presence>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        place(presence)?.write(engine.handle().presence(room.text()?).into());
        Ok(())
    })
}

/// Where a page begins, of a number of C's.
fn cursor(after: u64) -> Option<Cursor> {
    (after != 0).then(|| Cursor::from_u64(after))
}

/// Who is in a room with `presence` in its `roomcast_room_options`, page by page, without a wait
/// for shards. While pages are taken others may come and go; whoever is there all the time is on
/// exactly one of them. In a room without presence nobody is: ask `roomcast_engine_members` there.
///
/// @param room the room's name
/// @param after 0 for the first page; then what `roomcast_present_next` gave of the one before
/// @param limit how many at most, within `presence_page_max`; 0 for as many as that
/// @param present gets them, to be let go of by `roomcast_present_free`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_present(
    engine: Option<&roomcast_engine>,
    room: roomcast_str,
    after: u64,
    limit: usize,
    present: Out<'_, Box<roomcast_present>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (place, room) = (place(present)?, room.text()?);
        let page = engine.handle().present(room, cursor(after), limit);
        give(place, roomcast_present { page });
        Ok(())
    })
}

/// How many are in a held room, as `roomcast_engine_presence`.
///
/// @param presence gets the counts
/// @return `ROOMCAST_STATUS_GONE` for a number that is not held
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_presence(
    engine: Option<&roomcast_engine>,
    room: u64,
    presence: Out<'_, roomcast_presence>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(presence)?;
        place.write(held(engine, room, |room| Ok(room.presence()))?.into());
        Ok(())
    })
}

/// Who is in a held room, as `roomcast_engine_present`.
///
/// @param after as there
/// @param limit as there
/// @param present gets them, to be let go of by `roomcast_present_free`
/// @return `ROOMCAST_STATUS_GONE` for a number that is not held
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_room_present(
    engine: Option<&roomcast_engine>,
    room: u64,
    after: u64,
    limit: usize,
    present: Out<'_, Box<roomcast_present>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(present)?;
        let page = held(engine, room, |room| Ok(room.present(cursor(after), limit)))?;
        give(place, roomcast_present { page });
        Ok(())
    })
}

/// How many are on the page; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_present_count(present: Option<&roomcast_present>) -> usize {
    present.map_or(0, |present| present.page.present.len())
}

/// One of them.
///
/// @param index below `roomcast_present_count`
/// @param connection gets the connection; may be NULL
/// @param user gets the user that it was accepted as, valid as long as the page; `data` is NULL
///        where it is anonymous; may be NULL
/// @param info gets what it was accepted with for others to see, JSON, likewise; may be NULL
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_present_at(
    present: Option<&roomcast_present>,
    index: usize,
    connection: Out<'_, u64>,
    user: Out<'_, roomcast_str>,
    info: Out<'_, roomcast_str>,
) -> roomcast_status {
    guard(|| {
        let found = given(given(present)?.page.present.get(index))?;
        put(connection, found.id.as_u64());
        put(user, roomcast_str::of_option(found.user.as_deref()));
        put(info, roomcast_str::of_option(found.info.as_deref()));
        Ok(())
    })
}

/// Where the next page begins; 0 when this is the last one, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_present_next(present: Option<&roomcast_present>) -> u64 {
    let next = present.and_then(|present| present.page.next);
    next.map_or(0, Cursor::as_u64)
}

/// Lets go of a page. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_present_free(present: Option<Box<roomcast_present>>) {
    guard(|| {
        drop(present);
        Ok(())
    });
}
