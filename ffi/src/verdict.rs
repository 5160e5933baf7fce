//! Verdicts: who waits for one, and the answers, from any thread.

use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use roomcast::{Accept, ConnectionId, Pending, Status};

use crate::boundary::{Foreign, In, given, roomcast_free_fn, roomcast_str};
use crate::claims::roomcast_claims;
use crate::engine::{engine_guard, holding_guard, roomcast_engine};
use crate::join::{read_join, roomcast_join};
use crate::status::roomcast_status;

/// Connections that wait for the host's verdict, by id. Whoever was not answered in time is
/// forgotten when the next one comes, so it holds no more than came within that time.
pub(crate) struct Waiting {
    timeout: Duration,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    pending: HashMap<u64, (Instant, Pending)>,
    /// In the order in which they came.
    order: VecDeque<(Instant, u64)>,
}

impl Waiting {
    pub(crate) fn new(timeout_ms: u64) -> Self {
        Waiting {
            timeout: Duration::from_millis(timeout_ms),
            list: Mutex::default(),
        }
    }

    pub(crate) fn add(&self, pending: Pending) {
        let now = Instant::now();
        let id = pending.id().as_u64();
        let mut late = Vec::new();
        let mut list = self.list.lock();
        while let Some((since, old)) = list.order.front().copied() {
            if list.pending.contains_key(&old) && now.duration_since(since) < self.timeout {
                break;
            }
            list.order.pop_front();
            late.extend(list.pending.remove(&old));
        }
        list.order.push_back((now, id));
        list.pending.insert(id, (now, pending));
        drop(list);
        // Dropped outside the lock: each refuses, which the shard has done long ago.
        drop(late);
    }

    /// The connection that this id waits as.
    fn take(&self, id: u64) -> Result<Pending, Status> {
        let mut list = self.list.lock();
        let (since, pending) = list.pending.remove(&id).ok_or(Status::Answered)?;
        drop(list);
        match since.elapsed() < self.timeout {
            true => Ok(pending),
            false => Err(Status::Gone),
        }
    }
}

/// How a connection is accepted. Set `struct_size`, and the rest to zero where it is not needed.
#[repr(C)]
pub struct roomcast_accept {
    /// `sizeof(roomcast_accept)`.
    pub struct_size: usize,
    /// Who it is, for `roomcast_user_send`; one user may have many connections. Empty: who its
    /// token says that it is, and anonymous where there is none.
    pub user: roomcast_str,
    /// Rooms to be in from the first moment: an array of `room_count` names. One that is empty or
    /// longer than `room_name_bytes_max` is left out and logged.
    pub rooms: In<roomcast_str>,
    /// How many rooms.
    pub room_count: usize,
    /// How it is a member of each, an array of `room_count` pointers; NULL among them, or instead
    /// of the array, is `roomcast_connection_join`. A room with a key that is too long is left out
    /// and logged.
    pub joins: In<In<roomcast_join>>,
    /// The subprotocol, one of those offered; another is left out of the answer. May be empty.
    pub subprotocol: roomcast_str,
    /// Data of the host's, found again in every event of the connection.
    pub data: *mut c_void,
    /// Called once with `data` after the last event of the connection; may be NULL. The engine may
    /// be used in it, unless the event that was last is given back after `roomcast_engine_free`.
    pub data_free: roomcast_free_fn,
    /// What a token would have said, for hosts that find out by themselves who a peer is: its user
    /// (where `user` is empty), when that ends to hold, what it may do. Instead of what its token
    /// says, if it had one. Stays the host's; NULL for none.
    pub claims: In<roomcast_claims>,
    /// What others are told of it in rooms with presence (`roomcast_room_options`): a value in
    /// JSON, best a small one. What is no JSON is left out and logged. Empty: what its claims say.
    pub info: roomcast_str,
}

/// What an accept says, read and checked: without its data, so that the call may still fail.
pub(crate) fn read_accept(accept: &In<roomcast_accept>) -> Result<(Accept, Option<Data>), Status> {
    let mut made = Accept::new();
    let Some(accept) = accept.growing()? else {
        return Ok((made, None));
    };
    let (user, subprotocol) = (accept.user.text()?, accept.subprotocol.text()?);
    let rooms = accept.rooms.slice(accept.room_count)?;
    let joins = match accept.joins.is_given() {
        true => accept.joins.slice(accept.room_count)?,
        false => &[],
    };
    for (at, room) in rooms.iter().enumerate() {
        let (room, join) = (room.text()?, joins.get(at).filter(|join| join.is_given()));
        made = match join {
            Some(join) => made.room_with(room, read_join(join)?),
            None => made.room(room),
        };
    }
    if !user.is_empty() {
        made = made.user(user);
    }
    if !subprotocol.is_empty() {
        made = made.subprotocol(subprotocol);
    }
    let info = accept.info.text()?;
    if !info.is_empty() {
        made = made.info(info);
    }
    if let Some(claims) = accept.claims.one() {
        made = made.claims(claims.get().clone());
    }
    let has_data = !accept.data.is_null() || accept.data_free.is_some();
    Ok((
        made,
        has_data.then_some(Data(accept.data, accept.data_free)),
    ))
}

/// The data of an accept, the host's until the call is sure to be done.
pub(crate) struct Data(*mut c_void, roomcast_free_fn);

/// The engine's from here on.
pub(crate) fn with_data(made: Accept, data: Option<Data>) -> Accept {
    match data {
        Some(Data(data, free)) => made.data(Arc::new(Foreign::new(data, free))),
        None => made,
    }
}

impl roomcast_engine {
    fn take_waiting(&self, id: u64) -> Result<Pending, Status> {
        let waiting = self.waiting.take(id);
        match self.handle().is_open(ConnectionId::from_u64(id)) {
            true => waiting,
            false => Err(Status::Gone),
        }
    }
}

/// Lets a connection in that `ROOMCAST_EVENT_CONNECTING` told of: in the callback or later, from
/// any thread, within `verdict_timeout_ms`. From the return of this call on it is sent what is
/// published to its rooms.
///
/// @param connection the event's `connection`
/// @param accept as whom and where to; NULL for whom its token says, and nowhere. Its `data` is the
///        engine's when this call returns `ROOMCAST_STATUS_OK`; else it stays the host's.
/// @return `ROOMCAST_STATUS_ANSWERED` for a second answer; `ROOMCAST_STATUS_GONE` when the peer is
///         known to have gone, its time is over, or there never was a connection of this id
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_accept(
    engine: Option<&roomcast_engine>,
    connection: u64,
    accept: In<roomcast_accept>,
) -> roomcast_status {
    // A room that is left out is logged, and the log's function may let go of the engine.
    holding_guard(engine, |engine| {
        let (made, data) = read_accept(&accept)?;
        let pending = engine.take_waiting(connection)?;
        pending.accept(with_data(made, data));
        Ok(())
    })
}

/// Turns a connection away, as `roomcast_connection_accept` lets it in.
///
/// @param connection the event's `connection`
/// @param http_status 400 to 599
/// @param text a line for the client; may be empty
/// @return as `roomcast_connection_accept`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_connection_refuse(
    engine: Option<&roomcast_engine>,
    connection: u64,
    http_status: u32,
    text: roomcast_str,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let text = text.text()?;
        let status = u16::try_from(http_status).ok();
        let status = given(status.filter(|s| (400..600).contains(s)))?;
        engine.take_waiting(connection)?.refuse(status, text);
        Ok(())
    })
}
