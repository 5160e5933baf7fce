//! What the benches of this package that measure a server from outside share: its process, the
//! system, figures with their bounds, tables.
//!
//! Must never know what is measured. Linux only.

#[cfg(target_os = "linux")]
pub mod figure;
#[cfg(target_os = "linux")]
pub mod process;
#[cfg(target_os = "linux")]
pub mod report;
#[cfg(target_os = "linux")]
pub mod sys;
