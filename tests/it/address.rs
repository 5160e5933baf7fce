//! Whose a connection is: PROXY headers, what proxies say of peers, who may say so, and sockets
//! that only some may connect to.
//!
//! In: clients that speak as a proxy would, trusted or not. Out: what the engine takes for the
//! peer, in the body of a refusal: `PEER PEER_IP`. All clients are on the loopback, so an engine
//! that trusts none of it trusts nobody who comes.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use roomcast::{
    Accept, Config, ConfigError, Engine, ForwardedHeader, Handler, ListenOptions, Pending, Request,
    StartError,
};

use crate::client::{Client, Response, upgrade};
use crate::house::{ended, until};

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "198.51.100.1";
const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";

/// Lets `/in` in and tells everybody else who it is.
struct Teller;

impl Handler for Teller {
    fn connecting(&self, request: &Request, pending: Pending) {
        let peer = request.peer().map_or("-".into(), |peer| peer.to_string());
        let peer_ip = request.peer_ip().map_or("-".into(), |ip| ip.to_string());
        match request.path() {
            "/in" => pending.accept(Accept::new()),
            _ => pending.refuse(403, &format!("{peer} {peer_ip}")),
        }
    }
}

fn start(config: Config) -> Engine {
    Engine::start(config.stop_spread_ms(0), Teller).unwrap()
}

fn plain() -> Config {
    Config::new().listen("127.0.0.1:0").shards(2)
}

fn proxied() -> Config {
    let options = ListenOptions::new().proxy_protocol(true);
    Config::new().listen_with("127.0.0.1:0", options).shards(2)
}

/// A block of version 2: a TCP connection over IPv6, with a TLV behind the addresses.
fn v2(command: u8, ip: &str, port: u16) -> Vec<u8> {
    let ip: std::net::Ipv6Addr = ip.parse().unwrap();
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([0x20 | command, 0x21, 0, 36 + 7]);
    bytes.extend(ip.octets());
    bytes.extend([0xff; 16]);
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 80]);
    bytes.extend(b"\x01\0\x04http");
    bytes
}

fn connect(engine: &Engine) -> Client {
    Client::bare(engine.addresses()[0])
}

/// Who the engine says that this is.
fn told(mut client: Client, before: &[u8], headers: &[&str]) -> String {
    client.write(&[before, upgrade("/who", headers).as_bytes()].concat());
    who(client)
}

fn who(client: Client) -> String {
    let answer = client.upgraded().err().expect("an answer");
    assert_eq!(answer.status, 403, "{answer:?}");
    answer.body.trim_end().to_string()
}

fn ask(engine: &Engine, before: &[u8], headers: &[&str]) -> String {
    told(connect(engine), before, headers)
}

/// A WebSocket, or the response that refused it.
fn enter(engine: &Engine, before: &[u8], headers: &[&str]) -> Result<Client, Response> {
    let mut client = connect(engine);
    client.write(&[before, upgrade("/in", headers).as_bytes()].concat());
    client.upgraded().map(|(client, _)| client)
}

/// A name in the temporary folder that no other test has.
fn socket_file(name: &str) -> PathBuf {
    let id = std::process::id();
    std::env::temp_dir().join(format!("roomcast-address-{name}-{id}"))
}

#[test]
fn a_proxy_header_of_either_version_names_the_peer() {
    let engine = start(proxied().trusted_proxies([HERE]));
    assert_eq!(ask(&engine, V1, &[]), "192.0.2.1:56324 192.0.2.1");
    let six = v2(1, "2001:db8::1", 4711);
    assert_eq!(ask(&engine, &six, &[]), "[2001:db8::1]:4711 2001:db8::1");
    let mapped = v2(1, "::ffff:192.0.2.1", 7);
    assert!(ask(&engine, &mapped, &[]).ends_with(" 192.0.2.1"));
    assert_eq!(engine.snapshot().rejected_proxy, 0);
}

#[test]
fn a_proxy_header_may_come_in_pieces() {
    let engine = start(proxied().trusted_proxies([HERE]));
    let head = upgrade("/who", &[]).into_bytes();
    for header in [V1.to_vec(), v2(1, "2001:db8::1", 4711)] {
        let bytes = [&header[..], &head].concat();
        let whole = ask(&engine, &header, &[]);
        let mut single = connect(&engine);
        for byte in &bytes {
            single.write(&[*byte]);
        }
        assert_eq!(who(single), whole);
        // Each piece is read before the next one is written.
        for cut in [1, 12, header.len() - 1, header.len(), header.len() + 1] {
            let read = engine.snapshot().bytes_in;
            let mut client = connect(&engine);
            client.write(&bytes[..cut]);
            let is_read = || engine.snapshot().bytes_in == read + cut as u64;
            until("the first piece to be read", is_read);
            client.write(&bytes[cut..]);
            assert_eq!(who(client), whole, "cut at {cut}");
        }
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_peer() {
    let engine = start(proxied().trusted_proxies([HERE]));
    let local = v2(0, "2001:db8::1", 4711);
    for header in [
        &local[..],
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN some thing\r\n",
    ] {
        let told = ask(&engine, header, &[]);
        assert!(
            told.starts_with("127.0.0.1:") && told.ends_with(" 127.0.0.1"),
            "{told}"
        );
        let told = ask(&engine, header, &["X-Forwarded-For: 203.0.113.7"]);
        assert!(
            told.starts_with("127.0.0.1:") && told.ends_with(" 203.0.113.7"),
            "{told}"
        );
    }
}

#[test]
fn whoever_does_not_begin_with_the_header_is_dropped() {
    let engine = start(proxied().trusted_proxies([HERE]));
    let head = upgrade("/who", &[]);
    let too_large = [b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x10\x00", &[0; 600][..]].concat();
    let first: [&[u8]; 5] = [
        head.as_bytes(),
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[b'P'; 200],
        &too_large,
    ];
    for (n, bytes) in first.into_iter().enumerate() {
        let mut client = connect(&engine);
        client.write(bytes);
        let end = client.next_byte_in(Duration::from_secs(10));
        assert_eq!(end, Some(false), "no answer to {bytes:?}");
        assert_eq!(engine.snapshot().rejected_proxy, n as u64 + 1);
    }
    until("all to be gone", || engine.snapshot().connections == 0);
    assert_eq!(ask(&engine, V1, &[]), "192.0.2.1:56324 192.0.2.1");
}

#[test]
fn a_proxy_header_from_an_untrusted_address_lets_nobody_in() {
    let engine = start(proxied().trusted_proxies([ELSEWHERE, "unix"]));
    for n in 1..=3 {
        let mut client = connect(&engine);
        client.try_write(V1);
        assert_eq!(client.next_byte_in(Duration::from_secs(10)), Some(false));
        assert_eq!(engine.snapshot().rejected_proxy, n);
    }
    assert_eq!(engine.snapshot().accepted, 0);
}

#[test]
fn a_proxy_header_that_does_not_come_in_time_ends_without_an_answer() {
    let config = proxied().trusted_proxies([HERE]);
    let engine = start(config.handshake_timeout_ms(100));
    let began = Instant::now();
    let peers = [
        &b""[..],
        b"PROXY TCP4 192.0.2.1",
        b"\r\n\r\n\0\r\nQUIT\n\x21",
        V1,
    ];
    let peers = peers.map(|bytes| {
        let mut client = connect(&engine);
        client.write(bytes);
        client
    });
    for mut peer in peers {
        assert_eq!(peer.next_byte_in(Duration::from_secs(10)), Some(false));
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    until("all to be counted", || {
        ended(&engine, "handshake_timeout") == 4
    });
    let figures = engine.snapshot();
    assert_eq!(
        (figures.rejected_head_timeout, figures.rejected_http),
        (4, 0)
    );
}

#[test]
fn the_timeout_counts_from_the_first_byte_of_the_proxy_header() {
    let config = proxied().trusted_proxies([HERE]);
    let engine = start(config.handshake_timeout_ms(300));
    let began = Instant::now();
    let mut client = connect(&engine);
    let mut bytes = V1
        .iter()
        .chain(b"GET / HTTP/1.1\r\nX: ")
        .chain([b'x'; 9_000].iter());
    loop {
        let more = bytes.next().is_some_and(|byte| client.try_write(&[*byte]));
        if !more || client.next_byte_in(Duration::from_millis(10)).is_some() {
            break;
        }
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    until("it to be cut", || ended(&engine, "handshake_timeout") == 1);
}

#[test]
fn a_listener_for_proxies_needs_proxies() {
    let error = Engine::start(proxied(), Teller).err().unwrap();
    let told = error.to_string();
    assert!(
        told.contains("proxy_protocol") && told.contains("trusted_proxies"),
        "{told}"
    );
    assert!(matches!(
        error,
        StartError::Config(ConfigError::Missing { .. })
    ));
    let error = Engine::start(plain().trusted_proxies(["10.0.0.1/8"]), Teller)
        .err()
        .unwrap();
    let told = error.to_string();
    assert!(
        told.contains("trusted_proxies") && told.contains("10.0.0.1/8"),
        "{told}"
    );
}

#[test]
fn a_header_forged_from_an_untrusted_address_is_ignored() {
    for config in [plain(), plain().trusted_proxies([ELSEWHERE, "10.0.0.0/8"])] {
        for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
            let engine = start(config.clone().forwarded_header(header));
            let forged = ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1"];
            let told = ask(&engine, b"", &forged);
            assert!(told.ends_with(" 127.0.0.1"), "{told}");
        }
    }
}

#[test]
fn a_trusted_proxy_leads_to_the_nearest_address_that_is_not() {
    let config = plain().trusted_proxies([HERE, "10.0.0.0/8", "2001:db8:1::/48"]);
    let engine = start(config.clone());
    let cases: [(&[&str], &str); 6] = [
        (&[], "127.0.0.1"),
        (&["X-Forwarded-For: 6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        (
            &[
                "X-Forwarded-For: 6.6.6.6",
                "x-forwarded-for: 192.0.2.1, 10.1.1.1",
            ],
            "192.0.2.1",
        ),
        (
            &["X-Forwarded-For: [2001:db8::1]:80, [2001:db8:1::2]:80"],
            "2001:db8::1",
        ),
        (&["X-Forwarded-For: 6.6.6.6, unknown, 10.1.1.1"], "10.1.1.1"),
        (
            &["Forwarded: for=6.6.6.6", "X-Forwarded-For: 192.0.2.1"],
            "192.0.2.1",
        ),
    ];
    for (headers, expected) in cases {
        let told = ask(&engine, b"", headers);
        assert!(told.starts_with("127.0.0.1:"), "{told}");
        assert!(
            told.ends_with(&format!(" {expected}")),
            "{headers:?}: {told}"
        );
    }
    let engine = start(config.forwarded_header(ForwardedHeader::Forwarded));
    let cases: [(&[&str], &str); 5] = [
        (
            &["Forwarded: for=6.6.6.6, For=192.0.2.1;proto=https"],
            "192.0.2.1",
        ),
        (
            &["Forwarded: for=\"6.6.6.6, for=192.0.2.1, for=10.1.1.1"],
            "192.0.2.1",
        ),
        (
            &[
                "Forwarded: for=\"[2001:db8::1]:80\"",
                "Forwarded: for=10.1.1.1",
            ],
            "2001:db8::1",
        ),
        (
            &["Forwarded: for=6.6.6.6, for=_hidden, for=10.1.1.1"],
            "10.1.1.1",
        ),
        (
            &["X-Forwarded-For: 6.6.6.6", "Forwarded: for=192.0.2.1"],
            "192.0.2.1",
        ),
    ];
    for (headers, expected) in cases {
        let told = ask(&engine, b"", headers);
        assert!(
            told.ends_with(&format!(" {expected}")),
            "{headers:?}: {told}"
        );
    }
}

#[test]
fn whom_a_proxy_header_names_is_believed_only_where_it_is_trusted_too() {
    let engine = start(proxied().trusted_proxies([HERE, "10.0.0.0/8"]));
    let forged = ["X-Forwarded-For: 203.0.113.7"];
    assert_eq!(ask(&engine, V1, &forged), "192.0.2.1:56324 192.0.2.1");
    let inner = b"PROXY TCP4 10.1.1.1 198.51.100.1 56324 443\r\n";
    assert_eq!(ask(&engine, inner, &forged), "10.1.1.1:56324 203.0.113.7");
}

#[test]
fn connections_count_for_the_address_behind_the_proxy() {
    let limited = |config: Config| start(config.trusted_proxies([HERE]).address_connections_max(2));
    let other = b"PROXY TCP4 192.0.2.2 198.51.100.1 1 443\r\n";
    let forwarded = limited(plain());
    let named = limited(proxied());
    let enter_as = |n: usize, which: usize| match which {
        0 => enter(&forwarded, b"", &[&format!("X-Forwarded-For: 192.0.2.{n}")]),
        _ => enter(&named, [V1, other][n - 1], &[]),
    };
    for (which, engine) in [&forwarded, &named].into_iter().enumerate() {
        // The proxy's own, of which nobody knows yet whose they are.
        let idle: Vec<_> = (0..5).map(|_| connect(engine)).collect();
        let mut inside: Vec<_> = (0..2).map(|_| enter_as(1, which).unwrap()).collect();
        let refused = enter_as(1, which).err().expect("one too many");
        assert_eq!(refused.status, 429);
        assert!(
            refused.body.contains("address_connections_max"),
            "{refused:?}"
        );
        inside.extend((0..2).map(|_| enter_as(2, which).unwrap()));
        assert!(enter_as(2, which).is_err());
        assert!(engine.snapshot().rejected_address >= 2);
        drop(inside.swap_remove(0));
        until("a place", || enter_as(1, which).is_ok());
        drop((idle, inside));
        until("all to be gone", || engine.snapshot().connections == 0);
        let again: Vec<_> = (0..2).map(|_| enter_as(1, which).unwrap()).collect();
        assert!(enter_as(1, which).is_err());
        drop(again);
    }
}

#[test]
fn a_trusted_proxy_that_names_nobody_counts_for_itself() {
    let engine = start(plain().trusted_proxies([HERE]).address_connections_max(2));
    let inside = [(); 2].map(|()| enter(&engine, b"", &[]).unwrap());
    assert_eq!(
        enter(&engine, b"", &[]).err().expect("one too many").status,
        429
    );
    assert!(enter(&engine, b"", &["X-Forwarded-For: 192.0.2.1"]).is_ok());
    drop(inside);
}

#[test]
fn an_untrusted_sender_does_not_choose_for_whom_it_counts() {
    let engine = start(
        plain()
            .trusted_proxies([ELSEWHERE])
            .address_connections_max(2),
    );
    let forged = |n: usize| format!("X-Forwarded-For: 192.0.2.{n}");
    let inside = [1, 2].map(|n| enter(&engine, b"", &[&forged(n)]).unwrap());
    assert_eq!(
        enter(&engine, b"", &[&forged(3)])
            .err()
            .expect("one too many")
            .status,
        429
    );
    drop(inside);
}

#[test]
fn an_upgrade_of_the_hosts_own_server_counts_for_the_address_behind_the_proxy() {
    let engine = start(plain().trusted_proxies([HERE]).address_connections_max(1));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let request = http::Request::get("/in")
        .header("host", "it.example")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("x-forwarded-for", "192.0.2.1");
    let upgrade = engine
        .upgrade(&request.body(()).unwrap().into_parts().0)
        .unwrap();
    upgrade.adopt(listener.accept().unwrap().0, b"").unwrap();
    until("it to be open", || engine.snapshot().opened == 1);
    let headers = ["X-Forwarded-For: 192.0.2.1"];
    assert_eq!(
        enter(&engine, b"", &headers)
            .err()
            .expect("one too many")
            .status,
        429
    );
    assert!(enter(&engine, b"", &["X-Forwarded-For: 192.0.2.2"]).is_ok());
    drop(ours);
    until("its place", || enter(&engine, b"", &headers).is_ok());
}

#[test]
fn one_connection_too_many_is_503_behind_its_proxy_header_too() {
    let engine = start(proxied().trusted_proxies([HERE]).connections_max(1));
    let inside = enter(&engine, V1, &[]).unwrap();
    assert_eq!(
        enter(&engine, V1, &[]).err().expect("one too many").status,
        503
    );
    drop(inside);
}

#[test]
fn a_proxy_on_a_unix_socket_is_trusted_by_that_word() {
    let file = socket_file("trusted");
    let forwarded = ["X-Forwarded-For: 192.0.2.1"];
    let engine = start(Config::new().listen_unix(&file));
    assert_eq!(told(Client::unix(&file), b"", &forwarded), "- -");
    drop(engine);
    let engine = start(Config::new().listen_unix(&file).trusted_proxies(["unix"]));
    assert_eq!(told(Client::unix(&file), b"", &forwarded), "- 192.0.2.1");
    assert_eq!(told(Client::unix(&file), b"", &[]), "- -");
    drop(engine);
    let options = ListenOptions::new().proxy_protocol(true);
    let config = Config::new().listen_unix_with(&file, options);
    let engine = start(config.trusted_proxies(["unix"]));
    assert_eq!(
        told(Client::unix(&file), V1, &forwarded),
        "192.0.2.1:56324 192.0.2.1"
    );
    assert_eq!(
        told(Client::unix(&file), b"PROXY UNKNOWN\r\n", &forwarded),
        "- 192.0.2.1"
    );
    drop(engine);
}

#[test]
fn a_unix_socket_has_the_permissions_that_were_asked_for() {
    let file = socket_file("mode");
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    for asked in [0o600, 0o660, 0o777] {
        let options = ListenOptions::new().unix_mode(asked);
        let engine = start(Config::new().listen_unix_with(&file, options));
        assert_eq!(mode(), asked);
        assert_eq!(told(Client::unix(&file), b"", &[]), "- -");
        drop(engine);
        assert!(!file.exists());
        // A stale file is replaced, whatever its permissions are.
        drop(std::os::unix::net::UnixListener::bind(&file).unwrap());
    }
    let engine = start(Config::new().listen_unix(&file));
    let other = socket_file("umask");
    let listener = std::os::unix::net::UnixListener::bind(&other).unwrap();
    let by_umask = std::fs::metadata(&other).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), by_umask);
    drop((listener, engine));
    std::fs::remove_file(other).unwrap();
    let options = ListenOptions::new().unix_mode(0o1777);
    let error = Config::new()
        .listen_unix_with(&file, options)
        .check()
        .unwrap_err();
    assert!(error.to_string().contains("unix_mode"), "{error}");
}
