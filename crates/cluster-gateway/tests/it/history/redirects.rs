//! Redirects: those of members are handed on and not followed, and the gateway has none of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::support::fake_member::{Options, Protocols};
use crate::support::world::{PROXY, Setup, World};

/// Counts who comes.
pub(super) struct Canary {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
}

impl Canary {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, connections }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// The head of an answer, in lower case.
pub(super) async fn head(socket: &mut TlsStream<TcpStream>) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.expect("a head"));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("a head in time");
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_171_rule_186_rule_251_a_member_s_redirect_is_handed_on_and_not_followed() {
    let canary = Canary::start().await;
    for protocols in [Protocols::Both, Protocols::Http1] {
        let world =
            World::with(Setup { member: Options { protocols, ..Options::default() }, ..Setup::default() })
                .await;
        for code in [301, 302, 303, 307, 308] {
            let path = format!("{PROXY}/redirect-to/{code}-{}", canary.port);
            let location = format!("https://127.0.0.1:{}/", canary.port);
            for caller in [world.masters(), world.masters().http2()] {
                for method in [Method::GET, Method::POST] {
                    let answer = caller.send(method.clone(), &path, "{}").await;
                    assert_eq!(
                        (answer.status, answer.header("location")),
                        (code, Some(location.as_str())),
                        "{method}"
                    );
                }
            }
            for protocol in ["SPDY/3.1", "websocket"] {
                let mut socket = world.masters().connect().await;
                let request = world.masters().head(&format!("GET {path} HTTP/1.1"));
                let request = format!("{request}connection: upgrade\r\nupgrade: {protocol}\r\n\r\n");
                socket.write_all(request.as_bytes()).await.unwrap();
                socket.flush().await.unwrap();
                let head = head(&mut socket).await;
                assert!(head.starts_with("http/1.1 500") && !head.contains("location"), "{head}");
            }
        }
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_252_the_gateway_sends_nobody_anywhere() {
    let world = World::start().await;
    let group = "/apis/cluster.core.oam.dev";
    let own = [
        "",
        "/",
        "/api",
        "/apis",
        group,
        "/apis/cluster.core.oam.dev/v1alpha1",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m/health",
        "/apis/cluster.core.oam.dev/v1alpha1/virtualclusters",
        PROXY,
        "/healthz",
        "/readyz",
        "/livez/ping",
        "/metrics",
        "/version",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/cluster.core.oam.dev/v1alpha1",
        "/index.html",
    ];
    let tails = [
        "",
        "/",
        "//",
        "//evil.test/",
        "/.",
        "/%2e%2e/evil.test",
        "/..;/x",
        "?hash=wrong",
        "?url=//evil.test",
        "/%5cevil.test",
    ];
    let callers = [world.nobody(), world.masters(), world.masters().header("x-forwarded-host", "evil.test")];
    for caller in callers {
        let mut session = crate::support::session::Session::open(&caller).await;
        for path in own {
            for tail in tails {
                // To a member goes only what is below the proxy path, and its answer is its own.
                let path = match format!("{path}{tail}") {
                    path if path.starts_with('/') => path,
                    path => format!("/{path}"),
                };
                let answer = match session.try_get(&path, &[]).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        session = crate::support::session::Session::open(&caller).await;
                        session.get(&path).await
                    }
                };
                let moved = (300..400).contains(&answer.status) || answer.headers.contains_key("location");
                assert!(!moved, "{path}: {answer:?}");
            }
        }
    }
    for target in ["https://evil.test/version", "//evil.test/version", "*"] {
        let mut socket = world.masters().connect().await;
        let request = world.masters().head(&format!("GET {target} HTTP/1.1"));
        socket
            .write_all(format!("{request}\r\n").replace("localhost", "evil.test").as_bytes())
            .await
            .unwrap();
        socket.flush().await.unwrap();
        let head = head(&mut socket).await;
        assert!(!head.starts_with("http/1.1 3") && !head.contains("location:"), "{target}: {head}");
    }
}
