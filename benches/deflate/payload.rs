//! The messages: JSON of a kilobyte, as an application might publish it, no two alike.
//!
//! In: a number. Out: its message, the same in each process. Any thread.

use std::fmt::Write;

const BYTES: usize = 1_000;

const WORDS: [&str; 48] = [
    "about", "again", "almost", "answer", "before", "board", "bring", "caught", "change", "clear",
    "corner", "evening", "follow", "garden", "green", "harbour", "honest", "kitchen", "letter",
    "little", "market", "maybe", "meeting", "minute", "morning", "nobody", "offer", "paper",
    "picture", "please", "quarter", "question", "ready", "river", "second", "share", "someone",
    "station", "still", "street", "summer", "table", "there", "ticket", "together", "tomorrow",
    "winter", "yellow",
];
const NAMES: [&str; 12] = [
    "ada", "björn", "chloé", "dmitri", "esra", "fatima", "goran", "hanna", "ivo", "jun", "kofi",
    "lena",
];
const KINDS: [&str; 5] = ["note", "cursor", "edit", "reaction", "comment"];

/// The `nth` message.
pub fn json(nth: u64) -> String {
    let mut dice = Dice(nth);
    let mut out = format!(
        r#"{{"type":"batch","room":"board-{}","seq":{nth},"events":["#,
        dice.below(9_000)
    );
    while out.len() < BYTES {
        let separator = if out.ends_with('[') { "" } else { "," };
        let (kind, name) = (dice.pick(&KINDS), dice.pick(&NAMES));
        let id = dice.next();
        let (x, y) = (dice.below(200_000), dice.below(120_000));
        write!(
            out,
            r#"{separator}{{"id":"{id:016x}","kind":"{kind}","by":"{name}","at":{},"#,
            1_790_000_000_000 + nth * 137 + dice.below(100),
        )
        .and_then(|()| {
            let (x, y) = (x as f64 / 100.0, y as f64 / 100.0);
            write!(out, r#""x":{x},"y":{y},"text":"{}"}}"#, text(&mut dice))
        })
        .expect("a String takes all");
    }
    out.push_str("]}");
    out
}

fn text(dice: &mut Dice) -> String {
    let words = (0..2 + dice.below(8)).map(|_| dice.pick(&WORDS));
    words.collect::<Vec<_>>().join(" ")
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len() as u64) as usize]
    }
}
