//! The figures of a snapshot in the text format of Prometheus (exposition format 0.0.4).
//!
//! Names begin with `roomcast_` and end with their unit, counters with `_total`. Rank 0: text from
//! values, on any thread.

use std::fmt::Write;

use crate::durations::Durations;
use crate::metrics::{FORMS, Form, Snapshot};

/// What the text is served as.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds of the histograms, powers of two from 2 us to 1 s: those of the engine's own buckets, so
/// that none is cut.
const BOUNDS_NS: std::ops::RangeInclusive<u32> = 11..=30;

/// What is shown of each shard, beside what is in nanoseconds.
const OF_SHARDS: [&str; 5] = [
    "connections",
    "messages_in",
    "publications",
    "deliveries",
    "bytes_out",
];

/// Bounds of the histogram under the names of other servers, in microseconds.
const WEBSOCKET_BOUNDS_US: [u64; 9] = [
    1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
];

impl Snapshot {
    /// The figures as Prometheus reads them (`text/plain; version=0.0.4`).
    ///
    /// ```
    /// # let engine = roomcast::Engine::start(roomcast::Config::new().shards(1), ())?;
    /// assert!(engine.snapshot().prometheus().contains("\nroomcast_connections 0\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut text = String::with_capacity(24 * 1024);
        for (name, value, form, about) in self.plain() {
            match (split(name), form) {
                (Split::Rejected(_), _) => {}
                (Split::Nanoseconds(base), _) => {
                    let name = format!("{base}_seconds_total");
                    head(
                        &mut text,
                        &name,
                        "counter",
                        &about.replace("Nanoseconds", "Seconds"),
                    );
                    for (shard, one) in self.shards.iter().enumerate() {
                        let value = one.figure(base, "_ns") as f64 / 1e9;
                        line(&mut text, &format!("{name}{{shard=\"{shard}\"}}"), value);
                    }
                }
                (Split::Whole, Form::Counter) => {
                    head(&mut text, &format!("{name}_total"), "counter", about);
                    line(&mut text, &format!("{name}_total"), value);
                }
                (Split::Whole, Form::Gauge) => {
                    head(&mut text, name, "gauge", about);
                    line(&mut text, name, value);
                }
            }
        }
        self.by_reason(&mut text);
        self.by_shard(&mut text);
        let turn = "How long turns of the shards took, without the wait.";
        histogram(&mut text, "turn_seconds", turn, &self.turn);
        let lag = "From publish until a turn of its shard took the publication from the inbox.";
        histogram(&mut text, "turn_lag_seconds", lag, &self.turn_lag);
        let flush = "From publish until the members in step had been offered the publication.";
        let name = "publish_to_flush_seconds";
        histogram(&mut text, name, flush, &self.publish_to_flush);
        let small = "The same, of rooms with at most 64 members on their shard.";
        let name = "publish_to_flush_small_seconds";
        histogram(&mut text, name, small, &self.publish_to_flush_small);
        if self.websocket_names {
            self.other_names(&mut text);
        }
        text
    }

    /// Name, value, form and meaning of each plain figure.
    fn plain(&self) -> impl Iterator<Item = (&'static str, u64, Form, &'static str)> {
        let about = Snapshot::TEXTS.iter().zip(FORMS);
        let figures = self.figures().into_iter().zip(about);
        figures.map(|((name, value), (about, form))| (name, value, *form, about.trim()))
    }

    /// A plain figure by its name, which is given in two parts.
    fn figure(&self, base: &str, end: &str) -> u64 {
        let mut all = self.figures().into_iter();
        let found = all.find(|(name, _)| name.strip_suffix(end) == Some(base));
        found.map_or(0, |(_, value)| value)
    }

    fn by_reason(&self, text: &mut String) {
        let about = "Connections turned away, each under one reason.";
        head(text, "rejected_total", "counter", about);
        for (name, value, ..) in self.plain() {
            if let Split::Rejected(reason) = split(name) {
                line(
                    text,
                    &format!("rejected_total{{reason=\"{reason}\"}}"),
                    value,
                );
            }
        }
        head(text, "closed_total", "counter", "Connections that ended.");
        for (reason, count) in &self.closed {
            line(text, &format!("closed_total{{reason=\"{reason}\"}}"), count);
        }
    }

    fn by_shard(&self, text: &mut String) {
        let shown = self.plain().filter(|(name, ..)| OF_SHARDS.contains(name));
        for (name, _, form, about) in shown {
            let (kind, end) = match form {
                Form::Counter => ("counter", "_total"),
                Form::Gauge => ("gauge", ""),
            };
            head(text, &format!("shard_{name}{end}"), kind, about);
            for (shard, one) in self.shards.iter().enumerate() {
                let label = format!("shard_{name}{end}{{shard=\"{shard}\"}}");
                line(text, &label, one.figure(name, ""));
            }
        }
    }

    /// What `Config::websocket_metrics` promises.
    fn other_names(&self, text: &mut String) {
        const MESSAGES: &str = "websocket_messages_total";
        const DURATION: &str = "websocket_message_duration_seconds";
        let connections = self.connections;
        let mut put = |line: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
        };
        put(format_args!(
            "# HELP websocket_connections_total Connections now.\n\
             # TYPE websocket_connections_total gauge\n\
             websocket_connections_total {connections}\n\
             # HELP {MESSAGES} Messages by what was done with them.\n\
             # TYPE {MESSAGES} counter"
        ));
        let types = [
            ("in", self.messages_in),
            ("out", self.deliveries),
            ("publish", self.publications),
            ("send", self.sends),
        ];
        for (of, count) in types {
            put(format_args!("{MESSAGES}{{event_type=\"{of}\"}} {count}"));
        }
        put(format_args!(
            "# HELP {DURATION} From publish until the members in step had been offered it.\n\
             # TYPE {DURATION} histogram"
        ));
        let took = &self.publish_to_flush;
        for bound in WEBSOCKET_BOUNDS_US {
            let (seconds, count) = (bound as f64 / 1e6, took.up_to(bound * 1_000));
            put(format_args!(
                "{DURATION}_bucket{{le=\"{seconds}\"}} {count}"
            ));
        }
        let (sum, count) = (took.sum_ns() as f64 / 1e9, took.count());
        put(format_args!(
            "{DURATION}_bucket{{le=\"+Inf\"}} {count}\n\
             {DURATION}_sum {sum}\n{DURATION}_count {count}"
        ));
    }
}

/// What a figure's name says about the family that it belongs to.
enum Split<'a> {
    Whole,
    /// One reason of those for which connections are turned away.
    Rejected(&'a str),
    /// Shown in seconds, for each shard.
    Nanoseconds(&'a str),
}

fn split(name: &str) -> Split<'_> {
    match (name.strip_prefix("rejected_"), name.strip_suffix("_ns")) {
        // All reasons together, so no reason.
        (Some("http"), _) => Split::Whole,
        (Some(reason), _) => Split::Rejected(reason),
        (None, Some(base)) => Split::Nanoseconds(base),
        (None, None) => Split::Whole,
    }
}

fn head(text: &mut String, name: &str, kind: &str, about: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "# HELP roomcast_{name} {about}\n# TYPE roomcast_{name} {kind}"
    );
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "roomcast_{name} {value}");
}

fn histogram(text: &mut String, name: &str, about: &str, durations: &Durations) {
    head(text, name, "histogram", about);
    let buckets = durations.buckets();
    for power in BOUNDS_NS {
        let bound = 1u64 << power;
        let below = buckets.iter().filter(|(upper, _)| *upper <= bound);
        let count: u64 = below.map(|(_, count)| count).sum();
        let label = format!("{name}_bucket{{le=\"{}\"}}", bound as f64 / 1e9);
        line(text, &label, count);
    }
    line(
        text,
        &format!("{name}_bucket{{le=\"+Inf\"}}"),
        durations.count(),
    );
    line(
        text,
        &format!("{name}_sum"),
        durations.sum_ns() as f64 / 1e9,
    );
    line(text, &format!("{name}_count"), durations.count());
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let shard = |cpu_ns| Snapshot {
            cpu_ns,
            deliveries: cpu_ns / 1_000_000,
            ..Snapshot::default()
        };
        Snapshot {
            closed: vec![("peer", 3)],
            deliveries: 7,
            rejected_origin: 2,
            rejected_http: 2,
            shards: vec![shard(1_500_000_000), shard(250_000_000)],
            ..Snapshot::default()
        }
    }

    #[test]
    fn every_figure_has_its_family() {
        let text = snapshot().prometheus();
        for (name, ..) in snapshot().plain() {
            let shown = match split(name) {
                Split::Whole => format!("\n# TYPE roomcast_{name}"),
                Split::Rejected(reason) => {
                    format!("\nroomcast_rejected_total{{reason=\"{reason}\"}} ")
                }
                Split::Nanoseconds(base) => format!("\n# TYPE roomcast_{base}_seconds_total"),
            };
            assert!(text.contains(&shown), "{name}: {shown}");
        }
        let lines = [
            "roomcast_deliveries_total 7",
            "roomcast_closed_total{reason=\"peer\"} 3",
            "roomcast_rejected_total{reason=\"origin\"} 2",
            "roomcast_rejected_http_total 2",
            "roomcast_cpu_seconds_total{shard=\"0\"} 1.5",
            "roomcast_cpu_seconds_total{shard=\"1\"} 0.25",
            "roomcast_shard_deliveries_total{shard=\"1\"} 250",
            "roomcast_turn_lag_seconds_count 0",
            "roomcast_turn_seconds_bucket{le=\"+Inf\"} 0",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
        assert!(!text.contains("websocket_"), "only where it is asked for");
    }

    #[test]
    fn each_family_is_headed_once_and_its_lines_stand_together() {
        let all = Snapshot {
            websocket_names: true,
            ..snapshot()
        };
        let text = all.prometheus();
        let mut families = Vec::new();
        let mut now = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                now = rest.split(' ').next().unwrap();
                assert!(!families.contains(&now), "{now}");
                families.push(now);
            } else if !line.starts_with('#') {
                assert!(line.starts_with(now), "{line} in {now}");
            }
        }
    }

    #[test]
    fn dashboards_of_other_servers_find_their_names() {
        let all = Snapshot {
            connections: 5,
            messages_in: 9,
            websocket_names: true,
            ..snapshot()
        };
        let text = all.prometheus();
        let lines = [
            "# TYPE websocket_connections_total gauge",
            "websocket_connections_total 5",
            "websocket_messages_total{event_type=\"in\"} 9",
            "websocket_messages_total{event_type=\"out\"} 7",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
        let bounds = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("websocket_message_duration_seconds_bucket{le=\"")?;
            rest.split('"').next()
        });
        let expected = "0.001 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 +Inf";
        assert_eq!(bounds.collect::<Vec<_>>().join(" "), expected);
    }
}
