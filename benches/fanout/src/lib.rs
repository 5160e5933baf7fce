//! What the load generator and the yardsticks of the fan-out bench share: system calls, WebSocket
//! frame headers, the accept key. Linux only. Must never know what is measured or which server
//! answers. Single-threaded callers.

pub mod clocks;
pub mod sys;
pub mod wire;
