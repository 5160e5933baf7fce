//! The server: an engine on one core, and a thread that publishes to its one room at a fixed rate.
//!
//! In: level and shards, then a line for each order. Out: its address, a number for each order.
//! What a member says goes back to it.

use std::error::Error;
use std::io::BufRead;
use std::time::{Duration, Instant};

use roomcast::{Accept, Config, Connection, Engine, Handler, Message, Pending, Request, Room};
use rustix::time::{ClockId, clock_gettime};

use crate::{payload, process};

struct Hall;

impl Handler for Hall {
    fn connecting(&self, _: &Request, pending: Pending) {
        pending.accept(Accept::new().room("hall"));
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        if let Err(refused) = connection.send(message) {
            let _ = connection.close(1013, &refused.to_string());
        }
    }
}

/// Serves until stdin ends. `members` and `writes` give their number; `publish FIRST COUNT RATE
/// BURST` gives the CPU clock before the first of them, `cpu` what it says now.
pub fn serve(words: &[String]) -> Result<(), Box<dyn Error>> {
    process::pin(0)?;
    process::raise_nofile()?;
    let config = Config::new()
        .listen("127.0.0.1:0")
        .deflate_level(words[0].parse()?)
        .shards(words[1].parse()?)
        .connections_max(1_000_000)
        .ping_interval_ms(0)
        .stop_spread_ms(0);
    let engine = Engine::start(config, Hall)?;
    let room = engine.room("hall")?;
    println!("listening on {}", engine.addresses()[0]);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split(' ');
        match words.next() {
            Some("members") => println!("{}", engine.count("hall")),
            Some("writes") => println!("{}", engine.snapshot().writes),
            Some("cpu") => println!("{}", cpu_ns()),
            _ => {
                let numbers: Vec<u64> = words.map(str::parse).collect::<Result<_, _>>()?;
                println!("{}", publish(&room, &numbers)?);
            }
        }
    }
    Ok(())
}

fn publish(room: &Room, numbers: &[u64]) -> Result<u64, Box<dyn Error>> {
    let &[first, count, rate, burst] = numbers else {
        return Err("publish FIRST COUNT RATE BURST".into());
    };
    let messages: Vec<String> = (first..first + count).map(payload::json).collect();
    let (begun, cpu) = (Instant::now(), cpu_ns());
    for (nth, messages) in messages.chunks(burst as usize).enumerate() {
        let due = Duration::from_secs_f64((nth as u64 * burst) as f64 / rate as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        for message in messages {
            room.publish(message.as_str())?;
        }
    }
    Ok(cpu)
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
