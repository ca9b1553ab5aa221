//! How bytes reach a cluster; owns its connections.
//!
//! A connection is reused only within one [`TransportSpec`] of one cluster: the pool belongs to the cluster, so there
//! is no global key to forget (contract rules 163, 164). Dropping a [`Transport`] drains it: no new request finds it,
//! open ones go on, idle connections close.
//!
//! It never follows a redirect, buffers no body, and sends no request twice unless the member cannot have acted on it (no
//! byte has left, or the member itself has said so), or the request changes nothing and was lost with an idle connection.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::Body;
use crate::credential::ClientCertificate;

mod address;
mod breaker;
mod certificates;
mod condition;
mod dial;
mod endpoint;
mod fault;
mod h1;
mod h2;
mod hop;
mod idle;
mod konnectivity;
mod latencies;
mod options;
mod patient;
mod peer;
mod pool;
mod proxy;
mod released;
mod resolve;
mod stream;
mod survey;
mod tcp;
mod tls;

pub use address::AddressPolicy;
pub use breaker::Opened;
pub use certificates::{CertificateRole, Certificates, ServedCertificate, VerificationKind};
pub use condition::{Condition, State};
pub use endpoint::{EndpointError, EndpointUrl};
pub use fault::TransportError;
pub use hop::Route;
pub use konnectivity::{ProxyFiles, ProxyMode, ProxyServer, ProxyServerConfig, SERVER_NAME};
pub use latencies::Latencies;
pub use options::{Counters, TlsBasis, TransportOptions};
pub use peer::Peer;
use pool::{Lease, Pool, Tries};
pub use proxy::{ProxyLogin, ProxyProtocol, ProxySpec};
pub use resolve::{Lookup, Resolver};
pub use survey::Handshake;

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
        authority(&self.host, self.port)
    }
}

/// `host:port`, an IPv6 address in brackets.
#[must_use]
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
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

/// Put on a request whose answer may begin at any time: [`TransportOptions::response_header_timeout`] is not for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongRunning;

/// The connections to one member.
#[derive(Debug)]
pub struct Transport {
    pool: Arc<Pool>,
    /// Written by whoever probes the member.
    condition: ArcSwapOption<Condition>,
}

impl Transport {
    /// A transport without connections; nothing is built or dialled before the first request.
    #[must_use]
    pub fn new(spec: TransportSpec, options: Arc<TransportOptions>) -> Self {
        Self { pool: Arc::new(Pool::new(spec, options)), condition: ArcSwapOption::empty() }
    }

    /// One to the same member under another client certificate, without connections. What is counted, and whether the
    /// member can be reached, is that of both; what a probe finds is kept here only.
    #[must_use]
    pub fn with_client_certificate(&self, certificate: ClientCertificate) -> Self {
        let pool = Arc::new(self.pool.with_client_certificate(certificate));
        Self { pool, condition: ArcSwapOption::empty() }
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

    /// What is known of the member.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let known = self.condition.load().as_deref().cloned().unwrap_or_default();
        match self.pool.breaker().opened() {
            Some(opened) => known.but_open(&opened),
            None => known,
        }
    }

    /// Keeps what a probe has found. There is one writer: whoever probes.
    pub fn set_condition(&self, condition: Condition) {
        self.condition.store(Some(Arc::new(condition)));
    }

    /// How many connections have failed in a row: could not be made, or fell silent.
    #[must_use]
    pub fn consecutive_failures(&self) -> u32 {
        self.pool.breaker().failures()
    }

    /// Why requests that need a new connection are refused, if they are.
    #[must_use]
    pub fn opened(&self) -> Option<Arc<Opened>> {
        self.pool.breaker().opened()
    }

    /// Lets the next request through to the member even if it cannot be reached: a trial.
    pub fn let_one_through(&self) {
        self.pool.breaker().let_one_through();
    }

    /// Somebody has waited `waited` for an answer in vain. That counts as a failed connection if there is none.
    pub fn gave_up(&self, waited: Duration) {
        if self.counters().open() == 0 {
            self.pool.failed(&TransportError::unreached(self.spec(), waited));
        }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// Of the request's URI only path and query are used, and its `Host` is replaced: the target is that of the spec
    /// (rule 196). Speaks HTTP/2 if the member agrees to it, else HTTP/1.1. Dropping the future cancels the request.
    ///
    /// # Errors
    /// [`TransportError`]. Only [`TransportError::Dial`], [`TransportError::Tls`], [`TransportError::Saturated`] and
    /// [`TransportError::Open`] say that the member has not seen the request.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let mut request = request;
        let mut tries = Tries::default();
        let mut retries = Retries::default();
        let mut lease = self.pool.lease(&mut tries).await?;
        loop {
            let sent = match lease {
                Lease::H2(slot) => h2::send(slot, &self.pool, request).await,
                // Boxed: HTTP/2 is what members speak, and its requests must not have room for this one.
                Lease::H1(connection) => Box::pin(h1::send(connection, &self.pool, request)).await,
            };
            let failure = match sent {
                Ok(response) => {
                    self.pool.breaker().succeeded();
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            let Some((again, new)) = failure.again.and_then(|again| retries.take(again)) else {
                return Err(failure.error);
            };
            request = again;
            lease = if new {
                self.pool.lease_new(&mut tries).await?
            } else {
                self.pool.lease(&mut tries).await?
            };
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
    again: Option<Again>,
}

/// A request that may be sent once more.
enum Again {
    /// Not a byte of it has left.
    Unsent(Box<Request<Body>>),
    /// The same words: the member has said that it has not looked at the request.
    Refused(Box<Request<Body>>),
    /// The same words: an idle connection was closed while they were on their way. Others may be, too, so a new one is
    /// made.
    Lost(Box<Request<Body>>),
}

/// How often a request has been sent again.
#[derive(Debug, Default)]
struct Retries(usize);

impl Retries {
    /// How often a request may be sent again that has left the gateway. What has not left is not counted here; for that
    /// there are [`Tries`].
    const MOST: usize = 2;

    /// The request to send, and whether on a new connection; `None`: it has been sent often enough.
    fn take(&mut self, again: Again) -> Option<(Request<Body>, bool)> {
        let (request, new) = match again {
            Again::Unsent(request) => return Some((*request, false)),
            Again::Refused(request) => (request, false),
            Again::Lost(request) => (request, true),
        };
        self.0 += 1;
        (self.0 <= Self::MOST).then_some((*request, new))
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self { error, again: None }
    }
}

/// A second request of the same words; `None` if it has a body, which cannot be had twice.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    if !http_body::Body::is_end_stream(request.body()) {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Box<Request<Body>> {
        Box::new(Request::new(Body::empty()))
    }

    #[test]
    fn rule_129_a_request_that_comes_back_unsent_is_not_counted_as_sent() {
        let mut retries = Retries::default();
        for _ in 0..50 {
            assert!(retries.take(Again::Unsent(request())).is_some_and(|(_, new)| !new));
        }
        assert!(retries.take(Again::Refused(request())).is_some_and(|(_, new)| !new));
        assert!(retries.take(Again::Lost(request())).is_some_and(|(_, new)| new));
        assert!(retries.take(Again::Refused(request())).is_none());
        assert!(retries.take(Again::Lost(request())).is_none());
        assert!(retries.take(Again::Unsent(request())).is_some());
    }
}
