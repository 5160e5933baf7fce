//! Sources of load inside the process, for the benches: only with the feature `internal-testing`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::prelude::*;
use roomcast::Config;
use roomcast::testing::Sim;

use crate::core::Core;
use crate::errors;
use crate::running::Running;

/// Frames that a connection is fed at a time.
const BURST: usize = 16;
/// Events that may wait before more is produced.
const WAITING_MAX: usize = 8192;

/// Messages from simulated connections, for the handlers of a running engine: they pass through
/// the very turn of a shard, on this thread, and no kernel.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub(crate) struct Flood {
    sim: Mutex<(Sim, Vec<u32>)>,
    running: Arc<Running>,
    burst: Vec<u8>,
}

#[pymethods]
impl Flood {
    #[new]
    #[pyo3(signature = (engine, connections=100, payload=64))]
    fn new(
        py: Python<'_>,
        engine: &Bound<'_, Core>,
        connections: usize,
        payload: usize,
    ) -> PyResult<Self> {
        let running = engine.get().running(py)?;
        let Some(door) = running.door() else {
            return Err(errors::usage(py, "the engine has ended"));
        };
        assert!(payload < 126, "short frames only");
        let mut frame = vec![0x82, 0x80 | payload as u8, 1, 2, 3, 4];
        frame.resize(6 + payload, b'x');
        let config = Config::new()
            .connection_events_max(u32::MAX)
            .events_max(usize::MAX)
            .ping_interval_ms(0);
        let mut sim = Sim::into_queue(config, door, &running.link.events);
        let all = (0..connections)
            .map(|_| sim.connect_null("/flood"))
            .collect();
        py.detach(|| sim.settle());
        Ok(Flood {
            sim: Mutex::new((sim, all)),
            running,
            burst: frame.repeat(BURST),
        })
    }

    /// Produces so many messages (a multiple of 16), as fast as they are taken. Returns the
    /// seconds until the last one was.
    fn run(&self, py: Python<'_>, messages: usize) -> f64 {
        py.detach(|| {
            let (sim, connections) = &mut *self.sim.lock();
            let events = &self.running.link.events;
            let began = Instant::now();
            let mut left = messages / BURST;
            while left > 0 {
                for &connection in connections.iter().take(left) {
                    sim.feed(connection, &self.burst);
                }
                left -= left.min(connections.len());
                sim.settle();
                while events.waiting() > WAITING_MAX {
                    std::thread::yield_now();
                }
            }
            while events.waiting() > 0 {
                std::thread::yield_now();
            }
            began.elapsed().as_secs_f64()
        })
    }
}

/// A thread that publishes to a room at a fixed rate, without Python: 64 bytes, of which the first
/// eight are the moment, in nanoseconds of CLOCK_MONOTONIC, little-endian.
#[pyclass(frozen, module = "roomcast._roomcast")]
pub(crate) struct Publisher {
    ends: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[pymethods]
impl Publisher {
    #[new]
    fn new(
        py: Python<'_>,
        engine: &Bound<'_, Core>,
        room: String,
        period_us: u64,
    ) -> PyResult<Self> {
        let running = engine.get().running(py)?;
        let ends = Arc::new(AtomicBool::new(false));
        let told = ends.clone();
        // Both clocks run alike: one look at both says how they stand to each other.
        let monotonic: u64 = py.import("time")?.call_method0("monotonic_ns")?.extract()?;
        let base = Instant::now();
        let thread = std::thread::spawn(move || {
            let period = Duration::from_micros(period_us);
            let mut due = Instant::now();
            while !told.load(Ordering::Relaxed) {
                due += period;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let now = monotonic + base.elapsed().as_nanos() as u64;
                let mut data = [0; 64];
                data[..8].copy_from_slice(&now.to_le_bytes());
                let _ = running.engine().publish(&room, &data);
            }
        });
        Ok(Publisher {
            ends,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends it, and waits for that.
    fn stop(&self, py: Python<'_>) {
        self.ends.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().take();
        py.detach(|| thread.map(JoinHandle::join));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}
