//! Uploads whose member does not take them: how many of them a connection may hold (contract rule 130).
//!
//! A client may send so much of each ahead as a stream's window holds. A hub's connection carries the requests of all its
//! users, so uploads that stand still must neither use up the room of the others nor take memory without bound: a
//! connection has room for [`MOST`] that stand still, and beyond those the ones that have stood longest are ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::body::{Body, BodyError};

/// Uploads of one connection that may stand still.
pub(super) const MOST: usize = 128;
/// How long the reader must not have asked for more before an upload stands still.
const STILL: Duration = Duration::from_secs(2);
/// Value of `taken`: the reader waits for the client.
const WAITING: u64 = u64::MAX;

/// The uploads of one connection.
pub(super) struct Uploads {
    begun: Instant,
    open: Vec<Weak<Upload>>,
    /// When to look for those that stand still; only while there are many.
    look: Option<Pin<Box<Sleep>>>,
}

/// One upload.
struct Upload {
    /// When the reader last took something, in ms since the connection began; or [`WAITING`].
    taken: AtomicU64,
    given_up: CancellationToken,
}

impl Uploads {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), open: Vec::new(), look: None }
    }

    /// The body of a request, and what tells that it has been given up; nothing does of one that has no body.
    pub(super) fn body(&mut self, stream: RecvStream) -> (Body, Option<GivenUp>) {
        let body = Body::received(stream);
        if body.is_end_stream() {
            return (body, None);
        }
        let (body, given_up) = self.add(body);
        (Body::boxed(body), Some(given_up))
    }

    fn add(&mut self, body: Body) -> (Watched, GivenUp) {
        let upload = Arc::new(Upload { taken: AtomicU64::new(WAITING), given_up: CancellationToken::new() });
        self.open.push(Arc::downgrade(&upload));
        let given_up = GivenUp(Box::pin(upload.given_up.clone().cancelled_owned()));
        (Watched { body, begun: self.begun, upload: Some(upload) }, given_up)
    }

    /// Ends the uploads that have stood still for longest, if there are more than [`MOST`] in all.
    pub(super) fn poll_crowd(&mut self, cx: &mut Context<'_>) {
        while self.open.len() > MOST {
            let look = self.look.get_or_insert_with(|| Box::pin(sleep(STILL / 2)));
            if look.as_mut().poll(cx).is_pending() {
                return;
            }
            self.look = None;
            self.thin_out();
        }
    }

    fn thin_out(&mut self) {
        self.open.retain(|upload| upload.strong_count() > 0);
        let now = millis(self.begun.elapsed());
        let still = |upload: &Arc<Upload>| {
            let taken = upload.taken.load(Ordering::Relaxed);
            taken != WAITING && now.saturating_sub(taken) >= millis(STILL)
        };
        let mut standing: Vec<_> = self.open.iter().filter_map(Weak::upgrade).filter(still).collect();
        standing.sort_by_key(|upload| upload.taken.load(Ordering::Relaxed));
        standing.truncate(self.open.len().saturating_sub(MOST));
        if !standing.is_empty() {
            tracing::warn!(
                ended = standing.len(),
                uploads = self.open.len(),
                "too many uploads on one connection stand still because their members do not take them; the oldest of \
                 them were ended, so that the others can go on"
            );
        }
        standing.iter().for_each(|upload| upload.given_up.cancel());
    }
}

/// Ready once an upload has been given up.
pub(super) struct GivenUp(Pin<Box<WaitForCancellationFutureOwned>>);

impl Future for GivenUp {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

/// A body of which it is known whether somebody takes it.
struct Watched {
    body: Body,
    begun: Instant,
    /// Gone with the end of the body.
    upload: Option<Arc<Upload>>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if let Some(upload) = &this.upload {
            let taken = if polled.is_pending() { WAITING } else { millis(this.begun.elapsed()) };
            upload.taken.store(taken, Ordering::Relaxed);
        }
        let frame = ready!(polled);
        if !matches!(frame, Some(Ok(_))) {
            this.upload = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(WAITING - 1)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::{FutureExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::advance;

    use super::*;

    const EXTRA: usize = 5;

    /// What comes of uploads that nobody reads after a first frame, for some of which the client has no more.
    async fn given_up(count: usize, waiting: usize) -> Vec<usize> {
        let mut uploads = Uploads::new();
        let mut kept = Vec::new();
        for number in 0..count {
            let frame = stream::iter([Ok(Frame::data(Bytes::from_static(b"x")))]);
            let endless = StreamBody::new(stream::StreamExt::chain(frame, stream::pending()));
            let (mut body, told) = uploads.add(Body::boxed(endless));
            assert!(body.frame().await.is_some());
            if number < waiting {
                assert!(body.frame().now_or_never().is_none());
            }
            kept.push((body, told));
            advance(Duration::from_millis(1)).await;
        }
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            uploads.poll_crowd(&mut cx);
            advance(STILL / 2).await;
        }
        let ended = |(number, (_, told)): (usize, &mut (Watched, GivenUp))| {
            Pin::new(told).poll(&mut cx).is_ready().then_some(number)
        };
        kept.iter_mut().enumerate().filter_map(ended).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn rule_130_of_too_many_uploads_those_that_have_stood_longest_are_ended() {
        assert_eq!(given_up(MOST + EXTRA, 0).await, (0..EXTRA).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn rule_130_uploads_that_wait_for_their_client_are_not_ended() {
        assert_eq!(given_up(MOST + EXTRA, 3).await, (3..3 + EXTRA).collect::<Vec<_>>());
        assert_eq!(given_up(MOST + EXTRA, MOST + EXTRA).await, Vec::<usize>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn rule_130_few_uploads_may_stand_still_for_ever() {
        assert_eq!(given_up(MOST, 0).await, Vec::<usize>::new());
    }
}
