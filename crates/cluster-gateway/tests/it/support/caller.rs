//! A client of the server: its own TLS connection for each request, so that tests see connections end.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fake_member::Leaf;

/// Who calls, and how.
#[derive(Clone)]
pub(crate) struct Caller {
    address: SocketAddr,
    roots: Arc<rustls::RootCertStore>,
    certificate: Option<Arc<Leaf>>,
    headers: HeaderMap,
    http2: bool,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Message of a Status; empty if the answer is none.
    pub(crate) fn message(&self) -> String {
        let status: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        status["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Caller {
    pub(crate) fn new(address: SocketAddr, ca: &CertificateDer<'static>) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.clone()).unwrap();
        Self { address, roots: Arc::new(roots), certificate: None, headers: HeaderMap::new(), http2: false }
    }

    pub(crate) fn certificate(mut self, leaf: &Leaf) -> Self {
        self.certificate = Some(Arc::new(leaf.clone()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    /// The same at another address.
    pub(crate) fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "").await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> Answer {
        let response = self.open(method, path, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The answer as soon as its head is there.
    pub(crate) async fn open(&self, method: Method, path: &str, body: &str) -> Response<Incoming> {
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        *request.method_mut() = method;
        *request.headers_mut() = self.headers.clone();
        self.exchange(request, path).await.expect("an answer")
    }

    /// # Errors
    /// If the connection ends without an answer.
    pub(crate) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        path: &str,
    ) -> hyper::Result<Response<Incoming>> {
        let stream = TokioIo::new(self.connect().await);
        if self.http2 {
            *request.uri_mut() = format!("https://localhost{path}").parse().unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            return sender.send_request(request).await;
        }
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert("host", HeaderValue::from_static("localhost"));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await
    }

    /// A TLS connection, for tests that write bytes themselves.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match &self.certificate {
            Some(leaf) => builder.with_client_auth_cert(leaf.chain(), leaf.private_key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![if self.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }

    /// Headers of this caller as text, for tests that write bytes themselves.
    pub(crate) fn head(&self, request_line: &str) -> String {
        let headers = self.headers.iter().fold(String::new(), |text, (name, value)| {
            format!("{text}{name}: {}\r\n", value.to_str().unwrap())
        });
        format!("{request_line}\r\nhost: localhost\r\n{headers}")
    }
}
