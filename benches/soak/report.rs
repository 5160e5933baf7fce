//! The table: what was done, what was found, and whether each target is reached. In: an outcome.
//! Out: Markdown on stdout and between the markers of a file.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::figures;
use crate::peers::Tally;

const BEGIN: &str = "<!-- results: written by soak -->";
const END: &str = "<!-- end of results from soak -->";
const MIB: f64 = 1024.0 * 1024.0;

#[derive(Default)]
pub struct Outcome {
    pub asked_seconds: u64,
    pub smoke: bool,
    pub is_pinned: bool,
    pub target_share: f64,
    /// One value a second each.
    pub rss: Vec<f64>,
    pub heap: Vec<f64>,
    pub share: Vec<f64>,
    pub peers: usize,
    pub tally: Tally,
    pub storms: u64,
    pub longest_pause: Duration,
    pub broken_off: u64,
    pub scrapes: u64,
    pub counts: BTreeMap<String, u64>,
    /// Connections, rooms, and bytes of tapes, outboxes, inboxes when all have left.
    pub gauges: Vec<u64>,
    /// Bytes of the heap before anybody came, and when all have left.
    pub heap_at_rest: Vec<u64>,
    /// Descriptors and threads before anybody came, and after all have left.
    pub empty: Vec<u64>,
    /// The same before the engines started, and after they have stopped.
    pub bare: Vec<u64>,
    /// Milliseconds, and how many were cut, of each engine.
    pub stops: [Vec<u64>; 2],
    /// Connections that were not let in, or ended without the peer's doing.
    pub ended: Vec<String>,
    pub faults: Vec<String>,
}

/// The words `name=number`.
pub fn pairs(text: &str) -> BTreeMap<String, u64> {
    let pair = |word: &str| {
        let (name, number) = word.split_once('=')?;
        Some((name.to_string(), number.parse().ok()?))
    };
    text.split(' ').filter_map(pair).collect()
}

struct Row {
    what: &'static str,
    figure: String,
    /// What it is to be, and whether it is; `None` is only told.
    target: Option<(&'static str, bool)>,
}

fn told(what: &'static str, figure: String) -> Row {
    Row {
        what,
        figure,
        target: None,
    }
}

fn judged(what: &'static str, figure: String, target: &'static str, is_reached: bool) -> Row {
    Row {
        what,
        figure,
        target: Some((target, is_reached)),
    }
}

impl Outcome {
    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    fn done(&self) -> Vec<Row> {
        let tally = &self.tally;
        let per_second = tally.frames / self.asked_seconds.max(1);
        let count = |name: &str| thousands(self.count(name));
        vec![
            told("peers, of two engines", thousands(self.peers as u64)),
            told(
                "publications, of these unions",
                format!("{}, {}", count("published"), count("unions")),
            ),
            told("asked for by peers", count("relayed")),
            told("refused (`Behind`, `Overloaded`)", count("refused")),
            told(
                "frames that came, a second",
                format!("{}, {}", thousands(tally.frames), thousands(per_second)),
            ),
            told("deliveries judged, by room", thousands(tally.checked)),
            told(
                "private messages, echoes",
                format!("{}, {}", thousands(tally.mail), thousands(tally.echoes)),
            ),
            told(
                "joins, leaves by message",
                format!("{}, {}", count("joins"), count("leaves")),
            ),
            told("lives of rooms that nobody holds", count("lives")),
            told(
                "connections opened, parted in order, cut",
                [tally.opened, tally.byes, tally.cuts]
                    .map(thousands)
                    .join(", "),
            ),
            told("reconnect storms", self.storms.to_string()),
            told("handshakes broken off", thousands(self.broken_off)),
            told("`/metrics` read", thousands(self.scrapes)),
            told(
                "stalls, thrown out as too slow",
                format!(
                    "{}, {}",
                    thousands(tally.stalls),
                    thousands(tally.thrown_out)
                ),
            ),
            told("publications jumped over", count("lagged")),
            told("ended by reason", {
                let reasons = [
                    "peer",
                    "host",
                    "vanished",
                    "too_slow",
                    "ping_timeout",
                    "protocol",
                ];
                let each = reasons.map(|reason| format!("{reason} {}", count(reason)));
                each.join(", ")
            }),
        ]
    }

    fn found(&self) -> Vec<Row> {
        let half = self.rss.len() / 2;
        let (rise, mean) = figures::rise(&self.rss[half..]);
        let late = &self.share[half.min(self.share.len())..];
        let share = late.iter().sum::<f64>() / late.len().max(1) as f64;
        let before = |two: &[u64]| two.len() == 4 && two[..2] == two[2..];
        let is_pinned = if self.is_pinned { "" } else { ", not pinned" };
        let mut rows = vec![
            judged(
                "lost, doubled, reordered, misnumbered, other faults",
                self.faults.len().to_string(),
                "0",
                self.faults.is_empty(),
            ),
            judged(
                "not let in, or ended without the peer's doing",
                self.ended.len().to_string(),
                "0",
                self.ended.is_empty(),
            ),
            judged(
                "longest pause of the generator",
                format!("{:.0?}", self.longest_pause),
                "< 2 s, else the run is void",
                self.longest_pause < Duration::from_secs(2),
            ),
            judged(
                "honest members thrown out, or made to jump",
                self.tally.too_slow_honest.to_string(),
                "0, unless the generator paused for 0.3 s",
                self.tally.too_slow_honest == 0 || self.longest_pause > Duration::from_millis(300),
            ),
            told(
                "CPU of the server, second half",
                format!("{:.0} % of a core{is_pinned}", share * 100.0),
            ),
            judged(
                "connections, rooms; bytes of tapes, outboxes, inboxes, when all have left",
                join(&self.gauges),
                "all 0",
                self.gauges == [0; 5],
            ),
            judged(
                "descriptors, threads: before anybody came, when all have left",
                join(&self.empty),
                "equal",
                before(&self.empty),
            ),
            judged(
                "descriptors, threads: before the start, after the stop",
                join(&self.bare),
                "equal",
                before(&self.bare),
            ),
            judged(
                "stop of each engine, and connections that it cut",
                self.stops.each_ref().map(|stop| join(stop)).join("; "),
                "< 1,000 ms, 0 cut",
                self.stops
                    .iter()
                    .all(|stop| stop.len() == 2 && stop[0] < 1_000 && stop[1] == 0),
            ),
        ];
        let (heap_rise, heap) = figures::rise(&self.heap[self.heap.len() / 2..]);
        let text = format!("{:+.2} % of {:.1} MiB", heap_rise * 100.0, heap / MIB);
        rows.push(told(
            "heap in use over the second half, by its fitted line",
            text,
        ));
        rows.push(told(
            "heap before anybody came, when all have left",
            join(&self.heap_at_rest),
        ));
        let text = format!("{:+.2} % of {:.1} MiB", rise * 100.0, mean / MIB);
        // In a short run caches and pools are still filling.
        let what = "RSS over the second half, by its fitted line";
        rows.push(match self.smoke {
            true => told(what, text),
            false => judged(what, text, "<= 1 %", rise <= 0.01),
        });
        let is_half = (share - self.target_share).abs() < 0.1;
        if !self.smoke {
            rows.push(judged(
                "server at half load",
                format!("{share:.2}"),
                "0.4 to 0.6",
                is_half,
            ));
        }
        let did = [
            ("a slow peer thrown out", self.tally.thrown_out),
            ("a publication jumped over", self.count("lagged")),
            ("a storm", self.storms),
            ("a union", self.count("unions")),
            ("`/metrics`", self.scrapes),
        ];
        let missing: Vec<&str> = did
            .iter()
            .filter(|(_, n)| *n == 0)
            .map(|(what, _)| *what)
            .collect();
        let seen = if missing.is_empty() {
            "everything".into()
        } else {
            missing.join(", ")
        };
        let target = "nothing is missing";
        rows.push(judged(
            "seen at least once, or missing",
            seen,
            target,
            missing.is_empty(),
        ));
        rows
    }
}

fn join(numbers: &[u64]) -> String {
    let numbers = numbers.iter().map(|&number| thousands(number));
    numbers.collect::<Vec<_>>().join(", ")
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Prints the table, and writes it into a file; whether all targets are reached.
pub fn tell(outcome: &Outcome, markdown: Option<&Path>) -> Result<bool, Box<dyn Error>> {
    let rows: Vec<Row> = outcome.done().into_iter().chain(outcome.found()).collect();
    let mut text = format!(
        "`soak --seconds {}`{}, loopback.\n\n| figure | | target | verdict |\n|---|---|---|---|\n",
        outcome.asked_seconds,
        if outcome.smoke { ", smoke" } else { "" },
    );
    for row in &rows {
        let (target, verdict) = match row.target {
            None => ("", ""),
            Some((target, true)) => (target, "reached"),
            Some((target, false)) => (target, "MISSED"),
        };
        writeln!(
            text,
            "| {} | {} | {target} | {verdict} |",
            row.what, row.figure
        )?;
    }
    for fault in outcome.faults.iter().chain(&outcome.ended).take(20) {
        writeln!(text, "\nFAULT: {fault}")?;
    }
    println!("{text}");
    if let Some(file) = markdown {
        let page = std::fs::read_to_string(file)?;
        let (head, rest) = page.split_once(BEGIN).ok_or("no marker for the results")?;
        let (_, tail) = rest.split_once(END).ok_or("no marker behind the results")?;
        std::fs::write(file, format!("{head}{BEGIN}\n\n{text}\n{END}{tail}"))?;
    }
    Ok(rows
        .iter()
        .all(|row| row.target.is_none_or(|(_, is_reached)| is_reached)))
}
