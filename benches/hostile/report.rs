//! From rows to a table: medians, the bound of each load, the verdict.
//!
//! In: rows, the first of which is undisturbed. Out: Markdown.

use std::fs;
use std::io;
use std::path::Path;

use crate::measure::{Outcome, Row};
use crate::plan::Plan;

const BEGIN: &str = "<!-- results: written by hostile -->";
const END: &str = "<!-- end of results from hostile -->";
/// Under a load the p99 may be this much, or twice the undisturbed one.
const BOUND_NS: u64 = 5_000_000;

fn sorted(row: &Row, pick: impl Fn(&Outcome) -> u64) -> Vec<u64> {
    let mut all: Vec<u64> = row.outcomes.iter().map(pick).collect();
    all.sort_unstable();
    all
}

fn median(row: &Row, pick: impl Fn(&Outcome) -> u64) -> u64 {
    let all = sorted(row, pick);
    all.get(all.len() / 2).copied().unwrap_or(0)
}

fn ms(ns: u64) -> String {
    format!("{:.2}", ns as f64 / 1e6)
}

pub fn has_faults(rows: &[Row]) -> bool {
    let mut outcomes = rows.iter().flat_map(|row| &row.outcomes);
    outcomes.any(|outcome| !outcome.faults.is_empty())
}

pub fn table(plan: &Plan, rows: &[Row]) -> String {
    let undisturbed = median(&rows[0], |o| o.p99_ns);
    let bound = BOUND_NS.max(2 * undisturbed);
    let mut out = format!(
        "`hostile {}`: {} members in {} rooms, {} messages/s in each; {}, medians of {}. \
         Bound: {} ms.\n\n",
        plan.words,
        plan.rooms * plan.room_size,
        plan.rooms,
        plan.rate,
        machine(),
        plan.runs,
        ms(bound),
    );
    out += "| load | peers | came | p50 ms | p99 ms | low-high | longest turn ms | server busy \
            | RSS growth | counted by | generator lag ms | others | verdict |\n";
    out += "|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for row in rows {
        out += &line(plan, row, bound);
    }
    out
}

fn line(plan: &Plan, row: &Row, bound: u64) -> String {
    let p99 = sorted(row, |o| o.p99_ns);
    let name = match row.what {
        "" => row.name.to_owned(),
        what => format!("`{}`: {what}", row.name),
    };
    let middle = median(row, |o| o.p99_ns);
    let mut faults = row.outcomes.iter().flat_map(|o| &o.faults);
    let verdict = match faults.next() {
        Some(fault) => format!("MISSED: {fault}"),
        None if plan.smoke => "ok".into(),
        None if middle > bound => "MISSED".into(),
        None => "ok".into(),
    };
    format!(
        "| {name} | {} | {} | {} | {} | {}-{} | {:.2} | {} % | {:.1} MiB | {} {} | {} | {} % \
         | {verdict} |\n",
        row.peers,
        median(row, |o| o.came),
        ms(median(row, |o| o.p50_ns)),
        ms(middle),
        ms(p99.first().copied().unwrap_or(0)),
        ms(p99.last().copied().unwrap_or(0)),
        median(row, |o| o.turn_us) as f64 / 1e3,
        median(row, |o| (o.busy * 100.0) as u64),
        median(row, |o| o.growth) as f64 / f64::from(1 << 20),
        row.figure,
        median(row, |o| o.counted),
        ms(median(row, |o| o.lag_ns)),
        median(row, |o| (o.others * 100.0) as u64),
    )
}

fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // The generator is pinned by now, so the count is asked of the system.
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cores = match online
        .trim()
        .rsplit('-')
        .next()
        .and_then(|n| n.parse::<usize>().ok())
    {
        Some(last) => last + 1,
        None => cores,
    };
    format!("Linux {}, {cores} cores, loopback", kernel.trim())
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
