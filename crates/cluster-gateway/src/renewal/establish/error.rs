//! Why an account could not be made, and requests to the member that have a limit.

use std::fmt::Display;
use std::time::Duration;

/// Longest time for one request.
const LIMIT: Duration = Duration::from_secs(15);

/// Why a service account could not be made on a member. The words are the member's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstablishError {
    /// A right is missing.
    #[error("{0}")]
    Forbidden(String),
    /// Something else has the name.
    #[error("{0}")]
    Taken(String),
    /// It is not there.
    #[error("{0}")]
    NotFound(String),
    /// The member does not take it for another reason.
    #[error("{0}")]
    Refused(String),
    /// The member does not answer: whether something was changed is not known.
    #[error("{0}")]
    Unreachable(String),
}

/// Sends one request about `what`, for fifteen seconds at most. `verb` is what is attempted.
pub(super) async fn member<T>(
    what: impl Display,
    verb: &str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, EstablishError> {
    let said = |cause: &dyn Display| format!("cannot {verb} {what} on the member: {cause}");
    match tokio::time::timeout(LIMIT, request).await {
        Err(_) => Err(EstablishError::Unreachable(said(&format!("no answer within {} s", LIMIT.as_secs())))),
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => {
            let text = said(&status.message);
            Err(match status.code {
                401 | 403 => EstablishError::Forbidden(text),
                404 => EstablishError::NotFound(text),
                429 | 500.. => EstablishError::Unreachable(text),
                _ => EstablishError::Refused(text),
            })
        }
        // Its words may repeat what could not be read, and that may be a token.
        Ok(Err(kube::Error::SerdeError(_))) => {
            Err(EstablishError::Refused(said(&"its answer is not what was asked for")))
        }
        Ok(Err(kube::Error::Service(error))) => {
            Err(EstablishError::Unreachable(said(&chain(error.as_ref()))))
        }
        Ok(Err(error)) => Err(EstablishError::Unreachable(said(&chain(&error)))),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
