//! HTTP/2 connections, on the h2 crate itself: a request costs one task and no detour (ARCHITECTURE.md, departures).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderValue, Request, Response, header};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::uploads::{self, Uploads};
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
/// Many streams share a connection from kube-apiserver: uploads that stall must not stop the others, nor take memory
/// without bound. Of more than fit, some are ended.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * uploads::MOST as u32;
/// h2 ends a connection on which frames of a few bytes have piled up unread to this many bytes, counting each as 256: no
/// upload that stands still may do that alone.
const SMALL_FRAMES: usize = STREAM_WINDOW as usize * 256;
/// What a reader that has stopped reading may hold in memory, per stream (rule 130).
const SEND_BUFFER: usize = 64 << 10;
/// How long it may take until a client has taken an answer that is there as a whole, and how many bytes give it a second
/// more. Whoever may not come in gets only such answers, and could keep them here for ever.
const PATIENCE: Duration = Duration::from_secs(30);
const SLOWEST: usize = 16 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(SMALL_FRAMES)
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
    let (usage, mut uploads) = (Arc::new(Usage::default()), Uploads::new());
    let mut end = pin!(wanted_end(connection, &usage, drain));
    let mut ending = false;
    loop {
        let next = poll_fn(|cx| {
            if !ending && end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Next::End);
            }
            uploads.poll_crowd(cx);
            if let Poll::Ready(accepted) = http2.poll_accept(cx) {
                return Poll::Ready(Next::Request(accepted));
            }
            let gone = keepalive.as_mut().is_some_and(|keepalive| keepalive.poll_gone(cx).is_ready());
            if gone { Poll::Ready(Next::Gone) } else { Poll::Pending }
        });
        match next.await {
            Next::Request(Some(accepted)) => {
                let (request, respond) = accepted?;
                let (head, stream) = request.into_parts();
                let (body, mut given_up) = uploads.body(stream);
                let (handler, connection, open) =
                    (Arc::clone(&handler), Arc::clone(connection), usage.open());
                tokio::spawn(async move {
                    // Boxed: the task is moved into its place as a whole, and an answer under way is large.
                    let answer = Box::pin(handler.handle(connection, Request::from_parts(head, body)));
                    let mut sending = pin!(send(answer, respond));
                    poll_fn(|cx| match given_up.as_mut().map(|given_up| Pin::new(given_up).poll(cx)) {
                        Some(Poll::Ready(())) => Poll::Ready(()),
                        Some(Poll::Pending) | None => sending.as_mut().poll(cx),
                    })
                    .await;
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
            let whole = body.as_full().map(Bytes::len);
            let sending = Sending::new(body, stream);
            let sent = match whole {
                None => sending.await,
                Some(length) => {
                    let patience = PATIENCE + Duration::from_secs((length / SLOWEST) as u64);
                    // Boxed: what is sent as it comes must not have to carry a timer.
                    let in_time = Box::pin(timeout(patience, sending)).await;
                    in_time.unwrap_or_else(|_| Err(format!("not taken within {patience:?}").into()))
                }
            };
            if let Err(error) = sent {
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    /// How the stream of `answer` ends for a client that takes nothing, and after how long; `None`: not in a day.
    async fn end(answer: Body) -> Option<(Option<Reason>, Duration)> {
        let (here, there) = tokio::io::duplex(1 << 16);
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(0);
        let (client, server) =
            tokio::join!(builder.handshake::<_, Bytes>(here), super::builder().handshake::<_, Bytes>(there));
        let ((mut client, connection), mut server) = (client.unwrap(), server.unwrap());
        tokio::spawn(async move { _ = connection.await });
        let (answered, _) =
            client.send_request(Request::get("https://gateway/").body(()).unwrap(), true).unwrap();
        let (_, respond) = server.accept().await.unwrap().unwrap();
        tokio::spawn(async move { while server.accept().await.is_some() {} });
        tokio::spawn(send(std::future::ready(Response::new(answer)), respond));
        let begun = tokio::time::Instant::now();
        let mut body = answered.await.unwrap().into_body();
        let ended = timeout(Duration::from_secs(24 * 3600), body.data()).await.ok()?;
        Some((ended.and_then(|data| data.unwrap_err().reason()), begun.elapsed()))
    }

    #[tokio::test(start_paused = true)]
    async fn rule_130_an_answer_that_is_there_and_is_not_taken_is_given_up() {
        let (reason, after) = end(Body::from("no")).await.expect("an end");
        assert_eq!(reason, Some(Reason::CANCEL));
        assert!((PATIENCE..PATIENCE * 2).contains(&after), "{after:?}");
        let (_, after) = end(Body::from(vec![b'x'; SLOWEST * 100])).await.expect("an end");
        assert!(after >= PATIENCE + Duration::from_secs(100), "there is time for a slow reader: {after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn rule_130_what_is_sent_as_it_comes_may_be_taken_as_slowly() {
        let frames = stream::iter([Ok(Frame::data(Bytes::from_static(b"event")))]);
        let watch = Body::boxed(StreamBody::new(stream::StreamExt::chain(frames, stream::pending())));
        assert_eq!(end(watch).await, None);
    }
}
