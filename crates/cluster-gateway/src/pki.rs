//! Certificates and keys: PEM in, checked values out. The only module that reads PEM, but for keys to sign with (`issuer`).

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

mod facts;

pub use facts::{CertificateFacts, is_self_issued, names_as_issuer};

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

/// Whom a certificate names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Common name, the last one if there are several; may be empty.
    pub common_name: String,
    /// All organizations, in their order.
    pub organizations: Vec<String>,
}

impl Subject {
    /// Reads the subject of a certificate. It says nothing about who signed it.
    ///
    /// # Errors
    /// [`PkiError::BadCertificate`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, PkiError> {
        let certificate = parse(certificate)?;
        let mut subject = Self::default();
        for attribute in certificate.subject().iter_attributes() {
            let Ok(text) = attribute.as_str() else { continue };
            if *attribute.attr_type() == OID_X509_COMMON_NAME {
                text.clone_into(&mut subject.common_name);
            } else if *attribute.attr_type() == OID_X509_ORGANIZATION_NAME {
                subject.organizations.push(text.to_owned());
            }
        }
        Ok(subject)
    }
}

/// When a certificate is valid: the first and the last moment.
///
/// # Errors
/// [`PkiError::BadCertificate`].
pub fn validity(certificate: &CertificateDer<'_>) -> Result<RangeInclusive<SystemTime>, PkiError> {
    let certificate = parse(certificate)?;
    let validity = certificate.validity();
    let time = |stamp: i64| {
        let seconds = Duration::from_secs(u64::try_from(stamp).unwrap_or_default());
        SystemTime::UNIX_EPOCH.checked_add(seconds).unwrap_or(SystemTime::UNIX_EPOCH)
    };
    Ok(time(validity.not_before.timestamp())..=time(validity.not_after.timestamp()))
}

/// Names and addresses that a server's certificate is for.
///
/// # Errors
/// [`PkiError::BadCertificate`].
pub fn server_names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, PkiError> {
    let certificate = parse(certificate)?;
    let names = certificate.subject_alternative_name().ok().flatten().map(|extension| extension.value);
    let names = names.into_iter().flat_map(|names| &names.general_names);
    Ok(names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(octets) => address(octets).map(|address| address.to_string()),
            _ => None,
        })
        .collect())
}

/// Who has issued a certificate, as it says itself: the distinguished name.
///
/// # Errors
/// [`PkiError::BadCertificate`].
pub fn issuer(certificate: &CertificateDer<'_>) -> Result<String, PkiError> {
    Ok(parse(certificate)?.issuer().to_string())
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Whether `ca` has issued this certificate of a server, and both are valid at `now`.
///
/// # Errors
/// The verifier's reason.
pub fn verify_server(
    certificate: &CertificateDer<'_>,
    ca: &CertificateDer<'_>,
    now: SystemTime,
) -> Result<(), webpki::Error> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    EndEntityCert::try_from(certificate)?
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor_from_trusted_cert(ca)?],
            &[],
            UnixTime::since_unix_epoch(now),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map(|_| ())
}

/// A certificate in PEM.
#[must_use]
pub fn to_pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|&byte| char::from(byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, PkiError> {
    X509Certificate::from_der(certificate)
        .map(|(_, certificate)| certificate)
        .map_err(|error| PkiError::BadCertificate(error.to_string()))
}

/// A bundle of CA certificates that client certificates are verified against, now and not at the handshake
/// (contract rules 55, 73, 74).
#[derive(Debug, Clone, Default)]
pub struct ClientCas {
    anchors: Vec<TrustAnchor<'static>>,
    validities: Vec<RangeInclusive<SystemTime>>,
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
        let validities = certificates.iter().map(validity).collect::<Result<_, _>>()?;
        Ok(Self { anchors, validities, certificates })
    }

    /// This bundle and another in one; what stands in both stands in it once.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let others = other.certificates.into_iter().zip(other.anchors).zip(other.validities);
        for ((certificate, anchor), validity) in others {
            if !self.certificates.contains(&certificate) {
                self.certificates.push(certificate);
                self.anchors.push(anchor);
                self.validities.push(validity);
            }
        }
        self
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
        let anchors = self.anchors_at(now);
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        EndEntityCert::try_from(leaf)?
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                intermediates,
                UnixTime::since_unix_epoch(now),
                KeyUsage::client_auth(),
                None,
                None,
            )
            .map(|_| ())
    }

    /// Until when a success of [`ClientCas::verify_client`] at `now` may be relied on: the first expiry among `chain` and
    /// the bundle. `now` itself if that cannot be told.
    #[must_use]
    pub fn holds_until(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> SystemTime {
        let chain: Result<Vec<_>, _> = chain.iter().map(validity).collect();
        let cas = self.validities.iter().filter(|validity| validity.contains(&now)).cloned();
        chain
            .ok()
            .and_then(|chain| chain.into_iter().chain(cas).map(|validity| *validity.end()).min())
            .unwrap_or(now)
    }

    /// The verifier takes anchors as they are; a CA that has expired must not vouch for anybody all the same.
    fn anchors_at(&self, now: SystemTime) -> Cow<'_, [TrustAnchor<'static>]> {
        if self.validities.iter().all(|validity| validity.contains(&now)) {
            return Cow::Borrowed(&self.anchors);
        }
        let valid = self.anchors.iter().zip(&self.validities).filter(|(_, validity)| validity.contains(&now));
        Cow::Owned(valid.map(|(anchor, _)| anchor.clone()).collect())
    }
}

impl PartialEq for ClientCas {
    /// Bundles of the same certificates in the same order are the same bundle.
    fn eq(&self, other: &Self) -> bool {
        self.certificates == other.certificates
    }
}

impl Eq for ClientCas {}
