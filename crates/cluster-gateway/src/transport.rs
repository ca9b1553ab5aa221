//! How bytes reach a cluster; owns its connections.
//!
//! A connection is reused only within one [`TransportSpec`] of one cluster: the pool belongs to the cluster, so there
//! is no global key to forget (contract rules 163, 164). Dropping a [`Transport`] drains it: no new request finds it,
//! open ones go on, idle connections close.
//!
//! It never follows a redirect, buffers no body, and sends no request twice unless the member cannot have seen it: no
//! byte has left, or the member itself has said so.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::Body;
use crate::credential::ClientCertificate;

mod address;
mod connect;
mod dial;
mod endpoint;
mod fault;
mod h1;
mod h2;
mod hop;
mod idle;
mod options;
mod peer;
mod pool;
mod proxy;
mod released;
mod stream;
mod tls;

pub use address::AddressPolicy;
pub use endpoint::{EndpointError, EndpointUrl};
pub use fault::TransportError;
pub use hop::Route;
pub use options::{Counters, TlsBasis, TransportOptions};
pub use peer::Peer;
use pool::{Lease, Pool};
pub use proxy::{ProxyLogin, ProxyProtocol, ProxySpec};

/// Everything that must be equal for a connection to be reused. The bearer token is not part of it: it travels with
/// each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportSpec {
    /// Scheme, host and port.
    pub endpoint: Endpoint,
    /// How it is reached.
    pub route: Route,
    /// How the member proves itself.
    pub verification: Verification,
    /// Name in SNI and in the member's certificate; `None`: the endpoint's host.
    pub server_name: Option<String>,
    /// The gateway's certificate, if that is the credential.
    pub client_certificate: Option<ClientCertificate>,
    /// What the other end is called when something fails.
    pub peer: Peer,
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

impl Endpoint {
    /// `host:port`, an IPv6 address in brackets: what stands in `Host` and `:authority` (rule 145).
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
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

/// How often a request that the member has not seen may be tried on another connection.
const RETRIES: usize = 2;

/// The connections to one member.
#[derive(Debug)]
pub struct Transport {
    pool: Arc<Pool>,
}

impl Transport {
    /// A transport without connections; nothing is built or dialled before the first request.
    #[must_use]
    pub fn new(spec: TransportSpec, options: Arc<TransportOptions>) -> Self {
        Self { pool: Arc::new(Pool::new(spec, options)) }
    }

    /// One to the same member under another client certificate, without connections.
    #[must_use]
    pub fn with_client_certificate(&self, certificate: ClientCertificate) -> Self {
        let spec = TransportSpec { client_certificate: Some(certificate), ..self.spec().clone() };
        Self::new(spec, self.pool.shared_options())
    }

    /// What makes its connections reusable.
    #[must_use]
    pub fn spec(&self) -> &TransportSpec {
        self.pool.spec()
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.pool.counters()
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// Of the request's URI only path and query are used, and its `Host` is replaced: the target is that of the spec
    /// (rule 196). Speaks HTTP/2 if the member agrees to it, else HTTP/1.1. Dropping the future cancels the request.
    ///
    /// # Errors
    /// [`TransportError`]. Only [`TransportError::Dial`], [`TransportError::Tls`] and [`TransportError::Saturated`]
    /// say that the member has not seen the request.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let mut request = request;
        let mut attempt = 0;
        loop {
            let sent = match self.pool.lease().await? {
                Lease::H2(slot) => h2::send(slot, &self.pool, request).await,
                Lease::H1(connection) => h1::send(connection, &self.pool, request).await,
            };
            match sent {
                Ok(response) => return Ok(response),
                Err(failure) => match failure.unsent {
                    Some(unsent) if attempt < RETRIES => request = *unsent,
                    _ => return Err(failure.error),
                },
            }
            attempt += 1;
        }
    }

    /// Sends a request that asks to leave HTTP, on an HTTP/1.1 connection of its own (rules 169, 191).
    ///
    /// The connection belongs to the answer: to the upgraded stream after a 101, else to the body, and is closed with it.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn upgrade(&self, request: Request<Body>) -> Result<Response<Incoming>, TransportError> {
        h1::upgrade(&self.pool, request).await
    }
}

/// A request that got no answer.
struct Failure {
    error: TransportError,
    /// The request, if the member has not seen it.
    unsent: Option<Box<Request<Body>>>,
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self { error, unsent: None }
    }
}
