//! From outcomes to a table: medians over the runs, their bounds, the verdicts.
//!
//! In: outcomes. Out: Markdown.

use std::fs;
use std::io;
use std::path::Path;

use crate::figure::{Bound, Busy, Outcome};
use crate::plan::Plan;
use crate::sys;

const BEGIN: &str = "<!-- results: written by delivery -->";
const END: &str = "<!-- end of results from delivery -->";

pub fn table(plan: &Plan, outcomes: &[Outcome]) -> String {
    let command = format!("delivery {}", plan.words);
    let mut out = format!(
        "`{}`: {}, medians of {}.\n\n",
        command.trim(),
        sys::machine(),
        plan.runs
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
        out += &rows(plan, load, &runs.collect::<Vec<_>>());
    }
    out
}

fn rows(plan: &Plan, load: &str, runs: &[&Outcome]) -> String {
    let mut out = String::new();
    for figure in &runs[0].figures {
        let of = |outcome: &&Outcome| {
            let same = outcome.figures.iter().find(|f| f.name == figure.name);
            same.map(|figure| figure.value)
        };
        let values = sorted(runs.iter().filter_map(of));
        let (median, write) = (values[values.len() / 2], |value| figure.unit.write(value));
        let verdict = match (figure.bound, plan.smoke) {
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

/// Puts the table between its markers.
pub fn write(file: &Path, table: &str) -> io::Result<()> {
    let text = fs::read_to_string(file)?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| io::Error::other("the file has no markers"))?;
    fs::write(file, format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}
