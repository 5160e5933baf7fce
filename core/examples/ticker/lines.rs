//! What peers say: addresses of WebSockets, and lines of the pages.
//!
//! In: what a peer chose. Out: values within bounds, or why not. A page says:
//!
//! - `rate N`: so many updates a second of each ticker, 0 to pause;
//! - `set SIDE POLICY INTERVAL KEYS FILTER`: how its reader is a member from now on; `KEYS` is `*`
//!   for all, else a watch-list with commas, and `-` for an empty one;
//! - `watch SIDE KEYS`, `unwatch SIDE KEYS`: changes of the watch-list.

use std::sync::Arc;

use roomcast::{Filter, Join, Request, SlowPolicy};

use crate::relay::Relayed;

/// Milliseconds between two batches, where a reader does not say otherwise.
pub const INTERVAL_MS: u32 = 100;
const INTERVAL_MS_MAX: u32 = 5_000;
const RATE_MAX: u32 = 200;
const PAGE_BYTES_MAX: usize = 32;

/// The two readers of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Fast,
    Slow,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Fast => "fast",
            Side::Slow => "slow",
        }
    }

    fn parse(text: &str) -> Option<Side> {
        [Side::Fast, Side::Slow]
            .into_iter()
            .find(|side| side.name() == text)
    }
}

/// How a reader wants to be a member.
#[derive(Debug)]
pub struct Wish {
    join: Join,
    /// The filter as it was written; empty for none.
    pub filter: String,
}

impl Wish {
    /// What a member of the room is told of it.
    pub fn join(&self) -> Join {
        self.join.clone()
    }

    fn parse(policy: &str, interval: &str, keys: &str, filter: &str) -> Result<Wish, String> {
        let interval: u32 = interval.parse().map_err(|_| "the interval is no number")?;
        let mut join = Join::new()
            .slow_policy(policy_of(policy)?)
            .flush_interval_ms(interval.min(INTERVAL_MS_MAX));
        if keys != "*" {
            join = join.keys(split(keys));
        }
        if !filter.trim().is_empty() {
            join = join.filter(Filter::text(filter).map_err(|error| error.to_string())?);
        }
        Ok(Wish {
            join,
            filter: filter.into(),
        })
    }
}

fn policy_of(name: &str) -> Result<SlowPolicy, String> {
    Ok(match name {
        "latest" => SlowPolicy::Latest,
        "skip" => SlowPolicy::Skip,
        "volatile" => SlowPolicy::Volatile,
        "disconnect" => SlowPolicy::Disconnect,
        _ => return Err("the policy is latest, skip, volatile or disconnect".into()),
    })
}

/// The keys of a list; none of one that is `-`.
fn split(keys: &str) -> Vec<String> {
    let words = keys.split([',', ' ']).map(str::trim);
    words
        .filter(|word| !word.is_empty() && *word != "-")
        .map(Into::into)
        .collect()
}

/// A reader: whose it is, and how it begins.
#[derive(Debug)]
pub struct Reader {
    pub page: String,
    pub side: Side,
    pub wish: Wish,
}

/// What a connection is for.
pub enum Visit {
    Page(String),
    Feed(Reader),
    Relay(Arc<Relayed>),
}

impl Visit {
    /// A status and a line of text for what is neither.
    pub fn of(request: &Request) -> Result<Visit, (u16, String)> {
        let value = |name: &str| request.query_value(name).unwrap_or_default();
        let page = value("page").into_owned();
        if page.len() > PAGE_BYTES_MAX || !page.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err((400, "a page is named by a few letters and digits".into()));
        }
        match request.path() {
            "/control" => Ok(Visit::Page(page)),
            "/feed" => reader(request, page).map(Visit::Feed),
            "/relay" => {
                reader(request, page)?;
                let query = request.query().unwrap_or_default();
                Ok(Visit::Relay(Arc::new(Relayed::new(query))))
            }
            _ => Err((
                404,
                "the WebSockets are at /feed, /relay and /control".into(),
            )),
        }
    }
}

fn reader(request: &Request, page: String) -> Result<Reader, (u16, String)> {
    let value = |name: &str, or: &str| match request.query_value(name) {
        Some(value) if !value.is_empty() => value.into_owned(),
        _ => or.into(),
    };
    let interval = value("interval", &INTERVAL_MS.to_string());
    let (policy, keys) = (value("policy", "latest"), value("keys", "*"));
    let wish = Wish::parse(&policy, &interval, &keys, &value("filter", ""));
    Ok(Reader {
        page,
        side: Side::parse(&value("side", "fast")).unwrap_or(Side::Fast),
        wish: wish.map_err(|why| (400, why))?,
    })
}

/// A line of a page.
pub enum Line {
    Rate(u32),
    Wish(Side, Wish),
    Watch(Side, Keys),
}

/// Keys that a watch-list gains or loses.
pub struct Keys {
    pub list: Vec<String>,
    /// Whether it gains them.
    pub begin: bool,
}

impl Line {
    /// Otherwise of which side it is, as far as that is known, and why it is none.
    pub fn parse(text: &str) -> Result<Line, (&'static str, String)> {
        let nothing = || ("", "this is no line of the ticker's".to_string());
        let (verb, rest) = text.split_once(' ').ok_or_else(nothing)?;
        if verb == "rate" {
            let rate: u32 = rest
                .parse()
                .map_err(|_| ("", "the rate is no number".into()))?;
            return Ok(Line::Rate(rate.min(RATE_MAX)));
        }
        let (side, rest) = rest.split_once(' ').ok_or_else(nothing)?;
        let side = Side::parse(side).ok_or_else(nothing)?;
        match verb {
            "set" => {
                let words: Vec<&str> = rest.splitn(4, ' ').collect();
                let [policy, interval, keys, filter] = words[..] else {
                    return Err(nothing());
                };
                let wish = Wish::parse(policy, interval, keys, filter);
                Ok(Line::Wish(side, wish.map_err(|why| (side.name(), why))?))
            }
            "watch" | "unwatch" => {
                let (list, begin) = (split(rest), verb == "watch");
                Ok(Line::Watch(side, Keys { list, begin }))
            }
            _ => Err(nothing()),
        }
    }
}
