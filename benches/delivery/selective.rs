//! Selective: a room whose members have filters, beside one whose members have none.
//!
//! Ten distinct filters (`tags.group == "N"`), each of a tenth of the members, match a tenth of the
//! publications each. 160 publications at a time are 16 for each group, against 16 at a time to
//! everybody: deliveries and frames of each write are the same, and what differs is the filters'
//! work, the ten tapes, and the 144 publications more that are numbered, routed and decided on.
//! Then publications that nobody wants: what the shard's thread takes for each. Generator thread.

use std::error::Error;

use crate::figure::{Outcome, Unit};
use crate::plan::Plan;
use crate::process::Figures;
use crate::scene::{Scene, Stage};

const FILTERS: usize = 10;
const AT_ONCE: u64 = 16;
/// From burst to burst of either room.
const STEP_US: u64 = 20_000;
/// From burst to burst of those that nobody wants.
const UNWANTED_STEP_US: u64 = 2_000;
const RATIO_MAX: f64 = 1.3;
const UNWANTED_NS_MAX: f64 = 1_000.0;
/// Writes may differ by so much in their frames; else the rooms do not compare.
const JOINED_RATIO_MAX: f64 = 1.1;

/// What one room has taken, over all slices.
#[derive(Default)]
struct Sum {
    process_ns: u64,
    publisher_ns: u64,
    writes: u64,
    deliveries: u64,
}

impl Sum {
    fn add(&mut self, before: &Figures, after: &Figures) {
        self.process_ns += after.since(before, "process_ns");
        self.publisher_ns += after.since(before, "publisher_ns");
        self.writes += after.since(before, "writes");
        self.deliveries += after.since(before, "deliveries");
    }

    fn delivery_ns(&self) -> f64 {
        self.process_ns as f64 / self.deliveries as f64
    }

    fn shard_ns(&self) -> f64 {
        (self.process_ns - self.publisher_ns) as f64
    }

    fn joined(&self) -> f64 {
        self.deliveries as f64 / self.writes as f64
    }
}

pub fn run(plan: &Plan, run: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let members = plan.of(1_000, 100);
    let (slices, bursts) = plan.of((8, 25), (1, 5));
    let mut paths = Vec::new();
    for reader in 0..members {
        paths.push(format!("/picky/{reader}/g{}", reader % FILTERS));
    }
    paths.extend((members..2 * members).map(|reader| format!("/plain/{reader}/all")));
    paths.push(format!("/one/{}/g0", 2 * members));
    paths.push(format!("/lone/{}/all", 2 * members + 1));
    let mut scene = Scene::open(Stage {
        limits: &[("room_ahead_bytes_max", 2 << 20)],
        rooms: &[],
        paths,
        receive_bytes: None,
        keys: 0,
    })?;
    for (reader, heard) in scene.ledger.readers[..members].iter_mut().enumerate() {
        heard.only = Some((reader % FILTERS) as u32);
    }
    let mut outcome = Outcome::new("selective");
    // Once each, unmeasured.
    let _ = slice(&mut scene, true, members, bursts)?;
    let _ = slice(&mut scene, false, members, bursts)?;
    let clocks = scene.clocks()?;
    let (mut picky, mut plain) = (Sum::default(), Sum::default());
    for nth in 0..2 * slices {
        // Forth and back, so that none always follows the same one.
        let is_picky = [0, 3].contains(&((nth + 2 * run) % 4));
        let sum = if is_picky { &mut picky } else { &mut plain };
        let (before, after) = slice(&mut scene, is_picky, members, bursts)?;
        sum.add(&before, &after);
    }
    outcome.busy = scene.busy(&clocks)?;
    let expected = bursts * AT_ONCE * members as u64 * slices as u64;
    let came = [&picky, &plain].map(|sum| sum.deliveries);
    outcome.fault_if(came != [expected; 2], || {
        format!("{came:?} deliveries, not {expected}")
    });
    let joined = picky.joined() / plain.joined();
    let alike = 1.0 / JOINED_RATIO_MAX..=JOINED_RATIO_MAX;
    outcome.fault_if(!plan.smoke && !alike.contains(&joined), || {
        format!("void: frames of a write differ by {joined:.2}")
    });
    use Unit::{Nanoseconds, Ratio};
    let ratio = picky.delivery_ns() / plain.delivery_ns();
    outcome.most(
        "CPU per delivery, filtered to unfiltered",
        Ratio,
        RATIO_MAX,
        ratio,
    );
    outcome.tell(
        "CPU per delivery, unfiltered",
        Nanoseconds,
        plain.delivery_ns(),
    );
    outcome.tell("frames per write, unfiltered", Ratio, plain.joined());
    outcome.tell("frames per write, filtered to unfiltered", Ratio, joined);
    unwanted(plan, &mut scene, &mut outcome)?;
    outcome.faults.append(&mut scene.ledger.faults);
    Ok(vec![outcome])
}

/// Bursts to one of the two rooms, until everybody has them: the figures before and after.
fn slice(
    scene: &mut Scene,
    is_picky: bool,
    members: usize,
    bursts: u64,
) -> Result<(Figures, Figures), Box<dyn Error>> {
    let (room, at_once, from) = match is_picky {
        true => ("picky", AT_ONCE * FILTERS as u64, 0),
        false => ("plain", AT_ONCE, members),
    };
    scene.ledger.begin();
    let before = scene.figures()?;
    let count = bursts * at_once;
    scene.ask(&format!(
        "publish rooms={room} count={count} at_once={at_once} step_us={STEP_US} groups={FILTERS} \
         again=1"
    ))?;
    let each = bursts * AT_ONCE;
    let all_came = scene.until(|scene| {
        let mut readers = scene.ledger.readers[from..from + members].iter();
        readers.all(|heard| heard.frames >= each)
    })?;
    let more = scene.ledger.frames(from..from + members) != each * members as u64;
    if !all_came || more {
        return Err(format!("{room}: members got too few publications, or too many").into());
    }
    Ok((before, scene.figures()?))
}

/// Publications that no filter matches: what the shard and the publisher take for each, beside the
/// same to a room of one filter, and to one of one plain member, whose writes are among it.
fn unwanted(plan: &Plan, scene: &mut Scene, outcome: &mut Outcome) -> Result<(), Box<dyn Error>> {
    let at_once = AT_ONCE * FILTERS as u64;
    let count = at_once * plan.of(500, 20);
    let mut sums = [Sum::default(), Sum::default(), Sum::default()];
    let rooms = ["picky", "one", "lone"];
    for _ in 0..plan.of(2, 1) {
        for (room, sum) in rooms.iter().zip(&mut sums) {
            let before = scene.figures()?;
            scene.ask(&format!(
                "publish rooms={room} count={count} at_once={at_once} step_us={UNWANTED_STEP_US} \
                 again=1"
            ))?;
            let all = before.of("publications") + count;
            scene.until_figures(|figures| figures.of("publications") >= all)?;
            let after = scene.figures()?;
            sum.add(&before, &after);
            let asked = after.since(&before, "filters_asked");
            let filters = [FILTERS as u64, 1, 0][rooms.iter().position(|r| r == room).unwrap_or(0)];
            outcome.fault_if(asked != filters * count, || {
                format!("{room}: filters were asked {asked} times")
            });
        }
    }
    let [picky, one, lone] = sums;
    outcome.fault_if(picky.deliveries + one.deliveries > 0, || {
        "somebody got what nobody wants".into()
    });
    let all = (count * plan.of(2, 1)) as f64;
    let unit = Unit::Nanoseconds;
    outcome.most(
        "shard's CPU per publication that nobody wants, 10 filters",
        unit,
        UNWANTED_NS_MAX,
        picky.shard_ns() / all,
    );
    outcome.tell("the same, 1 filter", unit, one.shard_ns() / all);
    outcome.tell(
        "the same, no filter and 1 member, its writes included",
        unit,
        lone.shard_ns() / all,
    );
    outcome.tell(
        "publisher's CPU per publication that nobody wants",
        unit,
        picky.publisher_ns as f64 / all,
    );
    Ok(())
}
