//! Connections of the generator: connect, ask for the upgrade, wait for the 101; and close. In go
//! paths, out come descriptors of open WebSockets. Must never know what is sent over them. One
//! thread, one chunk of connections at a time, each step with a deadline.

use crate::sys::{self, Fd, READ, WRITE};
use crate::wire;

/// How many connections are under way at a time.
pub const CHUNK: usize = 64;
const DEADLINE_MS: i32 = 10_000;
/// Source addresses 127.0.0.1 to 127.0.0.8, so that local ports do not run out.
const SOURCES: usize = 8;

/// Opens one WebSocket per path.
pub fn open_all<'a>(port: u16, paths: impl Iterator<Item = &'a str>) -> Result<Vec<Fd>, String> {
    let paths: Vec<&str> = paths.collect();
    let mut open = Vec::with_capacity(paths.len());
    for chunk in paths.chunks(CHUNK) {
        let start = open.len();
        for path in chunk {
            open.push(ask(port, open.len(), path)?);
        }
        for &fd in &open[start..] {
            await_upgrade(fd)?;
        }
    }
    Ok(open)
}

fn ask(port: u16, nth: usize, path: &str) -> Result<Fd, String> {
    let from = [127, 0, 0, 1 + (nth % SOURCES) as u8];
    let fd = sys::connect(from, port).map_err(|error| format!("connect: {error}"))?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let sent = sys::ready(fd, WRITE, DEADLINE_MS).then(|| sys::send(fd, head.as_bytes()));
    match sent {
        Some(Ok(len)) if len == head.len() => Ok(fd),
        other => Err(format!("cannot ask for {path}: {other:?}")),
    }
}

fn await_upgrade(fd: Fd) -> Result<(), String> {
    let (mut buf, mut len) = ([0; 2048], 0);
    loop {
        if !sys::ready(fd, READ, DEADLINE_MS) {
            return Err("no answer to the upgrade request".into());
        }
        match sys::recv(fd, &mut buf[len..]) {
            Ok(more @ 1..) => len += more,
            other => return Err(format!("upgrade: {other:?}")),
        }
        let head = &buf[..len];
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let accept = wire::accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        let proven = head.windows(accept.len()).any(|part| part == accept);
        return match head.starts_with(b"HTTP/1.1 101") && proven {
            true => Ok(()),
            false => Err(format!("refused: {}", String::from_utf8_lossy(head))),
        };
    }
}

/// Says goodbye on each, waits until the server has closed, closes. Returns how many servers did
/// not close within the deadline.
pub fn close_all(open: &[Fd]) -> u64 {
    let mut late = 0;
    for chunk in open.chunks(CHUNK) {
        for &fd in chunk {
            let mut frame = Vec::new();
            wire::push_masked(&mut frame, wire::CLOSE, [7; 4], &1000u16.to_be_bytes());
            let _ = sys::send(fd, &frame);
        }
        for &fd in chunk {
            late += u64::from(!await_end(fd));
            sys::close(fd);
        }
    }
    late
}

fn await_end(fd: Fd) -> bool {
    let mut buf = [0; 16 * 1024];
    while sys::ready(fd, READ, 1_000) {
        if let Ok(0) | Err(sys::Stop::Gone) = sys::recv(fd, &mut buf) {
            return true;
        }
    }
    false
}
