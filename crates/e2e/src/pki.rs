//! Certificates and keys for tests, in memory and as PEM.

use anyhow::{Context, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd,
};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one with this common name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().context("generate a CA key")?;
        let issuer = CertifiedIssuer::self_signed(params, key).context("sign a CA certificate")?;
        Ok(Self { issuer })
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate for a fresh key.
    pub fn issue(&self, leaf: &Leaf) -> Result<Identity> {
        let key = KeyPair::generate().context("generate a key")?;
        let certificate = leaf.params()?.signed_by(&key, &self.issuer).context("sign a certificate")?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// What to put into a certificate.
#[derive(Clone, Debug)]
pub struct Leaf {
    common_name: String,
    organizations: Vec<String>,
    names: Vec<String>,
    usages: Vec<ExtendedKeyUsagePurpose>,
    expired: bool,
}

impl Leaf {
    /// A client that Kubernetes takes for the user `name`.
    pub fn client(name: &str) -> Self {
        Self::with_usage(name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A server with these DNS names and IP addresses.
    pub fn server(names: &[&str]) -> Self {
        let mut leaf = Self::with_usage(names.first().unwrap_or(&"server"), ExtendedKeyUsagePurpose::ServerAuth);
        leaf.names = names.iter().map(|&name| name.to_owned()).collect();
        leaf
    }

    /// A certificate for this use only.
    pub fn with_usage(name: &str, usage: ExtendedKeyUsagePurpose) -> Self {
        let common_name = name.to_owned();
        Self { common_name, organizations: Vec::new(), names: Vec::new(), usages: vec![usage], expired: false }
    }

    /// Adds an organization, which Kubernetes takes for a group.
    pub fn group(mut self, name: &str) -> Self {
        self.organizations.push(name.to_owned());
        self
    }

    /// Makes it a certificate of years ago.
    pub fn expired(mut self) -> Self {
        self.expired = true;
        self
    }

    fn params(&self) -> Result<CertificateParams> {
        let mut params = CertificateParams::new(self.names.clone()).context("a subject alternative name")?;
        params.distinguished_name = named(&self.common_name);
        // A name in rcgen holds one value for each type, so a second organization goes under the type's number.
        let types = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
        if self.organizations.len() > types.len() {
            bail!("at most {} organizations: {:?}", types.len(), self.organizations);
        }
        for (kind, organization) in types.into_iter().zip(&self.organizations) {
            params.distinguished_name.push(kind, organization.as_str());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.usages.clone();
        params.use_authority_key_identifier_extension = true;
        if self.expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        Ok(params)
    }
}

/// A private RSA key, which is what service account tokens are signed with everywhere.
pub fn rsa_key() -> Result<String> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).context("generate an RSA key")?;
    Ok(key.serialize_pem())
}

fn named(name: &str) -> rcgen::DistinguishedName {
    let mut names = rcgen::DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
