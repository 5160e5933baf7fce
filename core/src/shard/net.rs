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
    /// Nanoseconds of CPU that this thread has taken.
    fn cpu_ns(&mut self) -> u64 {
        0
    }
    /// Sends the end of our stream; reading goes on.
    fn shutdown(&mut self, socket: &mut Self::Socket);
}
