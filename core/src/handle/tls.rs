//! Certificates from files, and new ones for a running engine.
//!
//! In: paths, or certificates that were read. Out: what new handshakes are served with from now on.
//! Any thread.

use std::path::Path;

use super::Handle;
use crate::tls::{Tls, TlsError};

impl Tls {
    /// As [`Tls::pair`], from two files, or twice the same one.
    ///
    /// # Errors
    /// [`TlsError::File`], and those of [`Tls::pair`].
    pub fn files(
        self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::File {
                path: path.to_path_buf(),
                source,
            })
        };
        self.pair(&read(certificate.as_ref())?, &read(key.as_ref())?)
    }
}

impl Handle {
    /// Serves new TLS handshakes with these certificates from now on. No connection is dropped:
    /// those that are there go on under the keys that they have, handshakes on their way under the
    /// certificate they were shown, and tickets that were given out stay good.
    ///
    /// # Errors
    /// [`TlsError`]: no certificate in it, an engine without
    /// [`Config::tls`](crate::Config::tls), or one that has stopped. What was served before goes
    /// on being served.
    pub fn reload_tls(&self, tls: &Tls) -> Result<(), TlsError> {
        if self.shared.is_stopping() {
            return Err(TlsError::Stopped);
        }
        let offer = self.shared.tls.as_ref().ok_or(TlsError::NotServed)?;
        offer.replace(tls)
    }
}
