//! How long the messages of honest members take beside hostile peers, one kind of load at a time.
//!
//! The server is a process of its own on one core; the members and the attacker take turns on the
//! other. Each run has a new server. Prints a Markdown table; fails when a message was lost or a
//! load was not counted or not bounded. Linux only:
//! `cargo run --release -p roomcast-benches --bin hostile -- --help`.

#[cfg(target_os = "linux")]
mod attack;
#[cfg(target_os = "linux")]
mod honest;
#[cfg(target_os = "linux")]
mod loads;
#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod net;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod server;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("this bench runs on Linux only");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("serve") => return server::run(),
        Some("--help") => {
            println!("{}", plan::USAGE);
            return Ok(());
        }
        _ => {}
    }
    let plan = plan::Plan::from(&words)?;
    let rows = measure::all(&plan)?;
    if plan.list {
        return Ok(());
    }
    let table = report::table(&plan, &rows);
    println!("{table}");
    if let Some(file) = &plan.markdown {
        report::write(file, &table)?;
    }
    match report::has_faults(&rows) {
        true => Err("see the notes: lost, uncounted or unbounded".into()),
        false => Ok(()),
    }
}
