//! The engine's figures: a struct of them, and the text that Prometheus reads.

use roomcast::{Durations, Status};

use crate::boundary::{Out, OutGrowing, give, place};
use crate::engine::{engine_guard, roomcast_engine};
use crate::lists::roomcast_text;
use crate::snapshot::{roomcast_snapshot, snapshot};
use crate::status::roomcast_status;

/// How long something took, in nanoseconds: upper bounds of shares of all that were recorded since
/// the start. This struct never grows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct roomcast_durations {
    /// How many were recorded.
    pub count: u64,
    /// Half of them took at most so long.
    pub p50_ns: u64,
    /// Nine of ten.
    pub p90_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// All of them.
    pub max_ns: u64,
}

impl From<&Durations> for roomcast_durations {
    fn from(durations: &Durations) -> Self {
        roomcast_durations {
            count: durations.count(),
            p50_ns: durations.quantile_ns(0.5),
            p90_ns: durations.quantile_ns(0.9),
            p99_ns: durations.quantile_ns(0.99),
            max_ns: durations.quantile_ns(1.0),
        }
    }
}

/// The engine's figures at one moment.
///
/// @param figures with `struct_size` set; gets the figures
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_snapshot(
    engine: Option<&roomcast_engine>,
    figures: OutGrowing<roomcast_snapshot>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let size = figures.size()?;
        let mut all = snapshot(&engine.handle().snapshot());
        all.struct_size = size;
        figures.write(size, all);
        Ok(())
    })
}

/// The figures of one shard alone, to see which one is hot. `rooms`, `refused`, `reports_dropped`,
/// `event_bytes` and `history_bytes` are the engine's and 0 here.
///
/// @param shard from 0 on
/// @param figures with `struct_size` set; gets the figures
/// @return `ROOMCAST_STATUS_INVALID_ARGUMENT` also where there is no such shard
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_shard_snapshot(
    engine: Option<&roomcast_engine>,
    shard: usize,
    figures: OutGrowing<roomcast_snapshot>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let size = figures.size()?;
        let all = engine.handle().snapshot();
        let mut one = snapshot(all.shards.get(shard).ok_or(Status::InvalidArgument)?);
        one.struct_size = size;
        figures.write(size, one);
        Ok(())
    })
}

/// The engine's figures as Prometheus reads them (`text/plain; version=0.0.4`), with what each is.
///
/// @param text gets them, to be let go of by `roomcast_text_free`
#[unsafe(no_mangle)]
pub extern "C" fn roomcast_engine_metrics(
    engine: Option<&roomcast_engine>,
    text: Out<'_, Box<roomcast_text>>,
) -> roomcast_status {
    engine_guard(engine, |engine| {
        let figures = engine.handle().snapshot().prometheus();
        give(place(text)?, roomcast_text::new(figures));
        Ok(())
    })
}
