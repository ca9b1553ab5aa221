//! Certificates of a standalone server: its own CA for clients, and another for its serving certificate.
//!
//! Everything lies in one directory (`--data-dir`) that nobody else may read. What is found there and cannot be trusted or
//! used is refused with the remedy, never replaced: certificates that were issued before would stop working unnoticed.
//! The functions block on files; they are for the start of a process and for commands.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

mod authority;
mod data_dir;
mod serving;
mod sign;

pub use authority::{CertificateAuthority, Role};
pub use data_dir::DataDir;
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

/// How long before its making a certificate is valid already: the clocks of others may be late.
const BACKDATED: Duration = Duration::from_secs(5 * 60);

fn date(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_else(|_| "an unknown time".to_owned())
}

#[cfg(test)]
mod tests;
