//! Members whose address is not one to connect to.

use std::sync::Arc;

use cluster_gateway::body::Body;
use cluster_gateway::transport::{
    AddressPolicy, Endpoint, Peer, Route, Transport, TransportOptions, TransportSpec, Verification,
};
use http::Request;
use tokio::io::AsyncWriteExt;

use super::redirects::{Canary, head};
use crate::support::world::{PROXY, Setup, World};

async fn error(host: &str, port: u16, allow_loopback: bool, upgrade: bool) -> String {
    let spec = TransportSpec {
        endpoint: Endpoint { tls: true, host: host.into(), port },
        verification: Verification::Insecure,
        route: Route::Direct,
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    };
    let addresses = AddressPolicy { allow_loopback };
    let options = TransportOptions { addresses, ..TransportOptions::default() };
    let transport = Transport::new(spec, Arc::new(options));
    let request = Request::get("/").body(Body::empty()).unwrap();
    match upgrade {
        true => transport.upgrade(request).await.map(drop).unwrap_err().to_string(),
        false => transport.send(request).await.map(drop).unwrap_err().to_string(),
    }
}

/// Names that only the resolver turns into an address, as it does with those of an attacker's DNS server.
#[tokio::test]
async fn rule_168_rule_253_what_a_name_resolves_to_decides() {
    let canary = Canary::start().await;
    for upgrade in [false, true] {
        for host in
            ["localhost", "127.1", "2130706433", "0x7f000001", "017700000001", "::ffff:127.0.0.1", "::1"]
        {
            let error = error(host, canary.port, false, upgrade).await;
            assert!(error.contains("does not dial loopback addresses"), "{host}: {error}");
        }
        for (host, kind) in [
            ("2852039166", "link-local"),
            ("0xa9fea9fe", "link-local"),
            ("169.254.43518", "link-local"),
            ("0", "unspecified"),
            ("0.0.0.0", "unspecified"),
        ] {
            let error = error(host, canary.port, true, upgrade).await;
            assert!(error.contains(&format!("does not dial {kind} addresses")), "{host}: {error}");
        }
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_168_rule_253_the_gateway_does_not_reach_into_its_own_pod() {
    let world = World::with(Setup { allow_loopback: false, ..Setup::default() }).await;
    let by_name = format!("https://localhost:{}", world.member.address.port());
    world.register("named", &[("endpoint", &by_name)]);
    world.listed("named").await;
    let named = PROXY.replace("/m/", "/named/");
    for path in [PROXY, &named] {
        let answer = world.masters().get(&format!("{path}/plain")).await;
        assert_eq!(answer.status, 500);
        assert!(answer.message().contains("does not dial loopback addresses"), "{}", answer.message());
        let mut socket = world.masters().connect().await;
        let request = world.masters().head(&format!("GET {path}/upgrade HTTP/1.1"));
        let request = format!("{request}connection: upgrade\r\nupgrade: SPDY/3.1\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        socket.flush().await.unwrap();
        let head = head(&mut socket).await;
        assert!(head.starts_with("http/1.1 500"), "{head}");
    }
    assert_eq!(world.member.recorder.connections(), 0);
}
