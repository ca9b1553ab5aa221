//! HTTP/2 connections: many requests at a time, as many as the member allows.
//!
//! The pool counts open streams itself: HTTP/2 would queue a request beyond the limit behind streams that may never
//! end, such as watches.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version, header};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::options::OpenConnection;
use super::pool::Pool;
use super::released::Released;
use super::stream::Stream;
use super::upload::Uploads;
use super::{Again, Failure, TransportError, TransportOptions, copy};
use crate::body::Body;
use crate::io::Coalesced;

/// Streams that one connection carries at most, whatever the member allows.
const MAX_STREAMS: usize = 250;
/// Bytes that a member may send ahead on one stream.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes that a member may send ahead on all streams of a connection: enough for each to fill its own window, so that
/// readers who stand still can never use up the share of the others (rule 130).
///
/// And twice 255 of them, because h2 ends a connection on which frames of a few bytes have piled up to half of this,
/// counting each as 256: no reader may do that alone.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 510;
/// Bytes of a request body kept per stream while the member does not take them.
const SEND_BUFFER: usize = 256 * 1024;
/// Bytes of the head of one answer.
const MAX_HEAD: u32 = 1024 * 1024;

/// An HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<Body>,
    active: AtomicUsize,
    state: Arc<State>,
    released: Arc<Released>,
    /// How often the pool has found no stream open since the last one.
    unused: AtomicU32,
}

/// What the connection's tasks tell the pool. Apart from [`Connection`], so that they do not keep the sender alive.
#[derive(Debug, Default)]
struct State {
    /// Streams that may be open at once; 0 until the member has said so, and again after the end.
    limit: AtomicUsize,
    /// Wakes the task that learns the limit when bytes came in.
    learner: AtomicWaker,
    connected: AtomicBool,
    uploads: Uploads,
}

impl AsRef<Uploads> for State {
    fn as_ref(&self) -> &Uploads {
        &self.uploads
    }
}

/// One stream's place on a connection; free again when dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Connection>);

impl Connection {
    /// Starts HTTP/2 on `stream` and waits until the member has told its limits.
    pub(super) async fn start(
        stream: Stream,
        open: OpenConnection,
        pool: &Arc<Pool>,
    ) -> Result<Arc<Self>, TransportError> {
        let limit = pool.options().tls_handshake_timeout;
        timeout(limit, Self::handshake(stream, open, pool))
            .await
            .map_err(|_| TransportError::handshake_timeout(pool.spec(), limit))?
    }

    async fn handshake(
        stream: Stream,
        open: OpenConnection,
        pool: &Arc<Pool>,
    ) -> Result<Arc<Self>, TransportError> {
        let state = Arc::new(State::default());
        let (sender, connection) = builder(pool.options(), Arc::clone(&state))
            .handshake(TokioIo::new(Coalesced::new(stream)))
            .await
            .map_err(|error| TransportError::handshake(pool.spec(), &error))?;
        let this = Arc::new(Self {
            sender,
            active: AtomicUsize::new(0),
            state: Arc::clone(&state),
            released: pool.released(),
            unused: AtomicU32::new(0),
        });
        let (learnt, first_limit) = oneshot::channel();
        let task = Driver { connection, state, learnt: Some(learnt) };
        let (weak_pool, weak_this) = (Arc::downgrade(pool), Arc::downgrade(&this));
        tokio::spawn(async move {
            task.drive().await;
            drop(open);
            if let (Some(pool), Some(this)) = (weak_pool.upgrade(), weak_this.upgrade()) {
                pool.remove(&this);
            }
        });
        match first_limit.await {
            Ok(Ok(())) => Ok(this),
            Ok(Err(error)) => Err(TransportError::exchange(pool.spec(), &error)),
            Err(_) => Err(TransportError::Tls(format!(
                "{} agreed on HTTP/2 but closed the connection before its first SETTINGS",
                pool.spec().endpoint.authority()
            ))),
        }
    }

    /// Takes a place for one stream, if there is one.
    pub(super) fn try_acquire(self: &Arc<Self>) -> Option<Slot> {
        let limit = self.state.limit.load(Ordering::Relaxed);
        let mut active = self.active.load(Ordering::Relaxed);
        while active < limit {
            match self.active.compare_exchange_weak(active, active + 1, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => {
                    self.unused.store(0, Ordering::Relaxed);
                    return Some(Slot(Arc::clone(self)));
                }
                Err(now) => active = now,
            }
        }
        None
    }

    /// How often in a row, this time included, the pool has asked and no stream was open.
    pub(super) fn idle_sweeps(&self) -> u32 {
        if self.active.load(Ordering::Relaxed) > 0 {
            return 0;
        }
        self.unused.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Whether it can take no more requests, now or later.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.unused.store(0, Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::SeqCst);
        self.0.released.notify();
    }
}

/// Sends a request in `slot`, which stays taken until both bodies have ended.
pub(super) async fn send(
    slot: Slot,
    pool: &Arc<Pool>,
    mut request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    address(&mut request, pool.scheme(), pool.authority());
    let slot = Arc::new(slot);
    let mut sender = slot.0.sender.clone();
    let mut interest = None;
    if !http_body::Body::is_end_stream(request.body()) {
        // The member may answer before it has read the request; the stream stays open until both are through.
        let taken = Arc::clone(&slot);
        request = request.map(|body| {
            let (body, upload) = Uploads::bind(&slot.0.state, body.holding(taken));
            interest = Some(upload);
            body
        });
    }
    let copy = copy(&request);
    let answer = pool.within_header_timeout(sender.try_send_request(request)).await?;
    match answer {
        Ok(response) => Ok(response.map(|incoming| {
            let body = Body::h2(incoming).holding(slot);
            // Whoever has the whole answer, or has gone, wants nothing more of the upload (as Go's client).
            if let Some(interest) = interest { body.holding(interest) } else { body }
        })),
        Err(mut failure) => {
            let unsent = failure.take_message().map(|request| Again::Unsent(Box::new(request)));
            let error = failure.into_error();
            if unsent.is_some() {
                // It takes no more requests; the next try must not meet it again.
                pool.remove(&slot.0);
            }
            let refused = || copy.filter(|copy| is_refused(&error, copy.method()));
            let again = unsent.or_else(|| refused().map(|copy| Again::Refused(Box::new(copy))));
            Err(Failure { error: TransportError::exchange(pool.spec(), &error), again })
        }
    }
}

/// Whether the request may be sent again: the member has refused the stream unread, or has said GOAWAY. Proxies in front
/// of API servers do so whenever they renew a connection. A GOAWAY does not tell here whether it came before or after the
/// member took the request, so only what changes nothing is sent twice.
fn is_refused(error: &hyper::Error, method: &http::Method) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<::h2::Error>());
    cause.is_some_and(|cause| {
        let refused = cause.reason() == Some(::h2::Reason::REFUSED_STREAM) && !cause.is_go_away();
        cause.is_remote() && (refused || cause.is_go_away() && method.is_safe())
    })
}

/// Gives the request the form that HTTP/2 wants: the target in the URI, no `Host` (rules 145, 196).
fn address(request: &mut Request<Body>, scheme: &Scheme, authority: &Authority) {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query =
        request.uri().path_and_query().cloned().or_else(|| Some(PathAndQuery::from_static("/")));
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(authority.clone());
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(header::HOST);
}

fn builder(options: &TransportOptions, state: Arc<State>) -> Builder<Executor> {
    let mut builder = Builder::new(Executor(state));
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // None may be opened before the member has told its limit.
        .initial_max_send_streams(0)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEAD)
        .keep_alive_interval(options.ping_interval)
        .keep_alive_timeout(options.ping_timeout)
        .keep_alive_while_idle(true);
    builder
}

type H2 = hyper::client::conn::http2::Connection<TokioIo<Coalesced<Stream>>, Body, Executor>;

/// Drives a connection and keeps its limit up to date.
struct Driver {
    connection: H2,
    state: Arc<State>,
    learnt: Option<oneshot::Sender<Result<(), hyper::Error>>>,
}

impl Driver {
    async fn drive(mut self) {
        let result = poll_fn(|cx| {
            if self.learnt.is_some() {
                self.state.learner.register(cx.waker());
            }
            let polled = Pin::new(&mut self.connection).poll(cx);
            let limit = self.connection.current_max_send_streams().min(MAX_STREAMS);
            self.state.limit.store(limit, Ordering::Relaxed);
            if limit > 0
                && polled.is_pending()
                && let Some(learnt) = self.learnt.take()
            {
                let _ = learnt.send(Ok(()));
            }
            polled
        })
        .await;
        self.state.limit.store(0, Ordering::Relaxed);
        if let Err(error) = result {
            tracing::debug!(%error, "HTTP/2 connection to a member ended");
            if let Some(learnt) = self.learnt.take() {
                let _ = learnt.send(Err(error));
            }
        }
    }
}

/// Spawns a connection's tasks. The first one reads the socket; it wakes the [`Driver`] until the limit is known.
#[derive(Debug, Clone)]
struct Executor(Arc<State>);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        if self.0.connected.swap(true, Ordering::Relaxed) {
            self.0.uploads.spawn(future);
            return;
        }
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                if state.limit.load(Ordering::Relaxed) == 0 {
                    state.learner.wake();
                }
                match polled {
                    Poll::Ready(()) => Poll::Ready(()),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
        });
    }
}
