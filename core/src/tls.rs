//! TLS as a host sets it: certificates with their keys, found by name, and the versions spoken.
//!
//! In: PEM. Out: what rustls needs to shake hands, made once and shared by all connections. Knows
//! no sockets; reading files is in `handle/tls.rs`. Rank 0, any thread.

#[cfg(all(test, not(loom)))]
pub(crate) mod certificates;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use foldhash::fast::RandomState;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ALL_VERSIONS, ServerConfig};
use webpki::EndEntityCert;

use crate::config::{Config, ListenOptions};
use crate::error::{ConfigError, Status};
use crate::sync::Arc;

/// Certificates of the TLS listeners, and the versions that these speak: TLS 1.2 and 1.3, with
/// suites that have forward secrecy only, ALPN `http/1.1`, no client certificates. Sessions are
/// resumed by tickets, for which the server keeps nothing.
///
/// ```
/// use roomcast::{Config, ListenOptions, Tls};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # fn start(certificate: &str, key: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::new().files(certificate, key)?;
/// let config = Config::new()
///     .tls(tls)
///     .listen_with("0.0.0.0:443", ListenOptions::new().tls(true));
/// # let _ = config;
/// # Ok(())
/// # }
/// # assert!(start("no-such.pem", "no-such.key").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    pairs: Vec<Pair>,
    tls13_only: bool,
}

#[derive(Clone)]
struct Pair {
    key: Arc<CertifiedKey>,
    /// As the certificate has them, in lower case; a wildcard begins with `*.`.
    names: Vec<String>,
}

impl Tls {
    /// No certificate yet: at least one [`Tls::pair`] is needed.
    #[must_use]
    pub fn new() -> Self {
        Tls::default()
    }

    /// Adds a certificate, with those that certify it behind it, and its private key, both in PEM;
    /// they may stand in one text. Keys are PKCS#8, SEC 1 or PKCS#1; ECDSA P-256 costs a tenth of
    /// what RSA does.
    ///
    /// Of several, a peer is shown the first whose certificate has the name that it asks for (a
    /// wildcard stands for one label) with a key that it can check; the very first where it asks
    /// for none, or for a name that none has.
    ///
    /// # Errors
    /// [`TlsError`] says what is wrong with which of the two.
    pub fn pair(mut self, cert_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(cert_pem)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::BadCertificate(error.to_string()))?;
        let Some(first) = chain.first() else {
            return Err(TlsError::NoCertificate);
        };
        let names = names_of(first)?;
        let key = match PrivateKeyDer::from_pem_slice(key_pem) {
            Ok(key) => key,
            Err(PemError::NoItemsFound) => return Err(TlsError::NoKey),
            Err(error) => return Err(TlsError::BadKey(error.to_string())),
        };
        let provider = aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch,
            rustls::Error::InvalidCertificate(error) => TlsError::BadCertificate(error.to_string()),
            error => TlsError::BadKey(error.to_string()),
        })?;
        self.pairs.push(Pair {
            key: Arc::new(key),
            names,
        });
        Ok(self)
    }

    /// With `true` TLS 1.2 is refused. Default false.
    #[must_use]
    pub fn tls13_only(mut self, only: bool) -> Self {
        self.tls13_only = only;
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// What rustls serves with.
    pub(crate) fn server_config(
        &self,
        ticketer: Arc<dyn ProducesTickets>,
    ) -> Result<ServerConfig, TlsError> {
        if self.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let versions = match self.tls13_only {
            true => &[&rustls::version::TLS13],
            false => ALL_VERSIONS,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::BadCertificate(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Names::new(&self.pairs)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = ticketer;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.pairs.iter().map(|pair| &pair.names).collect();
        f.debug_struct("Tls")
            .field("names", &names)
            .field("tls13_only", &self.tls13_only)
            .finish_non_exhaustive()
    }
}

impl ListenOptions {
    /// Whether peers speak TLS here, with the certificates of [`Config::tls`]. Plain HTTP on such a
    /// listener is ended with an alert and counted (`tls_failed`). Default false.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }
}

impl Config {
    /// Certificates and versions of the listeners with [`ListenOptions::tls`];
    /// [`Handle::reload_tls`](crate::Handle::reload_tls) replaces them in the running engine.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(crate) fn check_tls(&self) -> Result<(), ConfigError> {
        let asks = self.listen.iter().any(|l| l.options().tls);
        match &self.tls {
            Some(tls) if tls.is_empty() => Err(ConfigError::Missing {
                setting: "tls",
                needs: "a certificate",
                because: "Tls::pair or Tls::files adds one",
            }),
            None if asks => Err(ConfigError::Missing {
                setting: "ListenOptions::tls",
                needs: "Config::tls",
                because: "that has the certificates",
            }),
            _ => Ok(()),
        }
    }
}

fn names_of(certificate: &CertificateDer<'_>) -> Result<Vec<String>, TlsError> {
    let parsed = EndEntityCert::try_from(certificate)
        .map_err(|error| TlsError::BadCertificate(error.to_string()))?;
    Ok(parsed
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect())
}

/// Which pair a peer is shown.
#[derive(Debug)]
struct Names {
    /// What `*.` stands before is kept with the dot: `.example.com`.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>, RandomState>,
    first: Option<Arc<CertifiedKey>>,
}

impl Names {
    fn new(pairs: &[Pair]) -> Self {
        let mut by_name: HashMap<_, Vec<_>, _> = HashMap::default();
        for Pair { key, names } in pairs {
            for name in names {
                let name = name.strip_prefix('*').unwrap_or(name).to_string();
                by_name.entry(name).or_default().push(key.clone());
            }
        }
        let first = pairs.first().map(|pair| pair.key.clone());
        Names { by_name, first }
    }

    /// Those for a name, which is in lower case.
    fn find(&self, name: &str) -> &[Arc<CertifiedKey>] {
        let wild = || self.by_name.get(&name[name.find('.')?..]);
        let found = self.by_name.get(name).or_else(wild);
        found.map_or(&[], Vec::as_slice)
    }
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().map_or(&[][..], |name| self.find(name));
        let schemes = hello.signature_schemes();
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let key = found.iter().find(fits).or_else(|| found.first());
        key.or(self.first.as_ref()).cloned()
    }
}

/// Why certificates were not taken. What was served before goes on being served.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate in the PEM, or no pair at all.
    NoCertificate,
    /// There is no private key in the PEM.
    NoKey,
    /// A certificate cannot be read.
    BadCertificate(String),
    /// The private key cannot be read, or is of a kind that is not spoken here.
    BadKey(String),
    /// The key is not that of the first certificate.
    KeyMismatch,
    /// A file cannot be read.
    File {
        /// Its path.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The engine was started without [`Config::tls`](crate::Config::tls).
    NotServed,
    /// The engine is stopping or has stopped.
    Stopped,
}

impl TlsError {
    /// The number of the closed list.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            TlsError::File { .. } => Status::Io,
            TlsError::NotServed => Status::Config,
            TlsError::Stopped => Status::Stopped,
            _ => Status::Certificate,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::NoCertificate => f.write_str("there is no certificate in the PEM"),
            TlsError::NoKey => f.write_str("there is no private key in the PEM"),
            TlsError::BadCertificate(error) => write!(f, "a certificate cannot be read: {error}"),
            TlsError::BadKey(error) => write!(f, "the private key cannot be used: {error}"),
            TlsError::KeyMismatch => {
                f.write_str("the private key is not that of the first certificate")
            }
            TlsError::File { path, source } => {
                write!(f, "{} cannot be read: {source}", path.display())
            }
            TlsError::NotServed => f.write_str("the engine was started without Config::tls"),
            TlsError::Stopped => Status::Stopped.fmt(f),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TlsError::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn refused(cert: &str, key: &str) -> TlsError {
        let error = Tls::new()
            .pair(cert.as_bytes(), key.as_bytes())
            .unwrap_err();
        assert_eq!(error.status(), Status::Certificate);
        error
    }

    #[test]
    fn an_error_says_which_of_the_two_is_wrong() {
        let ((cert, key), (_, other)) = (certificates::A, certificates::OTHER);
        let cut = |pem: &str| pem.replacen("MI", "", 1);
        assert!(matches!(refused("", key), TlsError::NoCertificate));
        assert!(matches!(refused(key, key), TlsError::NoCertificate));
        assert!(matches!(refused(cert, ""), TlsError::NoKey));
        assert!(matches!(refused(cert, cert), TlsError::NoKey));
        assert!(matches!(refused(cert, other), TlsError::KeyMismatch));
        assert!(matches!(
            refused(&cut(cert), key),
            TlsError::BadCertificate(_)
        ));
        assert!(matches!(refused(cert, &cut(key)), TlsError::BadKey(_)));
        let half = &cert[..cert.len() / 2];
        assert!(matches!(refused(half, key), TlsError::BadCertificate(_)));
        let both = format!("{key}{cert}");
        assert!(Tls::new().pair(both.as_bytes(), both.as_bytes()).is_ok());
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let (cert, key) = certificates::A;
        let tls = Tls::new().pair(cert.as_bytes(), key.as_bytes()).unwrap();
        let shown = format!("{tls:?}");
        assert_eq!(
            shown,
            r#"Tls { names: [["a.example"]], tls13_only: false, .. }"#
        );
    }

    #[test]
    fn a_name_finds_its_certificate_and_a_wildcard_one_label() {
        let mut tls = Tls::new();
        for (cert, key) in [certificates::FIRST, certificates::WILD, certificates::BOTH] {
            tls = tls.pair(cert.as_bytes(), key.as_bytes()).unwrap();
        }
        let names = Names::new(&tls.pairs);
        let found = |name: &str| {
            let at = |key| {
                tls.pairs
                    .iter()
                    .position(|pair| Arc::ptr_eq(&pair.key, key))
            };
            names
                .find(name)
                .iter()
                .map(|key| at(key).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(found("first.example"), [0, 2], "in the order of the pairs");
        assert_eq!(found("b.example"), [1]);
        assert_eq!(found("x.b.example"), [1]);
        assert_eq!(
            found("c.b.example"),
            [2],
            "the exact name before the wildcard"
        );
        for nobody in [
            "x.y.b.example",
            ".b.example.",
            "example",
            "",
            ".",
            "x.first.example",
        ] {
            assert_eq!(found(nobody), [0; 0], "{nobody}");
        }
    }

    #[test]
    fn a_config_without_certificates_names_the_setting() {
        let config = Config::new().listen_with("127.0.0.1:0", ListenOptions::new().tls(true));
        for (config, said) in [
            (config.clone(), "ListenOptions::tls needs Config::tls"),
            (config.tls(Tls::new()), "tls needs a certificate"),
        ] {
            let error = config.check().unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
    }
}
