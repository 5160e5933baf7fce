//! Chance for names, colours and the ways of synthetic users. Nothing secret hangs on it.

use std::hash::{BuildHasher, RandomState};

/// A stream of numbers (xorshift64*), begun at random.
pub struct Dice(u64);

impl Dice {
    pub fn new() -> Self {
        Dice(RandomState::new().hash_one(0u8) | 1)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 up to, without, 1.
    pub fn share(&mut self) -> f32 {
        (self.roll() >> 40) as f32 / (1u32 << 24) as f32
    }

    pub fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[(self.roll() >> 32) as usize % choices.len()]
    }

    /// A colour, as degrees of hue.
    pub fn hue(&mut self) -> u16 {
        (self.share() * 360.0) as u16
    }

    pub fn name(&mut self) -> String {
        format!("{} {}", self.of(&MANNERS), self.of(&ANIMALS))
    }
}

const MANNERS: [&str; 24] = [
    "Amber", "Bold", "Brisk", "Calm", "Clever", "Cosy", "Daring", "Early", "Eager", "Gentle",
    "Golden", "Humble", "Jolly", "Keen", "Lucky", "Mellow", "Merry", "Nimble", "Patient", "Quiet",
    "Silver", "Steady", "Sunny", "Witty",
];
const ANIMALS: [&str; 24] = [
    "Badger", "Beaver", "Bison", "Crane", "Dolphin", "Falcon", "Finch", "Fox", "Gecko", "Heron",
    "Ibex", "Jackdaw", "Koala", "Lynx", "Marten", "Newt", "Otter", "Owl", "Panda", "Quail",
    "Raven", "Seal", "Swift", "Wombat",
];
