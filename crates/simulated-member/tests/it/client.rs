//! A small HTTPS client that sees more than an ordinary one: which protocol, which certificate, how a body ended.

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use simulated_member::{Identity, Member};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client of one member.
#[derive(Clone)]
pub(crate) struct Client {
    config: Arc<ClientConfig>,
    address: std::net::SocketAddr,
    headers: HeaderMap,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Client {
    /// Speaks HTTP/1.1 and shows no credential.
    pub(crate) fn anonymous(member: &Member) -> Self {
        Self::new(member, None, b"http/1.1")
    }

    /// Speaks HTTP/1.1 and shows a token.
    pub(crate) fn with_token(member: &Member, token: &str) -> Self {
        Self::anonymous(member).header("authorization", &format!("Bearer {token}"))
    }

    /// Speaks HTTP/2 and shows a token.
    pub(crate) fn http2(member: &Member, token: &str) -> Self {
        Self::new(member, None, b"h2").header("authorization", &format!("Bearer {token}"))
    }

    /// Shows a certificate.
    pub(crate) fn with_certificate(member: &Member, identity: &Identity) -> Self {
        Self::new(member, Some(identity), b"http/1.1")
    }

    fn new(member: &Member, identity: Option<&Identity>, protocol: &[u8]) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(member.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain =
                    CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).map(Result::unwrap);
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain.collect(), key).unwrap()
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Self { config: Arc::new(config), address: member.address(), headers: HeaderMap::new() }
    }

    /// Sends one more header with every request.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await.context("connect")?;
        let name = ServerName::try_from("localhost")?;
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await.context("handshake")
    }

    /// Opens an HTTP/2 connection, for several requests.
    pub(crate) async fn connection(&self) -> Result<SendRequest<Full<Bytes>>> {
        let io = TokioIo::new(self.connect().await?);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A request for a connection of [`Client::connection`].
    pub(crate) fn request(&self, target: &str) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::default());
        *request.uri_mut() = format!("https://localhost{target}").parse()?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn send(&self, method: Method, target: &str, body: &str) -> Result<Response<Incoming>> {
        let stream = self.connect().await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let mut request = Request::new(Full::new(Bytes::from(body.to_owned())));
        *request.method_mut() = method;
        *request.headers_mut() = self.headers.clone();
        if http2 {
            *request.uri_mut() = format!("https://localhost{target}").parse()?;
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            return Ok(sender.send_request(request).await?);
        }
        *request.uri_mut() = target.parse()?;
        request.headers_mut().insert("host", "localhost".parse()?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }

    /// Sends a request without a body and reads the answer, which is JSON or text.
    pub(crate) async fn get(&self, target: &str) -> Result<Answer> {
        self.call(Method::GET, target, "").await
    }

    pub(crate) async fn call(&self, method: Method, target: &str, body: &str) -> Result<Answer> {
        let response = self.send(method, target, body).await?;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await?.to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

/// Whether the other side reset the TCP connection.
pub(crate) fn is_reset(error: &anyhow::Error) -> bool {
    let mut causes = error.chain();
    causes.any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionReset)
    })
}
