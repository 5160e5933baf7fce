//! The engine's figures for the pages, as JSON: counters since the start, and what is held now.

use roomcast::Snapshot;

use crate::market::Market;
use crate::told::counts;

/// A sample of them.
pub fn sample(engine: &Snapshot, market: &Market) -> String {
    let figures = [
        ("publications", engine.publications),
        ("deliveries", engine.deliveries),
        ("writes", engine.writes),
        ("bytes_out", engine.bytes_out),
        ("conflated", engine.conflated),
        ("filtered", engine.filtered),
        ("filters_asked", engine.filters_asked),
        ("lagged", engine.lagged),
        ("replaced", engine.replaced),
        ("volatile_dropped", engine.volatile_dropped),
        ("too_slow", engine.too_slow),
        ("refused", engine.refused),
        ("intervals_widened", engine.intervals_widened),
        ("interval_steps", engine.interval_steps),
        ("memory_bytes", engine.memory_bytes),
        ("tape_bytes", engine.tape_bytes),
        ("outbox_bytes", engine.outbox_bytes),
    ];
    let figures = counts(&figures);
    let (offset, rate) = (market.offset(), market.rate());
    format!(r#"{{"type":"figures","offset":{offset},"rate":{rate},"engine":{{{figures}}}}}"#)
}
