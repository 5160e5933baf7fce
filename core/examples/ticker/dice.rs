//! Chance for the prices. Nothing secret hangs on it.

use std::hash::{BuildHasher, RandomState};

/// A stream of numbers (xorshift64*), begun at random.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Dice(RandomState::new().hash_one(0u8) | 1)
    }

    /// From 0 up to, without, 1.
    pub fn share(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let roll = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        (roll >> 11) as f64 / (1u64 << 53) as f64
    }
}
