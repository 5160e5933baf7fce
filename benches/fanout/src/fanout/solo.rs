//! The scenarios that are no fan-out: idle connections, connect-close cycles, memory after
//! everybody left. In go counts, out come results. Must never know which server answers. One
//! thread.

use std::iter;
use std::thread;
use std::time::Duration;

use roomcast_fanout::clocks::{self, now_ns};
use roomcast_fanout::greet;
use roomcast_fanout::sys::{self, Fd, READ};
use roomcast_fanout::wire;

use crate::drive::Setting;
use crate::tally::{Meter, Results};

/// Connections made before the idle ones are counted, so that code and first buffers are in.
const FIRST: usize = 100;
const ROOM_SIZE: usize = 100;
const TALK: usize = 10;
const TALK_BYTES: usize = 64;

/// `count` idle connections in one room: resident bytes for each.
pub fn idle(count: usize, setting: &Setting, meter: &Meter) -> Result<Results, String> {
    let mut results = Results::new();
    let start = meter.sample();
    let first = greet::open_all(setting.port, iter::repeat_n("/room/idle", FIRST))?;
    let before = settled_rss(setting.pid);
    let rest = greet::open_all(setting.port, iter::repeat_n("/room/idle", count - FIRST))?;
    let after = settled_rss(setting.pid);
    meter.sample().report_since(&start, &mut results);
    let growth = after.saturating_sub(before) as f64;
    results.insert("bytes_per_connection".into(), growth / rest.len() as f64);
    results.insert("connections".into(), (first.len() + rest.len()) as f64);
    Ok(results)
}

/// Connect, join, close, `many` at a time, until the window is over.
pub fn cycles(many: usize, setting: &Setting, meter: &Meter) -> Result<Results, String> {
    let (mut results, mut cycles, mut late) = (Results::new(), 0, 0);
    let mut until = |end: u64| -> Result<usize, String> {
        let from = cycles;
        while now_ns() < end {
            let open = greet::open_all(setting.port, iter::repeat_n("/room/cycle", many))?;
            late += greet::close_all(&open);
            cycles += open.len();
        }
        Ok(cycles - from)
    };
    until(now_ns() + setting.warmup_ns)?;
    let start = meter.sample();
    let measured = until(now_ns() + setting.window_ns)?;
    meter.sample().report_since(&start, &mut results);
    results.insert("cycles".into(), measured as f64);
    results.insert("late".into(), late as f64);
    Ok(results)
}

/// `count` members come, talk and leave, twice: RSS after the second time to that after the first.
pub fn churn(count: usize, setting: &Setting, meter: &Meter) -> Result<Results, String> {
    let (mut results, mut late, mut lost) = (Results::new(), 0, 0);
    let start = meter.sample();
    let mut rss = [0; 2];
    for after in &mut rss {
        let paths: Vec<String> = (0..count)
            .map(|at| format!("/room/c{}", at / ROOM_SIZE))
            .collect();
        let open = greet::open_all(setting.port, paths.iter().map(String::as_str))?;
        lost += open.chunks(ROOM_SIZE).map(talk).sum::<usize>();
        late += greet::close_all(&open);
        *after = settled_rss(setting.pid);
    }
    meter.sample().report_since(&start, &mut results);
    results.insert("rss_ratio".into(), rss[1] as f64 / rss[0].max(1) as f64);
    results.insert("rss_bytes".into(), rss[1] as f64);
    results.insert("lost".into(), lost as f64);
    results.insert("late".into(), late as f64);
    Ok(results)
}

/// The first of a room publishes, all read; returns how many bytes did not come.
fn talk(room: &[Fd]) -> usize {
    let (mut frames, mut answer) = (Vec::new(), Vec::new());
    for _ in 0..TALK {
        wire::push_masked(&mut frames, wire::BINARY, [1, 2, 3, 4], &[b'.'; TALK_BYTES]);
        wire::push_frame(&mut answer, wire::BINARY, &[b'.'; TALK_BYTES]);
    }
    let _ = sys::send(room[0], &frames);
    let missing = |&fd: &Fd| {
        let (mut buf, mut left) = (vec![0; answer.len()], answer.len());
        while left > 0 && sys::ready(fd, READ, 1_000) {
            match sys::recv(fd, &mut buf[..left]) {
                Ok(0) | Err(sys::Stop::Gone) => break,
                Ok(len) => left -= len,
                Err(sys::Stop::Block) => {}
            }
        }
        left
    };
    room.iter().map(missing).sum()
}

/// RSS once it has not changed for a while.
fn settled_rss(pid: u32) -> u64 {
    let (mut last, mut same) = (0, 0);
    for _ in 0..50 {
        let rss = clocks::rss_bytes(pid);
        same = if rss == last { same + 1 } else { 0 };
        last = rss;
        if same == 4 {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    last
}
