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
    if std::env::var_os("ROOMCAST_BLESS").is_some() {
        std::fs::write(&file, wanted).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
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

#[test]
fn the_header_follows_from_the_sources() {
    compare("include/roomcast.h", &header::header());
}
