//! HTTP/2 connections: many requests at a time, as many as the member allows.
//!
//! The pool counts open streams itself: HTTP/2 would queue a request beyond the limit behind streams that may never
//! end, such as watches.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ::h2::Reason;
use ::h2::client::{Builder, SendRequest};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version, header};
use tokio::sync::oneshot;
use tokio::time::timeout;

mod driver;
mod joining;
mod upload;

use driver::Driver;

use super::idle::lock;
use super::options::OpenConnection;
use super::pool::Pool;
use super::released::Released;
use super::stream::Stream;
use super::{Again, Failure, TransportError};
use crate::body::Body;
use crate::io::Coalesced;

/// Streams that one connection carries at most, whatever the member allows.
const MAX_STREAMS: usize = 250;
/// Bytes that a member may send ahead on one stream.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes that a member may send ahead on all streams of a connection: enough for each to fill its own window, so that
/// readers who stand still can never use up the share of the others (rule 130).
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * 256;
/// h2 ends a connection on which frames of a few bytes have piled up unread to this many bytes, counting each as 256: no
/// reader who stands still may do that alone.
const SMALL_FRAMES: usize = STREAM_WINDOW as usize * 256;
/// Bytes of a request body kept per stream while the member does not take them.
const SEND_BUFFER: usize = 256 * 1024;
/// Bytes of the head of one answer.
const MAX_HEAD: u32 = 1024 * 1024;
/// Kinds of headers of one answer: a map of headers that is fuller than full panics, and ours go into the same map.
const MAX_HEADERS: usize = 1024;

/// An HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Connection {
    sender: Mutex<SendRequest<Bytes>>,
    active: AtomicUsize,
    state: Arc<State>,
    released: Arc<Released>,
    /// How often the pool has found no stream open since the last one.
    unused: AtomicU32,
}

/// What the connection's task tells the pool. Apart from [`Connection`], so that it does not keep the sender alive.
#[derive(Debug, Default)]
struct State {
    /// Streams that may be open at once; 0 until the member has said so, and again after the end.
    limit: AtomicUsize,
    closed: AtomicBool,
    /// It was given up because the member did not answer pings.
    silent: AtomicBool,
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
        let stream = Coalesced::new(stream);
        let heard = stream.heard();
        let (sender, connection) = builder()
            .handshake::<_, Bytes>(stream)
            .await
            .map_err(|error| TransportError::handshake(pool.spec(), &error))?;
        let this = Arc::new(Self {
            sender: Mutex::new(sender),
            active: AtomicUsize::new(0),
            state: Arc::clone(&state),
            released: pool.released(),
            unused: AtomicU32::new(0),
        });
        let (learnt, first_limit) = oneshot::channel();
        let silenced = Arc::clone(&state);
        let driver = Driver::new(connection, state, learnt, pool.options(), heard);
        let (weak_pool, weak_this) = (Arc::downgrade(pool), Arc::downgrade(&this));
        tokio::spawn(async move {
            driver.drive().await;
            drop(open);
            let Some(pool) = weak_pool.upgrade() else { return };
            if silenced.silent.load(Ordering::Relaxed) {
                pool.breaker().failed(&TransportError::silent(pool.spec()).to_string());
            }
            if let Some(this) = weak_this.upgrade() {
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

    /// Takes no more requests; those under way go on.
    fn retire(&self) {
        self.state.closed.store(true, Ordering::Relaxed);
        self.state.limit.store(0, Ordering::Relaxed);
    }

    /// Whether it can take no more requests, now or later.
    pub(super) fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Relaxed)
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
    request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    let (mut head, body) = request.into_parts();
    address(&mut head, pool.scheme(), pool.authority());
    let end = http_body::Body::is_end_stream(&body);
    let limit = pool.options().header_timeout(&head.extensions);
    let copy = head.clone();
    let state = Arc::clone(&slot.0.state);
    let broken = |error: ::h2::Error| match state.silent.load(Ordering::Relaxed) {
        true => TransportError::silent(pool.spec()),
        false => TransportError::exchange(pool.spec(), &error),
    };
    let sent = lock(&slot.0.sender).send_request(Request::from_parts(head, ()), end);
    let (answer, stream) = match sent {
        Ok(sent) => sent,
        // It has said GOAWAY, or has ended since the slot was taken.
        Err(error) => {
            slot.0.retire();
            pool.remove(&slot.0);
            let again = Some(Again::Unsent(Box::new(Request::from_parts(copy, body))));
            return Err(Failure { again, error: broken(error) });
        }
    };
    let slot = Arc::new(slot);
    let upload = (!end).then(|| upload::start(body, stream, Arc::clone(&slot)));
    match pool.within_header_timeout(limit, answer).await? {
        Ok(response) if response.headers().keys_len() > MAX_HEADERS => {
            Err(TransportError::too_many_headers(pool.spec(), MAX_HEADERS).into())
        }
        Ok(response) => {
            let body = |stream| Body::received(stream).holding(slot);
            let response = response.map(body);
            Ok(match upload {
                Some(upload) => response.map(|body| body.holding(upload)),
                None => response,
            })
        }
        Err(error) => {
            // A body cannot be had twice.
            let refused = end && is_refused(&error, &copy.method);
            let again = refused.then(|| Again::Refused(Box::new(Request::from_parts(copy, Body::empty()))));
            Err(Failure { again, error: broken(error) })
        }
    }
}

/// Whether the request may be sent again: the member has refused the stream unread, or has said GOAWAY. Proxies in front
/// of API servers do so whenever they renew a connection. A GOAWAY does not tell here whether it came before or after the
/// member took the request, so only what changes nothing is sent twice.
fn is_refused(error: &::h2::Error, method: &http::Method) -> bool {
    let refused = error.reason() == Some(Reason::REFUSED_STREAM) && !error.is_go_away();
    error.is_remote() && (refused || error.is_go_away() && method.is_safe())
}

/// Gives the request the form that HTTP/2 wants: the target in the URI, no `Host` (rules 145, 196).
fn address(head: &mut http::request::Parts, scheme: &Scheme, authority: &Authority) {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query =
        head.uri.path_and_query().cloned().or_else(|| Some(PathAndQuery::from_static("/")));
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(authority.clone());
    if let Ok(uri) = Uri::from_parts(parts) {
        head.uri = uri;
    }
    head.version = Version::HTTP_2;
    head.headers.remove(header::HOST);
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(SMALL_FRAMES)
        // None may be opened before the member has told its limit.
        .initial_max_send_streams(0)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEAD)
        .enable_push(false);
    builder
}
