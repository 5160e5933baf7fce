//! Where the engine listens, and what holds for one listener.
//!
//! In: addresses, paths and options of a host. Out: what `shard` opens. Rank 0: plain values.

use std::path::PathBuf;

/// What holds for one listener: [`Config::listen_with`](crate::Config::listen_with).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    pub(crate) deflate: bool,
    pub(crate) tls: bool,
    pub(crate) proxy_protocol: bool,
    pub(crate) unix_mode: Option<u32>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions::new()
    }
}

impl ListenOptions {
    /// As any listener.
    #[must_use]
    pub fn new() -> Self {
        ListenOptions {
            deflate: true,
            tls: false,
            proxy_protocol: false,
            unix_mode: None,
        }
    }

    /// Whether permessage-deflate is agreed on with peers that come through it. Default true, which
    /// still needs `deflate_level`. Off for a listener on a fast network of your own.
    #[must_use]
    pub fn deflate(mut self, deflate: bool) -> Self {
        self.deflate = deflate;
        self
    }

    /// Whether each connection begins with a PROXY header, of version 1 or 2, by which a proxy says
    /// whose connection it is. It is then what [`Request::peer`](crate::Request::peer) and
    /// [`Request::peer_ip`](crate::Request::peer_ip) go by. Default false.
    ///
    /// Only [`Config::trusted_proxies`](crate::Config::trusted_proxies) are believed, so at least
    /// one of those must be set. A connection of anybody else is dropped, and so is one that begins
    /// otherwise, or with a header of more than 4 KiB (`rejected_proxy` counts them). The header
    /// has to be there within `handshake_timeout_ms`. Where it is `LOCAL` or `UNKNOWN`, the proxy
    /// speaks for itself; of a peer on a unix socket of the proxy's host no address is known.
    #[must_use]
    pub fn proxy_protocol(mut self, begins: bool) -> Self {
        self.proxy_protocol = begins;
        self
    }

    /// Permissions of the file of a unix socket, such as `0o660`: whoever may write to it may
    /// connect. They hold before the first connection is taken. Default: what the process's umask
    /// leaves. Of no effect for TCP.
    #[must_use]
    pub fn unix_mode(mut self, mode: u32) -> Self {
        self.unix_mode = Some(mode);
        self
    }
}

/// Where the engine listens.
#[derive(Clone, Debug)]
pub(crate) enum Listen {
    Tcp(String, ListenOptions),
    Unix(PathBuf, ListenOptions),
}

impl Listen {
    pub(crate) fn options(&self) -> ListenOptions {
        let (Listen::Tcp(_, options) | Listen::Unix(_, options)) = self;
        *options
    }
}
