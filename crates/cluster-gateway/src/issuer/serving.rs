//! The certificate that a standalone server presents: issued by a CA of its own, so that a kubeconfig can hold that CA and
//! outlives every renewal.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::data_dir::{Content, Locked};
use super::{CertificateAuthority, DataDir, IssuerError, Role, ServerNames, date};
use crate::pki;

const CERTIFICATE: &str = "serving.crt";
const KEY: &str = "serving.key";
const LIFETIME: Duration = Duration::from_secs(365 * 86_400);
/// Time left at which it is renewed.
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 86_400);
/// How often its age is looked at.
const LOOK: Duration = Duration::from_secs(3600);

/// The serving certificate in the data directory.
#[derive(Debug)]
pub struct Serving {
    dir: DataDir,
    names: ServerNames,
    ca: CertificateAuthority,
}

impl Serving {
    /// Takes the certificate that lies in the directory, or issues one: when there is none, when it is not for all of
    /// `localhost`, the loopback addresses and `names` (host names or IP addresses; unspecified addresses are left out),
    /// and when less than 30 days of its year are left.
    ///
    /// # Errors
    /// [`IssuerError`], also for a name that can stand in no certificate.
    pub fn load_or_create(dir: &DataDir, names: &[String]) -> Result<Self, IssuerError> {
        Self::load_or_create_at(dir, names, SystemTime::now())
    }

    pub(super) fn load_or_create_at(
        dir: &DataDir,
        names: &[String],
        now: SystemTime,
    ) -> Result<Self, IssuerError> {
        let ca = CertificateAuthority::load_or_create_at(dir, Role::Serving, now)?;
        let serving = Self { dir: dir.clone(), names: ServerNames::with_localhost(names)?, ca };
        serving.renew_at(now)?;
        Ok(serving)
    }

    /// File of the certificate, in PEM.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.dir.path().join(CERTIFICATE)
    }

    /// File of the private key, in PEM.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.dir.path().join(KEY)
    }

    /// The CA that clients verify the certificate with, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca.certificate_pem()
    }

    /// Renews the files in time, for ever. Whoever serves them reads them again by itself.
    pub async fn keep_renewed(self) {
        let mut serving = self;
        loop {
            tokio::time::sleep(LOOK).await;
            let renewal = tokio::task::spawn_blocking(move || {
                let renewed = serving.renew_at(SystemTime::now());
                (serving, renewed)
            });
            let Ok((back, renewed)) = renewal.await else { return };
            serving = back;
            if let Err(error) = renewed {
                tracing::warn!(%error, "the serving certificate cannot be renewed; trying again in an hour");
            }
        }
    }

    /// Whether a new one had to be issued.
    pub(super) fn renew_at(&self, now: SystemTime) -> Result<bool, IssuerError> {
        let dir = self.dir.lock()?;
        let Some(reason) = self.reason_to_issue(&dir, now)? else { return Ok(false) };
        let issued = self.ca.issue_server(&self.names, LIFETIME, now)?;
        dir.write(KEY, Content::Secret, &issued.key)?;
        dir.write(CERTIFICATE, Content::Public, &issued.certificate)?;
        tracing::info!(
            file = %dir.path(CERTIFICATE).display(), names = %self.names, expires = date(issued.expires), reason,
            "a serving certificate was issued"
        );
        Ok(true)
    }

    /// Why the pair in the directory cannot be served on. It is derived from the CA, so it is replaced and not complained
    /// of; only a key that others may read is refused.
    fn reason_to_issue(&self, dir: &Locked, now: SystemTime) -> Result<Option<&'static str>, IssuerError> {
        let (certificate, key) = (dir.read(CERTIFICATE, Content::Public)?, dir.read(KEY, Content::Secret)?);
        let (Some(certificate), Some(key)) = (certificate, key) else { return Ok(Some("there was none")) };
        let Ok(pair) = pki::certified_key(certificate.as_bytes(), key.as_bytes()) else {
            return Ok(Some("certificate and key cannot be used"));
        };
        let leaf = pair.cert.first().expect("a pair has a certificate");
        // A new one cannot hold longer than the CA; there is nothing to win by it then.
        let needed_until = (now + RENEWED_BEFORE).min(self.ca.expires());
        Ok(if pki::verify_server(leaf, self.ca.certificate(), now).is_err() {
            Some("it does not verify with the serving CA, or has expired")
        } else if !self.names.covered_by(leaf) {
            Some("it is not for all names")
        } else if *pki::validity(leaf)?.end() < needed_until {
            Some("it expires soon")
        } else {
            None
        })
    }
}
