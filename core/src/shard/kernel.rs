//! The kernel as a [`Net`]: mio's poller over TCP and unix sockets.
//!
//! Both interests are registered once, edge-triggered. Writes never raise SIGPIPE, whatever the
//! host does with signals. `cfg` for operating systems is confined to this file and `listen.rs`.
//! Sockets that speak TLS go through their machines (`tls.rs`).

use std::io::{self, IoSlice, Read};
use std::time::Duration;

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::listen::Listener;
use super::net::{Incoming, Net, Ready};
#[cfg(feature = "tls")]
use super::net::{Left, TlsTally};
use super::shared::Clock;
#[cfg(feature = "tls")]
use super::tls::{Key, Offer, Pipe, Side};
use crate::config::Limits;
use crate::inbox::Wake;
#[cfg(feature = "tls")]
use crate::sync::Arc;

const WAKER: Token = Token(usize::MAX);
/// Tokens from here on are listeners; slots are below 2^24.
const LISTENERS: usize = 1 << 32;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const SEND_FLAGS: std::ffi::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const SEND_FLAGS: std::ffi::c_int = 0;

/// A connected socket as the kernel has it.
pub(crate) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

macro_rules! each_stream {
    ($stream:expr, $it:ident => $body:expr) => {
        match $stream {
            Stream::Tcp($it) => $body,
            #[cfg(unix)]
            Stream::Unix($it) => $body,
        }
    };
}

impl Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        each_stream!(self, it => it.read(into))
    }

    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        each_stream!(self, it => {
            it.try_io(|| SockRef::from(&*it).send_with_flags(bytes, SEND_FLAGS))
        })
    }

    fn write_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each_stream!(self, it => {
            it.try_io(|| SockRef::from(&*it).send_vectored_with_flags(slices, SEND_FLAGS))
        })
    }

    fn end(&mut self) {
        // Fails only where the peer has gone, which the next read says too.
        let _ = each_stream!(self, it => it.shutdown(std::net::Shutdown::Write));
    }
}

/// A connection as the shard has it: eight bytes, as the walk over members touches one after the
/// other.
pub(crate) enum Socket {
    Plain(Stream),
    /// Its machine is in the kernel's `tls`.
    #[cfg(feature = "tls")]
    Tls(Key),
}

pub(crate) struct Kernel {
    poll: Poll,
    events: Events,
    listeners: Vec<Listener>,
    clock: Clock,
    #[cfg(feature = "tls")]
    tls: Side<Stream>,
}

struct Waker(mio::Waker);

impl Wake for Waker {
    fn wake(&self) {
        if let Err(error) = self.0.wake() {
            tracing::warn!(target: "roomcast", %error, "a shard could not be woken");
        }
    }
}

impl Kernel {
    /// A poller for one shard, and what wakes it.
    pub(crate) fn new(
        mut listeners: Vec<Listener>,
        clock: Clock,
    ) -> io::Result<(Self, Box<dyn Wake>)> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        for (i, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(LISTENERS + i))?;
        }
        let events = Events::with_capacity(1024);
        let kernel = Kernel {
            poll,
            events,
            listeners,
            clock,
            #[cfg(feature = "tls")]
            tls: Side::default(),
        };
        Ok((kernel, Box::new(Waker(waker))))
    }

    /// From now on sockets may speak TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn offer_tls(&mut self, offer: Arc<Offer>) {
        self.tls.offer = Some(offer);
    }

    /// The poller's descriptor: readable while something is ready.
    #[cfg(unix)]
    pub(crate) fn fd(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsRawFd;
        self.poll.as_raw_fd()
    }
}

impl Net for Kernel {
    type Socket = Socket;

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            ready.push(match event.token() {
                WAKER => Ready::Woken,
                Token(t) if t >= LISTENERS => Ready::Listener(t - LISTENERS),
                Token(t) => Ready::Socket {
                    slot: t as u32,
                    readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                    writable: event.is_writable(),
                    ended: event.is_read_closed(),
                },
            });
        }
        Ok(())
    }

    fn now_ns(&mut self) -> u64 {
        self.clock.now_ns()
    }

    fn cpu_ns(&mut self) -> u64 {
        super::cpu::thread_ns()
    }

    fn listeners(&self) -> usize {
        self.listeners.len()
    }

    fn accept(&mut self, listener: usize) -> io::Result<Incoming> {
        match self.listeners.get_mut(listener) {
            Some(listener) => listener.accept(),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn close_listeners(&mut self) {
        self.listeners.clear();
    }

    fn register(&mut self, incoming: Incoming, slot: u32) -> io::Result<Socket> {
        let token = Token(slot as usize);
        let both = Interest::READABLE | Interest::WRITABLE;
        match incoming {
            Incoming::Tcp(stream, _) => {
                let mut stream = TcpStream::from_std(stream);
                self.poll.registry().register(&mut stream, token, both)?;
                Ok(Socket::Plain(Stream::Tcp(stream)))
            }
            #[cfg(unix)]
            Incoming::Unix(stream) => {
                let mut stream = UnixStream::from_std(stream);
                self.poll.registry().register(&mut stream, token, both)?;
                Ok(Socket::Plain(Stream::Unix(stream)))
            }
            Incoming::Simulated(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn read(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        match socket {
            Socket::Plain(stream) => stream.read(into),
            #[cfg(feature = "tls")]
            Socket::Tls(key) => self.tls.read(*key, into),
        }
    }

    fn write(&mut self, socket: &mut Socket, bytes: &[u8]) -> io::Result<usize> {
        match socket {
            Socket::Plain(stream) => stream.write(bytes),
            #[cfg(feature = "tls")]
            Socket::Tls(key) => self.tls.write(*key, bytes),
        }
    }

    fn write_slices(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match socket {
            Socket::Plain(stream) => stream.write_slices(slices),
            #[cfg(feature = "tls")]
            Socket::Tls(key) => self.tls.write_slices(*key, slices),
        }
    }

    fn shutdown(&mut self, socket: &mut Socket) {
        match socket {
            Socket::Plain(stream) => stream.end(),
            #[cfg(feature = "tls")]
            Socket::Tls(key) => self.tls.shutdown(*key),
        }
    }

    #[cfg(feature = "tls")]
    fn left(&mut self, socket: &Socket) -> Left {
        match socket {
            Socket::Plain(_) => Left::default(),
            Socket::Tls(key) => self.tls.left(*key),
        }
    }

    #[cfg(feature = "tls")]
    fn on_writable(&mut self, socket: &mut Socket) {
        if let Socket::Tls(key) = socket {
            self.tls.on_writable(*key);
        }
    }

    #[cfg(feature = "tls")]
    fn start_tls(&mut self, socket: &mut Socket, already_read: &[u8]) -> io::Result<()> {
        let session = self.tls.session()?;
        match std::mem::replace(socket, Socket::Tls(self.tls.next_key())) {
            Socket::Plain(stream) => self.tls.insert(stream, session, already_read),
            before => *socket = before,
        }
        Ok(())
    }

    #[cfg(feature = "tls")]
    fn shakes_hands(&self, socket: &Socket) -> bool {
        match socket {
            Socket::Plain(_) => false,
            Socket::Tls(key) => self.tls.shakes_hands(*key),
        }
    }

    #[cfg(feature = "tls")]
    fn take_tls_tally(&mut self) -> Option<TlsTally> {
        self.tls.take_tally()
    }

    #[cfg(feature = "tls")]
    fn buffered_bytes(&self) -> usize {
        self.tls.buffered_bytes()
    }

    #[cfg(feature = "tls")]
    fn session_bytes(&self) -> usize {
        self.tls.session_bytes()
    }

    #[cfg(feature = "tls")]
    fn close(&mut self, socket: Socket) {
        if let Socket::Tls(key) = socket {
            self.tls.close(key);
        }
    }
}

#[cfg(feature = "tls")]
impl Pipe for Stream {
    fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read(into)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn end(&mut self) {
        self.end();
    }
}

impl Kernel {
    /// Makes a socket of the host's ready to be adopted.
    pub(crate) fn prepare(incoming: &Incoming, limits: &Limits) -> io::Result<()> {
        match incoming {
            Incoming::Tcp(stream, _) => {
                stream.set_nonblocking(true)?;
                super::listen::prepare(SockRef::from(stream), limits)
            }
            #[cfg(unix)]
            Incoming::Unix(stream) => stream.set_nonblocking(true),
            Incoming::Simulated(_) => Ok(()),
        }
    }
}
