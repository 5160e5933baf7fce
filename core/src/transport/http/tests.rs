//! Heads whole and in pieces, each refusal with its status, and the answers byte for byte.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    head_bytes_max: 1024,
    headers_max: 16,
};
/// The example of RFC 6455 §1.3.
const UPGRADE_HEAD: &str = "GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn request(head: &str) -> Request {
    let (parts, taken) = parse(head.as_bytes(), &LIMITS)
        .unwrap()
        .expect("a complete head");
    assert_eq!(taken, head.len());
    Request::new(parts, None)
}

fn status(route: Route) -> u16 {
    match route {
        Route::WebSocket => 101,
        Route::Plain => 200,
        Route::Reject(reject) => reject.status,
    }
}

/// The RFC's example with one piece of its text replaced.
fn altered(from: &str, to: &str) -> Request {
    assert!(UPGRADE_HEAD.contains(from), "{from}");
    request(&UPGRADE_HEAD.replacen(from, to, 1))
}

#[test]
fn a_head_is_incomplete_until_its_empty_line() {
    let bytes = [UPGRADE_HEAD.as_bytes(), b"\x81\x80next"].concat();
    for len in 0..UPGRADE_HEAD.len() {
        assert!(parse(&bytes[..len], &LIMITS).unwrap().is_none(), "{len}");
    }
    for len in UPGRADE_HEAD.len()..=bytes.len() {
        let (parts, taken) = parse(&bytes[..len], &LIMITS).unwrap().unwrap();
        assert_eq!((parts.uri.path(), taken), ("/chat", UPGRADE_HEAD.len()));
        assert_eq!(parts.headers["sec-websocket-version"], "13");
    }
}

#[test]
fn broken_heads_have_their_status() {
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(17));
    let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1024));
    let open = "GET / HTTP/1.1\r\na: ".to_string() + &"b".repeat(1005);
    let cases = [
        ("\x16\x03\x01\x02\0", 400),
        ("G@T", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n", 400),
        ("GET / HTTP/1.1\r\na : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\na: \x01\r\n\r\n", 400),
        ("GET http:// HTTP/1.1\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (&many, 431),
        (&long, 431),
        (&open, 431),
    ];
    for (head, status) in cases {
        let reject = parse(head.as_bytes(), &LIMITS).expect_err(head);
        assert_eq!(reject.status, status, "{head}");
    }
    assert!(
        parse(long.as_bytes(), &LIMITS)
            .unwrap_err()
            .text
            .contains("head_bytes_max")
    );
}

#[test]
fn the_size_limit_is_exact() {
    let head = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1024 - 23));
    assert_eq!(head.len(), 1024);
    assert!(parse(head.as_bytes(), &LIMITS).unwrap().is_some());
    assert!(parse(&head.as_bytes()[..1023], &LIMITS).unwrap().is_none());
    let less = HeadLimits {
        head_bytes_max: 1023,
        ..LIMITS
    };
    assert_eq!(parse(head.as_bytes(), &less).unwrap_err().status, 431);
    assert_eq!(
        parse(&head.as_bytes()[..1023], &less).unwrap_err().status,
        431
    );
}

#[test]
fn lawful_upgrades() {
    assert_eq!(route(&request(UPGRADE_HEAD)), Route::WebSocket);
    for (from, to) in [
        ("Connection: Upgrade", "Connection: keep-alive, UPGRADE"),
        (
            "Connection: Upgrade",
            "connection: keep-alive\r\nconnection: upgrade",
        ),
        ("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
        ("Host: server.example.com", "Host:"),
        (
            "Host: server.example.com\r\n",
            "Host: a\r\nContent-Length: 0\r\n",
        ),
        ("GET /chat?x=1", "GET http://server.example.com/chat"),
        ("Origin: http://example.com\r\n", ""),
        // A key whose last digit has left-over bits.
        ("jZQ==", "jZR=="),
    ] {
        assert_eq!(route(&altered(from, to)), Route::WebSocket, "{to}");
    }
}

#[test]
fn unlawful_upgrades() {
    for (from, to, want) in [
        ("Host: server.example.com\r\n", "", 400),
        ("Host: server.example.com", "Host: a\r\nHost: b", 400),
        ("GET", "POST", 405),
        ("GET", "HEAD", 400),
        ("HTTP/1.1", "HTTP/1.0", 400),
        ("Connection: Upgrade\r\n", "", 400),
        ("Connection: Upgrade", "Connection: upgraded", 400),
        ("Upgrade: websocket\r\n", "", 400),
        ("Version: 13", "Version: 8", 426),
        (
            "Version: 13",
            "Version: 13\r\nSec-WebSocket-Version: 13",
            426,
        ),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("jZQ==", "jZQ=", 400),
        ("jZQ==", "jZ-==", 400),
        ("jZQ==", "jZQQ=", 400),
        ("jZQ==", "jZQQQ==", 400),
        (
            "Origin",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin",
            400,
        ),
        ("Origin", "Content-Length: 5\r\nOrigin", 413),
        ("Origin", "Content-Length: +5\r\nOrigin", 413),
        ("Origin", "Content-Length: x\r\nOrigin", 400),
        ("Origin", "Transfer-Encoding: chunked\r\nOrigin", 413),
    ] {
        assert_eq!(status(route(&altered(from, to))), want, "{from} -> {to}");
    }
}

#[test]
fn pages() {
    for (head, want) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
            200,
        ),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ] {
        assert_eq!(status(route(&request(head))), want, "{head}");
    }
}

fn origin_and_host(origin: &str, host: &str) -> Request {
    request(&format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n"
    ))
}

#[test]
fn origins_equal_to_the_host() {
    for (origin, host, want) in [
        ("http://app.example", "app.example", true),
        ("https://App.Example", "app.example", true),
        ("https://app.example", "app.example:443", true),
        ("http://app.example:80", "app.example", true),
        ("http://app.example:8080", "app.example:8080", true),
        ("http://[::1]:3000", "[::1]:3000", true),
        ("https://[::1]", "[::1]:443", true),
        ("http://app.example:8080", "app.example", false),
        ("http://app.example", "app.example:443", false),
        ("https://evil.example", "app.example", false),
        ("https://app.example.evil", "app.example", false),
        ("https://evil/app.example", "app.example", false),
        ("https://x@app.example", "app.example", false),
        ("http://[::1]", "[::2]", false),
        ("null", "null", false),
        ("app.example", "app.example", false),
        ("://", "", false),
        ("", "app.example", false),
    ] {
        let request = origin_and_host(origin, host);
        assert_eq!(
            origin_allowed(&request, &Origins::SameHost),
            want,
            "{origin} {host}"
        );
    }
}

#[test]
fn origins_of_the_setting() {
    let list = |origins: &[&str]| Origins::Listed(origins.iter().map(|o| o.to_string()).collect());
    let app = list(&["https://app.example", "null"]);
    let ask = |origin: &str, rule: &Origins| origin_allowed(&origin_and_host(origin, "h"), rule);
    assert!(ask("https://app.example", &app) && ask("HTTPS://APP.example", &app));
    assert!(ask("null", &app) && ask("http://h", &app));
    assert!(!ask("http://app.example", &app) && !ask("https://app.example:1", &app));
    assert!(
        ask("https://app.example", &list(&["https://app.example/"])),
        "a slash is forgiven"
    );
    assert!(ask("https://any.example", &list(&["*"])));
    assert!(ask("https://any.example", &Origins::Any));
    let none = request("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(origin_allowed(&none, &Origins::SameHost));
    let two = request("GET / HTTP/1.1\r\nHost: h\r\nOrigin: http://h\r\nOrigin: http://x\r\n\r\n");
    assert!(!origin_allowed(&two, &Origins::SameHost));
    assert!(Reject::origin().text.contains("origins"));
}

#[test]
fn switching_answers_the_rfcs_example() {
    let bytes = switching(&request(UPGRADE_HEAD), Some("superchat"), None);
    let text = String::from_utf8(bytes).unwrap().to_lowercase();
    assert!(
        text.starts_with("http/1.1 101 switching protocols\r\n"),
        "{text}"
    );
    for line in [
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=",
        "sec-websocket-protocol: superchat",
    ] {
        assert!(
            text.contains(&format!("\r\n{line}\r\n")),
            "{line} in {text}"
        );
    }
    assert!(text.ends_with("\r\n\r\n"));
}

#[test]
fn switching_agrees_with_tungstenites() {
    let (parts, _) = parse(UPGRADE_HEAD.as_bytes(), &LIMITS).unwrap().unwrap();
    let theirs = ::http::Request::from_parts(parts.clone(), ());
    let theirs = tungstenite::handshake::server::create_response(&theirs).unwrap();
    let ours = switching_response(&Request::from_parts(&parts, None), None, None);
    assert_eq!(
        (ours.status(), ours.headers()),
        (theirs.status(), theirs.headers())
    );
}

#[test]
fn a_subprotocol_that_was_not_offered_is_left_out() {
    let response = switching_response(&request(UPGRADE_HEAD), Some("other"), None);
    assert!(!response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
}

fn split(bytes: Vec<u8>) -> (String, String) {
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_string() + "\r\n", body.into())
}

#[test]
fn responses() {
    let (head, body) = split(response(
        200,
        &[("Content-Type", "text/html")],
        b"hello",
        false,
    ));
    let want = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\
        Content-Type: text/html\r\n";
    assert_eq!((head.as_str(), body.as_str()), (want, "hello"));
    let (same_head, no_body) = split(response(
        200,
        &[("Content-Type", "text/html")],
        b"hello",
        true,
    ));
    assert_eq!((same_head, no_body.as_str()), (head, ""));

    let (head, body) = split(response(204, &[], b"ignored", false));
    assert!(!head.contains("Content-Length") && body.is_empty());
    assert!(
        split(response(7, &[], b"", false))
            .0
            .starts_with("HTTP/1.1 500 ")
    );
    let injected = response(
        200,
        &[("A", "b\r\nC: d"), ("E\r\n", "f"), ("G", "h")],
        b"",
        false,
    );
    let (head, _) = split(injected);
    assert!(
        head.contains("G: h") && !head.contains("C: d") && !head.contains('E'),
        "{head}"
    );
}

#[test]
fn a_hosts_header_fields_do_not_reframe_a_response() {
    let own = [
        ("content-length", "999"),
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("ETag", "x"),
    ];
    let (head, body) = split(response(200, &own, b"hi", false));
    let want = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nETag: x\r\n";
    assert_eq!((head.as_str(), body.as_str()), (want, "hi"));
}

#[test]
fn rejects_carry_what_their_status_demands() {
    let (head, body) = split(
        Reject {
            status: 405,
            text: "no",
        }
        .to_bytes(false),
    );
    assert!(head.contains("Allow: GET, HEAD\r\n"), "{head}");
    assert_eq!(body, "no\n");
    let (head, _) = split(
        Reject {
            status: 426,
            text: "no",
        }
        .to_bytes(false),
    );
    assert!(head.contains("Sec-WebSocket-Version: 13\r\n") && head.contains("Upgrade: websocket"));
    let busy = Reject {
        status: 503,
        text: "no",
    };
    assert!(split(busy.to_bytes(false)).0.contains("Retry-After: 1\r\n"));
    let (head, body) = split(Reject::origin().to_bytes(true));
    assert!(head.starts_with("HTTP/1.1 403 Forbidden\r\n") && body.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Random bytes alone hardly get past the request line, so they are strewn over a good head.
    #[test]
    fn no_head_does_harm(
        strewn in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        tail in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        let mut bytes = UPGRADE_HEAD.as_bytes().to_vec();
        for (at, byte) in strewn {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() * 4) + 1);
        bytes.extend(tail);
        if let Ok(Some((parts, taken))) = parse(&bytes, &LIMITS) {
            prop_assert!(taken <= bytes.len());
            let request = Request::new(parts, None);
            let _ = (route(&request), origin_allowed(&request, &Origins::SameHost));
            let _ = (request.query_value("x"), request.cookies().count());
            let out = switching(&request, request.subprotocols().next(), None);
            prop_assert!(out.ends_with(b"\r\n\r\n"));
        }
    }
}
