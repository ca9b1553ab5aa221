//! What the Secret holds: a CA with its key, the CAs before it, and a certificate with its key. Whatever of it is damaged
//! is left out with the reason; the rest stays usable.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;

use crate::issuer::{CertificateAuthority, IssuerError, Role, ServerNames};
use crate::pki;

/// The bundle that clients verify with: the CA that issues now, then those before it.
pub(super) const BUNDLE: &str = "ca.crt";
/// The key of the bundle's first CA.
pub(super) const CA_KEY: &str = "ca.key";
/// The certificate that is served, and its key.
pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const KEY: &str = "tls.key";

/// CAs that are taken from a bundle: the current one and a few before it. A bundle of thousands is none of ours.
pub(super) const MOST_CAS: usize = 4;

/// A CA and its key.
#[derive(Clone)]
pub(super) struct Authority {
    pub(super) ca: Arc<CertificateAuthority>,
    key: String,
}

/// A certificate and its key, which fit.
#[derive(Clone)]
pub(super) struct Pair {
    certificate: String,
    key: String,
    pub(super) certified: Arc<CertifiedKey>,
}

/// What could be used of a Secret, and why the rest could not.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) authority: Result<Authority, String>,
    /// All CAs of the bundle.
    pub(super) trusted: Vec<CertificateDer<'static>>,
    pub(super) pair: Result<Pair, String>,
}

/// What the Secret is to hold.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) authority: Authority,
    /// CAs before it that are still trusted.
    pub(super) earlier: Vec<CertificateDer<'static>>,
    pub(super) pair: Pair,
}

impl Authority {
    pub(super) fn generate(lifetime: Duration, now: SystemTime) -> Result<Self, IssuerError> {
        let made = CertificateAuthority::generate(Role::Serving, lifetime, now)?;
        let certificate = first(made.certificate.as_bytes())
            .ok_or_else(|| IssuerError::Making("a new CA does not parse".to_owned()))?;
        let ca = CertificateAuthority::from_pair(certificate, &made.key)
            .map_err(|flaw| IssuerError::Making(format!("a new CA {flaw}")))?;
        Ok(Self { ca: Arc::new(ca), key: made.key })
    }

    pub(super) fn issue(
        &self,
        names: &ServerNames,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Pair, IssuerError> {
        let issued = self.ca.issue_server(names, lifetime, now)?;
        Pair::new(issued.certificate, issued.key).map_err(IssuerError::Making)
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        self.ca.certificate()
    }
}

impl Pair {
    pub(super) fn new(certificate: String, key: String) -> Result<Self, String> {
        let certified = pki::certified_key(certificate.as_bytes(), key.as_bytes())
            .map_err(|error| format!("{CERTIFICATE} or {KEY} {error}"))?;
        Ok(Self { certificate, key, certified })
    }

    pub(super) fn leaf(&self) -> &CertificateDer<'static> {
        self.certified.cert.first().expect("a pair has a certificate")
    }

    /// Whether one of `cas` has issued it, and both are valid at `now`.
    pub(super) fn verifies(&self, cas: &[CertificateDer<'static>], now: SystemTime) -> bool {
        let valid = |certificate| pki::validity(certificate).is_ok_and(|validity| validity.contains(&now));
        cas.iter().any(|ca| valid(ca) && pki::verify_server(self.leaf(), ca, now).is_ok())
    }
}

impl Found {
    /// Of a Secret's data; without one, of nothing.
    pub(super) fn read(data: Option<&BTreeMap<String, ByteString>>) -> Self {
        let text = |key: &str| {
            let missing = || format!("{key} is missing");
            let bytes = data.and_then(|data| data.get(key)).ok_or_else(missing)?;
            String::from_utf8(bytes.0.clone()).map_err(|_| format!("{key} is no text"))
        };
        let bundle = text(BUNDLE).and_then(|bundle| {
            pki::certificates(bundle.as_bytes()).map_err(|error| format!("{BUNDLE} {error}"))
        });
        let authority = bundle.clone().and_then(|bundle| {
            let certificate = bundle.into_iter().next().ok_or_else(|| format!("{BUNDLE} is empty"))?;
            let key = text(CA_KEY)?;
            let ca = CertificateAuthority::from_pair(certificate, &key)
                .map_err(|flaw| format!("the first certificate of {BUNDLE} with {CA_KEY}: {flaw}"))?;
            Ok(Authority { ca: Arc::new(ca), key })
        });
        let pair = text(CERTIFICATE).and_then(|certificate| Pair::new(certificate, text(KEY)?));
        let mut trusted = bundle.unwrap_or_default();
        trusted.truncate(MOST_CAS);
        Self { authority, trusted, pair }
    }
}

impl Content {
    /// Every CA that is trusted, the current one first.
    pub(super) fn trusted(&self) -> Vec<CertificateDer<'static>> {
        let mut trusted = vec![self.authority.certificate().clone()];
        trusted.extend(self.earlier.iter().cloned());
        trusted
    }

    /// The bundle, in PEM.
    pub(super) fn bundle(&self) -> String {
        self.trusted().iter().map(pki::to_pem).collect()
    }

    /// The data of the Secret.
    pub(super) fn data(&self) -> BTreeMap<String, ByteString> {
        let (authority, pair) = (&self.authority, &self.pair);
        [
            (BUNDLE, self.bundle()),
            (CA_KEY, authority.key.clone()),
            (CERTIFICATE, pair.certificate.clone()),
            (KEY, pair.key.clone()),
        ]
        .map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
        .into()
    }
}

fn first(pem: &[u8]) -> Option<CertificateDer<'static>> {
    pki::certificates(pem).ok()?.into_iter().next()
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("ca", &self.ca).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}
