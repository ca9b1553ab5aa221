//! What went wrong on the way to a member, in words. The words of a failed dial are Go's and clients match on them
//! (contract rule 177).

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::konnectivity::DialError;
use super::{Opened, TransportSpec};
use crate::status;

/// Why a member could not be reached or did not answer. Holds no part of a credential or of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection; the text is Go's: `dial tcp 10.0.0.1:6443: connect: connection refused` (rule 177).
    #[error("{0}")]
    Dial(String),
    /// The member was reached, but there was no agreement on TLS or HTTP/2.
    #[error("{0}")]
    Tls(String),
    /// The connection broke, or the member answered nonsense. The member may have acted on the request.
    #[error("{0}")]
    Exchange(String),
    /// No head of an answer within the time limit. The member may have acted on the request.
    #[error("{0}")]
    Timeout(String),
    /// As many connections to the member are in use as may be.
    #[error("{0}")]
    Saturated(String),
    /// Connections to the member have failed so often that none is made for now.
    #[error("{message}")]
    Open {
        /// Since when, and what the last one failed of.
        message: String,
        /// Seconds until the next one is tried.
        retry_after: u32,
    },
}

impl TransportError {
    /// The answer for a request to `cluster`.
    #[must_use]
    pub fn into_status(self, cluster: &str) -> status::Error {
        let cluster = cluster.to_owned();
        match self {
            Self::Dial(text) => status::Error::Dial(text),
            Self::Tls(message) | Self::Exchange(message) => status::Error::Member { cluster, message },
            Self::Timeout(message) => status::Error::MemberTimeout { cluster, message },
            Self::Saturated(message) => {
                status::Error::TooManyRequests(format!("cluster {cluster}: {message}"))
            }
            Self::Open { message, retry_after } => {
                status::Error::Unreachable { cluster, message, retry_after }
            }
        }
    }

    /// A request that was not sent, because connections keep failing.
    pub(super) fn open(opened: &Opened, retry_after: u32) -> Self {
        let Opened { since, failures, cause } = opened;
        let since = OffsetDateTime::from(*since).replace_nanosecond(0);
        let since = since.ok().and_then(|since| since.format(&Rfc3339).ok()).unwrap_or_default();
        Self::Open {
            message: format!(
                "it has not been reachable since {since}, {failures} connections in a row have failed; the next is tried \
                 within {retry_after} s; the last failure: {cause}"
            ),
            retry_after,
        }
    }

    /// Whether it says something about the way to the member, and not about this request.
    pub(super) fn of_connection(&self) -> bool {
        matches!(self, Self::Dial(_) | Self::Tls(_))
    }

    /// A connection that had not been made after `waited`.
    pub(super) fn unreached(spec: &TransportSpec, waited: Duration) -> Self {
        Self::Dial(format!(
            "dial tcp {}: i/o timeout (no connection within {waited:?})",
            spec.endpoint.authority()
        ))
    }

    pub(super) fn lookup(host: &str, error: &io::Error) -> Self {
        let text = error.to_string();
        let cause = text.split_once(": ").map_or(text.as_str(), |(_, cause)| cause);
        let cause = match cause {
            "Name or service not known" | "No address associated with hostname" => "no such host",
            other => other,
        };
        Self::Dial(format!("dial tcp: lookup {host}: {cause}"))
    }

    pub(super) fn lookup_timeout(host: &str) -> Self {
        Self::Dial(format!("dial tcp: lookup {host}: i/o timeout"))
    }

    pub(super) fn connect(address: SocketAddr, error: &io::Error) -> Self {
        Self::Dial(format!("dial tcp {address}: connect: {}", errno(error)))
    }

    pub(super) fn connect_timeout(address: SocketAddr) -> Self {
        Self::Dial(format!("dial tcp {address}: i/o timeout"))
    }

    pub(super) fn denied(address: SocketAddr, kind: &str) -> Self {
        Self::Dial(format!("dial tcp {address}: connect: the gateway does not dial {kind} addresses"))
    }

    /// No way through the konnectivity proxy server to `address`, which names the cluster (rule 246).
    pub(super) fn tunnel(address: &str, error: &DialError) -> Self {
        Self::Dial(format!("dial tcp {address}: konnectivity: {error}"))
    }

    pub(super) fn handshake_timeout(spec: &TransportSpec, limit: Duration) -> Self {
        Self::Tls(format!("no TLS handshake with {} within {limit:?}", spec.endpoint.authority()))
    }

    pub(super) fn handshake(spec: &TransportSpec, error: &(dyn Error + 'static)) -> Self {
        Self::Tls(format!("TLS handshake with {}: {}", spec.endpoint.authority(), describe(spec, error)))
    }

    pub(super) fn header_timeout(spec: &TransportSpec, limit: Duration) -> Self {
        let member = spec.endpoint.authority();
        Self::Timeout(format!(
            "{member} has not begun to answer within {limit:?}; it may have acted on the request"
        ))
    }

    /// A connection that was given up because nothing came any more.
    pub(super) fn silent(spec: &TransportSpec) -> Self {
        Self::Exchange(format!(
            "{} no longer answers: nothing has come from it, not even the answer to a ping; the member may have acted on \
             the request",
            spec.endpoint.authority()
        ))
    }

    /// An answer with more kinds of headers than are taken.
    pub(super) fn too_many_headers(spec: &TransportSpec, most: usize) -> Self {
        let member = spec.endpoint.authority();
        Self::Exchange(format!(
            "{member} has answered with more than {most} different headers; see what runs there"
        ))
    }

    /// A connection that broke under a request.
    pub(super) fn exchange(spec: &TransportSpec, error: &(dyn Error + 'static)) -> Self {
        let member = spec.endpoint.authority();
        if let Some(alert) = refused_certificate(error) {
            return Self::Tls(format!("TLS with {member}: {}", alert_text(spec, alert)));
        }
        let peer = spec.peer.name();
        Self::Exchange(format!(
            "the connection to {member} broke before an answer began: {}; the {peer} may have acted on the request",
            chain(error)
        ))
    }
}

/// The system's words for an error as Go spells them: in lower case and without the number.
fn errno(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// An error and its causes, each said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.contains(&inner) {
            let _ = write!(text, ": {inner}");
        }
        cause = error.source();
    }
    text
}

fn rustls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// With TLS 1.3 the member judges our certificate after the handshake, so its verdict comes with the first answer.
fn refused_certificate(error: &(dyn Error + 'static)) -> Option<AlertDescription> {
    use AlertDescription as Alert;
    if let Some(rustls::Error::AlertReceived(alert)) = rustls_error(error) {
        return Some(*alert);
    }
    // HTTP/2 keeps only the words of an I/O error.
    let text = chain(error);
    [
        Alert::CertificateRequired,
        Alert::BadCertificate,
        Alert::UnknownCA,
        Alert::CertificateExpired,
        Alert::CertificateUnknown,
        Alert::AccessDenied,
    ]
    .into_iter()
    .find(|alert| text.contains(&format!("fatal alert: {alert:?}")))
}

fn describe(spec: &TransportSpec, error: &(dyn Error + 'static)) -> String {
    match rustls_error(error) {
        Some(rustls::Error::InvalidCertificate(error)) => {
            format!("tls: failed to verify certificate: x509: {}", certificate(spec, error))
        }
        Some(rustls::Error::AlertReceived(alert)) => alert_text(spec, *alert),
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "tls: first record does not look like a TLS handshake; is this the port of an HTTPS server?"
                .into()
        }
        Some(other) => format!("tls: {other}"),
        None if error
            .downcast_ref()
            .is_some_and(|e: &io::Error| e.kind() == io::ErrorKind::UnexpectedEof) =>
        {
            "the connection was closed during the handshake (EOF)".into()
        }
        None => error.downcast_ref().map_or_else(|| chain(error), errno),
    }
}

fn alert_text(spec: &TransportSpec, alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let peer = spec.peer;
    let name = peer.name();
    let advice = match (alert, &spec.client_certificate) {
        (Alert::CertificateRequired, _) | (Alert::HandshakeFailure | Alert::BadCertificate, None) => {
            format!("; the {name} asks for a client certificate: {}", peer.give_certificate())
        }
        (
            Alert::BadCertificate | Alert::UnknownCA | Alert::CertificateExpired | Alert::CertificateUnknown,
            Some(_),
        ) => format!("; the {name} refuses {}: check its issuer and its expiry", peer.certificate()),
        (Alert::UnrecognisedName, _) => format!(
            "; the {name} does not know the server name that was asked for: {}",
            peer.ask_for_another_name()
        ),
        _ => String::new(),
    };
    format!("remote error: tls: {alert:?}{advice}")
}

fn certificate(spec: &TransportSpec, error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            let cause = match spec.verification {
                super::Verification::SystemRoots => spec.peer.no_ca(),
                _ => spec.peer.wrong_ca(),
            };
            format!("certificate signed by unknown authority; {cause}")
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            wrong_name(spec, &expected.to_str(), presented)
        }
        CertificateError::ExpiredContext { time, not_after } => format!(
            "certificate has expired or is not yet valid: current time {} is after {}; renew the {}'s serving \
             certificate",
            timestamp(*time),
            timestamp(*not_after),
            spec.peer.name()
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "certificate has expired or is not yet valid: current time {} is before {}; compare the clocks",
            timestamp(*time),
            timestamp(*not_before)
        ),
        CertificateError::InvalidPurposeContext { .. } | CertificateError::InvalidPurpose => {
            "certificate specifies an incompatible key usage: it is not a server's certificate".into()
        }
        other => other.to_string(),
    }
}

fn wrong_name(spec: &TransportSpec, expected: &str, presented: &[String]) -> String {
    let names: Vec<&str> = presented
        .iter()
        .map(|name| {
            let inner = name.split_once('(').map_or(name.as_str(), |(_, inner)| inner);
            inner.trim_end_matches(')').trim_matches('"')
        })
        .collect();
    let advice = spec.peer.mend_name();
    if names.is_empty() {
        format!("certificate is not valid for any names, but wanted to match {expected}; {advice}")
    } else {
        format!("certificate is valid for {}, not {expected}; {advice}", names.join(", "))
    }
}

fn timestamp(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{} s after 1970", time.as_secs()))
}
