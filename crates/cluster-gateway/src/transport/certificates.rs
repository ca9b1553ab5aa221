//! What a member has shown of itself in the last full handshake, and what became of it. Only kept where somebody wants to see
//! it ([`TransportOptions::remember_certificates`](super::TransportOptions)); never holds a key.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use serde::Serialize;

use super::{Transport, TransportError, TransportSpec, Verification};
use crate::pki::{self, CertificateFacts};

/// Certificates of one chain that are kept.
const MOST: usize = 10;

/// The certificates of both ends of a cluster's connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificates {
    /// What the member has shown, its own first, and the issuer out of the bundle if that has verified it. Empty before the
    /// first handshake.
    pub served: Vec<ServedCertificate>,
    /// Against what it is verified.
    pub verification: VerificationKind,
    /// Whether it was accepted after a verification.
    pub verified: bool,
    /// Why it was not accepted, in Go's words (contract rule 177).
    pub problem: Option<String>,
    /// The certificate that the gateway shows, if it has one.
    pub client: Option<CertificateFacts>,
}

/// A certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServedCertificate {
    /// What it says.
    #[serde(flatten)]
    pub facts: CertificateFacts,
    /// What it is in the chain.
    pub role: CertificateRole,
}

/// What a certificate is in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum CertificateRole {
    /// The member's own.
    Leaf,
    /// One that others have issued.
    Intermediate,
    /// One that names itself as its issuer.
    Root,
}

/// Against what a member is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum VerificationKind {
    /// The CA bundle of its Secret.
    Bundle,
    /// The system's roots.
    SystemRoots,
    /// Nothing.
    Insecure,
}

/// What was seen last; shared by the handshakes of one transport.
#[derive(Debug, Default)]
pub(super) struct LastSeen(ArcSwapOption<Seen>);

#[derive(Debug)]
struct Seen {
    chain: Vec<CertificateDer<'static>>,
    problem: Option<rustls::Error>,
}

impl Transport {
    /// The certificates of both ends, as far as they are known. Opens no connection.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        let seen = self.pool.dialer.last_seen().and_then(|last| last.0.load_full());
        let spec = self.spec();
        let problem = seen.as_ref().and_then(|seen| seen.problem.as_ref());
        let verified = seen.is_some() && problem.is_none() && spec.verification != Verification::Insecure;
        Certificates {
            served: seen.as_ref().map(|seen| served(&seen.chain, spec, verified)).unwrap_or_default(),
            verification: spec.verification.kind(),
            verified,
            problem: problem.map(|error| TransportError::handshake(spec, error).to_string()),
            client: client(spec),
        }
    }
}

impl Verification {
    fn kind(&self) -> VerificationKind {
        match self {
            Self::Bundle(_) => VerificationKind::Bundle,
            Self::SystemRoots => VerificationKind::SystemRoots,
            Self::Insecure => VerificationKind::Insecure,
        }
    }
}

fn client(spec: &TransportSpec) -> Option<CertificateFacts> {
    let certificate = spec.client_certificate.as_ref()?;
    CertificateFacts::of(certificate.key.cert.first()?).ok()
}

fn served(chain: &[CertificateDer<'static>], spec: &TransportSpec, verified: bool) -> Vec<ServedCertificate> {
    let issuer = chain.last().filter(|last| verified && !pki::is_self_issued(last)).and_then(|last| {
        let Verification::Bundle(pem) = &spec.verification else { return None };
        let bundle = pki::certificates(pem).ok()?;
        bundle.into_iter().find(|one| pki::names_as_issuer(last, one) && !chain.contains(one))
    });
    let all = chain.iter().chain(&issuer).enumerate();
    all.filter_map(|(place, certificate)| {
        let role = match place {
            0 => CertificateRole::Leaf,
            _ if pki::is_self_issued(certificate) => CertificateRole::Root,
            _ => CertificateRole::Intermediate,
        };
        Some(ServedCertificate { facts: CertificateFacts::of(certificate).ok()?, role })
    })
    .collect()
}

/// Verifies as another does, and remembers what was shown.
#[derive(Debug)]
pub(super) struct Remembering {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) last: Arc<LastSeen>,
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let chain = [end_entity].into_iter().chain(intermediates).take(MOST);
        let chain = chain.map(|certificate| certificate.clone().into_owned()).collect();
        self.last.0.store(Some(Arc::new(Seen { chain, problem: verified.as_ref().err().cloned() })));
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.verifier.root_hint_subjects()
    }
}
