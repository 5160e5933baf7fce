//! What a member asked for of a room, and the labels by which a message is decided on.
//!
//! In: bytes of an input. Out: the same to the engine, as a way to join, and to the model, as a
//! question about a message's number. Plain values.

use roomcast::{Filter, Join};

const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];

/// Bytes of each message's labels.
pub const BYTES: usize = "k0".len() + "odd".len() + "0".len();

/// The key of a message, and the value of its tag `odd`.
pub fn labels(number: usize) -> (&'static str, &'static str) {
    (KEYS[number % KEYS.len()], ["0", "1"][number / 2 % 2])
}

/// How a member joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    #[default]
    All,
    /// Messages with this value of the tag.
    Odd(usize),
    /// A bit for each key.
    Keys(u8),
}

impl Asked {
    pub fn from_byte(byte: u8) -> Asked {
        match byte >> 3 & 3 {
            0 => Asked::All,
            1 => Asked::Odd(usize::from(byte >> 5 & 1)),
            _ => Asked::Keys(byte >> 4),
        }
    }

    pub fn wants(self, number: usize) -> bool {
        match self {
            Asked::All => true,
            Asked::Odd(odd) => number / 2 % 2 == odd,
            Asked::Keys(keys) => keys >> (number % KEYS.len()) & 1 != 0,
        }
    }

    pub fn is_watching(self) -> bool {
        matches!(self, Asked::Keys(_))
    }

    pub fn join(self) -> Join {
        match self {
            Asked::All => Join::new(),
            Asked::Odd(odd) => Join::new().filter(Filter::eq("odd", ["0", "1"][odd])),
            Asked::Keys(keys) => Join::new().keys(names(keys)),
        }
    }
}

/// The keys of a set.
pub fn names(keys: u8) -> impl Iterator<Item = &'static str> {
    let is_in = move |n: &usize| keys >> n & 1 != 0;
    (0..KEYS.len()).filter(is_in).map(|n| KEYS[n])
}
