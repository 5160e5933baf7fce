//! Where the engine listens, and what holds for one listener.
//!
//! In: addresses, paths and options of a host. Out: what `shard` opens. Rank 0: plain values.

use std::path::PathBuf;

/// What holds for one listener: [`Config::listen_with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    pub(crate) deflate: bool,
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
        ListenOptions { deflate: true }
    }

    /// Whether permessage-deflate is agreed on with peers that come through it. Default true, which
    /// still needs `deflate_level`. Off for a listener on a fast network of your own.
    #[must_use]
    pub fn deflate(mut self, deflate: bool) -> Self {
        self.deflate = deflate;
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
    /// Whether nothing is compressed for those who come through it.
    pub(crate) fn is_plain(&self) -> bool {
        let (Listen::Tcp(_, options) | Listen::Unix(_, options)) = self;
        !options.deflate
    }
}
