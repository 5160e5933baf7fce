//! Lists and texts that a call makes for C to keep.

use roomcast::ConnectionId;

use crate::boundary::{Out, given, guard, put, roomcast_str};
use crate::status::roomcast_status;

/// Ids of connections. Made by `roomcast_engine_connections` and `_members`, let go of by
/// `roomcast_ids_free`.
pub struct roomcast_ids {
    ids: Box<[u64]>,
}

impl roomcast_ids {
    pub(crate) fn new(ids: &[ConnectionId]) -> Self {
        roomcast_ids {
            ids: ids.iter().map(|id| id.as_u64()).collect(),
        }
    }
}

/// How many; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_ids_count(ids: Option<&roomcast_ids>) -> usize {
    ids.map_or(0, |ids| ids.ids.len())
}

/// The array of them, valid as long as the list; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_ids_data(ids: Option<&roomcast_ids>) -> *const u64 {
    ids.map_or(std::ptr::null(), |ids| ids.ids.as_ptr())
}

/// Lets go of a list. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_ids_free(ids: Option<Box<roomcast_ids>>) {
    guard(|| {
        drop(ids);
        Ok(())
    });
}

/// Names of rooms, with how many members each has. Made by `roomcast_engine_rooms` and
/// `roomcast_connection_rooms`, let go of by `roomcast_names_free`.
pub struct roomcast_names {
    rooms: Box<[(String, usize)]>,
}

impl roomcast_names {
    pub(crate) fn new(rooms: Vec<(String, usize)>) -> Self {
        roomcast_names {
            rooms: rooms.into(),
        }
    }
}

/// How many; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_names_count(names: Option<&roomcast_names>) -> usize {
    names.map_or(0, |names| names.rooms.len())
}

/// One of them.
///
/// @param index below `roomcast_names_count`
/// @param name gets its name, valid as long as the list; may be NULL
/// @param members gets how many members it had; may be NULL
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_names_at(
    names: Option<&roomcast_names>,
    index: usize,
    name: Out<'_, roomcast_str>,
    members: Out<'_, usize>,
) -> roomcast_status {
    guard(|| {
        let (found, count) = given(given(names)?.rooms.get(index))?;
        put(name, roomcast_str::of(found));
        put(members, *count);
        Ok(())
    })
}

/// Lets go of a list. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_names_free(names: Option<Box<roomcast_names>>) {
    guard(|| {
        drop(names);
        Ok(())
    });
}

/// A text that a call has made. Let go of by `roomcast_text_free`.
pub struct roomcast_text {
    text: String,
}

impl roomcast_text {
    pub(crate) fn new(text: String) -> Self {
        roomcast_text { text }
    }
}

/// Its bytes, valid as long as it is; none for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_text_str(text: Option<&roomcast_text>) -> roomcast_str {
    roomcast_str::of_option(text.map(|text| text.text.as_str()))
}

/// Lets go of a text. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_text_free(text: Option<Box<roomcast_text>>) {
    guard(|| {
        drop(text);
        Ok(())
    });
}
