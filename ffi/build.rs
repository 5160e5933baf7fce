//! Gives the shared library its SONAME: while the major version is 0, each minor version is an
//! interface of its own.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let part = |name: &str| var(format!("CARGO_PKG_VERSION_{name}")).unwrap_or_default();
    let (major, minor) = (part("MAJOR"), part("MINOR"));
    let interface = match major.as_str() {
        "0" => format!("0.{minor}"),
        _ => major,
    };
    let elf = [
        "linux",
        "android",
        "freebsd",
        "netbsd",
        "openbsd",
        "dragonfly",
    ];
    if elf.contains(&var("CARGO_CFG_TARGET_OS").unwrap_or_default().as_str()) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libroomcast.so.{interface}");
    }
}
