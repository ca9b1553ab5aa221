//! Server-sent events. Nothing is made ahead of its reader: an answer is worked on when the connection takes it, so a reader
//! that does not read costs what it has open and no more.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use http::{HeaderMap, HeaderName, header};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Caller, Code, Manage, Refusal};

/// Time between two signs of life of an endless answer.
const ALIVE: Duration = Duration::from_secs(10);
/// Events of an endless answer that wait for their reader.
const ENDLESS: usize = 4;
/// Events of an answer that ends; none has as many.
const FINITE: usize = 1024;

/// Where events are told. Cheap to clone; the answer ends when all are dropped.
#[derive(Debug, Clone)]
pub(super) struct Teller(mpsc::Sender<Bytes>);

/// Nobody reads any more.
#[derive(Debug)]
pub(super) struct Gone;

impl Teller {
    /// Tells an event, and waits until there is room for it.
    ///
    /// # Errors
    /// [`Gone`].
    pub(super) async fn tell(&self, event: &str, data: &impl Serialize) -> Result<(), Gone> {
        let line = serde_json::to_string(data).map_err(|_| Gone)?;
        self.tell_written(event, &line).await
    }

    /// As [`Teller::tell`], with data that is one line of JSON already.
    ///
    /// # Errors
    /// [`Gone`].
    pub(super) async fn tell_written(&self, event: &str, data: &str) -> Result<(), Gone> {
        self.0.send(written(event, data)).await.map_err(|_| Gone)
    }

    /// Tells an event without waiting, for those that have no time. If nobody reads, or there is no room, nobody is told.
    pub(super) fn mention(&self, event: &str, data: &impl Serialize) {
        if let Ok(line) = serde_json::to_string(data) {
            let _ = self.0.try_send(written(event, &line));
        }
    }

    /// Says that the connection lives.
    ///
    /// # Errors
    /// [`Gone`].
    pub(super) async fn alive(&self) -> Result<(), Gone> {
        self.tell("alive", &serde_json::json!({ "time": rfc3339(SystemTime::now()) })).await
    }
}

fn written(event: &str, data: &str) -> Bytes {
    format!("event: {event}\ndata: {data}\n\n").into()
}

/// Whether the client wants events.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
    })
}

/// Ticks for [`Teller::alive`]: at once, and then often enough.
pub(super) fn signs_of_life() -> Interval {
    let mut ticks = tokio::time::interval(ALIVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// An answer that goes on until the reader leaves, the caller's session ends or the process stops.
pub(super) fn endless<F>(manage: &Arc<Manage>, caller: &Caller, work: impl FnOnce(Teller) -> F) -> Response
where
    F: Future<Output = Result<(), Gone>> + Send + 'static,
{
    let (events, told) = mpsc::channel(ENDLESS);
    let work = work(Teller(events));
    let (stopping, ended) = (manage.stopping.clone(), ended(caller));
    answer(Telling::new(told, async move {
        tokio::select! {
            _ = work => {}
            () = stopping.cancelled() => {}
            () = ended => {}
        }
    }))
}

/// An answer that ends with the work; if the reader leaves, the work ends, too.
pub(super) fn finite<F>(work: impl FnOnce(Teller) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (events, told) = mpsc::channel(FINITE);
    answer(Telling::new(told, work(Teller(events))))
}

/// As [`finite`], for work that can fail. Before it has told anything, that is a refusal like any other; later, an event
/// `failed`.
///
/// # Errors
/// What the work says.
pub(super) async fn attempt<F>(work: impl FnOnce(Teller) -> F) -> Result<Response, Refusal>
where
    F: Future<Output = Result<(), Refusal>> + Send + 'static,
{
    let (events, mut told) = mpsc::channel(FINITE);
    let teller = Teller(events);
    let mut work = Box::pin(work(teller.clone()));
    let first = tokio::select! {
        biased;
        first = told.recv() => first,
        done = &mut work => {
            done?;
            drop((work, teller));
            return Ok(answer(Telling { first: told.recv().await, told, work: None }));
        }
    };
    let telling = Telling::new(told, async move {
        if let Err(refusal) = work.await {
            teller.mention("failed", &refusal.to_json());
        }
    });
    Ok(answer(Telling { first, ..telling }))
}

/// As [`attempt`], for work that goes on to its end even if nobody reads. Whoever leaves before it has told anything cancels
/// `stop`.
///
/// # Errors
/// What the work says.
pub(super) async fn persist<F>(
    tasks: &TaskTracker,
    stop: CancellationToken,
    work: impl FnOnce(Teller) -> F,
) -> Result<Response, Refusal>
where
    F: Future<Output = Result<(), Refusal>> + Send + 'static,
{
    let (events, mut told) = mpsc::channel(FINITE);
    let (refused, refusal) = oneshot::channel();
    let teller = Teller(events);
    let work = work(teller.clone());
    let leaving = stop.drop_guard();
    tokio::spawn(tasks.track_future(async move {
        if let Err(refusal) = work.await {
            // Nobody waits for it any more once something has been told.
            if let Err(refusal) = refused.send(refusal) {
                teller.mention("failed", &Refusal::to_json(&refusal));
            }
        }
    }));
    let first = told.recv().await;
    leaving.disarm();
    if first.is_none() {
        let gone =
            |_| Refusal::new(Code::Internal, "this request made the server stumble; its log says more");
        return Err(refusal.await.unwrap_or_else(gone));
    }
    drop(refusal);
    Ok(answer(Telling { first, told, work: None }))
}

/// Until the session is over that the request came with.
fn ended(caller: &Caller) -> impl Future<Output = ()> + Send + 'static {
    let expires = caller.expires;
    async move {
        match expires {
            Some(expires) => {
                tokio::time::sleep(expires.duration_since(SystemTime::now()).unwrap_or_default()).await;
            }
            None => std::future::pending().await,
        }
    }
}

fn answer(telling: Telling) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // nginx would wait for more.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(telling)).into_response()
}

/// Events as they come, and the work that makes them.
struct Telling {
    first: Option<Bytes>,
    told: mpsc::Receiver<Bytes>,
    work: Option<BoxFuture<'static, ()>>,
}

impl Telling {
    fn new(told: mpsc::Receiver<Bytes>, work: impl Future<Output = ()> + Send + 'static) -> Self {
        let work = AssertUnwindSafe(work).catch_unwind().map(|done| {
            if done.is_err() {
                tracing::error!(
                    "an answer for management broke off in a panic; please report the lines above"
                );
            }
        });
        Self { first: None, told, work: Some(work.boxed()) }
    }
}

impl Stream for Telling {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        // What is there goes first, so that no more is made than is read.
        match this.told.poll_recv(cx) {
            Poll::Ready(Some(event)) => return Poll::Ready(Some(Ok(event))),
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        if this.work.as_mut().is_some_and(|work| work.as_mut().poll(cx).is_ready()) {
            this.work = None;
        }
        this.told.poll_recv(cx).map(|event| event.map(Ok))
    }
}

/// A time as the API writes it: RFC 3339 in UTC, milliseconds; empty for one that has no such form.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let milliseconds = u32::from(time.millisecond()) * 1_000_000;
    let time = time.replace_nanosecond(milliseconds).ok().and_then(|time| time.format(&Rfc3339).ok());
    time.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    fn text(event: Option<Result<Bytes, Infallible>>) -> String {
        String::from_utf8(event.unwrap().unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn nothing_is_made_ahead_of_its_reader() {
        let made = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let (events, told) = mpsc::channel(ENDLESS);
        let teller = Teller(events);
        let mut telling = Telling::new(told, async move {
            while teller.tell("n", &counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).await.is_ok()
            {
            }
        });
        assert_eq!(text(telling.next().await), "event: n\ndata: 0\n\n");
        assert!(made.load(std::sync::atomic::Ordering::Relaxed) <= ENDLESS + 2);
        for n in 1..100 {
            assert_eq!(text(telling.next().await), format!("event: n\ndata: {n}\n\n"));
        }
    }

    #[tokio::test]
    async fn an_answer_ends_with_its_work_and_a_panic_ends_it_too() {
        let (events, told) = mpsc::channel(FINITE);
        let teller = Teller(events);
        let mut telling = Telling::new(told, async move {
            teller.mention("one", &"a\nb");
            tokio::task::yield_now().await;
            panic!("on purpose");
        });
        assert_eq!(text(telling.next().await), "event: one\ndata: \"a\\nb\"\n\n");
        assert!(telling.next().await.is_none());
    }

    #[test]
    fn events_are_for_those_who_ask_for_them() {
        let wanted = |accept: &'static str| {
            wanted(&HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static(accept))]))
        };
        assert!(wanted("text/event-stream") && wanted("application/json, Text/Event-Stream;q=0.5"));
        assert!(!wanted("application/json") && !wanted("*/*") && !super::wanted(&HeaderMap::new()));
    }

    #[test]
    fn times_have_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_225_600_123_456);
        assert_eq!(rfc3339(time), "2026-01-01T00:00:00.123Z");
    }
}
