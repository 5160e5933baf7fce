//! Relays: readers in this process, for browsers in which a page cannot stop the reading.
//!
//! In: the query of the reader's address, and whether it is stalled. Out, to the page that asked
//! for it: what the reader has read, ten times a second. It is a plain WebSocket client over
//! loopback, a thread each, which knows nothing of the host but its address; stalled, it leaves
//! its socket alone, so that the engine meets a peer that does not read.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use roomcast::{Connection, ConnectionId, Handle};
use socket2::{Domain, Socket, Type};
use tungstenite::{Error, Message, WebSocket};

const RELAYS_MAX: usize = 16;
const REPORT_PERIOD: Duration = Duration::from_millis(100);
/// How long the thread waits before it looks again whether it is stalled.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Small, so that what a stalled reader is owed waits in the engine and not in the kernel.
const RECEIVE_BYTES: usize = 32 * 1024;
/// The code of a reader whose stream has ended for another reason than being too slow.
const GONE: u16 = 4000;

/// What a page asks of its relay.
pub struct Relayed {
    query: String,
    stalled: AtomicBool,
}

impl Relayed {
    pub fn new(query: &str) -> Self {
        Relayed {
            query: query.into(),
            stalled: AtomicBool::new(false),
        }
    }

    pub fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::Relaxed);
    }
}

/// All of them.
#[derive(Default)]
pub struct Relays {
    address: OnceLock<SocketAddr>,
    count: Arc<AtomicUsize>,
}

impl Relays {
    /// Says where the engine listens.
    pub fn serve(&self, address: SocketAddr) {
        let _ = self.address.set(address);
    }

    /// A reader begins, for the connection of a page.
    pub fn begin(&self, connection: Connection<'_>, relayed: Arc<Relayed>) {
        let Some(&address) = self.address.get() else {
            return;
        };
        if self.count.fetch_add(1, Ordering::Relaxed) >= RELAYS_MAX {
            self.count.fetch_sub(1, Ordering::Relaxed);
            let _ = connection.close(1013, "there are too many readers in the host");
            return;
        }
        let (handle, id) = (connection.handle().clone(), connection.id());
        let count = self.count.clone();
        std::thread::spawn(move || {
            let code = match connect(address, &relayed.query) {
                Ok(socket) => Relay::new(handle.clone(), id, socket).run(&relayed),
                Err(_) => GONE,
            };
            let _ = handle.close(id, code, "the reader's stream has ended");
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

fn connect(address: SocketAddr, query: &str) -> Result<WebSocket<TcpStream>, Error> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.connect(&address.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(LOOK_AGAIN))?;
    let url = format!("ws://{address}/feed?{query}");
    match tungstenite::client(url, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(_) => Err(Error::ConnectionClosed),
    }
}

struct Relay {
    handle: Handle,
    page: ConnectionId,
    socket: WebSocket<TcpStream>,
    frames: u64,
    bytes: u64,
    /// The newest of each ticker since the last report.
    newest: HashMap<String, String>,
    report_at: Instant,
}

impl Relay {
    fn new(handle: Handle, page: ConnectionId, socket: WebSocket<TcpStream>) -> Self {
        Relay {
            handle,
            page,
            socket,
            frames: 0,
            bytes: 0,
            newest: HashMap::new(),
            report_at: Instant::now(),
        }
    }

    /// Until either end has gone; with the code to tell the page.
    fn run(mut self, relayed: &Relayed) -> u16 {
        while self.handle.is_open(self.page) {
            if relayed.stalled.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_AGAIN);
            } else {
                match self.socket.read() {
                    Ok(Message::Text(text)) => self.take(text.as_str()),
                    Ok(Message::Close(frame)) => {
                        return frame.map_or(GONE, |frame| u16::from(frame.code));
                    }
                    Ok(_) => {}
                    Err(Error::Io(error)) if is_for_now(error.kind()) => {}
                    Err(_) => return GONE,
                }
            }
            if Instant::now() >= self.report_at {
                self.report();
            }
        }
        GONE
    }

    fn take(&mut self, text: &str) {
        if text.starts_with(r#"{"type""#) {
            // It has its place among the others.
            self.report();
            let _ = self.handle.send(self.page, text);
            if text.starts_with(r#"{"type":"begun""#) {
                (self.frames, self.bytes) = (0, 0);
            }
            return;
        }
        self.frames += 1;
        self.bytes += text.len() as u64;
        // Everything up to the price names the ticker.
        let key = text.split(',').next().unwrap_or_default();
        match self.newest.get_mut(key) {
            Some(known) => text.clone_into(known),
            None => {
                self.newest.insert(key.into(), text.into());
            }
        }
    }

    fn report(&mut self) {
        self.report_at = Instant::now() + REPORT_PERIOD;
        let values: Vec<String> = self.newest.drain().map(|(_, text)| text).collect();
        let (frames, bytes, values) = (self.frames, self.bytes, values.join(","));
        let report = format!(
            r#"{{"type":"relayed","frames":{frames},"bytes":{bytes},"values":[{values}]}}"#
        );
        let _ = self.handle.send(self.page, &report);
    }
}

fn is_for_now(kind: ErrorKind) -> bool {
    use ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(kind, Interrupted | TimedOut | WouldBlock)
}
