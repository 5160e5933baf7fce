//! All targets over the kept corpus, then over mutations of it: bounded, on stable Rust.
//!
//! The seed is printed and can be given back: `FUZZ_SEED=123 FUZZ_ROUNDS=100000 cargo test`. An
//! input that fails is printed in hex; kept as a file in `corpus/`, it is a test from then on.

use std::panic::catch_unwind;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use roomcast_fuzz::{TARGETS, Target};

const ROUNDS: u64 = 100_000;
const INPUT_BYTES_MAX: usize = 2_048;
/// Targets that run a whole engine on each input get one round where the others get so many.
const DEAR: (&[&str], u64) = (&["rooms"], 50);

#[test]
fn the_corpus_does_no_harm() {
    for target in TARGETS {
        for input in corpus(target) {
            attempt(target, &input);
        }
    }
}

#[test]
fn mutations_of_the_corpus_do_no_harm() {
    let clock = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |t| t.as_nanos() as u64)
    };
    let seed = setting("FUZZ_SEED").unwrap_or_else(clock);
    let rounds = setting("FUZZ_ROUNDS").unwrap_or(ROUNDS);
    println!("FUZZ_SEED={seed} FUZZ_ROUNDS={rounds}");
    for target in TARGETS {
        let mut random = Random(seed);
        let kept = corpus(target);
        // Two rules are broken only in two steps, so some mutations are built upon. Half of all
        // still start from the corpus: else the inputs would wear away to nothing.
        let mut grown = kept.clone();
        let share = if DEAR.0.contains(&target.0) {
            DEAR.1
        } else {
            1
        };
        for _ in 0..rounds / share {
            let base = if random.below(2) == 0 { &kept } else { &grown };
            let input = mutate(random.pick::<Vec<u8>>(base), &kept, &mut random);
            attempt(target, &input);
            if random.below(20) == 0 {
                let at = random.below(grown.len());
                grown[at] = input;
            }
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is to be a number, not {value:?}")),
    )
}

fn attempt((name, _, run): &Target, input: &[u8]) {
    if catch_unwind(|| run(input)).is_err() {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("target {name} failed on {hex}");
    }
}

fn corpus((name, folder, _): &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(folder);
    let mut paths: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus for {name}");
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn mutate(base: &[u8], others: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = base.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(7) {
            0 => input.insert(at, random.byte()),
            1 => drop(input.drain(at..(at + random.below(8)).min(input.len()))),
            2 => input.truncate(at),
            3 => {
                let other = random.pick(others);
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            4 => {
                let end = (at + random.below(40)).min(input.len());
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            kind => {
                let byte = if kind == 5 {
                    random.byte()
                } else {
                    1 << random.below(8)
                };
                if let Some(there) = input.get_mut(at) {
                    *there ^= byte;
                }
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// SplitMix64: small, seedable, good enough to choose mutations.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        // Bytes that mean something in a frame's header or in UTF-8 come up often.
        const TELLING: [u8; 12] = [0, 1, 2, 9, 0x80, 0x81, 0x88, 0xfe, 0xff, 0xc3, 0xe2, b'\n'];
        match self.below(2) {
            0 => TELLING[self.below(TELLING.len())],
            _ => self.next() as u8,
        }
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
