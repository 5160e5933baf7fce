//! Rules about every file that holds text, whatever its language.
//!
//! Comes in: one file. Goes out: breaches. What names a machine or a registry's host does not
//! belong into the repository; this folder, which has to spell such words, is left out.

use crate::{Breach, File};

const SCRIPT_COLUMNS_MAX: usize = 100;
const OWN_FOLDER: &str = "tests/tidy/";

/// Paths of somebody's machine. `/tmp/` may stand in Rust code, as a socket of an example.
const MACHINE_PATHS: &[&str] = &["/home/", "/root/", "/Users/"];
const TEMPORARY: &str = "/tmp/";
/// How the addresses of package registries begin, whoever runs them.
const REGISTRY_HOSTS: &[&str] = &["://registry.", "://index.", "://static.", "://files."];
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check(file: &File) -> Vec<Breach> {
    let mut found = lock_addresses(file);
    if is_script(file) && !file.path.ends_with(".rs") {
        found.extend(long_lines(
            &file.path,
            file.text.lines(),
            SCRIPT_COLUMNS_MAX,
        ));
    }
    if !file.path.starts_with(OWN_FOLDER) {
        found.extend(agreement_by_comment(file));
        found.extend(machine_paths(file));
        found.extend(registry_hosts(file));
    }
    found
}

fn is_script(file: &File) -> bool {
    let endings = [".mjs", ".js", ".py", ".sh"];
    file.text.starts_with("#!/") || endings.iter().any(|ending| file.path.ends_with(ending))
}

pub(crate) fn long_lines<'a>(
    path: &str,
    lines: impl Iterator<Item = &'a str>,
    columns: usize,
) -> Vec<Breach> {
    lines
        .enumerate()
        .filter(|(_, line)| line.chars().count() > columns)
        .map(|(i, _)| {
            breach(
                path,
                "line-length",
                i + 1,
                "-",
                format!("more than {columns} columns"),
            )
        })
        .collect()
}

/// Where two places must agree, a test compares them or one is generated.
fn agreement_by_comment(file: &File) -> Vec<Breach> {
    on_lines(file, "agreement", |line| {
        line.to_lowercase().contains("keep in sync").then(|| {
            (
                "-".to_string(),
                "two places that must agree need a test, not a comment".to_string(),
            )
        })
    })
}

fn machine_paths(file: &File) -> Vec<Breach> {
    let rust = file.path.ends_with(".rs");
    let patterns = MACHINE_PATHS.iter().chain((!rust).then_some(&TEMPORARY));
    let patterns: Vec<&str> = patterns.copied().collect();
    on_lines(file, "machine-path", |line| {
        let pattern = patterns.iter().find(|pattern| starts_path(line, pattern))?;
        Some((
            pattern.to_string(),
            format!("`{pattern}` is a path of one machine"),
        ))
    })
}

/// Whether `pattern` stands in the line as the beginning of a path, not inside a longer one.
fn starts_path(line: &str, pattern: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-}/.)~*".contains(c);
    line.match_indices(pattern)
        .any(|(at, _)| pattern.starts_with('.') || !line[..at].ends_with(inside))
}

fn registry_hosts(file: &File) -> Vec<Breach> {
    on_lines(file, "registry-host", |line| {
        let host = REGISTRY_HOSTS.iter().find(|host| line.contains(**host))?;
        Some((
            host.to_string(),
            format!("`{host}` is set up by the machine, not by us"),
        ))
    })
}

/// Lock files say which version and which sum, never from where.
fn lock_addresses(file: &File) -> Vec<Breach> {
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    let pins = name.starts_with("requirements") && name.ends_with(".txt");
    let says = || {
        Some((
            "-".to_string(),
            "a lock file records no address".to_string(),
        ))
    };
    on_lines(file, "lock-address", |line| match name {
        "Cargo.lock" => (line.contains("://") && !line.contains(INDEX)).then(says)?,
        "package-lock.json" => line.contains("\"resolved\"").then(says)?,
        _ if pins => (line.contains("://") || line.starts_with('-')).then(says)?,
        _ => None,
    })
}

fn on_lines(
    file: &File,
    rule: &'static str,
    judge: impl Fn(&str) -> Option<(String, String)>,
) -> Vec<Breach> {
    let lines = file.text.lines().enumerate();
    lines
        .filter_map(|(i, line)| {
            let (item, says) = judge(line)?;
            Some(breach(&file.path, rule, i + 1, &item, says))
        })
        .collect()
}

fn breach(path: &str, rule: &'static str, line: usize, item: &str, says: String) -> Breach {
    Breach {
        rule,
        path: path.to_string(),
        line,
        item: item.to_string(),
        says,
    }
}

#[cfg(test)]
mod tests {
    use crate::rules_broken;

    #[test]
    fn agreement_can_fail() {
        assert_eq!(
            rules_broken("README.md", "Keep in sync with the table."),
            ["agreement"]
        );
        assert_eq!(rules_broken("a.py", "# KEEP IN SYNC"), ["agreement"]);
    }

    #[test]
    fn machine_paths_can_fail() {
        for text in ["see /home/me/x", "`/root/y`", "PATH=/Users/z"] {
            assert_eq!(rules_broken("README.md", text), ["machine-path"], "{text}");
        }
        assert_eq!(rules_broken("tests/run", "cd /tmp/x"), ["machine-path"]);
        assert!(rules_broken("README.md", "$HOME/x, target/root/y, a/home/b").is_empty());
        let example = "//! Listens on a socket: `/tmp/app.sock`.\n";
        assert!(rules_broken("core/examples/echo.rs", example).is_empty());
    }

    #[test]
    fn registry_hosts_can_fail() {
        assert_eq!(
            rules_broken("a.sh", "pip install -i https://index.example/x"),
            ["registry-host"]
        );
    }

    #[test]
    fn lock_files_can_fail() {
        let own = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert!(rules_broken("Cargo.lock", own).is_empty());
        assert_eq!(
            rules_broken("Cargo.lock", "source = \"git+https://a/b\""),
            ["lock-address"]
        );
        assert_eq!(
            rules_broken("x/package-lock.json", "\"resolved\": \"x\""),
            ["lock-address"]
        );
        assert_eq!(
            rules_broken("a/requirements-b.txt", "-f wheels"),
            ["lock-address"]
        );
    }

    #[test]
    fn long_lines_of_scripts_can_fail() {
        let long = "x".repeat(101);
        assert_eq!(rules_broken("a.mjs", &long), ["line-length"]);
        assert_eq!(
            rules_broken("tests/run", &format!("#!/bin/sh\n{long}")),
            ["line-length"]
        );
        assert!(rules_broken("README.md", &long).is_empty());
    }
}
