//! The server: an engine on one core whose host does what its peers say, in a process of its own.
//!
//! In: limits from the environment, lines on stdin. Out: its address, and its figures when asked.
//! The path names the room to be in. A message that begins with `+` or `-` joins or leaves, one
//! with `s` is published to the sender's room, another is only heard.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use roomcast::{Accept, Config, Connection, Engine, Handler, Message, Pending, Publication};
use roomcast::{Request, Snapshot};

use crate::net;

/// The core that the server runs on; the generator is on the other.
const CORE: usize = 0;

struct Host;

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let room = &request.path()[1..];
        pending.accept(match room {
            "" => Accept::new(),
            room => Accept::new().room(room).data(Arc::new(room.to_owned())),
        });
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let Some((kind, rest)) = message.bytes().split_first() else {
            return;
        };
        // What is refused has no effect; the generator finds out what is missing.
        match kind {
            b's' => {
                if let Some(room) = connection.data::<String>() {
                    let data = Publication::binary(message.bytes());
                    let _ = connection.handle().publish(room, data);
                }
            }
            b'+' | b'-' => {
                let Ok(room) = std::str::from_utf8(rest) else {
                    return;
                };
                let _ = match kind {
                    b'+' => connection.join(room).map(drop),
                    _ => connection.leave(room),
                };
            }
            _ => {}
        }
    }
}

/// Serves until stdin ends. Each line asks for the figures.
pub fn run() -> Result<(), Box<dyn Error>> {
    net::raise_nofile();
    net::pin(CORE)?;
    let config = Config::new().listen("127.0.0.1:0").shards(1);
    let engine = Engine::start(config.stop_spread_ms(0).from_env()?, Host)?;
    println!("listening on {}", engine.addresses()[0]);
    let mut before = engine.snapshot();
    for line in io::stdin().lock().lines() {
        line?;
        let now = engine.snapshot();
        println!("{}", figures(&now, &before));
        io::stdout().flush()?;
        before = now;
    }
    Ok(())
}

/// `name=value` of all figures; those by reason as `closed.reason`; the longest turn since then.
fn figures(snapshot: &Snapshot, before: &Snapshot) -> String {
    let mut all: Vec<String> = Vec::new();
    for (name, value) in snapshot.figures() {
        all.push(format!("{name}={value}"));
    }
    for (reason, count) in &snapshot.closed {
        all.push(format!("closed.{reason}={count}"));
    }
    let turn_us = snapshot.turn.since(&before.turn).quantile_ns(1.0) / 1_000;
    all.push(format!("longest_turn_us={turn_us}"));
    all.join(" ")
}
