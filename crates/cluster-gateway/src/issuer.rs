//! Certificate authorities of our own and what they issue.
//!
//! Those of a standalone server (one CA for clients, another for its serving certificate) lie in one directory
//! (`--data-dir`) that nobody else may read. What is found there and cannot be trusted or used is refused with the remedy,
//! never replaced: certificates that were issued before would stop working unnoticed. The functions on that directory
//! block on files; they are for the start of a process and for commands. Others keep a CA where they want
//! ([`CertificateAuthority::generate`], [`CertificateAuthority::from_pair`]).

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

mod authority;
mod data_dir;
mod names;
mod serving;
mod sign;

pub use authority::{CertificateAuthority, PairFlaw, Role};
pub use data_dir::DataDir;
pub use names::ServerNames;
pub use serving::Serving;

use crate::pki::PkiError;

/// Why there are no certificates. Every text names the file and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The directory cannot be made or written.
    #[error("--data-dir {path}: cannot be written: {cause}; name a directory that this user may write", path = path.display())]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// Somebody else owns what is secret.
    #[error(
        "--data-dir: {path} belongs to another user (uid {owner}), who may read and replace the keys; name a directory \
         of uid {wanted}, or, if nobody else has had the keys, run: chown -R {wanted} {path}", path = path.display()
    )]
    Foreign {
        /// Directory or file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it has to be.
        wanted: u32,
    },
    /// A file in the directory cannot be read or written.
    #[error("--data-dir: {path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// Others may look at what is secret.
    #[error(
        "--data-dir: others than its owner have rights on {path} (mode {mode:04o}); if nobody else has had the keys, \
         run: chmod {wanted:o} {path}", path = path.display()
    )]
    TooOpen {
        /// Directory or file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// What they have to be.
        wanted: u32,
    },
    /// A file holds something that cannot be used.
    #[error("--data-dir: {path} {problem}", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and the remedy.
        problem: String,
    },
    /// What was asked for makes no certificate.
    #[error("no such certificate can be issued: {0}")]
    Request(String),
    /// The library refuses to make a certificate.
    #[error("cannot make a certificate: {0}")]
    Making(String),
}

impl From<rcgen::Error> for IssuerError {
    fn from(error: rcgen::Error) -> Self {
        Self::Making(error.to_string())
    }
}

impl From<PkiError> for IssuerError {
    fn from(error: PkiError) -> Self {
        Self::Making(error.to_string())
    }
}

/// A certificate and its private key, both in PEM. The key is not shown by `Debug`.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8. A secret.
    pub key: String,
    /// When the certificate expires.
    pub expires: SystemTime,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// How long before its making a client's certificate is valid already: the clocks of others may be late.
const BACKDATED: Duration = Duration::from_secs(5 * 60);
/// The same for a server's certificate and for a CA, which have more readers and grant nothing.
const SERVER_BACKDATED: Duration = Duration::from_secs(3600);

/// A moment for messages, RFC 3339.
#[must_use]
pub fn date(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_else(|_| "an unknown time".to_owned())
}

#[cfg(test)]
mod tests;
