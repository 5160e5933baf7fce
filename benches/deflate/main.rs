//! What compression costs a server that publishes to a large room, and what it saves.
//!
//! Three servers, processes of their own on one core, publish the same messages to as many members
//! each: plain ones, ones that compress, and half of each. The members share the other core. Prints
//! a Markdown table; fails when a message was lost, changed or not compressed. Linux only:
//! `cargo run --release -p roomcast-benches --bin deflate -- --help`.

#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod members;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod payload;
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
        Some("serve") => return server::serve(&words[1..]),
        Some("--help") => {
            println!("{}", plan::USAGE);
            return Ok(());
        }
        _ => {}
    }
    let plan = plan::Plan::from(&words)?;
    process::pin(1)?;
    let rows = measure::all(&plan)?;
    let shard_bytes = memory::of_a_shard(&plan)?;
    let table = report::table(&plan, &rows, shard_bytes);
    println!("{table}");
    if let Some(file) = &plan.markdown {
        report::write(file, &table)?;
    }
    Ok(())
}
