//! TLS handshakes beside other servers: each on the same core, all up at once, in turns.
//!
//! In: a plan. Out: handshakes, each with its upgrade, for each second of the server's CPU, and for
//! each second of time. The latter ends where the generator does, whose handshakes cost about as
//! much: read it beside its share. Generator thread.

use std::error::Error;
use std::time::Duration;

use roomcast_benches::figure::{Outcome, Unit};

use crate::clocks::Clocks;
use crate::comers::Comers;
use crate::plan::Plan;

const RATIO_MIN: f64 = 0.95;
/// How long a server's turn is, about.
const SLICE_SECONDS: f64 = 0.5;

pub fn run(plan: &Plan, run: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let servers = plan.peers.start_all(&plan.certificates.first)?;
    let tls = Some(&plan.certificates.client);
    let time = Duration::from_secs_f64(SLICE_SECONDS.min(plan.seconds));
    let mut all = Vec::new();
    for (name, server) in &servers {
        let at = *server.addresses.last().expect("it listens");
        let mut comers = Comers::new(at, tls, "/room/shake")?;
        comers.warm(Duration::from_secs_f64(plan.seconds))?;
        all.push((*name, server, comers, 0));
    }
    let running = || servers.iter().map(|(_, server)| server);
    let clocks = Clocks::now(running())?;
    for _ in 0..(plan.seconds / SLICE_SECONDS).ceil() as usize {
        // Always the same round, so that each has rested equally long; reversed from run to run.
        let mut turns: Vec<_> = all.iter_mut().collect();
        if run % 2 == 1 {
            turns.reverse();
        }
        for (_, server, comers, cpu_ns) in turns {
            let before = server.cpu_ns()?;
            comers.run(time)?;
            *cpu_ns += server.cpu_ns()? - before;
        }
    }
    let mut outcome = Outcome::new("handshakes");
    let busy_ns = all.iter().map(|(_, _, comers, _)| comers.busy_ns).sum();
    outcome.busy = clocks.busy(running(), busy_ns)?;
    let mut by_cpu = Vec::new();
    let mut by_wall = Vec::new();
    for (name, _, comers, cpu_ns) in &mut all {
        outcome.faults.append(&mut comers.faults);
        let came = comers.came as f64;
        let each = *cpu_ns as f64 / came;
        outcome.tell(
            format!("{name}: CPU per handshake"),
            Unit::Microseconds,
            each / 1e3,
        );
        let rate = came * 1e9 / comers.wall_ns as f64;
        outcome.tell(format!("{name}: handshakes a second"), Unit::Count, rate);
        by_cpu.push(1.0 / each);
        by_wall.push(rate);
    }
    if let Some(ratio) = to_the_better(&by_cpu) {
        let text = "handshakes per CPU, to the better of the others";
        outcome.least(text, Unit::Ratio, RATIO_MIN, ratio);
    }
    if let Some(ratio) = to_the_better(&by_wall) {
        let text = "handshakes a second, to the better of the others";
        outcome.least(text, Unit::Ratio, RATIO_MIN, ratio);
    }
    Ok(vec![outcome])
}

/// Ours, the first, to the most of the others.
fn to_the_better(rates: &[f64]) -> Option<f64> {
    let (ours, others) = rates.split_first()?;
    let better = others.iter().copied().max_by(f64::total_cmp)?;
    Some(ours / better)
}
