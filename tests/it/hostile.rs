//! Hostile peers: each load costs bounded memory and time, is counted, and disturbs nobody.
//!
//! In: one kind of load a test, over real sockets. Out: the figure that counts it, and an honest
//! member beside it who gets every message once and in order, all the while. Loads are sized for
//! debug builds; `benches/hostile` does the large ones and measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::PATIENCE;
use crate::house::{Open, until};

mod floods;
mod frames;
mod gone;
mod handshake;

/// The longest that an honest message may take, on a busy machine and in a debug build.
const SLOWEST: Duration = Duration::from_secs(5);

/// A member of the room `honest` and its publisher, on a thread of their own.
struct Honest {
    done: Arc<AtomicBool>,
    got: Arc<AtomicU64>,
    thread: JoinHandle<Duration>,
}

impl Honest {
    fn beside(house: &Open) -> Honest {
        let (mut member, _) = house.client("honest");
        let done = Arc::new(AtomicBool::new(false));
        let got = Arc::new(AtomicU64::new(0));
        let (stop, count, handle) = (done.clone(), got.clone(), house.engine.handle());
        let thread = thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let text = count.load(Ordering::Relaxed).to_string();
                let began = Instant::now();
                handle.publish("honest", &text).expect("it is taken");
                assert_eq!(member.text(), text, "each message once and in order");
                slowest = slowest.max(began.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
            }
            slowest
        });
        Honest { done, got, thread }
    }

    /// Waits until it has got some more: called while a load lasts.
    fn goes_on(&self) {
        let before = self.got.load(Ordering::Relaxed);
        let more = || self.got.load(Ordering::Relaxed) > before + 3;
        until("honest messages to go on", || {
            more() || self.thread.is_finished()
        });
        assert!(more(), "the honest member has given up");
    }

    fn end(self) {
        self.goes_on();
        self.done.store(true, Ordering::Relaxed);
        let slowest = self.thread.join().expect("all honest messages");
        assert!(slowest < SLOWEST, "an honest message took {slowest:?}");
    }
}

/// Goes on with a load, bit by bit, until the condition holds.
fn press(what: &str, mut bit: impl FnMut(), mut enough: impl FnMut() -> bool) {
    let late = Instant::now() + PATIENCE;
    while !enough() {
        assert!(Instant::now() < late, "{what} in time");
        bit();
    }
}
