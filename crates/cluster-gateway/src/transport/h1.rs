//! HTTP/1.1 connections: one request at a time, kept for the next one once the answer has been read to its end.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{HeaderValue, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::dial::Purpose;
use super::options::OpenConnection;
use super::patient::Patient;
use super::pool::Pool;
use super::stream::Stream;
use super::{Again, Failure, TransportError, copy};
use crate::body::Body;

/// Headers of one answer. Room for so many is made anew for each, so a thousand cost as much as all else that is done with
/// its head.
const MAX_HEADERS: usize = 256;
/// Bytes of the head of one answer (rule 188).
const MAX_HEAD: usize = 1024 * 1024;
/// How long a connection that nobody needs any more may take to end by itself: a member that does not read an upload
/// would keep it for ever.
const LINGER: Duration = Duration::from_secs(1);

/// An HTTP/1.1 connection that nobody else uses.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Body>,
    /// It has carried a request before.
    used: bool,
    /// Tells the connection's task when nobody needs it any more.
    _needed: oneshot::Sender<Infallible>,
}

impl Connection {
    /// Starts HTTP/1.1 on `stream`.
    pub(super) async fn start(
        stream: Stream,
        open: OpenConnection,
        pool: &Arc<Pool>,
    ) -> Result<Self, TransportError> {
        let (sender, connection) = builder()
            .handshake(TokioIo::new(Patient::of_answers(stream)))
            .await
            .map_err(|error| TransportError::exchange(pool.spec(), &error))?;
        let (needed, unneeded) = oneshot::channel();
        tokio::spawn(async move {
            let given_up = async {
                let _ = unneeded.await;
                sleep(LINGER).await;
            };
            tokio::select! {
                result = connection => if let Err(error) = result {
                    tracing::debug!(%error, "HTTP/1.1 connection to a member ended");
                },
                () = given_up => tracing::debug!("a member does not read; its connection is given up"),
            }
            drop(open);
        });
        Ok(Self { sender, used: false, _needed: needed })
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
    builder
}

/// Gives the request the form that HTTP/1.1 wants: path only, and the target in `Host` (rules 145, 196).
fn address(request: &mut Request<Body>, host: &HeaderValue) {
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    }
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().insert(header::HOST, host.clone());
}

/// Sends a request on `connection`, which goes back to the pool when the answer's body has ended.
pub(super) async fn send(
    mut connection: Connection,
    pool: &Arc<Pool>,
    mut request: Request<Body>,
) -> Result<Response<Body>, Failure> {
    address(&mut request, pool.host());
    let limit = pool.options().header_timeout(request.extensions());
    let repeatable = connection.used && request.method().is_safe();
    let copy = if repeatable { copy(&request) } else { None };
    let answer = pool.within_header_timeout(limit, connection.sender.try_send_request(request)).await?;
    match answer {
        Ok(response) => {
            let returned = Return { pool: Arc::downgrade(pool), connection: Some(connection) };
            Ok(response.map(|incoming| Body::from(incoming).holding(returned)))
        }
        Err(mut failure) => {
            let unsent = failure.take_message().map(|request| Again::Unsent(Box::new(request)));
            let error = failure.into_error();
            let lost = || copy.filter(|_| is_lost(&error)).map(|copy| Again::Lost(Box::new(copy)));
            let again = unsent.or_else(lost);
            Err(Failure { error: TransportError::exchange(pool.spec(), &error), again })
        }
    }
}

/// Whether the connection ended before an answer began, as it does when the member closes an idle one in the same moment
/// in which a request sets out.
fn is_lost(error: &hyper::Error) -> bool {
    let broken = || error.source().is_some_and(|cause| cause.downcast_ref::<io::Error>().is_some());
    error.is_incomplete_message() || error.is_closed() || broken()
}

/// Brings a connection back. If the body was given up, the connection never gets ready again and is closed by its
/// task; the pool looks before it lends.
struct Return {
    pool: Weak<Pool>,
    connection: Option<Connection>,
}

impl Drop for Return {
    fn drop(&mut self) {
        if let (Some(pool), Some(connection)) = (self.pool.upgrade(), self.connection.take()) {
            pool.bring_back(Connection { used: true, ..connection });
        }
    }
}

/// Sends an upgrade request on a connection of its own.
pub(super) async fn upgrade(
    pool: &Arc<Pool>,
    mut request: Request<Body>,
) -> Result<Response<Incoming>, TransportError> {
    pool.breaker().admit()?;
    let dialed = pool.dial(Purpose::Upgrade).await?;
    address(&mut request, pool.host());
    let broken = |error: &hyper::Error| TransportError::exchange(pool.spec(), error);
    let stream = Patient::of_streams(dialed.stream);
    let (mut sender, connection) =
        builder().handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "upgrade connection to a member ended");
        }
    });
    let limit = pool.options().upgrade_header_timeout;
    timeout(limit, sender.send_request(request))
        .await
        .map_err(|_| TransportError::header_timeout(pool.spec(), limit))?
        .map_err(|error| broken(&error))
}
