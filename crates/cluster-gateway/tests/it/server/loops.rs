//! Clusters whose endpoint is this gateway.

use crate::support::world::{PROXY, World, until};

const BASE: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// Registers cluster `name`, which leads to `path` of the gateway itself, as an administrator.
fn register(world: &World, name: &str, path: &str) {
    let endpoint = format!("https://localhost:{}{path}", world.server.address().port());
    world.hub.put_secret(&world.secret(name, &[("endpoint", &endpoint), ("ca.crt", &world.serving.pem())]));
}

async fn world() -> World {
    let world = World::start().await;
    let admin = cluster_gateway::authn::UserInfo {
        name: "looping".to_owned(),
        groups: vec!["system:masters".to_owned()],
        ..Default::default()
    };
    world.hub.token(crate::support::world::TOKEN, admin);
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_168_a_cluster_that_leads_back_to_itself_answers_once_and_hurts_no_other() {
    let world = world().await;
    register(&world, "loop", &format!("{BASE}/loop/proxy"));
    let caller = world.masters();
    let path = format!("{BASE}/loop/proxy/api/v1/pods");
    until(|| async { !caller.get(&path).await.message().contains("no such cluster") }).await;
    for caller in [caller.clone(), caller.clone().http2()] {
        let answer = caller.get(&path).await;
        assert_eq!(answer.status, 508, "{}", answer.text());
        let message = answer.message();
        assert!(message.starts_with("cluster loop: its endpoint leads back to this gateway"), "{message}");
        assert_eq!(caller.get(&format!("{PROXY}/plain")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_168_two_clusters_that_lead_to_each_other_are_seen() {
    let world = world().await;
    register(&world, "one", &format!("{BASE}/other/proxy"));
    register(&world, "other", &format!("{BASE}/one/proxy"));
    let caller = world.masters();
    for name in ["one", "other"] {
        let gateways = format!("{BASE}/{name}");
        until(|| async { caller.get(&gateways).await.status == 200 }).await;
    }
    for name in ["one", "other"] {
        assert_eq!(caller.get(&format!("{BASE}/{name}/proxy/x")).await.status, 508, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_168_gateways_in_a_row_are_no_loop_and_marks_of_a_client_mean_nothing() {
    let (first, second) = (world().await, world().await);
    let endpoint = format!("https://localhost:{}{PROXY}", second.server.address().port());
    let secret = first.secret("far", &[("endpoint", &endpoint), ("ca.crt", &second.serving.pem())]);
    first.hub.put_secret(&secret);
    let caller = first.masters().header("x-cluster-gateway-passed", "made-up");
    until(|| async { caller.get(&format!("{BASE}/far/proxy/plain")).await.status == 200 }).await;
    let seen = second.member.recorder.requests().pop().unwrap().headers;
    assert_eq!(seen.get_all("x-cluster-gateway-passed").iter().count(), 3);
}
