//! A client: a socket, TLS over it or none, and what is said over that.
//!
//! In: plaintext to be sent. Out: plaintext that came. Generator thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use roomcast_benches::sys;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::certificates::NAME;

/// How long an opening may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    pub socket: TcpStream,
    pub session: Option<Box<ClientConnection>>,
}

/// The request for a WebSocket at this path.
pub fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {NAME}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A whole message of at most 125 bytes, masked by zeroes.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// The first frame, when it is whole: its opcode, its payload and what is behind it. None that
/// comes here is of 64 KiB or more.
pub fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match second {
        126 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        short => (usize::from(short), rest),
    };
    let (payload, behind) = rest.split_at_checked(length)?;
    Some((first & 0x0f, payload, behind))
}

impl Client {
    /// Connects, and begins a handshake where there is TLS. Nothing waits from now on.
    pub fn connect(to: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> io::Result<Client> {
        let socket = sys::connect(to, None)?;
        socket.set_nonblocking(true)?;
        let name = || ServerName::try_from(NAME).map_err(io::Error::other);
        let begin = |config: &Arc<ClientConfig>| {
            ClientConnection::new(config.clone(), name()?).map_err(io::Error::other)
        };
        let session = tls.map(begin).transpose()?.map(Box::new);
        let mut client = Client { socket, session };
        client.flush()?;
        Ok(client)
    }

    /// Opens a WebSocket, and waits until it is open; gives what came behind the answer.
    pub fn open(
        to: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        path: &str,
    ) -> io::Result<(Client, Vec<u8>)> {
        let mut client = Client::connect(to, tls)?;
        client.wait(true)?;
        while client.shakes_hands() {
            client.read(&mut [0; 1024]).map(drop).or_else(patient)?;
        }
        client.write(upgrade(path).as_bytes())?;
        let (mut head, mut chunk) = (Vec::new(), [0; 4096]);
        let end = loop {
            let end = head.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            match client.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => head.extend_from_slice(&chunk[..n]),
                Err(error) => patient(error)?,
            }
        };
        if !head.starts_with(b"HTTP/1.1 101") {
            let said = String::from_utf8_lossy(&head).into_owned();
            return Err(io::Error::other(said));
        }
        client.wait(false)?;
        Ok((client, head.split_off(end)))
    }

    fn wait(&mut self, waits: bool) -> io::Result<()> {
        self.socket.set_read_timeout(Some(PATIENCE))?;
        self.socket.set_nonblocking(!waits)
    }

    pub fn shakes_hands(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.is_handshaking())
    }

    /// Reads the socket once; gives the plaintext that there is then. `Ok(0)` is the end.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(session) = &mut self.session else {
            return self.socket.read(into);
        };
        if session.read_tls(&mut self.socket)? == 0 {
            return Ok(0);
        }
        session.process_new_packets().map_err(io::Error::other)?;
        let read = session.reader().read(into);
        self.flush()?;
        read
    }

    /// Sends all of it; what does not fit into the socket is an error.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.session {
            None => self.socket.write_all(bytes),
            Some(session) => {
                session.writer().write_all(bytes)?;
                self.flush()
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        while session.wants_write() {
            session.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    /// The certificate that it was shown.
    pub fn shown(&self) -> Option<&[u8]> {
        let certificates = self.session.as_ref()?.peer_certificates()?;
        certificates.first().map(AsRef::as_ref)
    }
}

/// Of a socket that waits, would-block says that a record came which holds no plaintext.
fn patient(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}
