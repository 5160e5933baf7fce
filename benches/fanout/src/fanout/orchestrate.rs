//! The orchestrator: for each scenario and repetition, every server in turn, in an order that
//! alternates; then the tables. In come arguments, out go a Markdown report and an exit code. Must
//! never know sockets. Sleeps while the generator works.

use std::path::PathBuf;

use crate::attend::Drive;
use crate::plan::{self, Plan};
use crate::probe;
use crate::report::{self, Run, Table};
use crate::servers::{Places, Server};
use crate::tally::Results;

/// How long a server works before it is the next one's turn.
const SLICE_SECONDS: f64 = 0.3;

pub struct Args {
    servers: Vec<Server>,
    scenarios: Vec<String>,
    runs: usize,
    seconds: f64,
    pub warmup: String,
    pub wait: Option<String>,
    pub smoke: bool,
    markdown: Option<PathBuf>,
    results: Option<PathBuf>,
    places: Places,
}

pub const USAGE: &str = "\
usage: fanout [--servers a,b,…] [--server NAME=COMMAND]… [--scenario a,b,…|all]
  --servers    of roomcast, limit, coalesce, gather, bun, ws, tungstenite (default: bun);
               a scenario's own yardstick is added, the other yardsticks are left out
  --server     any other program that keeps the contract (see benches/README.md)
  --scenario   fan64 fan1k rate50 rooms100 fan5000 multi idle cycles latency stalled churn,
               and echo, which `all` leaves out
  --runs N     repetitions (default 1)          --seconds S  window of each (default 1)
  --warmup S   before each window (default 0.5) --wait nap|spin|block the generator's
  --roomcast-bin PATH, --tungstenite-bin PATH, --peers DIR   where they are
  --markdown FILE  write the report there       --smoke      tiny, checks correctness only
  --results FILE   write each run there, a line of key=value pairs";

fn parse(words: &[String]) -> Result<Args, String> {
    let mut names = String::from("bun");
    let mut custom = Vec::new();
    let peers = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut args = Args {
        servers: Vec::new(),
        scenarios: vec!["fan64".into()],
        runs: 1,
        seconds: 1.0,
        warmup: "0.5".into(),
        wait: None,
        smoke: false,
        markdown: None,
        results: None,
        places: Places {
            roomcast: None,
            tungstenite: None,
            peers,
        },
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--smoke" {
            (args.smoke, args.seconds, args.warmup) = (true, 0.3, "0.1".into());
            continue;
        }
        let value = words.next().ok_or(USAGE)?;
        match word.as_str() {
            "--servers" => names.clone_from(value),
            "--server" => custom.push(Server::custom(value).ok_or(USAGE)?),
            "--scenario" if value == "all" => args.scenarios = plan::NAMES.map(String::from).into(),
            "--scenario" => args.scenarios = value.split(',').map(String::from).collect(),
            "--runs" => args.runs = value.parse().map_err(|_| USAGE)?,
            "--seconds" => args.seconds = value.parse().map_err(|_| USAGE)?,
            "--warmup" => args.warmup.clone_from(value),
            "--wait" => args.wait = Some(value.clone()),
            "--markdown" => args.markdown = Some(value.into()),
            "--results" => args.results = Some(value.into()),
            "--roomcast-bin" => args.places.roomcast = Some(absolute(value)?),
            "--tungstenite-bin" => args.places.tungstenite = Some(absolute(value)?),
            "--peers" => args.places.peers = absolute(value)?,
            _ => return Err(USAGE.into()),
        }
    }
    for name in names.split(',').filter(|name| !name.is_empty()) {
        args.servers.push(Server::named(name, &args.places)?);
    }
    args.servers.extend(custom);
    Ok(args)
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|error| error.to_string())
}

/// Runs what the arguments ask for; an error when anything was lost or the run is void.
pub fn main(words: &[String]) -> Result<(), String> {
    if words.iter().any(|word| word == "--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let args = parse(words)?;
    eprintln!("{}", probe::describe());
    let mut tables = Vec::new();
    for scenario in &args.scenarios {
        let plan = plan::plan(scenario, args.smoke).ok_or(format!("{scenario}?\n{USAGE}"))?;
        let table = measure(&args, scenario, &plan)?;
        println!("{}", table.markdown());
        tables.push(table);
    }
    if let Some(file) = &args.results {
        let lines: String = tables.iter().map(Table::lines).collect();
        std::fs::write(file, lines).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(file) = &args.markdown {
        // Where things lie on this machine is nobody's business.
        let bare = |word: &String| match word.starts_with('/') {
            true => word.rsplit('/').next().unwrap_or_default().to_owned(),
            false => word.clone(),
        };
        let words: Vec<String> = words.iter().map(bare).collect();
        let command = format!("fanout {}", words.join(" "));
        report::write(file, &tables, &command, &args.places.peers)?;
    }
    let complaints: Vec<String> = tables.iter().flat_map(|table| table.complaints()).collect();
    let void = tables
        .iter()
        .find_map(|table| table.void())
        .filter(|_| !args.smoke);
    match complaints.into_iter().chain(void).collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        some => Err(some.join("\nfanout: ")),
    }
}

fn measure(args: &Args, scenario: &str, plan: &Plan) -> Result<Table, String> {
    let yardstick = Server::named(plan.yardstick, &args.places)?;
    let mut servers = vec![&yardstick];
    servers.extend(args.servers.iter().filter(|server| !server.is_yardstick()));
    let mut runs = Vec::new();
    for repetition in 0..args.runs {
        // Alternating directions: a server measured after another is not always so.
        let mut order = servers.clone();
        if repetition % 2 == 1 {
            order.reverse();
        }
        eprintln!("{scenario}, run {}", repetition + 1);
        for (server, results) in order.iter().zip(repeat(args, scenario, plan, &order)?) {
            runs.push(Run {
                repetition,
                server: server.name.clone(),
                results,
            });
        }
    }
    let (figure, target) = (plan.figure, plan.target);
    let servers = servers.iter().map(|server| server.name.clone()).collect();
    Ok(Table {
        scenario: scenario.into(),
        figure,
        target,
        servers,
        runs,
    })
}

/// One repetition. In a sliced plan all servers are up at once and take turns, always in the same
/// round, so that drift of the machine meets all of them and each has rested equally long; else
/// one is up at a time.
fn repeat(
    args: &Args,
    scenario: &str,
    plan: &Plan,
    servers: &[&Server],
) -> Result<Vec<Results>, String> {
    let seconds = args.seconds.max(plan.seconds_min);
    if !plan.sliced {
        let one = |server: &&Server| {
            let mut drive = Drive::start(args, scenario, plan, seconds, server)?;
            drive.go()?;
            drive.finish()
        };
        return servers.iter().map(one).collect();
    }
    let slices = (seconds / SLICE_SECONDS).round().max(1.0);
    let start = |server: &&Server| Drive::start(args, scenario, plan, seconds / slices, server);
    let mut drives: Vec<Drive> = servers.iter().map(start).collect::<Result<_, _>>()?;
    for drive in &mut drives {
        drive.wait_for("ready")?;
    }
    for _ in 0..slices as usize {
        for drive in &mut drives {
            drive.go()?;
            drive.wait_for("done")?;
        }
    }
    drives.into_iter().map(Drive::finish).collect()
}
