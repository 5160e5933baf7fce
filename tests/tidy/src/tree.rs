//! The files of the repository, as git lists them.
//!
//! Comes in: the top folder. Goes out: every file that is tracked, or new and not ignored, and
//! that holds text. The only part of this package that touches files or starts a process.

use crate::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The top folder of the repository that cargo runs this in. Asked at run time, since two clones
/// that share a target folder share the program too.
pub fn root() -> PathBuf {
    let built = || env!("CARGO_MANIFEST_DIR").into();
    let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(built);
    Path::new(&own)
        .ancestors()
        .nth(2)
        .expect("the package lies two folders below the top")
        .to_path_buf()
}

/// Every text file below `root`, sorted by path.
pub fn read(root: &Path) -> Vec<File> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "git ls-files: {}", listed.status);
    let names = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    let mut paths: Vec<&str> = names.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let text = |path: &str| {
        std::fs::read(root.join(path))
            .ok()
            .and_then(|b| String::from_utf8(b).ok())
    };
    let files = paths.iter().filter_map(|path| {
        Some(File {
            path: path.to_string(),
            text: text(path)?,
        })
    });
    files.collect()
}
