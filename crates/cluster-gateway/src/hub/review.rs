//! Reviews: questions to the hub that change nothing, and may therefore be asked again (contract rule 77).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::authorization::v1::{
    SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::Client;
use kube::client::Body;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;

use super::{Hub, chain};
use crate::cache::Standing;

/// How long one try may take.
pub(super) const TRY_LIMIT: Duration = Duration::from_secs(10);
/// Reviews of one kind that may be under way at once. The callers' caches ask once per question, so this is reached only
/// by a storm of different ones; it stands in for a rate limit, and it slows down with the hub as a rate would not.
const MAX_CONCURRENT: usize = 128;
/// How many of them may be for callers of whom nothing is known: they never take the last slots.
const MAX_UNKNOWN: usize = 32;
/// An answer's size in bytes beyond which it is not read.
const MAX_ANSWER: usize = 3 << 20;

/// Why a review has no answer. Never holds what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// The hub could not be reached.
    #[error("{message}")]
    Unreachable {
        /// What failed.
        message: String,
        /// The connection broke under the question: a new one may hold.
        reset: bool,
    },
    /// The hub did not answer in time.
    #[error("no answer within {} s", TRY_LIMIT.as_secs())]
    TimedOut,
    /// The hub answered with an error.
    #[error("{message}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// The hub's words.
        message: String,
        /// How long the hub asks to wait.
        retry_after: Option<Duration>,
    },
    /// The hub's answer is not a review.
    #[error("the hub's answer cannot be read: {0}")]
    Unreadable(String),
}

impl ReviewError {
    /// Whether the same question may have an answer a moment later: a broken connection, an internal error, a timeout
    /// that the hub reports, too many requests, or an explicit `Retry-After`. A try that ran into our own limit of 10 s
    /// is not repeated: the caller has waited long enough.
    fn passes(&self) -> bool {
        match self {
            Self::Unreachable { reset, .. } => *reset,
            Self::Refused { code, retry_after, .. } => {
                matches!(code, 429 | 500 | 504) || retry_after.is_some()
            }
            Self::TimedOut | Self::Unreadable(_) => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// How often a question is repeated (rule 77).
#[derive(Debug, Clone, Copy)]
struct Retry {
    /// Tries in all.
    tries: u32,
    /// Pause after the first try.
    pause: Duration,
    /// Each further pause is this much longer.
    factor: f64,
    /// Up to this share of a pause is added at random.
    jitter: f64,
    /// Longest pause that a `Retry-After` of the hub can ask for.
    longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 5,
            pause: Duration::from_millis(500),
            factor: 1.5,
            jitter: 0.2,
            longest: Duration::from_secs(5),
        }
    }
}

impl Retry {
    /// Asks until there is an answer, an error that stays, or no try left.
    async fn run<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, ReviewError>
    where
        F: Future<Output = Result<T, ReviewError>>,
    {
        let mut pause = self.pause;
        let mut tries = 1;
        loop {
            match ask().await {
                Err(error) if error.passes() && tries < self.tries => {
                    let asked = error.retry_after().unwrap_or_default().min(self.longest);
                    tokio::time::sleep(pause.mul_f64(1.0 + self.jitter * random_share()).max(asked)).await;
                    pause = pause.mul_f64(self.factor);
                    tries += 1;
                }
                result => return result,
            }
        }
    }
}

/// A number from 0 to 1. Without randomness all gateways of a hub would come back at the same moment.
fn random_share() -> f64 {
    let mut byte = [0];
    // A failing generator costs the jitter, nothing else.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    f64::from(byte[0]) / f64::from(u8::MAX)
}

/// Asks reviews of one kind.
#[derive(Clone)]
pub(super) struct Reviewer {
    client: Client,
    slots: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
    retry: Retry,
}

impl Reviewer {
    pub(super) fn new(client: Client) -> Self {
        let [slots, unknown] = [MAX_CONCURRENT, MAX_UNKNOWN].map(|size| Arc::new(Semaphore::new(size)));
        Self { client, slots, unknown, retry: Retry::default() }
    }

    async fn review<R: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        review: &R,
        standing: Standing,
    ) -> Result<R, ReviewError> {
        let body = serde_json::to_vec(review).map_err(|error| ReviewError::Unreadable(error.to_string()))?;
        let body = Bytes::from(body);
        self.retry.run(|| self.in_slot(standing, self.once(path, body.clone()))).await
    }

    /// One try, in a slot. The pauses between tries are nobody's.
    async fn in_slot<T>(&self, standing: Standing, question: impl Future<Output = T>) -> T {
        // Closed never: a failure to acquire cannot happen, and going on without a slot would do no harm.
        let _unknown = match standing {
            Standing::Unknown => self.unknown.acquire().await.ok(),
            Standing::Known => None,
        };
        let _slot = self.slots.acquire().await;
        question.await
    }

    async fn once<R: DeserializeOwned>(&self, path: &str, body: Bytes) -> Result<R, ReviewError> {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Body::from(body))
            .map_err(|error| ReviewError::Unreadable(error.to_string()))?;
        let exchange = async {
            let (parts, body) =
                self.client.send(request).await.map_err(|error| unreachable(&error))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| unreachable(&*error))?.to_bytes();
            answer(parts.status, &parts.headers, &body)
        };
        tokio::time::timeout(TRY_LIMIT, exchange).await.map_err(|_| ReviewError::TimedOut)?
    }
}

impl Hub {
    /// Asks the hub whose token this is. At most 10 s per try and five tries. `standing`: of whoever
    /// presents it.
    ///
    /// # Errors
    /// [`ReviewError`]. A refused token is no error: the status says so.
    pub async fn token_review(
        &self,
        spec: TokenReviewSpec,
        standing: Standing,
    ) -> Result<TokenReviewStatus, ReviewError> {
        let review = TokenReview { spec, ..TokenReview::default() };
        let path = "/apis/authentication.k8s.io/v1/tokenreviews";
        Ok(self.token_reviews.review(path, &review, standing).await?.status.unwrap_or_default())
    }

    /// Asks the hub whether a user may do something. At most 10 s per try and five tries. `standing`: of that user.
    ///
    /// # Errors
    /// [`ReviewError`]. A denial is no error: the status says so.
    pub async fn subject_access_review(
        &self,
        spec: SubjectAccessReviewSpec,
        standing: Standing,
    ) -> Result<SubjectAccessReviewStatus, ReviewError> {
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        Ok(self.access_reviews.review(path, &review, standing).await?.status.unwrap_or_default())
    }
}

fn answer<R: DeserializeOwned>(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<R, ReviewError> {
    if code.is_success() {
        // Where it broke is not said: serde quotes what it read, and that may be a token.
        return serde_json::from_slice(body).map_err(|error| {
            ReviewError::Unreadable(format!("line {} column {}", error.line(), error.column()))
        });
    }
    let status: kube::core::Status = serde_json::from_slice(body).unwrap_or_default();
    let message = if status.message.is_empty() { format!("the hub answered {code}") } else { status.message };
    let header = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let detail = status.details.map(|details| u64::from(details.retry_after_seconds)).filter(|&s| s > 0);
    let retry_after = header.or(detail).map(Duration::from_secs);
    Err(ReviewError::Refused { code: code.as_u16(), message, retry_after })
}

fn unreachable(error: &(dyn std::error::Error + 'static)) -> ReviewError {
    ReviewError::Unreachable { message: chain(error), reset: is_reset(error) }
}

/// Whether a connection broke while the question was on it.
fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let broken = matches!(
            io,
            Some(
                std::io::ErrorKind::ConnectionReset
                    | std::io::ErrorKind::BrokenPipe
                    | std::io::ErrorKind::UnexpectedEof
            )
        );
        let cut = cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed());
        if broken || cut {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests;
