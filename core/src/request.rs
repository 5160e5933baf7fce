//! What a peer asked for in its HTTP head, as the host sees it when a connection opens.
//!
//! Rank 0: a value. `transport` makes it from a parsed head, a host with its own HTTP server from
//! the parts it already has. It never sees a socket, and it is read on any thread.

use std::borrow::Cow;
use std::fmt;

use core::net::{IpAddr, SocketAddr};

use http::{HeaderMap, Method, Uri, Version, header, request::Parts};

use crate::auth::Claims;
use crate::sync::Arc;

/// The HTTP request that opened a connection (or asked for a page).
///
/// Everything in it but its claims was chosen by the peer. Nothing is checked beyond what HTTP
/// demands: a cookie or a query value is to be verified by the host before it is believed.
/// A clone copies the table of header fields but shares their bytes.
#[derive(Clone)]
pub struct Request {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
    claims: Option<Arc<Claims>>,
    peer_ip: Option<IpAddr>,
}

impl Request {
    /// From a head that nobody else needs any more.
    pub(crate) fn new(head: Parts, peer: Option<SocketAddr>) -> Self {
        let Parts {
            method,
            uri,
            version,
            headers,
            ..
        } = head;
        Request {
            method,
            uri,
            version,
            headers,
            peer,
            claims: None,
            peer_ip: peer.map(|peer| peer.ip().to_canonical()),
        }
    }

    /// From the head of a host's own HTTP server.
    pub(crate) fn from_parts(head: &Parts, peer: Option<SocketAddr>) -> Self {
        Request {
            method: head.method.clone(),
            uri: head.uri.clone(),
            version: head.version,
            headers: head.headers.clone(),
            peer,
            claims: None,
            peer_ip: peer.map(|peer| peer.ip().to_canonical()),
        }
    }

    pub(crate) fn set_claims(&mut self, claims: Option<Arc<Claims>>) {
        self.claims = claims;
    }

    pub(crate) fn shared_claims(&self) -> Option<&Arc<Claims>> {
        self.claims.as_ref()
    }

    /// What the peer's token says, which was checked: see [`Config::auth`](crate::Config::auth).
    /// `None` where no token is asked for, or it is optional and was not there.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_deref()
    }

    /// The same, made by a peer at this address.
    pub(crate) fn made_by(self, peer_ip: Option<IpAddr>) -> Self {
        Request { peer_ip, ..self }
    }

    /// GET for every WebSocket; GET or HEAD for a page.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path as sent, percent signs and all, without the query: `/room/42`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What follows the question mark, as sent; `None` without one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// The first query value of this name, decoded as a browser's `URLSearchParams` would: percent
    /// escapes and `+` for a space; bytes that are not UTF-8 become U+FFFD. `?a` is `Some("")`.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query()?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (!pair.is_empty() && form_decode(key) == name).then(|| form_decode(value))
        })
    }

    /// The version of the head: HTTP/1.1 for every WebSocket.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// All header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first header field of this name (in any case), if it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All cookies as (name, value), in the order sent. Values are as sent, quotes included.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values(&header::COOKIE)
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
    }

    /// The first cookie of this name (which is case-sensitive).
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The WebSocket subprotocols that the peer offers, the one it likes best first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.tokens(&header::SEC_WEBSOCKET_PROTOCOL)
    }

    /// The web page's origin (`https://app.example`); `None` from what is not a browser.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.header("origin")
    }

    /// The host, and the port when it is not the default one, that the peer meant to reach.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self.uri.authority() {
            Some(authority) => Some(authority.as_str()),
            None => self.header("host"),
        }
    }

    /// The other end of the connection; `None` on a unix socket, and in what
    /// [`Engine::upgrade`](crate::Engine::upgrade) gives. Behind a proxy this is the proxy, unless
    /// that sends a PROXY header ([`ListenOptions::proxy_protocol`]): then it is the peer that the
    /// header names.
    ///
    /// This is for logs that tell one connection from another. Who the peer is, as far as that can
    /// be known, is [`Request::peer_ip`].
    ///
    /// [`ListenOptions::proxy_protocol`]: crate::ListenOptions::proxy_protocol
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The address of the peer itself: what to count, to limit and to ban by, and what
    /// `address_connections_max` counts by. An IPv4 address within IPv6 is given as IPv4.
    ///
    /// It is that of [`Request::peer`] where this is not one of [`Config::trusted_proxies`]. Where
    /// it is, it is the address nearest to us in its [`Config::forwarded_header`] that is not
    /// trusted itself; where all of them are, the first; where one cannot be read, the one to the
    /// right of it. So a peer can choose it only as far as a trusted proxy lets it.
    ///
    /// `None` on a unix socket of which nothing else is known, and in what
    /// [`Engine::upgrade`](crate::Engine::upgrade) gives.
    ///
    /// [`Config::trusted_proxies`]: crate::Config::trusted_proxies
    /// [`Config::forwarded_header`]: crate::Config::forwarded_header
    #[must_use]
    pub fn peer_ip(&self) -> Option<IpAddr> {
        self.peer_ip
    }

    /// The elements of a comma-separated header field, over all lines of that name.
    pub(crate) fn tokens(&self, name: &header::HeaderName) -> impl Iterator<Item = &str> {
        self.values(name)
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|token| !token.is_empty())
    }

    fn values(&self, name: &header::HeaderName) -> impl Iterator<Item = &str> {
        self.headers
            .get_all(name)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
    }
}

impl fmt::Debug for Request {
    /// Leaves out the query and the header values: they hold tokens, and this ends in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("version", &self.version)
            .field("peer", &self.peer)
            .field("peer_ip", &self.peer_ip)
            .finish_non_exhaustive()
    }
}

fn form_decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        out.push(match (*byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (other, _) => other,
        });
    }
    match String::from_utf8(out) {
        Ok(text) => Cow::Owned(text),
        Err(bad) => Cow::Owned(String::from_utf8_lossy(bad.as_bytes()).into_owned()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut builder = http::Request::builder().uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        Request::new(builder.body(()).unwrap().into_parts().0, None)
    }

    #[test]
    fn query_values_are_decoded_like_forms() {
        let r = request("/p?a=1&b=x%20y+z&c&%61%2b=%E2%82%AC&bad=%ff%4&a=2&=e", &[]);
        let cases = [
            ("a", Some("1")),
            ("b", Some("x y z")),
            ("c", Some("")),
            ("a+", Some("€")),
            ("bad", Some("\u{fffd}%4")),
            ("", Some("e")),
            ("none", None),
        ];
        for (name, value) in cases {
            assert_eq!(r.query_value(name).as_deref(), value, "{name}");
        }
        assert_eq!(request("/p", &[]).query_value("a"), None);
        assert_eq!(request("/p?", &[]).query_value(""), None);
        assert_eq!(request("/a%20b?x#", &[]).path(), "/a%20b");
    }

    #[test]
    fn cookies_of_all_lines() {
        let r = request(
            "/",
            &[
                ("cookie", "a=1; sid = \"x=y\" ;broken"),
                ("Cookie", "b=2;a=3"),
                ("cookie", "é=1"),
            ],
        );
        assert_eq!(r.cookie("a"), Some("1"));
        assert_eq!(r.cookie("sid"), Some("\"x=y\""));
        assert_eq!(r.cookie("b"), Some("2"));
        assert_eq!(r.cookie("A"), None);
        assert_eq!(r.cookies().count(), 4);
    }

    #[test]
    fn subprotocols_keep_their_order() {
        let name = "Sec-WebSocket-Protocol";
        let r = request("/", &[(name, "chat.v2, chat.v1"), (name, ",raw,")]);
        assert_eq!(
            r.subprotocols().collect::<Vec<_>>(),
            ["chat.v2", "chat.v1", "raw"]
        );
    }

    #[test]
    fn host_is_the_targets_before_the_headers() {
        assert_eq!(request("/", &[("host", "a:1")]).host(), Some("a:1"));
        assert_eq!(request("http://b/", &[("host", "a:1")]).host(), Some("b"));
        assert_eq!(request("/", &[]).host(), None);
    }

    #[test]
    fn debug_tells_no_secrets() {
        let r = request(
            "/p?token=hush",
            &[("cookie", "sid=hush"), ("authorization", "hush")],
        );
        assert!(!format!("{r:?}").contains("hush"), "{r:?}");
    }

    #[test]
    fn crosses_threads() {
        fn check<T: Send + Sync + Clone>() {}
        check::<Request>();
    }
}
