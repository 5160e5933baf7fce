//! The figures of a snapshot in the text format of Prometheus (exposition format 0.0.4).
//!
//! Names begin with `roomcast_` and end with their unit, counters with `_total`. Rank 0: text from
//! values, on any thread.

use std::fmt::Write;

use crate::metrics::{Durations, FORMS, Form, Snapshot};

/// What the text is served as.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Bounds of the histograms, powers of two from 2 us to 1 s: those of the engine's own buckets, so
/// that none is cut.
const BOUNDS_NS: std::ops::RangeInclusive<u32> = 11..=30;

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
        let mut text = String::with_capacity(16 * 1024);
        let about = Snapshot::TEXTS.iter().zip(FORMS);
        for ((name, value), (about, form)) in self.figures().into_iter().zip(about) {
            let (kind, end) = match form {
                Form::Counter => ("counter", "_total"),
                Form::Gauge => ("gauge", ""),
            };
            head(&mut text, &format!("{name}{end}"), kind, about.trim());
            line(&mut text, &format!("{name}{end}"), value);
        }
        head(
            &mut text,
            "closed_total",
            "counter",
            "Connections that ended.",
        );
        for (reason, count) in &self.closed {
            line(
                &mut text,
                &format!("closed_total{{reason=\"{reason}\"}}"),
                count,
            );
        }
        let turn = "How long turns of the shards took, without the wait.";
        histogram(&mut text, "turn_seconds", turn, &self.turn);
        let flush = "From publish until the members in step had been offered the publication.";
        histogram(
            &mut text,
            "publish_to_flush_seconds",
            flush,
            &self.publish_to_flush,
        );
        let small = "The same, of rooms with at most 64 members on their shard.";
        let name = "publish_to_flush_small_seconds";
        histogram(&mut text, name, small, &self.publish_to_flush_small);
        text
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

    #[test]
    fn every_figure_has_its_family() {
        let snapshot = Snapshot {
            closed: vec![("peer", 3)],
            deliveries: 7,
            ..Snapshot::default()
        };
        let text = snapshot.prometheus();
        for (name, _) in snapshot.figures() {
            assert!(
                text.contains(&format!("\n# TYPE roomcast_{name}")),
                "{name}"
            );
        }
        let lines = [
            "roomcast_deliveries_total 7",
            "roomcast_closed_total{reason=\"peer\"} 3",
            "roomcast_turn_seconds_bucket{le=\"+Inf\"} 0",
        ];
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }
}
