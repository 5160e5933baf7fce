//! What is said on the command line and in the environment, and the files that are named there.

use std::path::PathBuf;

use roomcast::{KeyError, Keys, Tls, TlsError};

use crate::login::Login;

const USAGE: &str = "\
usage: secure --cert FILE --key FILE [--port N] [--proxied-port N] [--unix PATH]
              [--jwks FILE] [--token-s N]

  --cert, --key     the certificate with its chain, and its key, in PEM
  --port            TLS for everybody (default 8443, 0 for a free one)
  --proxied-port    TLS behind a proxy on this machine that sends PROXY headers
  --unix            HTTP from a proxy on this machine that ends TLS
  --jwks            public keys of whoever signs tokens: a JWK Set
  --token-s         how long tokens of the login page are valid (default 300)

BOARD_SECRET is the secret that the login page signs tokens with: 32 bytes at least. It is not
among the arguments, since those are seen by everybody on the machine.";

pub struct Options {
    pub port: u16,
    pub proxied_port: Option<u16>,
    pub unix: Option<PathBuf>,
    cert: PathBuf,
    key: PathBuf,
    jwks: Option<PathBuf>,
    secret: Option<String>,
    token_s: u64,
}

impl Options {
    pub fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            port: 8443,
            proxied_port: None,
            unix: None,
            cert: PathBuf::new(),
            key: PathBuf::new(),
            jwks: None,
            secret: std::env::var("BOARD_SECRET").ok(),
            token_s: 300,
        };
        while let Some(name) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            let number = || value.parse().map_err(|_| format!("{name} takes a number"));
            match name.as_str() {
                "--port" => options.port = number()?,
                "--proxied-port" => options.proxied_port = Some(number()?),
                "--unix" => options.unix = Some(value.into()),
                "--cert" => options.cert = value.into(),
                "--key" => options.key = value.into(),
                "--jwks" => options.jwks = Some(value.into()),
                "--token-s" => options.token_s = number()?.into(),
                _ => return Err(USAGE.into()),
            }
        }
        let has_files = !options.cert.as_os_str().is_empty() && !options.key.as_os_str().is_empty();
        let has_keys = options.secret.is_some() || options.jwks.is_some();
        match has_files && has_keys {
            true => Ok(options),
            false => Err(USAGE.into()),
        }
    }

    pub fn tls(&self) -> Result<Tls, TlsError> {
        Tls::new().files(&self.cert, &self.key)
    }

    /// By what tokens are checked: their signature, and that they are meant for this board.
    pub fn keys(&self) -> Result<Keys, String> {
        let told = |error: KeyError| error.to_string();
        let mut keys = Keys::new().audience("board");
        if let Some(secret) = &self.secret {
            keys = keys.hs256(secret.as_bytes()).map_err(told)?;
        }
        if let Some(path) = &self.jwks {
            let set = std::fs::read_to_string(path);
            let set = set.map_err(|error| format!("{}: {error}", path.display()))?;
            keys = keys.jwks(&set).map_err(told)?;
        }
        Ok(keys)
    }

    /// The stand-in; without a secret there is none.
    pub fn login(&self) -> Option<Login> {
        let secret = self.secret.as_ref()?.clone().into_bytes();
        let lifetime_s = self.token_s;
        Some(Login { secret, lifetime_s })
    }
}
