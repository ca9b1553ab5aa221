//! A whole server with clusters behind a konnectivity proxy server.

use k8s_openapi::ByteString;

use crate::support::fake_member::{FakeMember, Options, TestCa};
use crate::support::fake_proxy_server::{Agent, FakeProxyServer};
use crate::support::world::{PROXY, Setup, TOKEN, World, until};

const TUNNELLED: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/t";

/// A world in which the cluster `t` is behind the proxy server, and `m` is not.
struct Tunnelled {
    world: World,
    server: FakeProxyServer,
    member: FakeMember,
}

impl Tunnelled {
    async fn start() -> Self {
        let server = FakeProxyServer::start().await;
        let ca = TestCa::new("tunnelled CA");
        let leaf = Some(ca.server(&["kubernetes.default.svc"]));
        let member = FakeMember::start_with(ca, Options { leaf, ..Options::default() }).await;
        let konnectivity = Some(server.config());
        let world = World::with(Setup { konnectivity, ..Setup::default() }).await;
        register(&world, &member.ca.pem());
        let started = Self { world, server, member };
        started.until_known("konnectivity").await;
        started
    }

    /// Waits until the answer for `t` contains `words`.
    async fn until_known(&self, words: &str) {
        let caller = self.world.masters();
        until(|| async { caller.get(&format!("{TUNNELLED}/proxy/plain")).await.text().contains(words) })
            .await;
    }
}

fn register(world: &World, ca: &str) {
    let mut secret = world.secret("t", &[("ca.crt", ca)]);
    secret.data.as_mut().unwrap().remove("endpoint");
    let labels = secret.metadata.labels.as_mut().unwrap();
    labels.insert("cluster.core.oam.dev/cluster-endpoint-type".to_owned(), "ClusterProxy".to_owned());
    world.hub.put_secret(&secret);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_177_rule_246_without_an_agent_it_is_a_500_that_says_dial_and_names_the_cluster() {
    let tunnelled = Tunnelled::start().await;
    let caller = tunnelled.world.masters();
    let answer = caller.get(&format!("{TUNNELLED}/proxy/plain")).await;
    assert_eq!(answer.status, 500);
    let status = answer.json();
    assert_eq!(status["code"], 500);
    assert!(status.get("reason").is_none() && status.get("details").is_none(), "{status}");
    assert!(
        answer.message().starts_with("dial tcp t:443: konnectivity: proxy server localhost:"),
        "{status}"
    );
    let upgrade = caller.header("connection", "upgrade").header("upgrade", "websocket");
    let message = upgrade.get(&format!("{TUNNELLED}/proxy/upgrade")).await.message();
    assert!(message.starts_with("error dialing backend: dial tcp t:443: "), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_191_rule_211_requests_go_through_and_the_cluster_is_shown_without_an_address() {
    let tunnelled = Tunnelled::start().await;
    tunnelled.server.agent("t", Agent::At(tunnelled.member.address));
    tunnelled.until_known("plain").await;
    let caller = tunnelled.world.masters();
    assert_eq!(caller.get(&format!("{TUNNELLED}/proxy/plain")).await.text(), "plain");
    let request = tunnelled.member.recorder.requests().pop().unwrap();
    assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    let upgrade = caller.header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(upgrade.get(&format!("{TUNNELLED}/proxy/upgrade")).await.status, 101);
    let request = tunnelled.member.recorder.requests().pop().unwrap();
    assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(request.headers["host"], "t:443");
    let shown = tunnelled.world.masters().get(TUNNELLED).await.json();
    assert_eq!(shown["spec"]["access"]["endpoint"], serde_json::json!({"type": "ClusterProxy"}));
    // Another CA counts with the next request.
    register(&tunnelled.world, &TestCa::new("another CA").pem());
    tunnelled.until_known("signed by unknown authority").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_dead_proxy_server_hurts_no_other_cluster() {
    let mut tunnelled = Tunnelled::start().await;
    tunnelled.server.stop().await;
    let caller = tunnelled.world.masters();
    for _ in 0..20 {
        let message = caller.get(&format!("{TUNNELLED}/proxy/plain")).await.message();
        assert!(message.contains("cannot be reached"), "{message}");
        assert_eq!(caller.get(&format!("{PROXY}/plain")).await.status, 200);
    }
    assert_eq!(caller.get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_flags_the_cluster_is_unusable_and_says_why() {
    let world = World::start().await;
    let mut secret = world.secret("t", &[]);
    secret.data.as_mut().unwrap().insert("endpoint".to_owned(), ByteString(b"https://ignored".to_vec()));
    world.hub.put_secret(&secret);
    register(&world, &world.member.ca.pem());
    let caller = world.masters();
    until(|| async { caller.get(&format!("{TUNNELLED}/proxy/plain")).await.text().contains("--proxy-host") })
        .await;
    assert_eq!(caller.get(&format!("{TUNNELLED}/proxy/plain")).await.status, 503);
}
