//! Listeners: TCP and unix sockets, opened with what accepted sockets shall inherit.
//!
//! In: an address or a path. Out: sockets, non-blocking, with their options set by inheritance, so
//! that accepting costs no system call beyond `accept`. Opened on the host's thread, so that an
//! address in use is an error of `start`; then owned by shard 0.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::net::Incoming;
use crate::config::{Config, Limits, Listen};
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
            Listen::Tcp(address, _) => (address.clone(), open_tcp(address, config)),
            Listen::Unix(path, options) => {
                let mode = options.unix_mode;
                (path.display().to_string(), open_unix(path, mode, config))
            }
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
    prepare(SockRef::from(&socket), &config.limits)?;
    socket.bind(&address.into())?;
    socket.listen(backlog(config))?;
    Ok(Listener::Tcp(TcpListener::from_std(socket.into())))
}

fn backlog(config: &Config) -> i32 {
    i32::try_from(config.limits.listen_backlog).unwrap_or(i32::MAX)
}

/// Sets what a TCP socket shall have: no delay, and what the limits say. Where a limit is 0 the
/// kernel's own choice stays.
pub(super) fn prepare(socket: SockRef<'_>, limits: &Limits) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    if limits.keepalive_ms > 0 {
        let idle = Duration::from_secs(limits.keepalive_ms.div_ceil(1000));
        let probes = TcpKeepalive::new().with_time(idle).with_interval(idle);
        socket.set_tcp_keepalive(&probes)?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        if limits.notsent_lowat_bytes > 0 {
            socket.set_tcp_notsent_lowat(limits.notsent_lowat_bytes)?;
        }
        if limits.user_timeout_ms > 0 {
            let timeout = Duration::from_millis(u64::from(limits.user_timeout_ms));
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn open_unix(path: &PathBuf, mode: Option<u32>, config: &Config) -> io::Result<Listener> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    let socket = match bind_unix(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // A file that nobody accepts on was left by a process that did not stop cleanly.
            let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
            match UnixStream::connect(path) {
                Err(e) if is_socket && e.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path)?;
                    bind_unix(path)?
                }
                _ => return Err(error),
            }
        }
        result => result?,
    };
    let listens = listen_unix(&socket, path, mode, backlog(config));
    // From here on the file is removed with the listener.
    let listener = Listener::Unix(UnixListener::from_std(socket.into()), path.clone());
    listens.map(|()| listener)
}

#[cfg(unix)]
fn bind_unix(path: &PathBuf) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    Ok(socket)
}

/// Until it listens nobody can connect, so nobody does whom the mode keeps out.
#[cfg(unix)]
fn listen_unix(socket: &Socket, path: &PathBuf, mode: Option<u32>, backlog: i32) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    socket.set_nonblocking(true)?;
    if let Some(mode) = mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)
}

#[cfg(not(unix))]
fn open_unix(_: &PathBuf, _: Option<u32>, _: &Config) -> io::Result<Listener> {
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

#[cfg(all(test, not(loom), any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_what_the_limits_say() {
        let config = Config::new().keepalive_ms(6_500).user_timeout_ms(4_000);
        let listener = open_tcp_at("127.0.0.1:0".parse().unwrap(), &config).unwrap();
        let peer = std::net::TcpStream::connect(listener.address().unwrap()).unwrap();
        let Listener::Tcp(ref listener) = listener else {
            panic!("a TCP listener");
        };
        let (accepted, _) = listener.accept().unwrap();
        let socket = SockRef::from(&accepted);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
        assert_eq!(
            socket.tcp_user_timeout().unwrap(),
            Some(Duration::from_secs(4))
        );
        drop(peer);
    }
}
