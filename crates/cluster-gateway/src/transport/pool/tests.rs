//! What cannot be seen from outside: the sweep that meets a new connection.

use http::Request;
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::{AddressPolicy, Endpoint, Peer, Transport, Verification};
use super::*;
use crate::body::Body;

#[tokio::test]
async fn rule_128_the_sweep_does_not_end_beside_a_connection_that_has_just_come() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let spec = TransportSpec {
        endpoint: Endpoint {
            tls: false,
            host: "127.0.0.1".into(),
            port: listener.local_addr().expect("an address").port(),
        },
        route: crate::transport::Route::Direct,
        verification: Verification::Insecure,
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    };
    let addresses = AddressPolicy { allow_loopback: true };
    let options = TransportOptions { addresses, ..TransportOptions::default() };
    let transport = Transport::new(spec, Arc::new(options));
    let pool = &transport.pool;
    assert!(!pool.has_more_to_sweep(), "nothing has come");
    let member = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        socket.read_u8().await.expect("a request");
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("an answer");
        socket
    });
    let request = Request::get("/").body(Body::empty()).expect("a request");
    let answer = transport.send(request).await.expect("an answer");
    answer.into_body().collect().await.expect("a whole body");
    // As if the sweep had looked before the connection came.
    assert!(pool.has_more_to_sweep());
    assert!(pool.sweeping.load(Ordering::Acquire), "nobody else starts to sweep");
    drop(member.await);
}
