//! The market: a thousand prices that walk at random, and the thread that publishes them.
//!
//! Out: a publication for each step, `{"s":"T0001","p":103.42,"n":57,"t":1796000000123}`: symbol,
//! price, how many steps this ticker has made, and when, in milliseconds since 1970. Its key
//! is the symbol; its tags are `sector`, `price` and `change` (per cent since the start).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use roomcast::{Handle, Publication, Room};

use crate::dice::Dice;

const TICKERS: usize = 1_000;
const SECTORS: [&str; 10] = [
    "tech",
    "energy",
    "health",
    "finance",
    "retail",
    "food",
    "media",
    "metals",
    "travel",
    "utilities",
];
const RATE: u32 = 20;
/// How often it publishes what has become due.
const TICK: Duration = Duration::from_millis(5);
/// Beyond so much, what is due is dropped: the machine cannot keep up with the rate.
const OWED_MAX: f64 = 20_000.0;
/// From one ticker to the next, so that those of all sectors step by turns. No divisor of 1,000.
const STRIDE: usize = 617;
const TRACK_PERIOD: Duration = Duration::from_secs(1);

pub struct Market {
    rate: AtomicU32,
    offset: AtomicU64,
}

impl Default for Market {
    fn default() -> Self {
        Market {
            rate: AtomicU32::new(RATE),
            offset: AtomicU64::new(0),
        }
    }
}

impl Market {
    /// Updates of each ticker a second.
    pub fn rate(&self) -> u32 {
        self.rate.load(Ordering::Relaxed)
    }

    pub fn set_rate(&self, rate: u32) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// The number of the newest publication.
    pub fn offset(&self) -> u64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// What a page has to know first.
    pub fn greeting(&self) -> String {
        let rate = self.rate();
        format!(r#"{{"type":"hello","tickers":{TICKERS},"sectors":{SECTORS:?},"rate":{rate}}}"#)
    }

    /// Publishes until the engine stops.
    pub fn run(&self, handle: &Handle, room: &Room) {
        let mut dice = Dice::new();
        let mut quotes: Vec<Quote> = (0..TICKERS).map(|n| Quote::new(n, &mut dice)).collect();
        let (mut at, mut owed) = (0, 0.0);
        let (mut before, mut track_at) = (Instant::now(), Instant::now());
        while !handle.is_stopping() {
            std::thread::sleep(TICK);
            let now = Instant::now();
            let due = (now - before).as_secs_f64() * f64::from(self.rate()) * TICKERS as f64;
            owed = (owed + due).min(OWED_MAX);
            before = now;
            // What is due leaves together: one wake-up of a shard, not one for each.
            let _cork = handle.cork();
            let time = millis();
            while owed >= 1.0 {
                owed -= 1.0;
                at = (at + STRIDE) % TICKERS;
                let is_tracked = now >= track_at;
                if is_tracked {
                    track_at = now + TRACK_PERIOD;
                }
                self.publish(room, quotes[at].step(&mut dice, time), is_tracked);
            }
        }
    }

    fn publish(&self, room: &Room, quote: &Quote, is_tracked: bool) {
        let tags = [
            ("sector", quote.sector),
            ("price", quote.price_text.as_str()),
            ("change", quote.change_text.as_str()),
        ];
        let publication = Publication::text(&quote.json)
            .event("trade")
            .key(&quote.symbol)
            .tags(&tags);
        let published = match is_tracked {
            true => room
                .publish_tracked(publication)
                .map(|tracked| tracked.published),
            false => room.publish(publication),
        };
        // One that the engine does not take, since it is behind, it counts itself: the next step
        // says the same with a newer price.
        if let Ok(Some(offset)) = published.map(|published| published.offset) {
            self.offset.store(offset, Ordering::Relaxed);
        }
    }
}

fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// One ticker, and the texts of its newest step.
struct Quote {
    symbol: String,
    sector: &'static str,
    opened: f64,
    price: f64,
    steps: u64,
    json: String,
    price_text: String,
    change_text: String,
}

impl Quote {
    fn new(number: usize, dice: &mut Dice) -> Self {
        let opened = 20.0 + 280.0 * dice.share();
        Quote {
            symbol: format!("T{:04}", number + 1),
            sector: SECTORS[number * SECTORS.len() / TICKERS],
            opened,
            price: opened,
            steps: 0,
            json: String::new(),
            price_text: String::new(),
            change_text: String::new(),
        }
    }

    /// A step of up to three tenths of a per cent, drawn back a little to where it opened.
    fn step(&mut self, dice: &mut Dice, time: u64) -> &Quote {
        let chance = dice.share() * 2.0 - 1.0;
        let away = self.price / self.opened - 1.0;
        self.price *= 1.0 + 0.003 * chance - 0.001 * away;
        self.steps += 1;
        self.price_text.clear();
        let _ = write!(self.price_text, "{:.2}", self.price);
        self.change_text.clear();
        let _ = write!(self.change_text, "{:.2}", away * 100.0);
        self.json.clear();
        let (symbol, price, steps) = (&self.symbol, &self.price_text, self.steps);
        let _ = write!(
            self.json,
            r#"{{"s":"{symbol}","p":{price},"n":{steps},"t":{time}}}"#
        );
        self
    }
}
