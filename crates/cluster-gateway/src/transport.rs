//! How bytes reach a cluster; owns its connections.
//!
//! A connection is reused only within one [`TransportSpec`] of one cluster: the pool belongs to the cluster, so there
//! is no global key to forget (contract rules 163, 164). Dropping a [`Transport`] drains it: no new request finds it,
//! open ones go on, idle connections close.

use std::sync::Arc;

use crate::credential::ClientCertificate;
use crate::status;

/// Everything that must be equal for a connection to be reused. The bearer token is not part of it: it travels with
/// each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportSpec {
    /// Scheme, host and port.
    pub endpoint: Endpoint,
    /// How the member proves itself.
    pub verification: Verification,
    /// Name in SNI and in the member's certificate; `None`: the endpoint's host.
    pub server_name: Option<String>,
    /// The gateway's certificate, if that is the credential.
    pub client_certificate: Option<ClientCertificate>,
}

/// Where a cluster's API server is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// TLS or, only where explicitly allowed, clear text.
    pub tls: bool,
    /// DNS name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// How a member's certificate is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Against the CA bundle of its Secret (PEM, already checked to parse).
    Bundle(Arc<[u8]>),
    /// Against the system's roots (rule 166).
    SystemRoots,
    /// Not at all: marked insecure on the Secret and allowed by a flag.
    Insecure,
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for ClientCertificate {}

/// Why a member could not be reached or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The text is Go's: `dial tcp 10.0.0.1:6443: connect: connection refused` (rule 177).
    #[error("{0}")]
    Dial(String),
}

impl TransportError {
    /// The answer for a request to `cluster`.
    #[must_use]
    pub fn into_status(self, cluster: &str) -> status::Error {
        let _ = cluster;
        match self {
            Self::Dial(text) => status::Error::Dial(text),
        }
    }
}

/// The connections to one member.
#[derive(Debug)]
pub struct Transport {
    spec: TransportSpec,
}

impl Transport {
    /// No connection yet.
    #[must_use]
    pub fn new(spec: TransportSpec) -> Self {
        Self { spec }
    }
}
