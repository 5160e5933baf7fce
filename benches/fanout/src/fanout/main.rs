//! The fan-out bench: starts servers, drives each with a generator process of its own, and
//! compares. `fanout generate …` is that generator; everything else is the orchestrator. In come
//! arguments, out goes a table. Must never know how a server works: the wire contract is all.

mod attend;
mod drive;
mod generate;
mod orchestrate;
mod plan;
mod probe;
mod publish;
mod report;
mod servers;
mod solo;
mod tally;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.first().map(String::as_str) {
        Some("generate") => generate::main(&words[1..]),
        _ => orchestrate::main(&words),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fanout: {error}");
            ExitCode::FAILURE
        }
    }
}
