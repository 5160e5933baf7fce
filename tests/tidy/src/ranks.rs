//! Which stage may know which, and who may know the world outside.
//!
//! Imports go from a higher rank to a lower one only; stages of one rank are strangers, except the
//! words of rank 0, which may use each other, and the face of rank 5, where each may use those
//! before it. Sockets, files, threads and the clock are known from rank 4 on. `sync.rs` alone names
//! where locks, atomics and shared pointers come from.

use crate::Breach;
use crate::source::{Path, Source};

const WORLD_RANK: u8 = 4;
const FACE_RANK: u8 = 5;

/// Every stage of core/src, lowest rank first; a new file needs its rank here.
const STAGES: &[(u8, &[&str])] = &[
    (
        0,
        &[
            "address",
            "alive",
            "auth",
            "close",
            "command",
            "config",
            "delivery",
            "durations",
            "error",
            "event",
            "exposition",
            "filter",
            "grants",
            "id",
            "identity",
            "join",
            "labels",
            "log",
            "metrics",
            "page",
            "payload",
            "request",
            "sync",
            "tls",
            "wanted",
        ],
    ),
    (1, &["transport", "dialect", "history", "outbound", "inbox"]),
    (2, &["rooms"]),
    (3, &["router"]),
    (4, &["shard", "edge"]),
    (FACE_RANK, &["handle", "wish", "host", "events", "engine"]),
    (6, &["lib", "manual", "testing"]),
];

const WORLD: &[&str] = &[
    "std::net",
    "std::thread",
    "std::fs",
    "std::process",
    "std::os",
    "mio",
    "socket2",
];
const CLOCK: &[&str] = &["Instant", "SystemTime"];
const SYNC: &[&str] = &[
    "std::sync",
    "core::sync",
    "alloc::sync",
    "parking_lot",
    "loom",
];

pub(crate) fn check(source: &Source) -> Vec<Breach> {
    let Some(own) = stage_of(&source.path) else {
        return Vec::new();
    };
    let Some(rank) = rank_of(own) else {
        let says = format!("`{own}` has no rank: name it in tests/tidy/src/ranks.rs");
        return vec![breach(source, "rank", 1, own, says)];
    };
    let code = |path: &Path| !source.is_test(path.line);
    let mut found = Vec::new();
    for path in source.paths().into_iter().filter(code) {
        if own != "lib" {
            found.extend(import(source, own, rank, &path));
        }
        let full = path.segments.join("::");
        if rank < WORLD_RANK && own != "sync" && names_world(&path.segments, &full) {
            let says = format!("`{full}`: only ranks 4 and up know sockets, threads and the clock");
            found.push(breach(source, "world", path.line, &full, says));
        }
        if own != "sync" && (starts(&full, SYNC) || full.starts_with("crossbeam")) {
            let says = format!("`{full}`: locks and shared pointers come from crate::sync");
            found.push(breach(source, "sync", path.line, &full, says));
        }
    }
    found
}

/// What is wrong with the import of `path` into the stage `own`.
fn import(source: &Source, own: &str, rank: u8, path: &Path) -> Option<Breach> {
    let other = target(&source.path, &path.segments)?;
    if other == own {
        return None;
    }
    let full = path.segments.join("::");
    if other.starts_with(|c: char| c.is_ascii_uppercase()) {
        let says = format!("`{full}`: name the stage that defines it, not the re-export");
        return Some(breach(source, "rank", path.line, other, says));
    }
    let theirs = rank_of(other)?;
    if theirs < rank || (theirs == rank && may_know_sibling(rank, own, other)) {
        return None;
    }
    let says = format!("{own} (rank {rank}) must not know {other} (rank {theirs})");
    Some(breach(source, "rank", path.line, other, says))
}

/// The stage that a path leads to, where it leads out of its own module at all.
fn target<'a>(file: &str, segments: &'a [String]) -> Option<&'a str> {
    if segments[0] == "crate" {
        return segments.get(1).map(String::as_str);
    }
    let supers = segments
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    (supers > 0 && supers == depth(file)).then(|| segments.get(supers).map(String::as_str))?
}

/// How many `super` lead from the file's module to the crate: 1 for `router.rs`.
fn depth(file: &str) -> usize {
    let parts = file.trim_start_matches("core/src/").split('/').count();
    if file.ends_with("/mod.rs") {
        parts - 1
    } else {
        parts
    }
}

fn stage_of(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("core/src/")?;
    inner
        .split('/')
        .next()
        .map(|first| first.trim_end_matches(".rs"))
}

fn rank_of(stage: &str) -> Option<u8> {
    STAGES
        .iter()
        .find(|(_, names)| names.contains(&stage))
        .map(|(rank, _)| *rank)
}

fn may_know_sibling(rank: u8, own: &str, other: &str) -> bool {
    let place = |stage| {
        STAGES
            .iter()
            .find_map(|(_, names)| names.iter().position(|name| *name == stage))
    };
    rank == 0 || (rank == FACE_RANK && place(other) < place(own))
}

fn names_world(segments: &[String], full: &str) -> bool {
    starts(full, WORLD)
        || segments
            .iter()
            .any(|segment| CLOCK.contains(&segment.as_str()))
}

fn starts(full: &str, list: &[&str]) -> bool {
    list.iter()
        .any(|name| full == *name || full.starts_with(&format!("{name}::")))
}

fn breach(source: &Source, rule: &'static str, line: usize, item: &str, says: String) -> Breach {
    Breach {
        rule,
        path: source.path.clone(),
        line,
        item: item.to_string(),
        says,
    }
}

#[cfg(test)]
mod tests {
    use crate::source::Source;

    fn broken(path: &str, text: &str) -> Vec<&'static str> {
        super::check(&Source::parse(path, text))
            .iter()
            .map(|breach| breach.rule)
            .collect()
    }

    #[test]
    fn imports_upward_and_between_strangers_are_found() {
        assert_eq!(
            broken("core/src/rooms/mod.rs", "use crate::router::Effect;"),
            ["rank"]
        );
        assert_eq!(
            broken("core/src/outbound/tape.rs", "use crate::transport::ws::X;"),
            ["rank"]
        );
        assert_eq!(
            broken("core/src/close.rs", "fn a() { crate::engine::stop() }"),
            ["rank"]
        );
        assert_eq!(
            broken("core/src/rooms/mod.rs", "use super::router::Effect;"),
            ["rank"]
        );
        assert_eq!(
            broken("core/src/rooms/groups.rs", "use super::super::shard::X;"),
            ["rank"]
        );
        assert_eq!(
            broken("core/src/router.rs", "use crate::{id::A, shard::{B, C}};"),
            ["rank"; 2]
        );
        assert_eq!(broken("core/src/router.rs", "use crate::Engine;"), ["rank"]);
        assert_eq!(
            broken("core/src/handle.rs", "use crate::events::Events;"),
            ["rank"]
        );
        assert_eq!(broken("core/src/stowaway.rs", ""), ["rank"]);
    }

    #[test]
    fn imports_downward_and_within_are_fine() {
        assert!(
            broken(
                "core/src/router.rs",
                "use crate::{id::A, rooms::B, outbound::C};"
            )
            .is_empty()
        );
        assert!(broken("core/src/event.rs", "use crate::id::A;").is_empty());
        assert!(broken("core/src/outbound/tape.rs", "use super::frame::Frame;").is_empty());
        assert!(broken("core/src/events.rs", "use crate::handle::Handle;").is_empty());
        assert!(broken("core/src/lib.rs", "pub use crate::engine::Engine;").is_empty());
        let test = "#[cfg(test)]\nmod tests {\n use crate::shard::X;\n use std::sync::Arc;\n}";
        assert!(broken("core/src/close.rs", test).is_empty());
    }

    #[test]
    fn the_world_is_known_from_rank_four_on() {
        for text in [
            "use std::net::TcpStream;",
            "use mio::Token;",
            "use std::{io, thread};",
        ] {
            assert_eq!(
                broken("core/src/transport/ws.rs", text),
                ["world"],
                "{text}"
            );
            assert!(broken("core/src/shard/mod.rs", text).is_empty(), "{text}");
        }
        assert_eq!(
            broken("core/src/router.rs", "fn a(now: std::time::Instant) {}"),
            ["world"]
        );
        assert!(broken("core/src/router.rs", "use std::time::Duration;").is_empty());
        assert!(broken("core/src/request.rs", "use core::net::SocketAddr;").is_empty());
    }

    #[test]
    fn sync_alone_names_the_primitives() {
        for text in [
            "use std::sync::Arc;",
            "use parking_lot::Mutex;",
            "use loom::thread;",
        ] {
            assert_eq!(broken("core/src/engine.rs", text), ["sync"], "{text}");
            assert!(broken("core/src/sync.rs", text).is_empty(), "{text}");
        }
        assert_eq!(
            broken("core/src/inbox.rs", "use crossbeam_queue::SegQueue;"),
            ["sync"]
        );
    }
}
