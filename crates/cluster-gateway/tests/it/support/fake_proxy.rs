//! A proxy on a real socket: HTTP CONNECT and SOCKS5, told apart by the first byte, in clear text or inside TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Names that only the proxy knows end so; they stand for the loopback.
pub(crate) const INSIDE: &str = ".inside.test";

#[derive(Default)]
pub(crate) struct Options {
    /// Speaks TLS.
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// Demands this user and password.
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// Says this to every HTTP request instead of making a tunnel.
    pub(crate) refusal: Option<&'static str>,
}

/// A running proxy; stops when dropped.
pub(crate) struct FakeProxy {
    pub(crate) address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl FakeProxy {
    pub(crate) async fn start(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (targets, options) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(options));
        let seen = Arc::clone(&targets);
        let accepting = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (options, seen) = (Arc::clone(&options), Arc::clone(&seen));
                tokio::spawn(async move {
                    // What a client breaks off is its own affair.
                    let _ = serve(socket, &options, &seen).await;
                });
            }
        });
        Self { address, targets, accepting }
    }

    /// What tunnels were made to so far, as they were asked for.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(socket: TcpStream, options: &Options, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    match options.tls.clone() {
        None => tunnel(socket, options, seen).await,
        Some(tls) => tunnel(TlsAcceptor::from(tls).accept(socket).await?, options, seen).await,
    }
}

async fn tunnel(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    options: &Options,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let socks = stream.fill_buf().await?.first() == Some(&5);
    let target = if socks { socks5(&mut stream, options).await? } else { http(&mut stream, options).await? };
    let Some(target) = target else { return stream.shutdown().await };
    let (host, port) = target.rsplit_once(':').unwrap();
    let host = if host.ends_with(INSIDE) { "127.0.0.1" } else { host };
    let member = TcpStream::connect(format!("{host}:{port}")).await;
    let connected = member.is_ok();
    let answer: &[u8] = match (socks, connected) {
        (true, true) => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        (true, false) => &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
        (false, true) => b"HTTP/1.1 200 Connection established\r\nvia: fake\r\n\r\n",
        (false, false) => b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
    };
    stream.write_all(answer).await?;
    stream.flush().await?;
    if let Ok(mut member) = member {
        seen.lock().unwrap().push(target);
        copy_bidirectional(&mut stream, &mut member).await?;
    }
    Ok(())
}

async fn http<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    options: &Options,
) -> std::io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    if let Some(refusal) = options.refusal {
        stream.write_all(refusal.as_bytes()).await?;
        return Ok(None);
    }
    let login = options.login.map(|(user, password)| {
        let login = STANDARD.encode(format!("{user}:{password}"));
        format!("Proxy-Authorization: Basic {login}\r\n")
    });
    if login.is_some_and(|login| !head.contains(&login)) {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n";
        stream.write_all(answer.as_bytes()).await?;
        return Ok(None);
    }
    Ok(head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).map(str::to_owned))
}

async fn socks5<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    options: &Options,
) -> std::io::Result<Option<String>> {
    stream.read_u8().await?;
    let methods = bytes(stream).await?;
    let method = if options.login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        stream.write_all(&[5, 0xff]).await?;
        return Ok(None);
    }
    stream.write_all(&[5, method]).await?;
    if let Some((user, password)) = options.login {
        stream.read_u8().await?;
        let given = (bytes(stream).await?, bytes(stream).await?);
        let good = given == (user.as_bytes().to_vec(), password.as_bytes().to_vec());
        stream.write_all(&[1, u8::from(!good)]).await?;
        if !good {
            return Ok(None);
        }
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(stream.read_u32().await?).to_string(),
        3 => String::from_utf8(bytes(stream).await?).unwrap(),
        kind => panic!("address type {kind}"),
    };
    Ok(Some(format!("{host}:{}", stream.read_u16().await?)))
}

async fn bytes<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u8().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
