//! What is said when a member cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::credential::Credential;
use cluster_gateway::transport::{
    AddressPolicy, Endpoint, Peer, Route, Transport, TransportError, TransportOptions, TransportSpec,
    Verification,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{get, options, spec, text, transport};
use crate::support::fake_member::{FakeMember, Options, Protocols, TestCa};

async fn error(spec: TransportSpec) -> String {
    error_with(spec, options()).await.to_string()
}

async fn error_with(spec: TransportSpec, options: TransportOptions) -> TransportError {
    Transport::new(spec, Arc::new(options)).send(get("/plain")).await.unwrap_err()
}

fn unverified(host: &str, port: u16) -> TransportSpec {
    TransportSpec {
        endpoint: Endpoint { tls: true, host: host.into(), port },
        route: Route::Direct,
        verification: Verification::Insecure,
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    }
}

fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

#[tokio::test]
async fn rule_177_a_failed_dial_speaks_as_go_does() {
    assert_eq!(error(unverified("127.0.0.1", 1)).await, "dial tcp 127.0.0.1:1: connect: connection refused");
    assert_eq!(error(unverified("::1", 1)).await, "dial tcp [::1]:1: connect: connection refused");
    let name = "no-such-host.invalid";
    let text = error(unverified(name, 443)).await;
    assert!(text.starts_with(&format!("dial tcp: lookup {name}: ")), "{text}");
}

#[tokio::test]
async fn rule_168_forbidden_addresses_are_not_dialled_whatever_their_name() {
    let member = FakeMember::start(Options::default()).await;
    let addresses = AddressPolicy { allow_loopback: false };
    for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
        let options = TransportOptions { addresses, ..options() };
        let error = error_with(unverified(host, member.address.port()), options).await.to_string();
        assert_contains(&error, &["dial tcp ", "loopback"]);
    }
    assert_contains(
        &error(unverified("169.254.169.254", 80)).await,
        &["dial tcp 169.254.169.254:80", "link-local"],
    );
    assert_eq!(member.recorder.connections(), 0);
}

#[tokio::test]
async fn rule_165_the_members_name_is_verified() {
    let ca = TestCa::new("ca");
    let leaf = ca.server(&["a.test", "10.9.9.9"]);
    let member = FakeMember::start_with(ca, Options { leaf: Some(leaf), ..Options::default() }).await;
    let text = error(spec(&member)).await;
    assert_contains(
        &text,
        &[
            "x509: certificate is valid for a.test, 10.9.9.9, not 127.0.0.1",
            "cluster.core.oam.dev/tls-server-name",
        ],
    );
    let named = TransportSpec { server_name: Some("a.test".into()), ..spec(&member) };
    assert!(Transport::new(named, Arc::new(options())).send(get("/plain")).await.is_ok());
}

#[tokio::test]
async fn rule_166_an_unknown_authority_is_refused_with_advice() {
    let member = FakeMember::start(Options::default()).await;
    let other = TestCa::new("other");
    let wrong = TransportSpec {
        verification: Verification::Bundle(other.pem().into_bytes().into()),
        ..spec(&member)
    };
    assert_contains(&error(wrong).await, &["x509: certificate signed by unknown authority", "ca.crt"]);
    let system = TransportSpec { verification: Verification::SystemRoots, ..spec(&member) };
    assert_contains(
        &error(system).await,
        &["x509: certificate signed by unknown authority", "no key \"ca.crt\""],
    );
    let insecure = TransportSpec { verification: Verification::Insecure, ..spec(&member) };
    assert!(Transport::new(insecure, Arc::new(options())).send(get("/plain")).await.is_ok());
}

#[tokio::test]
async fn an_expired_certificate_is_refused_with_its_date() {
    let ca = TestCa::new("ca");
    let leaf = ca.expired_server(&["127.0.0.1"]);
    let member = FakeMember::start_with(ca, Options { leaf: Some(leaf), ..Options::default() }).await;
    assert_contains(&error(spec(&member)).await, &["x509: certificate has expired", " is after 20"]);
}

#[tokio::test]
async fn rule_162_a_client_certificate_is_shown_and_its_absence_explained() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let clients = TestCa::new("clients");
        let options = Options { protocols, client_ca: Some(&clients), ..Options::default() };
        let member = FakeMember::start(options).await;
        assert_contains(&error(spec(&member)).await, &["client certificate", "tls.crt"]);
        let leaf = clients.client("gateway");
        let credential = Credential::x509(leaf.certificate.as_bytes(), leaf.key.as_bytes()).unwrap();
        let known =
            TransportSpec { client_certificate: credential.client_certificate().cloned(), ..spec(&member) };
        let transport = Transport::new(known, Arc::new(super::options()));
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
        assert!(member.recorder.only_request().certificate);
    }
}

#[tokio::test]
async fn a_port_without_tls_is_named_as_such() {
    let member = FakeMember::start(Options { protocols: Protocols::Plain, ..Options::default() }).await;
    let text = error(unverified("127.0.0.1", member.address.port())).await;
    assert_contains(&text, &["TLS handshake with 127.0.0.1:", "does not look like a TLS handshake"]);
}

#[tokio::test]
async fn clear_text_works_where_the_registry_allows_it() {
    let member = FakeMember::start(Options { protocols: Protocols::Plain, ..Options::default() }).await;
    let mut plain = spec(&member);
    plain.endpoint.tls = false;
    let transport = Transport::new(plain, Arc::new(options()));
    assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
}

#[tokio::test]
async fn a_connection_that_closes_before_the_head_is_no_dial_error() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = FakeMember::start(Options { protocols, ..Options::default() }).await;
        let error = transport(&member).send(get("/close-before-head")).await.unwrap_err();
        assert!(
            matches!(&error, TransportError::Exchange(text) if text.contains("may have acted")),
            "{error}"
        );
        assert_eq!(member.recorder.requests().len(), 1, "sent once");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_128_a_handshake_that_does_not_end_is_given_up_after_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let begun = tokio::time::Instant::now();
    let text = error(unverified("127.0.0.1", port)).await;
    assert_contains(&text, &["no TLS handshake with 127.0.0.1:", "10s"]);
    assert_eq!(begun.elapsed().as_secs(), 10);
    silent.abort();
}

#[tokio::test]
async fn rule_188_an_endless_head_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\nx: ").await;
        while socket.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    let mut plain = unverified("127.0.0.1", port);
    plain.endpoint.tls = false;
    let transport = Transport::new(plain, Arc::new(options()));
    let error = transport.upgrade(get("/x")).await.unwrap_err();
    assert!(matches!(error, TransportError::Exchange(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn rule_188_a_member_that_does_not_answer_an_upgrade_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let mut plain = unverified("127.0.0.1", port);
    plain.endpoint.tls = false;
    let limit = Duration::from_secs(7);
    let options = TransportOptions { upgrade_header_timeout: limit, ..options() };
    let transport = Transport::new(plain, Arc::new(options));
    assert!(matches!(transport.upgrade(get("/x")).await, Err(TransportError::Timeout(_))));
    silent.abort();
}
