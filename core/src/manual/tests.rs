//! What the manual says beside what the code has.
//!
//! In: the pages, the source tree, the defaults. Out: a failure that names what is missing. Reads
//! files, as only tests may.

use std::path::{Path, PathBuf};

use crate::config::Limits;

const PAGE: &str = include_str!("limits.rs");

/// Name and default of each row of the page's table.
fn rows() -> Vec<(&'static str, u64)> {
    let rows = PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("//! | [`")?.split('|');
        let name = cells.next()?.split('`').next()?;
        Some((name, number(cells.next()?.trim())))
    });
    rows.collect()
}

/// Reads `100,000` and `16 KiB`.
fn number(text: &str) -> u64 {
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => panic!("{other} is no unit of the table"),
    };
    let digits = digits.replace(',', "");
    digits.parse::<u64>().expect("a default is a number") * factor
}

#[test]
fn the_table_of_limits_is_complete_and_has_their_defaults() {
    let rows = rows();
    let names: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, Limits::NAMES);
    let defaults = format!("{:?}", Limits::default());
    for (name, default) in rows {
        let is = format!("{name}: {default}");
        let found = [", ", " }"]
            .iter()
            .any(|end| defaults.contains(&format!("{is}{end}")));
        assert!(found, "{name} is not {default} in {defaults}");
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("an entry of it").path();
        match path.is_dir() {
            true => sources(&path, into),
            false => into.push(path),
        }
    }
}

/// The architecture page draws the tree with two spaces for each folder and a name on each line.
#[test]
fn the_architecture_page_names_every_file_of_the_core() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(core.join("../ARCHITECTURE.md")).expect("the page");
    let mut named = Vec::new();
    let mut folders: Vec<&str> = Vec::new();
    let tree = page.split("```text\ncore/src/\n").nth(1).expect("a tree");
    let lines = tree.lines().take_while(|line| *line != "```");
    for line in lines.filter(|line| !line.is_empty()) {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let name = line.split_whitespace().next().expect("a name on each line");
        folders.truncate(depth - 1);
        match name.ends_with('/') {
            true => folders.push(name),
            false => named.push(format!("{}{name}", folders.concat())),
        }
    }
    let mut files = Vec::new();
    sources(&core.join("src"), &mut files);
    let path = |file: &PathBuf| {
        let inner = file.strip_prefix(core.join("src")).expect("it is inside");
        inner.to_str().expect("names are ASCII").replace('\\', "/")
    };
    let mut files: Vec<String> = files.iter().map(path).collect();
    files.sort();
    named.sort();
    assert_eq!(named, files);
}
