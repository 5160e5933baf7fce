//! What is measured: sizes, rates and loads, from the command line.
//!
//! In: arguments. Out: a plan, or how to write one.

use std::path::PathBuf;
use std::time::Duration;

pub const USAGE: &str = "\
hostile: the latency of honest members beside hostile peers

  --runs N         repetitions, interleaved (5)
  --seconds S      each load's (2)
  --loads A,B      some of them (all); --list names them
  --rooms N        rooms that the 1,000 honest members are divided into (20)
  --rate N         messages a second in each room (25)
  --markdown FILE  also write the table there, between its markers
  --smoke          few members, less than a second: what is lost, uncounted or unbounded fails";

pub struct Plan {
    pub runs: usize,
    pub run: Duration,
    /// Names of loads; none for all.
    pub loads: Vec<String>,
    pub list: bool,
    pub rooms: usize,
    pub room_size: usize,
    /// Messages a second in each room.
    pub rate: u64,
    pub markdown: Option<PathBuf>,
    pub smoke: bool,
    /// The arguments, for the report.
    pub words: String,
}

impl Plan {
    pub fn from(words: &[String]) -> Result<Plan, String> {
        let mut plan = Plan {
            runs: 5,
            run: Duration::from_secs(2),
            loads: Vec::new(),
            list: false,
            rooms: 20,
            room_size: 0,
            rate: 25,
            markdown: None,
            smoke: false,
            words: words.join(" "),
        };
        let mut members = 1_000;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--smoke" => {
                    plan.smoke = true;
                    (plan.runs, plan.run) = (1, Duration::from_millis(400));
                    (plan.rooms, members) = (4, 40);
                }
                "--list" => plan.list = true,
                option => {
                    let value = words.next().ok_or(format!("{option} what? {USAGE}"))?;
                    plan.set(option, value)?;
                }
            }
        }
        plan.room_size = members / plan.rooms.clamp(1, members);
        Ok(plan)
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        let number = || {
            let number = value.parse::<f64>().ok().filter(|n| *n > 0.0);
            number.ok_or(format!("{option} {value} is not a number above 0"))
        };
        match option {
            "--runs" => self.runs = number()?.ceil() as usize,
            "--seconds" => self.run = Duration::from_secs_f64(number()?),
            "--rooms" => self.rooms = number()?.ceil() as usize,
            "--rate" => self.rate = number()?.ceil() as u64,
            "--loads" => self.loads = value.split(',').map(str::to_owned).collect(),
            "--markdown" => self.markdown = Some(value.into()),
            _ => return Err(format!("{option} is unknown\n{USAGE}")),
        }
        Ok(())
    }

    pub fn wants(&self, load: &str) -> bool {
        self.loads.is_empty() || self.loads.iter().any(|name| name == load)
    }
}
