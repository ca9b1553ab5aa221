//! One event per request: metrics and a log line, written when the body ends and not when the handler returns.
//!
//! Labels come from bounded sets, and nothing here ever holds a credential, a body or a query (contract rules 7, 137).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};

mod draft;
mod head;
mod labels;
mod metrics;
mod recent;

pub use labels::Labels;
pub use metrics::{LabelPairs, Metrics, Reading, ReadingKind};
pub use recent::{Recent, RecentRequest, RefusedBy, Request, RequestOutcome};

use draft::Draft;
use head::{audit_id, length};

use crate::audit::{Auditor, Ending, Trail, Waiting};
use crate::authn::{Connection, UserInfo};
use crate::body::{Body, BodyError, Observer};
use crate::request::{ProxyTarget, RequestInfo};
use crate::status::{Blame, Error};

/// Header that correlates the hub's, the gateway's and the member's logs (rule 115).
pub const AUDIT_ID: http::HeaderName = http::HeaderName::from_static("audit-id");

/// Where events go.
#[derive(Default)]
pub struct Recorder {
    /// What has been counted.
    pub metrics: Metrics,
    /// Told of each request when it has ended, besides the log. Default: nobody.
    pub listener: Option<Listener>,
    /// Writes audit events. Default: nobody, and then they cost nothing.
    pub audit: Option<Arc<Auditor>>,
    /// Keeps the latest requests of each cluster. Default: nobody, and then they cost nothing.
    pub recent: Option<Arc<Recent>>,
}

/// Somebody who is told of each request.
pub type Listener = Box<dyn Fn(&Served<'_>) + Send + Sync>;

/// A request that has ended, for a [`Listener`].
#[derive(Debug)]
pub struct Served<'e> {
    /// HTTP method.
    pub method: &'e Method,
    /// Path as it was asked for, without the query.
    pub path: &'e str,
    /// Who asked; empty if nobody was authenticated.
    pub user: &'e str,
    /// HTTP status of the answer.
    pub code: StatusCode,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Until the last byte had left.
    pub elapsed: Duration,
}

/// The record of one request under way. Exactly one event comes of it: when the response's body ends, breaks, or is
/// dropped because the client went away; for an upgrade, when the spliced stream ends. Clones are of the same record.
#[derive(Debug, Clone)]
pub struct Recording {
    event: Shared,
    audited: bool,
    /// Whether it is kept among the latest.
    kept: bool,
}

/// Held by the handler and by whatever carries the response's bytes; the event is written when the last of them goes.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Event>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Event {
    recorder: Arc<Recorder>,
    started: Instant,
    audit_id: HeaderValue,
    log: Option<LogLine>,
    labels: Option<Labels>,
    code: StatusCode,
    bytes: u64,
    /// Bytes that the body will have, if that is known and somebody wants to know how it ended.
    length: Option<u64>,
    outcome: Outcome,
    audit: Option<Box<Trail>>,
    draft: Option<Box<Draft>>,
}

/// What only the log and a listener want to know; kept only when there is one.
#[derive(Debug)]
struct LogLine {
    method: Method,
    path: String,
    user: String,
    failure: Option<(Blame, String)>,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The reader went away before the end.
    Cancelled,
    Complete,
    /// The sender broke off.
    Broken,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            _ if std::thread::panicking() => Self::Panicked,
            Outcome::Cancelled => Self::CallerLeft,
            Outcome::Complete => Self::Complete,
            Outcome::Broken => Self::BrokenOff,
        }
    }
}

impl Recording {
    /// Starts the record of a request.
    #[must_use]
    pub fn start(recorder: &Arc<Recorder>, parts: &Parts) -> Self {
        let wanted = recorder.listener.is_some() || tracing::enabled!(tracing::Level::DEBUG);
        let log = wanted.then(|| LogLine {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            user: String::new(),
            failure: None,
        });
        let audited = recorder.audit.is_some();
        let event = Event {
            recorder: Arc::clone(recorder),
            started: Instant::now(),
            audit_id: audit_id(parts),
            log,
            labels: None,
            code: StatusCode::OK,
            bytes: 0,
            length: None,
            outcome: Outcome::Cancelled,
            audit: None,
            draft: None,
        };
        let kept = event.recorder.recent.is_some();
        Self { event: Shared(Arc::new(Mutex::new(event))), audited, kept }
    }

    /// The request line has been read; nobody knows yet who asks.
    pub fn received(&self, connection: &Connection, info: &RequestInfo, parts: &Parts) {
        if !self.audited && !self.kept {
            return;
        }
        let event = &mut *self.event.lock();
        if let Some(auditor) = &event.recorder.audit {
            event.audit = Some(Box::new(Trail::start(auditor, &event.audit_id, connection, info, parts)));
        }
        if let (Some(recent), RequestInfo::Proxy(target)) = (&event.recorder.recent, info) {
            let query = parts.uri.query();
            event.draft = Some(Box::new(Draft::of(recent, &event.audit_id, target, query)));
        }
    }

    /// It is known who asks. The request must not go on before what is returned has completed.
    #[must_use]
    pub fn authenticated(&self, user: &UserInfo) -> Option<Waiting> {
        let mut event = self.audited.then(|| self.event.lock())?;
        event.audit.as_mut()?.authenticated(user)
    }

    /// As whom they act, whether impersonated or not.
    pub fn user(&self, user: &UserInfo) {
        let mut event = self.event.lock();
        if let Some(log) = &mut event.log {
            user.name.clone_into(&mut log.user);
        }
        if let Some(trail) = &mut event.audit {
            trail.acts_as(user);
        }
        if let Some(draft) = &mut event.draft {
            draft.user(&user.name);
        }
    }

    /// They may, and why.
    pub fn allowed(&self, reason: Option<&Arc<str>>) {
        if self.audited
            && let Some(trail) = &mut self.event.lock().audit
        {
            trail.allowed(reason);
        }
    }

    /// The request is proxied. The cluster is not known to exist yet.
    pub fn proxied(&self, method: &Method, target: &ProxyTarget, query: Option<&str>) {
        self.event.lock().labels =
            Some(Labels::of(method, &target.path.path, query.unwrap_or_default(), target.upgrade));
    }

    /// The cluster exists: only registered names become label values (rule 7).
    pub fn cluster(&self, name: &str) {
        let event = &mut *self.event.lock();
        if let Some(labels) = &mut event.labels {
            labels.cluster = name.into();
        }
        if let Some(draft) = &mut event.draft {
            draft.begin();
        }
    }

    /// The request failed; whose fault it was goes to the log and the metrics.
    pub fn failed(&self, error: &Error) {
        let blame = error.blame();
        let mut event = self.event.lock();
        event.recorder.metrics.failure(blame);
        let cause = match error {
            Error::Unauthorized(cause) | Error::UnauthorizedWithAdvice { cause, .. } => cause.clone(),
            // Their full text repeats the query, which may hold what somebody executes (rule 137).
            Error::AuthorizationUnknown { message, .. } | Error::RequestLine { message, .. } => {
                message.clone()
            }
            other => other.to_string(),
        };
        if blame != Blame::Caller {
            let (code, audit_id) = (error.code().as_u16(), &event.audit_id);
            let cluster = event.labels.as_ref().map(|labels| labels.cluster.as_ref());
            tracing::info!(blame = blame.as_str(), cluster, code, ?audit_id, error = cause, "request failed");
        }
        if let Some(draft) = &mut event.draft {
            draft.failed(error, &cause);
        }
        if let Some(log) = &mut event.log {
            log.failure = Some((blame, cause));
        }
        if let Some(trail) = &mut event.audit {
            trail.failed(error);
        }
    }

    /// Sees the bytes of an upgraded stream; keeps the record open as long as it lives.
    #[must_use]
    pub fn observer(&self) -> Box<dyn Observer> {
        Box::new(self.event.clone())
    }

    /// The head of the response is known; the record goes on with the body. The head of an upgrade stays as the member
    /// sent it (rule 185); every other gets the audit id (rule 115).
    #[must_use]
    pub fn finish(self, mut response: Response<Body>) -> Response<Body> {
        let mut event = self.event.lock();
        event.code = response.status();
        if let Some(trail) = &mut event.audit {
            trail.answered(response.status());
        }
        if let Some(draft) = &mut event.draft {
            draft.answered(response.status());
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        response.headers_mut().insert(AUDIT_ID, event.audit_id.clone());
        if http_body::Body::is_end_stream(response.body()) {
            event.end(Ok(()));
            return response;
        }
        if event.log.is_some() || event.audit.is_some() || event.draft.is_some() {
            event.length = length(&response);
        }
        drop(event);
        response.map(|body| body.observed(Box::new(self.event)))
    }
}

impl Observer for Shared {
    fn data(&mut self, length: usize) {
        self.lock().data(length);
    }

    fn end(&mut self, result: Result<(), &BodyError>) {
        self.lock().end(result);
    }
}

impl Event {
    fn data(&mut self, length: usize) {
        self.bytes += length as u64;
        // A reader that knows the length does not ask for the end.
        if self.length == Some(self.bytes) {
            self.outcome = Outcome::Complete;
        }
    }

    fn end(&mut self, result: Result<(), &BodyError>) {
        self.outcome = if result.is_ok() { Outcome::Complete } else { Outcome::Broken };
        if let (Some(log), Err(error)) = (&mut self.log, result) {
            log.failure.get_or_insert((Blame::Member, error.to_string()));
        }
        if let (Some(draft), Err(error)) = (&mut self.draft, result) {
            draft.broken_off(&error.to_string());
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        if let Some(labels) = self.labels.take() {
            self.recorder.metrics.proxied(&labels.with_code(self.code), elapsed);
        }
        if let Some(mut trail) = self.audit.take() {
            trail.ended(self.outcome.into());
        }
        if let Some(draft) = self.draft.take() {
            draft.ended(elapsed);
        }
        let Some(log) = &self.log else { return };
        if let Some(listener) = &self.recorder.listener {
            let LogLine { method, path, user, .. } = log;
            listener(&Served { method, path, user, code: self.code, bytes: self.bytes, elapsed });
        }
        tracing::debug!(
            method = %log.method,
            path = log.path,
            user = log.user,
            code = self.code.as_u16(),
            bytes = self.bytes,
            milliseconds = elapsed.as_millis() as u64,
            outcome = ?self.outcome,
            blame = log.failure.as_ref().map(|(blame, _)| blame.as_str()),
            cause = log.failure.as_ref().map(|(_, cause)| cause.as_str()),
            audit_id = ?self.audit_id,
            "request"
        );
    }
}

impl Recorder {
    /// Everything that has been counted, in Prometheus' text form, with `readings` taken by the caller.
    #[must_use]
    pub fn encode(&self, readings: Vec<Reading>) -> String {
        self.metrics.encode(readings, self.audit.as_ref().map(|audit| audit.counts()))
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}
