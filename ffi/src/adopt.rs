//! Sockets that came to the host's own server: handed over with their request unread, or read.

use std::net::TcpStream;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use http::request::Parts;
use roomcast::{Accept, AdoptError, Status, Stream, Upgraded};

use crate::boundary::{In, Out, give, guard, place, roomcast_bytes, roomcast_str};
use crate::claims::roomcast_claims;
use crate::engine::{engine_guard, roomcast_engine};
use crate::status::roomcast_status;
use crate::verdict::{read_accept, roomcast_accept, with_data};

/// A header field of a request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_header {
    /// Its name, in any case.
    pub name: roomcast_str,
    /// Its value.
    pub value: roomcast_bytes,
}

/// Whether a descriptor is a stream socket that does not listen.
fn is_stream(socket: BorrowedFd<'_>) -> bool {
    let socket = socket2::SockRef::from(&socket);
    let is_stream = socket
        .r#type()
        .is_ok_and(|kind| kind == socket2::Type::STREAM);
    is_stream && !socket.is_listener().unwrap_or(true)
}

/// A socket of the host's. A copy of the descriptor is worked with, so that where the call fails
/// the host still has its own.
fn stream(fd: i32) -> Result<Stream, Status> {
    if fd < 0 {
        return Err(Status::InvalidArgument);
    }
    // SAFETY: the host's descriptor, open during the call; what is none fails below.
    let lent = unsafe { BorrowedFd::borrow_raw(fd) };
    if !is_stream(lent) {
        return Err(Status::InvalidArgument);
    }
    let copy = lent.try_clone_to_owned().map_err(|_| Status::Io)?;
    let tcp = TcpStream::from(copy);
    if tcp.local_addr().is_ok() {
        return Ok(tcp.into());
    }
    let unix = UnixStream::from(OwnedFd::from(tcp));
    match unix.local_addr() {
        Ok(_) => Ok(unix.into()),
        Err(_) => Err(Status::InvalidArgument),
    }
}

/// The host's descriptor is closed, since the engine has its copy.
fn taken(fd: i32, adopted: Result<(), AdoptError>) -> Result<(), Status> {
    adopted.map_err(|error| error.status())?;
    // SAFETY: the host gave it up with this call.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// Takes over a connected socket whose request is not read, or not fully: the engine reads, checks
/// and answers it, as for a connection of its own listeners.
///
/// @param fd a connected TCP or unix stream socket. The engine's when this call returns
///        `ROOMCAST_STATUS_OK`; else it stays the host's, perhaps in non-blocking mode.
/// @param head what the host has read of it already
/// @return `ROOMCAST_STATUS_OVERLOADED` when `connections_max` connections are open; `_IO`;
///         `_STOPPED`; `_INVALID_ARGUMENT` for what is no such socket
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_adopt(
    engine: Option<&roomcast_engine>,
    fd: i32,
    head: roomcast_bytes,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let (head, stream) = (head.bytes()?, stream(fd)?);
        taken(fd, engine.running().engine.adopt(stream, head))
    })
}

/// A request that the host's own HTTP server has read: checked, with the response to send.
///
/// Made by `roomcast_upgrade_new`; `roomcast_upgrade_response` is to be sent by the host, whatever
/// it is; where its status is 101, `roomcast_upgrade_adopt` then takes the socket over; let go of
/// by `roomcast_upgrade_free`. One thread at a time, any thread. Do not keep it beyond its engine.
pub struct roomcast_upgrade {
    engine: Arc<roomcast_engine>,
    parts: Parts,
    status: u16,
    response: String,
    claims: Option<roomcast_claims>,
    accepted: Option<Upgraded>,
}

/// Checks a request that came to the host's own HTTP server. There is no connecting event for it:
/// the host decides itself.
///
/// @param method such as "GET"
/// @param target path and query as sent: "/ws?room=7"
/// @param headers an array of `count` header fields
/// @param upgrade gets the checked request, also where it is none that can be upgraded
/// @return `ROOMCAST_STATUS_INVALID_ARGUMENT` for what is no HTTP at all
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_upgrade_new(
    engine: Option<&roomcast_engine>,
    method: roomcast_str,
    target: roomcast_str,
    headers: In<roomcast_header>,
    count: usize,
    upgrade: Out<'_, Box<roomcast_upgrade>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let place = place(upgrade)?;
        let mut request = http::Request::builder()
            .method(method.text()?)
            .uri(target.text()?);
        for header in headers.slice(count)? {
            request = request.header(header.name.text()?, header.value.bytes()?);
        }
        let request = request.body(()).map_err(|_| Status::InvalidArgument)?;
        let mut made = roomcast_upgrade {
            engine: engine.hold().ok_or(Status::Stopped)?,
            parts: request.into_parts().0,
            status: 0,
            response: String::new(),
            claims: None,
            accepted: None,
        };
        made.decide(Accept::new())?;
        give(place, made);
        Ok(())
    })
}

impl roomcast_upgrade {
    /// Checks the request, and makes the response and what takes the socket over.
    fn decide(&mut self, accept: Accept) -> Result<(), Status> {
        let checked = self.engine.running().engine.upgrade(&self.parts);
        match checked.map(|upgrade| upgrade.accept(accept)) {
            Ok(upgrade) => {
                let claims = upgrade.request().claims().cloned();
                self.claims = claims.map(|claims| roomcast_claims::of(Arc::new(claims)));
                let response = upgrade.response();
                self.status = response.status().as_u16();
                self.response = head(response);
                self.accepted = Some(upgrade.detach());
                Ok(())
            }
            Err(AdoptError::NotUpgrade { status, text }) => {
                self.status = status;
                self.response = refusal(status, text);
                Ok(())
            }
            Err(other) => Err(other.status()),
        }
    }
}

/// A call about an upgrade is one about its engine.
fn upgrade_guard(
    upgrade: Option<&mut roomcast_upgrade>,
    work: impl FnOnce(&mut roomcast_upgrade) -> Result<(), Status>,
) -> roomcast_status {
    let Some(upgrade) = upgrade else {
        return roomcast_status::InvalidArgument;
    };
    let engine = upgrade.engine.clone();
    engine_guard(Some(&engine), |_| work(upgrade))
}

fn head(response: &http::Response<()>) -> String {
    let mut text = format!("HTTP/1.1 {}\r\n", response.status());
    for (name, value) in response.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    text + "\r\n"
}

fn refusal(status: u16, text: &str) -> String {
    let reason = http::StatusCode::from_u16(status).ok();
    let reason = reason.and_then(|s| s.canonical_reason()).unwrap_or("Error");
    let upgrade = if status == 426 {
        "upgrade: websocket\r\n"
    } else {
        ""
    };
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {}\r\nconnection: close\r\n{upgrade}\r\n{text}",
        text.len()
    )
}

/// The HTTP status of the response: 101 where the socket can be handed over, else 400, 401 (no
/// valid token: `roomcast_config_set_auth`), 403, 405 or 426; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_upgrade_status(upgrade: Option<&roomcast_upgrade>) -> u32 {
    upgrade.map_or(0, |upgrade| u32::from(upgrade.status))
}

/// What the token of the request says, which was checked (`roomcast_config_set_auth`); valid until
/// the next call about this upgrade. NULL where no token is asked for, or it is optional and was
/// not there, where the status is not 101, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_upgrade_claims(
    upgrade: Option<&roomcast_upgrade>,
) -> *const roomcast_claims {
    let claims = upgrade.and_then(|upgrade| upgrade.claims.as_ref());
    claims.map_or(std::ptr::null(), std::ptr::from_ref)
}

/// Says how the connection is accepted. Before sending the response, which names the subprotocol.
///
/// @param accept as in `roomcast_connection_accept`
/// @return `ROOMCAST_STATUS_NOT_UPGRADE` where the status is not 101
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_upgrade_accept(
    upgrade: Option<&mut roomcast_upgrade>,
    accept: In<roomcast_accept>,
) -> roomcast_status {
    upgrade_guard(upgrade, |upgrade| {
        let (made, data) = read_accept(&accept)?;
        if upgrade.accepted.is_none() {
            return Err(Status::NotUpgrade);
        }
        upgrade.decide(with_data(made, data))
    })
}

/// The response to send, head and body, valid until the next call about this upgrade.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_upgrade_response(upgrade: Option<&roomcast_upgrade>) -> roomcast_str {
    roomcast_str::of_option(upgrade.map(|upgrade| upgrade.response.as_str()))
}

/// Takes the socket over, once the response was sent. It is sent what is published to its rooms
/// from when its shard has it, about a turn later, though its peer has seen the response before;
/// its opened event says so.
///
/// @param fd as in `roomcast_engine_adopt`
/// @param leftover what the host has read behind the request's head
/// @return `ROOMCAST_STATUS_NOT_UPGRADE` where the status is not 101, or it was handed over
///         before; else as `roomcast_engine_adopt`. But for `_INVALID_ARGUMENT` it is spent, and
///         its data let go of.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_upgrade_adopt(
    upgrade: Option<&mut roomcast_upgrade>,
    fd: i32,
    leftover: roomcast_bytes,
) -> roomcast_status {
    upgrade_guard(upgrade, |upgrade| {
        if upgrade.accepted.is_none() {
            return Err(Status::NotUpgrade);
        }
        let (leftover, stream) = (leftover.bytes()?, stream(fd)?);
        let accepted = upgrade.accepted.take().ok_or(Status::NotUpgrade)?;
        taken(fd, accepted.adopt(stream, leftover))
    })
}

/// Lets go of an upgrade. The connection, if it was handed over, goes on. NULL does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_upgrade_free(upgrade: Option<Box<roomcast_upgrade>>) {
    guard(|| {
        drop(upgrade);
        Ok(())
    });
}
