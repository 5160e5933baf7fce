//! What follows from elsewhere is generated and committed: the statuses, limits and figures of the
//! core as C sees them, and the header. These tests compare; `ROOMCAST_BLESS=1 cargo test -p
//! roomcast-ffi` writes them anew.

mod header;
mod lists;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Fails where a committed file is not what it should be, or writes it.
fn compare(path: &str, wanted: &str) {
    let file = root().join(path);
    let mut found = std::fs::read_to_string(&file).unwrap_or_default();
    // Left alone where it is right, since the header is made of these files at the same time.
    if found != wanted && std::env::var_os("ROOMCAST_BLESS").is_some() {
        std::fs::write(&file, wanted).expect("the file can be written");
        found = wanted.to_owned();
    }
    let lines = found.lines().zip(wanted.lines());
    let first = lines.clone().position(|(f, w)| f != w);
    let first = first.map_or("its length".into(), |n| format!("line {}", n + 1));
    assert!(
        found == wanted,
        "{path} is not up to date ({first}): ROOMCAST_BLESS=1 cargo test -p roomcast-ffi"
    );
}

#[test]
fn statuses_are_those_of_the_core() {
    compare("ffi/src/status.rs", &lists::statuses());
}

#[test]
fn limits_are_those_of_the_core() {
    compare("ffi/src/limits.rs", &lists::limits());
}

#[test]
fn figures_are_those_of_the_core() {
    compare("ffi/src/snapshot.rs", &lists::snapshot());
}

/// The header for C++ has each of them under its own name.
#[test]
fn statuses_and_limits_are_those_of_roomcast_hpp() {
    let file = root().join("include/roomcast.hpp");
    let text = std::fs::read_to_string(file).expect("the header is there");
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.trim_end_matches(','))
        .collect();
    let limits = roomcast::Limits::NAMES.iter();
    let limits = limits.map(|name| format!("    {name} = ROOMCAST_LIMIT_{}", name.to_uppercase()));
    let statuses = roomcast::Status::ALL.iter().map(|status| {
        let name = lists::snake(&format!("{status:?}"));
        format!("    {name} = ROOMCAST_STATUS_{}", name.to_uppercase())
    });
    for line in limits.chain(statuses) {
        assert!(
            lines.contains(&line.as_str()),
            "include/roomcast.hpp misses{line}"
        );
    }
}

#[test]
fn the_header_follows_from_the_sources() {
    compare("include/roomcast.h", &header::header());
}
