//! What is to be measured: the command line.
//!
//! In: words. Out: a [`Plan`]. Generator thread.

use std::error::Error;
use std::path::PathBuf;

use roomcast_benches::figure::Outcome;

use crate::certificates::Certificates;
use crate::peers::Peers;
use crate::{fan, handshakes, memory, presence, storm, tokens};

pub const USAGE: &str = "edge [--rows NAME,...] [--runs 5] [--seconds 2] [--servers bun,ws]
        [--peers DIR] [--markdown FILE] [--smoke]

Rows: fan-out, reload, handshakes, memory, tokens, presence, storm. --seconds: each window's.
--servers: the others that handshakes and memory are measured beside; --peers: where they lie
(benches/fanout/peers). --smoke: no others, few of all, in a few seconds; judges no figure, only
what is lost, dropped, unequal or not bounded.";

type Row = fn(&Plan, usize) -> Result<Vec<Outcome>, Box<dyn Error>>;

/// All rows, in the order in which they run.
pub const ROWS: [(&str, Row); 7] = [
    ("fan-out", fan::run),
    ("reload", fan::reload),
    ("handshakes", handshakes::run),
    ("memory", memory::run),
    ("tokens", tokens::run),
    ("presence", presence::run),
    ("storm", storm::run),
];

pub struct Plan {
    /// As they were given.
    words: Vec<String>,
    rows: Vec<String>,
    pub runs: usize,
    /// Of each window.
    pub seconds: f64,
    pub peers: Peers,
    pub certificates: Certificates,
    pub markdown: Option<PathBuf>,
    pub smoke: bool,
}

impl Plan {
    pub fn from(words: &[String]) -> Result<Plan, Box<dyn Error>> {
        let smoke = words.iter().any(|word| word == "--smoke");
        let (runs, seconds, names) = match smoke {
            true => (1, 0.3, ""),
            false => (5, 2.0, "bun,ws"),
        };
        let mut names = names.to_string();
        let mut folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fanout/peers"));
        let mut plan = Plan {
            words: words.to_vec(),
            rows: Vec::new(),
            runs,
            seconds,
            peers: Peers::default(),
            certificates: Certificates::make()?,
            markdown: None,
            smoke,
        };
        let mut words = words.iter().filter(|word| *word != "--smoke");
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} of what?"))?;
            match word.as_str() {
                "--rows" => plan.rows = value.split(',').map(String::from).collect(),
                "--runs" => plan.runs = value.parse()?,
                "--seconds" => plan.seconds = value.parse()?,
                "--servers" => names.clone_from(value),
                "--peers" => folder = std::path::absolute(value)?,
                "--markdown" => plan.markdown = Some(value.into()),
                _ => return Err(format!("{word} means nothing; see --help").into()),
            }
        }
        let is_row = |name: &String| ROWS.iter().any(|(row, _)| row == name);
        if let Some(name) = plan.rows.iter().find(|name| !is_row(name)) {
            return Err(format!("no row is called {name}; see --help").into());
        }
        if plan.runs == 0 || !(0.1..=60.0).contains(&plan.seconds) {
            return Err("runs are 1 at least, and seconds 0.1 to 60".into());
        }
        plan.peers = Peers::find(&names, folder)?;
        Ok(plan)
    }

    pub fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|name| name == row)
    }

    /// So many, or the few of a smoke run.
    pub fn of<T>(&self, many: T, few: T) -> T {
        if self.smoke { few } else { many }
    }

    /// The words, without where things lie on this machine.
    pub fn bare_words(&self) -> String {
        let bare = |word: &String| match word.starts_with('/') {
            true => word.rsplit('/').next().unwrap_or_default().to_owned(),
            false => word.clone(),
        };
        self.words.iter().map(bare).collect::<Vec<_>>().join(" ")
    }
}
