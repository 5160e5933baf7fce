//! The HTTP/1.1 head: parse it, decide what it asks for, and write the answer.
//!
//! In comes the slice that a socket has delivered so far; out goes a [`Request`], what to do with
//! it ([`Route`]), and the bytes of a response. Nothing is kept between calls: a head that is not
//! complete is parsed again when more of it is there, and `head_bytes_max` bounds what that costs.
//! One request per connection: whatever is not a WebSocket is answered and closed, so a request
//! body is refused rather than skipped. Must never know sockets, time, rooms or dialects. Runs on
//! the connection's shard thread, or on the host's for a host with its own HTTP server.

use std::io::Write;
use std::mem::MaybeUninit;

use ::http::header::{
    self, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use ::http::request::Parts;
use ::http::{Method, Response, StatusCode, Uri, Version};
use bytes::Bytes;
use tungstenite::handshake::derive_accept_key;

pub(crate) use extensions::{Deflate, offered_deflate};

use crate::config::Origins;
use crate::request::Request;

mod extensions;

/// Header fields that a head may have at most, whatever [`HeadLimits`] says.
const HEADERS_CAP: usize = 128;

/// What a head may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// From the first byte to the empty line.
    pub(crate) head_bytes_max: usize,
    /// Header fields; more than 128 means 128.
    pub(crate) headers_max: usize,
}

/// A request that is answered with an error and closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// The status of the answer, 400 to 505.
    pub(crate) status: u16,
    /// One line for whoever operates the peer; names the setting where there is one.
    pub(crate) text: &'static str,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A valid RFC 6455 upgrade: [`switching`] is its answer.
    WebSocket,
    /// A GET or HEAD of a page.
    Plain,
    /// Neither; this is the answer.
    Reject(Reject),
}

const ORIGIN: Reject = Reject {
    status: 403,
    text: "this origin is not allowed by the setting `origins`",
};

const fn bad(text: &'static str) -> Reject {
    Reject { status: 400, text }
}

impl Reject {
    /// The answer to an upgrade which [`origin_allowed`] says no to.
    pub(crate) const fn origin() -> Self {
        ORIGIN
    }

    /// The whole answer, ready to be written before the close.
    pub(crate) fn to_bytes(self, head_only: bool) -> Vec<u8> {
        const TEXT: (&str, &str) = ("Content-Type", "text/plain; charset=utf-8");
        let headers: &[(&str, &str)] = match self.status {
            401 => &[TEXT, ("WWW-Authenticate", "Bearer")],
            405 => &[TEXT, ("Allow", "GET, HEAD")],
            426 => &[
                TEXT,
                ("Upgrade", "websocket"),
                ("Sec-WebSocket-Version", "13"),
            ],
            429 | 503 => &[TEXT, ("Retry-After", "1")],
            _ => &[TEXT],
        };
        let body = format!("{}\n", self.text);
        response(self.status, headers, body.as_bytes(), head_only)
    }
}

/// Reads a request head from the front of `buf`: the head and the number of bytes it took, or
/// `None` when it is not complete yet.
pub(crate) fn parse(buf: &[u8], limits: &HeadLimits) -> Result<Option<(Parts, usize)>, Reject> {
    const TOO_LARGE: Reject = Reject {
        status: 431,
        text: "the request head is larger than head_bytes_max",
    };
    let mut fields = [const { MaybeUninit::uninit() }; HEADERS_CAP];
    let fields = &mut fields[..limits.headers_max.min(HEADERS_CAP)];
    let mut raw = httparse::Request::new(&mut []);
    match raw.parse_with_uninit_headers(buf, fields) {
        Ok(httparse::Status::Complete(taken)) if taken <= limits.head_bytes_max => {
            Ok(Some((parts(&raw, &buf[..taken])?, taken)))
        }
        Ok(httparse::Status::Partial) if buf.len() < limits.head_bytes_max => Ok(None),
        Ok(_) => Err(TOO_LARGE),
        Err(httparse::Error::TooManyHeaders) => Err(Reject {
            status: 431,
            text: "the request head has too many header fields",
        }),
        Err(httparse::Error::Version) => Err(Reject {
            status: 505,
            text: "this port speaks HTTP/1.1",
        }),
        Err(_) => Err(bad("the request head is malformed")),
    }
}

/// The head as the host sees it: one copy of its bytes, which the target and all values share.
fn parts(raw: &httparse::Request<'_, '_>, head: &[u8]) -> Result<Parts, Reject> {
    const LINE: Reject = bad("the request line is malformed");
    const FIELD: Reject = bad("a header field is malformed");
    let copy = Bytes::copy_from_slice(head);
    let shared = |part: &[u8]| {
        let at = part.as_ptr().addr() - head.as_ptr().addr();
        copy.slice(at..at + part.len())
    };
    let (mut parts, ()) = ::http::Request::new(()).into_parts();
    parts.method = Method::from_bytes(raw.method.ok_or(LINE)?.as_bytes()).map_err(|_| LINE)?;
    let target = raw.path.ok_or(LINE)?.as_bytes();
    parts.uri = Uri::from_maybe_shared(shared(target)).map_err(|_| LINE)?;
    parts.version = match raw.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    parts.headers.reserve(raw.headers.len());
    for field in raw.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| FIELD)?;
        let value = match field.value.is_empty() {
            true => HeaderValue::from_static(""),
            false => HeaderValue::from_maybe_shared(shared(field.value)).map_err(|_| FIELD)?,
        };
        parts.headers.try_append(name, value).map_err(|_| FIELD)?;
    }
    Ok(parts)
}

/// Decides what a request asks for. Whether its origin may have it is [`origin_allowed`].
pub(crate) fn route(request: &Request) -> Route {
    let fields = Fields::of(request);
    if let Err(reject) = plausible(request, &fields) {
        return Route::Reject(reject);
    }
    if fields.upgrade {
        return match upgrade(request, &fields) {
            Ok(()) => Route::WebSocket,
            Err(reject) => Route::Reject(reject),
        };
    }
    if !matches!(fields.key, Sole::Missing) {
        // The usual cause is a reverse proxy that was not told about WebSockets.
        const LOST: Reject = bad("Sec-WebSocket-Key without Upgrade: does a proxy remove it?");
        return Route::Reject(LOST);
    }
    Route::Plain
}

/// What the header fields say that decide about a request, found in one walk over them.
struct Fields<'a> {
    hosts: usize,
    body: Option<Reject>,
    /// `Upgrade` has the token `websocket`, `Connection` the token `upgrade`.
    upgrade: bool,
    connection: bool,
    version: Sole<'a>,
    key: Sole<'a>,
}

/// A field that may stand only once.
enum Sole<'a> {
    Missing,
    Once(&'a HeaderValue),
    Repeated,
}

impl<'a> Sole<'a> {
    fn add(&mut self, value: &'a HeaderValue) {
        *self = match self {
            Sole::Missing => Sole::Once(value),
            _ => Sole::Repeated,
        };
    }

    fn is(&self, good: impl Fn(&[u8]) -> bool) -> bool {
        matches!(self, Sole::Once(value) if good(value.as_bytes()))
    }
}

impl<'a> Fields<'a> {
    fn of(request: &'a Request) -> Self {
        let mut fields = Fields {
            hosts: 0,
            body: None,
            upgrade: false,
            connection: false,
            version: Sole::Missing,
            key: Sole::Missing,
        };
        for (name, value) in request.headers() {
            fields.add(name, value);
        }
        fields
    }

    fn add(&mut self, name: &HeaderName, value: &'a HeaderValue) {
        const BODY: Reject = Reject {
            status: 413,
            text: "a request body is not taken here",
        };
        if name == HOST {
            self.hosts += 1;
        } else if name == UPGRADE {
            self.upgrade |= has_token(value, "websocket");
        } else if name == CONNECTION {
            self.connection |= has_token(value, "upgrade");
        } else if name == SEC_WEBSOCKET_VERSION {
            self.version.add(value);
        } else if name == SEC_WEBSOCKET_KEY {
            self.key.add(value);
        } else if name == TRANSFER_ENCODING {
            self.body.get_or_insert(BODY);
        } else if name == CONTENT_LENGTH {
            match value.to_str().unwrap_or_default().trim().parse::<u64>() {
                Ok(0) => {}
                Ok(_) => self.body = self.body.or(Some(BODY)),
                Err(_) => self.body = Some(bad("Content-Length is malformed")),
            }
        }
    }
}

fn has_token(value: &HeaderValue, wanted: &str) -> bool {
    let mut tokens = value.to_str().unwrap_or_default().split(',');
    tokens.any(|token| token.trim().eq_ignore_ascii_case(wanted))
}

/// What holds for every request, page or WebSocket.
fn plausible(request: &Request, fields: &Fields<'_>) -> Result<(), Reject> {
    let named = fields.hosts == 1
        || (fields.hosts == 0
            && (request.version() != Version::HTTP_11 || request.host().is_some()));
    if !named {
        return Err(bad("exactly one Host header field is needed"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Reject {
            status: 405,
            text: "only GET and HEAD are served here",
        });
    }
    fields.body.map_or(Ok(()), Err)
}

/// RFC 6455 §4.2.1, for a request that has `Upgrade: websocket`.
fn upgrade(request: &Request, fields: &Fields<'_>) -> Result<(), Reject> {
    const ANOTHER: Reject = Reject {
        status: 426,
        text: "only version 13 of the WebSocket protocol is spoken here",
    };
    if *request.method() != Method::GET {
        return Err(bad("a WebSocket is opened with GET"));
    }
    if request.version() != Version::HTTP_11 {
        return Err(bad("a WebSocket needs HTTP/1.1: does a proxy speak 1.0?"));
    }
    if !fields.connection {
        return Err(bad("Upgrade without Connection: upgrade"));
    }
    if !fields.version.is(|version| version == b"13") {
        return Err(ANOTHER);
    }
    match fields.key.is(key_is_valid) {
        true => Ok(()),
        false => Err(bad("Sec-WebSocket-Key is to be 16 bytes in base64, once")),
    }
}

/// The value of a header field that may stand only once; `None` when it is missing or repeated.
fn sole<'a>(request: &'a Request, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut all = request.headers().get_all(name).into_iter();
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

/// 16 bytes in base64 are 22 digits and two pads. Left-over bits of the last digit may be set, as
/// every lenient decoder allows.
fn key_is_valid(key: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key[..22].iter().all(digit) && &key[22..] == b"=="
}

/// Whether the web page that a request comes from may open a WebSocket: it says no origin (not a
/// browser), or its origin is the host it asks, or the host of this engine listed it.
pub(crate) fn origin_allowed(request: &Request, allowed: &Origins) -> bool {
    if matches!(allowed, Origins::Any) || !request.headers().contains_key(header::ORIGIN) {
        return true;
    }
    let Some(origin) = sole(request, &header::ORIGIN).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let listed = match allowed {
        Origins::Listed(list) => list.iter().any(|one| one == "*" || same(one, origin)),
        _ => false,
    };
    listed
        || request
            .host()
            .is_some_and(|host| is_origin_of(origin, host))
}

fn same(listed: &str, origin: &str) -> bool {
    let bare = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    bare(listed) == bare(origin)
}

/// Behind a proxy that ends TLS the scheme on our side is not the page's, so only the origin's own
/// scheme can say which port its authority, and a `Host` without a port, stand for.
fn is_origin_of(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default = match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => "443",
        _ if scheme.eq_ignore_ascii_case("http") => "80",
        _ => "",
    };
    let (ours, our_port) = split_port(host, default);
    let (theirs, their_port) = split_port(authority, default);
    !ours.is_empty() && ours.eq_ignore_ascii_case(theirs) && our_port == their_port
}

fn split_port<'a>(authority: &'a str, default: &'a str) -> (&'a str, &'a str) {
    match authority.rsplit_once(':') {
        // In `[::1]` the last colon is inside the brackets.
        Some((host, port)) if !port.ends_with(']') => {
            (host, if port.is_empty() { default } else { port })
        }
        _ => (authority, default),
    }
}

/// The 101 for a request that [`route`] found to be a WebSocket, for a host that sends it itself.
pub(crate) fn switching_response(
    request: &Request,
    subprotocol: Option<&str>,
    deflate: Option<Deflate>,
) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::try_from(accept_key(request)).expect("base64 is visible ASCII");
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(value) = agreed(request, subprotocol).and_then(|s| HeaderValue::from_str(s).ok()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    if let Some(deflate) = deflate {
        headers.insert(
            extensions::FIELD,
            HeaderValue::from_static(deflate.answer()),
        );
    }
    response
}

/// The bytes of [`switching_response`].
pub(crate) fn switching(
    request: &Request,
    subprotocol: Option<&str>,
    deflate: Option<Deflate>,
) -> Vec<u8> {
    const START: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
        Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(START);
    field(
        &mut out,
        "Sec-WebSocket-Accept",
        accept_key(request).as_bytes(),
    );
    if let Some(name) = agreed(request, subprotocol) {
        field(&mut out, "Sec-WebSocket-Protocol", name.as_bytes());
    }
    if let Some(deflate) = deflate {
        let answer = deflate.answer().as_bytes();
        field(&mut out, "Sec-WebSocket-Extensions", answer);
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn accept_key(request: &Request) -> String {
    let key = request.headers().get(SEC_WEBSOCKET_KEY);
    derive_accept_key(key.map_or(&b""[..], HeaderValue::as_bytes))
}

/// A subprotocol that the peer did not offer is left out, since the peer would have to fail it.
fn agreed<'a>(request: &Request, subprotocol: Option<&'a str>) -> Option<&'a str> {
    subprotocol.filter(|name| request.subprotocols().any(|offered| offered == *name))
}

/// A whole response after which the connection is closed. `head_only` answers HEAD: the same head,
/// no body. A header field that HTTP cannot carry (a line break in a host's value) is left out, and
/// so is a host's own word on what is said here already: the length and that it ends.
pub(crate) fn response(
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    head_only: bool,
) -> Vec<u8> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let mut out = Vec::with_capacity(256 + if head_only { 0 } else { body.len() });
    let reason = status.canonical_reason().unwrap_or("");
    let mut put = |line: std::fmt::Arguments<'_>| {
        out.write_fmt(line).expect("a Vec takes every write");
    };
    put(format_args!("HTTP/1.1 {} {reason}\r\n", status.as_u16()));
    if !bodiless {
        put(format_args!("Content-Length: {}\r\n", body.len()));
    }
    put(format_args!("Connection: close\r\n"));
    for (name, value) in headers {
        let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
            continue;
        };
        let framing = [CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING].contains(&known);
        if !framing && HeaderValue::from_str(value).is_ok() {
            field(&mut out, name, value.as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    if !head_only && !bodiless {
        out.extend_from_slice(body);
    }
    out
}

fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for piece in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests;
