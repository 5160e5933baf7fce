//! Rules about the repository as a whole: what stands at the top, and what must be there.
//!
//! Comes in: all files. Goes out: breaches that no single file could show.

use crate::{Breach, File};
use std::collections::BTreeSet;

const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".config",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "core",
    "deny.toml",
    "ffi",
    "include",
    "python",
    "rustfmt.toml",
    "tests",
];

/// Files that must be there, and words which must stand in them.
const MUST_SAY: &[(&str, &str)] = &[
    ("CHANGELOG.md", "Unreleased"),
    ("Cargo.lock", "name = \"roomcast\""),
    ("README.md", "tests/run"),
    ("ARCHITECTURE.md", "#"),
    ("CONTRIBUTING.md", "tests/run"),
    ("LICENSE", "Apache License"),
    ("LICENSE", "MIT License"),
    (".ci/run", "tests/run"),
    ("core/src/lib.rs", "#![deny(unsafe_code)]"),
];

pub(crate) fn check(files: &[File]) -> Vec<Breach> {
    let mut found = top_level(files);
    found.extend(must_say(files));
    found
}

fn top_level(files: &[File]) -> Vec<Breach> {
    let top = |file: &File| file.path.split('/').next().unwrap_or_default().to_string();
    let entries: BTreeSet<String> = files.iter().map(top).collect();
    let strangers = entries
        .into_iter()
        .filter(|entry| !TOP.contains(&entry.as_str()));
    strangers
        .map(|entry| {
            breach(
                "top-level",
                &entry,
                "it is not one of the top level's entries",
            )
        })
        .collect()
}

fn must_say(files: &[File]) -> Vec<Breach> {
    let said = |path: &str, words: &str| {
        files
            .iter()
            .any(|file| file.path == path && file.text.contains(words))
    };
    let missing = MUST_SAY.iter().filter(|(path, words)| !said(path, words));
    missing
        .map(|(path, words)| {
            breach(
                "must-say",
                path,
                &format!("it is to exist and say `{words}`"),
            )
        })
        .collect()
}

fn breach(rule: &'static str, path: &str, says: &str) -> Breach {
    let (path, item) = (path.to_string(), "-".to_string());
    Breach {
        rule,
        path,
        line: 0,
        item,
        says: says.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(changed: &str, text: &str) -> Vec<File> {
        let all: BTreeSet<&str> = MUST_SAY.iter().map(|(path, _)| *path).collect();
        let good = |path: &&str| -> String {
            let said = MUST_SAY.iter().filter(|(of, _)| of == path);
            said.map(|(_, words)| *words).collect::<Vec<_>>().join("\n")
        };
        let unchanged = all.iter().filter(|path| **path != changed);
        let mut files: Vec<File> = unchanged
            .map(|path| File {
                path: path.to_string(),
                text: good(path),
            })
            .collect();
        files.push(File {
            path: changed.to_string(),
            text: text.to_string(),
        });
        files
    }

    fn broken(changed: &str, text: &str) -> Vec<&'static str> {
        check(&files(changed, text))
            .iter()
            .map(|breach| breach.rule)
            .collect()
    }

    #[test]
    fn the_top_level_can_fail() {
        assert!(broken("core/a.rs", "").is_empty());
        assert_eq!(broken("notes.txt", ""), ["top-level"]);
        assert_eq!(broken("scratch/a.rs", ""), ["top-level"]);
    }

    #[test]
    fn what_must_be_said_can_fail() {
        assert_eq!(broken("CHANGELOG.md", "1.0"), ["must-say"]);
        assert_eq!(broken("core/src/lib.rs", "//! A crate."), ["must-say"]);
    }
}
