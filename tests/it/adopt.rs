//! The doors for a host with a server of its own: sockets before the head, and after the 101.
//!
//! In: connected sockets that the test accepted itself. Out: connections like all others.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use roomcast::{Accept, AdoptError, Config, Engine};

use crate::client::{Client, TEXT, Wire, masked, upgrade};
use crate::house::{Told, open, until};

/// Both ends of a TCP connection.
fn pair() -> (Client, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Client::on(Wire::Tcp(ours)), listener.accept().unwrap().0)
}

fn parts(path: &str, headers: &[(&str, &str)]) -> http::request::Parts {
    let mut request = http::Request::get(path);
    let needed = [
        ("host", "it.example"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (name, value) in needed.iter().chain(headers) {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[test]
fn an_adopted_socket_has_its_head_read_wherever_it_was_cut() {
    let house = open(Config::new().shards(2).stop_spread_ms(0));
    let head = upgrade("/r", &[]);
    let mut bytes = head.clone().into_bytes();
    bytes.extend(masked(TEXT, b"early"));
    for cut in [
        0,
        1,
        10,
        head.len() - 1,
        head.len(),
        head.len() + 3,
        bytes.len(),
    ] {
        let (mut client, socket) = pair();
        house.engine.adopt(socket, &bytes[..cut]).unwrap();
        client.write(&bytes[cut..]);
        let (mut client, _) = client.upgraded().unwrap();
        let id = client.id();
        let heard = Told::Message(id, "early".into());
        until("what came early", || house.log.all().contains(&heard));
        house.engine.publish("r", "hello").unwrap();
        assert_eq!(client.text(), "hello");
        drop(client);
        house.log.closed(id);
    }
}

#[test]
fn an_adopted_unix_socket_works_as_well() {
    let house = open(Config::new());
    let (ours, theirs) = UnixStream::pair().unwrap();
    house.engine.adopt(theirs, b"").unwrap();
    let mut client = Client::on(Wire::Unix(ours));
    client.write(upgrade("/r", &[]).as_bytes());
    let (mut client, _) = client.upgraded().unwrap();
    client.id();
    house.engine.publish("r", "hello").unwrap();
    assert_eq!(client.text(), "hello");
}

#[test]
fn an_upgrade_made_by_the_host_is_in_its_rooms_at_once() {
    let house = open(Config::new().shards(2));
    let parts = parts("/ws?x=1", &[("sec-websocket-protocol", "a, b")]);
    let upgrade = house.engine.upgrade(&parts).unwrap();
    assert_eq!(upgrade.request().query(), Some("x=1"));
    let accept = Accept::new()
        .user("ada")
        .room("r")
        .room("s")
        .room("")
        .room("r".repeat(300))
        .subprotocol("b");
    let upgrade = upgrade.accept(accept);
    let response = upgrade.response();
    assert_eq!(response.status(), 101);
    assert_eq!(
        response.headers()["sec-websocket-accept"],
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    assert_eq!(response.headers()["sec-websocket-protocol"], "b");
    let (mut client, socket) = pair();
    upgrade.adopt(socket, &masked(TEXT, b"leftover")).unwrap();
    let id = client.id();
    until("leftover", || {
        house
            .log
            .all()
            .contains(&Told::Message(id, "leftover".into()))
    });
    assert_eq!(house.engine.rooms().len(), 2, "unusable names are left out");
    house.engine.publish("r", "one").unwrap();
    house.engine.publish("s", "two").unwrap();
    house.engine.send_user("ada", "three").unwrap();
    assert_eq!(
        [client.text(), client.text(), client.text()],
        ["one", "two", "three"]
    );
    client.close(1000, "");
    assert_eq!(client.close_frame().0, 1000);
    client.end();
    house.log.closed(id);
}

#[test]
fn a_detached_upgrade_adopts_from_another_thread() {
    let house = open(Config::new().shards(2));
    let upgraded = house.engine.upgrade(&parts("/", &[])).unwrap().detach();
    let (mut client, socket) = pair();
    thread::spawn(move || upgraded.adopt(socket, b"").unwrap())
        .join()
        .unwrap();
    client.id();
}

#[test]
fn what_is_no_upgrade_has_a_status_to_answer_with() {
    let house = open(Config::new());
    let mut cases = Vec::new();
    let mut plain = parts("/", &[]);
    plain.headers.remove("upgrade");
    plain.headers.remove("sec-websocket-key");
    cases.push((426, plain));
    let mut post = parts("/", &[]);
    post.method = http::Method::POST;
    cases.push((405, post));
    let mut old = parts("/", &[]);
    old.headers
        .insert("sec-websocket-version", "8".parse().unwrap());
    cases.push((426, old));
    cases.push((403, parts("/", &[("origin", "https://evil.example")])));
    for (expected, parts) in cases {
        match house.engine.upgrade(&parts).err() {
            Some(AdoptError::NotUpgrade { status, text }) => {
                assert_eq!(status, expected, "{text}");
                assert!(!text.is_empty());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_stopped_engine_adopts_nothing() {
    let (engine, _events) = Engine::start_with_events(Config::new()).unwrap();
    engine.stop();
    let (mut client, socket) = pair();
    let adopted = engine.adopt(socket, b"");
    assert!(matches!(adopted, Err(AdoptError::Stopped)));
    client.end();
}
