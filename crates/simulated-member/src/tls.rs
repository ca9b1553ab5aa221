//! TLS of the member: which certificate it shows, and that it asks clients for theirs without judging them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

use crate::pki::{Ca, Identity};

/// Which certificate the member shows from the next handshake on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// A valid one of the CA that [`crate::Member::ca_pem`] gives.
    Good,
    /// One of the right CA that ended a day ago.
    Expired,
    /// One of the right CA for another host.
    WrongName,
    /// One of a CA that nobody knows.
    UnknownIssuer,
}

/// The certificates that can be shown, and the one that is.
pub(crate) struct Certificates {
    ca: Ca,
    names: Vec<String>,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Arc<CertifiedKey>>,
}

impl Certificates {
    pub(crate) fn new(ca: Ca, names: Vec<String>) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let good = certified(&provider, &ca.server(&names, time::Duration::days(365))?)?;
        Ok(Self { ca, names, provider, shown: Mutex::new(good) })
    }

    pub(crate) fn ca(&self) -> &Ca {
        &self.ca
    }

    pub(crate) fn show(&self, certificate: Certificate) -> Result<()> {
        let year = time::Duration::days(365);
        let identity = match certificate {
            Certificate::Good => self.ca.server(&self.names, year),
            Certificate::Expired => self.ca.server(&self.names, time::Duration::days(-1)),
            Certificate::WrongName => self.ca.server(&["elsewhere.invalid".to_owned()], year),
            Certificate::UnknownIssuer => Ca::new("unknown")?.server(&self.names, year),
        };
        let certified = certified(&self.provider, &identity?)?;
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    /// The settings of the listener. Sessions are not resumed: a client would not see another certificate then.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig> {
        let verifier = RequestOnly(self.provider.signature_verification_algorithms);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .context("versions of TLS")?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certified(provider: &CryptoProvider, identity: &Identity) -> Result<Arc<CertifiedKey>> {
    let (chain, key) = identity.der()?;
    CertifiedKey::from_der(chain, key, provider).map(Arc::new).context("a certificate with its key")
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Checks only that the client holds the key of its certificate; who issued it is a question of authentication, whose
/// answer is a `401` and no broken handshake.
#[derive(Debug)]
struct RequestOnly(rustls::crypto::WebPkiSupportedAlgorithms);

impl ClientCertVerifier for RequestOnly {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
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
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
