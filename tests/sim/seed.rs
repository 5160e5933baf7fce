//! Where a simulation's chances come from: one seed, printed, that can be given back.
//!
//! `ROOMCAST_SIM_SEED` sets it, `ROOMCAST_SIM_SECONDS` how long fresh ones are tried: half of that
//! by each scenario, since there are many and few run at a time. One thread.

use std::time::{Duration, Instant};

/// A small generator (xorshift64*), so that a seed means the same on every machine for ever.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    /// From a seed; 0 is as good as another.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// Runs a scenario from seed after seed: the given one and those behind it, until the time is
/// over, once at least. Prints the seed of a run that fails.
pub fn each_seed(scenario: impl Fn(Dice)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let first = number("ROOMCAST_SIM_SEED").unwrap_or(1);
    let seconds = number("ROOMCAST_SIM_SECONDS").unwrap_or(1);
    let until = Instant::now() + Duration::from_secs(seconds) / 2;
    for seed in first.. {
        let run = std::panic::AssertUnwindSafe(|| scenario(Dice::new(seed)));
        if let Err(panic) = std::panic::catch_unwind(run) {
            println!("failed with ROOMCAST_SIM_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
        if Instant::now() > until {
            println!("{} seeds from {first} on", seed - first + 1);
            return;
        }
    }
}
