//! The server: an engine of one shard on one core, and the thread that publishes as it is told.
//!
//! In: options of rooms as words, limits from the environment, then a line for each order. Out: its
//! address, then answers. A path is `/ROOM/READER/HOW`: the room to join, the reader's number, and
//! `all` or `gN` for the publications tagged with the group N only.

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::sync::{Arc, Mutex, PoisonError};

use roomcast::{
    Accept, CloseReason, Config, Connection, Engine, Filter, Handler, Join, Missed, Pending,
    Request, RoomOptions, SlowPolicy,
};

use crate::publish::{Order, Publisher};
use crate::sys;

/// What slow readers were said to have missed, and how connections ended.
#[derive(Default)]
struct Notices {
    missed: HashMap<usize, Vec<Missed>>,
    closed: HashMap<&'static str, u64>,
}

impl Notices {
    /// One that begins where the reader's last one ends is joined with it, so that the memory of
    /// the process stays the engine's.
    fn add(&mut self, reader: usize, missed: Missed) {
        let spans = self.missed.entry(reader).or_default();
        match spans.last_mut() {
            Some(last) if last.replaced == missed.replaced && missed.first <= last.last + 1 => {
                last.count += missed.count;
                last.first = last.first.min(missed.first);
                last.last = last.last.max(missed.last);
            }
            _ => spans.push(missed),
        }
    }
}

#[derive(Clone, Default)]
struct Hall(Arc<Mutex<Notices>>);

impl Hall {
    fn notices(&self) -> std::sync::MutexGuard<'_, Notices> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Hall {
    fn connecting(&self, request: &Request, pending: Pending) {
        let mut parts = request.path().split('/').skip(1);
        let (room, reader, how) = (parts.next(), parts.next(), parts.next());
        let reader = reader.and_then(|reader| reader.parse::<usize>().ok());
        let (Some(room), Some(reader), Some(how)) = (room, reader, how) else {
            return pending.refuse(404, "a path is /ROOM/READER/HOW");
        };
        let accept = Accept::new().data(Arc::new(reader));
        pending.accept(match how.strip_prefix('g') {
            Some(group) => accept.room_with(room, Join::new().filter(Filter::eq("group", group))),
            None => accept.room(room),
        });
    }

    fn closed(&self, _: Connection<'_>, reason: &CloseReason) {
        let name = match reason {
            CloseReason::TooSlow => "too_slow",
            _ => "other",
        };
        *self.notices().closed.entry(name).or_default() += 1;
    }

    fn lagged(&self, connection: Connection<'_>, _: &str, missed: Missed) {
        if let Some(reader) = connection.data::<usize>() {
            self.notices().add(*reader, missed);
        }
    }
}

/// `PREFIX=MS,conflate,POLICY`, the middle one where it is asked for.
fn options(config: Config, word: &str) -> Result<Config, Box<dyn Error>> {
    let (prefix, choices) = word.split_once('=').ok_or("PREFIX=OPTIONS")?;
    let mut options = RoomOptions::new();
    for choice in choices.split(',') {
        options = match choice {
            "conflate" => options.conflate(true),
            "disconnect" => options.slow_policy(SlowPolicy::Disconnect),
            "skip" => options.slow_policy(SlowPolicy::Skip),
            "latest" => options.slow_policy(SlowPolicy::Latest),
            "volatile" => options.slow_policy(SlowPolicy::Volatile),
            interval => options.flush_interval_ms(interval.parse()?),
        };
    }
    Ok(config.room_options(prefix, options))
}

/// Serves until stdin ends. `figures` gives all of them; `publish …` publishes (see [`Order`]);
/// `numbers` gives the last number of each room; `missed` says how many notices follow, one a line.
pub fn serve(words: &[String]) -> Result<(), Box<dyn Error>> {
    sys::pin(0)?;
    sys::raise_nofile()?;
    let config = Config::new()
        .listen("127.0.0.1:0")
        .shards(1)
        .ping_interval_ms(0)
        .stop_spread_ms(0)
        .stop_timeout_ms(1_000);
    let config = words
        .iter()
        .try_fold(config, |config, word| options(config, word))?;
    let hall = Hall::default();
    let engine = Engine::start(config.from_env()?, hall.clone())?;
    println!("listening on {}", engine.addresses()[0]);
    let mut publisher = Publisher::new(&engine);
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("publish", rest) => println!("{}", publisher.publish(&Order::from(rest)?)?),
            ("numbers", _) => println!("{}", publisher.numbers()),
            ("missed", _) => tell_missed(&hall),
            _ => println!("{}", figures(&engine, &publisher, &hall)),
        }
    }
    Ok(())
}

fn tell_missed(hall: &Hall) {
    let missed = std::mem::take(&mut hall.notices().missed);
    println!("{}", missed.values().map(Vec::len).sum::<usize>());
    for (reader, spans) in missed {
        for span in spans {
            let (count, first, last) = (span.count, span.first, span.last);
            println!(
                "{reader} {count} {first} {last} {}",
                u8::from(span.replaced)
            );
        }
    }
}

/// `name=value` of the engine's figures, of the clocks and of what the host was told.
fn figures(engine: &Engine, publisher: &Publisher, hall: &Hall) -> String {
    let figures = engine.snapshot().figures();
    let mut all: Vec<String> = figures
        .iter()
        .map(|(name, n)| format!("{name}={n}"))
        .collect();
    let notices = hall.notices();
    let closed = |name| notices.closed.get(name).copied().unwrap_or(0);
    for (name, value) in [
        ("process_ns", sys::process_ns()),
        ("publisher_ns", sys::thread_ns()),
        ("memory_most", publisher.memory_most),
        ("told_too_slow", closed("too_slow")),
        ("told_closed", closed("other")),
    ] {
        all.push(format!("{name}={value}"));
    }
    all.join(" ")
}
