//! Who proves what to whom: the proxy server and the gateway, and, inside the tunnel, the member.

use cluster_gateway::transport::ProxyMode;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::support::fake_member::server_config;

#[tokio::test(flavor = "multi_thread")]
async fn rule_244_the_member_is_verified_inside_the_tunnel() {
    let behind = Behind::start().await;
    let other = TestCa::new("another CA");
    let wrong_ca = TransportSpec {
        verification: Verification::Bundle(other.pem().into_bytes().into()),
        ..behind.spec("m")
    };
    let system = TransportSpec { verification: Verification::SystemRoots, ..behind.spec("m") };
    let wrong_name = TransportSpec { server_name: Some("api.example".to_owned()), ..behind.spec("m") };
    for (spec, words) in [
        (wrong_ca, "signed by unknown authority"),
        (system, "put the CA of the cluster there"),
        (wrong_name, "certificate is valid for kubernetes, kubernetes.default.svc, not api.example"),
    ] {
        let error = Transport::new(spec, Arc::clone(&behind.options)).send(get("/plain")).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("m:443"), "{error}");
    }
    assert!(behind.member.recorder.requests().is_empty());
    behind.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_242_proxy_server_and_gateway_prove_themselves_and_files_are_read_again() {
    let behind = Behind::start().await;
    let (server, other) = (&behind.server, TestCa::new("another CA"));
    server.write_files(&other, &server.clients.client("gateway"));
    let error = behind.error().await;
    assert!(
        error.contains("TLS handshake with proxy server") && error.contains("--proxy-ca-cert"),
        "{error}"
    );

    server.write_files(&server.ca, &other.client("gateway"));
    let error = behind.error().await;
    assert!(error.starts_with("dial tcp m:443: ") && error.contains("check --proxy-cert"), "{error}");

    server.write_files(&server.ca, &server.clients.client("gateway"));
    behind.works().await;
    let connections = server.seen().counts().0;

    // Another certificate is shown by another connection; what is open stays.
    let held = behind.cluster("m");
    let mut body = held.send(get("/watch")).await.unwrap().into_body();
    let watch = behind.member.recorder.watch().await;
    server.write_files(&server.ca, &server.clients.client("renewed"));
    behind.works().await;
    behind.works().await;
    assert_eq!(server.seen().counts().0, connections + 1);
    watch.send("still here").await;
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "still here");

    // Files that are being written, or are gone, are no reason to lose the cluster.
    for damage in ["", "-----BEGIN PRIVATE KEY-----"] {
        std::fs::write(server.files().key, damage).unwrap();
        behind.works().await;
    }
    std::fs::remove_file(server.files().ca).unwrap();
    behind.works().await;
    assert_eq!(server.seen().counts().0, connections + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_242_files_that_cannot_be_used_are_named() {
    let behind = Behind::start().await;
    std::fs::remove_file(behind.server.files().key).unwrap();
    let error = behind.error().await;
    assert!(error.starts_with("dial tcp m:443: konnectivity: --proxy-key: cannot read "), "{error}");
    assert_eq!(behind.server.seen().counts().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_242_the_proxy_server_must_have_the_name_that_it_is_called_by() {
    let server = FakeProxyServer::start().await;
    let config = ProxyServerConfig { host: "127.0.0.1".to_owned(), ..server.config() };
    let behind = Behind { server, member: member().await, options: Arc::new(options_with(config)) };
    let error = behind.error().await;
    assert!(error.contains("--proxy-host must be a name of its certificate"), "{error}");
}

/// A proxy server in mode http-connect, behind which `member` is, called `m`.
async fn http_connect_server(tls: TlsAcceptor, member: std::net::SocketAddr) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tls.accept(socket).await else { continue };
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                if head != b"CONNECT m:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" {
                    stream.write_all(b"HTTP/1.1 500 Oops\r\n\r\nNo agent available").await.unwrap();
                    return stream.shutdown().await.unwrap();
                }
                let mut member = TcpStream::connect(member).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut member).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_245_a_proxy_server_in_mode_http_connect() {
    let (server, member) = (FakeProxyServer::start().await, member().await);
    let leaf = server.ca.server(&["localhost"]);
    let tls = TlsAcceptor::from(server_config(&leaf, Some(&server.clients), &[b"http/1.1"]));
    let address = http_connect_server(tls, member.address).await;
    let config = ProxyServerConfig { mode: ProxyMode::HttpConnect, port: address.port(), ..server.config() };
    let behind = Behind { server, member, options: Arc::new(options_with(config)) };
    let m = behind.cluster("m");
    for _ in 0..10 {
        assert_eq!(text(m.send(get("/plain")).await.unwrap()).await, "plain");
    }
    assert_eq!(m.counters().dials(), 1);
    let mut stream = upgrade(&m).await;
    stream.write_all(b"echo").await.unwrap();
    stream.flush().await.unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"echo");
    let error = behind.cluster("other").send(get("/plain")).await.unwrap_err().to_string();
    assert!(error.starts_with("dial tcp other:443: konnectivity: proxy server localhost:"), "{error}");
    assert!(error.contains("has no agent for the cluster: HTTP 500: No agent available"), "{error}");
}
