//! What the edge costs, against targets: TLS beside plain and beside others, tokens, presence.
//!
//! A server of one shard, or another program, on one core; its peers in this process on the other.
//! What needs no sockets runs in this process. Prints a Markdown table. Linux only:
//! `cargo run --release -p roomcast-benches --bin edge -- --help`.

#[cfg(target_os = "linux")]
mod certificates;
#[cfg(target_os = "linux")]
mod client;
#[cfg(target_os = "linux")]
mod clocks;
#[cfg(target_os = "linux")]
mod comers;
#[cfg(target_os = "linux")]
mod fan;
#[cfg(target_os = "linux")]
mod hall;
#[cfg(target_os = "linux")]
mod handshakes;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod presence;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod storm;
#[cfg(target_os = "linux")]
mod tokens;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this bench runs on Linux only");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use roomcast_benches::{report, sys};

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
    sys::pin(peers::OWN_CORE)?;
    let mut outcomes = Vec::new();
    for run in 0..plan.runs {
        for (_, row) in plan::ROWS.iter().filter(|(name, _)| plan.wants(name)) {
            for outcome in row(&plan, run)? {
                eprintln!("run {}: {}", run + 1, outcome.line());
                outcomes.push(outcome);
            }
        }
    }
    let head = report::Head {
        program: "edge",
        words: &plan.bare_words(),
        runs: plan.runs,
        smoke: plan.smoke,
        beside: &plan.peers.versions(),
    };
    let table = report::table(&head, &outcomes);
    println!("{table}");
    if let Some(file) = &plan.markdown {
        report::write(head.program, file, &table)?;
    }
    match outcomes.iter().any(|outcome| !outcome.faults.is_empty()) {
        true => Err("something was lost, dropped, unequal or not bounded: see the table".into()),
        false => Ok(()),
    }
}
