//! HTTP/2 members whose every frame the test writes.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::body::{Body, BodyError};
use cluster_gateway::transport::{
    Endpoint, Peer, Route, Transport, TransportError, TransportOptions, TransportSpec, Verification,
};
use http::{Method, Request};
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{get, in_time, options};
use crate::support::fake_member::{TestCa, server_config};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
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

    fn transport(&self, options: TransportOptions) -> Arc<Transport> {
        let port = self.listener.local_addr().unwrap().port();
        let spec = TransportSpec {
            endpoint: Endpoint { tls: true, host: "127.0.0.1".into(), port },
            route: Route::Direct,
            verification: Verification::Insecure,
            server_name: None,
            client_certificate: None,
            peer: Peer::Member,
        };
        Arc::new(Transport::new(spec, Arc::new(options)))
    }

    pub(crate) async fn accept(&self) -> Connection {
        self.accept_with(&[]).await
    }

    /// With the payload of the SETTINGS frame.
    async fn accept_with(&self, settings: &[u8]) -> Connection {
        let (socket, _) = in_time(self.listener.accept()).await.unwrap();
        let mut stream = self.tls.accept(socket).await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap();
        let mut connection = Connection(stream);
        connection.write(SETTINGS, 0, 0, settings).await;
        connection
    }
}

/// SETTINGS of a member that takes one stream at a time.
const ONE_STREAM: &[u8] = &[0, 3, 0, 0, 0, 1];

impl Connection {
    /// # Errors
    /// If the gateway has closed the connection.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    async fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Kind, stream and payload of the next frame.
    async fn frame(&mut self) -> (u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        in_time(self.0.read_exact(&mut head)).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.unwrap();
        (head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
    }

    /// Reads frames until one of this kind comes; returns its stream and payload.
    async fn find(&mut self, wanted: u8) -> (u32, Vec<u8>) {
        loop {
            let (kind, stream, payload) = self.frame().await;
            if kind == wanted {
                return (stream, payload);
            }
        }
    }

    /// Reads frames until one opens a stream; returns the stream.
    pub(crate) async fn request(&mut self) -> u32 {
        self.find(HEADERS).await.0
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

type Sending = tokio::task::JoinHandle<Result<String, TransportError>>;

fn send(transport: &Arc<Transport>) -> Sending {
    send_as(transport, Method::GET)
}

fn send_as(transport: &Arc<Transport>, method: Method) -> Sending {
    let transport = Arc::clone(transport);
    let mut request = get("/x");
    *request.method_mut() = method;
    tokio::spawn(async move { Ok(super::text(transport.send(request).await?).await) })
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
async fn a_connection_that_breaks_under_many_fails_nobody_who_changes_nothing() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let reading = send(&transport);
    let mut first = raw.accept().await;
    first.request().await;
    drop(first);
    let mut second = raw.accept().await;
    let stream = second.request().await;
    second.answer(stream).await;
    assert_eq!(reading.await.unwrap().unwrap(), "answer");

    // What may have changed something is not done twice.
    let mut write = get("/");
    *write.method_mut() = http::Method::DELETE;
    let sender = Arc::clone(&transport);
    let writing = tokio::spawn(async move { sender.send(write).await.map(drop) });
    second.request().await;
    drop(second);
    assert!(matches!(writing.await.unwrap(), Err(TransportError::Exchange(_))));
    assert_eq!(transport.counters().dials(), 2);
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
    assert_eq!(transport.consecutive_failures(), 1, "the breaker is told");
    let next = send(&transport);
    raw.accept().await;
    next.abort();
}

#[tokio::test]
async fn rule_128_the_time_limits_are_those_of_kubernetes_or_shorter() {
    let options = TransportOptions::default();
    let limits = [
        options.dial_timeout,
        options.tls_handshake_timeout,
        options.idle_timeout,
        // Sooner than the servers and load balancers that close after 60 s.
        options.http1_idle_timeout,
    ];
    assert_eq!(limits.map(|limit| limit.as_secs()), [30, 10, 90, 50]);
    // kube-apiserver gives up after 60 s and says why.
    assert_eq!(options.response_header_timeout, Some(Duration::from_secs(65)));
    // Kubernetes' 30 s and 15 s notice a peer that has vanished after 45 s; less than 10 s are wanted. The silence before
    // the ping may be half as long again as the interval.
    let noticed = options.ping_interval * 3 / 2 + options.ping_timeout;
    assert!(noticed < Duration::from_secs(10), "{noticed:?}");
    assert!(options.ping_timeout >= Duration::from_secs(3), "a pause of a member is not its end");
    assert!(options.unacknowledged_timeout < Duration::from_secs(10));
}

#[tokio::test]
async fn rule_129_after_a_goaway_only_what_changes_nothing_is_sent_again() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let raw = Raw::start().await;
        let transport = raw.transport(options());
        let sending = send_as(&transport, method.clone());
        let mut connection = raw.accept().await;
        connection.request().await;
        connection.write(GOAWAY, 0, 0, &[0; 8]).await;
        let error = sending.await.unwrap().unwrap_err();
        assert!(matches!(error, TransportError::Exchange(_)), "{method}: {error}");
        assert_eq!(transport.counters().dials(), 1, "{method}");
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let raw = Raw::start().await;
        let transport = raw.transport(options());
        let sending = send_as(&transport, method.clone());
        let mut first = raw.accept().await;
        first.request().await;
        first.write(GOAWAY, 0, 0, &[0; 8]).await;
        let mut second = raw.accept().await;
        let stream = second.request().await;
        second.write(HEADERS, END_HEADERS | END_STREAM, stream, STATUS_200).await;
        assert!(sending.await.unwrap().is_ok(), "{method}");
    }
}

#[tokio::test]
async fn rule_129_a_refused_stream_is_opened_again_whatever_it_asks() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = send_as(&transport, Method::DELETE);
    let mut connection = raw.accept().await;
    let stream = connection.request().await;
    connection.write(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await;
    let again = connection.request().await;
    connection.answer(again).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
}

/// An API server behind a balancer says goodbye on all its connections at once.
#[tokio::test(flavor = "multi_thread")]
async fn rule_129_many_goodbyes_at_once_fail_no_request_that_was_not_sent() {
    const MANY: usize = 12;
    for round in 0..5 {
        let raw = Raw::start().await;
        let transport = raw.transport(options());
        let sending: Vec<_> = (0..MANY).map(|_| send(&transport)).collect();
        let mut connections = Vec::new();
        for _ in 0..MANY {
            let mut connection = raw.accept_with(ONE_STREAM).await;
            let stream = connection.request().await;
            connections.push((connection, stream));
        }
        for (connection, stream) in &mut connections {
            connection.answer(*stream).await;
        }
        for sending in sending {
            assert_eq!(sending.await.unwrap().unwrap(), "answer");
        }
        let saying = connections.into_iter().map(|(mut connection, stream)| {
            tokio::spawn(async move {
                connection.write(GOAWAY, 0, 0, &[&stream.to_be_bytes()[..], &[0; 4]].concat()).await;
                connection.closed().await;
            })
        });
        let saying: Vec<_> = saying.collect();
        // Deletes: sent again only if they have not left.
        let sending: Vec<_> = (0..MANY).map(|_| send_as(&transport, Method::DELETE)).collect();
        let answering = tokio::spawn(async move {
            loop {
                let mut connection = raw.accept().await;
                tokio::spawn(async move {
                    loop {
                        let stream = connection.request().await;
                        connection.answer(stream).await;
                    }
                });
            }
        });
        for sending in sending {
            match sending.await.unwrap() {
                Ok(text) => assert_eq!(text, "answer"),
                // It had left when the goodbye came.
                Err(TransportError::Exchange(text)) => {
                    assert!(text.contains("may have acted"), "{round}: {text}")
                }
                Err(other) => panic!("{round}: {other}"),
            }
        }
        for saying in saying {
            saying.await.unwrap();
        }
        answering.abort();
    }
}

/// Sizes of the windows of a connection: of a stream, and of all together.
async fn windows(connection: &mut Connection) -> (u64, u64) {
    let (_, settings) = connection.find(SETTINGS).await;
    let mut values = settings.chunks(6).map(|setting| {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        (number(&setting[..2]), number(&setting[2..]))
    });
    let stream = values.find(|(name, _)| *name == 4).expect("SETTINGS_INITIAL_WINDOW_SIZE").1;
    let (id, update) = connection.find(WINDOW_UPDATE).await;
    assert_eq!(id, 0);
    let update = u32::from_be_bytes([update[0], update[1], update[2], update[3]]);
    (stream, 65_535 + u64::from(update))
}

#[tokio::test]
async fn rule_130_every_stream_of_a_connection_can_fill_its_own_window() {
    let raw = Raw::start().await;
    let sending = send(&raw.transport(options()));
    let mut connection = raw.accept().await;
    let (stream, all) = windows(&mut connection).await;
    assert_eq!(stream, 256 << 10);
    assert!(all >= stream * 250, "{all} bytes for 250 streams of {stream}");
    sending.abort();
}

/// h2 ends a connection on which frames of a few bytes pile up, counting 256 bytes for each.
#[tokio::test]
async fn rule_130_one_reader_who_stands_still_before_tiny_frames_does_not_end_the_connection() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let stalled = tokio::spawn({
        let transport = Arc::clone(&transport);
        async move { transport.send(get("/x")).await.unwrap() }
    });
    let mut connection = raw.accept().await;
    let stream = connection.request().await;
    connection.write(HEADERS, END_HEADERS, stream, STATUS_200).await;
    let stalled = stalled.await.unwrap();
    let mut frames = Vec::new();
    for _ in 0..256 << 10 {
        frames.extend_from_slice(&[0, 0, 1, DATA, 0]);
        frames.extend_from_slice(&stream.to_be_bytes());
        frames.push(b'x');
    }
    connection.0.write_all(&frames).await.unwrap();
    connection.0.flush().await.unwrap();
    let sending = send(&transport);
    let other = connection.request().await;
    connection.answer(other).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
    assert_eq!(transport.counters().dials(), 1);
    drop(stalled);
}

/// Many share the connection, and a server that counts frames of a few bytes would end it for all.
#[tokio::test]
async fn rule_126_tiny_frames_of_an_upload_reach_the_member_joined() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let frames =
        (0..50_000).map(|_| Ok::<_, BodyError>(http_body::Frame::data(bytes::Bytes::from_static(b"x"))));
    let body = Body::boxed(StreamBody::new(futures_util::stream::iter(frames)));
    let sending = tokio::spawn(async move { transport.send(Request::post("/x").body(body).unwrap()).await });
    let mut connection = raw.accept().await;
    connection.request().await;
    let mut received = Vec::new();
    while received.iter().sum::<usize>() < 50_000 {
        received.push(connection.find(DATA).await.1.len());
    }
    assert!(received.len() < 50, "{} frames", received.len());
    sending.abort();
}

/// A body without end, of which the member takes what its window holds.
fn endless() -> Body {
    let frames = futures_util::stream::repeat_with(|| {
        Ok::<_, BodyError>(http_body::Frame::data(bytes::Bytes::from_static(&[b'u'; 16 << 10])))
    });
    Body::boxed(StreamBody::new(frames))
}

#[tokio::test]
async fn rule_176_an_upload_that_the_member_does_not_read_ends_with_its_client() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = tokio::spawn({
        let transport = Arc::clone(&transport);
        async move { transport.send(Request::post("/x").body(endless()).unwrap()).await.unwrap() }
    });
    let mut connection = raw.accept_with(ONE_STREAM).await;
    let stream = connection.request().await;
    connection.write(HEADERS, END_HEADERS, stream, STATUS_200).await;
    drop(sending.await.unwrap());
    let (reset, reason) = connection.find(RST_STREAM).await;
    assert_eq!((reset, reason), (stream, 8_u32.to_be_bytes().to_vec()), "CANCEL");
    // Its place is free: the member takes one stream at a time.
    let sending = send(&transport);
    let next = connection.request().await;
    connection.answer(next).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
}

#[tokio::test]
async fn rule_176_an_upload_ends_with_its_whole_answer() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let sending = tokio::spawn({
        let transport = Arc::clone(&transport);
        async move {
            let response = transport.send(Request::post("/x").body(endless()).unwrap()).await?;
            Ok::<_, TransportError>(super::text(response).await)
        }
    });
    let mut connection = raw.accept_with(ONE_STREAM).await;
    let stream = connection.request().await;
    connection.answer(stream).await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
    assert_eq!(connection.find(RST_STREAM).await.0, stream);
}

#[tokio::test]
async fn rule_174_an_upload_goes_on_while_its_answer_does() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let (sender, receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        let data = receiver.recv().await?;
        Some((Ok::<_, BodyError>(http_body::Frame::data(data)), receiver))
    });
    let request = Request::post("/x").body(Body::boxed(StreamBody::new(frames))).unwrap();
    let sending = tokio::spawn(async move { transport.send(request).await.unwrap() });
    let mut connection = raw.accept().await;
    let stream = connection.request().await;
    connection.write(HEADERS, END_HEADERS, stream, STATUS_200).await;
    let response = sending.await.unwrap();
    for part in ["one", "two"] {
        sender.send(bytes::Bytes::from(part)).await.unwrap();
        assert_eq!(connection.find(DATA).await, (stream, part.as_bytes().to_vec()));
    }
    drop(sender);
    assert_eq!(connection.find(DATA).await, (stream, Vec::new()), "the upload ends cleanly");
    drop(response);
}
