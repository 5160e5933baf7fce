//! From runs to tables: ratios to the yardstick of the same repetition, medians with their spread,
//! complaints. In go results, out comes Markdown. Must never know processes or sockets.

use std::fs;
use std::path::Path;

use crate::plan::{Figure, Target};
use crate::probe;
use crate::servers;
use crate::tally::{Results, foreign_cores, server_cpu_ns};

/// Bun's ratio to the yardstick below which the yardstick, not Bun, is to blame.
const BUN_RATIO_MIN: f64 = 1.2;
const BEGIN: &str = "<!-- results: written by fanout -->";
const END: &str = "<!-- end of results -->";

pub struct Run {
    pub repetition: usize,
    pub server: String,
    pub results: Results,
}

pub struct Table {
    pub scenario: String,
    pub figure: Figure,
    pub target: Target,
    /// The yardstick first.
    pub servers: Vec<String>,
    pub runs: Vec<Run>,
}

/// The middle of some numbers, and their extremes.
struct Spread {
    low: f64,
    middle: f64,
    high: f64,
}

impl Spread {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted.get(part).copied().unwrap_or(f64::NAN);
        let middle = (at(sorted.len().saturating_sub(1) / 2) + at(sorted.len() / 2)) / 2.0;
        Self {
            low: at(0),
            middle,
            high: at(sorted.len().saturating_sub(1)),
        }
    }
}

impl Table {
    fn of<'a>(&'a self, server: &'a str) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.server == server)
    }

    fn spread(&self, server: &str, value: impl Fn(&Results) -> f64) -> Spread {
        Spread::of(self.of(server).map(|run| value(&run.results)))
    }

    /// A server's figures beside the yardstick's, each within its repetition.
    fn compared(&self, server: &str, compare: fn(f64, f64) -> f64) -> Spread {
        Spread::of(self.of(server).filter_map(|run| {
            let same = |other: &&Run| other.repetition == run.repetition;
            let yardstick = self.of(&self.servers[0]).find(same)?;
            Some(compare(run.results["figure"], yardstick.results["figure"]))
        }))
    }

    fn ratio(&self, server: &str) -> Spread {
        self.compared(server, |own, yardstick| own / yardstick)
    }

    pub fn markdown(&self) -> String {
        let mut text = format!(
            "### {}\n\n| server | {} | ratio | low-high | above yardstick | joined | p50 | p99 \
             | server busy | outside kernel | ksoftirqd | generator busy | others | notes |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
            self.scenario,
            self.figure.title(),
        );
        for server in &self.servers {
            text += &self.row(server);
        }
        text
    }

    /// Each run on a line of its own, for programs to read.
    pub fn lines(&self) -> String {
        let line = |run: &Run| {
            let pair = |(name, value): (&String, &f64)| format!(" {name}={value}");
            let pairs: String = run.results.iter().map(pair).collect();
            format!(
                "scenario={} repetition={} server={}{pairs}\n",
                self.scenario, run.repetition, run.server
            )
        };
        self.runs.iter().map(line).collect()
    }

    fn row(&self, server: &str) -> String {
        let figure = self.spread(server, |results| results["figure"]);
        let above = self.compared(server, |own, yardstick| own - yardstick);
        let ratio = self.ratio(server);
        let time = |name: &str| match self.spread(server, |r| r.get(name).copied().unwrap_or(0.0)) {
            Spread { middle: 0.0, .. } => String::from("-"),
            spread => Figure::Latency.show(spread.middle),
        };
        let share = |part: fn(&Results) -> f64| {
            format!("{:.0} %", 100.0 * self.spread(server, part).middle)
        };
        let cells = [
            self.figure.show(figure.middle),
            format!("{:.2}", ratio.middle),
            format!("{:.2}-{:.2}", ratio.low, ratio.high),
            self.figure.show(above.middle),
            self.joined(server),
            time("p50_ns"),
            time("p99_ns"),
            share(|r| server_cpu_ns(r) / r["wall_ns"]),
            share(|r| r["user_ns"] / r["server_ns"].max(1.0)),
            share(|r| r["soft_server_ns"] / server_cpu_ns(r).max(1.0)),
            share(|r| r.get("own_busy_ns").unwrap_or(&r["own_ns"]) / r["wall_ns"]),
            share(foreign_cores),
            self.notes(server, figure.middle, ratio.middle),
        ];
        format!("| {server} | {} |\n", cells.join(" | "))
    }

    /// Messages that a reader found at a time: about how many one `send()` carried.
    fn joined(&self, server: &str) -> String {
        let joined = |r: &Results| Some(r.get("deliveries")? / r.get("reads")?.max(1.0));
        let joined = self
            .spread(server, |r| joined(r).unwrap_or(f64::NAN))
            .middle;
        match joined.is_nan() {
            true => "-".into(),
            false => format!("{joined:.1}"),
        }
    }

    fn notes(&self, server: &str, figure: f64, ratio: f64) -> String {
        let mut notes = Vec::new();
        if server == "roomcast" {
            let (target, reached) = match self.target {
                Target::Ratio(most) => (format!("ratio {most:.2}"), ratio <= most),
                Target::Figure(most) => (self.figure.show(most), figure <= most),
            };
            notes.push(format!(
                "target {target} {}",
                if reached { "reached" } else { "missed" }
            ));
        }
        for (name, title) in [
            ("rss_growth_bytes", "RSS growth"),
            ("tcp_growth_bytes", "kernel growth"),
            ("send_queue_bytes", "send queues"),
        ] {
            if self.of(server).all(|run| run.results.contains_key(name)) {
                let spread = self.spread(server, |results| results[name]);
                notes.push(format!(
                    "{title} {:.1} MiB",
                    spread.middle / (1 << 20) as f64
                ));
            }
        }
        notes.extend(self.faults(server));
        notes.join(", ")
    }

    fn faults(&self, server: &str) -> Vec<String> {
        let names = [
            "lost",
            "doubled",
            "reordered",
            "closed",
            "held_back",
            "unsettled",
            "late",
        ];
        let sum = |name: &str| {
            let one = |run: &Run| run.results.get(name).copied().unwrap_or(0.0);
            (name.to_owned(), self.of(server).map(one).sum::<f64>())
        };
        let found = names.map(sum).into_iter().filter(|(_, count)| *count > 0.0);
        found
            .map(|(name, count)| format!("{name} {count}"))
            .collect()
    }

    /// What makes the run a failure.
    pub fn complaints(&self) -> Vec<String> {
        let complain = |server: &String| match self.faults(server) {
            none if none.is_empty() => None,
            some => Some(format!("{}, {server}: {}", self.scenario, some.join(", "))),
        };
        self.servers.iter().filter_map(complain).collect()
    }

    /// Why the yardstick cannot be trusted, if so.
    pub fn void(&self) -> Option<String> {
        let known = self.scenario == "fan64" && self.servers.iter().any(|server| server == "bun");
        let ratio = self.ratio("bun").middle;
        let text =
            format!("VOID: in fan64 Bun is at {ratio:.2} of coalesce, below {BUN_RATIO_MIN:.1}");
        (known && ratio < BUN_RATIO_MIN).then_some(text)
    }
}

/// Writes the report: between the markers of a file that has them, else as the whole file.
pub fn write(file: &Path, tables: &[Table], command: &str, peers: &Path) -> Result<(), String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let runs = tables.first().map_or(0, |table| {
        table
            .runs
            .iter()
            .map(|run| run.repetition + 1)
            .max()
            .unwrap_or(0)
    });
    let mut text = format!(
        "{BEGIN}\n\n`{command}`: Linux {}, {cores} cores, loopback, medians of {runs} interleaved \
         runs; {}. {}.\n\n",
        kernel.trim(),
        servers::peer_versions(peers),
        probe::describe(),
    );
    for table in tables {
        text += &format!("{}\n", table.markdown());
    }
    text += &tables
        .iter()
        .find_map(Table::void)
        .map_or(String::new(), |void| void + "\n\n");
    text += END;
    let old = fs::read_to_string(file).unwrap_or_default();
    let whole = match (old.split_once(BEGIN), old.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{text}{after}"),
        _ => format!("{text}\n"),
    };
    fs::write(file, whole).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(figures: &[(usize, &str, f64)]) -> Table {
        let run = |&(repetition, server, figure): &(usize, &str, f64)| {
            let results = Results::from([("figure".to_owned(), figure)]);
            Run {
                repetition,
                server: server.into(),
                results,
            }
        };
        let (figure, target) = (Figure::CpuPerDelivery, Target::Ratio(1.1));
        let servers = vec!["coalesce".into(), "bun".into()];
        let runs = figures.iter().map(run).collect();
        Table {
            scenario: "fan64".into(),
            figure,
            target,
            servers,
            runs,
        }
    }

    #[test]
    fn ratios_are_taken_within_a_repetition() {
        let table = table(&[
            (0, "coalesce", 100.0),
            (0, "bun", 130.0),
            (1, "bun", 300.0),
            (1, "coalesce", 200.0),
            (2, "coalesce", 50.0),
            (2, "bun", 60.0),
        ]);
        let ratio = table.ratio("bun");
        assert_eq!((ratio.low, ratio.middle, ratio.high), (1.2, 1.3, 1.5));
        assert!(table.void().is_none());
    }

    #[test]
    fn a_run_with_a_slow_yardstick_is_void() {
        let table = table(&[(0, "coalesce", 100.0), (0, "bun", 119.0)]);
        assert!(table.void().is_some_and(|text| text.contains("VOID")));
    }
}
