//! The runs: each load beside the same honest members, interleaved, and each beside none.
//!
//! In: a plan. Out: rows of outcomes, a row a load; the first is undisturbed. Generator thread.

use std::io;
use std::time::{Duration, Instant};

use crate::attack::Attack;
use crate::honest::Honest;
use crate::loads::{self, Load};
use crate::net;
use crate::plan::Plan;
use crate::process::Server;

/// The core that members and attacker share.
const CORE: usize = 1;
/// What the attacker may do between two looks at the honest members.
const STEP: Duration = Duration::from_micros(100);
/// Undisturbed, before anything is measured.
const WARM: Duration = Duration::from_millis(300);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// What a load may make the server's memory grow by.
const GROWTH_MAX: u64 = 64 << 20;
/// Descriptors that are not peers: the server's own, and the members'.
const SPARE: u64 = 2_000;

/// What one run has shown.
pub struct Outcome {
    pub p50_ns: u64,
    pub p99_ns: u64,
    /// The longest that the generator did not look at the honest members, but for one in a hundred.
    pub lag_ns: u64,
    /// The longest turn of the shard.
    pub turn_us: u64,
    /// Of the server's core.
    pub busy: f64,
    /// What else kept the machine busy, in parts of a core.
    pub others: f64,
    pub growth: u64,
    pub counted: u64,
    pub came: u64,
    pub faults: Vec<String>,
}

pub struct Row {
    pub name: &'static str,
    pub what: &'static str,
    pub figure: &'static str,
    pub peers: usize,
    pub outcomes: Vec<Outcome>,
}

pub fn all(plan: &Plan) -> io::Result<Vec<Row>> {
    let files = net::raise_nofile();
    let mut loads = loads::all(plan.run);
    for load in &mut loads {
        if plan.list {
            println!("{:16} {} x {}", load.name, load.peers, load.what);
        }
        let few = load.peers.min(32).max(load.peers / 10);
        let part = if plan.smoke { few } else { load.peers };
        load.peers = part.min(files.saturating_sub(SPARE) as usize);
    }
    loads.retain(|load| plan.wants(load.name));
    let mut rows = vec![row("undisturbed", "", "deliveries", 0)];
    rows.extend(loads.iter().map(|l| row(l.name, l.what, l.figure, l.peers)));
    if plan.list {
        return Ok(rows);
    }
    net::pin(CORE)?;
    for run in 0..plan.runs {
        for (n, row) in rows.iter_mut().enumerate() {
            let load = n.checked_sub(1).map(|n| &loads[n]);
            let outcome = measure(plan, load, run)?;
            tell(row.name, &outcome);
            row.outcomes.push(outcome);
        }
    }
    Ok(rows)
}

fn row(name: &'static str, what: &'static str, figure: &'static str, peers: usize) -> Row {
    Row {
        name,
        what,
        figure,
        peers,
        outcomes: Vec::new(),
    }
}

fn tell(name: &str, outcome: &Outcome) {
    let (p50, p99) = (outcome.p50_ns / 1_000, outcome.p99_ns / 1_000);
    eprintln!(
        "{name:16} p50 {p50:6} us, p99 {p99:6} us {:?}",
        outcome.faults
    );
}

/// The members and the attacker, in turns.
struct Turns<'a> {
    honest: Honest,
    attack: Option<Attack<'a>>,
    /// Nanoseconds between two looks.
    lags: Vec<u64>,
}

impl Turns<'_> {
    fn go_on(&mut self, server: &Server, time: Duration) -> io::Result<u64> {
        let (until, mut look) = (Instant::now() + time, Instant::now());
        let mut most = 0;
        let mut last = net::now_ns();
        while Instant::now() < until {
            self.honest.speak();
            self.honest.hear();
            if let Some(attack) = &mut self.attack {
                attack.step(STEP);
            }
            if Instant::now() >= look {
                most = most.max(server.memory()?);
                look += LOOK;
            }
            let now = net::now_ns();
            self.lags.push(now - last);
            last = now;
        }
        Ok(most)
    }
}

fn measure(plan: &Plan, load: Option<&Load>, run: usize) -> io::Result<Outcome> {
    let limits = load.map_or(&[][..], |load| &load.limits);
    let mut server = Server::start(limits)?;
    let mut turns = Turns {
        honest: Honest::join(server.address, plan)?,
        attack: None,
        lags: Vec::new(),
    };
    turns.go_on(&server, WARM.min(plan.run / 4))?;
    turns.honest.latencies.clear();
    turns.lags.clear();
    let before = server.figures()?;
    let (memory, cpu_ms, others_ms) = (server.memory()?, server.cpu_ms()?, server.others_ms()?);
    let began = Instant::now();
    turns.attack = match load {
        Some(load) => Some(Attack::new(load, server.address, run as u8)?),
        None => None,
    };
    let most = turns.go_on(&server, plan.run)?;
    let took_ms = began.elapsed().as_millis() as f64;
    let busy = (server.cpu_ms()? - cpu_ms) as f64 / took_ms;
    let others = server.others_ms()?.saturating_sub(others_ms) as f64 / took_ms;
    let Turns {
        mut honest,
        mut attack,
        mut lags,
    } = turns;
    let mut faults = honest.finish(|| {
        if let Some(attack) = &mut attack {
            attack.step(STEP);
        }
    });
    let after = server.figures()?;
    let figure = load.map_or("deliveries", |load| load.figure);
    let count = |figures: &std::collections::HashMap<String, u64>| figures.get(figure).copied();
    let counted = count(&after).unwrap_or(0) - count(&before).unwrap_or(0);
    let growth = most.saturating_sub(memory);
    if counted == 0 {
        faults.push(format!("{figure} did not count it"));
    }
    if growth > GROWTH_MAX {
        faults.push(format!("memory grew by {} MiB", growth >> 20));
    }
    Ok(Outcome {
        p50_ns: quantile(&mut honest.latencies, 0.5),
        p99_ns: quantile(&mut honest.latencies, 0.99),
        lag_ns: quantile(&mut lags, 0.99),
        turn_us: after.get("longest_turn_us").copied().unwrap_or(0),
        busy,
        others,
        growth,
        counted,
        came: attack.map_or(0, |attack| attack.came as u64),
        faults,
    })
}

fn quantile(numbers: &mut [u64], share: f64) -> u64 {
    numbers.sort_unstable();
    let at = (numbers.len() as f64 * share) as usize;
    numbers
        .get(at.min(numbers.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0)
}
