//! An HTTP/2 member that writes every frame itself.

use std::sync::Arc;

use cluster_gateway::transport::{Endpoint, Peer, Transport, TransportOptions, TransportSpec, Verification};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::fake_member::{TestCa, server_config};
use super::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, frame};

/// HPACK of `:status: 200`.
pub(crate) const STATUS_200: &[u8] = &[0x88];

/// A member that the test plays itself, one connection after the other.
pub(crate) struct Raw {
    pub(crate) ca: TestCa,
    listener: TcpListener,
    tls: TlsAcceptor,
}

/// A connection whose preface has been read.
pub(crate) struct Connection(TlsStream<TcpStream>);

impl Raw {
    pub(crate) async fn start() -> Self {
        let ca = TestCa::new("raw");
        let config = server_config(&ca.server(&["127.0.0.1"]), None, &[b"h2"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { ca, listener, tls: TlsAcceptor::from(config) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://{}", self.listener.local_addr().unwrap())
    }

    pub(crate) fn transport(&self, options: TransportOptions) -> Arc<Transport> {
        let port = self.listener.local_addr().unwrap().port();
        let spec = TransportSpec {
            endpoint: Endpoint { tls: true, host: "127.0.0.1".into(), port },
            verification: Verification::Insecure,
            server_name: None,
            client_certificate: None,
            peer: Peer::Member,
        };
        Arc::new(Transport::new(spec, Arc::new(options)))
    }

    pub(crate) async fn accept(&self) -> Connection {
        let (socket, _) = self.listener.accept().await.unwrap();
        let mut stream = self.tls.accept(socket).await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap();
        let mut connection = Connection(stream);
        connection.write(SETTINGS, 0, 0, &[]).await;
        connection
    }
}

impl Connection {
    /// # Errors
    /// If the gateway has closed the connection.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    pub(crate) async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.bytes(&frame(kind, flags, stream, payload)).await.unwrap();
    }

    /// Reads frames until one opens a stream; returns the stream.
    pub(crate) async fn request(&mut self) -> u32 {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            self.0.read_exact(&mut vec![0; length as usize]).await.unwrap();
            if head[3] == HEADERS {
                return u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            }
        }
    }

    pub(crate) async fn answer(&mut self, stream: u32) {
        self.write(HEADERS, END_HEADERS, stream, STATUS_200).await;
        self.write(DATA, END_STREAM, stream, b"answer").await;
    }

    /// Reads until the gateway has closed the connection.
    pub(crate) async fn closed(mut self) {
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }
}
