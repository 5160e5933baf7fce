//! Overload: three times what the server can take, for half a minute, with little memory.
//!
//! Rooms of every policy, one of which conflates, and in each some members that do not read. First
//! the capacity is found, by what a publication costs while everybody gets everything. Then three
//! times as many are offered, and what is refused is dropped. At the end everybody reads: each
//! publication and member is accounted for, and the ladder has been left. Generator thread.

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use crate::figure::{Outcome, Unit};
use crate::plan::Plan;
use crate::process::Figures;
use crate::readers::End;
use crate::scene::{Notice, Scene, Stage};

const SKIP_ROOMS: usize = 4;
/// Rooms, by what is expected of their members.
const ROOMS: [&str; SKIP_ROOMS + 3] = [
    "skip:0",
    "skip:1",
    "skip:2",
    "skip:3",
    "ticker:0",
    "kick:0",
    "volatile:0",
];
const OPTIONS: [&str; 4] = [
    "skip:=skip",
    "ticker:=100,conflate,latest",
    "kick:=disconnect",
    "volatile:=volatile",
];
/// Members of each room that do not read.
const STOPPED: usize = 3;
const RECEIVE_BYTES: usize = 64 * 1024;
const TAPE_BYTES_MAX: u64 = 8 << 20;
const MEMORY_BYTES_MAX: u64 = 32 << 20;
const BYTES: usize = 256;
const KEYS: u64 = 1_000;
/// Publications at a time to each room, to find the capacity.
const CALIBRATION: u64 = 100;
/// Of the capacity.
const OFFERED: u64 = 3;
const OFFERED_MIN: f64 = 2.9;
const TOO_SLOW: u16 = 4008;
const LIMITS: [(&str, u64); 4] = [
    ("tape_bytes_max", TAPE_BYTES_MAX),
    ("publication_bytes_max", 64 << 10),
    ("memory_bytes_max", MEMORY_BYTES_MAX),
    // Who is thrown out reads so much later why.
    ("close_timeout_ms", 600_000),
];
/// What is 0 when the ladder has been left.
const GAUGES: [&str; 6] = [
    "memory_widen",
    "memory_volatile_off",
    "memory_short_tapes",
    "memory_no_connections",
    "memory_full",
    "interval_steps",
];

/// What the engine says of it, reported.
const FIGURES: [(&str, &str); 6] = [
    ("rungs of the ladder entered", "memory_rungs_entered"),
    ("steps by which intervals widened", "intervals_widened"),
    ("publications missed, as the host was told", "lagged"),
    ("publications conflated", "conflated"),
    (
        "publications that volatile members lack",
        "volatile_dropped",
    ),
    ("connections thrown out", "too_slow"),
];

pub fn run(plan: &Plan, _: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let of_room = plan.of(100, 20);
    let room_of = |nth: usize| ROOMS[nth / of_room];
    let mut scene = Scene::open(Stage {
        limits: &LIMITS,
        rooms: &OPTIONS,
        paths: (0..ROOMS.len() * of_room)
            .map(|nth| format!("/{}/{nth}/all", room_of(nth)))
            .collect(),
        receive_bytes: Some(RECEIVE_BYTES),
        keys: KEYS as usize,
    })?;
    let mut outcome = Outcome::new("overload");
    let rss = scene.memory()?;
    let started = scene.figures()?;
    let capacity = capacity(plan, &mut scene, of_room)?;
    scene.rss_most = rss;
    let before = scene.figures()?;
    let stopped = (0..ROOMS.len()).flat_map(|room| room * of_room..room * of_room + STOPPED);
    let stopped: Vec<usize> = stopped.collect();
    stopped
        .iter()
        .try_for_each(|&nth| scene.readers.stop(nth))?;
    let clocks = scene.clocks()?;
    let ms = (plan.overload * 1_000.0) as u64;
    let at_once = (OFFERED * capacity / 1_000).max(1);
    let published = scene.ask(&format!(
        "publish rooms={} count={} at_once={at_once} step_us=1000 bytes={BYTES} keys={KEYS} \
         within_ms={}",
        ROOMS.join(","),
        at_once * ms,
        ms + 1_000
    ))?;
    outcome.busy = scene.busy(&clocks)?;
    let peak = scene.figures()?;
    stopped
        .iter()
        .try_for_each(|&nth| scene.readers.resume(nth))?;
    let is_left = scene.until_figures(|now| GAUGES.iter().all(|name| now.of(name) == 0))?;
    outcome.fault_if(!is_left, || "the ladder was not left".into());
    finish(&mut scene, of_room, &mut outcome)?;
    let after = scene.figures()?;
    let refused = published.of("offered") - published.of("taken");
    let counted = peak.since(&before, "refused");
    outcome.fault_if(refused != counted, || {
        format!("{refused} refused, {counted} counted")
    });
    let entered = after.since(&before, "memory_rungs_entered");
    outcome.fault_if(entered == 0, || "the ladder was not entered".into());
    outcome.fault_if(after.of("errors") > 0, || "something failed inside".into());
    account(&mut scene, of_room, &started, &mut outcome)?;
    let seconds = published.of("elapsed_ns") as f64 / 1e9;
    let offered = published.of("offered") as f64 / seconds / capacity as f64;
    outcome.least(
        "publications offered, to capacity",
        Unit::Ratio,
        OFFERED_MIN,
        offered,
    );
    outcome.tell(
        "capacity, publications a second",
        Unit::Count,
        capacity as f64,
    );
    let share = refused as f64 / published.of("offered") as f64;
    outcome.tell("publications refused, of those offered", Unit::Share, share);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (most, growth) = (mib(MEMORY_BYTES_MAX), scene.rss_most.saturating_sub(rss));
    outcome.most(
        "counted memory",
        Unit::Mib,
        most,
        mib(peak.of("memory_most")),
    );
    outcome.most("RSS growth", Unit::Mib, most, mib(growth));
    for (name, figure) in FIGURES {
        outcome.tell(name, Unit::Count, after.since(&before, figure) as f64);
    }
    outcome.faults.append(&mut scene.ledger.faults);
    Ok(vec![outcome])
}

/// Publications a second with which the server's core would be busy all of the time, and of which
/// everybody who reads gets everything: from what each costs in rooms without an interval.
fn capacity(plan: &Plan, scene: &mut Scene, of_room: usize) -> Result<u64, Box<dyn Error>> {
    let mut rate = 0;
    let rooms = &ROOMS[..SKIP_ROOMS];
    let count = CALIBRATION * SKIP_ROOMS as u64;
    // The second time counts, on warm tables.
    for rounds in [10, plan.of(100, 20)] {
        let before = scene.figures()?;
        for _ in 0..rounds {
            scene.ask(&format!(
                "publish rooms={} count={count} at_once={count} bytes={BYTES} keys={KEYS} again=1",
                rooms.join(",")
            ))?;
            let numbers = scene.ask("numbers")?;
            let all_came = scene.until(|scene| {
                let mut readers = scene.ledger.readers[..SKIP_ROOMS * of_room].iter();
                readers.all(|heard| heard.last == numbers.of(rooms[0]))
            })?;
            if !all_came {
                return Err("somebody has not the last publication".into());
            }
        }
        let spent_ns = scene.figures()?.since(&before, "process_ns");
        rate = rounds * count * 1_000_000_000 / spent_ns;
    }
    // The other rooms have begun, too.
    scene.ask(&format!(
        "publish rooms={} count={} bytes={BYTES} keys={KEYS} again=1",
        ROOMS[SKIP_ROOMS..].join(","),
        ROOMS.len() - SKIP_ROOMS
    ))?;
    scene.pass(Duration::from_millis(300))?;
    Ok(rate)
}

/// One publication more to each room, behind which nothing is on its way to anybody.
fn finish(scene: &mut Scene, of_room: usize, outcome: &mut Outcome) -> Result<(), Box<dyn Error>> {
    scene.pass(Duration::from_secs(1))?;
    scene.ask(&format!(
        "publish rooms={} count={} bytes={BYTES} keys={KEYS} again=1",
        ROOMS.join(","),
        ROOMS.len()
    ))?;
    let numbers = scene.ask("numbers")?;
    let all_came = scene.until(|scene| {
        let mut readers = scene.ledger.readers.iter().enumerate();
        readers.all(|(nth, heard)| {
            let last = numbers.of(ROOMS[nth / of_room]);
            heard.last == last || scene.readers.end(nth).is_some()
        })
    })?;
    outcome.fault_if(!all_came, || "somebody has not the last publication".into());
    Ok(())
}

/// Each publication that was taken and each member: got it, or a notice, a figure or the end of the
/// connection says why not.
fn account(
    scene: &mut Scene,
    of_room: usize,
    started: &Figures,
    outcome: &mut Outcome,
) -> Result<(), Box<dyn Error>> {
    let numbers = scene.ask("numbers")?;
    let after = scene.figures()?;
    let notices = scene.notices()?;
    let mut told = vec![Vec::new(); scene.ledger.readers.len()];
    notices
        .iter()
        .for_each(|notice| told[notice.reader].push(notice));
    let conflated = after.since(started, "conflated");
    let (mut dropped, mut closed) = (0, 0);
    for (nth, told) in told.iter().enumerate() {
        let (room, heard) = (ROOMS[nth / of_room], &scene.ledger.readers[nth]);
        let missing = numbers.of(room) - heard.frames;
        let missed: u64 = told.iter().map(|notice| notice.count).sum();
        let end = scene.readers.end(nth);
        outcome.fault_if(end.is_some() && !room.starts_with("kick"), || {
            format!("{room}: member {nth} was closed: {end:?}")
        });
        match room.split(':').next() {
            Some("skip") => {
                spanned(outcome, room, nth, &heard.gaps, told);
                balanced(outcome, room, nth, missing, missed);
            }
            Some("ticker") => balanced(outcome, room, nth, missing, missed + conflated),
            Some("kick") => {
                closed += u64::from(end.is_some());
                let is_right = match end {
                    Some(End::Closed(TOO_SLOW)) => heard.gaps.is_empty(),
                    Some(_) => false,
                    None => missing == 0,
                };
                outcome.fault_if(!is_right, || {
                    format!("{room}: member {nth} lacks {missing}, and ended {end:?}")
                });
            }
            _ => dropped += missing,
        }
    }
    let counted = after.since(started, "volatile_dropped");
    outcome.fault_if(dropped != counted, || {
        format!("volatile members lack {dropped}, {counted} were counted")
    });
    let counted = after.since(started, "too_slow");
    outcome.fault_if(closed != counted, || {
        format!("{closed} connections were closed as too slow, {counted} counted")
    });
    Ok(())
}

fn balanced(outcome: &mut Outcome, room: &str, nth: usize, missing: u64, told: u64) {
    outcome.fault_if(missing != told, || {
        format!("{room}: member {nth} lacks {missing}, accounted for are {told}")
    });
}

/// Every run of numbers that did not come lies in what notices span.
fn spanned(
    outcome: &mut Outcome,
    room: &str,
    nth: usize,
    gaps: &[(u64, u64)],
    notices: &[&Notice],
) {
    let spans = notices.iter().map(|notice| notice.first..notice.last + 1);
    let spans: Vec<Range<u64>> = spans.collect();
    let is_spanned = |at: &u64| spans.iter().any(|span| span.contains(at));
    let lost = gaps
        .iter()
        .find(|(first, last)| !is_spanned(first) || !is_spanned(last));
    outcome.fault_if(lost.is_some(), || {
        format!("{room}: member {nth} lacks {lost:?}, which no notice spans")
    });
}
