//! Certificates made for one test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

/// A CA that signs client certificates.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client certificate, valid for years.
    pub fn client(&self, name: &str, organizations: &[&str]) -> CertificateDer<'static> {
        self.sign(&client(name, organizations))
    }

    /// A client certificate that is valid until `not_after`.
    pub fn client_until(&self, name: &str, not_after: OffsetDateTime) -> CertificateDer<'static> {
        let mut params = client(name, &[]);
        params.not_before = OffsetDateTime::UNIX_EPOCH;
        params.not_after = not_after;
        self.sign(&params)
    }

    /// A certificate for servers only.
    pub fn server(&self, name: &str) -> CertificateDer<'static> {
        let mut params = client(name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.0).unwrap().der().clone()
    }
}

fn client(name: &str, organizations: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name = DistinguishedName::new();
    // One attribute of each type is all that a name can hold here; a second organization goes by its number.
    let types = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    assert!(organizations.len() <= types.len(), "more organizations than a certificate is made for");
    for (kind, organization) in types.into_iter().zip(organizations) {
        params.distinguished_name.push(kind, *organization);
    }
    if !name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params
}
