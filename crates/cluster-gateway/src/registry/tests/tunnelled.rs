//! Clusters behind a konnectivity proxy server.

use std::path::PathBuf;

use super::*;
use crate::transport::{
    ProxyFiles, ProxyMode, ProxyServer, ProxyServerConfig, Route, TransportOptions, TransportSpec,
};

/// What the operator says who has a proxy server.
fn policy() -> ClusterPolicy {
    let file = || PathBuf::from("/nowhere");
    let server = ProxyServer::new(ProxyServerConfig {
        host: "proxy".to_owned(),
        port: 8090,
        mode: ProxyMode::Grpc,
        files: ProxyFiles { ca: file(), certificate: file(), key: file() },
    });
    let transport = TransportOptions { konnectivity: Some(Arc::new(server)), ..TransportOptions::default() };
    ClusterPolicy { transport: Arc::new(transport), ..ClusterPolicy::default() }
}

fn tunnelled(data: &[(&str, &[u8])]) -> Secret {
    let mut secret = token_secret(data);
    secret.data.as_mut().unwrap().remove("endpoint");
    label(secret, "cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy")
}

fn spec(secret: Secret) -> TransportSpec {
    let cluster = policy().read(secret, None);
    cluster.upstream.expect("a usable cluster").transport.spec().clone()
}

#[test]
fn rule_237_rule_244_the_agent_is_asked_for_the_cluster_and_the_member_verified_by_the_name_that_all_have() {
    let (ca, _) = self_signed();
    let bundle = Verification::Bundle(ca.as_bytes().into());
    let found = spec(tunnelled(&[("ca.crt", ca.as_bytes())]));
    assert_eq!(found.endpoint.authority(), "c:443");
    assert!(found.endpoint.tls);
    assert_eq!(
        (found.route, found.server_name.as_deref()),
        (Route::Konnectivity, Some("kubernetes.default.svc"))
    );
    assert_eq!(found.verification, bundle);
    let secret = tunnelled(&[("ca", ca.as_bytes())]);
    let named = spec(annotate(secret, "cluster.core.oam.dev/tls-server-name", "api.example"));
    assert_eq!((named.server_name.as_deref(), &named.verification), (Some("api.example"), &bundle));
    assert_eq!(spec(tunnelled(&[])).verification, Verification::SystemRoots, "never no verification");
    // An address in the Secret is not where the agent is asked for.
    assert_eq!(spec(tunnelled(&[("endpoint", b"http://elsewhere:1/path")])).endpoint.authority(), "c:443");
}

#[test]
fn rule_244_unverified_only_if_secret_and_operator_say_so() {
    let secret = || annotate(tunnelled(&[]), "cluster.core.oam.dev/insecure-skip-tls-verify", "true");
    assert!(policy().read(secret(), None).upstream.unwrap_err().0.contains("--allow-insecure-clusters"));
    let cluster = ClusterPolicy { allow_insecure: true, ..policy() }.read(secret(), None);
    let upstream = cluster.upstream.unwrap();
    assert!(upstream.insecure && upstream.transport.spec().verification == Verification::Insecure);
}

#[test]
fn without_a_proxy_server_the_flags_are_named() {
    let reason = refusal(tunnelled(&[]));
    for words in ["ClusterProxy", "--proxy-host", "--proxy-ca-cert", "--proxy-cert", "--proxy-key"] {
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn rule_164_a_changed_token_keeps_the_tunnels() {
    let policy = policy();
    let first = policy.read(tunnelled(&[]), None);
    let second = policy.read(tunnelled(&[("token", b"renewed")]), Some(&first));
    let transport = |cluster: &Cluster| Arc::clone(&cluster.upstream.as_ref().unwrap().transport);
    assert!(Arc::ptr_eq(&transport(&first), &transport(&second)));
    let moved = policy.read(token_secret(&[]), Some(&second));
    assert!(!Arc::ptr_eq(&transport(&second), &transport(&moved)), "a way of another kind");
}
