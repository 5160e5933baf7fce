//! The server: an engine of one shard on one core, with a plain listener and one that speaks TLS.
//!
//! In: certificates, limits from the environment, then a line for each order. Out: its two
//! addresses, plain first, and answers. `/room/NAME` joins NAME; a message goes to all its members,
//! but `may ROOM` asks what a check of that permission costs.

use std::error::Error;
use std::io::BufRead;
use std::sync::Arc;

use roomcast::{
    Accept, Auth, Config, Connection, Engine, Handler, Keys, ListenOptions, Message, Pending,
    Publication, Request, Room, Tls, Verb,
};
use roomcast_benches::sys;

use crate::tokens;

/// Checks of a permission that are timed together.
const CHECKS: u32 = 100_000;

struct Host;

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let name = request.path().strip_prefix("/room/").unwrap_or_default();
        let Ok(room) = pending.handle().room(name) else {
            return pending.refuse(404, "a path is /room/NAME");
        };
        let accept = Accept::new().room(name).data(Arc::new(room));
        pending.accept(accept);
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        if let Some(room) = message.bytes().strip_prefix(b"may ") {
            let room = String::from_utf8_lossy(room);
            // What is refused shows: no answer comes.
            let _ = connection.send(check_ns(&connection, &room).to_string().as_str());
        } else if let Some(room) = connection.data::<Room>() {
            let _ = room.publish(Publication::from(message));
        }
    }
}

fn check_ns(connection: &Connection<'_>, room: &str) -> f64 {
    let began = sys::thread_ns();
    for _ in 0..CHECKS {
        let may = connection.may(Verb::Publish, std::hint::black_box(room));
        assert!(std::hint::black_box(may), "the token allows it");
    }
    (sys::thread_ns() - began) as f64 / f64::from(CHECKS)
}

/// Serves until stdin ends. `figures` gives all of them, `reload CERT KEY` serves with another
/// pair.
pub fn serve(words: &[String]) -> Result<(), Box<dyn Error>> {
    sys::pin(0)?;
    sys::raise_nofile()?;
    let value = |name: &str| {
        let mut behind = words.iter().skip_while(|word| *word != name);
        behind.nth(1).ok_or(format!("{name} of what?"))
    };
    let config = Config::new()
        .listen("127.0.0.1:0")
        .listen_with("127.0.0.1:0", ListenOptions::new().tls(true))
        .tls(Tls::new().files(value("--cert")?, value("--key")?)?)
        .shards(1)
        .deflate_level(0)
        .ping_interval_ms(0)
        .stop_spread_ms(0)
        .stop_timeout_ms(1_000);
    let config = match words.iter().any(|word| word == "--auth") {
        true => config.auth(Auth::new(Keys::new().hs256(tokens::SECRET)?)),
        false => config,
    };
    let engine = Engine::start(config.from_env()?, Host)?;
    let addresses = engine.addresses().iter().map(ToString::to_string);
    println!("listening on {}", addresses.collect::<Vec<_>>().join(" "));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["reload", cert, key] => {
                engine.reload_tls(&Tls::new().files(cert, key)?)?;
                println!("reloaded");
            }
            _ => {
                let figures = engine.snapshot().figures();
                let pairs = figures.iter().map(|(name, n)| format!("{name}={n}"));
                println!("{}", pairs.collect::<Vec<_>>().join(" "));
            }
        }
    }
    Ok(())
}
