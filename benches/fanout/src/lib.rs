//! What the programs of the fan-out bench share: system calls, WebSocket frame headers, opening
//! connections, a histogram, clocks. Linux only. Must never know what is measured or which server
//! answers. Single-threaded callers.

pub mod clocks;
pub mod greet;
pub mod histogram;
pub mod sys;
pub mod wire;
