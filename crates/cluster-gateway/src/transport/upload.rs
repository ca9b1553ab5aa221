//! The body of a request on an HTTP/2 connection, which many share.
//!
//! **Small frames** that come together leave together: servers count frames of a few bytes, which cost them more than they
//! bring, and end the connection on which they pile up.
//!
//! **An upload that nobody waits for any more** ends.
//! A task of hyper's carries a request's body to the member. While the member takes nothing it waits for that and for
//! nothing else: it would never learn that the client has gone, and keep its stream for as long as the connection lives.
//! So that it can be ended from here, the body says which upload it belongs to when it is first read, and the connection
//! binds the task that is spawned next to that upload.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::task::AtomicWaker;
use http_body::{Body as _, Frame, SizeHint};

use super::idle::lock;
use crate::body::{Body, BodyError};

/// Frames of fewer bytes wait for those that are there already.
const SMALL: usize = 1024;
/// Bytes that are joined to one frame.
const JOINED: usize = 16 * 1024;

/// One upload.
#[derive(Debug, Default)]
struct Upload {
    over: AtomicBool,
    task: AtomicWaker,
}

/// Ends an upload when it is dropped.
#[derive(Debug)]
pub(super) struct Interest(Arc<Upload>);

impl Drop for Interest {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
        self.0.task.wake();
    }
}

/// The upload of a connection whose task is about to be spawned.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    begun: AtomicBool,
    last: Mutex<Option<Arc<Upload>>>,
}

impl Uploads {
    /// Makes `body` one that ends with the interest in it.
    pub(super) fn bind(
        uploads: &Arc<impl AsRef<Self> + Send + Sync + 'static>,
        body: Body,
    ) -> (Body, Interest) {
        let upload = Arc::<Upload>::default();
        let announcement = Some((Arc::clone(&upload), Arc::clone(uploads)));
        (Body::boxed(Announced { body: Joining { body, next: None }, announcement }), Interest(upload))
    }

    /// Runs a task of the connection; that of the upload which has just begun only as long as somebody wants it.
    ///
    /// A body that is read at once needs no task; then the next one, which waits for the answer, is bound to its upload:
    /// to no effect, for the interest lasts longer than that.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if !self.begun.load(Ordering::Acquire) {
            tokio::spawn(task);
            return;
        }
        self.begun.store(false, Ordering::Release);
        let upload = lock(&self.last).take();
        tokio::spawn(async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                if let Some(upload) = &upload {
                    upload.task.register(cx.waker());
                    if upload.over.load(Ordering::Acquire) {
                        return Poll::Ready(());
                    }
                }
                task.as_mut().poll(cx)
            })
            .await;
        });
    }

    fn announce(&self, upload: Arc<Upload>) {
        *lock(&self.last) = Some(upload);
        self.begun.store(true, Ordering::Release);
    }
}

/// A body that says so when it is first read.
struct Announced<U> {
    body: Joining,
    announcement: Option<(Arc<Upload>, Arc<U>)>,
}

impl<U: AsRef<Uploads>> http_body::Body for Announced<U> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        // A request that came back unsent is bound anew; its first interest is gone.
        if let Some((upload, uploads)) = self.announcement.take()
            && !upload.over.load(Ordering::Acquire)
        {
            (*uploads).as_ref().announce(upload);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body whose small frames leave together.
struct Joining {
    body: Body,
    /// What came behind the frames that were joined.
    next: Option<Polled>,
}

type Polled = Option<Result<Frame<Bytes>, BodyError>>;

impl http_body::Body for Joining {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(next);
        }
        let first = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.len() < SMALL => data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            },
            end => return Poll::Ready(end),
        };
        let data = self.join(first, cx);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Joining {
    /// Adds what is there to `first`. Whoever is told [`Poll::Pending`] here is told again when it asks again.
    fn join(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut joined = BytesMut::new();
        while joined.len() < JOINED && !self.body.is_end_stream() {
            let polled = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(polled) => polled,
            };
            match polled.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref) {
                Some(data) if data.len() < SMALL => {
                    if joined.is_empty() {
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(data);
                }
                _ => {
                    self.next = Some(polled);
                    break;
                }
            }
        }
        if joined.is_empty() { first } else { joined.freeze() }
    }
}

#[cfg(test)]
mod tests;
