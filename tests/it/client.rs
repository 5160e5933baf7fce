//! A blocking WebSocket client that does what a test wants, well-formed or not.
//!
//! In: an address. Out: frames as they came, or a panic when nothing came in time. It answers pings
//! and nothing else by itself. It knows nothing of roomcast but that a fixture's first message may
//! be the connection's id.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use roomcast::ConnectionId;
use rustls::{ClientConnection, StreamOwned};

/// How long a test waits for anything before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A TLS client over a socket of either kind.
pub struct Secure<S: Read + Write>(pub Box<StreamOwned<ClientConnection, S>>);

/// Any kind of socket.
pub enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Secure<TcpStream>),
    TlsUnix(Secure<UnixStream>),
}

impl Wire {
    fn set_timeout(&self, timeout: Duration) {
        // Zero would mean for ever.
        let timeout = Some(timeout.max(Duration::from_millis(1)));
        match self {
            Wire::Tcp(s) => s.set_read_timeout(timeout),
            Wire::Unix(s) => s.set_read_timeout(timeout),
            Wire::Tls(s) => s.0.sock.set_read_timeout(timeout),
            Wire::TlsUnix(s) => s.0.sock.set_read_timeout(timeout),
        }
        .unwrap();
    }

    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Wire::Tcp(s) => s.read(into),
            Wire::Unix(s) => s.read(into),
            Wire::Tls(s) => s.0.read(into),
            Wire::TlsUnix(s) => s.0.read(into),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Wire::Tcp(s) => s.write_all(bytes),
            Wire::Unix(s) => s.write_all(bytes),
            Wire::Tls(s) => s.0.write_all(bytes),
            Wire::TlsUnix(s) => s.0.write_all(bytes),
        }
    }
}

/// One frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    /// RSV1: the data is as the server compressed it.
    pub compressed: bool,
    pub data: Vec<u8>,
}

impl Frame {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.data).unwrap()
    }
}

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

pub struct Client {
    wire: Wire,
    bytes: Vec<u8>,
    kept: VecDeque<Frame>,
    id: Option<ConnectionId>,
}

/// The request head of an upgrade.
pub fn upgrade(path: &str, headers: &[&str]) -> String {
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: it.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head + "\r\n"
}

impl Client {
    /// Opens a WebSocket at a path; the server must let it in.
    pub fn open(address: SocketAddr, path: &str) -> Client {
        Client::ask(address, path, &[]).expect("to be let in").0
    }

    /// Opens a WebSocket, or gives the response that refused it.
    pub fn ask(
        address: SocketAddr,
        path: &str,
        headers: &[&str],
    ) -> Result<(Client, Response), Response> {
        let mut client = Client::bare(address);
        client.write(upgrade(path, headers).as_bytes());
        client.upgraded()
    }

    /// A connected socket on which nothing was said.
    pub fn bare(address: SocketAddr) -> Client {
        Client::on(Wire::Tcp(TcpStream::connect(address).unwrap()))
    }

    pub fn unix(path: &Path) -> Client {
        Client::on(Wire::Unix(UnixStream::connect(path).unwrap()))
    }

    pub fn on(wire: Wire) -> Client {
        Client {
            wire,
            bytes: Vec::new(),
            kept: VecDeque::new(),
            id: None,
        }
    }

    /// The socket below TLS.
    pub fn tcp(&self) -> &TcpStream {
        match &self.wire {
            Wire::Tcp(s) => s,
            Wire::Tls(s) => &s.0.sock,
            _ => panic!("for TCP only"),
        }
    }

    /// Whether the stream, of which the end was read, ended with close_notify.
    pub fn was_told_of_the_end(&mut self) -> bool {
        match &mut self.wire {
            // Without, rustls tells of an unexpected end each time.
            Wire::Tls(s) => matches!(s.0.read(&mut [0]), Ok(0)),
            _ => panic!("for TLS only"),
        }
    }

    /// The TLS session, where there is one.
    pub fn session(&self) -> &ClientConnection {
        match &self.wire {
            Wire::Tls(s) => &s.0.conn,
            Wire::TlsUnix(s) => &s.0.conn,
            _ => panic!("for TLS only"),
        }
    }

    /// Reads the response to an upgrade that was asked for.
    pub fn upgraded(mut self) -> Result<(Client, Response), Response> {
        let head = self.head();
        let status = status(&head);
        if status == 101 {
            let body = String::new();
            return Ok((self, Response { status, head, body }));
        }
        Err(self.rest(head))
    }

    /// The response to a plain request, to its end.
    pub fn response(mut self) -> Response {
        let head = self.head();
        self.rest(head)
    }

    fn rest(mut self, head: String) -> Response {
        let until = Instant::now() + PATIENCE;
        while self.fill(until).expect("the end of the response") {}
        Response {
            status: status(&head),
            head,
            body: String::from_utf8(self.bytes).unwrap(),
        }
    }

    fn head(&mut self) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = self.bytes.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            let more = self.fill(until).expect("a response in time");
            assert!(more, "the end came before a response");
        }
    }

    /// Reads more: false at the end of the stream (or its reset), None when the time is over.
    fn fill(&mut self, until: Instant) -> Option<bool> {
        let mut chunk = [0; 16 * 1024];
        loop {
            let left = until.checked_duration_since(Instant::now())?;
            self.wire.set_timeout(left);
            match self.wire.read(&mut chunk) {
                Ok(0) => return Some(false),
                Ok(n) => {
                    self.bytes.extend_from_slice(&chunk[..n]);
                    return Some(true);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Some(false),
            }
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.wire.write(bytes).unwrap();
    }

    /// Writes; false when the other end has closed.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.wire.write(bytes).is_ok()
    }

    /// Whether anything came (or the end did) in so long.
    pub fn next_byte_in(&mut self, time: Duration) -> Option<bool> {
        self.fill(Instant::now() + time)
    }

    /// Ends our stream and reads on.
    pub fn shut(&mut self) {
        let Wire::Tcp(stream) = &mut self.wire else {
            panic!("for TCP only");
        };
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Writes as much as the other end takes, until it has taken nothing for `patience`. True when
    /// all was taken.
    pub fn write_until_stuck(&mut self, bytes: &[u8], patience: Duration) -> bool {
        let Wire::Tcp(stream) = &mut self.wire else {
            panic!("for TCP only");
        };
        stream.set_write_timeout(Some(patience)).unwrap();
        let written = stream.write_all(bytes);
        stream.set_write_timeout(None).unwrap();
        written.is_ok()
    }

    /// Sends one masked frame.
    pub fn frame(&mut self, opcode: u8, data: &[u8]) {
        self.write(&masked(opcode, data));
    }

    pub fn say(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes());
    }

    pub fn close(&mut self, code: u16, text: &str) {
        let mut data = code.to_be_bytes().to_vec();
        data.extend_from_slice(text.as_bytes());
        self.frame(CLOSE, &data);
    }

    /// The next frame, pings answered and not shown; None at the end of the stream.
    pub fn next_or_end(&mut self) -> Option<Frame> {
        let until = Instant::now() + PATIENCE;
        self.next_until(until).expect("a frame in time")
    }

    /// The next frame, which must come.
    pub fn next(&mut self) -> Frame {
        self.next_or_end().expect("a frame before the end")
    }

    /// The next frame in so long; None when there was none.
    pub fn next_in(&mut self, time: Duration) -> Option<Frame> {
        let until = Instant::now() + time;
        self.next_until(until).map(|f| f.expect("not the end"))
    }

    fn next_until(&mut self, until: Instant) -> Option<Option<Frame>> {
        if let Some(frame) = self.kept.pop_front() {
            return Some(Some(frame));
        }
        loop {
            while let Some(frame) = self.parse() {
                if frame.opcode != PING {
                    return Some(Some(frame));
                }
                let _ = self.wire.write(&masked(PONG, &frame.data));
            }
            if !self.fill(until)? {
                return Some(None);
            }
        }
    }

    fn parse(&mut self) -> Option<Frame> {
        let b = &self.bytes;
        let (&first, &second) = (b.first()?, b.get(1)?);
        assert_eq!(first & 0xb0, 0x80, "servers here send whole frames");
        assert_eq!(second & 0x80, 0, "servers do not mask");
        let (len, at) = match second {
            126 => (usize::from(u16::from_be_bytes([*b.get(2)?, *b.get(3)?])), 4),
            127 => {
                let len: [u8; 8] = b.get(2..10)?.try_into().unwrap();
                (u64::from_be_bytes(len) as usize, 10)
            }
            n => (usize::from(n), 2),
        };
        if b.len() < at + len {
            return None;
        }
        let data = b[at..at + len].to_vec();
        self.bytes.drain(..at + len);
        let opcode = first & 0x0f;
        let compressed = first & 0x40 != 0;
        Some(Frame {
            opcode,
            compressed,
            data,
        })
    }

    /// The next text message.
    pub fn text(&mut self) -> String {
        let frame = self.next();
        assert_eq!(frame.opcode, TEXT, "{frame:?}");
        assert!(!frame.compressed, "{frame:?}");
        frame.text().to_string()
    }

    /// All text messages before this one.
    pub fn texts_before(&mut self, last: &str) -> Vec<String> {
        let text = std::iter::from_fn(|| Some(self.text()));
        text.take_while(|text| text != last).collect()
    }

    /// Reads on to the close frame, answers it, and expects the end of the stream.
    pub fn closed(&mut self) -> (u16, String) {
        let closed = self.close_frame();
        self.close(closed.0, "");
        self.end();
        closed
    }

    /// Reads on to the close frame.
    pub fn close_frame(&mut self) -> (u16, String) {
        loop {
            let frame = self.next();
            if frame.opcode == CLOSE {
                let code = u16::from_be_bytes([frame.data[0], frame.data[1]]);
                return (code, String::from_utf8(frame.data[2..].to_vec()).unwrap());
            }
        }
    }

    /// Expects the end of the stream, with no more frames before it.
    pub fn end(&mut self) {
        let rest = self.next_or_end();
        assert_eq!(rest, None, "the end was expected");
    }

    /// Reads and drops everything up to the end of the stream; a close frame is answered.
    pub fn drain(&mut self) {
        while let Some(frame) = self.next_or_end() {
            if frame.opcode == CLOSE {
                let _ = self.wire.write(&masked(CLOSE, &frame.data));
            }
        }
    }

    /// The connection's id, which fixtures send as the first message of their own.
    pub fn id(&mut self) -> ConnectionId {
        while self.id.is_none() {
            let until = Instant::now() + PATIENCE;
            let kept = std::mem::take(&mut self.kept);
            let frame = self.next_until(until).flatten().expect("an id in time");
            self.kept = kept;
            match frame.text().strip_prefix("id:") {
                Some(id) => self.id = Some(ConnectionId::from_u64(id.parse().unwrap())),
                None => self.kept.push_back(frame),
            }
        }
        self.id.unwrap()
    }
}

/// A client frame, whole and masked.
pub fn masked(opcode: u8, data: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![0x80 | opcode];
    match data.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(data.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// One request on a connection of its own, and the response.
pub fn http(address: SocketAddr, request: &str) -> Response {
    let mut client = Client::bare(address);
    client.write(request.as_bytes());
    client.response()
}
