//! Certificates that the servers show: two of ECDSA P-256, signed by themselves, in files.
//!
//! In: nothing. Out: paths for servers, and what clients speak: TLS 1.3 with X25519 and AES-128-GCM
//! only, no resumption, so that all servers do the same. Clients check no signature, to be quick:
//! who shows a certificate is known here. Generator thread.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

pub const NAME: &str = "bench.example";

/// One certificate and its key.
pub struct Pair {
    pub cert: String,
    pub key: String,
    pub der: Vec<u8>,
}

/// Both pairs; the files go with it.
pub struct Certificates {
    folder: PathBuf,
    pub first: Pair,
    pub second: Pair,
    pub client: Arc<ClientConfig>,
}

impl Certificates {
    pub fn make() -> Result<Certificates, Box<dyn Error>> {
        let folder = std::env::temp_dir().join(format!("roomcast-edge-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let pair = |name: &str| -> Result<Pair, Box<dyn Error>> {
            let made = rcgen::generate_simple_self_signed(vec![NAME.to_string()])?;
            let file = |kind: &str, text: String| {
                let path = folder.join(format!("{name}.{kind}"));
                fs::write(&path, text).map(|()| path.to_string_lossy().into_owned())
            };
            Ok(Pair {
                cert: file("cert", made.cert.pem())?,
                key: file("key", made.signing_key.serialize_pem())?,
                der: made.cert.der().to_vec(),
            })
        };
        let (first, second) = (pair("first")?, pair("second")?);
        Ok(Certificates {
            folder,
            first,
            second,
            client: Arc::new(client()?),
        })
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn client() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    });
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    client.resumption = Resumption::disabled();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(client)
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
