//! Why somebody is not let in, in the words and codes of `console/API.md`, "Errors".

use std::time::Duration;

use super::forgery::Forged;
use crate::manage::{Code, Refusal};

/// Why a request is not taken for somebody's. No text holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was shown that says who asks.
    #[error("you are not signed in")]
    NotSignedIn,
    /// There was a session; why it is none any more.
    #[error("the session has ended: {0}")]
    Ended(&'static str),
    /// A credential is not accepted. The cause is for the log.
    #[error("the credential is not accepted; the server's log says why")]
    Credential(String),
    /// The token of the body of `POST /session` is not accepted. The cause is for the log.
    #[error("the token is not accepted")]
    Token(String),
    /// What is wrong with VelaUX's token.
    #[error("{0}")]
    VelaUx(VelaUxFailure),
    /// The request may be another site's.
    #[error("{0}")]
    Forged(#[from] ForgedRequest),
    /// Too many have failed from this address.
    #[error("too many attempts; the next is possible in {} s", .0.as_secs_f64().ceil())]
    TooMany(Duration),
    /// Something that is needed cannot be asked now.
    #[error("{0}")]
    Unavailable(String),
    /// The session has no room in a cookie.
    #[error("the session does not fit into a cookie, which holds 4096 bytes: {0}")]
    TooLarge(String),
    /// The request cannot be meant as it is; of which field of the body, if it is one.
    #[error("{message}")]
    BadRequest {
        /// What is wrong.
        message: String,
        /// Field of the body.
        field: Option<&'static str>,
    },
}

/// Why a request may be another site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct ForgedRequest(#[from] Forged);

/// VelaUX's failures, with its codes and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VelaUxFailure {
    /// Its time is over.
    #[error("the token is expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotValidYet,
    /// It is not signed by VelaUX' key, or says what it may not.
    #[error("the token is invalid")]
    Invalid,
    /// It is no token at all.
    #[error("the token is malformed")]
    Malformed,
    /// There is no header that could hold one.
    #[error("the user is not authorized")]
    NotAuthorized,
    /// It is for getting another token.
    #[error("the token is not an access token")]
    NotAccess,
}

impl VelaUxFailure {
    fn code(self) -> Code {
        match self {
            Self::Expired => Code::TokenExpired,
            Self::NotValidYet => Code::TokenNotYet,
            Self::Invalid => Code::TokenSignature,
            Self::Malformed => Code::TokenMalformed,
            Self::NotAuthorized => Code::TokenMissing,
            Self::NotAccess => Code::TokenNotAccess,
        }
    }
}

impl Failure {
    /// A request for one of the paths that VelaUX has, too, fails with VelaUX' code for it if its users may come in.
    pub(super) fn at_velaux(self) -> Self {
        match self {
            Self::NotSignedIn => Self::VelaUx(VelaUxFailure::NotAuthorized),
            other => other,
        }
    }

    /// What kind of failure it is, as programs tell it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NotSignedIn | Self::Ended(_) | Self::Credential(_) | Self::Token(_) => {
                Code::Unauthenticated
            }
            Self::VelaUx(failure) => failure.code(),
            Self::Forged(_) => Code::Forbidden,
            Self::TooMany(_) => Code::TooMany,
            Self::Unavailable(_) => Code::Unavailable,
            Self::TooLarge(_) | Self::BadRequest { .. } => Code::Value,
        }
    }

    /// What to do about it, if that can be said.
    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::NotSignedIn | Self::Credential(_) => Some(
                "Sign in, or send a bearer token in the header Authorization, or show a client certificate that the \
                 server knows.",
            ),
            Self::Ended(_) => Some("Sign in again."),
            Self::Token(_) => Some(
                "Get a new one: for a service account by kubectl create token NAME. The server's log says more.",
            ),
            Self::Forged(ForgedRequest(Forged::Token)) => Some("Load the page again."),
            Self::Forged(ForgedRequest(Forged::Site)) => Some(
                "Open the console itself. Behind a proxy that changes the Host header, set --login-oidc-redirect-url.",
            ),
            Self::Unavailable(_) => Some("Try again in a moment; the server's log says more."),
            Self::TooLarge(_) => Some(
                "Send the token with each request instead, in the header Authorization; for OpenID Connect, let the \
                 provider put fewer groups into its tokens.",
            ),
            Self::VelaUx(_) | Self::TooMany(_) | Self::BadRequest { .. } => None,
        }
    }

    /// The field of the body that is wrong.
    fn field(&self) -> Option<&'static str> {
        match self {
            Self::BadRequest { field, .. } => *field,
            Self::Token(_) | Self::TooLarge(_) => Some("token"),
            _ => None,
        }
    }

    /// When to try again.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            // Whole seconds: whoever comes back when told to must not be too early.
            Self::TooMany(wait) => Some(Duration::from_secs(wait.as_secs_f64().ceil() as u64)),
            _ => None,
        }
    }

    /// What the log is told: never less than the caller.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::Credential(cause) | Self::Token(cause) => cause.clone(),
            other => other.to_string(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code(),
            message: failure.to_string(),
            remedy: failure.remedy().map(str::to_owned),
            field: failure.field(),
            retry_after: failure.retry_after(),
        }
    }
}
