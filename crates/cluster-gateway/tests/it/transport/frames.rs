//! HTTP/2 members whose every frame the test writes.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::transport::{
    Endpoint, Peer, Route, Transport, TransportError, TransportOptions, TransportSpec, Verification,
};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{get, options};
use crate::support::fake_member::{TestCa, server_config};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
/// HPACK of `:status: 200`.
const STATUS_200: &[u8] = &[0x88];

/// A member that the test plays itself, one connection after the other.
struct Raw {
    listener: TcpListener,
    tls: TlsAcceptor,
}

/// A connection whose preface has been read.
struct Connection(TlsStream<TcpStream>);

impl Raw {
    async fn start() -> Self {
        let ca = TestCa::new("raw");
        let config = server_config(&ca.server(&["127.0.0.1"]), None, &[b"h2"]);
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), tls: TlsAcceptor::from(config) }
    }

    fn transport(&self, options: TransportOptions) -> Arc<Transport> {
        let port = self.listener.local_addr().unwrap().port();
        let spec = TransportSpec {
            endpoint: Endpoint { tls: true, host: "127.0.0.1".into(), port },
            route: Route::default(),
            verification: Verification::Insecure,
            server_name: None,
            client_certificate: None,
            peer: Peer::Member,
        };
        Arc::new(Transport::new(spec, Arc::new(options)))
    }

    async fn accept(&self) -> Connection {
        let (socket, _) = self.listener.accept().await.unwrap();
        let mut stream = self.tls.accept(socket).await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap();
        let mut connection = Connection(stream);
        connection.write(SETTINGS, 0, 0, &[]).await;
        connection
    }
}

impl Connection {
    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Reads frames until one opens a stream; returns the stream.
    async fn request(&mut self) -> u32 {
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

    async fn answer(&mut self, stream: u32) {
        self.write(HEADERS, END_HEADERS, stream, STATUS_200).await;
        self.write(DATA, END_STREAM, stream, b"answer").await;
    }

    /// Reads until the gateway has closed the connection.
    async fn closed(mut self) {
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }
}

fn send(transport: &Arc<Transport>) -> tokio::task::JoinHandle<Result<String, TransportError>> {
    let transport = Arc::clone(transport);
    tokio::spawn(async move { Ok(super::text(transport.send(get("/x")).await?).await) })
}

#[tokio::test]
async fn rule_175_a_stream_that_is_reset_without_an_error_has_not_ended() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = tokio::spawn(async move { transport.send(get("/x")).await.unwrap() });
    let mut connection = raw.accept().await;
    let stream = connection.request().await;
    connection.write(HEADERS, END_HEADERS, stream, STATUS_200).await;
    connection.write(DATA, 0, stream, b"half").await;
    let mut body = sending.await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
    connection.write(RST_STREAM, 0, stream, &[0; 4]).await;
    assert!(body.frame().await.expect("no clean end").is_err());
}

#[tokio::test]
async fn a_request_that_the_member_has_not_looked_at_is_sent_again() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = send(&transport);
    let mut first = raw.accept().await;
    let stream = first.request().await;
    // REFUSED_STREAM, then a GOAWAY whose last stream is an earlier one.
    first.write(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await;
    let again = first.request().await;
    assert!(again > stream);
    first.write(GOAWAY, 0, 0, &[0; 8]).await;
    let mut second = raw.accept().await;
    let stream = second.request().await;
    second.answer(stream).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
}

#[tokio::test]
async fn a_request_that_the_member_may_have_seen_is_not_sent_again() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = send(&transport);
    let mut connection = raw.accept().await;
    let stream = connection.request().await;
    connection.write(RST_STREAM, 0, stream, &2_u32.to_be_bytes()).await;
    assert!(matches!(sending.await.unwrap(), Err(TransportError::Exchange(_))));
    assert_eq!(transport.counters().dials(), 1);
}

#[tokio::test]
async fn rule_129_a_connection_that_says_goodbye_finishes_its_streams_and_takes_no_new_ones() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = send(&transport);
    let mut first = raw.accept().await;
    let stream = first.request().await;
    first.write(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).await;
    let next = send(&transport);
    let mut second = raw.accept().await;
    let other = second.request().await;
    second.answer(other).await;
    assert_eq!(next.await.unwrap().unwrap(), "answer");
    first.answer(stream).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
    first.closed().await;
}

#[tokio::test]
async fn rule_128_a_connection_that_does_not_answer_pings_is_given_up() {
    let raw = Raw::start().await;
    let limit = Duration::from_millis(20);
    let transport =
        raw.transport(TransportOptions { ping_interval: limit, ping_timeout: limit, ..options() });
    let sending = send(&transport);
    let mut connection = raw.accept().await;
    connection.request().await;
    let error = sending.await.unwrap().unwrap_err();
    assert!(matches!(error, TransportError::Exchange(_)), "{error}");
    let next = send(&transport);
    raw.accept().await;
    next.abort();
}

#[tokio::test]
async fn rule_128_the_time_limits_are_those_of_kubernetes() {
    let options = TransportOptions::default();
    let seconds = [
        options.dial_timeout,
        options.tls_handshake_timeout,
        options.ping_interval,
        options.ping_timeout,
        options.idle_timeout,
    ]
    .map(|limit| limit.as_secs());
    assert_eq!((seconds, options.response_header_timeout), ([30, 10, 30, 15, 90], None));
}
