//! The engine's figures twice a second, as a line for the pages, and two minutes of them.
//!
//! In: snapshots of the engine. Out: `s KEY=N ...`, all of it since the sample before.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;
use roomcast::{Engine, Snapshot};

use crate::boards::Boards;
use crate::users::Head;

/// Milliseconds between two samples.
pub const PERIOD_MS: u64 = 500;
const SAMPLES_MAX: usize = 240;

#[derive(Default)]
pub struct Meter(Mutex<Past>);

#[derive(Default)]
struct Past {
    number: u64,
    last: Option<(Instant, Snapshot)>,
    lines: VecDeque<String>,
}

impl Meter {
    /// The samples so far, a line each.
    pub fn history(&self) -> String {
        let past = self.0.lock();
        past.lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Another sample.
    pub fn sample(&self, engine: &Engine, boards: &Boards, head: &Head) -> String {
        let (now, snapshot) = (Instant::now(), engine.snapshot());
        let mut past = self.0.lock();
        past.number += 1;
        let (before, earlier) = past.last.take().unwrap_or((now, snapshot.clone()));
        let mut line = format!("s seq={}", past.number);
        figures(&mut line, &snapshot, &earlier, (now - before).as_secs_f64());
        let counts = boards.counts().map(|count| count.to_string()).join(",");
        let (synthetic, most) = (head.count.load(Ordering::Relaxed), head.most());
        let _ = write!(line, " synth={synthetic} synthmax={most} in={counts}");
        past.last = Some((now, snapshot));
        past.lines.push_back(line.clone());
        if past.lines.len() > SAMPLES_MAX {
            past.lines.pop_front();
        }
        line
    }
}

fn figures(line: &mut String, now: &Snapshot, before: &Snapshot, seconds: f64) {
    let rate = |now: u64, before: u64| ((now - before) as f64 / seconds.max(0.001)).round();
    let (frames, writes) = (
        now.deliveries - before.deliveries,
        now.writes - before.writes,
    );
    let flush = now.publish_to_flush.since(&before.publish_to_flush);
    let _ = write!(
        line,
        " rate={} pub={} writes={} fpw={:.2} p50={} p99={} conns={} lag={} slow={} refused={}",
        rate(now.deliveries, before.deliveries),
        rate(now.publications, before.publications),
        rate(now.writes, before.writes),
        frames as f64 / writes.max(1) as f64,
        flush.quantile_ns(0.5),
        flush.quantile_ns(0.99),
        now.connections,
        now.tape_bytes + now.outbox_bytes,
        now.too_slow,
        now.refused,
    );
}
