//! From rows to a table: medians, ratios within a run, the verdict.
//!
//! In: rows, the plain one first of each burst. Out: Markdown.

use std::fs;
use std::io;
use std::path::Path;

use crate::measure::{Outcome, Row};
use crate::plan::Plan;

const BEGIN: &str = "<!-- results: written by deflate -->";
const END: &str = "<!-- end of results from deflate -->";
/// A compressed delivery may cost this much of a plain one.
const RATIO_MAX: f64 = 1.2;
const SHARD_BYTES_MAX: f64 = 1024.0 * 1024.0;

pub fn table(plan: &Plan, rows: &[Row], shard_bytes: f64) -> String {
    let mut out = format!(
        "{} members of one room, {} publications a second of 1 KiB of JSON, level {}; \
         medians of {}.\n\n",
        plan.members, plan.rate, plan.level, plan.runs
    );
    out += "| members | at a time | CPU per delivery | ratio | low-high | bytes per delivery \
            | joined | server busy | verdict |\n|---|---|---|---|---|---|---|---|---|\n";
    let mut plain = &rows[0];
    for row in rows {
        if row.burst != plain.burst {
            plain = row;
        }
        out += &line(plan, row, plain);
    }
    let mib = shard_bytes / SHARD_BYTES_MAX;
    let verdict = verdict(plan, shard_bytes <= SHARD_BYTES_MAX);
    out += &format!(
        "\nA shard that compresses with both windows and inflates keeps {mib:.2} MiB more than one \
         that does not: {verdict}. (Bounds: ratio {RATIO_MAX}, 1 MiB.)\n"
    );
    out
}

fn line(plan: &Plan, row: &Row, plain: &Row) -> String {
    let pairs = row.outcomes.iter().zip(&plain.outcomes);
    let ratios = sorted(pairs.map(|(ours, plain)| ours.delivery_ns / plain.delivery_ns));
    let ratio = ratios[ratios.len() / 2];
    let median = |figure: fn(&Outcome) -> f64| {
        let all = sorted(row.outcomes.iter().map(figure));
        all[all.len() / 2]
    };
    format!(
        "| {} | {} | {:.0} ns | {ratio:.2} | {:.2}-{:.2} | {:.0} | {:.1} | {:.0} % | {} |\n",
        row.members,
        row.burst,
        median(|outcome| outcome.delivery_ns),
        ratios[0],
        ratios[ratios.len() - 1],
        median(|outcome| outcome.bytes),
        median(|outcome| outcome.joined),
        median(|outcome| outcome.busy) * 100.0,
        verdict(plan, ratio <= RATIO_MAX),
    )
}

fn verdict(plan: &Plan, kept: bool) -> &'static str {
    match (plan.smoke, kept) {
        (true, _) => "not judged",
        (false, true) => "ok",
        (false, false) => "MISSED",
    }
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
