//! The generator process: one scenario against one running server. In come arguments of the
//! orchestrator and a line of stdin for each window; out go `ready`, then `done` for each window,
//! and once stdin ends the results as `key=value` pairs on one line. Must never know other servers
//! or repetitions. One thread, pinned to a core of its own.

use std::io::{self, Write};

use roomcast_fanout::sys;

use crate::drive::{self, Setting, Wait};
use crate::plan::{self, Figure, Work};
use crate::solo;
use crate::tally::{Meter, Results, server_cpu_ns};

struct Args {
    scenario: String,
    setting: Setting,
    cores: [usize; 2],
    smoke: bool,
}

fn parse(words: &[String]) -> Result<Args, String> {
    let setting = Setting {
        port: 0,
        pid: 0,
        warmup_ns: 500_000_000,
        window_ns: 2_000_000_000,
        wait: Wait::Nap,
    };
    let mut args = Args {
        scenario: String::new(),
        setting,
        cores: [0, 1],
        smoke: false,
    };
    let seconds = |value: &str| {
        value
            .parse::<f64>()
            .map(|seconds| (seconds * 1e9) as u64)
            .ok()
    };
    for pair in words.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{} needs a value", pair[0]));
        };
        let set = match name.as_str() {
            "--scenario" => {
                args.scenario.clone_from(value);
                Some(())
            }
            "--port" => value.parse().map(|port| args.setting.port = port).ok(),
            "--pid" => value.parse().map(|pid| args.setting.pid = pid).ok(),
            "--warmup" => seconds(value).map(|ns| args.setting.warmup_ns = ns),
            "--seconds" => seconds(value).map(|ns| args.setting.window_ns = ns),
            "--wait" => Wait::named(value).map(|wait| args.setting.wait = wait),
            "--smoke" => {
                args.smoke = value == "yes";
                Some(())
            }
            "--server-core" => value.parse().map(|core| args.cores[0] = core).ok(),
            "--own-core" => value.parse().map(|core| args.cores[1] = core).ok(),
            _ => None,
        };
        set.ok_or(format!("cannot do {name} {value}"))?;
    }
    Ok(args)
}

/// Runs one scenario and prints its results.
pub fn main(words: &[String]) -> Result<(), String> {
    let args = parse(words)?;
    let plan = plan::plan(&args.scenario, args.smoke).ok_or("no such scenario")?;
    sys::raise_nofile().map_err(|error| error.to_string())?;
    sys::pin(args.cores[1]).map_err(|error| format!("cannot pin: {error}"))?;
    let meter = Meter::new(args.setting.pid, args.cores).map_err(|error| error.to_string())?;
    let mut results = match plan.work {
        Work::Fan(fan) => drive::run(fan, &args.setting, &meter, next_go())?,
        Work::Idle(count) => solo::idle(count, &args.setting, &meter)?,
        Work::Cycles(many) => solo::cycles(many, &args.setting, &meter)?,
        Work::Churn(count) => solo::churn(count, &args.setting, &meter)?,
    };
    let figure = figure(plan.figure, &results);
    results.insert("figure".into(), figure);
    let pairs: Vec<String> = results
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    println!("{}", pairs.join(" "));
    Ok(())
}

/// Says that we are ready, or done with a window; then waits for the next one.
fn next_go() -> impl FnMut() -> bool {
    let mut state = "ready";
    move || {
        println!("{state}");
        let _ = io::stdout().flush();
        state = "done";
        io::stdin()
            .read_line(&mut String::new())
            .is_ok_and(|len| len > 0)
    }
}

fn figure(kind: Figure, results: &Results) -> f64 {
    match kind {
        Figure::CpuPerDelivery => server_cpu_ns(results) / results["deliveries"].max(1.0),
        Figure::CpuPerCycle => server_cpu_ns(results) / results["cycles"].max(1.0),
        Figure::BytesPerConnection => results["bytes_per_connection"],
        Figure::Latency => results["p99_ns"],
        Figure::RssGrowth => results["rss_ratio"],
    }
}
