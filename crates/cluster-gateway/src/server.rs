//! Sockets, TLS and HTTP. It asks for client certificates and never judges them: who someone is, `authn` decides per
//! request (contract rules 54-59).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod tls;

pub use tls::{TlsError, TlsFiles, TlsReloader, self_signed};

use crate::authn::Connection;
use crate::body::Body;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; every failure is an answer too.
    fn handle(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Sizes and times of rule 58.
const MAX_HEADER_BYTES: usize = 1 << 20;
const MAX_HEADERS: usize = 1024;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// hyper counts waiting for the next request as reading its head, so this is Go's idle timeout.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
const TCP_KEEPALIVE: Duration = Duration::from_secs(180);
const MAX_CONCURRENT_STREAMS: u32 = 1000;
const STREAM_WINDOW: u32 = 256 << 10;
/// Many streams share a connection from kube-apiserver: uploads that stall must not stop the others.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// What a reader that has stopped reading may hold in memory, per stream (rule 130).
const SEND_BUFFER: usize = 64 << 10;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// A bound socket and what it needs to serve.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    tls: Arc<TlsReloader>,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(address: SocketAddr, tls: Arc<TlsReloader>) -> std::io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls })
    }

    /// The address that was bound; differs from the one asked for when that had port 0.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts connections until `drain` is cancelled, then closes the socket. Open connections are told to finish
    /// (GOAWAY, `Connection: close`) and live on in `connections`.
    pub async fn serve<H: Handler>(
        self,
        handler: Arc<H>,
        drain: CancellationToken,
        connections: TaskTracker,
    ) {
        loop {
            let accepted = tokio::select! {
                () = drain.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = serve_connection(
                        stream,
                        peer,
                        Arc::clone(&self.tls),
                        Arc::clone(&handler),
                        drain.clone(),
                    );
                    connections.spawn(connection);
                }
                Err(error) => {
                    // Out of file descriptors, mostly; accepting again at once would only spin.
                    tracing::warn!(%error, "cannot accept a connection; check the limit of open files (ulimit -n)");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

async fn serve_connection<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Arc<TlsReloader>,
    handler: Arc<H>,
    drain: CancellationToken,
) {
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(stream, &tls)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!(%peer, "TLS handshake did not end within {HANDSHAKE_TIMEOUT:?}"),
    };
    let session = stream.get_ref().1;
    let http2 = session.alpn_protocol() == Some(b"h2");
    let certificates =
        session.peer_certificates().unwrap_or_default().iter().map(|der| der.clone().into_owned()).collect();
    let connection = Arc::new(Connection::new(peer, certificates));
    let result = if http2 {
        serve_http2(stream, &connection, handler, drain).await
    } else {
        serve_http1(stream, &connection, handler, drain).await
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

async fn handshake(stream: TcpStream, tls: &TlsReloader) -> std::io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(&stream)
        .set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE))?;
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    start.into_stream(tls.config()).await
}

async fn serve_http2<H: Handler>(
    stream: TlsStream<TcpStream>,
    connection: &Arc<Connection>,
    handler: Arc<H>,
    drain: CancellationToken,
) -> hyper::Result<()> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let service = service(connection, handler);
    drive(builder.serve_connection(TokioIo::new(stream), service), connection, &drain).await
}

async fn serve_http1<H: Handler>(
    stream: TlsStream<TcpStream>,
    connection: &Arc<Connection>,
    handler: Arc<H>,
    drain: CancellationToken,
) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    let service = service(connection, handler);
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    drive(serving, connection, &drain).await
}

fn service<H: Handler>(
    connection: &Arc<Connection>,
    handler: Arc<H>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<Body>,
    Error = std::convert::Infallible,
    Future: Send + 'static,
> + Clone
+ use<H> {
    let connection = Arc::clone(connection);
    service_fn(move |request| {
        let answer = Arc::clone(&handler).handle(Arc::clone(&connection), request);
        async move { Ok(answer.await) }
    })
}

/// A connection that can be told to end after its open requests.
trait Graceful: Future<Output = hyper::Result<()>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

type Io = TokioIo<TlsStream<TcpStream>>;

impl<S> Graceful for http1::UpgradeableConnection<Io, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<S> Graceful for http2::Connection<Io, S, TokioExecutor>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    TokioExecutor: hyper::rt::bounds::Http2ServerConnExec<S::Future, Body>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

async fn drive(
    serving: impl Graceful,
    connection: &Connection,
    drain: &CancellationToken,
) -> hyper::Result<()> {
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        result = serving.as_mut() => return result,
        () = drain.cancelled() => {}
        () = connection.closing() => {}
    }
    serving.as_mut().graceful_shutdown();
    serving.await
}
