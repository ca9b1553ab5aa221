//! The one place where a failure of management becomes an answer.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Json;
use super::store;
use crate::lifecycle::{self, LifecycleError, Undo};
use crate::status;

/// When to ask again while the store or the hub is away, unless something better is known.
const UNAVAILABLE: Duration = Duration::from_secs(5);

/// What kind of failure, as programs tell it: those of VelaUX with its numbers, ours begin with 41.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// A value is not allowed (VelaUX: 400).
    Validation,
    /// The body cannot be read (400).
    BadBody,
    /// VelaUX' user is not known (401).
    UnknownUser,
    /// The caller may not (403).
    Denied,
    /// There is no such route (404).
    UnknownRoute,
    /// The route has no such method (405).
    MethodNotAllowed,
    /// The body is larger than it may be (413).
    BodyTooLarge,
    /// The body is of another media type (415).
    UnsupportedMediaType,
    /// Our own fault (500).
    Internal,
    /// VelaUX' token has ended.
    TokenExpired,
    /// VelaUX' token does not count yet.
    TokenNotYet,
    /// VelaUX' token is signed by somebody else.
    TokenSignature,
    /// VelaUX' token is none.
    TokenMalformed,
    /// The header `Authorization` is missing or malformed.
    TokenMissing,
    /// A refresh token was used for access.
    TokenNotAccess,
    /// No such cloud provider is supported.
    CloudProvider,
    /// Only the name of a Secret was given in place of a kubeconfig.
    SecretOnly,
    /// Neither a kubeconfig nor a Secret was given.
    NoKubeconfig,
    /// There is no such cluster.
    NoCluster,
    /// There is such a cluster already.
    ClusterExists,
    /// There is a Secret of that name already.
    ExistsInKubernetes,
    /// The name `local` is reserved.
    LocalReserved,
    /// The hub itself cannot be changed.
    LocalImmutable,
    /// The member does not let the caller make a namespace.
    NamespaceForbidden,
    /// The kubeconfig cannot be parsed.
    KubeconfigMalformed,
    /// The kubeconfig has no context, or not that one.
    KubeconfigContext,
    /// A value is not allowed; the field is named.
    Value,
    /// The kubeconfig is too large.
    KubeconfigTooLarge,
    /// Nobody is signed in.
    Unauthenticated,
    /// The CSRF token is missing or wrong, or the hub's RBAC denies.
    Forbidden,
    /// It is no longer what was seen, or under way already.
    Conflict,
    /// Only with `force`.
    NeedsForce,
    /// `If-Match` does not hold.
    Changed,
    /// Too often.
    TooMany,
    /// The store or the hub cannot be asked.
    Unavailable,
    /// The member cannot be asked.
    Member,
    /// The member does not answer in time.
    MemberTimeout,
    /// Joining failed; everything is as it was.
    JoinUndone,
    /// Joining failed, and something remains.
    JoinRemains,
}

impl Code {
    /// `BusinessCode`.
    #[must_use]
    pub fn number(self) -> u32 {
        self.numbers().0
    }

    /// The status of the answer.
    #[must_use]
    pub fn http(self) -> StatusCode {
        StatusCode::from_u16(self.numbers().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn numbers(self) -> (u32, u16) {
        match self {
            Self::Validation | Self::BadBody => (400, 400),
            Self::UnknownUser => (401, 401),
            Self::Denied => (403, 403),
            Self::UnknownRoute => (404, 404),
            Self::MethodNotAllowed => (405, 405),
            Self::BodyTooLarge => (413, 413),
            Self::UnsupportedMediaType => (415, 415),
            Self::Internal => (500, 500),
            Self::TokenExpired => (12002, 401),
            Self::TokenNotYet => (12003, 401),
            Self::TokenSignature => (12004, 401),
            Self::TokenMalformed => (12005, 403),
            Self::TokenMissing => (12006, 401),
            Self::TokenNotAccess => (12007, 401),
            Self::CloudProvider => (40000, 400),
            Self::SecretOnly => (40001, 400),
            Self::NoKubeconfig => (40002, 400),
            Self::NoCluster => (40003, 404),
            Self::ClusterExists => (40004, 400),
            Self::ExistsInKubernetes => (40006, 400),
            Self::LocalReserved => (40007, 400),
            Self::LocalImmutable => (40008, 400),
            Self::NamespaceForbidden => (40014, 401),
            Self::KubeconfigMalformed => (41001, 400),
            Self::KubeconfigContext => (41002, 400),
            Self::Value => (41003, 400),
            Self::KubeconfigTooLarge => (41301, 413),
            Self::Unauthenticated => (41401, 401),
            Self::Forbidden => (41403, 403),
            Self::Conflict => (41409, 409),
            Self::NeedsForce => (41410, 409),
            Self::Changed => (41412, 412),
            Self::TooMany => (41429, 429),
            Self::Unavailable => (41500, 503),
            Self::Member => (41502, 502),
            Self::MemberTimeout => (41504, 504),
            Self::JoinUndone => (41510, 500),
            Self::JoinRemains => (41511, 500),
        }
    }
}

/// A request that is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind.
    pub code: Code,
    /// One line for people, which names the thing. Never a secret.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
    /// The field of the request's body.
    pub field: Option<&'static str>,
    /// How long to wait before the next attempt.
    pub retry_after: Option<Duration>,
}

/// What goes over the wire. The field names are VelaUX'.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody<'a> {
    business_code: u32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl Refusal {
    /// A refusal in words.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), remedy: None, field: None, retry_after: None }
    }

    /// With what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// With the field of the request's body that is wrong.
    #[must_use]
    pub fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// The body as a value, for events.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self.body()).unwrap_or_default()
    }

    fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            business_code: self.code.number(),
            message: &self.message,
            remedy: self.remedy.as_deref(),
            field: self.field,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.code.http(), Json(self.body())).into_response();
        let again = (self.code == Code::Unavailable).then_some(UNAVAILABLE);
        if let Some(after) = self.retry_after.or(again) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }
}

impl From<status::Error> for Refusal {
    fn from(error: status::Error) -> Self {
        use status::Error as E;
        let code = match &error {
            E::Unauthorized(_) | E::UnauthorizedWithAdvice { .. } => Code::Unauthenticated,
            E::Forbidden(_) => Code::Forbidden,
            E::NoSuchCluster(_) => Code::NoCluster,
            E::TooManyRequests(_) | E::Overloaded | E::ComeBack => Code::TooMany,
            E::AuthorizationUnknown { .. } | E::Hub(_) | E::NotSynced | E::ShuttingDown => Code::Unavailable,
            E::MemberTimeout { .. } => Code::MemberTimeout,
            _ if error.blame() == status::Blame::Member => Code::Member,
            _ if error.code().is_client_error() => Code::Value,
            _ => Code::Internal,
        };
        let message = match &error {
            // What exactly is wrong with a credential is for the log.
            E::Unauthorized(_) => "the credential is not accepted".to_owned(),
            E::UnauthorizedWithAdvice { advice, .. } => advice.clone(),
            _ => error.to_string(),
        };
        let mut refusal = Self::new(code, message);
        if code == Code::TooMany {
            refusal.retry_after = Some(Duration::from_secs(1));
        }
        refusal
    }
}

impl From<store::StoreError> for Refusal {
    fn from(error: store::StoreError) -> Self {
        use store::StoreError as E;
        let code = match &error {
            E::Exists(_) => Code::ClusterExists,
            E::Missing(_) => Code::NoCluster,
            E::Changed(_) => Code::Changed,
            E::Invalid(_) => Code::Value,
            E::Config(_) | E::Unreadable { .. } => Code::Internal,
            E::Refused(_) | E::Unavailable(_) => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<lifecycle::StoreError> for Refusal {
    fn from(error: lifecycle::StoreError) -> Self {
        use lifecycle::StoreError as E;
        let code = match &error {
            E::NotFound(_) => Code::NoCluster,
            E::Exists(_) | E::Foreign(_) => Code::ExistsInKubernetes,
            E::Changed(_) => Code::Changed,
            E::Forbidden(_) => Code::Forbidden,
            E::Refused(_) => Code::Value,
            E::Unreachable(_) => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<LifecycleError> for Refusal {
    fn from(error: LifecycleError) -> Self {
        use LifecycleError as E;
        let (code, field) = match error {
            E::Store(error) => return error.into(),
            E::Name(_) => (Code::Value, Some("name")),
            E::Label(_) => (Code::Value, Some("labels")),
            E::Kubeconfig(_) => (Code::KubeconfigMalformed, Some("kubeConfig")),
            E::Taken(_) => (Code::ExistsInKubernetes, Some("name")),
            E::Preflight(_) | E::Gateway(_) | E::Account(_) => (Code::Member, None),
            E::InUse(_) => (Code::NeedsForce, None),
            E::Invalid(_) => (Code::Value, None),
            E::Interrupted => (Code::Unavailable, None),
        };
        Self { field, ..Self::new(code, error.to_string()) }
    }
}

impl From<lifecycle::Failure> for Refusal {
    fn from(failure: lifecycle::Failure) -> Self {
        let message = failure.to_string();
        let incomplete = matches!(failure.undo, Undo::Incomplete(_));
        let refusal = Self::from(failure.cause);
        Self { message, code: if incomplete { Code::JoinRemains } else { refusal.code }, ..refusal }
    }
}
