//! Filters beside the `cel` crate: random trees over random labels, and both give one verdict.
//!
//! An error of CEL's is no match. The seed is printed and can be given back, as in `smoke.rs`:
//! `FUZZ_SEED=123 FUZZ_ROUNDS=100000 cargo test --release --test filter_beside_cel`.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cel::{Context, Program};
use roomcast_fuzz::filters::{Bytes, Publication, Question};

const ROUNDS: u64 = 20_000;

#[test]
fn every_verdict_is_that_of_cel() {
    let clock = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |t| t.as_nanos() as u64)
    };
    let seed = setting("FUZZ_SEED").unwrap_or_else(clock);
    let rounds = setting("FUZZ_ROUNDS").unwrap_or(ROUNDS);
    println!("FUZZ_SEED={seed} FUZZ_ROUNDS={rounds}");
    let mut random = seed;
    let (mut compared, mut matched, mut unknown) = (0, 0, 0);
    for _ in 0..rounds {
        let input: Vec<u8> = (0..80).map(|_| next(&mut random) as u8).collect();
        let mut bytes = Bytes::new(&input);
        let publication = Publication::decode(&mut bytes);
        let question = Question::decode(&mut bytes);
        let filter = question.filter();
        let lawful = question.is_text() && !question.is_beyond_doubles();
        if filter.fault().is_some() || !lawful || question.depth() > 12 {
            continue;
        }
        let ours = filter.matches(&publication.labels(), &publication.data);
        for text in [filter.to_string(), question.spelled()] {
            let theirs = by_cel(&text, &publication);
            assert_eq!(
                ours,
                theirs == Some(true),
                "{text} of {publication:?}: {theirs:?}"
            );
            unknown += u64::from(theirs.is_none());
        }
        compared += 1;
        matched += u64::from(ours);
    }
    println!("{compared} compared, {matched} matched, {unknown} texts unknown");
    assert!(compared > rounds / 4 && matched > rounds / 20 && unknown > rounds / 20);
}

/// None is an error at evaluation. That a text is no CEL at all is a failure.
fn by_cel(text: &str, publication: &Publication) -> Option<bool> {
    let program = Program::compile(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut context = Context::default();
    // Of two tags with one name the first counts.
    let tags: HashMap<String, String> = publication.tags.iter().rev().cloned().collect();
    let mut own = HashMap::new();
    for (name, value) in [("event", &publication.event), ("key", &publication.key)] {
        if let Some(value) = value {
            own.insert(name.to_string(), value.clone());
            context
                .add_variable(name, value.clone())
                .expect("a good name");
        }
    }
    context.add_variable("tags", tags).expect("a good name");
    context
        .add_variable("publication", own)
        .expect("a good name");
    match program.execute(&context).ok()? {
        cel::Value::Bool(value) => Some(value),
        other => panic!("{text} is {other:?}"),
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

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
