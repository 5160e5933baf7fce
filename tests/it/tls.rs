//! TLS listeners: everything goes on as without, certificates change under load, and whoever abuses
//! a handshake costs little.
//!
//! In: rustls as the client, which trusts exactly the certificate of the test, and sockets that
//! speak no TLS. Out: what each peer got, and the figures that count it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roomcast::{
    Config, ConnectionId, ListenOptions, RoomOptions, SlowPolicy, Status, Tls, TlsError,
};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use crate::client::{CLOSE, Client, Secure, TEXT, Wire, masked, upgrade};
use crate::house::{Open, Told, config, open, open_with, until};
use crate::policies::piece;

pub const SECURE: fn() -> ListenOptions = || ListenOptions::new().tls(true);

/// A certificate that signs itself, with its key.
pub struct Made {
    pub cert: String,
    pub key: String,
    name: String,
}

pub fn made(name: &str) -> Made {
    let made = rcgen::generate_simple_self_signed(vec![name.to_string()]).unwrap();
    Made {
        cert: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
        name: name.replace('*', "any"),
    }
}

impl Made {
    pub fn tls(&self) -> Tls {
        self.add_to(Tls::new())
    }

    fn add_to(&self, tls: Tls) -> Tls {
        tls.pair(self.cert.as_bytes(), self.key.as_bytes()).unwrap()
    }

    /// A client that trusts this certificate only.
    fn trusted(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let cert = rustls::pki_types::CertificateDer::from_pem_slice(self.cert.as_bytes());
        roots.add(cert.unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(client)
    }

    fn client(&self, house: &Open, rooms: &str) -> (Client, ConnectionId) {
        let mut client = connect(house.address(), &self.trusted(ALL_VERSIONS), &self.name);
        ask(&mut client, rooms);
        let (mut client, _) = client.upgraded().expect("to be let in");
        let id = client.id();
        (client, id)
    }
}

fn connect(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> Client {
    let name = ServerName::try_from(name.to_string()).unwrap();
    let session = ClientConnection::new(config.clone(), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    Client::on(Wire::Tls(Secure(Box::new(StreamOwned::new(
        session, stream,
    )))))
}

fn ask(client: &mut Client, rooms: &str) {
    client.write(upgrade(&format!("/{rooms}"), &[]).as_bytes());
}

/// A config with one listener, which speaks TLS.
fn secure(made: &Made) -> Config {
    let config = Config::new().stop_spread_ms(0).tls(made.tls());
    config.listen_with("127.0.0.1:0", SECURE())
}

#[test]
fn echo_and_rooms_are_the_same_over_either_version() {
    let made = made("a.example");
    let echo = |c: roomcast::Connection<'_>, m: roomcast::Message<'_>| {
        let _ = c.send(m);
    };
    let house = open_with(secure(&made).shards(2), echo);
    for (version, shown) in [(&TLS12, "TLSv1_2"), (&TLS13, "TLSv1_3")] {
        let mut client = connect(house.address(), &made.trusted(&[version]), &made.name);
        ask(&mut client, "r");
        let (mut client, _) = client.upgraded().unwrap();
        client.id();
        let spoken = client.session().protocol_version().unwrap();
        assert_eq!(format!("{spoken:?}"), shown);
        assert_eq!(client.session().alpn_protocol(), Some(&b"http/1.1"[..]));
        let (mut other, _) = made.client(&house, "r");
        for size in [0, 1, 125, 5_000, 200_000] {
            let text = "e".repeat(size);
            client.say(&text);
            assert_eq!(client.text(), text);
            house.engine.publish("r", text.as_str()).unwrap();
            assert_eq!(client.text(), text);
            assert_eq!(other.text(), text);
        }
        client.close(1000, "");
        assert_eq!(client.closed().0, 1000);
    }
    let seen = house.engine.snapshot();
    assert_eq!((seen.tls_handshakes, seen.tls_failed), (4, 0));
}

#[test]
fn a_name_gets_its_certificate_and_any_other_the_first() {
    let (first, second) = (made("first.example"), made("*.second.example"));
    let config = Config::new().tls(second.add_to(first.tls()));
    let house = open(config.listen_with("127.0.0.1:0", SECURE()));
    let shown = |client: &Made, name: &str| {
        let trusted = client.trusted(ALL_VERSIONS);
        let name = ServerName::try_from(name.to_string()).unwrap();
        let mut session = ClientConnection::new(trusted, name).unwrap();
        let mut stream = TcpStream::connect(house.address()).unwrap();
        while session.is_handshaking() {
            if session.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        true
    };
    assert!(shown(&first, "first.example"));
    assert!(shown(&second, "any.second.example"));
    assert!(!shown(&second, "first.example"), "the wrong one is shown");
    assert!(
        !shown(&first, "any.second.example"),
        "the wrong one is shown"
    );
    // Nobody has these names, so the first is shown, which is not for them.
    assert!(!shown(&second, "a.b.second.example"));
    until("the failures to be counted", || {
        house.engine.snapshot().tls_failed == 3
    });
}

#[test]
fn a_session_is_resumed_by_its_ticket_also_behind_a_reload() {
    let made = made("a.example");
    let house = open(secure(&made));
    for (version, each) in [(&TLS12, 2), (&TLS13, 4)] {
        let trusted = made.trusted(&[version]);
        for n in 0..3 {
            let mut client = connect(house.address(), &trusted, &made.name);
            ask(&mut client, "");
            client.upgraded().unwrap().0.id();
            if n == 1 {
                house.engine.reload_tls(&made.tls()).unwrap();
            }
        }
        assert_eq!(house.engine.snapshot().tls_resumed, each);
    }
}

#[test]
fn a_unix_socket_may_speak_tls() {
    let made = made("a.example");
    let path = std::env::temp_dir().join(format!("roomcast-tls-{}", std::process::id()));
    let config = Config::new().tls(made.tls().tls13_only(true));
    let house = open(config.listen_unix_with(&path, SECURE()));
    let name = ServerName::try_from("a.example").unwrap();
    let session = ClientConnection::new(made.trusted(ALL_VERSIONS), name).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    let mut client = Client::on(Wire::TlsUnix(Secure(Box::new(StreamOwned::new(
        session, stream,
    )))));
    ask(&mut client, "r");
    let (mut client, _) = client.upgraded().unwrap();
    client.id();
    house.engine.publish("r", "hello").unwrap();
    assert_eq!(client.text(), "hello");
}

/// A slow reader under each policy: whatever it is not sent, what it is sent is whole.
#[test]
fn the_stream_of_a_slow_reader_is_intact_under_every_policy() {
    let policies = [
        SlowPolicy::Disconnect,
        SlowPolicy::Skip,
        SlowPolicy::Latest,
        SlowPolicy::Volatile,
        SlowPolicy::Replay,
    ];
    let made = made("a.example");
    for policy in policies {
        let config = secure(&made).shards(1).slow_policy(policy);
        let config = config
            .tape_bytes_max(1 << 20)
            .publication_bytes_max(256 * 1024)
            .room_ahead_bytes_max(512 * 1024)
            .close_timeout_ms(20_000)
            .room_options("r", RoomOptions::new().history(8));
        let house = open(config);
        let (mut slow, id) = made.client(&house, "r");
        let (mut fast, _) = made.client(&house, "r");
        let seen = || house.engine.snapshot();
        let is_slow = || {
            let seen = seen();
            seen.too_slow + seen.lagged + seen.volatile_dropped > 0
        };
        let mut n = 0;
        // Who replays is told of nothing before it reads again.
        let enough = |n| match policy {
            SlowPolicy::Replay => n == 1_000,
            _ => is_slow() && n % 40 == 0,
        };
        while !enough(n) {
            assert!(n < 4_000, "64 MiB and still not slow under {policy:?}");
            let text = piece(n);
            while house.engine.publish("r", text.as_str()).is_err() {
                thread::yield_now();
            }
            assert!(fast.text() == text, "the fast one got {n}");
            n += 1;
        }
        let _ = house.engine.send(id, "end");
        let (mut last, mut got) = (None, 0);
        loop {
            let frame = slow.next();
            if frame.opcode == CLOSE {
                assert_eq!(policy, SlowPolicy::Disconnect);
                assert_eq!(frame.data[..2], 4008u16.to_be_bytes());
                break;
            }
            assert_eq!(frame.opcode, TEXT);
            if frame.text() == "end" {
                assert_ne!(policy, SlowPolicy::Disconnect);
                break;
            }
            let number: usize = frame.text()[..8].parse().unwrap();
            assert!(
                frame.text() == piece(number),
                "{number} is whole, {policy:?}"
            );
            assert!(last < Some(number), "in order and once");
            (last, got) = (Some(number), got + 1);
        }
        assert!(got > 10 && got < n, "{got} of {n} under {policy:?}");
    }
}

#[test]
fn large_publications_and_messages_come_whole() {
    const LARGE: usize = 1_000_000;
    let made = made("a.example");
    let echo = |c: roomcast::Connection<'_>, m: roomcast::Message<'_>| {
        let _ = c.send(m);
    };
    let house = open_with(secure(&made), echo);
    let mut clients: Vec<_> = (0..4).map(|_| made.client(&house, "r").0).collect();
    for n in 0..5 {
        let text: String = (0..LARGE)
            .map(|i| char::from(b'a' + ((i / 7 + i % 11 + n) % 26) as u8))
            .collect();
        house.engine.publish("r", text.as_str()).unwrap();
        for client in &mut clients {
            assert!(client.text() == text);
        }
        clients[0].say(&text);
        assert!(clients[0].text() == text);
    }
}

#[test]
fn a_reload_under_load_drops_nobody_and_newcomers_get_the_new_certificate() {
    const CONNECTIONS: usize = 1_000;
    let limit = rlimit::increase_nofile_limit(16_384).unwrap_or(1024);
    let count = CONNECTIONS.min(limit as usize / 3);
    let (old, new) = (made("a.example"), made("a.example"));
    let house = open(secure(&old).shards(2));
    let trusted = old.trusted(ALL_VERSIONS);
    let arrive = |_| {
        let mut client = connect(house.address(), &trusted, "a.example");
        ask(&mut client, "r");
        let (mut client, _) = client.upgraded().unwrap();
        client.id();
        client
    };
    let mut clients: Vec<Client> = (0..count).map(arrive).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = {
        let (handle, stop) = (house.engine.handle(), stop.clone());
        thread::spawn(move || {
            let mut n = 0u64;
            while !stop.load(Ordering::Relaxed) {
                handle.publish("r", n.to_string().as_str()).unwrap();
                n += 1;
                thread::sleep(Duration::from_millis(20));
            }
            n
        })
    };
    for _ in 0..10 {
        for made in [&old, &new] {
            house.engine.reload_tls(&made.tls()).unwrap();
        }
        let mut client = connect(house.address(), &new.trusted(ALL_VERSIONS), "a.example");
        ask(&mut client, "other");
        client
            .upgraded()
            .expect("the new certificate is shown")
            .0
            .id();
    }
    stop.store(true, Ordering::Relaxed);
    let published = publisher.join().unwrap();
    assert!(published > 0);
    house.engine.publish("r", "end").unwrap();
    let expected: Vec<String> = (0..published).map(|n| n.to_string()).collect();
    for client in &mut clients {
        assert_eq!(client.texts_before("end"), expected);
    }
    assert_eq!(house.engine.members("r").unwrap().len(), count);
    assert_eq!(house.engine.snapshot().tls_failed, 0);
    // Certificates that are no good change nothing.
    let error = house.engine.reload_tls(&Tls::new()).unwrap_err();
    assert_eq!(error.status(), Status::Certificate);
    new.client(&house, "");
}

#[test]
fn an_engine_without_tls_takes_no_certificates() {
    let house = open(config());
    let error = house.engine.reload_tls(&made("a").tls()).unwrap_err();
    assert!(matches!(error, TlsError::NotServed), "{error}");
}

#[test]
fn what_is_no_tls_ends_at_once_and_is_counted() {
    let made = made("a.example");
    let house = open(secure(&made));
    let said = [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        &[0; 100],
        &[0xff; 20_000],
        &[22, 3, 1, 0, 4, 9, 0, 0, 0],
        // A record longer than any may be.
        &[22, 3, 1, 0xff, 0xff, 1],
    ];
    for (n, garbage) in said.into_iter().enumerate() {
        let mut client = Client::bare(house.address());
        client.try_write(garbage);
        // The alert, unless the end was faster, and then the end.
        while client
            .next_byte_in(Duration::from_secs(10))
            .expect("an end")
        {}
        until("it to be counted", || {
            house.engine.snapshot().tls_failed == n as u64 + 1
        });
    }
    until("all to be gone", || {
        house.engine.snapshot().tls_connections == 0
    });
}

#[test]
fn what_is_said_behind_a_broken_record_is_not_heard() {
    let made = made("a.example");
    let house = open(secure(&made));
    let (mut client, id) = made.client(&house, "");
    client.say("before");
    // As if on the wire: a record of the right form that nobody has enciphered.
    let mut stream = client.tcp();
    stream.write_all(&[23, 3, 3, 0, 32]).unwrap();
    stream.write_all(&[9; 32]).unwrap();
    client.end();
    until("it to be counted", || {
        house.engine.snapshot().tls_failed == 1
    });
    assert_eq!(house.log.closed(id), roomcast::CloseReason::Vanished);
    let heard = house.log.all().into_iter();
    let heard = heard.filter(|told| matches!(told, crate::house::Told::Message(..)));
    assert_eq!(heard.count(), 1);
}

#[test]
fn half_open_handshakes_time_out() {
    let made = made("a.example");
    let house = open(secure(&made).handshake_timeout_ms(200));
    let hello = hello(&made);
    let began = Instant::now();
    let mut clients: Vec<_> = [0, 3, hello.len() / 2, hello.len()]
        .map(|said| {
            let mut client = Client::bare(house.address());
            client.write(&hello[..said]);
            client
        })
        .into();
    for client in &mut clients {
        while client
            .next_byte_in(Duration::from_secs(10))
            .expect("an end")
        {}
    }
    assert!(began.elapsed() >= Duration::from_millis(150));
    let seen = house.engine.snapshot();
    assert_eq!(seen.rejected_head_timeout, 4);
    assert_eq!((seen.tls_handshakes, seen.tls_failed), (0, 0));
}

/// What a client says first.
fn hello(made: &Made) -> Vec<u8> {
    let name = ServerName::try_from("a.example").unwrap();
    let mut session = ClientConnection::new(made.trusted(ALL_VERSIONS), name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    hello
}

#[test]
fn a_flood_of_handshakes_leaves_a_member_served() {
    let made = made("a.example");
    let config = config()
        .tls(made.tls())
        .listen_with("127.0.0.1:0", SECURE());
    let house = open(config.shards(1).tls_budget_us(100));
    let address = house.engine.addresses()[1];
    let (mut member, _) = house.client("r");
    let hello = Arc::new(hello(&made));
    let stop = Arc::new(AtomicBool::new(false));
    let flooders: Vec<_> = (0..2)
        .map(|_| {
            let (hello, stop) = (hello.clone(), stop.clone());
            thread::spawn(move || {
                let mut sockets = std::collections::VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut socket) = TcpStream::connect(address) else {
                        continue;
                    };
                    let _ = socket.write_all(&hello);
                    sockets.push_back(socket);
                    if sockets.len() > 64 {
                        sockets.pop_front();
                    }
                }
            })
        })
        .collect();
    let put_off = || house.engine.snapshot().tls_put_off;
    let (mut n, mut slowest) = (0, Duration::ZERO);
    while n < 50 || put_off() == 0 {
        let began = Instant::now();
        house.engine.publish("r", n.to_string().as_str()).unwrap();
        assert_eq!(member.text(), n.to_string());
        slowest = slowest.max(began.elapsed());
        n += 1;
    }
    stop.store(true, Ordering::Relaxed);
    flooders.into_iter().for_each(|f| f.join().unwrap());
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    until("the flood to be over", || {
        house.engine.snapshot().tls_connections == 0
    });
}

/// Opens a WebSocket by hand, and gives the session and the socket below it.
fn opened(made: &Made, address: SocketAddr) -> (ClientConnection, TcpStream) {
    let name = ServerName::try_from(made.name.clone()).unwrap();
    let session = ClientConnection::new(made.trusted(&[&TLS13]), name).unwrap();
    let mut stream = StreamOwned::new(session, TcpStream::connect(address).unwrap());
    stream.write_all(upgrade("/r", &[]).as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (stream.conn, stream.sock)
}

#[test]
fn a_flood_of_tiny_records_leaves_a_member_served_and_its_message_whole() {
    let made = made("a.example");
    let house = open(secure(&made).shards(1));
    let (mut member, _) = made.client(&house, "r");
    let (mut session, mut socket) = opened(&made, house.address());
    // One octet of a message in each record: some twenty octets on the wire for each.
    const OCTETS: usize = 30_000;
    let message = masked(TEXT, &[b'x'; OCTETS]);
    let flooder = thread::spawn(move || {
        for octet in &message {
            session.writer().write_all(&[*octet]).unwrap();
            session.write_tls(&mut socket).unwrap();
        }
        (session, socket)
    });
    let said = || {
        let told = house.log.all();
        told.iter()
            .any(|told| matches!(told, Told::Message(_, text) if text.len() == OCTETS))
    };
    let mut n = 0;
    while n < 20 || !flooder.is_finished() {
        house.engine.publish("r", n.to_string().as_str()).unwrap();
        assert_eq!(member.text(), n.to_string());
        n += 1;
    }
    let kept = flooder.join().unwrap();
    until("the message", said);
    drop(kept);
}

#[test]
fn a_flood_of_key_updates_ends_the_connection_alone() {
    let made = made("a.example");
    let house = open(secure(&made).shards(1));
    let (mut member, _) = made.client(&house, "r");
    let (mut session, mut socket) = opened(&made, house.address());
    for _ in 0..10_000 {
        let is_over = session.refresh_traffic_keys().is_err();
        if is_over || session.write_tls(&mut socket).is_err() {
            break;
        }
    }
    until("its end", || house.engine.snapshot().tls_failed == 1);
    until("its place to be free", || {
        house.engine.snapshot().connections == 1
    });
    house.engine.publish("r", "still here").unwrap();
    assert_eq!(member.text(), "still here");
}

#[test]
fn a_stop_tells_tls_peers_and_waits_for_no_handshake() {
    let made = made("a.example");
    let house = open(secure(&made));
    let mut clients: Vec<_> = (0..20).map(|_| made.client(&house, "r").0).collect();
    let mut silent = Client::bare(house.address());
    let mut half = Client::bare(house.address());
    half.write(&hello(&made)[..50]);
    until("all to be there", || {
        house.engine.snapshot().tls_connections == 22
    });
    let handle = house.engine.handle();
    let stop = thread::spawn(move || house.engine.stop());
    for client in &mut clients {
        assert_eq!(client.closed().0, 1001);
    }
    let report = stop.join().unwrap();
    assert_eq!((report.connections, report.cut), (22, 0), "{report:?}");
    assert!(report.took_ms < 4_000, "{report:?}");
    for client in [&mut silent, &mut half] {
        while client
            .next_byte_in(Duration::from_secs(10))
            .expect("an end")
        {}
    }
    let error = handle.reload_tls(&made.tls()).unwrap_err();
    assert_eq!(error.status(), Status::Stopped);
}

#[test]
fn an_orderly_end_says_so_before_the_socket_ends() {
    let made = made("a.example");
    let house = open(secure(&made));
    let (mut client, id) = made.client(&house, "r");
    house.engine.close(id, 4000, "enough").unwrap();
    assert_eq!(client.closed(), (4000, "enough".into()));
    assert!(
        client.was_told_of_the_end(),
        "close_notify came before the end"
    );
    // And a page is cut nowhere.
    let mut client = connect(house.address(), &made.trusted(ALL_VERSIONS), "a.example");
    client.write(b"GET /health HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.response().body, "ok\n");
}
