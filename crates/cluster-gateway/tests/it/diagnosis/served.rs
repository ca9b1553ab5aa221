//! The same as a resource of the gateway: for whom, how many at once, and announced nowhere.

use cluster_gateway::diagnosis::{Finding, Outcome};

use crate::support::world::{World, until};

const DIAGNOSIS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m/diagnosis";

#[tokio::test]
async fn the_gateway_says_how_it_gets_on_with_a_member_to_whom_the_hub_allows_it() {
    let world = World::start().await;
    let user = world.user("ann", &[]);
    assert_eq!(user.get(DIAGNOSIS).await.status, 403);
    world.hub.allow("ann", "get", "clustergateways", "diagnosis");
    let ann = world.user("ann", &["again"]);
    let answer = ann.get(DIAGNOSIS).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let document = answer.json();
    assert_eq!(document["kind"], "ClusterDiagnosis");
    assert_eq!(document["apiVersion"], "cluster.core.oam.dev/v1alpha1");
    assert_eq!(document["metadata"]["name"], "m");
    let findings: Vec<Finding> = serde_json::from_value(document["findings"].clone()).unwrap();
    assert_eq!(findings.len(), 10);
    // The fake member is no API server.
    assert!(findings.iter().any(|finding| finding.outcome == Outcome::Failed), "{findings:?}");
    assert_eq!(world.masters().get(&DIAGNOSIS.replace("/m/", "/unknown/")).await.status, 404);
}

#[tokio::test]
async fn the_diagnosis_is_served_and_not_announced() {
    let world = World::start().await;
    for path in [
        "/apis/cluster.core.oam.dev/v1alpha1",
        "/openapi/v2",
        "/openapi/v3/apis/cluster.core.oam.dev/v1alpha1",
    ] {
        let answer = world.masters().get(path).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains("iagnosis"), "{path}");
    }
    for method in [http::Method::POST, http::Method::PUT, http::Method::DELETE] {
        let answer = world.masters().send(method, DIAGNOSIS, "{}").await;
        assert_eq!(answer.status, 405);
    }
}

#[tokio::test]
async fn a_cluster_is_diagnosed_once_at_a_time() {
    let world = World::start().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.register("silent", &[("endpoint", &format!("https://{}", silent.local_addr().unwrap()))]);
    world.listed("silent").await;
    let path = DIAGNOSIS.replace("/m/", "/silent/");
    let (first, other) = (world.masters(), world.masters());
    let under_way = {
        let path = path.clone();
        tokio::spawn(async move { first.get(&path).await })
    };
    let _held = silent.accept().await.unwrap();
    let answer = other.get(&path).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.message().contains("is being diagnosed already"), "{}", answer.message());
    under_way.abort();
    // Its place is free again when nobody waits for the answer.
    let _ = under_way.await;
    drop(silent);
    until(|| async { other.get(&path).await.status == 200 }).await;
}
