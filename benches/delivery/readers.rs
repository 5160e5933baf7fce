//! Readers: the members' sockets, and the frames that come over them.
//!
//! In: the server's address and paths. Out: each payload, to whoever keeps the ledger, and how
//! connections ended. One thread reads all of them, without a wait in the kernel: a sender over the
//! loopback would pay for waking it. Generator thread.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::sys::{self, Watch, now_ns};

/// What one socket is read at a time, the rest of what came before included.
const READ_BYTES: usize = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a close frame.
    Closed(u16),
    /// Without one.
    Cut,
}

/// Who is told of what comes.
pub trait Hear {
    /// A reader has got a payload.
    fn hear(&mut self, reader: usize, payload: &[u8], now_ns: u64);
}

struct Reader {
    socket: TcpStream,
    /// Of a frame that came in part.
    rest: Vec<u8>,
    end: Option<End>,
}

pub struct Readers {
    watch: Watch,
    readers: Vec<Reader>,
    ready: Vec<usize>,
    buffer: Vec<u8>,
    /// Nanoseconds in which there was something to read.
    pub busy_ns: u64,
}

impl Readers {
    /// Opens a WebSocket for each path; `receive_bytes` as for [`sys::connect`].
    pub fn connect(
        address: SocketAddr,
        paths: &[String],
        receive_bytes: Option<usize>,
    ) -> Result<Self, Box<dyn Error>> {
        let watch = Watch::new(256)?;
        let mut readers = Vec::with_capacity(paths.len());
        for (nth, path) in paths.iter().enumerate() {
            let (socket, rest) = upgrade(address, path, receive_bytes)?;
            watch.add(&socket, nth)?;
            readers.push(Reader {
                socket,
                rest,
                end: None,
            });
        }
        Ok(Readers {
            watch,
            readers,
            ready: Vec::new(),
            buffer: vec![0; READ_BYTES],
            busy_ns: 0,
        })
    }

    /// Reads once what is ready. False when nothing was.
    pub fn read(&mut self, hear: &mut impl Hear) -> io::Result<bool> {
        let mut ready = std::mem::take(&mut self.ready);
        let began = now_ns();
        self.watch.ready(&mut ready);
        for &nth in &ready {
            self.read_one(nth, hear)?;
        }
        let any = !ready.is_empty();
        if any {
            self.busy_ns += now_ns() - began;
        }
        self.ready = ready;
        Ok(any)
    }

    fn read_one(&mut self, nth: usize, hear: &mut impl Hear) -> io::Result<()> {
        let reader = &mut self.readers[nth];
        let held = reader.rest.len();
        self.buffer[..held].copy_from_slice(&reader.rest);
        let read = match reader.socket.read(&mut self.buffer[held..]) {
            Ok(0) => None,
            Ok(read) => Some(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => return Err(error),
        };
        let Some(read) = read else {
            reader.end.get_or_insert(End::Cut);
            return self.watch.remove(&reader.socket);
        };
        let now = now_ns();
        let mut bytes = &self.buffer[..held + read];
        while let Some((opcode, payload, behind)) = frame(bytes) {
            bytes = behind;
            match opcode {
                8 => {
                    let code = payload
                        .first_chunk()
                        .map_or(1005, |b| u16::from_be_bytes(*b));
                    reader.end = Some(End::Closed(code));
                    // The server need not wait for us.
                    let _ = reader.socket.shutdown(std::net::Shutdown::Both);
                    return self.watch.remove(&reader.socket);
                }
                1 | 2 => hear.hear(nth, payload, now),
                _ => {}
            }
        }
        reader.rest.clear();
        reader.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads nothing of it from now on. One that has ended stays as it is.
    pub fn stop(&mut self, nth: usize) -> io::Result<()> {
        match self.readers[nth].end {
            None => self.watch.remove(&self.readers[nth].socket),
            Some(_) => Ok(()),
        }
    }

    /// Reads it again.
    pub fn resume(&mut self, nth: usize) -> io::Result<()> {
        match self.readers[nth].end {
            None => self.watch.add(&self.readers[nth].socket, nth),
            Some(_) => Ok(()),
        }
    }

    /// How a connection ended, if it did.
    pub fn end(&self, nth: usize) -> Option<End> {
        self.readers[nth].end
    }
}

/// Gives back what came behind the answer, too.
fn upgrade(
    address: SocketAddr,
    path: &str,
    receive_bytes: Option<usize>,
) -> Result<(TcpStream, Vec<u8>), Box<dyn Error>> {
    let mut socket = sys::connect(address, receive_bytes)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    let end = loop {
        let len = socket.read(&mut buffer)?;
        head.extend_from_slice(&buffer[..len]);
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if len == 0 {
            return Err("a member was not answered".into());
        }
    };
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(format!("{path} was answered {}", String::from_utf8_lossy(&head)).into());
    }
    socket.set_nonblocking(true)?;
    Ok((socket, head.split_off(end)))
}

/// Opcode, payload and what is behind a frame, where it is there in full. Servers do not mask.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, rest) = match bytes {
        [_, 126, a, b, rest @ ..] => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        [_, len @ ..126, rest @ ..] => (usize::from(*len), rest),
        _ => return None,
    };
    let (payload, behind) = rest.split_at_checked(len)?;
    Some((bytes[0] & 15, payload, behind))
}
