//! TLS towards a member (contract rules 165, 166).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::certificates::{LastSeen, Remembering};
use super::{Peer, TransportError, TransportOptions, TransportSpec, Verification};
use crate::pki;

/// TLS sessions remembered per cluster. Each takes memory in every transport that has been used.
const SESSIONS: usize = 8;

/// The two handshakes a transport makes.
#[derive(Debug)]
pub(super) struct Tls {
    /// Offers HTTP/2 and HTTP/1.1.
    pub(super) pooled: Arc<ClientConfig>,
    /// Offers HTTP/1.1 only, for upgrades.
    pub(super) http1: Arc<ClientConfig>,
    /// Name in SNI and in the certificate.
    pub(super) server_name: ServerName<'static>,
    /// What the member has shown, if that is kept.
    pub(super) last_seen: Option<Arc<LastSeen>>,
}

impl Tls {
    pub(super) fn new(spec: &TransportSpec, options: &TransportOptions) -> Result<Self, TransportError> {
        let name = spec.server_name.as_deref().unwrap_or(&spec.endpoint.host);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| TransportError::Tls(format!("\"{name}\" cannot be the name of a TLS server")))?;
        let last_seen = options.remember_certificates.then(Arc::default);
        let mut pooled = config(spec, options, last_seen.as_ref())?;
        let mut http1 = pooled.clone();
        pooled.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { pooled: Arc::new(pooled), http1: Arc::new(http1), server_name, last_seen })
    }
}

fn config(
    spec: &TransportSpec,
    options: &TransportOptions,
    last_seen: Option<&Arc<LastSeen>>,
) -> Result<ClientConfig, TransportError> {
    let internal = |error: rustls::Error| TransportError::Tls(error.to_string());
    let provider = options.tls.provider();
    // TLS 1.2 and 1.3 are all that rustls has (rule 165).
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(internal)?;
    let remembering = |verifier: Arc<dyn ServerCertVerifier>| match last_seen {
        Some(last) => Arc::new(Remembering { verifier, last: Arc::clone(last) }),
        None => verifier,
    };
    let roots = match &spec.verification {
        Verification::Bundle(pem) => Some(Arc::new(bundle(spec.peer, pem)?)),
        Verification::SystemRoots => Some(options.tls.system_roots()),
        Verification::Insecure => None,
    };
    let builder = match roots {
        None => {
            let verifier = remembering(Arc::new(DangerousNoVerification(provider)));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        // The same verifier as without; where there is nothing to verify by, it could not be built.
        Some(roots) if last_seen.is_some() && !roots.is_empty() => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| TransportError::Tls(error.to_string()))?;
            builder.dangerous().with_custom_certificate_verifier(remembering(verifier))
        }
        Some(roots) => builder.with_root_certificates(roots),
    };
    let mut config = match &spec.client_certificate {
        Some(certificate) => {
            builder.with_client_cert_resolver(Arc::new(OneCertificate(Arc::clone(&certificate.key))))
        }
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

fn bundle(peer: Peer, pem: &[u8]) -> Result<RootCertStore, TransportError> {
    let wrong =
        |problem: &dyn std::fmt::Display| TransportError::Tls(format!("{} {problem}", peer.ca_bundle()));
    let certificates = pki::certificates(pem).map_err(|error| wrong(&error))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(wrong(&"holds no usable certificate"));
    }
    Ok(roots)
}

/// Presents one certificate, whatever the member hints at.
#[derive(Debug)]
pub(super) struct OneCertificate(pub(super) Arc<CertifiedKey>);

impl ResolvesClientCert for OneCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Takes any certificate. Only for clusters that their owner has marked insecure where the operator allows it.
#[derive(Debug)]
struct DangerousNoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for DangerousNoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
