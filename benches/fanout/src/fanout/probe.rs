//! What the machine's kernel asks for one hot `send()`: the floor under every figure, and what
//! tells a slow yardstick from a slow kernel. Nothing in, one number out. Must never know servers.

use roomcast_fanout::clocks::now_ns;
use roomcast_fanout::sys::{self, READ};

const ROUNDS: u64 = 50_000;
const BYTES: usize = 66;

/// Nanoseconds of one `send()` on one connection whose reader is empty and does not wait.
pub fn send_ns() -> Option<u64> {
    let (listener, port) = sys::listen(0).ok()?;
    let reader = sys::connect([127, 0, 0, 1], port).ok()?;
    let ready = sys::ready(listener, READ, 1_000);
    let writer = sys::accept(listener).filter(|_| ready)?;
    let (mut buf, mut spent) = ([0; 4 * BYTES], 0);
    for _ in 0..ROUNDS {
        let start = now_ns();
        sys::send(writer, &buf[..BYTES]).ok()?;
        spent += now_ns() - start;
        sys::recv(reader, &mut buf).ok()?;
    }
    for fd in [listener, reader, writer] {
        sys::close(fd);
    }
    Some(spent / ROUNDS)
}

/// The same in words.
pub fn describe() -> String {
    match send_ns() {
        Some(ns) => format!("One hot `send()` of {BYTES} B costs {ns} ns on this machine"),
        None => "What a `send()` costs on this machine could not be measured".into(),
    }
}
