//! The publisher: so many publications at a time, at fixed moments, to rooms in turn.
//!
//! In: an order. Out: what was offered and taken. Each payload says its number in its room, which
//! has to be the offset that the engine gives it. The server's main thread.

use std::collections::HashMap;
use std::error::Error;
use std::ops::Range;
use std::time::{Duration, Instant};

use roomcast::{Engine, Publication, Refused, Room};

use crate::ledger;
use crate::sys::now_ns;

/// How long a refused publication waits before it is offered again.
const AGAIN: Duration = Duration::from_micros(200);
/// How long it is offered again at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the counted memory is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What is to be published: `name=value` with the names of the fields.
#[derive(Debug)]
pub struct Order {
    /// The nth publication goes to the nth of them, again and again.
    pub rooms: Vec<String>,
    pub count: u64,
    /// Publications of one step, under one cork, and microseconds from step to step.
    pub at_once: u64,
    pub step_us: u64,
    /// Milliseconds after which it ends whatever is left; 0 for never.
    pub within_ms: u64,
    pub bytes: usize,
    /// The keys of a room take turns, in the order of its numbers; 0 for none.
    pub keys: u64,
    /// So do the groups that publications are tagged with, of the whole order; 0 for one that
    /// nobody asks for.
    pub groups: u64,
    /// What is refused is offered until it is taken.
    pub again: bool,
}

impl Order {
    pub fn from(words: &str) -> Result<Order, Box<dyn Error>> {
        let mut order = Order {
            rooms: Vec::new(),
            count: 0,
            at_once: 1,
            step_us: 0,
            within_ms: 0,
            bytes: 64,
            keys: 0,
            groups: 0,
            again: false,
        };
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=').ok_or("name=value")?;
            match name {
                "rooms" => order.rooms = value.split(',').map(String::from).collect(),
                "count" => order.count = value.parse()?,
                "at_once" => order.at_once = value.parse()?,
                "step_us" => order.step_us = value.parse()?,
                "within_ms" => order.within_ms = value.parse()?,
                "bytes" => order.bytes = value.parse()?,
                "keys" => order.keys = value.parse()?,
                "groups" => order.groups = value.parse()?,
                "again" => order.again = value == "1",
                _ => return Err(format!("an order has no {name}").into()),
            }
        }
        let has_place = order.bytes >= ledger::PAYLOAD_BYTES_MIN;
        match !order.rooms.is_empty() && order.at_once > 0 && has_place {
            true => Ok(order),
            false => Err("an order names rooms and has room for numbers".into()),
        }
    }
}

/// A room that exists as long as the server.
struct Held {
    room: Room,
    /// The number of the newest publication.
    number: u64,
}

pub struct Publisher<'a> {
    engine: &'a Engine,
    rooms: HashMap<String, Held>,
    /// Texts of keys and groups.
    texts: Vec<String>,
    /// The most that the budget's figure has shown.
    pub memory_most: u64,
}

impl<'a> Publisher<'a> {
    pub fn new(engine: &'a Engine) -> Self {
        Publisher {
            engine,
            rooms: HashMap::new(),
            texts: (0..1_000).map(|n| n.to_string()).collect(),
            memory_most: 0,
        }
    }

    /// `room=number` of all rooms that were published to.
    pub fn numbers(&self) -> String {
        let rooms = self.rooms.iter();
        let rooms = rooms.map(|(name, held)| format!("{name}={}", held.number));
        rooms.collect::<Vec<_>>().join(" ")
    }

    /// Gives back `name=value` of what became of it.
    pub fn publish(&mut self, order: &Order) -> Result<String, Box<dyn Error>> {
        for name in &order.rooms {
            if !self.rooms.contains_key(name) {
                let room = self.engine.room(name)?;
                self.rooms.insert(name.clone(), Held { room, number: 0 });
            }
        }
        let mut payload = vec![b'x'; order.bytes];
        let (begun, mut look) = (Instant::now(), Duration::ZERO);
        let until = match order.within_ms {
            0 => Duration::MAX,
            ms => Duration::from_millis(ms),
        };
        let (mut offered, mut taken, mut steps) = (0, 0, 0);
        let mut late = Duration::ZERO;
        while offered < order.count {
            let due = Duration::from_micros(order.step_us * steps);
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            let now = begun.elapsed();
            if now >= until {
                break;
            }
            late = late.max(now.saturating_sub(due));
            if now >= look {
                look = now + LOOK;
                self.memory_most = self.memory_most.max(self.engine.snapshot().memory_bytes);
            }
            steps += 1;
            let end = order.count.min(offered + order.at_once);
            taken += self.step(order, offered..end, &mut payload)?;
            offered = end;
        }
        let (elapsed_ns, late_us) = (begun.elapsed().as_nanos(), late.as_micros());
        Ok(format!(
            "offered={offered} taken={taken} elapsed_ns={elapsed_ns} late_us={late_us}"
        ))
    }

    /// Offers these of the order together; gives back how many were taken.
    fn step(
        &mut self,
        order: &Order,
        nths: Range<u64>,
        payload: &mut [u8],
    ) -> Result<u64, Box<dyn Error>> {
        let mut taken = 0;
        // For one alone there is nothing to hold back, and a shard dozes where corks are in use.
        let mut cork = (order.at_once > 1).then(|| self.engine.cork());
        for nth in nths {
            let mut is_taken = self.offer(order, nth, payload)?;
            let begun = (order.again && !is_taken).then(Instant::now);
            while let Some(begun) = begun
                && !is_taken
            {
                if begun.elapsed() > PATIENCE {
                    return Err("a publication is refused without an end".into());
                }
                cork = None;
                std::thread::sleep(AGAIN);
                is_taken = self.offer(order, nth, payload)?;
            }
            taken += u64::from(is_taken);
        }
        drop(cork);
        Ok(taken)
    }

    /// False when there was no place for it.
    fn offer(
        &mut self,
        order: &Order,
        nth: u64,
        payload: &mut [u8],
    ) -> Result<bool, Box<dyn Error>> {
        let name = &order.rooms[(nth % order.rooms.len() as u64) as usize];
        let held = self
            .rooms
            .get_mut(name)
            .ok_or("it is held from the start")?;
        let number = held.number + 1;
        let group = nth.checked_rem(order.groups);
        let key = held.number.checked_rem(order.keys);
        let about = group.or(key).unwrap_or(0);
        ledger::fill(payload, about as u32, number, now_ns());
        let group = group.map_or("none", |group| &self.texts[group as usize]);
        let tags = [("group", group)];
        let mut publication = Publication::binary(payload).tags(&tags);
        if let Some(key) = key {
            publication = publication.key(&self.texts[key as usize]);
        }
        match held.room.publish(publication) {
            Ok(published) => {
                // A held room is numbered while it is empty, too.
                if published.offset != Some(number) {
                    return Err(format!("{name}: {number} was numbered {published:?}").into());
                }
                held.number = number;
                Ok(true)
            }
            Err(Refused::Behind | Refused::Overloaded) => Ok(false),
            Err(refused) => Err(refused.into()),
        }
    }
}
