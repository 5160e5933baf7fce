//! Wishes: what peers want in rooms and their tokens do not allow by themselves, and the answers.

use std::sync::Arc;

use parking_lot::Mutex;
use roomcast::{ConnectionId, Handle, Kind, Status, Wish};

use crate::boundary::{In, Out, give, given, guard, place, roomcast_str};
use crate::claims::verb_number;
use crate::connections::there;
use crate::engine::{engine_guard, roomcast_engine};
use crate::join::{read_join, roomcast_join};
use crate::publish::{roomcast_publication, with_publication};
use crate::status::roomcast_status;

/// What a peer wants in a room and the host decides on: found in `ROOMCAST_EVENT_PERMISSION`, and
/// valid as long as that event. Answered by `roomcast_wish_allow` or `_deny`, from any thread. To
/// answer later keep it by `roomcast_wish_keep`; let go of by `roomcast_wish_free`, also after its
/// engine. When nobody has it any more it is denied, and after `verdict_timeout_ms` in any case.
pub struct roomcast_wish {
    /// The event is one of its holders, who kept it are others.
    wanted: Arc<Wanted>,
}

struct Wanted {
    connection: ConnectionId,
    verb: u32,
    room: Box<str>,
    /// What the peer wants to publish; kept, since an answer ends what it was borrowed from.
    data: Option<(Kind, Box<[u8]>)>,
    wish: Mutex<Option<Wish>>,
}

impl roomcast_wish {
    pub(crate) fn new(wish: Wish) -> Self {
        let wanted = Wanted {
            connection: wish.id(),
            verb: verb_number(wish.verb()),
            room: wish.room().into(),
            data: wish.data().map(|(kind, data)| (kind, data.into())),
            wish: Mutex::new(Some(wish)),
        };
        roomcast_wish {
            wanted: Arc::new(wanted),
        }
    }

    pub(crate) fn verb(&self) -> u32 {
        self.wanted.verb
    }

    pub(crate) fn room(&self) -> &str {
        &self.wanted.room
    }

    pub(crate) fn data(&self) -> Option<(Kind, &[u8])> {
        let data = self.wanted.data.as_ref();
        data.map(|(kind, data)| (*kind, &**data))
    }

    /// Answers it, unless that was done.
    fn answer(&self, answer: impl FnOnce(Wish) -> Result<(), Status>) -> Result<(), Status> {
        let wish = self.wanted.wish.lock().take().ok_or(Status::Answered)?;
        answer(wish)
    }
}

/// Allows it: from the return of this call on the peer is a member, or what it said is published.
///
/// @return `ROOMCAST_STATUS_ANSWERED` for a second answer. `ROOMCAST_STATUS_GONE` where nothing has
///         come of it, and it is denied: the peer has gone, its time is over, or the room or the
///         engine takes no more for now. `ROOMCAST_STATUS_STOPPED`.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_wish_allow(wish: Option<&roomcast_wish>) -> roomcast_status {
    guard(|| {
        given(wish)?.answer(|wish| {
            let handle: Handle = wish.handle().clone();
            let is_open = handle.is_open(wish.id());
            match wish.allow() && is_open {
                true => Ok(()),
                false if handle.is_broken() => Err(Status::Broken),
                false if handle.is_stopping() => Err(Status::Stopped),
                false => Err(Status::Gone),
            }
        })
    })
}

/// Does not allow it. The peer is not told: say so in words that it knows.
///
/// @return `ROOMCAST_STATUS_ANSWERED` for a second answer
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_wish_deny(wish: Option<&roomcast_wish>) -> roomcast_status {
    guard(|| {
        given(wish)?.answer(|wish| {
            wish.deny();
            Ok(())
        })
    })
}

/// Keeps a wish beyond its event, to be answered later.
///
/// @param wish an event's, or one that was kept
/// @param kept gets it, to be let go of by `roomcast_wish_free`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_wish_keep(
    wish: Option<&roomcast_wish>,
    kept: Out<'_, Box<roomcast_wish>>,
) -> roomcast_status {
    guard(|| {
        let (wish, place) = (given(wish)?, place(kept)?);
        let wanted = wish.wanted.clone();
        give(place, roomcast_wish { wanted });
        Ok(())
    })
}

/// Whose wish it is; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_wish_connection(wish: Option<&roomcast_wish>) -> u64 {
    wish.map_or(0, |wish| wish.wanted.connection.as_u64())
}

/// One of `roomcast_verb`; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_wish_verb(wish: Option<&roomcast_wish>) -> u32 {
    wish.map_or(0, roomcast_wish::verb)
}

/// The room's name, valid as long as the wish; none for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_wish_room(wish: Option<&roomcast_wish>) -> roomcast_str {
    roomcast_str::of_option(wish.map(roomcast_wish::room))
}

/// Lets go of a wish that was kept. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_wish_free(wish: Option<Box<roomcast_wish>>) {
    guard(|| {
        drop(wish);
        Ok(())
    });
}

/// A peer asks to join a room: call this for what peers say, and `roomcast_connection_join` for
/// what the host itself wants. If its token allows that it joins; else the host decides
/// (`ROOMCAST_EVENT_PERMISSION`), within `verdict_timeout_ms`.
///
/// @param room the room's name
/// @param join how; NULL for everything, as the room's options say
/// @return as `roomcast_connection_join_with`; that it is not allowed is not reported here
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_request_join(
    engine: Option<&roomcast_engine>,
    connection: u64,
    room: roomcast_str,
    join: In<roomcast_join>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (room, how) = (room.text()?, read_join(&join)?);
        let id = there(engine, connection)?;
        let asked = engine.handle().request_join(id, room, how);
        asked.map_err(|error| error.status())
    })
}

/// A peer asks to publish to a room, as `roomcast_connection_request_join`. Name its own connection
/// in `except` if it shall not be sent what it said.
///
/// @param publication what, where (`room_count` is 1), and who is left out
/// @return `ROOMCAST_STATUS_GONE`; else as `roomcast_engine_publish_with`, for what nobody could
///         publish. What is refused later, when it was allowed, is counted (`refused`).
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_request_publish(
    engine: Option<&roomcast_engine>,
    connection: u64,
    publication: In<roomcast_publication>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        with_publication(&publication, |given| {
            let [room] = given.rooms else {
                return Err(Status::InvalidArgument);
            };
            let id = there(engine, connection)?;
            let asked = engine.handle().request_publish(id, room, given.publication);
            asked.map_err(|refused| refused.status())
        })
    })
}
