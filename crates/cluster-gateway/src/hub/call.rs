//! One request to the hub that reads or changes an object: bounded in time, and a failure says what can be done about it.

use super::{chain, review};

/// Why a request to the hub brought nothing. The texts are the hub's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no such object, or no such namespace.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else has changed or made the object meanwhile: read it again.
    #[error("{0}")]
    Conflict(String),
    /// A right is missing; the text names user, verb and resource.
    #[error("{0}")]
    Forbidden(String),
    /// The hub does not take the request for another reason.
    #[error("{0}")]
    Refused(String),
    /// The hub does not answer, or cannot right now: trying again makes sense.
    #[error("the hub cannot be asked: {0}")]
    Unreachable(String),
}

/// Waits for the answer to one request, for ten seconds at most.
///
/// # Errors
/// [`CallError`].
pub async fn call<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(review::TRY_LIMIT, request).await {
        Ok(answer) => answer.map_err(CallError::from),
        Err(_) => Err(CallError::Unreachable("no answer within 10 s".to_owned())),
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let message = status.message.clone();
                match status.code {
                    403 => Self::Forbidden(message),
                    404 => Self::NotFound(message),
                    409 => Self::Conflict(message),
                    429 | 500.. => Self::Unreachable(message),
                    _ => Self::Refused(message),
                }
            }
            other => Self::Unreachable(chain(&other)),
        }
    }
}
