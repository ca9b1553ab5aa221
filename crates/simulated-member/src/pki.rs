//! Certificates: the member's own, those that it issues to clients, and those that it believes.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::user::User;

/// A certificate and its private key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, PEM.
    pub certificate: String,
    /// The private key, PEM.
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A certificate authority of the member's own.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().context("make a key")?;
        CertifiedIssuer::self_signed(params, key).map(Self).context("make a certificate authority")
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate for `names`, valid for so long from now; negative: expired so long ago.
    pub(crate) fn server(&self, names: &[String], left: time::Duration) -> Result<Identity> {
        let mut params = CertificateParams::new(names).context("names of a certificate")?;
        params.distinguished_name.push(DnType::CommonName, "simulated-member");
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        self.issue(params, left)
    }

    /// A client's certificate: the name is the common name, the group the organization.
    pub(crate) fn client(&self, name: &str, group: Option<&str>) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        self.issue(params, time::Duration::days(1))
    }

    fn issue(&self, mut params: CertificateParams, left: time::Duration) -> Result<Identity> {
        let now = OffsetDateTime::now_utc();
        params.not_before = now - time::Duration::days(2);
        params.not_after = now + left;
        let key = KeyPair::generate().context("make a key")?;
        let certificate = params.signed_by(&key, &self.0).context("sign a certificate")?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}

impl Identity {
    /// The chain and the key as rustls wants them.
    pub(crate) fn der(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        Ok((chain.context("a chain of certificates in PEM")?, key.context("a private key in PEM")?))
    }
}

/// A CA whose certificates prove who a client is.
pub(crate) struct ClientCa(TrustAnchor<'static>);

impl ClientCa {
    /// Every CA of a PEM bundle.
    pub(crate) fn bundle(pem: &str) -> Result<Vec<Self>> {
        let certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
        certificates
            .map(|certificate| {
                let certificate = certificate.context("a client CA in PEM")?;
                let anchor =
                    webpki::anchor_from_trusted_cert(&certificate).context("a certificate of a CA")?;
                Ok(Self(anchor.to_owned()))
            })
            .collect()
    }

    /// Whom the chain names, if this CA stands behind it.
    pub(crate) fn user(&self, chain: &[CertificateDer<'_>]) -> Option<User> {
        let (leaf, intermediates) = chain.split_first()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        EndEntityCert::try_from(leaf)
            .ok()?
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                std::slice::from_ref(&self.0),
                intermediates,
                UnixTime::since_unix_epoch(now),
                KeyUsage::client_auth(),
                None,
                None,
            )
            .ok()?;
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        let name = leaf.subject().iter_common_name().next()?.as_str().ok()?;
        let groups = leaf.subject().iter_organization().filter_map(|group| group.as_str().ok());
        let user =
            User { name: name.to_owned(), groups: groups.map(str::to_owned).collect(), ..User::default() };
        Some(user.with_implied_groups())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_the_right_ca_name_their_user() {
        let (ca, other) = (Ca::new("ca").unwrap(), Ca::new("other").unwrap());
        let (chain, _) = ca.client("ann", Some("dev")).unwrap().der().unwrap();
        let trusted = ClientCa::bundle(&format!("{}{}", other.pem(), ca.pem())).unwrap();
        assert_eq!(trusted.len(), 2);
        assert_eq!(trusted[0].user(&chain), None);
        let user = trusted[1].user(&chain).unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups),
            ("ann", ["dev", "system:authenticated"].map(str::to_owned).to_vec())
        );
        assert_eq!(trusted[1].user(&[]), None);
    }

    #[test]
    fn keys_do_not_show() {
        let identity = Ca::new("ca").unwrap().client("ann", None).unwrap();
        assert!(!format!("{identity:?}").contains("PRIVATE"));
    }
}
