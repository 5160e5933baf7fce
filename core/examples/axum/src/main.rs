//! Rooms inside an axum application: `/ws` on the same port as its routes.
//!
//! axum answers the upgrade with what roomcast made of it, then hands the socket over: from there
//! on the shards serve it and axum is out of the way. What happens arrives as events in a task.
//! GET `/` is a page, `/ws?room=NAME` joins NAME, and POST `/rooms/NAME` publishes its body there.
//!
//! Run it: `cargo run --manifest-path core/examples/axum/Cargo.toml -- --port 8080`

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use roomcast::{Accept, AdoptError, Config, Engine, Event, Events, Handle, Upgraded};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

#[cfg(test)]
mod tests;

const PAGE: &str = include_str!("page.html");

#[derive(Deserialize)]
struct Join {
    room: String,
}

/// The application's routes, roomcast's among them.
fn routes(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/ws", get(join))
        .route("/rooms/{room}", post(publish))
        .with_state(engine)
}

/// Lets a WebSocket into its room. Here is the place to look at a session cookie.
async fn join(
    State(engine): State<Arc<Engine>>,
    Query(join): Query<Join>,
    mut request: Request,
) -> Response {
    let socket = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let upgrade = match engine.upgrade(&parts) {
        Ok(upgrade) => upgrade,
        Err(error) => return refusal(&error),
    };
    let room = Arc::new(join.room);
    let accept = Accept::new().room(room.as_str()).data(room);
    let upgrade = upgrade.accept(accept);
    let response = upgrade.response().clone().map(|()| Body::empty());
    tokio::spawn(hand_over(socket, upgrade.detach()));
    response
}

fn refusal(error: &AdoptError) -> Response {
    match error {
        AdoptError::NotUpgrade { status, text } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, *text).into_response()
        }
        other => (StatusCode::SERVICE_UNAVAILABLE, other.to_string()).into_response(),
    }
}

/// Once the 101 is out: takes the socket from hyper, with what it has read too far.
async fn hand_over(socket: OnUpgrade, upgraded: Upgraded) {
    let Ok(socket) = socket.await else {
        return; // The client went before its answer.
    };
    let Ok(parts) = downcast::<TokioIo<TcpStream>>(socket) else {
        return eprintln!("/ws is served over plain TCP only");
    };
    let adopted = match parts.io.into_inner().into_std() {
        Ok(stream) => upgraded.adopt(stream, &parts.read_buf),
        Err(error) => Err(AdoptError::Io(error)),
    };
    if let Err(error) = adopted {
        eprintln!("a client was lost: {error}");
    }
}

/// An ordinary route that reaches everybody in a room.
async fn publish(
    State(engine): State<Arc<Engine>>,
    Path(room): Path<String>,
    body: String,
) -> Response {
    match engine.publish(&room, &body) {
        Ok(published) => published.members.to_string().into_response(),
        Err(refused) => (StatusCode::SERVICE_UNAVAILABLE, refused.to_string()).into_response(),
    }
}

/// The life of the rooms: each message goes to all members of its sender's room.
async fn attend(events: Events, rooms: Handle) {
    while let Some(event) = events.next().await {
        if let Event::Message { peer, .. } = &event
            && let (Some(room), Some(message)) = (peer.data::<String>(), event.message())
            && let Err(refused) = rooms.publish(room, message)
        {
            // Too much at once: the sender is asked to come back later.
            let _ = rooms.close(peer.id(), 1013, &refused.to_string());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().skip_while(|arg| arg != "--port").nth(1);
    let address = format!("127.0.0.1:{}", port.as_deref().unwrap_or("8080"));
    let (engine, events) = Engine::start_with_events(Config::new())?;
    let engine = Arc::new(engine);
    tokio::spawn(attend(events, engine.handle()));
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, routes(engine.clone()))
        .with_graceful_shutdown(stopped)
        .await?;
    // Tells the clients, and waits for them: not on a thread that the runtime needs.
    let report = tokio::task::spawn_blocking(move || engine.stop()).await?;
    println!("{} clients were told", report.connections);
    Ok(())
}
