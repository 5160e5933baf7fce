//! The rooms that both processes know, and the dice. Plain values, any thread.

/// Slow peers and their rooms: long publications at a rate of their own, no unions.
pub const WIDE: std::ops::Range<u16> = 0..2;
const LARGE: std::ops::Range<u16> = 2..7;
const MEDIUM: std::ops::Range<u16> = 7..23;
const SMALL: std::ops::Range<u16> = 23..103;
/// Rooms of an engine.
pub const ROOMS: u16 = SMALL.end;

/// Whether the host holds the room, so that it outlives its members. The others come and go, and
/// are in no union.
pub fn is_held(room: u16) -> bool {
    !(SMALL.contains(&room) && room.is_multiple_of(2))
}

/// Whether unions have this room.
pub fn has_unions(room: u16) -> bool {
    is_held(room) && !WIDE.contains(&room)
}

/// A number generator that needs no more than a seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }

    fn of(&mut self, range: std::ops::Range<u16>) -> u16 {
        range.start + self.below(range.len()) as u16
    }

    pub fn wide(&mut self) -> u16 {
        self.of(WIDE)
    }

    /// A room to join: the larger the class, the fewer rooms share its members.
    pub fn room_to_join(&mut self) -> u16 {
        match self.below(10) {
            0..3 => self.of(LARGE),
            3..6 => self.of(MEDIUM),
            _ => self.of(SMALL),
        }
    }

    /// A room to publish to: the larger, the less often.
    pub fn room_to_publish(&mut self) -> u16 {
        match self.below(100) {
            0..4 => self.of(LARGE),
            4..36 => self.of(MEDIUM),
            _ => self.of(SMALL),
        }
    }
}
