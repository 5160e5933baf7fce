//! What stands at the door: HTTP statuses, pages, health, origins, how many may come.
//!
//! In: requests that are no WebSocket, or none that may be. Out: a status that says why.

use std::time::{Duration, Instant};

use roomcast::{AdoptError, Origins, Page};

use crate::client::{Client, http, upgrade};
use crate::house::{config, ended, open, until};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: it.example\r\n\r\n")
}

#[test]
fn the_health_path_answers_and_other_paths_are_404() {
    let house = open(config());
    let health = http(house.address(), &get("/health"));
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    assert_eq!(http(house.address(), &get("/other")).status, 404);
    let none = open(config().health_path(None));
    assert_eq!(http(none.address(), &get("/health")).status, 404);
}

#[test]
fn the_figures_are_served_where_the_host_says() {
    let house = open(config().metrics_path(Some("/metrics".into())));
    let (_client, _) = house.client("r");
    let answer = http(house.address(), &get("/metrics"));
    let head = answer.head.to_ascii_lowercase();
    assert!(
        answer.status == 200 && head.contains("text/plain; version=0.0.4"),
        "{head}"
    );
    let has = |line: &str| answer.body.lines().any(|found| found == line);
    assert!(
        has("roomcast_opened_total 1") && has("roomcast_rooms 1"),
        "{}",
        answer.body
    );
    let turns = answer
        .body
        .lines()
        .find_map(|l| l.strip_prefix("roomcast_turn_seconds_sum "));
    assert!(turns.unwrap().parse::<f64>().unwrap() > 0.0);
    // By default there are none to be had.
    assert_eq!(http(open(config()).address(), &get("/metrics")).status, 404);
}

#[test]
fn the_pages_hook_serves_pages_and_head_has_no_body() {
    let house = open(config().pages(|request| match request.path() {
        "/" => Some(Page::html("<p>hello")),
        "/gone" => Some(Page::new("text/plain", "gone").status(410)),
        _ => None,
    }));
    let page = http(house.address(), &get("/"));
    assert_eq!((page.status, page.body.as_str()), (200, "<p>hello"));
    let head = page.head.to_ascii_lowercase();
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("content-length: 8\r\n"), "{head}");
    assert_eq!(http(house.address(), &get("/gone")).status, 410);
    assert_eq!(http(house.address(), &get("/none")).status, 404);
    let head = http(house.address(), &get("/").replace("GET", "HEAD"));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.to_ascii_lowercase().contains("content-length: 8"));
}

#[test]
fn a_large_page_arrives_whole() {
    let body = "x".repeat(3 << 20);
    let sent = body.clone();
    let house = open(config().pages(move |_| Some(Page::html(sent.clone()))));
    let page = http(house.address(), &get("/"));
    assert_eq!(page.body.len(), body.len());
    // To a client that has ended its own stream, too.
    let mut client = Client::bare(house.address());
    client.write(get("/").as_bytes());
    client.shut();
    assert_eq!(client.response().body.len(), body.len());
}

#[test]
fn requests_that_cannot_be_served_are_told_why() {
    let house = open(config());
    let whole = upgrade("/", &[]);
    let cases = [
        (
            405,
            whole
                .replace("GET", "POST")
                .replace("Upgrade: websocket\r\n", ""),
        ),
        (426, whole.replace("Version: 13", "Version: 8")),
        (426, whole.replace("Sec-WebSocket-Version: 13\r\n", "")),
        (
            400,
            whole.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ),
        (400, whole.replace("Key: dGhl", "Key: dGh")),
        (
            400,
            whole.replace("Connection: Upgrade", "Connection: close"),
        ),
        (400, whole.replace("Upgrade: websocket\r\n", "")),
        (400, whole.replace("HTTP/1.1", "HTTP/1.0")),
        (400, whole.replace("Host: it.example\r\n", "")),
        (400, whole.replace("Host: it.example", "Host it.example")),
        (400, "hello\r\n\r\n".to_string()),
        (400, "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".to_string()),
        (
            413,
            get("/").replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody"),
        ),
    ];
    for (status, request) in cases {
        let response = http(house.address(), &request);
        assert_eq!(response.status, status, "{request} {response:?}");
        assert!(!response.body.is_empty(), "{request}");
    }
    let early = http(
        house.address(),
        &upgrade("/", &[]).replace("Version: 13", "Version: 7"),
    );
    assert!(
        early
            .head
            .to_ascii_lowercase()
            .contains("sec-websocket-version: 13")
    );
    until("all to end", || house.engine.snapshot().connections == 0);
    assert_eq!(house.engine.snapshot().opened, 0);
}

#[test]
fn a_head_that_is_too_large_is_431() {
    let house = open(config().head_bytes_max(1024));
    let long = format!("X-Long: {}", "x".repeat(2000));
    let response = Client::ask(house.address(), "/", &[&long]).err().unwrap();
    assert_eq!(response.status, 431);
    // One that never ends, too.
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(2000));
    assert_eq!(http(house.address(), &endless).status, 431);
}

#[test]
fn who_has_said_nothing_in_time_is_told_nothing() {
    let house = open(config().handshake_timeout_ms(80));
    let mut silent = Client::bare(house.address());
    assert_eq!(silent.next_byte_in(crate::client::PATIENCE), Some(false));
    let figures = house.engine.snapshot();
    assert_eq!((figures.rejected_head_timeout, figures.bytes_out), (1, 0));
}

#[test]
fn a_head_that_does_not_come_in_time_is_408() {
    let house = open(config().handshake_timeout_ms(80));
    for start in ["G", "GET / HTTP/1.1\r\nHost: a"] {
        let began = Instant::now();
        let response = http(house.address(), start);
        assert_eq!(response.status, 408);
        assert!(began.elapsed() >= Duration::from_millis(70));
        assert!(
            response.body.contains("handshake_timeout_ms"),
            "{response:?}"
        );
    }
    // Dripping octets does not prolong it.
    let mut client = Client::bare(house.address());
    let began = Instant::now();
    let mut drip = upgrade("/", &[]).into_bytes().into_iter().cycle();
    while client.next_byte_in(Duration::from_millis(5)).is_none() {
        assert!(began.elapsed() < Duration::from_secs(5), "it must end");
        if !client.try_write(&[drip.next().unwrap() | 0x40]) {
            break;
        }
    }
    until("the counts", || {
        ended(&house.engine, "handshake_timeout") == 3
    });
}

#[test]
fn a_foreign_origin_is_403_that_names_the_setting() {
    let house = open(config());
    let address = house.address();
    let foreign = Client::ask(address, "/", &["Origin: https://evil.example"]);
    let response = foreign.err().unwrap();
    assert_eq!(response.status, 403);
    assert!(response.body.contains("origins"), "{response:?}");
    assert!(Client::ask(address, "/", &["Origin: http://it.example"]).is_ok());
    assert!(Client::ask(address, "/", &[]).is_ok());
    assert!(Client::ask(address, "/", &["Origin: null"]).is_err());
    let listed = Origins::Listed(vec!["https://app.example".into()]);
    let house = open(config().origins(listed));
    let address = house.address();
    assert!(Client::ask(address, "/", &["Origin: https://app.example"]).is_ok());
    assert!(Client::ask(address, "/", &["Origin: https://app.example.evil"]).is_err());
    let house = open(config().origins(Origins::Any));
    assert!(Client::ask(house.address(), "/", &["Origin: https://x.example"]).is_ok());
}

#[test]
fn one_connection_too_many_is_503_and_a_free_place_is_taken() {
    let house = open(config().shards(2).connections_max(3));
    let mut clients: Vec<_> = (0..3).map(|_| house.client("r").0).collect();
    let refused = Client::ask(house.address(), "/", &[]).err().unwrap();
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("connections_max"), "{refused:?}");
    let socket = std::net::TcpStream::connect(house.address()).unwrap();
    let adopted = house.engine.adopt(socket, b"");
    assert!(matches!(adopted, Err(AdoptError::Full)), "{adopted:?}");
    drop(clients.pop());
    until("a place", || Client::ask(house.address(), "/", &[]).is_ok());
    assert!(house.engine.snapshot().rejected_full >= 1);
    house.engine.publish("r", "still here").unwrap();
    assert_eq!(clients[0].text(), "still here");
}

#[test]
fn of_a_burst_as_many_come_in_as_there_are_places() {
    let house = open(config().shards(2).connections_max(50));
    let mut peers: Vec<_> = (0..150).map(|_| Client::bare(house.address())).collect();
    for peer in &mut peers {
        peer.write(upgrade("/r", &[]).as_bytes());
    }
    let upgraded = peers.into_iter().map(Client::upgraded);
    let (inside, outside): (Vec<_>, Vec<_>) = upgraded.partition(Result::is_ok);
    assert_eq!((inside.len(), outside.len()), (50, 100));
    assert!(
        outside
            .iter()
            .all(|r| r.as_ref().is_err_and(|r| r.status == 503))
    );
}

#[test]
fn one_too_many_from_an_address_is_429_and_a_free_place_is_taken() {
    let house = open(config().shards(2).address_connections_max(3));
    let mut clients: Vec<_> = (0..3).map(|_| house.client("r").0).collect();
    let refused = Client::ask(house.address(), "/", &[]).err().unwrap();
    assert_eq!(refused.status, 429);
    assert!(
        refused.body.contains("address_connections_max"),
        "{refused:?}"
    );
    let head = refused.head.to_ascii_lowercase();
    assert!(head.contains("retry-after: 1\r\n"), "{head}");
    drop(clients.pop());
    until("a place", || Client::ask(house.address(), "/", &[]).is_ok());
    assert!(house.engine.snapshot().rejected_address >= 1);
    drop(clients);
    until("all to go", || house.engine.snapshot().connections == 0);
    let again: Vec<_> = (0..3).map(|_| house.client("r")).collect();
    assert_eq!(again.len(), 3);
}

#[test]
fn handshakes_beyond_the_limit_wait_their_turn() {
    let house = open(config().shards(2).handshakes_max(2));
    let mut idle: Vec<_> = (0..2).map(|_| Client::bare(house.address())).collect();
    for peer in &mut idle {
        peer.write(b"GET / HT");
    }
    until("both to be accepted", || {
        house.engine.snapshot().accepted == 2
    });
    let mut waiting = Client::bare(house.address());
    waiting.write(upgrade("/r", &[]).as_bytes());
    until("accepting to be put off", || {
        house.engine.snapshot().accept_paused > 0
    });
    assert_eq!(house.engine.snapshot().accepted, 2);
    assert_eq!(waiting.next_byte_in(Duration::from_millis(20)), None);
    drop(idle.pop());
    assert!(waiting.upgraded().is_ok());
}
