//! Listeners: TCP and unix sockets, opened with what accepted sockets shall inherit.
//!
//! In: an address or a path. Out: sockets, non-blocking, with NODELAY and NOTSENT_LOWAT set by
//! inheritance, so that accepting costs no system call beyond `accept`. Opened on the host's
//! thread, so that an address in use is an error of `start`; then owned by shard 0.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::net::Incoming;
use crate::config::{Config, Listen};
use crate::error::StartError;

pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

/// Opens all listeners of a config; on an error none stays open.
pub(crate) fn open_all(config: &Config) -> Result<Vec<Listener>, StartError> {
    let open = |listen: &Listen| {
        let (address, opened) = match listen {
            Listen::Tcp(address) => (address.clone(), open_tcp(address, config)),
            Listen::Unix(path) => (path.display().to_string(), open_unix(path)),
        };
        opened.map_err(|source| StartError::Listen { address, source })
    };
    config.listen.iter().map(open).collect()
}

fn open_tcp(address: &str, config: &Config) -> io::Result<Listener> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in address.to_socket_addrs()? {
        match open_tcp_at(address, config) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn open_tcp_at(address: SocketAddr, config: &Config) -> io::Result<Listener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    #[cfg(unix)]
    {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(config.reuse_port)?;
    }
    socket.set_tcp_nodelay(true)?;
    set_notsent_lowat(SockRef::from(&socket), config.limits.notsent_lowat_bytes)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(config.limits.listen_backlog).unwrap_or(i32::MAX))?;
    Ok(Listener::Tcp(TcpListener::from_std(socket.into())))
}

/// Bounds what the kernel holds for one socket that its peer does not read; 0 leaves it alone.
pub(super) fn set_notsent_lowat(socket: SockRef<'_>, bytes: u32) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if bytes > 0 {
        return socket.set_tcp_notsent_lowat(bytes);
    }
    let _ = (socket, bytes);
    Ok(())
}

#[cfg(unix)]
fn open_unix(path: &PathBuf) -> io::Result<Listener> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::{UnixListener as StdListener, UnixStream};
    let listener = match StdListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // A file that nobody accepts on was left by a process that did not stop cleanly.
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            match UnixStream::connect(path) {
                Err(e) if is_socket && e.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                    StdListener::bind(path)?
                }
                _ => return Err(error),
            }
        }
        result => result?,
    };
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(
        UnixListener::from_std(listener),
        path.clone(),
    ))
}

#[cfg(not(unix))]
fn open_unix(_: &PathBuf) -> io::Result<Listener> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Listener {
    /// The address of a TCP listener, with the port that the system chose.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Listener::Unix(..) => None,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            #[cfg(unix)]
            Listener::Unix(listener, _) => registry.register(listener, token, Interest::READABLE),
        }
    }

    pub(super) fn accept(&mut self) -> io::Result<Incoming> {
        match self {
            Listener::Tcp(listener) => listener
                .accept()
                .map(|(stream, peer)| Incoming::Tcp(stream.into(), Some(peer))),
            #[cfg(unix)]
            Listener::Unix(listener, _) => listener
                .accept()
                .map(|(stream, _)| Incoming::Unix(stream.into())),
        }
    }
}

#[cfg(unix)]
impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            // Somebody else may have removed it already.
            let _ = std::fs::remove_file(path);
        }
    }
}
