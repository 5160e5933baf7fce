//! Members of one room: their sockets, and what came over them.
//!
//! All are counted by bytes. The first of each kind is a witness: its frames are inflated and held
//! against what was published, and the others have to have had as many bytes. Generator thread.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flate2::{Decompress, FlushDecompress};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::payload;

/// What a member offers, and so is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Wide,
    Narrow,
}

impl Kind {
    fn offer(self) -> &'static str {
        match self {
            Kind::Plain => "",
            Kind::Wide => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            Kind::Narrow => {
                "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n"
            }
        }
    }
}

/// Opens a WebSocket; an error where the server does not answer the offer.
pub fn connect(address: SocketAddr, kind: Kind) -> Result<std::net::TcpStream, Box<dyn Error>> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{}\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        kind.offer()
    )?;
    let (mut head, mut buffer) = (String::new(), [0; 1024]);
    while !head.ends_with("\r\n\r\n") {
        let len = stream.read(&mut buffer)?;
        head.push_str(std::str::from_utf8(&buffer[..len])?);
        if len == 0 {
            break;
        }
    }
    let agreed = head.to_lowercase().contains("permessage-deflate");
    if !head.starts_with("HTTP/1.1 101") || agreed != (kind != Kind::Plain) {
        return Err(format!("a {kind:?} member was answered {head:?}").into());
    }
    Ok(stream)
}

struct Member {
    stream: TcpStream,
    kind: Kind,
    bytes: u64,
}

/// The first of its kind; keeps what has come since the last look.
struct Witness {
    member: usize,
    came: Vec<u8>,
}

pub struct Members {
    poll: Poll,
    members: Vec<Member>,
    witnesses: Vec<Witness>,
    buffer: Vec<u8>,
}

/// Bytes that each member of a kind has got.
pub type Came = Vec<(Kind, u64)>;

impl Members {
    pub fn connect(
        address: SocketAddr,
        kinds: &[Kind],
        count: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let poll = Poll::new()?;
        let (mut members, mut witnesses) = (Vec::new(), Vec::new());
        for (nth, &kind) in kinds.iter().cycle().take(count).enumerate() {
            let stream = connect(address, kind)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(nth), Interest::READABLE)?;
            if nth < kinds.len() {
                let came = Vec::new();
                witnesses.push(Witness { member: nth, came });
            }
            members.push(Member {
                stream,
                kind,
                bytes: 0,
            });
        }
        Ok(Members {
            poll,
            members,
            witnesses,
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Reads until everybody has messages `first` to `first + count`.
    pub fn take(
        &mut self,
        first: u64,
        count: u64,
        within: Duration,
    ) -> Result<Came, Box<dyn Error>> {
        let until = Instant::now() + within;
        let mut events = Events::with_capacity(1024);
        self.members.iter_mut().for_each(|member| member.bytes = 0);
        loop {
            // Never asleep in the kernel: else the server would pay for waking it.
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            if events.is_empty() {
                if self.have_all(count)? {
                    break;
                }
                if Instant::now() > until {
                    return Err("messages were lost, or came too late".into());
                }
                std::thread::sleep(Duration::from_micros(100));
            }
            for event in &events {
                self.read(event.token().0)?;
            }
        }
        let mut came = Came::new();
        for witness in &mut self.witnesses {
            let member = &self.members[witness.member];
            check(&witness.came, member.kind, first)?;
            came.push((member.kind, member.bytes));
            witness.came.clear();
        }
        Ok(came)
    }

    fn read(&mut self, nth: usize) -> Result<(), Box<dyn Error>> {
        let member = &mut self.members[nth];
        loop {
            match member.stream.read(&mut self.buffer) {
                Ok(0) => return Err("a member was closed".into()),
                Ok(len) => {
                    member.bytes += len as u64;
                    if let Some(witness) = self.witnesses.iter_mut().find(|w| w.member == nth) {
                        witness.came.extend_from_slice(&self.buffer[..len]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn have_all(&self, count: u64) -> Result<bool, String> {
        for witness in &self.witnesses {
            let (mut rest, mut frames) = (&witness.came[..], 0);
            while let Some((.., behind)) = frame(rest) {
                (rest, frames) = (behind, frames + 1);
            }
            if frames < count {
                return Ok(false);
            }
            let kind = self.members[witness.member].kind;
            let bytes = witness.came.len() as u64;
            for member in self.members.iter().filter(|member| member.kind == kind) {
                if member.bytes > bytes {
                    return Err(format!("a {kind:?} member got more than others"));
                }
                if member.bytes < bytes {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// First byte, payload and what is behind a frame, where it is there in full. Servers do not mask.
pub fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, rest) = match bytes {
        [_, 126, a, b, rest @ ..] => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        [_, len @ ..126, rest @ ..] => (usize::from(*len), rest),
        _ => return None,
    };
    let (payload, behind) = rest.split_at_checked(len)?;
    Some((bytes[0], payload, behind))
}

/// Frames are messages from `first` on, and compressed where that was agreed on.
fn check(mut bytes: &[u8], kind: Kind, first: u64) -> Result<(), String> {
    for nth in first.. {
        let Some((head, payload, behind)) = frame(bytes) else {
            break;
        };
        let expected = payload::json(nth);
        let message = match head {
            0x81 if kind == Kind::Plain => payload.to_vec(),
            0xc1 if kind != Kind::Plain => inflated(payload, 2 * expected.len()),
            _ => return Err(format!("{kind:?}: message {nth} came under {head:#04x}")),
        };
        if message != expected.as_bytes() {
            return Err(format!("{kind:?}: message {nth} came changed"));
        }
        bytes = behind;
    }
    match bytes {
        [] => Ok(()),
        _ => Err(format!("{kind:?}: a message came in part")),
    }
}

fn inflated(payload: &[u8], room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(room);
    let mut inflater = Decompress::new(false);
    for part in [payload, &[0, 0, 0xff, 0xff]] {
        // What does not inflate is found to differ.
        let _ = inflater.decompress_vec(part, &mut out, FlushDecompress::Sync);
    }
    out
}
