//! The only place where a failure becomes an answer: which code, which words, whose fault.
//!
//! Texts that clients match on are part of the contract: `no such cluster` (rule 178) and `dial tcp` (rule 177).

use cluster_gateway_client::GROUP;
use http::StatusCode;

mod forbidden;
mod wire;
mod words;

pub use forbidden::{Forbidden, ForbiddenOn};
pub use wire::Status;
use wire::{Cause, Details};

/// A request that cannot be answered as asked.
#[derive(Debug)]
pub enum Error {
    /// The request is malformed; the text says how.
    BadRequest(String),
    /// The request line cannot be read (rule 102), or the impersonation headers contradict each other (rule 146).
    RequestLine {
        /// Request URI as received.
        uri: String,
        /// What is wrong with it.
        message: String,
    },
    /// Nobody could be authenticated, or a credential was wrong (rule 64). The cause is for the log.
    Unauthorized(String),
    /// As [`Error::Unauthorized`], from a server that can tell how to get a credential.
    UnauthorizedWithAdvice {
        /// Why, for the log.
        cause: String,
        /// What the caller is told.
        advice: String,
    },
    /// The user may not do this (rules 96, 97).
    Forbidden(Box<Forbidden>),
    /// Whether the user may do this could not be found out (rule 95).
    AuthorizationUnknown {
        /// Request URI as received.
        uri: String,
        /// Why the check failed.
        message: String,
    },
    /// The router knows no such path (rule 218).
    UnknownPath,
    /// There is no such object (rules 216, 217).
    NotFound {
        /// Resource, plural.
        resource: &'static str,
        /// Name that was asked for.
        name: String,
    },
    /// The path is known, the method is not allowed on it (rule 219).
    MethodNotAllowed,
    /// None of the accepted representations exists; the text lists those that do (rules 198, 199).
    NotAcceptable(NotAcceptable),
    /// The body's media type is not understood (rule 223).
    UnsupportedMediaType(UnsupportedMediaType),
    /// Options are well-formed but senseless (rule 221).
    Invalid {
        /// Kind of the options.
        kind: &'static str,
        /// What is wrong with them.
        message: String,
    },
    /// The clusters have not been read yet, so nothing can be said about any of them.
    NotSynced,
    /// What was asked for is too old to be continued (rule 228).
    Expired(String),
    /// A version was asked for that has not arrived here (rule 230). Clients know it by its cause.
    FutureVersion {
        /// The version that was asked for.
        asked: u64,
        /// The newest version that is here.
        current: u64,
    },
    /// The object was changed by somebody else in the meantime.
    Conflict {
        /// Resource, plural.
        resource: &'static str,
        /// Name of the object.
        name: String,
        /// What to do about it.
        message: String,
    },
    /// The body is larger than the limit, in bytes (rule 127).
    TooLarge(usize),
    /// A JSON patch has more operations than the limit (rule 260).
    TooManyOperations {
        /// How many it may have.
        limit: usize,
        /// How many it has.
        got: usize,
    },
    /// Health is recorded in Secrets of a hub, and there is none (standalone).
    NowhereToRecord,
    /// Too many requests are under way (rule 126).
    TooManyRequests(String),
    /// Too many requests for the gateway's own resources are under way (rule 125).
    Overloaded,
    /// The request took longer than it may (rule 123).
    Timeout,
    /// The process is stopping (rule 132).
    ShuttingDown,
    /// The process is stopping and sends callers to its other replicas (rule 133).
    ComeBack,
    /// No cluster of this name is registered (rule 178).
    NoSuchCluster(String),
    /// The cluster is registered but cannot be used as it is; never says `no such cluster` (rule 178).
    ClusterUnusable {
        /// Name of the cluster.
        cluster: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// The member could not be reached; the text is Go's (rule 177).
    Dial(String),
    /// Connections to the member have failed so often that the request was not sent (rules 126, 180).
    Unreachable {
        /// Name of the cluster.
        cluster: String,
        /// Since when, and what the last connection failed of: the text is Go's (rule 177).
        message: String,
        /// Seconds until the next one is tried.
        retry_after: u32,
    },
    /// The member was reached, but the exchange with it failed.
    Member {
        /// Name of the cluster.
        cluster: String,
        /// What failed, at which hop.
        message: String,
    },
    /// The member did not answer in time.
    MemberTimeout {
        /// Name of the cluster.
        cluster: String,
        /// What was waited for, and how long.
        message: String,
    },
    /// The member answered an upgrade with something that is neither 101 nor an error (rule 186).
    InvalidUpgradeResponse(StatusCode),
    /// The webhook that must say as whom the member sees the request gave no usable answer.
    IdentityWebhook {
        /// Name of the cluster.
        cluster: String,
        /// Which rule, which webhook, and what failed there.
        message: String,
    },
    /// The cluster's endpoint leads back to this gateway (rule 168).
    Loop(String),
    /// The request has more headers than are taken (rule 58).
    TooManyHeaders {
        /// How many it has.
        number: usize,
        /// How many it may have.
        most: usize,
    },
    /// The hub could not be asked.
    Hub(String),
    /// A handler panicked (rule 117).
    Panic,
    /// Anything else that is our own fault.
    Internal(String),
}

/// Why no representation fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAcceptable {
    /// The router found no media type in `Accept`; lists these.
    Router(&'static str),
    /// The media types fit but not their parameters; lists these.
    Encoder(&'static str),
    /// The representation exists, but not of this object; the whole message.
    Object(&'static str),
}

/// Why a body's media type is not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsupportedMediaType {
    /// The router knows no such type of body on this path.
    Router,
    /// The type is Kubernetes', but not of this resource; lists those that are.
    Accepted(&'static str),
}

/// Whose fault a failure is. It goes to the log and to metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Whoever sent the request.
    Caller,
    /// The hub's API server.
    Hub,
    /// The member cluster, its registration, or the way to it.
    Member,
    /// An identity webhook, or the way to it.
    Webhook,
    /// The gateway.
    Us,
}

impl Blame {
    /// Label value and log field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Hub => "hub",
            Self::Member => "member",
            Self::Webhook => "webhook",
            Self::Us => "gateway",
        }
    }
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::AuthorizationUnknown { .. } | Self::Hub(_) | Self::NotSynced => Blame::Hub,
            Self::ClusterUnusable { .. }
            | Self::Dial(_)
            | Self::Unreachable { .. }
            | Self::Member { .. }
            | Self::MemberTimeout { .. }
            | Self::InvalidUpgradeResponse(_)
            | Self::Loop(_) => Blame::Member,
            Self::IdentityWebhook { .. } => Blame::Webhook,
            Self::Timeout
            | Self::FutureVersion { .. }
            | Self::ShuttingDown
            | Self::ComeBack
            | Self::Panic
            | Self::Internal(_) => Blame::Us,
            _ => Blame::Caller,
        }
    }

    /// HTTP status code.
    #[must_use]
    pub fn code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Loop(_) => StatusCode::LOOP_DETECTED,
            Self::TooManyHeaders { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unauthorized(_) | Self::UnauthorizedWithAdvice { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::UnknownPath | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed | Self::NowhereToRecord => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Expired(_) => StatusCode::GONE,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::TooLarge(_) | Self::TooManyOperations { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyRequests(_) | Self::Overloaded | Self::ComeBack => StatusCode::TOO_MANY_REQUESTS,
            Self::Timeout | Self::FutureVersion { .. } | Self::MemberTimeout { .. } => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::ShuttingDown
            | Self::NotSynced
            | Self::ClusterUnusable { .. }
            | Self::Unreachable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::RequestLine { .. }
            | Self::AuthorizationUnknown { .. }
            | Self::NoSuchCluster(_)
            | Self::Dial(_)
            | Self::Member { .. }
            | Self::InvalidUpgradeResponse(_)
            | Self::IdentityWebhook { .. }
            | Self::Hub(_)
            | Self::Panic
            | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Kubernetes' machine-readable reason; `None` on the failures that Go leaves without one (rule 224).
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::BadRequest(_) => "BadRequest",
            Self::Unauthorized(_) | Self::UnauthorizedWithAdvice { .. } => "Unauthorized",
            Self::Forbidden(_) => "Forbidden",
            Self::UnknownPath | Self::NotFound { .. } => "NotFound",
            Self::MethodNotAllowed | Self::NowhereToRecord => "MethodNotAllowed",
            Self::NotAcceptable(_) => "NotAcceptable",
            Self::UnsupportedMediaType(_) => "UnsupportedMediaType",
            Self::Invalid { .. } => "Invalid",
            Self::Expired(_) => "Expired",
            Self::Conflict { .. } => "Conflict",
            Self::TooLarge(_) | Self::TooManyOperations { .. } => "RequestEntityTooLarge",
            Self::TooManyRequests(_) => "TooManyRequests",
            Self::Timeout | Self::FutureVersion { .. } | Self::MemberTimeout { .. } => "Timeout",
            Self::ShuttingDown
            | Self::NotSynced
            | Self::ClusterUnusable { .. }
            | Self::Unreachable { .. } => "ServiceUnavailable",
            Self::IdentityWebhook { .. } => "InternalError",
            _ => return None,
        })
    }

    fn details(&self) -> Option<Details> {
        match self {
            Self::Forbidden(forbidden) => Some(forbidden.details()),
            Self::NotFound { resource, name } | Self::Conflict { resource, name, .. } => Some(Details {
                name: name.clone(),
                group: GROUP.to_owned(),
                kind: (*resource).to_owned(),
                ..Details::default()
            }),
            Self::Invalid { kind, .. } => {
                let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
                Some(Details { group: group.to_owned(), kind: kind.to_owned(), ..Details::default() })
            }
            Self::UnknownPath
            | Self::MethodNotAllowed
            | Self::NotAcceptable(NotAcceptable::Router(_))
            | Self::UnsupportedMediaType(UnsupportedMediaType::Router)
            | Self::Timeout
            | Self::MemberTimeout { .. } => Some(Details::default()),
            Self::FutureVersion { .. } => Some(Details {
                causes: vec![Cause::VERSION_TOO_LARGE],
                retry_after_seconds: self.retry_after(),
                ..Details::default()
            }),
            Self::ShuttingDown
            | Self::NotSynced
            | Self::ClusterUnusable { .. }
            | Self::Unreachable { .. }
            | Self::TooManyRequests(_) => {
                Some(Details { retry_after_seconds: self.retry_after(), ..Details::default() })
            }
            _ => None,
        }
    }

    /// Seconds after which trying again makes sense. Not for what waits for a person to mend it: kubectl would try ten
    /// times before it shows the reason.
    fn retry_after(&self) -> Option<u32> {
        match self {
            Self::ShuttingDown
            | Self::NotSynced
            | Self::FutureVersion { .. }
            | Self::TooManyRequests(_)
            | Self::Overloaded => Some(1),
            Self::ComeBack => Some(5),
            Self::Unreachable { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Failures that Go answers before its API machinery is reached are plain text (rules 95, 102, 117, 125).
    fn is_text(&self) -> bool {
        matches!(
            self,
            Self::RequestLine { .. }
                | Self::AuthorizationUnknown { .. }
                | Self::Panic
                | Self::Overloaded
                | Self::ComeBack
        )
    }
}

impl std::error::Error for Error {}
