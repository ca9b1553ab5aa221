//! Asking somebody else whom a caller is at a member: an HTTPS webhook with an `IdentityExchangeReview`.
//!
//! It is told who the caller is, never what proves it. Answers are remembered for a while, failures are not. What it
//! will never do: follow a redirect, use a proxy of the environment, or take an answer that it does not understand
//! completely.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tokio::time::timeout;

mod review;
mod settings;

pub(super) use review::Verdict;
pub use settings::{WebhookHosts, Webhooks};

use crate::authn::UserInfo;
use crate::body::Body;
use crate::cache::{Answer, Answers, Failure, Share};
use crate::transport::{Transport, TransportError, TransportSpec};

/// Questions that may be on their way to one webhook. More are refused rather than queued: what waits holds memory.
const MAX_QUESTIONS: usize = 64;
/// Bytes of a reply.
const MAX_REPLY: usize = 64 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("cluster-gateway/", env!("CARGO_PKG_VERSION")));

/// The webhook of a rule. Nothing is dialled before the first question.
#[derive(Debug)]
pub(super) struct Webhook {
    settings: Settings,
    transport: Transport,
    answers: Arc<Answers<Key, Verdict>>,
    /// Tells its answers from those of others.
    number: u64,
    places: Semaphore,
    failing: AtomicBool,
}

/// Everything that makes a webhook another one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settings {
    /// `https://host:port`, for messages.
    origin: String,
    path: PathAndQuery,
    spec: TransportSpec,
    /// Longest time from the question to the last byte of the reply.
    timeout: Duration,
    /// For how long an answer counts; zero: for one question.
    ttl: Duration,
}

/// What an answer depends on: the question's own bytes hold caller and cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    webhook: u64,
    question: Bytes,
}

impl Webhook {
    /// `https://host:port`, for messages.
    pub(super) fn origin(&self) -> &str {
        &self.settings.origin
    }

    /// Whether both have the same settings.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.settings == other.settings
    }

    /// Whom `user` is at `cluster`, remembered or asked. Callers with the same question share it.
    ///
    /// # Errors
    /// What failed at the webhook or on the way there; [`Failure::Busy`]: it was not asked.
    pub(super) async fn ask(self: &Arc<Self>, user: &UserInfo, cluster: &str) -> Result<Verdict, Failure> {
        let question = review::question(user, cluster)?;
        let key = Key { webhook: self.number, question: question.clone() };
        if let Some(verdict) = self.answers.get(&key) {
            return Ok(verdict);
        }
        // Nobody takes all its places, and no webhook takes anybody's places at another.
        let account = format!("{} {}", self.number, user.name);
        let share = if user.is_anonymous() { Share::unknown(account) } else { Share::known(account) };
        let webhook = Arc::clone(self);
        self.answers.get_or_ask(key, share, move || async move { webhook.look_up(question).await }).await
    }

    async fn look_up(&self, question: Bytes) -> Result<Answer<Verdict>, Failure> {
        let _place = self.places.try_acquire().map_err(|_| Failure::Busy("this webhook"))?;
        let bytes = question.len();
        let limit = self.settings.timeout;
        let verdict = timeout(limit, self.exchange(question))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {limit:?}")));
        self.report(verdict.as_ref().err());
        let value = verdict.map_err(Failure::new)?;
        Ok(Answer { bytes: bytes + value.bytes(), value, ttl: self.settings.ttl })
    }

    async fn exchange(&self, question: Bytes) -> Result<Verdict, String> {
        let response = match self.transport.send(self.request(&question)?).await {
            // A kept connection that it has closed in the meantime. The question changes nothing, so it may come twice.
            Err(TransportError::Exchange(_)) => self.transport.send(self.request(&question)?).await,
            sent => sent,
        };
        read(response.map_err(|error| error.to_string())?).await
    }

    fn request(&self, question: &Bytes) -> Result<Request<Body>, String> {
        let mut request = Request::new(Body::from(question.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(self.settings.path.clone());
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::ACCEPT, JSON);
        headers.insert(header::USER_AGENT, USER_AGENT);
        Ok(request)
    }

    /// One line when it begins to fail, and one when that is over.
    fn report(&self, problem: Option<&String>) {
        let webhook = self.origin();
        let failed = self.failing.swap(problem.is_some(), Ordering::Relaxed);
        match problem {
            Some(problem) if !failed => tracing::warn!(
                webhook,
                problem,
                "an identity webhook fails; requests that its rules speak of are refused, others are not affected"
            ),
            None if failed => tracing::info!(webhook, "the identity webhook answers again"),
            _ => {}
        }
    }
}

async fn read(response: Response<Body>) -> Result<Verdict, String> {
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("it answered {status}; redirects are not followed"));
    }
    if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
        return Err(format!("it answered {status}, not 200 OK"));
    }
    let reply = Limited::new(response.into_body(), MAX_REPLY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            format!("its reply is larger than {MAX_REPLY} bytes")
        } else {
            format!("its reply broke off: {error}")
        }
    })?;
    review::verdict(&reply.to_bytes())
}
