//! Sockets of a fake member.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::pki::{Leaf, TestCa, server_config};
use super::recorder::{Recorder, Request};
use super::routes;

/// What a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocols {
    /// HTTP/2 and HTTP/1.1 over TLS.
    Both,
    /// HTTP/1.1 over TLS.
    Http1,
    /// HTTP/1.1 in clear text.
    Plain,
}

pub(crate) struct Options<'o> {
    pub(crate) protocols: Protocols,
    /// The member's certificate; `None`: a good one of `ca`.
    pub(crate) leaf: Option<Leaf>,
    /// Clients must show a certificate of this CA.
    pub(crate) client_ca: Option<&'o TestCa>,
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub(crate) max_streams: u32,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { protocols: Protocols::Both, leaf: None, client_ca: None, max_streams: 100 }
    }
}

/// A running member; stops when dropped.
pub(crate) struct FakeMember {
    pub(crate) address: SocketAddr,
    pub(crate) ca: TestCa,
    pub(crate) recorder: Arc<Recorder>,
    accepting: JoinHandle<()>,
}

impl FakeMember {
    pub(crate) async fn start(options: Options<'_>) -> Self {
        let ca = TestCa::new("member CA");
        Self::start_with(ca, options).await
    }

    pub(crate) async fn start_with(ca: TestCa, options: Options<'_>) -> Self {
        let leaf = options.leaf.unwrap_or_else(|| ca.server(&["member.test", "localhost", "127.0.0.1"]));
        let alpn: &[&[u8]] = match options.protocols {
            Protocols::Both => &[b"h2", b"http/1.1"],
            Protocols::Http1 | Protocols::Plain => &[b"http/1.1"],
        };
        let tls =
            (options.protocols != Protocols::Plain).then(|| server_config(&leaf, options.client_ca, alpn));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let recorder = Arc::new(Recorder::default());
        let member = Member { recorder: Arc::clone(&recorder), max_streams: options.max_streams };
        let accepting = tokio::spawn(accept(listener, tls, member));
        Self { address, ca, recorder, accepting }
    }

    /// Accepts no more connections.
    pub(crate) async fn stop_accepting(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for FakeMember {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Member {
    recorder: Arc<Recorder>,
    max_streams: u32,
}

async fn accept(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, member: Member) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let number = member.recorder.accepted();
        let (tls, member) = (tls.clone(), member.clone());
        tokio::spawn(async move { member.serve(socket, tls, number).await });
    }
}

impl Member {
    async fn serve(self, socket: TcpStream, tls: Option<Arc<rustls::ServerConfig>>, number: usize) {
        socket.set_nodelay(true).unwrap();
        let Some(tls) = tls else { return self.http1(socket, number, false).await };
        let Ok(stream) = TlsAcceptor::from(tls).accept(socket).await else { return };
        let session = stream.get_ref().1;
        let certificate = session.peer_certificates().is_some();
        if session.alpn_protocol() == Some(b"h2") {
            self.http2(stream, number, certificate).await;
        } else {
            self.http1(stream, number, certificate).await;
        }
    }

    async fn http1(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        number: usize,
        certificate: bool,
    ) {
        let service = service_fn(move |request| self.clone().answer(request, number, certificate));
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.max_headers(1024);
        let _ = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn http2(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        number: usize,
        certificate: bool,
    ) {
        let max_streams = self.max_streams;
        let service = service_fn(move |request| self.clone().answer(request, number, certificate));
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(max_streams).max_header_list_size(1 << 20);
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(
        self,
        request: http::Request<Incoming>,
        connection: usize,
        certificate: bool,
    ) -> Result<http::Response<routes::Body>, std::io::Error> {
        self.recorder.request(Request {
            method: request.method().clone(),
            target: request.uri().path_and_query().unwrap().to_string(),
            authority: request.uri().authority().map(ToString::to_string),
            version: request.version(),
            headers: request.headers().clone(),
            connection,
            certificate,
        });
        routes::answer(request, &self.recorder).await
    }
}
