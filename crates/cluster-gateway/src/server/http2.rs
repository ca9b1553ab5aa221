//! HTTP/2 connections, on the h2 crate itself: a request costs one task and no detour (ARCHITECTURE.md, departures).

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderValue, Request, Response, header};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::usage::Usage;
use super::{HANDSHAKE_TIMEOUT, Handler, MAX_HEADER_BYTES, Stream};
use crate::authn::Connection;
use crate::body::{Body, Sending};
use crate::io::Coalesced;
use crate::keepalive::Keepalive;

const MAX_CONCURRENT_STREAMS: u32 = 1000;
/// Streams that a client has opened and reset before they were looked at; more end the connection (contract rule 59).
const MAX_UNSEEN_RESETS: usize = 20;
const STREAM_WINDOW: u32 = 256 << 10;
/// Many streams share a connection from kube-apiserver: uploads that stall must not stop the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_CONCURRENT_STREAMS;
/// What a reader that has stopped reading may hold in memory, per stream (rule 130).
const SEND_BUFFER: usize = 64 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_BYTES as u32);
    builder
}

type Accepted = Option<Result<(Request<RecvStream>, SendResponse<Bytes>), h2::Error>>;

/// What a connection waits for.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack, and nearly always the large one")]
enum Next {
    Request(Accepted),
    /// It shall end after its open requests.
    End,
    /// The client no longer answers.
    Gone,
}

/// Serves a connection until the client ends it, is gone, or `drain` or `connection` want it to end after its open
/// requests (GOAWAY).
pub(super) async fn serve<H: Handler>(
    stream: Stream,
    connection: &Arc<Connection>,
    handler: Arc<H>,
    drain: &CancellationToken,
) -> Result<(), h2::Error> {
    let stream = Coalesced::new(stream);
    let heard = stream.heard();
    let Ok(begun) = timeout(HANDSHAKE_TIMEOUT, builder().handshake(stream)).await else { return Ok(()) };
    let mut http2 = begun?;
    let mut keepalive =
        http2.ping_pong().map(|pings| Keepalive::new(pings, heard, PING_INTERVAL, PING_TIMEOUT));
    let usage = Arc::new(Usage::default());
    let mut end = pin!(wanted_end(connection, &usage, drain));
    let mut ending = false;
    loop {
        let next = poll_fn(|cx| {
            if !ending && end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Next::End);
            }
            if let Poll::Ready(accepted) = http2.poll_accept(cx) {
                return Poll::Ready(Next::Request(accepted));
            }
            let gone = keepalive.as_mut().is_some_and(|keepalive| keepalive.poll_gone(cx).is_ready());
            if gone { Poll::Ready(Next::Gone) } else { Poll::Pending }
        });
        match next.await {
            Next::Request(Some(accepted)) => {
                let (request, respond) = accepted?;
                let (handler, connection, open) =
                    (Arc::clone(&handler), Arc::clone(connection), usage.open());
                tokio::spawn(async move {
                    // Boxed: the task is moved into its place as a whole, and an answer under way is large.
                    let answer = Box::pin(handler.handle(connection, request.map(Body::received)));
                    send(answer, respond).await;
                    drop(open);
                });
            }
            Next::End => {
                ending = true;
                http2.graceful_shutdown();
            }
            Next::Request(None) | Next::Gone => return Ok(()),
        }
    }
}

async fn wanted_end(connection: &Connection, usage: &Usage, drain: &CancellationToken) {
    tokio::select! {
        () = drain.cancelled() => {}
        () = connection.closing() => {}
        () = usage.idle() => {}
    }
}

/// Sends what `answer` comes to, unless the client goes away first.
async fn send(answer: impl Future<Output = Response<Body>>, mut respond: SendResponse<Bytes>) {
    let response = {
        // Gone with this block: a body may take hours, or be one that the client never reads.
        let mut answer = pin!(answer);
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => poll_left(&mut respond, cx),
        })
        .await
    };
    let Some(response) = response else { return };
    let (mut head, body) = response.into_parts();
    let end = http_body::Body::is_end_stream(&body);
    if let (false, Some(length)) = (end, http_body::Body::size_hint(&body).exact()) {
        head.headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    head.headers.entry(header::DATE).or_insert_with(now);
    match respond.send_response(Response::from_parts(head, ()), end) {
        Ok(_) if end => {}
        Ok(stream) => {
            if let Err(error) = Sending::new(body, stream).await {
                tracing::debug!(%error, "an answer was not sent to its end");
            }
        }
        Err(error) => {
            tracing::debug!(%error, "an answer could not be sent");
            respond.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}

/// Ready when the client has given its request up.
fn poll_left<T>(respond: &mut SendResponse<Bytes>, cx: &mut Context<'_>) -> Poll<Option<T>> {
    let _reason = ready!(respond.poll_reset(cx));
    Poll::Ready(None)
}

fn now() -> HeaderValue {
    HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))
        .unwrap_or_else(|_| HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}
