//! The smallest useful host: GET `/room/NAME` joins NAME, and each message goes to all its members.
//!
//! `/rooms/A,B,C` joins all of them and publishes to the first; `?skip=1` leaves the sender out.
//! This is also the server of the benches, so the limits on how many may come are lifted; variables
//! such as `ROOMCAST_MESSAGE_RATE_MAX` set others.
//!
//! Run it: `cargo run --release --example rooms -- --port 8080 --shards 1 --deflate 0`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roomcast::{
    Accept, Config, Connection, Engine, Handler, Message, Origins, Pending, Publication, Refused,
    Request, Room,
};

struct Rooms {
    refused: AtomicU64,
}

/// What a connection was accepted with.
struct Member {
    first: Room,
    skip: bool,
}

impl Handler for Rooms {
    fn connecting(&self, request: &Request, pending: Pending) {
        let path = request.path();
        let names = path.strip_prefix("/room/").map(|name| vec![name]);
        let names = names.or_else(|| Some(path.strip_prefix("/rooms/")?.split(',').collect()));
        let Some(names) = names else {
            return pending.refuse(404, "rooms are at /room/NAME and /rooms/A,B,C");
        };
        let Ok(first) = pending.handle().room(names[0]) else {
            return pending.refuse(400, "a room name is empty or too long");
        };
        let skip = request.query_value("skip").as_deref() == Some("1");
        let mut accept = Accept::new().data(Arc::new(Member { first, skip }));
        for name in names {
            accept = accept.room(name);
        }
        pending.accept(accept);
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let Some(member) = connection.data::<Member>() else {
            return;
        };
        let sender = [connection.id()];
        let mut publication = Publication::from(message);
        if member.skip {
            publication = publication.except(&sender);
        }
        match member.first.publish(publication) {
            Ok(_) | Err(Refused::Stopped) => {}
            Err(refused) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                let _ = connection.close(1013, &refused.to_string());
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (port, shards) = (number("--port", 8080)?, number("--shards", 1)?);
    let config = Config::new()
        .listen(format!("127.0.0.1:{port}"))
        .shards(shards)
        .origins(Origins::Any)
        .deflate_level(number("--deflate", 0)? as u32)
        .connections_max(1_000_000)
        .from_env()?;
    let engine = Engine::start(
        config,
        Rooms {
            refused: AtomicU64::new(0),
        },
    )?;
    println!("listening on {}", engine.addresses()[0]);
    loop {
        std::thread::park();
    }
}

/// The number after `name` on the command line.
fn number(name: &str, default: usize) -> Result<usize, std::num::ParseIntError> {
    let after = std::env::args().skip_while(|arg| arg != name).nth(1);
    after.map_or(Ok(default), |value| value.parse())
}
