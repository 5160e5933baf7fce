//! The house rules that a machine can check, and the proof that each check can fail.
//!
//! Comes in: the text of every file. Goes out: breaches, each with file, line and rule. `source`
//! splits Rust text into code and comments; `ranks`, `code`, `text` and `whole` hold the rules;
//! `allow` holds the exceptions, each with its reason; `tree` alone touches files.

pub mod allow;
mod code;
mod ranks;
mod source;
mod text;
pub mod tree;
mod whole;

use source::Source;
use std::fmt;

/// One file of the repository: its path from the top, with `/`, and its text.
#[derive(Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    pub rule: &'static str,
    pub path: String,
    /// Counted from 1; 0 where the whole file is meant.
    pub line: usize,
    /// What an exception has to name: a function, a word, or `-`.
    pub item: String,
    pub says: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Breach {
            rule,
            path,
            line,
            item,
            says,
        } = self;
        write!(out, "{path}:{line}: {says} [{rule} {item}]")
    }
}

/// Every breach in the tree, exceptions not yet taken into account.
pub fn check(files: &[File]) -> Vec<Breach> {
    let mut breaches = whole::check(files);
    for file in files {
        breaches.extend(text::check(file));
        if file.path.ends_with(".rs") {
            let source = Source::parse(&file.path, &file.text);
            breaches.extend(code::check(&source));
            breaches.extend(ranks::check(&source));
        }
    }
    breaches
}

/// The rules that `text` breaks when it stands at `path`, for the tests of the rules.
#[cfg(test)]
fn rules_broken(path: &str, text: &str) -> Vec<&'static str> {
    let file = File {
        path: path.to_string(),
        text: text.to_string(),
    };
    let mut rules: Vec<_> = text::check(&file)
        .iter()
        .map(|breach| breach.rule)
        .collect();
    if path.ends_with(".rs") {
        let source = Source::parse(path, text);
        rules.extend(code::check(&source).iter().map(|breach| breach.rule));
        rules.extend(ranks::check(&source).iter().map(|breach| breach.rule));
    }
    rules.dedup();
    rules
}
