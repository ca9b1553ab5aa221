//! The serving certificate, reloaded while connections go on, and a verifier that asks for client certificates
//! without judging them (contract rules 54-57).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use crate::issuer::ServerNames;
use crate::pki::{self, PkiError};

/// Where the serving certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM chain, leaf first (`--tls-cert-file`).
    pub certificate: PathBuf,
    /// PEM private key (`--tls-private-key-file`).
    pub key: PathBuf,
}

/// Why there is no serving certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// What stands in the files cannot be used.
    #[error("{certificate} and {key}: {cause}", certificate = files.certificate.display(), key = files.key.display())]
    Unusable {
        /// The files.
        files: TlsFiles,
        /// What is wrong with them.
        cause: PkiError,
    },
    /// No certificate could be made.
    #[error("cannot make a self-signed certificate: {0}")]
    SelfSigned(String),
}

/// The serving certificate and the TLS settings around it.
pub struct TlsReloader {
    certificate: Arc<CurrentCertificate>,
    config: ArcSwap<ServerConfig>,
}

impl TlsReloader {
    /// Serves `certificate` until another is set.
    #[must_use]
    pub fn new(certificate: Arc<CertifiedKey>) -> Self {
        let certificate = Arc::new(CurrentCertificate(ArcSwap::new(certificate)));
        let config = ArcSwap::from_pointee(server_config(&certificate, Vec::new()));
        Self { certificate, config }
    }

    /// The settings for the next handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// When the certificate that is presented expires; `None` if that cannot be told.
    #[must_use]
    pub fn not_after(&self) -> Option<SystemTime> {
        let certificate = self.certificate.0.load();
        pki::validity(certificate.cert.first()?).ok().map(|validity| *validity.end())
    }

    /// Presents another certificate from the next handshake on.
    pub fn set_certificate(&self, certificate: Arc<CertifiedKey>) {
        self.certificate.0.store(certificate);
    }

    /// Advertises the CAs whose certificates are understood (rule 55); clients use the list to choose one.
    pub fn set_client_cas(&self, cas: &[CertificateDer<'_>]) {
        let subjects = cas.iter().filter_map(|certificate| {
            let anchor = webpki::anchor_from_trusted_cert(certificate).ok()?;
            Some(DistinguishedName::in_sequence(anchor.subject.as_ref()))
        });
        let mut hints: Vec<DistinguishedName> = Vec::new();
        for subject in subjects {
            if !hints.iter().any(|known| known.as_ref() == subject.as_ref()) {
                hints.push(subject);
            }
        }
        self.config.store(Arc::new(server_config(&self.certificate, hints)));
    }

    /// Reads the files again every `interval` and serves what they hold; damaged files leave the last good pair.
    pub async fn follow(self: Arc<Self>, files: TlsFiles, interval: Duration) {
        let mut served = self.certificate.0.load_full();
        let mut reported = String::new();
        loop {
            tokio::time::sleep(interval).await;
            match files.load().await {
                Ok(certificate) if certificate.cert != served.cert => {
                    tracing::info!(certificate = %files.certificate.display(), "serving certificate reloaded");
                    served = Arc::clone(&certificate);
                    self.set_certificate(certificate);
                    reported.clear();
                }
                Ok(_) => reported.clear(),
                Err(error) => {
                    let text = error.to_string();
                    if text != reported {
                        tracing::warn!(%error, "serving certificate not reloaded; the last good one stays in use");
                        reported = text;
                    }
                }
            }
        }
    }
}

impl TlsFiles {
    /// Reads both files.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`], [`TlsError::Unusable`].
    pub async fn load(&self) -> Result<Arc<CertifiedKey>, TlsError> {
        let certificate = read(&self.certificate).await?;
        let key = read(&self.key).await?;
        pki::certified_key(&certificate, &key)
            .map_err(|cause| TlsError::Unusable { files: self.clone(), cause })
    }
}

async fn read(path: &std::path::Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|cause| TlsError::Unreadable { path: path.to_owned(), cause })
}

/// Makes a certificate that lives as long as the process (rule 57).
///
/// # Errors
/// [`TlsError::SelfSigned`].
pub fn self_signed(names: &ServerNames) -> Result<Arc<CertifiedKey>, TlsError> {
    let failed = |error: &dyn fmt::Display| TlsError::SelfSigned(error.to_string());
    let names = names.to_vec();
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| failed(&error))?;
    pki::certified_key(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())
        .map_err(|error| failed(&error))
}

fn server_config(certificate: &Arc<CurrentCertificate>, hints: Vec<DistinguishedName>) -> ServerConfig {
    let provider = pki::provider();
    let verifier = RequestOnly { hints, algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::clone(certificate) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCertificate")
    }
}

impl fmt::Debug for TlsReloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsReloader")
    }
}

/// Requests a certificate and checks that the peer holds its key, nothing else: the chain is verified with each
/// request, against the CAs of that moment (rules 55, 73, 74).
#[derive(Debug)]
struct RequestOnly {
    hints: Vec<DistinguishedName>,
    algorithms: rustls::crypto::WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for RequestOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
