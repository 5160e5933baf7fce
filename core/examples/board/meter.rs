//! The engine's figures twice a second, as a line for the pages, and two minutes of them.
//!
//! In: snapshots of the engine, and what the system says of this process, synthetic users
//! included. Out: `s KEY=N ...`, all of it since the sample before.

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
    last: Option<(Instant, Snapshot, u64)>,
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
        let (now, snapshot, cpu) = (Instant::now(), engine.snapshot(), cpu_ms());
        let mut past = self.0.lock();
        past.number += 1;
        let last = past.last.take();
        let (before, earlier, used) = last.unwrap_or((now, snapshot.clone(), cpu));
        let mut line = format!("s seq={}", past.number);
        let seconds = (now - before).as_secs_f64();
        figures(&mut line, &snapshot, &earlier, seconds);
        let percent = (cpu - used) as f64 / 10.0 / seconds.max(0.001);
        let _ = write!(line, " cpu={percent:.1} mem={}", memory_bytes());
        let counts = boards.counts().map(|count| count.to_string()).join(",");
        let (synthetic, most) = (head.count.load(Ordering::Relaxed), head.most());
        let _ = write!(line, " synth={synthetic} synthmax={most} in={counts}");
        past.last = Some((now, snapshot, cpu));
        past.lines.push_back(line.clone());
        if past.lines.len() > SAMPLES_MAX {
            past.lines.pop_front();
        }
        line
    }
}

/// Milliseconds of CPU that this process has used; 0 where the system does not say.
fn cpu_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in parentheses, may hold spaces. Times are in hundredths of a second.
    let behind = text.rsplit_once(')').map_or("", |(_, behind)| behind);
    let times = behind.split_whitespace().skip(11).take(2);
    let ticks = times.filter_map(|ticks| ticks.parse::<u64>().ok());
    ticks.sum::<u64>() * 10
}

/// Bytes of this process in memory; 0 where the system does not say.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
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
