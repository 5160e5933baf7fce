//! The measurement: the same publications from three servers, one after the other.
//!
//! In: the plan. Out: rows, each with an outcome of each run. All servers are up at once, so that
//! drift of the machine meets them alike, and take turns. Generator thread.

use std::error::Error;
use std::time::{Duration, Instant};

use crate::members::{Came, Kind, Members};
use crate::plan::Plan;
use crate::process::{self, Server};

/// Rooms of one kind of members, or of two.
const ROOMS: [(&str, &[Kind]); 3] = [
    ("plain", &[Kind::Plain]),
    ("compressed", &[Kind::Wide]),
    ("half of each", &[Kind::Plain, Kind::Wide]),
];
/// Publications at a time.
pub const BURSTS: [u64; 2] = [1, 16];

pub struct Outcome {
    /// Of the server's CPU clock, for each delivery.
    pub delivery_ns: f64,
    /// Part of a core that the server used.
    pub busy: f64,
    /// Deliveries for each write to a socket.
    pub joined: f64,
    /// Payload and header, for each delivery.
    pub bytes: f64,
}

pub struct Row {
    pub members: &'static str,
    pub burst: u64,
    pub outcomes: Vec<Outcome>,
}

struct Site {
    /// Gone before the server ends, which else would wait for their goodbyes.
    members: Members,
    server: Server,
    /// Publications so far.
    nth: u64,
}

/// Rows by burst, then by kind of members; the plain one is the first of each burst.
pub fn all(plan: &Plan) -> Result<Vec<Row>, Box<dyn Error>> {
    process::raise_nofile()?;
    let mut sites = Vec::new();
    for (_, kinds) in ROOMS {
        sites.push(open(plan, kinds)?);
    }
    let mut rows = Vec::new();
    for burst in BURSTS {
        rows.extend(ROOMS.map(|(members, _)| Row {
            members,
            burst,
            outcomes: Vec::new(),
        }));
    }
    for site in &mut sites {
        run(plan, site, 16, plan.seconds / 4.0)?;
    }
    for run_nth in 0..plan.runs {
        for (b, &burst) in BURSTS.iter().enumerate() {
            for turn in 0..sites.len() {
                // Another one begins each time, so none always follows the same one.
                let at = (turn + run_nth) % sites.len();
                let outcome = run(plan, &mut sites[at], burst, plan.seconds)?;
                rows[b * ROOMS.len() + at].outcomes.push(outcome);
            }
        }
    }
    Ok(rows)
}

fn open(plan: &Plan, kinds: &[Kind]) -> Result<Site, Box<dyn Error>> {
    let compresses = kinds.iter().any(|&kind| kind != Kind::Plain);
    let mut server = Server::start(if compresses { plan.level } else { 0 }, 1)?;
    let members = Members::connect(server.address, kinds, plan.members)?;
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        if server.ask("members")? == plan.members as u64 {
            break;
        }
        if Instant::now() > until {
            return Err("not everybody could join".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Site {
        server,
        members,
        nth: 0,
    })
}

fn run(plan: &Plan, site: &mut Site, burst: u64, seconds: f64) -> Result<Outcome, Box<dyn Error>> {
    let bursts = (f64::from(plan.rate) * seconds / burst as f64).ceil();
    let count = bursts as u64 * burst;
    let first = site.nth;
    site.nth += count;
    let writes = site.server.ask("writes")?;
    let order = format!("publish {first} {count} {} {burst}", plan.rate);
    let begun = Instant::now();
    site.server.order(&order)?;
    let within = Duration::from_secs_f64(seconds * 10.0 + 20.0);
    let came = site.members.take(first, count, within)?;
    let passed = begun.elapsed();
    let before = site.server.answer()?;
    let used = site.server.ask("cpu")? - before;
    let writes = site.server.ask("writes")? - writes;
    let deliveries = (count * plan.members as u64) as f64;
    Ok(Outcome {
        delivery_ns: used as f64 / deliveries,
        busy: used as f64 / passed.as_nanos() as f64,
        joined: deliveries / writes as f64,
        bytes: each(&came) / count as f64,
    })
}

/// Bytes for each member: kinds come in equal numbers.
fn each(came: &Came) -> f64 {
    let sum: u64 = came.iter().map(|(_, bytes)| bytes).sum();
    sum as f64 / came.len() as f64
}
