//! What proves the gateway to a cluster. Key material has no `Debug` and no `Serialize`, and never reaches an output.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use rustls::sign::CertifiedKey;

mod exec;
mod facts;

pub use exec::{ClusterInfo, ExecConfig, ExecCredential, ExecPlugins, ExecPolicy, Issued};
pub use facts::CredentialFacts;

/// A cluster's credential, ready for use.
#[derive(Clone)]
pub enum Credential {
    /// A bearer token, as the whole `Authorization` value, marked sensitive.
    Token(HeaderValue),
    /// A client certificate; it belongs to the connection, not to the request.
    X509(ClientCertificate),
    /// Whatever a program gives, asked for when it is needed.
    Exec(Arc<ExecCredential>),
}

/// A client certificate and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Chain as it stands in the Secret, PEM: public.
    pub pem: Arc<[u8]>,
    /// Chain and key for the handshake.
    pub key: Arc<CertifiedKey>,
    /// SHA-256 over chain and key: equal only for the same credential.
    pub fingerprint: [u8; 32],
}

/// Why a credential cannot be used. Never holds a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A key is missing from the Secret, or empty.
    #[error("key \"{0}\" is missing or empty")]
    Missing(&'static str),
    /// The token holds bytes that a header cannot carry.
    #[error(
        "key \"token\" holds characters that no bearer token has (line breaks, blanks or control characters)"
    )]
    BadToken,
    /// Certificate or key cannot be used.
    #[error("key \"{key}\" {cause}")]
    Pki {
        /// Key of the Secret.
        key: &'static str,
        /// What is wrong with it.
        cause: crate::pki::PkiError,
    },
}

impl Credential {
    /// Reads a bearer token; one trailing newline is allowed.
    ///
    /// # Errors
    /// [`CredentialError::Missing`], [`CredentialError::BadToken`].
    pub fn token(token: &[u8]) -> Result<Self, CredentialError> {
        let token = token.strip_suffix(b"\n").unwrap_or(token);
        let token = token.strip_suffix(b"\r").unwrap_or(token);
        if token.is_empty() {
            return Err(CredentialError::Missing("token"));
        }
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err(CredentialError::BadToken);
        }
        let mut value =
            HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| CredentialError::BadToken)?;
        value.set_sensitive(true);
        Ok(Self::Token(value))
    }

    /// Reads a client certificate and its key, both PEM.
    ///
    /// # Errors
    /// [`CredentialError::Missing`], [`CredentialError::Pki`].
    pub fn x509(certificate: &[u8], key: &[u8]) -> Result<Self, CredentialError> {
        Self::certificate(certificate, key).map(Self::X509)
    }

    fn certificate(certificate: &[u8], key: &[u8]) -> Result<ClientCertificate, CredentialError> {
        use sha2::{Digest, Sha256};
        for (name, value) in [("tls.crt", certificate), ("tls.key", key)] {
            if value.is_empty() {
                return Err(CredentialError::Missing(name));
            }
        }
        let pki = |key| move |cause| CredentialError::Pki { key, cause };
        crate::pki::certificates(certificate).map_err(pki("tls.crt"))?;
        crate::pki::private_key(key).map_err(pki("tls.key"))?;
        let fingerprint =
            Sha256::new().chain_update(certificate).chain_update([0]).chain_update(key).finalize().into();
        let key = crate::pki::certified_key(certificate, key).map_err(pki("tls.key"))?;
        Ok(ClientCertificate { pem: certificate.into(), key, fingerprint })
    }

    /// Puts the credential on a request, over whatever stands there (rules 84, 162). Of one that comes from a program
    /// there is nothing here; see [`Issued::attach`].
    pub fn attach(&self, headers: &mut HeaderMap) {
        match self {
            Self::Token(value) => {
                headers.insert(header::AUTHORIZATION, value.clone());
            }
            Self::X509(_) | Self::Exec(_) => {
                headers.remove(header::AUTHORIZATION);
            }
        }
    }

    /// Whether both prove the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(own), Self::Token(other)) => own == other,
            (Self::X509(own), Self::X509(other)) => own == other,
            (Self::Exec(own), Self::Exec(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// The client certificate, if the credential is one that the Secret holds.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        match self {
            Self::Token(_) | Self::Exec(_) => None,
            Self::X509(certificate) => Some(certificate),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::X509(_) => "X509",
            Self::Exec(_) => "Exec",
        })
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}
