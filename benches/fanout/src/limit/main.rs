//! The yardstick: a bare epoll loop that does what a room server cannot avoid, and nothing else.
//!
//! In come WebSocket clients, out goes each message to all members of its room. `--mode limit`
//! sends once per member and message, `coalesce` once per member for all messages of a turn and
//! room, `gather` once per member for all that a turn owes it in all its rooms. It knows no
//! timers, events, budgets or limits but one: a peer that lets 4 MiB pile up is dropped. It is
//! no model of a server. One thread.

mod links;
mod rooms;
mod serve;

use std::io::Write;
use std::process::ExitCode;

/// When a member is sent what its rooms got.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Limit,
    Coalesce,
    Gather,
}

struct Args {
    port: u16,
    mode: Mode,
}

fn parse_args() -> Result<Args, String> {
    let mut args = Args {
        port: 0,
        mode: Mode::Limit,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"))?;
        match (word.as_str(), value.as_str()) {
            ("--port", port) => args.port = port.parse().map_err(|_| "not a port")?,
            ("--shards", "1") => {}
            ("--mode", "limit") => args.mode = Mode::Limit,
            ("--mode", "coalesce") => args.mode = Mode::Coalesce,
            ("--mode", "gather") => args.mode = Mode::Gather,
            _ => return Err(format!("cannot do {word} {value}")),
        }
    }
    Ok(args)
}

fn run() -> Result<(), String> {
    let args = parse_args()?;
    let server = serve::Server::listen(args.port, args.mode).map_err(|e| e.to_string())?;
    println!("listening on 127.0.0.1:{}", server.port());
    std::io::stdout().flush().map_err(|e| e.to_string())?;
    server.run()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("limit: {error}");
            ExitCode::FAILURE
        }
    }
}
