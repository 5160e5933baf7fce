//! What is to be measured: the command line.
//!
//! In: words. Out: a [`Plan`]. Generator thread.

use std::error::Error;
use std::path::PathBuf;

use crate::figure::Outcome;
use crate::{batching, overload, selective, stalled, ticker};

pub const USAGE: &str = "delivery [--loads NAME,...] [--runs 3] [--stall 60] [--overload 30]
        [--markdown FILE] [--smoke]

Loads: selective, ticker, batching, stalled, overload. --stall and --overload are seconds. --smoke:
few of all, in a few seconds; judges only what is lost or not accounted for.";

type Load = fn(&Plan, usize) -> Result<Vec<Outcome>, Box<dyn Error>>;

/// All loads, in the order in which they run.
pub const LOADS: [(&str, Load); 5] = [
    ("selective", selective::run),
    ("ticker", ticker::run),
    ("batching", batching::run),
    ("stalled", stalled::run),
    ("overload", overload::run),
];

pub struct Plan {
    /// As they were given.
    pub words: String,
    pub loads: Vec<String>,
    pub runs: usize,
    /// Seconds in which the stopped members do not read.
    pub stall: f64,
    /// Seconds of overload.
    pub overload: f64,
    pub markdown: Option<PathBuf>,
    pub smoke: bool,
}

impl Plan {
    pub fn from(words: &[String]) -> Result<Plan, Box<dyn Error>> {
        let mut plan = Plan {
            words: words.join(" "),
            loads: Vec::new(),
            runs: 3,
            stall: 60.0,
            overload: 30.0,
            markdown: None,
            smoke: words.iter().any(|word| word == "--smoke"),
        };
        if plan.smoke {
            (plan.runs, plan.stall, plan.overload) = (1, 3.0, 2.0);
        }
        let mut words = words.iter().filter(|word| *word != "--smoke");
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} of what?"))?;
            match word.as_str() {
                "--loads" => plan.loads = value.split(',').map(String::from).collect(),
                "--runs" => plan.runs = value.parse()?,
                "--stall" => plan.stall = value.parse()?,
                "--overload" => plan.overload = value.parse()?,
                "--markdown" => plan.markdown = Some(value.into()),
                _ => return Err(format!("{word} means nothing; see --help").into()),
            }
        }
        let is_load = |name: &String| LOADS.iter().any(|(load, _)| load == name);
        if let Some(name) = plan.loads.iter().find(|name| !is_load(name)) {
            return Err(format!("no load is called {name}; see --help").into());
        }
        let is_long = |seconds: f64| (1.0..=300.0).contains(&seconds);
        if plan.runs == 0 || !is_long(plan.stall) || !is_long(plan.overload) {
            return Err("runs are 1 at least, and seconds 1 to 300".into());
        }
        Ok(plan)
    }

    pub fn wants(&self, load: &str) -> bool {
        self.loads.is_empty() || self.loads.iter().any(|name| name == load)
    }

    /// So many, or the few of a smoke run.
    pub fn of<T>(&self, many: T, few: T) -> T {
        if self.smoke { few } else { many }
    }
}
