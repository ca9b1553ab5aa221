//! HTTP/1.1 members that the test plays itself, in clear text.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::body::{Body, BodyError};
use cluster_gateway::transport::{
    Endpoint, Peer, Transport, TransportError, TransportOptions, TransportSpec, Verification,
};
use http::{Method, Request};
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{get, in_time, options, text};

struct Raw(TcpListener);

/// A connection to the member.
struct Connection(TcpStream);

impl Raw {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn transport(&self, options: TransportOptions) -> Arc<Transport> {
        let port = self.0.local_addr().unwrap().port();
        let spec = TransportSpec {
            endpoint: Endpoint { tls: false, host: "127.0.0.1".into(), port },
            route: cluster_gateway::transport::Route::Direct,
            verification: Verification::Insecure,
            server_name: None,
            client_certificate: None,
            peer: Peer::Member,
        };
        Arc::new(Transport::new(spec, Arc::new(options)))
    }

    async fn accept(&self) -> Connection {
        Connection(in_time(self.0.accept()).await.unwrap().0)
    }
}

impl Connection {
    /// The head of the next request.
    async fn request(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(in_time(self.0.read_u8()).await.expect("a head"));
        }
        String::from_utf8(head).unwrap()
    }

    async fn answer(&mut self) {
        self.0.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswer").await.unwrap();
    }
}

type Sending = JoinHandle<Result<String, TransportError>>;

fn send(transport: &Arc<Transport>, request: Request<Body>) -> Sending {
    let transport = Arc::clone(transport);
    tokio::spawn(async move { Ok(text(transport.send(request).await?).await) })
}

/// Connections that have each carried one request and wait for another.
async fn used(raw: &Raw, transport: &Arc<Transport>, number: usize) -> Vec<Connection> {
    let sending: Vec<_> = (0..number).map(|_| send(transport, get("/first"))).collect();
    let mut connections = Vec::new();
    for _ in 0..number {
        let mut connection = raw.accept().await;
        connection.request().await;
        connections.push(connection);
    }
    for connection in &mut connections {
        connection.answer().await;
    }
    for sending in sending {
        assert_eq!(sending.await.unwrap().unwrap(), "answer");
    }
    connections
}

/// Takes the next request on whichever connection it comes, and closes that one without an answer.
async fn lose(connections: &mut Vec<Connection>) {
    let reads = connections.iter_mut().map(|connection| Box::pin(connection.request()));
    let (_, index, rest) = futures_util::future::select_all(reads).await;
    drop(rest);
    connections.remove(index);
}

#[tokio::test]
async fn a_request_that_meets_the_close_of_an_idle_connection_is_sent_on_a_new_one() {
    for number in [1, 5] {
        let raw = Raw::start().await;
        let transport = raw.transport(options());
        let mut connections = used(&raw, &transport, number).await;
        let sending = send(&transport, get("/second"));
        lose(&mut connections).await;
        // The other idle ones may be closing, too.
        let mut fresh = raw.accept().await;
        assert!(fresh.request().await.starts_with("GET /second HTTP/1.1\r\n"));
        fresh.answer().await;
        assert_eq!(sending.await.unwrap().unwrap(), "answer");
        assert_eq!(transport.counters().dials(), number as u64 + 1);
    }
}

#[tokio::test]
async fn a_request_that_may_change_something_or_has_a_body_is_lost_with_its_connection() {
    let body = || Body::from("body");
    for (method, body) in [
        (Method::POST, Body::empty()),
        (Method::PUT, Body::empty()),
        (Method::PATCH, body()),
        (Method::DELETE, Body::empty()),
        (Method::GET, body()),
    ] {
        let raw = Raw::start().await;
        let transport = raw.transport(options());
        let mut connections = used(&raw, &transport, 1).await;
        let request = Request::builder().method(&method).uri("/second").body(body).unwrap();
        let sending = send(&transport, request);
        lose(&mut connections).await;
        let error = sending.await.unwrap().unwrap_err();
        assert!(
            matches!(&error, TransportError::Exchange(text) if text.contains("may have acted")),
            "{method}: {error}"
        );
        assert_eq!(transport.counters().dials(), 1, "{method}");
    }
}

#[tokio::test]
async fn a_request_is_not_sent_for_ever_to_a_member_that_answers_nothing() {
    let raw = Raw::start().await;
    let transport = raw.transport(options());
    let mut connections = used(&raw, &transport, 1).await;
    let sending = send(&transport, get("/second"));
    lose(&mut connections).await;
    lose(&mut vec![raw.accept().await]).await;
    assert!(matches!(sending.await.unwrap(), Err(TransportError::Exchange(_))));
    assert_eq!(transport.counters().dials(), 2, "a new connection that breaks is no race");
}

#[tokio::test]
async fn rule_128_an_http1_connection_is_not_used_again_after_its_time() {
    let raw = Raw::start().await;
    let limit = Duration::from_millis(20);
    let transport = raw.transport(TransportOptions { http1_idle_timeout: limit, ..options() });
    let _old = used(&raw, &transport, 1).await;
    tokio::time::sleep(limit).await;
    let sending = send(&transport, get("/second"));
    let mut fresh = raw.accept().await;
    fresh.request().await;
    fresh.answer().await;
    assert_eq!(sending.await.unwrap().unwrap(), "answer");
}

#[tokio::test]
async fn rule_176_an_upload_that_the_member_does_not_read_leaves_no_connection_behind() {
    let raw = Raw::start().await;
    let limit = Duration::from_millis(50);
    let transport =
        raw.transport(TransportOptions { idle_timeout: limit, http1_idle_timeout: limit, ..options() });
    let frames = futures_util::stream::repeat_with(|| {
        Ok::<_, BodyError>(http_body::Frame::data(bytes::Bytes::from_static(&[b'u'; 16 << 10])))
    });
    let request = Request::post("/x").body(Body::boxed(StreamBody::new(frames))).unwrap();
    let sending = tokio::spawn({
        let transport = Arc::clone(&transport);
        async move { transport.send(request).await.unwrap() }
    });
    let mut member = raw.accept().await;
    member.request().await;
    member.0.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx").await.unwrap();
    drop(sending.await.unwrap());
    in_time(async {
        while transport.counters().open() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
