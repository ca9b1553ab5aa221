//! The latest requests to each cluster, for whoever manages it. Only where somebody does: otherwise it costs nothing.
//!
//! A request is in it from when its cluster is known to its end, and then until others have taken its place. Queries, bodies
//! and headers are never kept (contract rule 137).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, StatusCode};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::broadcast;

use crate::status::Error;

/// Requests of one cluster that are kept.
const MOST: usize = 100;
/// Requests of all clusters that are kept, one per cluster at least.
const MOST_OF_ALL: usize = 20_000;
/// Parts that have a lock of their own.
const PARTS: usize = 16;
/// Bytes of a path, a name or a reason.
const MOST_BYTES: usize = 512;
/// Events that a slow reader may fall behind.
const BEHIND: usize = 256;

/// The latest requests.
pub struct Recent {
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
    told: broadcast::Sender<Arc<Request>>,
    is_registered: Box<dyn Fn(&str) -> bool + Send + Sync>,
}

#[derive(Default)]
struct Part {
    clusters: HashMap<Arc<str>, VecDeque<Arc<Request>>>,
    /// Requests in all queues.
    total: usize,
}

/// A request that is kept: what was asked for, and how it has ended once it has.
#[derive(Debug)]
pub struct Request {
    asked: Asked,
    end: OnceLock<End>,
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) cluster: Arc<str>,
    pub(super) id: HeaderValue,
    pub(super) at: SystemTime,
    pub(super) user: String,
    pub(super) verb: &'static str,
    pub(super) path: String,
}

/// How it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) code: Option<StatusCode>,
    pub(super) took: Duration,
    pub(super) fate: Fate,
}

/// What has become of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) outcome: RequestOutcome,
    pub(super) refused_by: Option<RefusedBy>,
    pub(super) reason: String,
}

/// What has become of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum RequestOutcome {
    /// The member has answered, whatever it said; or it still may.
    #[default]
    Answered,
    /// The gateway has refused it.
    Refused,
    /// The member could not be asked, or somebody broke off.
    Failed,
}

/// What of the gateway has refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RefusedBy {
    /// Nobody knows who asks.
    Authentication,
    /// They may not.
    Authorization,
    /// Too much is under way, or it is too large.
    Limits,
    /// The member cannot be reached, and it is not time to try again.
    Breaker,
    /// What is asked for cannot be asked for.
    Path,
}

/// A request as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentRequest {
    /// Its audit id. Shown again, with the same, when it has ended.
    pub id: String,
    /// When it came, RFC 3339.
    pub at: String,
    /// Who asked; empty if nobody was authenticated.
    pub user: String,
    /// Kubernetes verb at the member.
    pub verb: &'static str,
    /// Path at the member, without the query.
    pub path: String,
    /// HTTP status; `None`: it is under way, or nobody waited for it.
    pub code: Option<u16>,
    /// Until the end of the body; `None`: it is under way.
    pub took_milliseconds: Option<f64>,
    /// What has become of it.
    pub outcome: RequestOutcome,
    /// What has refused it, if that is known.
    pub refused_by: Option<RefusedBy>,
    /// Why it was refused or failed; else empty.
    pub reason: String,
}

impl Recent {
    /// Nothing yet. Only requests to clusters of which `is_registered` says so are kept: names can be made up.
    #[must_use]
    pub fn new(is_registered: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self {
            parts: Default::default(),
            hasher: RandomState::new(),
            told: broadcast::Sender::new(BEHIND),
            is_registered: Box::new(is_registered),
        }
    }

    /// The latest requests to a cluster, the newest first, at most 100.
    #[must_use]
    pub fn of(&self, cluster: &str) -> Vec<RecentRequest> {
        let part = self.part(cluster).lock().unwrap_or_else(PoisonError::into_inner);
        let kept: Vec<_> = part.clusters.get(cluster).into_iter().flatten().rev().cloned().collect();
        drop(part);
        kept.iter().map(|request| request.shown()).collect()
    }

    /// Each request to any cluster when it comes and when it has ended, from now on. Who falls behind misses some.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Request>> {
        self.told.subscribe()
    }

    /// Begins to keep a request, if it is to a cluster that there is.
    pub(super) fn begin(&self, asked: Asked) -> Option<Arc<Request>> {
        if !(self.is_registered)(&asked.cluster) {
            return None;
        }
        let request = Arc::new(Request { asked, end: OnceLock::new() });
        self.part(request.cluster())
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(&request, &self.is_registered);
        self.tell(&request);
        Some(request)
    }

    /// It has ended.
    pub(super) fn end(&self, request: &Arc<Request>, end: End) {
        if request.end.set(end).is_ok() {
            self.tell(request);
        }
    }

    fn tell(&self, request: &Arc<Request>) {
        if self.told.receiver_count() > 0 {
            // Nobody listens any more: nobody misses it.
            let _ = self.told.send(Arc::clone(request));
        }
    }

    fn part(&self, cluster: &str) -> &Mutex<Part> {
        &self.parts[self.hasher.hash_one(cluster) as usize % PARTS]
    }
}

impl Part {
    /// Requests that each cluster may have, so that all have room.
    fn share(&self) -> usize {
        (MOST_OF_ALL / PARTS / self.clusters.len().max(1)).clamp(1, MOST)
    }

    fn push(&mut self, request: &Arc<Request>, is_registered: &dyn Fn(&str) -> bool) {
        let name = &request.asked.cluster;
        if !self.clusters.contains_key(name) {
            self.clusters.insert(Arc::clone(name), VecDeque::new());
            self.make_room(is_registered);
        }
        let share = self.share();
        let Some(queue) = self.clusters.get_mut(name) else { return };
        while queue.len() >= share {
            queue.pop_front();
            self.total -= 1;
        }
        queue.push_back(Arc::clone(request));
        self.total += 1;
    }

    /// A cluster more: where that leaves too much, those that are gone go, and the others keep their share.
    fn make_room(&mut self, is_registered: &dyn Fn(&str) -> bool) {
        if self.total < MOST_OF_ALL / PARTS {
            return;
        }
        self.clusters.retain(|name, queue| queue.is_empty() || is_registered(name));
        let share = self.share();
        for queue in self.clusters.values_mut() {
            queue.drain(..queue.len().saturating_sub(share));
        }
        self.total = self.clusters.values().map(VecDeque::len).sum();
    }
}

impl Request {
    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.asked.cluster
    }

    /// Who asked; empty if nobody was authenticated.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.asked.user
    }

    /// As it is shown.
    #[must_use]
    pub fn shown(&self) -> RecentRequest {
        let Asked { id, at, user, verb, path, .. } = &self.asked;
        let end = self.end.get();
        let Fate { outcome, refused_by, reason } = end.map(|end| end.fate.clone()).unwrap_or_default();
        RecentRequest {
            id: id.to_str().unwrap_or_default().to_owned(),
            at: OffsetDateTime::from(*at).format(&Rfc3339).unwrap_or_default(),
            user: user.clone(),
            verb,
            path: path.clone(),
            code: end.and_then(|end| end.code).map(|code| code.as_u16()),
            took_milliseconds: end.map(|end| (end.took.as_secs_f64() * 1e4).round() / 10.0),
            outcome,
            refused_by,
            reason,
        }
    }
}

impl Fate {
    /// What an error makes of a request; `cause` may be shown.
    pub(super) fn of(error: &Error, cause: &str) -> Self {
        let refused = |by| (RequestOutcome::Refused, Some(by));
        let (outcome, refused_by) = match error {
            Error::Unauthorized(_) | Error::UnauthorizedWithAdvice { .. } => {
                refused(RefusedBy::Authentication)
            }
            Error::Forbidden(_) | Error::AuthorizationUnknown { .. } | Error::IdentityWebhook { .. } => {
                refused(RefusedBy::Authorization)
            }
            Error::TooManyRequests(_)
            | Error::Overloaded
            | Error::TooManyHeaders { .. }
            | Error::TooLarge(_)
            | Error::TooManyOperations { .. } => refused(RefusedBy::Limits),
            Error::Unreachable { .. } => refused(RefusedBy::Breaker),
            Error::BadRequest(_)
            | Error::RequestLine { .. }
            | Error::UnknownPath
            | Error::MethodNotAllowed
            | Error::Invalid { .. } => refused(RefusedBy::Path),
            Error::ClusterUnusable { .. }
            | Error::Dial(_)
            | Error::Member { .. }
            | Error::MemberTimeout { .. }
            | Error::InvalidUpgradeResponse(_)
            | Error::Timeout => (RequestOutcome::Failed, None),
            _ => (RequestOutcome::Refused, None),
        };
        Self { outcome, refused_by, reason: short(cause) }
    }

    /// Somebody broke off.
    pub(super) fn broken_off(reason: &str) -> Self {
        Self { outcome: RequestOutcome::Failed, refused_by: None, reason: short(reason) }
    }
}

/// The beginning of a text that others have made.
pub(super) fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MOST_BYTES)].to_owned()
}

impl std::fmt::Debug for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(cluster: &str, path: &str) -> Asked {
        Asked {
            cluster: Arc::from(cluster),
            id: HeaderValue::from_static("id"),
            at: SystemTime::UNIX_EPOCH,
            user: "ann".to_owned(),
            verb: "list",
            path: path.to_owned(),
        }
    }

    fn paths(recent: &Recent, cluster: &str) -> Vec<String> {
        recent.of(cluster).into_iter().map(|request| request.path).collect()
    }

    #[test]
    fn of_each_cluster_the_latest_are_kept_and_names_that_are_made_up_take_no_room() {
        let recent = Recent::new(|name| name != "nowhere");
        for i in 0..250 {
            recent.begin(asked("busy", &i.to_string())).unwrap();
        }
        recent.begin(asked("quiet", "q")).unwrap();
        assert!(recent.begin(asked("nowhere", "x")).is_none());
        let expected: Vec<_> = (150..250).rev().map(|i| i.to_string()).collect();
        assert_eq!(paths(&recent, "busy"), expected);
        assert_eq!((paths(&recent, "quiet"), paths(&recent, "nowhere")), (vec!["q".to_owned()], vec![]));
    }

    #[test]
    fn all_together_are_bounded_and_every_cluster_has_its_share() {
        let recent = Recent::new(|_| true);
        for round in 0..120 {
            for i in 0..1000 {
                recent.begin(asked(&format!("c{i}"), &round.to_string())).unwrap();
            }
        }
        let kept: Vec<_> = (0..1000).map(|i| recent.of(&format!("c{i}")).len()).collect();
        assert!(kept.iter().sum::<usize>() <= MOST_OF_ALL, "{}", kept.iter().sum::<usize>());
        assert!(kept.iter().all(|&kept| kept >= 10), "{kept:?}");
        assert_eq!(paths(&recent, "c7")[0], "119");
    }

    #[test]
    fn clusters_that_are_gone_make_room() {
        let gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let is_gone = Arc::clone(&gone);
        let recent = Recent::new(move |name| {
            !(name.starts_with("old") && is_gone.load(std::sync::atomic::Ordering::Relaxed))
        });
        for i in 0..MOST_OF_ALL + 1000 {
            recent.begin(asked(&format!("old{i}"), "x")).unwrap();
        }
        gone.store(true, std::sync::atomic::Ordering::Relaxed);
        for i in 0..500 {
            recent.begin(asked(&format!("new{i}"), "x")).unwrap();
        }
        let left: usize = recent.parts.iter().map(|part| part.lock().unwrap().total).sum();
        assert_eq!(left, 500);
    }

    #[tokio::test]
    async fn a_request_is_told_when_it_comes_and_when_it_has_ended() {
        let recent = Recent::new(|_| true);
        let mut told = recent.subscribe();
        let request = recent.begin(asked("c", "/p")).unwrap();
        let expected = serde_json::json!({
            "id": "id", "at": "1970-01-01T00:00:00Z", "user": "ann", "verb": "list", "path": "/p", "code": null,
            "tookMilliseconds": null, "outcome": "Answered", "refusedBy": null, "reason": "",
        });
        assert_eq!(serde_json::to_value(told.recv().await.unwrap().shown()).unwrap(), expected);
        let fate = Fate::of(&Error::TooManyRequests("x".to_owned()), &"é".repeat(1000));
        recent.end(
            &request,
            End { code: Some(StatusCode::TOO_MANY_REQUESTS), took: Duration::from_micros(1_140), fate },
        );
        let shown = told.recv().await.unwrap().shown();
        assert_eq!((shown.code, shown.took_milliseconds), (Some(429), Some(1.1)));
        assert_eq!((shown.outcome, shown.refused_by), (RequestOutcome::Refused, Some(RefusedBy::Limits)));
        assert_eq!(shown.reason.len(), MOST_BYTES);
        assert_eq!(recent.of("c"), [shown]);
    }

    #[test]
    fn what_has_refused_a_request_is_told_from_what_has_failed() {
        let member = |message: &str| Error::Member { cluster: "c".to_owned(), message: message.to_owned() };
        for (error, outcome, refused_by) in [
            (Error::Unauthorized(String::new()), RequestOutcome::Refused, Some(RefusedBy::Authentication)),
            (Error::BadRequest(String::new()), RequestOutcome::Refused, Some(RefusedBy::Path)),
            (
                Error::Unreachable { cluster: String::new(), message: String::new(), retry_after: 1 },
                RequestOutcome::Refused,
                Some(RefusedBy::Breaker),
            ),
            (Error::Overloaded, RequestOutcome::Refused, Some(RefusedBy::Limits)),
            (Error::ShuttingDown, RequestOutcome::Refused, None),
            (Error::Dial(String::new()), RequestOutcome::Failed, None),
            (member("x"), RequestOutcome::Failed, None),
        ] {
            let fate = Fate::of(&error, "why");
            assert_eq!(
                (fate.outcome, fate.refused_by, fate.reason.as_str()),
                (outcome, refused_by, "why"),
                "{error:?}"
            );
        }
    }
}
