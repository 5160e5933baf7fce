//! The demonstration: browser windows share live boards, and see the engine's own figures.
//!
//! A board is a room: cursors and notes of its members move as people move them. Twice a second
//! the engine's metrics are published to a room of their own, which every page is in. A button
//! adds synthetic users: WebSocket clients on a thread of this process, over loopback.
//!
//! Everything that a peer says is read by `lines.rs`, which bounds it; everything that is kept is
//! in `boards.rs`, which bounds that.
//!
//! Run it: `cargo run --release --example board -- --port 8080`

#[path = "board/boards.rs"]
mod boards;
#[path = "board/dice.rs"]
mod dice;
#[path = "board/lines.rs"]
mod lines;
#[path = "board/meter.rs"]
mod meter;
#[path = "board/users.rs"]
mod users;

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use roomcast::{
    Accept, CloseReason, Config, Connection, Engine, Handler, Message, Page, Pending, Request,
    StartError,
};

use boards::{Boards, Member};
use lines::Line;
use meter::Meter;
use users::{Crowd, Head, Order};

/// The room in which the metrics are published.
const METRICS: &str = "metrics";
const CONNECTIONS_MAX: usize = 2_000;
const MESSAGE_BYTES_MAX: usize = 2_048;

struct Host {
    boards: Arc<Boards>,
    meter: Arc<Meter>,
    orders: Sender<Order>,
}

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        if request.path() != "/ws" {
            return pending.refuse(404, "the WebSocket is at /ws");
        }
        let board = request.query_value("board").unwrap_or_default();
        let synthetic = request.query_value("synthetic").is_some();
        let accept = Accept::new().data(Arc::new(self.boards.member(&board, synthetic)));
        pending.accept(match synthetic {
            true => accept,
            false => accept.room(METRICS),
        });
    }

    fn opened(&self, connection: Connection<'_>) {
        let Some(member) = connection.data::<Member>() else {
            return;
        };
        if !member.synthetic {
            let greeting = self.boards.greeting(member) + &self.meter.history();
            let _ = connection.send(&greeting);
        }
        self.boards.enter(connection, member, None);
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let Some(member) = connection.data::<Member>() else {
            return;
        };
        if !member.may_say_more() {
            let _ = connection.close(1008, "too many messages a second");
            return;
        }
        match message.text().and_then(Line::parse) {
            Some(Line::Echo(sent)) => {
                let _ = connection.send(&format!("e {sent}"));
            }
            Some(Line::Users(count)) => {
                let board = self.boards.key_of(member);
                let _ = self.orders.send(match count {
                    0 => Order::Remove,
                    _ => Order::Add { board, count },
                });
            }
            Some(line) => self.boards.on_line(connection, member, &line),
            None => {
                let _ = connection.close(1008, "this is no line of the board's");
            }
        }
    }

    fn closed(&self, connection: Connection<'_>, _: &CloseReason) {
        if let Some(member) = connection.data::<Member>() {
            self.boards.leave(connection, member);
        }
    }
}

/// What is served at `path`: type and text.
fn file(path: &str) -> Option<(&'static str, &'static str)> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    Some(match path {
        "/" => (
            "text/html; charset=utf-8",
            include_str!("board/page/index.html"),
        ),
        "/style.css" => (
            "text/css; charset=utf-8",
            include_str!("board/page/style.css"),
        ),
        "/app.js" => (SCRIPT, include_str!("board/page/app.js")),
        "/glide.js" => (SCRIPT, include_str!("board/page/glide.js")),
        "/notes.js" => (SCRIPT, include_str!("board/page/notes.js")),
        "/people.js" => (SCRIPT, include_str!("board/page/people.js")),
        "/plots.js" => (SCRIPT, include_str!("board/page/plots.js")),
        "/wire.js" => (SCRIPT, include_str!("board/page/wire.js")),
        _ => return None,
    })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("board: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let port = port(std::env::args().skip(1))?;
    let config = Config::new()
        .listen(format!("127.0.0.1:{port}"))
        .connections_max(CONNECTIONS_MAX)
        .message_bytes_max(MESSAGE_BYTES_MAX)
        .metrics_path(Some("/metrics".into()))
        .pages(|request| file(request.path()).map(|(kind, text)| Page::new(kind, text)));
    let head = Arc::new(Head::default());
    let boards = Arc::new(Boards::new());
    let meter = Arc::new(Meter::default());
    let (orders, taken) = mpsc::channel();
    let host = Host {
        boards: boards.clone(),
        meter: meter.clone(),
        orders,
    };
    let engine = Engine::start(config, host).map_err(|error| advice(port, &error))?;
    let address = engine.addresses()[0];
    let crowd = Crowd::new(address, taken, head.clone()).map_err(|error| error.to_string())?;
    std::thread::spawn(move || crowd.run());
    println!("roomcast board: open http://{address}/ in several windows");
    loop {
        std::thread::sleep(Duration::from_millis(meter::PERIOD_MS));
        boards.refresh(&engine);
        let sample = meter.sample(&engine, &boards, &head);
        let _ = engine.publish(METRICS, &sample);
    }
}

fn advice(port: u16, error: &StartError) -> String {
    match error {
        StartError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => format!(
            "port {port} is taken; choose another with --port N, or --port 0 for a free one"
        ),
        other => other.to_string(),
    }
}

fn port(args: impl Iterator<Item = String>) -> Result<u16, String> {
    const USAGE: &str = "usage: board [--port N]   (default 8080, 0 for a free one)";
    let args: Vec<String> = args.collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(8080),
        ["--port", port] => port
            .parse()
            .map_err(|_| format!("--port takes a number from 0 to 65535\n{USAGE}")),
        _ => Err(USAGE.into()),
    }
}
