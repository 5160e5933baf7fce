//! The seam between a shard and the world: sockets, readiness and the clock.
//!
//! The turn is generic over [`Net`]; the kernel is one, the simulated network of the tests another,
//! and both run the very same turn. In: readiness. Out: bytes read and written. Knows nothing of
//! HTTP, WebSocket or rooms. One thread owns each.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::Duration;

use crate::address::Sender;

/// A socket on its way to a shard: accepted by a listener or adopted from the host.
#[derive(Debug)]
pub(crate) enum Incoming {
    Tcp(std::net::TcpStream, Option<SocketAddr>),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
    /// A connection of the simulated network.
    #[cfg_attr(not(feature = "internal-testing"), allow(dead_code))]
    Simulated(u32),
}

impl Incoming {
    pub(crate) fn sender(&self) -> Sender {
        match self {
            Incoming::Tcp(_, peer) => peer.map_or(Sender::Unknown, Sender::Address),
            #[cfg(unix)]
            Incoming::Unix(_) => Sender::Unix,
            Incoming::Simulated(_) => Sender::Unknown,
        }
    }
}

/// What became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    Socket {
        slot: u32,
        readable: bool,
        writable: bool,
        /// The peer has ended its stream; bytes may still lie before the end.
        ended: bool,
    },
    Listener(usize),
    /// Another thread woke us; the inbox is looked at anyway.
    Woken,
}

/// What a read left behind, which no edge will tell of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Left {
    /// The socket is to be read again.
    pub(crate) again: bool,
    /// TLS records that were deciphered since this was asked last.
    pub(crate) records: usize,
}

/// What became of TLS handshakes since this was asked last, and the connections now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsTally {
    pub(crate) connections: u64,
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
    pub(crate) failed: u64,
}

pub(crate) trait Net: Send + 'static {
    type Socket: Send;

    /// Waits for at most `timeout` (None: for ever) and adds what became ready.
    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()>;
    /// Nanoseconds since the engine started.
    fn now_ns(&mut self) -> u64;
    fn listeners(&self) -> usize;
    /// The next waiting connection of a listener.
    fn accept(&mut self, listener: usize) -> io::Result<Incoming>;
    /// Stops listening.
    fn close_listeners(&mut self);
    /// Takes a socket over; from now on it is reported under `slot`.
    fn register(&mut self, incoming: Incoming, slot: u32) -> io::Result<Self::Socket>;
    fn read(&mut self, socket: &mut Self::Socket, into: &mut [u8]) -> io::Result<usize>;
    fn write(&mut self, socket: &mut Self::Socket, bytes: &[u8]) -> io::Result<usize>;
    fn write_slices(
        &mut self,
        socket: &mut Self::Socket,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize>;
    /// Asked after each read.
    fn left(&mut self, _: &Self::Socket) -> Left {
        Left::default()
    }
    /// The socket takes bytes again. What a handshake has left to be sent goes out; what outbound
    /// writes is outbound's.
    fn on_writable(&mut self, _: &mut Self::Socket) {}
    /// Has a registered socket speak TLS from now on; these bytes were read of it before. Where
    /// there are any, it is to be read at once.
    fn start_tls(&mut self, _: &mut Self::Socket, _already_read: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Whether it is in its TLS handshake, so that reading it costs much.
    fn shakes_hands(&self, _: &Self::Socket) -> bool {
        false
    }
    /// None where there never was a TLS connection.
    fn take_tls_tally(&mut self) -> Option<TlsTally> {
        None
    }
    /// Bytes that sockets hold beside the tables: what waits in either direction.
    fn buffered_bytes(&self) -> usize {
        0
    }
    /// The same of what they need to be there at all.
    fn session_bytes(&self) -> usize {
        0
    }
    /// Nanoseconds of CPU that this thread has taken.
    fn cpu_ns(&mut self) -> u64 {
        0
    }
    /// Sends the end of our stream; reading goes on.
    fn shutdown(&mut self, socket: &mut Self::Socket);
    /// Closes the socket.
    fn close(&mut self, socket: Self::Socket) {
        drop(socket);
    }
}
