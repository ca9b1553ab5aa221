//! A CA of the server's own: made once, loaded ever after.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData,
};
use rustls::pki_types::CertificateDer;
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::data_dir::{Content, Locked};
use super::{BACKDATED, DataDir, Issued, IssuerError, SERVER_BACKDATED, ServerNames, date, sign};
use crate::pki::{self, ClientCas, PkiError};

/// Lifetime of a CA. Who replaces it must hand out everything anew, so it is long.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Time left from which on the end is announced at each start.
const END_IS_NEAR: Duration = Duration::from_secs(90 * 86_400);
/// Bytes of a user's name, and of one group's.
const MAX_NAME: usize = 1024;
/// Groups in one certificate; more would not fit into the headers of a request either.
const MAX_GROUPS: usize = 256;

/// What a CA vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Users (`ca.crt`, `ca.key`).
    Clients,
    /// The server itself (`serving-ca.crt`, `serving-ca.key`).
    Serving,
}

impl Role {
    fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::Clients => ("ca.crt", "ca.key"),
            Self::Serving => ("serving-ca.crt", "serving-ca.key"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Clients => "cluster-gateway client CA",
            Self::Serving => "cluster-gateway serving CA",
        }
    }

    fn replaced(self) -> &'static str {
        match self {
            Self::Clients => {
                "every client certificate must then be issued again with `cluster-gateway kubeconfig`"
            }
            Self::Serving => "every kubeconfig must then be written again with `cluster-gateway kubeconfig`",
        }
    }
}

/// Why a certificate and a key make no CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairFlaw {
    /// The key cannot be used.
    #[error("{0}")]
    Key(PkiError),
    /// The certificate cannot be used.
    #[error("{0}")]
    Certificate(String),
    /// The certificate may not sign others.
    #[error("is not the certificate of a CA")]
    NoCa,
    /// Each is good, but not for the other.
    #[error("does not belong to the private key beside it")]
    Apart,
}

/// A CA and its key. The key is not shown by `Debug`.
pub struct CertificateAuthority {
    pem: String,
    certificate: CertificateDer<'static>,
    name: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    expires: SystemTime,
}

impl CertificateAuthority {
    /// Loads the CA from the directory, or makes it when neither of its files is there.
    ///
    /// # Errors
    /// [`IssuerError`]: a file is missing, is open to others, does not parse, does not belong to the other, is no CA or is
    /// not valid now.
    pub fn load_or_create(dir: &DataDir, role: Role) -> Result<Self, IssuerError> {
        Self::load_or_create_at(dir, role, SystemTime::now())
    }

    pub(super) fn load_or_create_at(dir: &DataDir, role: Role, now: SystemTime) -> Result<Self, IssuerError> {
        let dir = dir.lock()?;
        let (certificate_file, key_file) = role.files();
        let certificate = dir.read(certificate_file, Content::Public)?;
        let key = dir.read(key_file, Content::Secret)?;
        match (certificate, key) {
            (Some(certificate), Some(key)) => Self::load(&dir, role, &certificate, &key, now),
            (None, None) => {
                Self::create(&dir, role, now)?;
                let read = |name, content| {
                    let missing = || unusable(&dir, name, "vanished while it was made");
                    dir.read(name, content)?.ok_or_else(missing)
                };
                let key = read(key_file, Content::Secret)?;
                Self::load(&dir, role, &read(certificate_file, Content::Public)?, &key, now)
            }
            (None, Some(_)) => Err(half(&dir, role, certificate_file, key_file)),
            (Some(_), None) => Err(half(&dir, role, key_file, certificate_file)),
        }
    }

    /// The CA's certificate, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The CA as a bundle to verify client certificates against.
    ///
    /// # Errors
    /// If the certificate cannot be a trust anchor.
    pub fn client_cas(&self) -> Result<ClientCas, IssuerError> {
        Ok(ClientCas::from_pem(self.pem.as_bytes())?)
    }

    /// When the CA expires.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// A client certificate: `user` is its common name, each of `groups` an organization. It holds for `ttl` from now, but
    /// not longer than the CA, and is valid five minutes back for clocks that are late.
    ///
    /// # Errors
    /// [`IssuerError::Request`]: no user, a name with control characters or beyond 1024 bytes, more than 256 groups, no
    /// `ttl`.
    pub fn issue(&self, user: &str, groups: &[String], ttl: Duration) -> Result<Issued, IssuerError> {
        self.issue_at(user, groups, ttl, SystemTime::now())
    }

    pub(super) fn issue_at(
        &self,
        user: &str,
        groups: &[String],
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Issued, IssuerError> {
        check("user", user)?;
        groups.iter().try_for_each(|group| check("group", group))?;
        if groups.len() > MAX_GROUPS {
            return Err(IssuerError::Request(format!("{} groups, {MAX_GROUPS} are allowed", groups.len())));
        }
        if ttl.is_zero() {
            return Err(IssuerError::Request("it would not be valid at all; ask for more time".to_owned()));
        }
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, &sign::name(user, groups), now - BACKDATED, now.checked_add(ttl))
    }

    /// A server's certificate for `names`. It holds for `ttl` from `now`, but not longer than the CA, and is valid an
    /// hour back for clocks that are late.
    ///
    /// # Errors
    /// If the library refuses.
    pub fn issue_server(
        &self,
        names: &ServerNames,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<Issued, IssuerError> {
        let mut params = CertificateParams::new(names.to_vec())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let subject = sign::name("cluster-gateway", &[]);
        self.sign(params, &subject, now - SERVER_BACKDATED, now.checked_add(ttl))
    }

    /// A certificate for a new key; without `end`, until the CA's own.
    fn sign(
        &self,
        mut params: CertificateParams,
        subject: &[u8],
        begin: SystemTime,
        end: Option<SystemTime>,
    ) -> Result<Issued, IssuerError> {
        let expires = end.map_or(self.expires, |end| end.min(self.expires));
        params.not_before = begin.into();
        params.not_after = expires.into();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = sign::sign(params, &key, subject, &self.issuer, &self.name)?;
        Ok(Issued { certificate: pki::to_pem(&certificate), key: key.serialize_pem(), expires })
    }

    /// A new CA that holds for `lifetime` from `now`, and an hour back for clocks that are late.
    ///
    /// # Errors
    /// If the library refuses.
    pub fn generate(role: Role, lifetime: Duration, now: SystemTime) -> Result<Issued, IssuerError> {
        let mut params = CertificateParams::default();
        // One name for each CA: who has certificates of several chooses by it.
        let number = Uuid::new_v4().simple().to_string();
        let name = format!("{} {}", role.name(), &number[..8]);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let expires = now + lifetime;
        params.not_before = (now - SERVER_BACKDATED).into();
        params.not_after = expires.into();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Issued { certificate: pki::to_pem(certificate.der()), key: key.serialize_pem(), expires })
    }

    /// Takes a CA and its key, in PEM. Whether it is valid now is not looked at.
    ///
    /// # Errors
    /// [`PairFlaw`].
    pub fn from_pair(certificate: CertificateDer<'static>, key: &str) -> Result<Self, PairFlaw> {
        let key = KeyPair::from_pem(key).map_err(|_| PairFlaw::Key(PkiError::NoPrivateKey))?;
        let flawed = |error: &dyn fmt::Display| PairFlaw::Certificate(error.to_string());
        belong_together(&certificate, &key)?;
        let expires = *pki::validity(&certificate).map_err(|error| flawed(&error))?.end();
        let name = sign::subject(&certificate).map_err(|error| flawed(&error))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| flawed(&error))?;
        Ok(Self { pem: pki::to_pem(&certificate), certificate, name, issuer, expires })
    }

    fn create(dir: &Locked, role: Role, now: SystemTime) -> Result<(), IssuerError> {
        let made = Self::generate(role, LIFETIME, now)?;
        let (certificate_file, key_file) = role.files();
        dir.write(key_file, Content::Secret, &made.key)?;
        dir.write(certificate_file, Content::Public, &made.certificate)?;
        tracing::info!(directory = %dir.path("").display(), ca = role.name(), "a CA was made");
        Ok(())
    }

    fn load(dir: &Locked, role: Role, pem: &str, key: &str, now: SystemTime) -> Result<Self, IssuerError> {
        let (certificate_file, key_file) = role.files();
        let wrong = |problem: &dyn fmt::Display| unusable(dir, certificate_file, problem);
        let certificate = pki::certificates(pem.as_bytes()).map_err(|error| wrong(&error))?;
        let [certificate] = <[_; 1]>::try_from(certificate)
            .map_err(|_| wrong(&"holds more than one certificate; leave the CA's own only"))?;
        let ca = Self::from_pair(certificate, key).map_err(|flaw| match flaw {
            PairFlaw::Key(problem) => unusable(dir, key_file, problem),
            PairFlaw::Certificate(problem) => wrong(&problem),
            flaw => wrong(&format_args!("{flaw}; put back the pair, or {}", start_again(role))),
        })?;
        let validity = pki::validity(&ca.certificate).map_err(|error| wrong(&error))?;
        in_time(role, &validity, now).map_err(|problem| wrong(&problem))?;
        if ca.expires.duration_since(now).is_ok_and(|left| left < END_IS_NEAR) {
            tracing::warn!(file = %dir.path(certificate_file).display(), expires = date(ca.expires),
                "this CA expires soon; to replace it, {}", start_again(role));
        }
        Ok(ca)
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority").field("expires", &self.expires).finish_non_exhaustive()
    }
}

fn check(what: &str, name: &str) -> Result<(), IssuerError> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > MAX_NAME {
        "is longer than 1024 bytes"
    } else if name.chars().any(char::is_control) {
        "holds control characters"
    } else {
        return Ok(());
    };
    Err(IssuerError::Request(format!("the {what}'s name {problem}")))
}

fn belong_together(certificate: &CertificateDer<'_>, key: &KeyPair) -> Result<(), PairFlaw> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| PairFlaw::Certificate(format!("does not parse: {error}")))?;
    if !parsed.is_ca() {
        return Err(PairFlaw::NoCa);
    }
    if parsed.public_key().raw != key.subject_public_key_info() {
        return Err(PairFlaw::Apart);
    }
    Ok(())
}

fn in_time(
    role: Role,
    validity: &std::ops::RangeInclusive<SystemTime>,
    now: SystemTime,
) -> Result<(), String> {
    if now < *validity.start() {
        return Err(format!(
            "is valid from {} on, and the clock here says {}; set the clock",
            date(*validity.start()),
            date(now)
        ));
    }
    if now > *validity.end() {
        return Err(format!("has expired on {}; {}", date(*validity.end()), start_again(role)));
    }
    Ok(())
}

fn start_again(role: Role) -> String {
    let (certificate, key) = role.files();
    format!("move {certificate} and {key} away and start again: a new CA is made, and {}", role.replaced())
}

fn half(dir: &Locked, role: Role, missing: &str, present: &str) -> IssuerError {
    let problem = format!("is missing beside {present}; put it back, or {}", start_again(role));
    unusable(dir, missing, problem)
}

fn unusable(dir: &Locked, name: &str, problem: impl fmt::Display) -> IssuerError {
    IssuerError::Unusable { path: dir.path(name), problem: problem.to_string() }
}
