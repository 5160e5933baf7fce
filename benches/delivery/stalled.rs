//! Stalled: some members read nothing for a minute; what the others notice, what it costs, and what
//! the host is told, for each policy.
//!
//! Ten rooms of a hundred; one member of each stops. Publications of 4 KiB (of more where the stall
//! is shorter than a minute) come evenly, to the rooms in turn: 5,000 deliveries a second. The
//! others' latency is held against the same members' before and behind, in the same run. When the
//! stopped ones read again, what they have not got is held against the notices. Generator thread,
//! which looks at its sockets all the time.

use std::error::Error;
use std::time::Duration;

use crate::figure::{Outcome, Unit, quantile};
use crate::plan::Plan;
use crate::process::Figures;
use crate::readers::End;
use crate::scene::{Notice, Scene, Stage};

const POLICIES: [(&str, &str); 4] = [
    ("stalled, disconnect", "hall:=disconnect"),
    ("stalled, skip", "hall:=skip"),
    ("stalled, latest", "hall:=latest"),
    ("stalled, volatile", "hall:=volatile"),
];
const ROOMS: usize = 10;
/// Deliveries a second.
const RATE: u64 = 5_000;
const KEYS: u64 = 8;
/// What a stopped member does not read, at least: much more than its kernel and its tape take.
const STALLED_BYTES: u64 = 1_200_000;
const BYTES_MIN: u64 = 4_096;
/// What the kernel may keep for a member that does not read, about.
const RECEIVE_BYTES: usize = 16 * 1024;
const MEMORY_BYTES_MAX: u64 = 8 << 20;
const LIMITS: [(&str, u64); 7] = [
    ("tape_bytes_max", 256 << 10),
    ("publication_bytes_max", 64 << 10),
    ("room_ahead_bytes_max", 128 << 10),
    ("outbox_bytes_max", 256 << 10),
    ("outbox_high_bytes", 128 << 10),
    ("memory_bytes_max", MEMORY_BYTES_MAX),
    // Who is thrown out reads so much later why.
    ("close_timeout_ms", 600_000),
];
/// Undisturbed, before and behind, as a part of the stall; seconds at most.
const UNDISTURBED_PART: f64 = 0.5;
const UNDISTURBED_MAX: f64 = 15.0;
const LATENCY_RATIO_MAX: f64 = 1.25;

const TOO_SLOW: u16 = 4008;

pub fn run(plan: &Plan, run: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let mut outcomes = Vec::new();
    for nth in 0..POLICIES.len() {
        let (load, options) = POLICIES[(nth + run) % POLICIES.len()];
        outcomes.push(stall(plan, load, options)?);
    }
    // In one order in all runs.
    outcomes.sort_by_key(|outcome| POLICIES.iter().position(|(load, _)| *load == outcome.load));
    Ok(outcomes)
}

/// The nth member's room.
fn room(reader: usize) -> String {
    format!("hall:{}", reader % ROOMS)
}

fn stall(plan: &Plan, load: &'static str, options: &str) -> Result<Outcome, Box<dyn Error>> {
    let members = plan.of(1_000, 100);
    let mut scene = Scene::open(Stage {
        limits: &LIMITS,
        rooms: &[options],
        paths: (0..members)
            .map(|n| format!("/{}/{n}/all", room(n)))
            .collect(),
        receive_bytes: Some(RECEIVE_BYTES),
        keys: KEYS as usize,
    })?;
    for heard in &mut scene.ledger.readers[..ROOMS] {
        heard.is_timed = false;
    }
    scene.is_awake = true;
    let undisturbed = (plan.stall * UNDISTURBED_PART).min(UNDISTURBED_MAX);
    let mut outcome = Outcome::new(load);
    let each = (plan.stall * RATE as f64) as u64 / members as u64;
    let crowd = Crowd {
        members,
        bytes: (STALLED_BYTES / each.max(1)).max(BYTES_MIN),
    };
    let before = scene.figures()?;
    publish(&mut scene, &crowd, 1.0)?;
    let mut calm = timed(&mut scene, &crowd, undisturbed)?;
    let (rss, clocks) = (scene.memory()?, scene.clocks()?);
    scene.rss_most = rss;
    (0..ROOMS).try_for_each(|nth| scene.readers.stop(nth))?;
    let mut disturbed = timed(&mut scene, &crowd, plan.stall)?;
    outcome.busy = scene.busy(&clocks)?;
    let growth = scene.rss_most.saturating_sub(rss);
    let counted = scene.figures()?.of("memory_most");
    (0..ROOMS).try_for_each(|nth| scene.readers.resume(nth))?;
    scene.pass(Duration::from_secs(1))?;
    calm.append(&mut timed(&mut scene, &crowd, undisturbed)?);
    settle(&mut scene, &mut outcome, &before)?;
    let [calm, disturbed] = [&mut calm, &mut disturbed].map(|all| quantile(all, 0.99) as f64);
    outcome.most(
        "p99 of the others, to undisturbed",
        Unit::Ratio,
        LATENCY_RATIO_MAX,
        disturbed / calm,
    );
    outcome.tell("p99 undisturbed", Unit::Milliseconds, calm / 1e6);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    outcome.most(
        "RSS growth, to memory_bytes_max",
        Unit::Mib,
        mib(MEMORY_BYTES_MAX),
        mib(growth),
    );
    outcome.most(
        "counted memory",
        Unit::Mib,
        mib(MEMORY_BYTES_MAX),
        mib(counted),
    );
    outcome.faults.append(&mut scene.ledger.faults);
    Ok(outcome)
}

/// How many there are, and how large a publication to them is.
struct Crowd {
    members: usize,
    bytes: u64,
}

/// Publishes for so long.
fn publish(scene: &mut Scene, crowd: &Crowd, seconds: f64) -> Result<Figures, Box<dyn Error>> {
    let rooms: Vec<String> = (0..ROOMS).map(room).collect();
    let of_room = (crowd.members / ROOMS) as u64;
    let step_us = 1_000_000 * of_room / RATE;
    let count = (seconds * RATE as f64) as u64 / of_room / ROOMS as u64 * ROOMS as u64;
    scene.ask(&format!(
        "publish rooms={} count={count} step_us={step_us} bytes={} keys={KEYS}",
        rooms.join(","),
        crowd.bytes
    ))
}

/// The same, and how long it took to those who read.
fn timed(scene: &mut Scene, crowd: &Crowd, seconds: f64) -> Result<Vec<u64>, Box<dyn Error>> {
    scene.ledger.latencies.clear();
    scene.ledger.is_timing = true;
    publish(scene, crowd, seconds)?;
    scene.pass(Duration::from_millis(200))?;
    scene.ledger.is_timing = false;
    Ok(std::mem::take(&mut scene.ledger.latencies))
}

/// All read again: what has not come is held against what the host was told.
fn settle(
    scene: &mut Scene,
    outcome: &mut Outcome,
    before: &Figures,
) -> Result<(), Box<dyn Error>> {
    let numbers = scene.ask("numbers")?;
    let all_came = scene.until(|scene| {
        let mut readers = scene.ledger.readers.iter().enumerate();
        readers.all(|(nth, heard)| {
            heard.last == numbers.of(&room(nth)) || scene.readers.end(nth).is_some()
        })
    })?;
    outcome.fault_if(!all_came, || "somebody has not the last publication".into());
    let after = scene.figures()?;
    let notices = scene.notices()?;
    let readers = scene.ledger.readers.len();
    let missing =
        |scene: &Scene, nth: usize| numbers.of(&room(nth)) - scene.ledger.readers[nth].frames;
    let others: u64 = (ROOMS..readers).map(|nth| missing(scene, nth)).sum();
    let stopped: u64 = (0..ROOMS).map(|nth| missing(scene, nth)).sum();
    outcome.fault_if(stopped == 0, || "the stall was too short to be felt".into());
    let figure = |name| after.since(before, name);
    let ended = (0..readers).filter(|&nth| scene.readers.end(nth).is_some());
    let ended: Vec<usize> = ended.collect();
    outcome.most(
        "publications that the others lack",
        Unit::Count,
        0.0,
        others as f64,
    );
    let is_told = outcome.load == "stalled, skip" || outcome.load == "stalled, latest";
    outcome.fault_if(!notices.is_empty() && !is_told, || "somebody lagged".into());
    if outcome.load == "stalled, disconnect" {
        thrown_out(scene, outcome, &ended);
        let counted = [figure("too_slow"), figure("told_too_slow")];
        outcome.fault_if(counted != [ended.len() as u64; 2], || {
            let ended = ended.len();
            format!("{ended} ended, by the figures and the host {counted:?}")
        });
    } else {
        outcome.fault_if(!ended.is_empty(), || format!("connections {ended:?} ended"));
        let counted = figure("lagged") + figure("volatile_dropped");
        outcome.fault_if(counted != stopped + others, || {
            format!("{stopped} and {others} did not come, {counted} were counted")
        });
    }
    for nth in (0..readers).filter(|_| is_told) {
        let mine = notices.iter().filter(|notice| notice.reader == nth);
        let mine: Vec<&Notice> = mine.collect();
        judge(scene, outcome, nth, missing(scene, nth), &mine);
    }
    outcome.tell(
        "publications that the stopped did not get, each",
        Unit::Count,
        stopped as f64 / ROOMS as f64,
    );
    Ok(())
}

/// The stopped ones were closed as too slow, as was whoever else ended, and each behind an unbroken
/// row of publications.
fn thrown_out(scene: &Scene, outcome: &mut Outcome, ended: &[usize]) {
    let is_told = |nth: &usize| scene.readers.end(*nth) == Some(End::Closed(TOO_SLOW));
    let told = ended.iter().filter(|nth| is_told(nth)).count();
    let stopped = ended.iter().filter(|nth| **nth < ROOMS).count();
    outcome.fault_if(told != ended.len() || stopped != ROOMS, || {
        let ended = ended.len();
        format!("{ended} ended, {told} with 4008, {stopped} of {ROOMS} that were stopped")
    });
    let mut readers = scene.ledger.readers.iter();
    outcome.fault_if(readers.any(|heard| !heard.gaps.is_empty()), || {
        "somebody missed publications and was not closed at once".into()
    });
}

/// What one reader has not got is what the notices say, to the last one.
fn judge(scene: &Scene, outcome: &mut Outcome, nth: usize, missing: u64, notices: &[&Notice]) {
    let heard = &scene.ledger.readers[nth];
    let told: u64 = notices.iter().map(|notice| notice.count).sum();
    outcome.fault_if(told != missing, || {
        format!("reader {nth} did not get {missing}, the host was told {told}")
    });
    let is_within = |number: u64| {
        let mut notices = notices.iter();
        notices.any(|notice| (notice.first..=notice.last).contains(&number))
    };
    let mut numbers = heard.gaps.iter().flat_map(|(first, last)| *first..=*last);
    let lost = numbers.find(|number| !is_within(*number));
    outcome.fault_if(lost.is_some() && heard.knows_gaps(), || {
        format!("reader {nth} did not get {lost:?}, which no notice spans")
    });
    let is_latest = outcome.load == "stalled, latest";
    let is_old = notices.iter().all(|notice| notice.replaced);
    let newest = newest(scene, nth);
    let is_stale = is_latest && is_old && heard.newest != newest;
    outcome.fault_if(is_stale, || {
        format!("reader {nth} has not the newest of each key")
    });
}

/// The newest number of each key in the room of this member: what anybody there has got.
fn newest(scene: &Scene, nth: usize) -> Vec<u64> {
    let mut newest = vec![0; KEYS as usize];
    for heard in scene.ledger.readers.iter().skip(nth % ROOMS).step_by(ROOMS) {
        for (most, number) in newest.iter_mut().zip(&heard.newest) {
            *most = (*most).max(*number);
        }
    }
    newest
}
