//! Sockets, TLS and HTTP. It asks for client certificates and never judges them: who someone is, `authn` decides per
//! request (contract rules 54-59).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod framing;
mod http2;
mod tls;
mod uploads;
mod usage;

use framing::Framing;
pub use tls::{TlsError, TlsFiles, TlsReloader, self_signed};

use crate::authn::Connection;
use crate::body::Body;
use crate::io::CAPACITY;
use crate::limits::MAX_HEADERS;

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; every failure is an answer too.
    fn handle(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: Request<Body>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// Sizes and times of rule 58. Go's limit has some room above the megabyte for the request line and the like; HTTP/2
/// counts 32 bytes more per header.
const MAX_HEADER_BYTES: usize = (1 << 20) + (MAX_HEADERS * 32) + (8 << 10);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// hyper counts waiting for the next request as reading its head, so this is Go's idle timeout.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
const TCP_KEEPALIVE: Duration = Duration::from_secs(180);

/// A bound socket and what it needs to serve.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    tls: Option<Arc<TlsReloader>>,
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(address: SocketAddr, tls: Arc<TlsReloader>) -> std::io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls: Some(tls) })
    }

    /// Binds `address` for HTTP/1.1 without TLS: whoever is on the way reads and changes everything.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind_insecure(address: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, tls: None })
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
                    let connection =
                        serve_connection(stream, peer, self.tls.clone(), Arc::clone(&handler), drain.clone());
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
    tls: Option<Arc<TlsReloader>>,
    handler: Arc<H>,
    drain: CancellationToken,
) {
    let Some(tls) = tls else {
        let connection = Arc::new(Connection::new(peer, Vec::new()));
        if let Err(error) = serve_http1(stream, &connection, handler, &drain).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
        return;
    };
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
    if http2 {
        if let Err(error) = http2::serve(stream, &connection, handler, &drain).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    } else if let Err(error) = serve_http1(stream, &connection, handler, &drain).await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// rustls reads a record in two system calls, its head and its payload; the buffer makes one of many records.
type Stream = TlsStream<BufReader<TcpStream>>;

async fn handshake(stream: TcpStream, tls: &TlsReloader) -> std::io::Result<Stream> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(&stream)
        .set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(TCP_KEEPALIVE))?;
    let stream = BufReader::with_capacity(CAPACITY, stream);
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
    start.into_stream(tls.config()).await
}

async fn serve_http1<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: &Arc<Connection>,
    handler: Arc<H>,
    drain: &CancellationToken,
) -> hyper::Result<()> {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(MAX_HEADER_BYTES)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    let service = {
        let connection = Arc::clone(connection);
        service_fn(move |request: Request<Incoming>| {
            let framing = Framing::of(request.headers());
            let answer = framing.is_known().then(|| {
                Box::pin(Arc::clone(&handler).handle(Arc::clone(&connection), request.map(Body::from)))
            });
            async move {
                let response = match answer {
                    Some(answer) => answer.await,
                    None => framing::refusal(),
                };
                Ok::<_, Infallible>(framing.finish(response))
            }
        })
    };
    let serving = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        result = serving.as_mut() => return result,
        () = drain.cancelled() => {}
        () = connection.closing() => {}
    }
    serving.as_mut().graceful_shutdown();
    serving.await
}
