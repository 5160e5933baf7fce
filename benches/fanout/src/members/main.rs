//! Members that only listen, for hosts that publish by themselves: connects them to `/room/rN`,
//! reads, and tells on demand what came and how late. In come arguments and orders on stdin, a
//! line each; out goes an answer to each, on one line. Must never know who publishes, or why.
//! One thread, pinned to a core.
//!
//! A payload begins with the nanosecond of CLOCK_MONOTONIC (u64, little endian) from which its
//! latency counts, or with zeroes. `take` answers latencies since the one before: of each delivery
//! (`p50_ns`, `p99_ns`), and of the last member of each publication (`last_p50_ns`, ...).

mod listen;

use std::io::Write;
use std::process::ExitCode;

use roomcast_fanout::sys;

use crate::listen::Listeners;

const USAGE: &str = "usage: members --port P [--rooms N] [--size MEMBERS] [--core C]";

/// What the arguments say.
struct Args {
    port: u16,
    rooms: usize,
    size: usize,
    core: usize,
}

fn parse(mut words: impl Iterator<Item = String>) -> Option<Args> {
    let mut args = Args {
        port: 0,
        rooms: 1,
        size: 1,
        core: 1,
    };
    while let Some(name) = words.next() {
        let value = words.next()?;
        match name.as_str() {
            "--port" => args.port = value.parse().ok()?,
            "--rooms" => args.rooms = value.parse().ok()?,
            "--size" => args.size = value.parse().ok()?,
            "--core" => args.core = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(args)
}

fn main() -> ExitCode {
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("members: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<(), String> {
    sys::raise_nofile().map_err(|error| error.to_string())?;
    sys::pin(args.core).map_err(|error| format!("cannot pin: {error}"))?;
    let mut listeners = Listeners::open(args.port, args.rooms, args.size)?;
    say("ready");
    while let Some(order) = listeners.listen() {
        match order.trim() {
            "count" => say(&listeners.counts()),
            "take" => say(&listeners.take()),
            _ => return Err(format!("{order}?")),
        }
    }
    Ok(())
}

fn say(line: &str) {
    println!("{line}");
    // Nobody reads any more: the orders are about to end too.
    let _ = std::io::stdout().flush();
}
