//! What proves the gateway to the proxy server, and the proxy server to the gateway (contract rule 242).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use crate::pki;
use crate::transport::tls::OneCertificate;

/// The files of the flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyFiles {
    /// CA bundle of the proxy server's certificate, PEM (`--proxy-ca-cert`).
    pub ca: PathBuf,
    /// The gateway's certificate, PEM, leaf first (`--proxy-cert`).
    pub certificate: PathBuf,
    /// Its private key, PEM (`--proxy-key`).
    pub key: PathBuf,
}

/// What stands in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// The files, read and understood.
pub(super) struct Credentials {
    contents: Contents,
    tls: ClientConfig,
}

impl ProxyFiles {
    /// Whether the files can be used as they are.
    ///
    /// # Errors
    /// What is wrong, with the flag; never a part of a file.
    pub fn check(&self) -> Result<(), String> {
        Credentials::of(self.read()?, self).map(drop)
    }

    /// Reads the files. What is equal to `current` is that.
    pub(super) fn load(&self, current: Option<&Arc<Credentials>>) -> Result<Arc<Credentials>, String> {
        let contents = self.read()?;
        match current {
            Some(current) if current.contents == contents => Ok(Arc::clone(current)),
            _ => Credentials::of(contents, self).map(Arc::new),
        }
    }

    fn read(&self) -> Result<Contents, String> {
        let read = |flag: &str, path: &Path| {
            std::fs::read(path).map_err(|error| format!("{flag}: cannot read {}: {error}", path.display()))
        };
        Ok(Contents {
            ca: read("--proxy-ca-cert", &self.ca)?,
            certificate: read("--proxy-cert", &self.certificate)?,
            key: read("--proxy-key", &self.key)?,
        })
    }
}

impl Credentials {
    fn of(contents: Contents, files: &ProxyFiles) -> Result<Self, String> {
        let of_ca = |error: &dyn fmt::Display| format!("--proxy-ca-cert: {} {error}", files.ca.display());
        let certificates = pki::certificates(&contents.ca).map_err(|error| of_ca(&error))?;
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(of_ca(&"holds no usable certificate"));
        }
        let key = pki::certified_key(&contents.certificate, &contents.key).map_err(|error| {
            format!(
                "--proxy-cert {}, --proxy-key {}: {error}",
                files.certificate.display(),
                files.key.display()
            )
        })?;
        let tls = ClientConfig::builder_with_provider(pki::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::new(OneCertificate(key)));
        Ok(Self { contents, tls })
    }

    /// Whether the files held the same.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.contents == other.contents
    }

    /// Settings for a handshake that offers `protocol`.
    pub(super) fn tls(&self, protocol: &[u8]) -> Arc<ClientConfig> {
        let mut tls = self.tls.clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(tls)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}
