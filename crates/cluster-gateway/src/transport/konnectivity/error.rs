//! Why a tunnel could not be dug, and which hop said so.

use std::time::Duration;

/// Why a cluster cannot be reached through the proxy server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::transport) enum DialError {
    /// The files of the gateway's certificate or of the proxy server's CA cannot be used.
    #[error("{0}")]
    Files(String),
    /// No connection to the proxy server.
    #[error("proxy server {server} cannot be reached: {cause}")]
    Unreachable { server: String, cause: String },
    /// No agreement on TLS with the proxy server.
    #[error("TLS handshake with proxy server {server}: {cause}")]
    Tls { server: String, cause: String },
    /// The connection to the proxy server broke; another attempt may succeed.
    #[error("the connection to proxy server {server} broke before the cluster was reached: {cause}")]
    Broken { server: String, cause: String },
    /// The proxy server does not do what it is asked for.
    #[error("proxy server {server} refuses the tunnel: {cause}")]
    Refused { server: String, cause: String },
    /// No agent of the cluster is connected to the proxy server.
    #[error(
        "proxy server {server} has no agent for the cluster: {cause}; is the agent running, with an identifier host=NAME?"
    )]
    NoAgent { server: String, cause: String },
    /// The agent of the cluster cannot connect to the API server.
    #[error(
        "the agent in the cluster, behind proxy server {server}, cannot connect to the API server: {cause}"
    )]
    Agent { server: String, cause: String },
    /// The proxy server or the agent has given up (rule 237).
    #[error("dial closed by proxy server {server} or its agent")]
    Closed { server: String },
    /// Nobody has answered.
    #[error("i/o timeout: no answer from the cluster's agent through proxy server {server} within {limit:?}")]
    Timeout { server: String, limit: Duration },
}

impl DialError {
    /// What an answer to a dial means. The words are those of the server and the agent, which tell them apart only so.
    pub(super) fn of_answer(server: &str, error: &str) -> Self {
        let server = server.to_owned();
        let cause: String = error.escape_debug().take(500).collect();
        if error.contains("No agent available") {
            Self::NoAgent { server, cause }
        } else {
            Self::Agent { server, cause }
        }
    }
}

/// What to do about a TLS alert of the proxy server; with TLS 1.3 it comes after the handshake.
pub(super) fn advise(cause: String) -> String {
    if cause.contains("UnknownIssuer") {
        format!("{cause}; its certificate is not issued by the CA in --proxy-ca-cert")
    } else if cause.contains("not valid for name") {
        format!("{cause}; --proxy-host must be a name of its certificate")
    } else if cause.contains("fatal alert") {
        format!("{cause}; it may refuse the gateway's certificate: check --proxy-cert")
    } else {
        cause
    }
}
