//! The request that a connection or a page is asked for with.

use std::sync::Arc;

use parking_lot::Mutex;
use roomcast::Request;

use crate::boundary::{caught, roomcast_str};
use crate::claims::roomcast_claims;
use crate::events::KeptClaims;

/// What a peer asked for in its HTTP head. Everything in it but its claims was chosen by the peer:
/// a cookie or a query value is to be verified before it is believed.
///
/// Found in an event or in the call of a page function, and valid as long as that is, together
/// with all texts that the functions below give. They are read on any thread. Where there is no
/// such text, `data` is NULL.
pub struct roomcast_request<'a> {
    request: Source<'a>,
    /// Texts that had to be made, kept as long as the request.
    made: Mutex<Vec<Box<str>>>,
    claims: KeptClaims,
}

enum Source<'a> {
    Shared(Arc<Request>),
    /// Of a callback, which it does not outlive.
    Lent(&'a Request),
}

impl<'a> roomcast_request<'a> {
    pub(crate) fn shared(request: Arc<Request>) -> Self {
        roomcast_request {
            request: Source::Shared(request),
            made: Mutex::default(),
            claims: KeptClaims::default(),
        }
    }

    /// Valid for a call alone.
    pub(crate) fn lent(request: &'a Request) -> Self {
        roomcast_request {
            request: Source::Lent(request),
            made: Mutex::default(),
            claims: KeptClaims::default(),
        }
    }

    fn get(&self) -> &Request {
        match &self.request {
            Source::Shared(request) => request,
            Source::Lent(request) => request,
        }
    }

    /// A text that lives as long as the request; the same one when it is asked for again.
    fn keep(&self, text: &str) -> roomcast_str {
        let mut made = self.made.lock();
        if let Some(kept) = made.iter().find(|kept| &***kept == text) {
            return roomcast_str::of(kept);
        }
        let text: Box<str> = text.into();
        let kept = roomcast_str::of(&text);
        made.push(text);
        kept
    }
}

fn read(
    request: Option<&roomcast_request<'_>>,
    read: impl for<'a> FnOnce(&'a roomcast_request<'_>, &'a Request) -> Option<roomcast_str>,
) -> roomcast_str {
    let found = caught(|| request.and_then(|r| read(r, r.get())));
    found.flatten().unwrap_or(roomcast_str::NONE)
}

/// A name that C passes; none matches one that is not UTF-8.
fn named(name: &roomcast_str) -> Option<&str> {
    name.text().ok()
}

/// "GET" for every WebSocket; "GET" or "HEAD" for a page.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_method(request: Option<&roomcast_request<'_>>) -> roomcast_str {
    read(request, |_, r| Some(roomcast_str::of(r.method().as_str())))
}

/// The path as sent, percent signs and all, without the query: "/room/42".
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_path(request: Option<&roomcast_request<'_>>) -> roomcast_str {
    read(request, |_, r| Some(roomcast_str::of(r.path())))
}

/// What follows the question mark, as sent.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_query(request: Option<&roomcast_request<'_>>) -> roomcast_str {
    read(request, |_, r| r.query().map(roomcast_str::of))
}

/// The first query value of this name, decoded as a browser's `URLSearchParams` would: percent
/// escapes, and `+` for a space. Of `?a` it is the empty text.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_query_value(
    request: Option<&roomcast_request<'_>>,
    name: roomcast_str,
) -> roomcast_str {
    read(request, |kept, r| {
        let value = r.query_value(named(&name)?)?;
        Some(kept.keep(&value))
    })
}

/// The first header field of this name (in any case), if it is visible ASCII.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_header(
    request: Option<&roomcast_request<'_>>,
    name: roomcast_str,
) -> roomcast_str {
    read(request, |_, r| {
        r.header(named(&name)?).map(roomcast_str::of)
    })
}

/// One header field after the other, for hosts that want all.
///
/// @param index from 0; a field of several lines has several
/// @param name gets its name in lower case
/// @param value gets its value; bytes that are not visible ASCII are possible
/// @return false behind the last one, and then nothing was written
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_header_at(
    request: Option<&roomcast_request<'_>>,
    index: usize,
    name: crate::boundary::Out<'_, roomcast_str>,
    value: crate::boundary::Out<'_, crate::boundary::roomcast_bytes>,
) -> bool {
    let found = caught(|| {
        let (found, text) = request?.get().headers().iter().nth(index)?;
        crate::boundary::put(name, roomcast_str::of(found.as_str()));
        let bytes = crate::boundary::roomcast_bytes::of(text.as_bytes());
        crate::boundary::put(value, bytes);
        Some(())
    });
    found.flatten().is_some()
}

/// The first cookie of this name (which is case-sensitive), as sent, quotes included.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_cookie(
    request: Option<&roomcast_request<'_>>,
    name: roomcast_str,
) -> roomcast_str {
    read(request, |_, r| {
        r.cookie(named(&name)?).map(roomcast_str::of)
    })
}

/// One of the subprotocols that the peer offers, the one that it likes best first.
///
/// @param index from 0; behind the last one there is no text
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_subprotocol(
    request: Option<&roomcast_request<'_>>,
    index: usize,
) -> roomcast_str {
    read(request, |_, r| {
        r.subprotocols().nth(index).map(roomcast_str::of)
    })
}

/// The web page's origin ("https://app.example"); none from what is not a browser.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_origin(request: Option<&roomcast_request<'_>>) -> roomcast_str {
    read(request, |_, r| r.origin().map(roomcast_str::of))
}

/// The host, and the port when it is not the default one, that the peer meant to reach.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_host(request: Option<&roomcast_request<'_>>) -> roomcast_str {
    read(request, |_, r| r.host().map(roomcast_str::of))
}

/// The other end of the connection, such as "127.0.0.1:50123"; none on a unix socket. Behind a
/// proxy this is the proxy, unless that sends a PROXY header (`roomcast_listen_options`): then it
/// is the peer that the header names. For logs that tell one connection from another; who the peer
/// is, as far as that can be known, says `roomcast_request_peer_ip`.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_peer(request: Option<&roomcast_request<'_>>) -> roomcast_str {
    read(request, |kept, r| Some(kept.keep(&r.peer()?.to_string())))
}

/// The address of the peer itself, without a port: what to count, to limit and to ban by. An IPv4
/// address within IPv6 is given as IPv4.
///
/// It is that of `roomcast_request_peer` where this is none of
/// `roomcast_config_set_trusted_proxies`. Where it is, it is the address nearest to us in its
/// forwarded header that is not trusted itself; where all of them are, the first; where one cannot
/// be read, the one to the right of it. So a peer can choose it only as far as a trusted proxy lets
/// it. None on a unix socket of which nothing else is known.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_peer_ip(request: Option<&roomcast_request<'_>>) -> roomcast_str {
    read(request, |kept, r| {
        Some(kept.keep(&r.peer_ip()?.to_string()))
    })
}

/// What the peer's token says, which was checked (`roomcast_config_set_auth`); valid as long as the
/// request. NULL where no token is asked for, or it is optional and was not there, and for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_request_claims(
    request: Option<&roomcast_request<'_>>,
) -> *const roomcast_claims {
    let found = caught(|| {
        let request = request?;
        let find = || request.get().claims().cloned().map(Arc::new);
        Some(request.claims.get(find))
    });
    found.flatten().unwrap_or(std::ptr::null())
}
