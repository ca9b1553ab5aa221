//! A client of our own, for what wrk and h2load cannot do: many watches, upgrades, requests that differ from each other.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use e2e::pki::Identity;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection that takes longer is a failure, not a measurement.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The client is never what holds a stream back.
const STREAM_WINDOW: u32 = 16 << 20;
const CONNECTION_WINDOW: u32 = 256 << 20;
const MAX_HEAD: usize = 64 << 10;

/// Opens connections to ports of 127.0.0.1.
#[derive(Clone)]
pub(crate) struct Dialer {
    http2: TlsConnector,
    http1: TlsConnector,
}

impl Dialer {
    /// Trusts one CA (PEM), and shows a client certificate if there is one. Sessions are never resumed.
    pub(crate) fn new(ca: &str, identity: Option<&Identity>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots.add(certificate.context("read a CA")?).context("trust a CA")?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("versions of TLS")?
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
                let chain = chain.collect::<Result<Vec<_>, _>>().context("read a certificate")?;
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).context("read a key")?;
                builder.with_client_auth_cert(chain, key).context("use a certificate")?
            }
        };
        config.resumption = rustls::client::Resumption::disabled();
        let with = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self { http2: with(b"h2"), http1: with(b"http/1.1") })
    }

    /// A connection that speaks HTTP/2, driven by a task of its own until its last handle is dropped.
    pub(crate) async fn http2(&self, port: u16) -> Result<Http2> {
        let stream = connect(&self.http2, port).await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
        let (send, connection) = builder.handshake::<_, Bytes>(stream).await.context("speak HTTP/2")?;
        tokio::spawn(async move {
            // Whatever ends the connection ends its streams, and they say so.
            let _ = connection.await;
        });
        Ok(Http2 { send })
    }

    /// A connection that speaks HTTP/1.1.
    pub(crate) async fn http1(&self, port: u16) -> Result<Http1> {
        Ok(Http1 { stream: connect(&self.http1, port).await? })
    }
}

async fn connect(connector: &TlsConnector, port: u16) -> Result<TlsStream<TcpStream>> {
    let connecting = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        connector.connect(ServerName::try_from("localhost").map_err(std::io::Error::other)?, stream).await
    };
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
    connected.context("no connection in time")?.with_context(|| format!("connect to port {port}"))
}

/// A request without a body.
pub(crate) fn request(method: Method, path: &str, headers: &HeaderMap) -> Result<Request<()>> {
    let uri = format!("https://localhost{path}");
    let mut request =
        Request::builder().method(method).uri(uri).body(()).context("put a request together")?;
    request.headers_mut().clone_from(headers);
    Ok(request)
}

/// One HTTP/2 connection; clones share it.
#[derive(Clone)]
pub(crate) struct Http2 {
    send: SendRequest<Bytes>,
}

/// An answer with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Http2 {
    /// Sends a request as soon as the server allows one more, and returns the answer's head.
    pub(crate) async fn send(
        &self,
        request: Request<()>,
        body: Option<Bytes>,
    ) -> Result<Response<RecvStream>, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut stream) = send.send_request(request, body.is_none())?;
        if let Some(body) = body {
            stream.send_data(body, true)?;
        }
        response.await
    }

    /// Sends a request and reads all of the answer.
    pub(crate) async fn call(&self, request: Request<()>, body: Option<Bytes>) -> Result<Answer, h2::Error> {
        let (head, mut stream) = self.send(request, body).await?.into_parts();
        let mut body = BytesMut::new();
        while let Some(piece) = next(&mut stream).await? {
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: head.status, body: body.freeze() })
    }

    /// Whether it takes another request.
    pub(crate) async fn is_open(&self) -> bool {
        self.send.clone().ready().await.is_ok()
    }

    /// The same for a GET whose every answer but 200 is an error.
    pub(crate) async fn get(&self, path: &str, headers: &HeaderMap) -> Result<Bytes> {
        let answer = self.call(request(Method::GET, path, headers)?, None).await?;
        let text = || String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]).into_owned();
        ensure!(answer.status == StatusCode::OK, "GET {path}: {} {}", answer.status, text());
        Ok(answer.body)
    }
}

/// The next piece of a body; `None` at its end. A stream that was cut off is an error.
pub(crate) async fn next(stream: &mut RecvStream) -> Result<Option<Bytes>, h2::Error> {
    let Some(piece) = stream.data().await.transpose()? else { return Ok(None) };
    stream.flow_control().release_capacity(piece.len())?;
    Ok(Some(piece))
}

/// One HTTP/1.1 connection, one request at a time.
pub(crate) struct Http1 {
    stream: TlsStream<TcpStream>,
}

impl Http1 {
    /// Sends a GET with these header lines (each with its line end) and reads an answer that has a length.
    pub(crate) async fn get(&mut self, path: &str, lines: &str) -> Result<usize> {
        let head = self.head(path, lines).await?;
        ensure!(head.starts_with("http/1.1 200 "), "GET {path}: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("an answer without a length")?.parse().context("a length")?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.context("read a body")?;
        Ok(length)
    }

    /// Asks for another protocol; from then on the bytes are the caller's.
    pub(crate) async fn upgrade(&mut self, path: &str, lines: &str) -> Result<String> {
        let head = self.head(path, lines).await?;
        ensure!(head.starts_with("http/1.1 101 "), "GET {path}: {head}");
        Ok(head)
    }

    /// Sends bytes and reads as many.
    pub(crate) async fn echo(&mut self, bytes: &[u8], back: &mut [u8]) -> Result<()> {
        self.write(bytes).await?;
        self.stream.read_exact(back).await.context("read an echo")?;
        Ok(())
    }

    /// Sends bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("write")?;
        self.stream.flush().await.context("write")
    }

    /// Reads exactly so many bytes.
    pub(crate) async fn read(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.stream.read_exact(bytes).await.context("read")?;
        Ok(())
    }

    /// Ends the connection without the wait in which its port would stay taken.
    pub(crate) fn reset(self) -> Result<()> {
        let socket = socket2::SockRef::from(self.stream.get_ref().0);
        socket.set_linger(Some(Duration::ZERO)).context("set an option of a socket")
    }

    /// The answer's head, in lower case.
    async fn head(&mut self, path: &str, lines: &str) -> Result<String> {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n").as_bytes()).await?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head must stay unread, and TLS has buffered it anyway.
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.context("read a head")?);
            if head.len() > MAX_HEAD {
                bail!("a head without end");
            }
        }
        Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
    }
}
