//! Batching: 60 messages a second to each of 1,000 members, with a flush interval and without.
//!
//! Two rooms of as many members each, one with an interval of 100 ms; they take turns. The CPU of
//! the server's process is compared, its publisher included. Generator thread.

use std::error::Error;

use crate::figure::{Outcome, Unit};
use crate::plan::Plan;
use crate::process::Figures;
use crate::scene::{Scene, Stage};

const RATE: u64 = 60;
const RATIO_MAX: f64 = 0.25;

#[derive(Default)]
struct Sum {
    process_ns: u64,
    writes: u64,
    deliveries: u64,
}

impl Sum {
    fn add(&mut self, before: &Figures, after: &Figures) {
        self.process_ns += after.since(before, "process_ns");
        self.writes += after.since(before, "writes");
        self.deliveries += after.since(before, "deliveries");
    }

    fn delivery_ns(&self) -> f64 {
        self.process_ns as f64 / self.deliveries as f64
    }

    fn joined(&self) -> f64 {
        self.deliveries as f64 / self.writes as f64
    }
}

pub fn run(plan: &Plan, run: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let members = plan.of(1_000, 100);
    let (slices, seconds) = plan.of((4, 2), (1, 1));
    let room = |nth: usize| {
        if nth < members {
            "soon:hall"
        } else {
            "now:hall"
        }
    };
    let mut scene = Scene::open(Stage {
        limits: &[],
        rooms: &["soon:=100"],
        paths: (0..2 * members)
            .map(|n| format!("/{}/{n}/all", room(n)))
            .collect(),
        receive_bytes: None,
        keys: 0,
    })?;
    let count = RATE * seconds;
    let _ = slice(&mut scene, "soon:hall", 0..members, RATE)?;
    let _ = slice(&mut scene, "now:hall", members..2 * members, RATE)?;
    let clocks = scene.clocks()?;
    let (mut soon, mut now) = (Sum::default(), Sum::default());
    for nth in 0..2 * slices {
        let (sum, room, readers) = match [0, 3].contains(&((nth + 2 * run) % 4)) {
            true => (&mut soon, "soon:hall", 0..members),
            false => (&mut now, "now:hall", members..2 * members),
        };
        let (before, after) = slice(&mut scene, room, readers, count)?;
        sum.add(&before, &after);
    }
    let mut outcome = Outcome::new("batching");
    outcome.busy = scene.busy(&clocks)?;
    let expected = count * (members * slices) as u64;
    let came = [&soon, &now].map(|sum| sum.deliveries);
    outcome.fault_if(came != [expected; 2], || {
        format!("{came:?} deliveries, not {expected}")
    });
    let ratio = soon.delivery_ns() / now.delivery_ns();
    outcome.most("CPU, 100 ms to no interval", Unit::Ratio, RATIO_MAX, ratio);
    outcome.tell(
        "CPU per delivery, no interval",
        Unit::Nanoseconds,
        now.delivery_ns(),
    );
    outcome.tell("frames per write, 100 ms", Unit::Ratio, soon.joined());
    outcome.tell("frames per write, no interval", Unit::Ratio, now.joined());
    outcome.faults.append(&mut scene.ledger.faults);
    Ok(vec![outcome])
}

/// So many publications to one of the rooms, until everybody has them.
fn slice(
    scene: &mut Scene,
    room: &str,
    readers: std::ops::Range<usize>,
    count: u64,
) -> Result<(Figures, Figures), Box<dyn Error>> {
    scene.ledger.begin();
    let before = scene.figures()?;
    let step_us = 1_000_000 / RATE;
    scene.ask(&format!(
        "publish rooms={room} count={count} step_us={step_us}"
    ))?;
    let all_came = scene.until(|scene| {
        let mut readers = scene.ledger.readers[readers.clone()].iter();
        readers.all(|heard| heard.frames >= count)
    })?;
    if !all_came || scene.ledger.frames(readers.clone()) != count * readers.len() as u64 {
        return Err(format!("{room}: members got too few publications, or too many").into());
    }
    Ok((before, scene.figures()?))
}
