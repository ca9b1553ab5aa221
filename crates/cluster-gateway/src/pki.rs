//! Certificates and keys: PEM in, checked values out. The only module that reads PEM.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Why PEM text cannot be used. Never holds a part of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PkiError {
    /// No certificate block stands in the text.
    #[error("holds no PEM certificate (\"-----BEGIN CERTIFICATE-----\")")]
    NoCertificate,
    /// No private key block stands in the text.
    #[error("holds no PEM private key (\"-----BEGIN PRIVATE KEY-----\" or an RSA or EC key)")]
    NoPrivateKey,
    /// A block is damaged.
    #[error("holds damaged PEM: {0}")]
    Damaged(String),
    /// A certificate does not parse.
    #[error("holds a certificate that does not parse: {0}")]
    BadCertificate(String),
    /// Certificate and key do not belong together, or the key is of an unknown kind.
    #[error("certificate and private key do not belong together: {0}")]
    Mismatch(String),
}

/// Reads all certificates of a PEM text; other blocks are passed over.
///
/// # Errors
/// [`PkiError::NoCertificate`], [`PkiError::Damaged`].
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| PkiError::Damaged(error.to_string()))?;
    if certificates.is_empty() { Err(PkiError::NoCertificate) } else { Ok(certificates) }
}

/// Reads the first private key of a PEM text.
///
/// # Errors
/// [`PkiError::NoPrivateKey`], [`PkiError::Damaged`].
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PkiError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => PkiError::NoPrivateKey,
        other => PkiError::Damaged(other.to_string()),
    })
}

/// Reads a certificate chain and its key, and checks that they belong together.
///
/// # Errors
/// Any [`PkiError`].
pub fn certified_key(certificate: &[u8], key: &[u8]) -> Result<Arc<rustls::sign::CertifiedKey>, PkiError> {
    let chain = certificates(certificate)?;
    let key = private_key(key)?;
    rustls::sign::CertifiedKey::from_der(chain, key, &provider())
        .map(Arc::new)
        .map_err(|error| PkiError::Mismatch(error.to_string()))
}

/// The crypto provider that everything here uses.
#[must_use]
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A bundle of CA certificates that client certificates are verified against, now and not at the handshake
/// (contract rules 55, 73, 74).
#[derive(Debug, Clone, Default)]
pub struct ClientCas {
    anchors: Vec<TrustAnchor<'static>>,
    certificates: Vec<CertificateDer<'static>>,
}

impl ClientCas {
    /// Reads a PEM bundle.
    ///
    /// # Errors
    /// Any [`PkiError`] but a mismatch.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PkiError> {
        let certificates = certificates(pem)?;
        let anchors = certificates
            .iter()
            .map(|certificate| {
                anchor_from_trusted_cert(certificate)
                    .map(|anchor| anchor.to_owned())
                    .map_err(|error| PkiError::BadCertificate(error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { anchors, certificates })
    }

    /// Whether the bundle holds no CA; then nothing verifies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// The certificates of the bundle, in its order.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Whether `chain` (leaf first) is a client certificate issued by this bundle and valid at `now`.
    ///
    /// # Errors
    /// The verifier's reason, for the log.
    pub fn verify_client(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<(), webpki::Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(webpki::Error::UnknownIssuer)?;
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        EndEntityCert::try_from(leaf)?
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &self.anchors,
                intermediates,
                UnixTime::since_unix_epoch(now),
                KeyUsage::client_auth(),
                None,
                None,
            )
            .map(|_| ())
    }
}
