//! What is to be measured: the command line.
//!
//! In: words. Out: a [`Plan`]. Generator thread.

use std::error::Error;
use std::path::PathBuf;

pub const USAGE: &str = "deflate [--runs 5] [--members 1000] [--rate 200] [--seconds 2] [--level 1]
        [--markdown FILE] [--smoke]

Publications of 1 KiB of JSON at a fixed rate, one at a time and in bursts of 16, to rooms of plain
members, of members that compress, and of both. --smoke: few of all, and no figure is judged.";

pub struct Plan {
    pub runs: usize,
    pub members: usize,
    /// Publications a second.
    pub rate: u32,
    pub seconds: f64,
    pub level: u32,
    pub markdown: Option<PathBuf>,
    pub smoke: bool,
}

impl Plan {
    pub fn from(words: &[String]) -> Result<Plan, Box<dyn Error>> {
        let mut plan = Plan {
            runs: 5,
            members: 1_000,
            rate: 200,
            seconds: 2.0,
            level: 1,
            markdown: None,
            smoke: false,
        };
        if words.iter().any(|word| word == "--smoke") {
            (plan.runs, plan.members, plan.seconds) = (1, 40, 0.4);
        }
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--smoke" {
                plan.smoke = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} of what?"))?;
            match word.as_str() {
                "--runs" => plan.runs = value.parse()?,
                "--members" => plan.members = value.parse()?,
                "--rate" => plan.rate = value.parse()?,
                "--seconds" => plan.seconds = value.parse()?,
                "--level" => plan.level = value.parse()?,
                "--markdown" => plan.markdown = Some(value.into()),
                _ => return Err(format!("{word} means nothing; see --help").into()),
            }
        }
        if plan.runs == 0 || plan.members < 2 || plan.rate == 0 || plan.level == 0 {
            return Err("runs, rate and level are 1 at least, members 2".into());
        }
        Ok(plan)
    }
}
