//! What a publication costs the thread that publishes: into an empty room, and into one with a
//! member, with the shard awake. Prints a Markdown table. Run by hand:
//! `cargo run --release -p roomcast-benches --bin publish`.
//!
//! Real sockets on loopback; the publisher itself empties the member's between bursts, since a
//! third thread would take a core from one of the two that are measured. Bursts are kept below
//! `room_ahead_bytes_max`, and each begins when the one before was delivered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use roomcast::{Accept, Config, Engine, Handler, Pending, Published, Refused, Request, Room};

const BURST: u32 = 1_000;
const BURSTS: usize = 201;

struct Hall;

impl Handler for Hall {
    fn connecting(&self, _: &Request, pending: Pending) {
        pending.accept(Accept::new().room("hall"));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = Engine::start(Config::new().listen("127.0.0.1:0").shards(1), Hall)?;
    let mut member = TcpStream::connect(engine.addresses()[0])?;
    member.write_all(
        b"GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )?;
    member.set_nonblocking(true)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while engine.count("hall") == 0 {
        assert!(Instant::now() < deadline, "the member joins");
        std::thread::yield_now();
    }
    println!("| room | ns a publish, median of {BURSTS} bursts |");
    println!("|---|---|");
    for (name, by_name) in [("empty", false), ("hall", false), ("empty", true)] {
        let room = engine.room(name)?;
        let how = if by_name { " by name" } else { "" };
        let cost = match by_name {
            true => burst(&engine, &room, &mut member, |data| {
                engine.publish(name, data)
            }),
            false => burst(&engine, &room, &mut member, |data| room.publish(data)),
        };
        println!("| {name}{how}, {} members | {cost:.1} |", room.members());
    }
    engine.stop();
    Ok(())
}

fn burst(
    engine: &Engine,
    room: &Room,
    member: &mut TcpStream,
    publish: impl Fn(&[u8]) -> Result<Published, Refused>,
) -> f64 {
    let payload = [7u8; 64];
    let mut sink = vec![0; 1 << 20];
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..BURSTS {
        // One publication first, so that the shard is awake when the burst is timed.
        publish(&payload).expect("it is taken");
        let began = Instant::now();
        for _ in 0..BURST {
            publish(&payload).expect("it is taken");
        }
        times.push(began.elapsed().as_nanos() as f64 / f64::from(BURST));
        let owed = room.members() as u64 * room.position().offset;
        while engine.snapshot().deliveries < owed {
            let _ = member.read(&mut sink);
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
