//! Through proxies.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::transport::{
    AddressPolicy, Endpoint, Peer, ProxyLogin, ProxyProtocol, ProxySpec, Route, Transport, TransportOptions,
    TransportSpec, Verification,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{get, options, spec, text};
use crate::support::fake_member::{FakeMember, Options, Protocols, TestCa, server_config};
use crate::support::fake_proxy::{self, FakeProxy};

const LOGIN: (&str, &str) = ("gateway", "hunter2 & more");

fn proxy(protocol: ProxyProtocol, port: u16) -> ProxySpec {
    ProxySpec { protocol, host: "127.0.0.1".into(), port, login: None, ca: None }
}

fn login((user, password): (&str, &str)) -> Option<ProxyLogin> {
    Some(ProxyLogin { user: user.into(), password: password.into() })
}

/// The member by a name that only the proxy knows.
fn inside(member: &FakeMember, proxy: ProxySpec) -> TransportSpec {
    let port = member.address.port();
    TransportSpec {
        endpoint: Endpoint { tls: true, host: format!("member{}", fake_proxy::INSIDE), port },
        route: Route::Proxy(Box::new(proxy)),
        server_name: Some("member.test".into()),
        ..spec(member)
    }
}

/// Every kind of proxy, each with what reaches it, and its CA for TLS.
async fn every_kind(login: Option<(&'static str, &'static str)>) -> Vec<(FakeProxy, ProxySpec)> {
    let ca = TestCa::new("proxies");
    let mut all = Vec::new();
    for protocol in [ProxyProtocol::Http, ProxyProtocol::Https, ProxyProtocol::Socks5] {
        let leaf = ca.server(&["127.0.0.1"]);
        let tls = (protocol == ProxyProtocol::Https).then(|| server_config(&leaf, None, &[b"http/1.1"]));
        let fake = FakeProxy::start(fake_proxy::Options { tls, login, refusal: None }).await;
        let ca = Some(ca.pem().into_bytes().into());
        let spec = ProxySpec { ca, ..proxy(protocol, fake.address.port()) };
        all.push((fake, spec));
    }
    all
}

async fn error(spec: TransportSpec) -> String {
    let error = Transport::new(spec, Arc::new(options())).send(get("/plain")).await.unwrap_err().to_string();
    assert!(!error.contains("hunter2") && error.contains("dial tcp"), "{error}");
    error
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

#[tokio::test]
async fn rule_191_all_traffic_goes_through_the_proxy_upgrades_too() {
    let member = FakeMember::start(Options::default()).await;
    for (fake, mut proxy) in every_kind(Some(LOGIN)).await {
        proxy.login = login(LOGIN);
        let transport = Transport::new(inside(&member, proxy), Arc::new(options()));
        for _ in 0..3 {
            assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
        }
        let target = format!("member{}:{}", fake_proxy::INSIDE, member.address.port());
        assert_eq!(fake.targets(), std::slice::from_ref(&target), "one tunnel for all requests");

        let mut request = get("/upgrade");
        request.headers_mut().insert("connection", "upgrade".parse().unwrap());
        request.headers_mut().insert("upgrade", "SPDY/3.1".parse().unwrap());
        let response = transport.upgrade(request).await.unwrap();
        assert_eq!(response.status(), 101);
        let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        stream.write_all(b"echo").await.unwrap();
        let mut read = [0; 24];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"server speaks first;echo");
        assert_eq!(fake.targets(), [target.clone(), target]);
    }
    let last = member.recorder.requests().pop().unwrap();
    assert_eq!(last.headers["host"], *format!("member{}:{}", fake_proxy::INSIDE, member.address.port()));
    assert!(last.headers.keys().all(|name| !name.as_str().starts_with("proxy")), "{last:?}");
}

#[tokio::test]
async fn rule_165_the_member_is_verified_inside_the_tunnel() {
    let member = FakeMember::start(Options::default()).await;
    for (_fake, proxy) in every_kind(None).await {
        let stranger = Verification::Bundle(TestCa::new("another").pem().into_bytes().into());
        let wrong = TransportSpec { verification: stranger, ..inside(&member, proxy.clone()) };
        let error = Transport::new(wrong, Arc::new(options())).send(get("/plain")).await.unwrap_err();
        assert_contains(&error.to_string(), &["signed by unknown authority"]);
        let named = TransportSpec { server_name: None, ..inside(&member, proxy) };
        let error = Transport::new(named, Arc::new(options())).send(get("/plain")).await.unwrap_err();
        assert_contains(&error.to_string(), &["not member.inside.test"]);
    }
    assert_eq!(member.recorder.requests().len(), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_the_remedy() {
    let member = FakeMember::start(Options::default()).await;
    for (fake, proxy) in every_kind(Some(LOGIN)).await {
        let name = format!("://{}", fake.address);
        let text = error(inside(&member, proxy.clone())).await;
        assert_contains(&text, &["dial tcp member.inside.test:", &name, "USER:PASSWORD@HOST:PORT"]);
        let wrong = ProxySpec { login: login(("gateway", "hunter2")), ..proxy };
        let text = error(inside(&member, wrong)).await;
        assert_contains(&text, &[&name, "refuses the user or password"]);
        assert!(fake.targets().is_empty());
    }
    for (fake, proxy) in every_kind(None).await {
        let mut dead = inside(&member, proxy);
        dead.endpoint.port = 1;
        assert_contains(&error(dead).await, &["member.inside.test:1: proxy ", "the member"]);
        assert!(fake.targets().is_empty());
    }
    let refusal = Some("HTTP/1.1 403 Not you\r\ncontent-length: 4\r\n\r\nhunter2");
    let fake = FakeProxy::start(fake_proxy::Options { refusal, ..Default::default() }).await;
    let text = error(inside(&member, proxy(ProxyProtocol::Http, fake.address.port()))).await;
    assert_contains(&text, &["403 Not you", "must allow CONNECT"]);
    assert_eq!(member.recorder.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_not_itself_is_named() {
    let member = FakeMember::start(Options::default()).await;
    let text = error(inside(&member, proxy(ProxyProtocol::Http, 1))).await;
    assert_eq!(text, "proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused");
    let ca = TestCa::new("proxies");
    let leaf = ca.server(&["127.0.0.1"]);
    let tls = Some(server_config(&leaf, None, &[]));
    let fake = FakeProxy::start(fake_proxy::Options { tls, ..Default::default() }).await;
    for wrong in [None, Some(TestCa::new("another").pem().into_bytes().into())] {
        let proxy = ProxySpec { ca: wrong, ..proxy(ProxyProtocol::Https, fake.address.port()) };
        assert_contains(&error(inside(&member, proxy)).await, &["cannot be trusted", "proxy-ca.crt"]);
    }
    for (protocol, words) in
        [(ProxyProtocol::Http, "address of an HTTP proxy"), (ProxyProtocol::Socks5, "closed the connection")]
    {
        // The member, which speaks TLS.
        let text = error(inside(&member, proxy(protocol, member.address.port()))).await;
        assert!(text.contains(words) || text.contains("address of"), "{text}");
    }
}

#[tokio::test]
async fn rule_168_neither_the_proxy_nor_what_it_is_asked_for_may_be_a_forbidden_address() {
    let member = FakeMember::start(Options::default()).await;
    let fake = FakeProxy::start(fake_proxy::Options::default()).await;
    let here = proxy(ProxyProtocol::Socks5, fake.address.port());
    for host in ["169.254.169.254", "0.0.0.0", "::ffff:169.254.169.254"] {
        let mut spec = inside(&member, here.clone());
        spec.endpoint.host = host.into();
        assert_contains(&error(spec).await, &["does not ask a proxy for "]);
    }
    let addresses = AddressPolicy { allow_loopback: false };
    let options = Arc::new(TransportOptions { addresses, ..options() });
    let error = Transport::new(inside(&member, here), options).send(get("/plain")).await.unwrap_err();
    assert_contains(&error.to_string(), &["does not dial loopback addresses"]);
    assert!(fake.targets().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_is_given_up_after_the_time_of_a_dial() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            open.push(socket);
        }
    });
    for protocol in [ProxyProtocol::Http, ProxyProtocol::Socks5] {
        let spec = TransportSpec {
            endpoint: Endpoint { tls: true, host: "m.test".into(), port: 6443 },
            route: Route::Proxy(Box::new(proxy(protocol, port))),
            verification: Verification::SystemRoots,
            server_name: None,
            client_certificate: None,
            peer: Peer::Member,
        };
        let begun = tokio::time::Instant::now();
        assert_contains(&error(spec).await, &["did not answer within 30s (i/o timeout)"]);
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }
    silent.abort();
}

#[tokio::test]
async fn clear_text_goes_through_a_tunnel_as_well() {
    let member = FakeMember::start(Options { protocols: Protocols::Plain, ..Options::default() }).await;
    for (_fake, proxy) in every_kind(None).await {
        let mut plain = inside(&member, proxy);
        plain.endpoint.tls = false;
        let transport = Transport::new(plain, Arc::new(options()));
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
    }
}
