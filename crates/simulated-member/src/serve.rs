//! Sockets and connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::faults::Listening;
use crate::handle::{Connection, Handler};
use crate::lifetime::Lifetime;
use crate::respond::Body;

const HANDSHAKE: Duration = Duration::from_secs(10);
const MAX_HEADERS: usize = 1_024;
const MAX_HEADER_BYTES: u32 = 1 << 20;
const MAX_STREAMS: u32 = 250;

/// Everything that the listener needs.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) tls: TlsAcceptor,
    pub(crate) handler: Arc<Handler>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) connections: AtomicU64,
}

impl Server {
    /// Accepts connections until told to stop; closes the port while it is to refuse them.
    pub(crate) async fn run(self: Arc<Self>, listener: TcpListener, mut listening: Listening) {
        let mut listener = Some(listener);
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                changed = listening.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = *listening.wanted.borrow_and_update();
                    listener = self.rebind(listener, wanted).await;
                    listening.bound.send_replace(listener.is_some());
                    continue;
                }
                accepted = accept(listener.as_ref()) => accepted,
            };
            match accepted {
                Ok(stream) => {
                    let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
                    self.tasks.spawn(Arc::clone(&self).connection(stream, number));
                }
                Err(error) => {
                    tracing::warn!(%error, "simulated member: cannot accept a connection; check the limit of open files (ulimit -n)");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn rebind(&self, listener: Option<TcpListener>, wanted: bool) -> Option<TcpListener> {
        if !wanted {
            return None;
        }
        match listener {
            Some(listener) => Some(listener),
            None => match TcpListener::bind(self.address).await {
                Ok(listener) => Some(listener),
                Err(error) => {
                    tracing::error!(%error, address = %self.address, "simulated member: another program took its port while it refused connections");
                    None
                }
            },
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, number: u64) {
        let all = self.handler.faults.connection();
        let reset = all.child_token();
        // A second handle of the same socket: its last bytes are thrown away only when it is to be reset.
        let socket = match SockRef::from(&stream).try_clone() {
            Ok(socket) => socket,
            Err(error) => return tracing::warn!(%error, "simulated member: no handle of a connection"),
        };
        let served = tokio::select! {
            () = self.stop.cancelled() => return,
            () = reset.cancelled() => None,
            served = self.serve(stream, number, reset.clone()) => Some(served),
        };
        match served {
            Some(Err(error)) => tracing::debug!(%error, number, "simulated member: connection ended"),
            Some(Ok(())) => {}
            None => drop(socket.set_linger(Some(Duration::ZERO))),
        }
    }

    async fn serve(&self, stream: TcpStream, number: u64, reset: CancellationToken) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let stream = tokio::time::timeout(HANDSHAKE, self.tls.accept(stream)).await??;
        let session = stream.get_ref().1;
        let certificates = session.peer_certificates().unwrap_or_default().iter();
        let certificates = certificates.map(|certificate| certificate.clone().into_owned()).collect();
        let http2 = session.alpn_protocol() == Some(b"h2");
        let connection = Arc::new(Connection { number, certificates, reset });
        if http2 { self.http2(stream, connection).await } else { self.http1(stream, connection).await }
    }

    async fn http2(&self, stream: TlsStream<TcpStream>, connection: Arc<Connection>) -> io::Result<()> {
        let going_away = self.handler.faults.going_away();
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), self.service(connection));
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            served = serving.as_mut() => return served.map_err(io::Error::other),
            () = going_away.cancelled() => serving.as_mut().graceful_shutdown(),
        }
        serving.await.map_err(io::Error::other)
    }

    async fn http1(&self, stream: TlsStream<TcpStream>, connection: Arc<Connection>) -> io::Result<()> {
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEADER_BYTES as usize)
            .serve_connection(TokioIo::new(stream), self.service(connection))
            .with_upgrades()
            .await
            .map_err(io::Error::other)
    }

    fn service(
        &self,
        connection: Arc<Connection>,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<Body>,
        Error = io::Error,
        Future: Send + 'static,
    > + use<> {
        let handler = Arc::clone(&self.handler);
        let (stop, tasks) = (self.stop.clone(), self.tasks.clone());
        let lifetime = Lifetime { stop, reset: connection.reset.clone(), tasks };
        service_fn(move |mut request: Request<Incoming>| {
            let (handler, connection) = (Arc::clone(&handler), Arc::clone(&connection));
            request.extensions_mut().insert(lifetime.clone());
            async move { handler.handle(&connection, request).await }
        })
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}
