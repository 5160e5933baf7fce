//! What presence costs: counts of rooms of all sizes, pages, joins and leaves.
//!
//! In: a plan. Out: nanoseconds of this thread, on the simulated network, and whether the pages of
//! a room are its members, each once. Generator thread.

use std::collections::HashSet;
use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use roomcast::testing::Sim;
use roomcast::{Accept, Config, Connection, ConnectionId, Handler, Pending, Request, RoomOptions};
use roomcast_benches::figure::{Outcome, Unit, quantile};
use roomcast_benches::sys;

use crate::plan::Plan;
use crate::tokens::each_ns;

const HALL: &str = "hall";
/// What a count of the largest room may take, to that of the smallest: the same but for noise.
const COUNT_RATIO_MAX: f64 = 1.5;
/// Members that leave and join in one turn.
const PART: usize = 200;

/// Keeps who came, in order. Everybody is a user of their own, with something to show.
#[derive(Clone, Default)]
pub struct Host(pub Arc<Mutex<Vec<ConnectionId>>>);

impl Handler for Host {
    fn connecting(&self, request: &Request, pending: Pending) {
        let accept = Accept::new().user(request.path()).info(r#"{"name":"Ada"}"#);
        pending.accept(accept.room(HALL));
    }

    fn opened(&self, connection: Connection<'_>) {
        let mut came = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        came.push(connection.id());
    }
}

/// A hall with so many members, and who they are.
fn hall(members: usize, options: RoomOptions) -> (Sim, Vec<ConnectionId>) {
    let config = Config::new().connections_max(1 << 20).ping_interval_ms(0);
    let host = Host::default();
    let mut sim = Sim::new(config.room_options(HALL, options), host.clone());
    for nth in 0..members {
        sim.connect_null(&format!("/{nth}"));
    }
    sim.settle();
    let came = std::mem::take(&mut *host.0.lock().unwrap_or_else(PoisonError::into_inner));
    (sim, came)
}

pub fn run(plan: &Plan, _: usize) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let mut outcome = Outcome::new("presence");
    let present = RoomOptions::new().presence(true);
    let sizes = [10, 1_000, plan.of(100_000, 2_000)];
    let counts = sizes.map(|members| {
        let (sim, _) = hall(members, present);
        let handle = sim.handle();
        let whole = || black_box(handle.presence(black_box(HALL))).users == Some(members);
        outcome.fault_if(!whole(), || format!("not all of {members} are counted"));
        each_ns(plan, whole)
    });
    let ratio = counts[2] / counts[0];
    let most = COUNT_RATIO_MAX;
    outcome.most("counts of 100,000 members, to 10", Unit::Ratio, most, ratio);
    for (name, count) in ["counts of 10", "counts of 1,000", "counts of 100,000"]
        .into_iter()
        .zip(counts)
    {
        outcome.tell(name, Unit::Nanoseconds, count);
    }
    let members = plan.of(10_000, 1_000);
    let (page, whole) = pages(members, plan.of(1_000, 100));
    outcome.tell("page of 1,000 of 10,000", Unit::Microseconds, page / 1e3);
    outcome.fault_if(!whole, || "the pages are not the members".into());
    for (name, options) in [
        ("leave and join, no presence", RoomOptions::new()),
        ("leave and join, presence", present),
        (
            "leave and join, notices",
            present.presence_interval_ms(1_000),
        ),
    ] {
        let each = leave_and_join_ns(members, options, plan.of(100, 4))?;
        outcome.tell(name, Unit::Nanoseconds, each);
    }
    Ok(vec![outcome])
}

/// Nanoseconds of a page, the median of them, and whether all are the members, each once.
fn pages(members: usize, limit: usize) -> (f64, bool) {
    let (sim, ids) = hall(members, RoomOptions::new().presence(true));
    let (mut seen, mut after, mut times) = (HashSet::new(), None, Vec::new());
    loop {
        let began = sys::thread_ns();
        let page = sim.handle().present(HALL, after, limit);
        times.push(sys::thread_ns() - began);
        let fresh = page.present.iter().filter(|one| seen.insert(one.id));
        if fresh.count() != page.present.len() {
            return (f64::NAN, false);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let whole = seen.len() == ids.len() && ids.iter().all(|id| seen.contains(id));
    (quantile(&mut times, 0.5) as f64, whole)
}

/// Nanoseconds of a leave and a join, the shard's part included: the median turn.
fn leave_and_join_ns(
    members: usize,
    options: RoomOptions,
    turns: usize,
) -> Result<f64, Box<dyn Error>> {
    let (mut sim, ids) = hall(members, options);
    let handle = sim.handle().clone();
    let mut times = Vec::new();
    for part in ids.chunks(PART).cycle().take(turns) {
        let began = sys::thread_ns();
        for id in part {
            handle.leave(*id, HALL)?;
            handle.join(*id, HALL)?;
        }
        sim.turn();
        times.push((sys::thread_ns() - began) / part.len() as u64);
    }
    Ok(quantile(&mut times, 0.5) as f64)
}
