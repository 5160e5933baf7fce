//! Whole engines over real sockets: each test names a promise and tries to break it.
//!
//! In: engines on 127.0.0.1 port 0 or on unix sockets, and blocking clients of our own, so that a
//! test decides about every octet. Nothing sleeps for a fixed time: conditions are polled until a
//! deadline. What the tests share between threads lies behind `parking_lot`, because
//! ThreadSanitizer does not see the locks of std.

mod client;
mod house;

mod acting;
mod address;
mod adopt;
mod batching;
mod budget_memory;
mod budgets;
mod choosing;
mod closing;
mod compress_choice;
mod cork;
mod deflate;
mod doors;
mod figures;
mod files;
mod gate;
mod hostile;
mod life;
mod limits;
mod openssl;
mod order;
mod policies;
mod presence;
mod pull;
mod replay;
mod rooms;
mod selecting;
mod slow;
mod stress;
mod tls;
mod tokens;
mod tracking;
mod turns;
mod verdicts;
