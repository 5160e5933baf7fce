//! Ticker: 1,000 tickers to 200 readers, of each the newest value ten times a second.
//!
//! One room with a flush interval of 100 ms, conflation and the policy `latest`. Updates come
//! evenly: each millisecond some tickers have one, in turn, so that each ticker has exactly 2 (or
//! 20) in an interval, and 1 in 2 (or in 20) is to be sent. Generator thread.

use std::error::Error;

use crate::figure::{Outcome, Unit};
use crate::plan::Plan;
use crate::scene::{Scene, Stage};

const TICKERS: u64 = 1_000;
const INTERVAL_MS: u64 = 100;
const WRITES_MAX: f64 = 1.1;
/// Of the offered rate, that the publisher has to come to beside the shard on its core.
const PACE_MIN: f64 = 0.99;

pub fn run(plan: &Plan, _: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let slow = at(plan, "ticker, 20/s", 20, 0.55)?;
    let fast = at(plan, "ticker, 200/s", 200, 0.06)?;
    Ok(vec![slow, fast])
}

/// So many updates a second of each ticker; at most a share of them may be sent.
fn at(
    plan: &Plan,
    load: &'static str,
    rate: u64,
    share_max: f64,
) -> Result<Outcome, Box<dyn Error>> {
    let readers = plan.of(200, 20);
    let mut scene = Scene::open(Stage {
        limits: &[],
        rooms: &["ticker:=100,conflate,latest"],
        paths: (0..readers)
            .map(|n| format!("/ticker:all/{n}/all"))
            .collect(),
        receive_bytes: None,
        keys: TICKERS as usize,
    })?;
    let mut outcome = Outcome::new(load);
    // The first interval has the tables grow.
    scene.ask("publish rooms=ticker:all count=1000 keys=1000 at_once=1000")?;
    scene.until(|scene| {
        scene
            .ledger
            .readers
            .iter()
            .all(|heard| heard.last == TICKERS)
    })?;
    scene.ledger.begin();
    let (before, clocks) = (scene.figures()?, scene.clocks()?);
    let at_once = TICKERS * rate / 1_000;
    let count = TICKERS * rate * plan.of(8, 1);
    let published = scene.ask(&format!(
        "publish rooms=ticker:all count={count} keys={TICKERS} at_once={at_once} step_us=1000 \
         bytes=24 again=1"
    ))?;
    let last = TICKERS + count;
    let all_have = scene.until(|scene| {
        let mut readers = scene.ledger.readers.iter();
        readers.all(|heard| heard.last == last)
    })?;
    let after = scene.figures()?;
    outcome.busy = scene.busy(&clocks)?;
    outcome.fault_if(!all_have, || "somebody has not the last update".into());
    let stale = stale(&scene, last);
    outcome.fault_if(stale > 0, || {
        format!("{stale} readers ended with old values")
    });
    let came = scene.ledger.frames(0..readers);
    let counted = after.since(&before, "deliveries");
    outcome.fault_if(came != counted, || {
        format!("{came} frames came, {counted} were counted")
    });
    let lagged = after.since(&before, "lagged");
    let left = count - after.since(&before, "conflated");
    outcome.fault_if(came + lagged != left * readers as u64, || {
        format!("{came} frames came and {lagged} were missed, of {left} updates not conflated")
    });
    let offered = (count * readers as u64) as f64;
    let elapsed_ns = published.of("elapsed_ns") as f64;
    let seconds = count as f64 / (TICKERS * rate) as f64;
    // The first and the last of them are intervals in part.
    let intervals = (elapsed_ns / 1e6 / INTERVAL_MS as f64).ceil() + 1.0;
    let writes = after.since(&before, "writes") as f64 / readers as f64 / intervals;
    outcome.most(
        "frames delivered to updates offered",
        Unit::Share,
        share_max,
        came as f64 / offered,
    );
    outcome.most(
        "writes for each reader and interval",
        Unit::Ratio,
        WRITES_MAX,
        writes,
    );
    let pace = seconds * 1e9 / elapsed_ns;
    outcome.least(
        "pace of the updates, to what is asked for",
        Unit::Ratio,
        PACE_MIN,
        pace,
    );
    outcome.most(
        "cores that the server used, publisher included",
        Unit::Ratio,
        1.0,
        outcome.busy.server,
    );
    let publisher = after.since(&before, "publisher_ns") as f64 / elapsed_ns;
    outcome.tell("of these the publisher", Unit::Ratio, publisher);
    outcome.most(
        "updates missed, though everybody reads",
        Unit::Count,
        0.0,
        lagged as f64,
    );
    outcome.faults.append(&mut scene.ledger.faults);
    Ok(outcome)
}

/// Readers that have not the last update of each ticker: it is in the last round of all of them.
fn stale(scene: &Scene, last: u64) -> usize {
    let newest: Vec<u64> = (1..=TICKERS).map(|nth| last - TICKERS + nth).collect();
    let readers = scene.ledger.readers.iter();
    readers.filter(|heard| heard.newest != newest).count()
}
