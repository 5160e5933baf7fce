//! The application on a port of its own, seen by clients from a registry.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use roomcast::{Config, Engine};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::{attend, routes};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn start() -> (Arc<Engine>, SocketAddr) {
    let (engine, events) = Engine::start_with_events(Config::new().stop_spread_ms(0)).unwrap();
    let engine = Arc::new(engine);
    tokio::spawn(attend(events, engine.handle()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = routes(engine.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (engine, address)
}

async fn connect(address: SocketAddr, room: &str) -> Client {
    let url = format!("ws://{address}/ws?room={room}");
    connect_async(url).await.unwrap().0
}

async fn text(client: &mut Client) -> String {
    let message = timeout(Duration::from_secs(20), client.next()).await;
    let message = message.expect("in time").expect("a message").unwrap();
    message.into_text().unwrap().to_string()
}

async fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

/// Until the engine has adopted them: the 101 arrives before that.
async fn members(engine: &Engine, room: &str, count: usize) {
    let joined = async {
        while engine.count(room) != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), joined)
        .await
        .expect("joined in time");
}

#[tokio::test]
async fn one_port_serves_the_pages_and_the_rooms() {
    let (engine, address) = start().await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let page = http(address, get).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(page.contains("roomcast in axum"), "{page}");

    let mut ada = connect(address, "tea").await;
    let mut bob = connect(address, "tea").await;
    let mut eve = connect(address, "cake").await;
    members(&engine, "tea", 2).await;
    ada.send(Message::text("hello")).await.unwrap();
    assert_eq!(text(&mut ada).await, "hello");
    assert_eq!(text(&mut bob).await, "hello");

    let post = "POST /rooms/tea HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
                Content-Length: 9\r\n\r\nfrom post";
    let told = http(address, post).await;
    assert!(told.ends_with("\r\n\r\n2"), "{told}");
    assert_eq!(text(&mut bob).await, "from post");

    members(&engine, "cake", 1).await;
    engine.publish("cake", "only this").unwrap();
    assert_eq!(text(&mut eve).await, "only this");
}

#[tokio::test]
async fn what_was_sent_right_behind_the_head_is_not_lost() {
    let (engine, address) = start().await;
    let mut watcher = connect(address, "r").await;
    members(&engine, "r", 1).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut bytes = b"GET /ws?room=r HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .to_vec();
    bytes.extend_from_slice(b"\x81\x85\0\0\0\0early");
    stream.write_all(&bytes).await.unwrap();
    assert_eq!(text(&mut watcher).await, "early");
}

#[tokio::test]
async fn what_is_no_websocket_is_told_so() {
    let (_engine, address) = start().await;
    let plain = "GET /ws?room=r HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let response = http(address, plain).await;
    assert!(response.starts_with("HTTP/1.1 426"), "{response}");
    let foreign = format!("ws://{address}/ws");
    match connect_async(foreign).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 400, "no room"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn clients_are_told_when_it_stops() {
    let (engine, address) = start().await;
    let mut client = connect(address, "r").await;
    members(&engine, "r", 1).await;
    let stopped = tokio::task::spawn_blocking(move || engine.stop());
    let message = client.next().await.unwrap().unwrap();
    let Message::Close(Some(frame)) = message else {
        panic!("{message:?}");
    };
    assert_eq!(u16::from(frame.code), 1001);
    while client.next().await.is_some_and(|m| m.is_ok()) {}
    assert_eq!(stopped.await.unwrap().connections, 1);
}
