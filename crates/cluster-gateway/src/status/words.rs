//! The words of a failure.

use std::fmt;

use cluster_gateway_client::GROUP;

use super::{Error, NotAcceptable, UnsupportedMediaType};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestLine { uri, message } | Self::AuthorizationUnknown { uri, message } => {
                write!(f, "Internal Server Error: \"{}\": {}", escape(uri), escape(message))
            }
            Self::Unauthorized(_) => f.write_str("Unauthorized"),
            Self::UnauthorizedWithAdvice { advice, .. } => write!(f, "Unauthorized: {advice}"),
            Self::Forbidden(forbidden) => forbidden.fmt(f),
            Self::UnknownPath => f.write_str("the server could not find the requested resource"),
            Self::NotFound { resource, name } => write!(f, "{resource}.{GROUP} \"{name}\" not found"),
            Self::MethodNotAllowed => {
                f.write_str("the server does not allow this method on the requested resource")
            }
            Self::NotAcceptable(NotAcceptable::Router(types)) => {
                write!(f, "406: Not Acceptable\n\nAvailable representations: {types}")
            }
            Self::NotAcceptable(NotAcceptable::Encoder(types)) => {
                write!(f, "only the following media types are accepted: {types}")
            }
            Self::UnsupportedMediaType(UnsupportedMediaType::Router) => {
                f.write_str("415: Unsupported Media Type")
            }
            Self::UnsupportedMediaType(UnsupportedMediaType::Accepted(types)) => write!(
                f,
                "the body of the request was in an unknown format - accepted media types include: {types}"
            ),
            Self::NotAcceptable(NotAcceptable::Object(text)) => f.write_str(text),
            Self::NotSynced => f.write_str("the clusters have not been read from the hub yet"),
            Self::Invalid { kind, message } => write!(f, "{kind} \"\" is invalid: {message}"),
            Self::Conflict { resource, name, message } => {
                write!(f, "Operation cannot be fulfilled on {resource}.{GROUP} \"{name}\": {message}")
            }
            Self::FutureVersion { asked, current } => {
                write!(f, "Timeout: Too large resource version: {asked}, current: {current}")
            }
            Self::TooLarge(limit) => write!(f, "Request entity too large: limit is {limit}"),
            Self::TooManyOperations { limit, got } => {
                write!(f, "The allowed maximum operations in a JSON patch is {limit}, got {got}")
            }
            Self::NowhereToRecord => f.write_str(
                "health is recorded in the Secrets of a hub, and this server runs without one: there is nowhere to \
                 write it",
            ),
            Self::Timeout => f.write_str("Timeout: request did not complete within the allotted timeout"),
            Self::Overloaded => f.write_str("Too many requests, please try again later.\n"),
            Self::ComeBack => f.write_str("The apiserver is shutting down, please try again later.\n"),
            Self::ShuttingDown => f.write_str("apiserver is shutting down"),
            Self::NoSuchCluster(cluster) => write!(f, "no such cluster {cluster}"),
            Self::ClusterUnusable { cluster, reason } => {
                write!(f, "cluster {cluster} cannot be used: {reason}")
            }
            Self::Member { cluster, message }
            | Self::Unreachable { cluster, message, .. }
            | Self::MemberTimeout { cluster, message }
            | Self::IdentityWebhook { cluster, message } => {
                write!(f, "cluster {cluster}: {message}")
            }
            Self::Loop(cluster) => write!(
                f,
                "cluster {cluster}: its endpoint leads back to this gateway, which the request has passed before; \
                 enter the address of the cluster's own API server"
            ),
            Self::TooManyHeaders { number, most } => {
                write!(f, "the request has {number} headers; at most {most} are taken")
            }
            Self::InvalidUpgradeResponse(code) => {
                write!(f, "invalid upgrade response: status code {}", code.as_u16())
            }
            Self::Panic => {
                f.write_str("This request caused apiserver to panic. Look in the logs for details.\n")
            }
            Self::BadRequest(text)
            | Self::Expired(text)
            | Self::TooManyRequests(text)
            | Self::Dial(text)
            | Self::Hub(text)
            | Self::Internal(text) => f.write_str(text),
        }
    }
}

/// Go's `html.EscapeString` subset that kube-apiserver applies to plain-text errors (rule 95).
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
