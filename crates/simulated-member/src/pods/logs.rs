//! Logs: ten lines when a pod starts and one more each second, for ever.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, StatusCode};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::clock;
use crate::object;
use crate::query::Query;
use crate::resources::named;
use crate::respond::{Body, streamed, typed};
use crate::status::{Result, Status};
use crate::store::Store;

/// Lines that are there at once.
const AT_START: u64 = 10;
/// Lines that are kept.
const KEPT: u64 = 10_000;

/// The log of one container.
#[derive(Debug, Clone)]
struct Log {
    pod: String,
    container: String,
    begun: OffsetDateTime,
}

impl Log {
    /// How many lines there are at a moment.
    fn count(&self, now: OffsetDateTime) -> u64 {
        AT_START + u64::try_from((now - self.begun).whole_seconds()).unwrap_or_default()
    }

    fn written(&self, index: u64) -> OffsetDateTime {
        self.begun + Duration::from_secs((index + 1).saturating_sub(AT_START))
    }

    fn line(&self, index: u64, timestamps: bool) -> String {
        let text = format!("{}/{}: line {}\n", self.pod, self.container, index + 1);
        match self.written(index).format(&Rfc3339) {
            Ok(time) if timestamps => format!("{time} {text}"),
            _ => text,
        }
    }
}

/// Which part of a log is asked for, and how.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    since: Option<OffsetDateTime>,
    tail: Option<u64>,
    timestamps: bool,
    follow: bool,
}

/// Sends the log of a container, and goes on as it grows if that is asked for.
pub(super) fn serve(
    store: &Arc<Store>,
    pod: &Value,
    container: &str,
    query: &Query,
) -> Result<Response<Body>> {
    if query.flag("previous") {
        let name = object::name(pod);
        return Err(Status::bad_request(format!(
            "previous terminated container \"{container}\" in pod \"{name}\" not found"
        )));
    }
    let now = store.clock.now();
    let begun = object::created(pod).unwrap_or(now);
    let log = Log { pod: object::name(pod).to_owned(), container: container.to_owned(), begun };
    let seconds = query.number("sinceSeconds").map(|seconds| now - Duration::from_secs(seconds.min(1 << 32)));
    let wanted = Wanted {
        since: seconds.or_else(|| clock::parse(query.text("sinceTime"))),
        tail: query.number("tailLines"),
        timestamps: query.flag("timestamps"),
        follow: query.flag("follow"),
    };
    let limit =
        query.number("limitBytes").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let lines = lines(Arc::clone(store), pod.clone(), log, wanted);
    let limited = lines.scan(limit, |left, line| {
        let line = line.split_at(line.len().min(*left)).0.to_owned();
        *left -= line.len();
        std::future::ready((!line.is_empty()).then(|| io::Result::Ok(Bytes::from(line))))
    });
    Ok(typed(StatusCode::OK, "text/plain", streamed(limited)))
}

fn lines(
    store: Arc<Store>,
    pod: Value,
    log: Log,
    wanted: Wanted,
) -> impl stream::Stream<Item = String> + Send {
    let now = store.clock.now();
    let count = log.count(now);
    let first = (count.saturating_sub(KEPT)..count)
        .find(|index| wanted.since.is_none_or(|since| log.written(*index) >= since));
    let first = first.unwrap_or(count).max(wanted.tail.map_or(0, |tail| count.saturating_sub(tail)));
    let ready: VecDeque<String> = (first..count).map(|index| log.line(index, wanted.timestamps)).collect();
    let past = stream::iter(ready);
    let future = stream::unfold((store, pod, log, count), move |(store, pod, log, index)| async move {
        if !wanted.follow {
            return None;
        }
        let wait = log.written(index) - store.clock.now();
        tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
        is_there(&store, &pod).then(|| {
            let line = log.line(index, wanted.timestamps);
            (line, (store, pod, log, index + 1))
        })
    });
    past.chain(future)
}

/// Whether the pod whose log is read is still the same one.
pub(super) fn is_there(store: &Store, pod: &Value) -> bool {
    let found = store.transact(|state| state.get(named("pods"), object::namespace(pod), object::name(pod)));
    found.is_some_and(|found| found["metadata"]["uid"] == pod["metadata"]["uid"])
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;
    use crate::clock::{Clock, rfc3339};
    use crate::store::{HISTORY, Key};

    async fn started(seconds: u64) -> (Arc<Store>, Value) {
        let store = Arc::new(Store::new(Clock::start(), HISTORY));
        let created = rfc3339(store.clock.now());
        let pod =
            json!({"metadata": {"name": "p", "namespace": "a", "uid": "u", "creationTimestamp": created}});
        store.transact(|state| state.put(named("pods"), pod.clone())).unwrap();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        (store, pod)
    }

    async fn all(query: &str, seconds: u64) -> String {
        let (store, pod) = started(seconds).await;
        let response = serve(&store, &pod, "c", &Query::parse(query)).unwrap();
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_grows_by_a_line_each_second() {
        assert_eq!(all("", 0).await.lines().count(), 10);
        let log = all("", 5).await;
        assert_eq!((log.lines().count(), log.lines().last()), (15, Some("p/c: line 15")));
        assert_eq!(all("", 100_000).await.lines().count(), 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_asked_for_comes() {
        assert_eq!(all("tailLines=2", 5).await, "p/c: line 14\np/c: line 15\n");
        assert_eq!(all("tailLines=0", 5).await, "");
        assert_eq!(all("limitBytes=7", 5).await, "p/c: li");
        assert_eq!(all("sinceSeconds=3", 60).await.lines().count(), 3);
        let stamped = all("timestamps=true&tailLines=1", 5).await;
        assert!(clock::parse(stamped.split(' ').next().unwrap()).is_some(), "{stamped}");
        let (store, pod) = started(0).await;
        assert_eq!(serve(&store, &pod, "c", &Query::parse("previous=true")).unwrap_err().code, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_gets_new_lines_until_the_pod_is_gone() {
        let (store, pod) = started(0).await;
        let response = serve(&store, &pod, "c", &Query::parse("follow=true&tailLines=1")).unwrap();
        let mut lines = response.into_body().into_data_stream();
        assert_eq!(lines.next().await.unwrap().unwrap(), "p/c: line 10\n");
        assert_eq!(lines.next().await.unwrap().unwrap(), "p/c: line 11\n");
        store.transact(|state| state.remove(&Key::new(named("pods"), "a", "p"))).unwrap();
        assert!(lines.next().await.is_none());
    }
}
