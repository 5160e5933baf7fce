//! The demonstration of selective, batched and honest delivery: a thousand tickers, and two readers
//! of them side by side in a page, one that is fast and one that can be stalled.
//!
//! All tickers are publications of one room, with their symbol as key. How a reader is a member of
//! it (filter, watch-list, interval, policy) is in the query of its WebSocket's address, so
//! that any client can try it, and is changed live by lines of the page:
//!
//! - `/feed?page=ID&side=slow&policy=latest&interval=100&keys=T0001,T0002&filter=TEXT`: a reader;
//! - `/control?page=ID`: what a page says (`lines.rs`) and is told of both of its readers;
//! - `/relay?…` as `/feed?…`: what a reader in this process has (`relay.rs`), for browsers that
//!   read all that comes, whatever the page does with it.
//!
//! Run it: `cargo run --release --example ticker -- --port 8080`

#[path = "ticker/dice.rs"]
mod dice;
#[path = "ticker/figures.rs"]
mod figures;
#[path = "ticker/lines.rs"]
mod lines;
#[path = "ticker/market.rs"]
mod market;
#[path = "ticker/pages.rs"]
mod pages;
#[path = "ticker/relay.rs"]
mod relay;
#[path = "ticker/told.rs"]
mod told;

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use roomcast::{
    Accept, CloseReason, Config, Connection, ConnectionId, Delivery, Engine, Handle, Handler,
    Message, Missed, Page, Pending, Request, RoomOptions, SlowPolicy, StartError,
};

use lines::{Keys, Line, Reader, Side, Visit, Wish};
use market::Market;
use pages::Pages;
use relay::Relays;

/// The room of all tickers.
const TICKERS: &str = "ticker:all";
/// The room in which the figures are published; every page is in it.
const FIGURES: &str = "figures";
const FIGURES_PERIOD: Duration = Duration::from_millis(500);
const CONNECTIONS_MAX: usize = 200;
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// A small tape, so that a stall of seconds shows what each policy does.
const TAPE_BYTES_MAX: usize = 1024 * 1024;

struct Host {
    market: Arc<Market>,
    pages: Pages,
    relays: Arc<Relays>,
}

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let visit = match Visit::of(request) {
            Ok(visit) => visit,
            Err((status, text)) => return pending.refuse(status, &text),
        };
        let accept = Accept::new();
        pending.accept(
            match &visit {
                // What concerns one page is sent to it as a user.
                Visit::Page(page) => accept.user(&**page).room(FIGURES),
                Visit::Feed(reader) => accept.room_with(TICKERS, reader.wish.join()),
                Visit::Relay(_) => accept,
            }
            .data(Arc::new(visit)),
        );
    }

    fn opened(&self, connection: Connection<'_>) {
        match connection.data() {
            Some(Visit::Page(_)) => {
                let _ = connection.send(&self.market.greeting());
            }
            Some(Visit::Feed(reader)) => {
                self.pages.enter(reader, connection.id());
                let Reader { page, side, wish } = reader;
                self.begin(connection.handle(), page, *side, wish, connection.id());
            }
            Some(Visit::Relay(relayed)) => self.relays.begin(connection, relayed.clone()),
            None => {}
        }
    }

    fn message(&self, connection: Connection<'_>, message: Message<'_>) {
        let text = message.text().unwrap_or_default();
        match connection.data() {
            Some(Visit::Page(page)) => self.on_line(connection, page, text),
            Some(Visit::Relay(relayed)) => relayed.stall(text == "stall"),
            _ => {}
        }
    }

    fn closed(&self, connection: Connection<'_>, reason: &CloseReason) {
        if let Some(Visit::Feed(reader)) = connection.data() {
            if !self.pages.leave(reader, connection.id()) {
                return;
            }
            let told = told::ended(reader.side, reason);
            let _ = connection.handle().send_user(&reader.page, &told);
        }
    }

    /// The page is told at once, by its own connection: the reader itself may be stalled.
    fn lagged(&self, connection: Connection<'_>, _: &str, missed: Missed) {
        if let Some(Visit::Feed(reader)) = connection.data() {
            let told = told::missed(reader.side, missed);
            let _ = connection.handle().send_user(&reader.page, &told);
        }
    }

    fn delivered(&self, handle: &Handle, _: &str, delivery: Delivery) {
        let _ = handle.publish(FIGURES, &told::delivered(delivery));
    }
}

impl Host {
    fn on_line(&self, connection: Connection<'_>, page: &str, text: &str) {
        let handle = connection.handle();
        let (side, done) = match Line::parse(text) {
            Ok(Line::Rate(rate)) => return self.market.set_rate(rate),
            Ok(Line::Wish(side, wish)) => (side.name(), self.change(handle, page, side, &wish)),
            Ok(Line::Watch(side, keys)) => (side.name(), self.watch(handle, page, side, &keys)),
            Err((side, why)) => (side, Err(why)),
        };
        if let Err(why) = done {
            let _ = connection.send(&told::wrong(side, &why));
        }
    }

    /// A reader goes on upon other terms. One that is not there will begin upon them.
    fn change(&self, handle: &Handle, page: &str, side: Side, wish: &Wish) -> Result<(), String> {
        let Some(id) = self.pages.find(page, side) else {
            return Ok(());
        };
        let joined = handle.join_with(id, TICKERS, wish.join());
        joined.map_err(|error| error.to_string())?;
        self.begin(handle, page, side, wish, id);
        Ok(())
    }

    fn watch(&self, handle: &Handle, page: &str, side: Side, keys: &Keys) -> Result<(), String> {
        let Some(id) = self.pages.find(page, side) else {
            return Ok(());
        };
        let changed = match keys.begin {
            true => handle.watch(id, TICKERS, &keys.list),
            false => handle.unwatch(id, TICKERS, &keys.list),
        };
        changed.map_err(|error| error.to_string())?;
        if !keys.begin {
            // It is told in the place of its stream behind which nothing of them comes.
            let _ = handle.send(id, &told::unwatched(&keys.list));
        }
        Ok(())
    }

    /// A reader's terms hold from here on: it is told so in the place of its stream where they
    /// begin, and the page by its own connection.
    fn begin(&self, handle: &Handle, page: &str, side: Side, wish: &Wish, id: ConnectionId) {
        let begun = told::begun(side, self.market.offset(), &wish.filter);
        let _ = handle.send(id, &begun);
        let _ = handle.send_user(page, &begun);
    }
}

/// What is served at `path`: type and text.
fn file(path: &str) -> Option<(&'static str, &'static str)> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    Some(match path {
        "/" => (
            "text/html; charset=utf-8",
            include_str!("ticker/page/index.html"),
        ),
        "/style.css" => (
            "text/css; charset=utf-8",
            include_str!("ticker/page/style.css"),
        ),
        "/app.js" => (SCRIPT, include_str!("ticker/page/app.js")),
        "/figures.js" => (SCRIPT, include_str!("ticker/page/figures.js")),
        "/grid.js" => (SCRIPT, include_str!("ticker/page/grid.js")),
        "/panel.js" => (SCRIPT, include_str!("ticker/page/panel.js")),
        "/plot.js" => (SCRIPT, include_str!("ticker/page/plot.js")),
        "/reader.js" => (SCRIPT, include_str!("ticker/page/reader.js")),
        _ => return None,
    })
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("ticker: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let port = port(std::env::args().skip(1))?;
    let tickers = RoomOptions::new()
        .flush_interval_ms(lines::INTERVAL_MS)
        .conflate(true)
        .slow_policy(SlowPolicy::Latest);
    let config = Config::new()
        .listen(format!("127.0.0.1:{port}"))
        .connections_max(CONNECTIONS_MAX)
        .message_bytes_max(MESSAGE_BYTES_MAX)
        .publication_bytes_max(TAPE_BYTES_MAX / 4)
        .tape_bytes_max(TAPE_BYTES_MAX)
        .room_ahead_bytes_max(TAPE_BYTES_MAX / 2)
        .room_options("ticker:", tickers)
        .metrics_path(Some("/metrics".into()))
        .pages(|request| file(request.path()).map(|(kind, text)| Page::new(kind, text)));
    let market = Arc::new(Market::default());
    let relays = Arc::new(Relays::default());
    let host = Host {
        market: market.clone(),
        pages: Pages::default(),
        relays: relays.clone(),
    };
    let engine = Engine::start(config, host).map_err(|error| advice(port, &error))?;
    let address = engine.addresses()[0];
    relays.serve(address);
    let room = engine.room(TICKERS).map_err(|error| error.to_string())?;
    println!("roomcast ticker: open http://{address}/");
    let (quotes, handle) = (market.clone(), engine.handle());
    std::thread::spawn(move || quotes.run(&handle, &room));
    loop {
        std::thread::sleep(FIGURES_PERIOD);
        let sample = figures::sample(&engine.snapshot(), &market);
        let _ = engine.publish(FIGURES, &sample);
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
    const USAGE: &str = "usage: ticker [--port N]   (default 8080, 0 for a free one)";
    let args: Vec<String> = args.collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(8080),
        ["--port", port] => port
            .parse()
            .map_err(|_| format!("--port takes a number from 0 to 65535\n{USAGE}")),
        _ => Err(USAGE.into()),
    }
}
