//! A member of our own for what nginx cannot play: it keeps watches open and tells all of them of an event at once, and it
//! gives back what it gets on connections that have been upgraded. It also reads what is uploaded.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a kube-apiserver allows.
const MAX_STREAMS: u32 = 250;
const MAX_HEAD: usize = 64 << 10;
const MAX_BODY: usize = 4 << 20;
/// Uploads are not to wait for it.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Paths whose answer has no end.
pub(in super::super) const WATCH: &str = "/api/v1/pods?watch=true";

/// Ends with the runtime that it was started on.
pub(in super::super) struct Stub {
    /// For HTTP/2 and for HTTP/1.1.
    pub(super) ports: [u16; 2],
    bell: watch::Sender<u64>,
}

impl Stub {
    pub(super) async fn start(directory: &Path) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(directory.join("tls.crt")).context("open a certificate")?;
        let chain = chain.collect::<Result<Vec<_>, _>>().context("read a certificate")?;
        let key = PrivateKeyDer::from_pem_file(directory.join("tls.key")).context("read a key")?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("versions of TLS")?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .context("use a certificate")?;
        let (bell, _) = watch::channel(0);
        let mut ports = [0; 2];
        for (port, protocol) in ports.iter_mut().zip([b"h2".as_slice(), b"http/1.1"]) {
            config.alpn_protocols = vec![protocol.to_vec()];
            let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
            *port = listener.local_addr().context("a port")?.port();
            let acceptor = TlsAcceptor::from(Arc::new(config.clone()));
            tokio::spawn(accept(listener, acceptor, bell.clone()));
        }
        Ok(Self { ports, bell })
    }

    /// Something happens that every watch is told.
    pub(in super::super) fn ring(&self) {
        self.bell.send_modify(|count| *count += 1);
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    bell: watch::Sender<u64>,
) -> Result<Infallible> {
    loop {
        let stream = listener.accept().await.context("accept")?.0;
        let (acceptor, bell) = (acceptor.clone(), bell.subscribe());
        tokio::spawn(async move {
            stream.set_nodelay(true)?;
            let stream = acceptor.accept(stream).await?;
            match stream.get_ref().1.alpn_protocol() {
                Some(b"h2") => http2(stream, bell).await,
                _ => http1(stream, bell).await,
            }
        });
    }
}

async fn http2(stream: TlsStream<TcpStream>, bell: watch::Receiver<u64>) -> Result<()> {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(MAX_STREAMS);
    builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let mut connection = builder.handshake::<_, Bytes>(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let bell = bell.clone();
        tokio::spawn(async move {
            // Whoever has gone needs no answer.
            let _ = answer(request, respond, bell).await;
        });
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    mut bell: watch::Receiver<u64>,
) -> Result<()> {
    let head = Response::builder().header("content-type", "application/json");
    if request.uri().query().is_none() {
        let mut body = request.into_body();
        while crate::wire::next(&mut body).await?.is_some() {}
        let mut stream = respond.send_response(head.body(())?, false)?;
        return Ok(stream.send_data(object(), true)?);
    }
    let mut stream = respond.send_response(head.body(())?, false)?;
    loop {
        stream.send_data(event(*bell.borrow_and_update()), false)?;
        let gone = std::future::poll_fn(|context| stream.poll_reset(context));
        tokio::select! {
            rung = bell.changed() => rung?,
            _ = gone => return Ok(()),
        }
    }
}

async fn http1(mut stream: TlsStream<TcpStream>, mut bell: watch::Receiver<u64>) -> Result<()> {
    loop {
        let head = head(&mut stream).await?;
        if head.contains("\r\nupgrade:") {
            stream
                .write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
                )
                .await?;
            return echo(stream).await;
        }
        if !head.lines().next().is_some_and(|line| line.contains("watch=true")) {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            stream.read_exact(&mut vec![0; length.unwrap_or(0).min(MAX_BODY)]).await?;
            let object = object();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                object.len()
            );
            stream.write_all(&[head.as_bytes(), &object].concat()).await?;
            continue;
        }
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            )
            .await?;
        loop {
            let event = event(*bell.borrow_and_update());
            let chunk = [format!("{:x}\r\n", event.len()).as_bytes(), &event, b"\r\n"].concat();
            stream.write_all(&chunk).await?;
            tokio::select! {
                rung = bell.changed() => rung?,
                _ = stream.read_u8() => return Ok(()),
            }
        }
    }
}

async fn head(stream: &mut TlsStream<TcpStream>) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).to_ascii_lowercase())
}

async fn echo(mut stream: TlsStream<TcpStream>) -> Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
        stream.flush().await?;
    }
}

/// 1 KiB, as everywhere.
fn object() -> Bytes {
    format!("{{\"data\":\"{}\"}}", "x".repeat(1024 - 11)).into()
}

/// A line of a watch, of a usual size.
fn event(number: u64) -> Bytes {
    let filler = "x".repeat(400);
    format!("{{\"type\":\"MODIFIED\",\"object\":{{\"kind\":\"Pod\",\"number\":{number},\"data\":\"{filler}\"}}}}\n").into()
}
