//! From outcomes to a table: medians over the runs, their bounds, the verdicts.
//!
//! In: outcomes. Out: Markdown.

use std::fs;
use std::io;
use std::path::Path;

use crate::figure::{Bound, Busy, Outcome};
use crate::sys;

/// Which program's results they are.
pub struct Head<'a> {
    pub program: &'a str,
    /// Its arguments, as they were given.
    pub words: &'a str,
    pub runs: usize,
    /// No figure is judged.
    pub smoke: bool,
    /// What else was there, in words.
    pub beside: &'a str,
}

pub fn table(head: &Head<'_>, outcomes: &[Outcome]) -> String {
    let command = format!("{} {}", head.program, head.words);
    let mut out = format!(
        "`{}`: {}, medians of {}{}.\n\n",
        command.trim(),
        sys::machine(),
        head.runs,
        head.beside,
    );
    out += "| load | figure | median | low-high | target | verdict |\n|---|---|---|---|---|---|\n";
    let mut loads: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !loads.contains(&outcome.load) {
            loads.push(outcome.load);
        }
    }
    for load in loads {
        let runs = outcomes.iter().filter(|outcome| outcome.load == load);
        out += &rows(head, load, &runs.collect::<Vec<_>>());
    }
    out
}

fn rows(head: &Head<'_>, load: &str, runs: &[&Outcome]) -> String {
    let mut out = String::new();
    for figure in &runs[0].figures {
        let of = |outcome: &&Outcome| {
            let same = outcome.figures.iter().find(|f| f.name == figure.name);
            same.map(|figure| figure.value)
        };
        let values = sorted(runs.iter().filter_map(of));
        let (median, write) = (values[values.len() / 2], |value| figure.unit.write(value));
        let verdict = match (figure.bound, head.smoke) {
            (Bound::None, _) => "",
            (_, true) => "not judged",
            (bound, false) if bound.is_kept(median) => "reached",
            _ => "MISSED",
        };
        let target = match figure.bound {
            Bound::Most(most) => format!("≤ {}", write(most)),
            Bound::Least(least) => format!("≥ {}", write(least)),
            Bound::None => "reported".into(),
        };
        out += &format!(
            "| {load} | {} | {} | {} - {} | {target} | {verdict} |\n",
            figure.name,
            write(median),
            write(values[0]),
            write(values[values.len() - 1]),
        );
    }
    let faults: Vec<&String> = runs.iter().flat_map(|outcome| &outcome.faults).collect();
    let verdict = match faults.first() {
        None => "reached".into(),
        Some(fault) => format!("MISSED: {fault}"),
    };
    out += &format!(
        "| {load} | faults (server {}, generator {}, others {} of a core) | {} |  | 0 \
         | {verdict} |\n",
        share(runs, |busy| busy.server),
        share(runs, |busy| busy.generator),
        share(runs, |busy| busy.others),
        faults.len(),
    );
    out
}

fn share(runs: &[&Outcome], of: fn(&Busy) -> f64) -> String {
    let all = sorted(runs.iter().map(|outcome| of(&outcome.busy)));
    format!("{:.0} %", all[all.len() / 2] * 100.0)
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = figures.collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Puts the table between the markers of the program.
pub fn write(program: &str, file: &Path, table: &str) -> io::Result<()> {
    let begin = format!("<!-- results: written by {program} -->");
    let end = format!("<!-- end of results from {program} -->");
    let text = fs::read_to_string(file)?;
    let parts = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| io::Error::other("the file has no markers"))?;
    fs::write(file, format!("{before}{begin}\n\n{table}\n{end}{after}"))
}
