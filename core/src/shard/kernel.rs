//! The kernel as a [`Net`]: mio's poller over TCP and unix sockets.
//!
//! Both interests are registered once, edge-triggered. Writes never raise SIGPIPE, whatever the
//! host does with signals. `cfg` for operating systems is confined to this file and `listen.rs`.

use std::io::{self, IoSlice, Read};
use std::time::Duration;

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::listen::Listener;
use super::net::{Incoming, Net, Ready};
use super::shared::Clock;
use crate::config::Limits;
use crate::inbox::Wake;

const WAKER: Token = Token(usize::MAX);
/// Tokens from here on are listeners; slots are below 2^24.
const LISTENERS: usize = 1 << 32;

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const SEND_FLAGS: std::ffi::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const SEND_FLAGS: std::ffi::c_int = 0;

/// A connected socket.
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

macro_rules! each_socket {
    ($socket:expr, $stream:ident => $body:expr) => {
        match $socket {
            Socket::Tcp($stream) => $body,
            #[cfg(unix)]
            Socket::Unix($stream) => $body,
        }
    };
}

pub(crate) struct Kernel {
    poll: Poll,
    events: Events,
    listeners: Vec<Listener>,
    clock: Clock,
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
        };
        Ok((kernel, Box::new(Waker(waker))))
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
                Ok(Socket::Tcp(stream))
            }
            #[cfg(unix)]
            Incoming::Unix(stream) => {
                let mut stream = UnixStream::from_std(stream);
                self.poll.registry().register(&mut stream, token, both)?;
                Ok(Socket::Unix(stream))
            }
            Incoming::Simulated(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn read(&mut self, socket: &mut Socket, into: &mut [u8]) -> io::Result<usize> {
        each_socket!(socket, stream => stream.read(into))
    }

    fn write(&mut self, socket: &mut Socket, bytes: &[u8]) -> io::Result<usize> {
        each_socket!(socket, stream => {
            stream.try_io(|| SockRef::from(&*stream).send_with_flags(bytes, SEND_FLAGS))
        })
    }

    fn write_slices(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each_socket!(socket, stream => {
            stream.try_io(|| SockRef::from(&*stream).send_vectored_with_flags(slices, SEND_FLAGS))
        })
    }

    fn shutdown(&mut self, socket: &mut Socket) {
        // Fails only where the peer has gone, which the next read says too.
        let _ = each_socket!(socket, stream => stream.shutdown(std::net::Shutdown::Write));
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
