//! What filters, flush intervals, conflation, slow members and overload cost, against targets.
//!
//! A server of one shard on one core, the members in this process on the other. Each load gives
//! figures, which are judged by their medians, and faults: what is neither delivered nor accounted
//! for. Prints a Markdown table. Linux only:
//! `cargo run --release -p roomcast-benches --bin delivery -- --help`.

#[cfg(target_os = "linux")]
mod batching;
#[cfg(target_os = "linux")]
mod ledger;
#[cfg(target_os = "linux")]
mod overload;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod publish;
#[cfg(target_os = "linux")]
mod readers;
#[cfg(target_os = "linux")]
mod scene;
#[cfg(target_os = "linux")]
mod selective;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod stalled;
#[cfg(target_os = "linux")]
mod ticker;

#[cfg(target_os = "linux")]
use roomcast_benches::{figure, process, report, sys};

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this bench runs on Linux only");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("serve") => return server::serve(&words[1..]),
        Some("--help") => {
            println!("{}", plan::USAGE);
            return Ok(());
        }
        _ => {}
    }
    let plan = plan::Plan::from(&words)?;
    sys::raise_nofile()?;
    sys::pin(1)?;
    let mut outcomes = Vec::new();
    for run in 0..plan.runs {
        for (_, load) in plan::LOADS.iter().filter(|(name, _)| plan.wants(name)) {
            for outcome in load(&plan, run)? {
                eprintln!("run {}: {}", run + 1, outcome.line());
                outcomes.push(outcome);
            }
        }
    }
    let head = report::Head {
        program: "delivery",
        words: &plan.words,
        runs: plan.runs,
        smoke: plan.smoke,
        beside: "",
    };
    let table = report::table(&head, &outcomes);
    println!("{table}");
    if let Some(file) = &plan.markdown {
        report::write(head.program, file, &table)?;
    }
    match outcomes.iter().any(|outcome| !outcome.faults.is_empty()) {
        true => Err("something was lost, doubled, reordered or not accounted for".into()),
        false => Ok(()),
    }
}
