//! Health recorded over the whole server: what reaches the hub, and what does not.

use http::Method;
use serde_json::{Value, json};

use crate::support::caller::{Answer, Caller};
use crate::support::fake_hub::Fault;
use crate::support::world::{NAMESPACE, PROXY, TOKEN, World, until};

const CLUSTER: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m";
const HEALTHY: &str = "status.cluster.core.oam.dev/healthy";
const REASON: &str = "status.cluster.core.oam.dev/healthy-reason";

fn object(healthy: bool, reason: &str) -> String {
    json!({
        "apiVersion": "cluster.core.oam.dev/v1alpha1", "kind": "ClusterGateway", "metadata": {"name": "m"},
        "spec": {"provider": "", "access": {}}, "status": {"healthy": healthy, "healthyReason": reason},
    })
    .to_string()
}

async fn put(caller: &Caller, query: &str, body: &str) -> Answer {
    caller.send(Method::PUT, &format!("{CLUSTER}/health{query}"), body).await
}

fn annotations(world: &World) -> Value {
    world.hub.secret(NAMESPACE, "m").unwrap()["metadata"]["annotations"].clone()
}

#[tokio::test]
async fn rule_232_health_is_recorded_in_two_annotations_and_the_secret_stays_as_it_is() {
    let world = World::start().await;
    let before = world.hub.secret(NAMESPACE, "m").unwrap();
    let answer = put(&world.masters(), "?fieldManager=prober", &object(true, "Fine")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["status"], json!({"healthy": true, "healthyReason": "Fine"}));
    assert!(!answer.text().contains(TOKEN));

    let (query, patch) = world.hub.patches().pop().unwrap();
    assert_eq!(query.trim_start_matches('&'), "fieldManager=prober");
    let version = before["metadata"]["resourceVersion"].clone();
    let expected =
        json!({"metadata": {"resourceVersion": version, "annotations": {HEALTHY: "true", REASON: "Fine"}}});
    assert_eq!(patch, expected);
    let mut after = world.hub.secret(NAMESPACE, "m").unwrap();
    assert_eq!(after["metadata"]["annotations"], json!({HEALTHY: "true", REASON: "Fine"}));
    after["metadata"].as_object_mut().unwrap().remove("annotations");
    after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
    assert_eq!(after, before);
    // The change comes back by the watch, and the cluster stays usable.
    let through = || async { world.masters().get(&format!("{PROXY}/plain")).await.status == 200 };
    until(through).await;
}

#[tokio::test]
async fn rule_233_patches_and_conflicts_over_the_wire() {
    let world = World::start().await;
    let merge = world.masters().header("content-type", "application/merge-patch+json");
    let patch = json!({"status": {"healthy": true}}).to_string();
    let answer = merge.send(Method::PATCH, &format!("{CLUSTER}/health"), &patch).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(annotations(&world), json!({HEALTHY: "true", REASON: ""}));
    let stale = json!({"metadata": {"resourceVersion": "1"}, "status": {"healthy": false}}).to_string();
    let answer = merge.send(Method::PATCH, &format!("{CLUSTER}/health"), &stale).await;
    assert_eq!((answer.status, &answer.json()["reason"]), (409, &json!("Conflict")), "{}", answer.text());

    // Somebody comes before the write, and the hub says so once.
    world.hub.fault_once("/secrets/m", Fault::Status(409));
    let answer = put(&world.masters(), "", &object(false, "Gone")).await;
    assert_eq!(answer.status, 409, "the read is refused: {}", answer.text());
    let answer = put(&world.masters(), "?dryRun=All", &object(false, "Gone")).await;
    assert_eq!(answer.json()["status"]["healthyReason"], "Gone", "{}", answer.text());
    assert_eq!(annotations(&world), json!({HEALTHY: "true", REASON: ""}), "a dry run writes nothing");
}

#[tokio::test]
async fn rule_224_a_hub_that_is_away_is_said_so() {
    let world = World::start().await;
    world.hub.fault("/secrets/m", Fault::Status(403));
    let refused = put(&world.masters(), "", &object(true, "")).await;
    assert_eq!((refused.status, refused.json().get("reason")), (500, None), "{}", refused.text());
    assert!(
        refused.message().contains("get and patch secrets in namespace vela-system"),
        "{}",
        refused.text()
    );
    world.hub.heal();
    world.hub.fault("/secrets/m", Fault::Reset);
    let away = put(&world.masters(), "", &object(true, "")).await;
    assert_eq!(away.status, 500);
    assert!(away.message().contains("health cannot be recorded: the hub cannot be asked"), "{}", away.text());
    assert!(!away.message().contains("dial tcp"), "that is said of members");
}

#[tokio::test]
async fn rule_127_only_our_own_bodies_are_limited() {
    let world = World::start().await;
    let large = " ".repeat(3 * 1024 * 1024 + 1);
    let answer = put(&world.masters(), "", &large).await;
    assert_eq!(
        (answer.status, answer.message().as_str()),
        (413, "Request entity too large: limit is 3145728")
    );
    let proxied = world.masters().send(Method::POST, &format!("{PROXY}/plain"), &large).await;
    assert_eq!(proxied.status, 200, "{}", proxied.text());
}

#[tokio::test]
async fn writing_health_is_a_right_of_its_own() {
    let world = World::start().await;
    world.hub.allow("reader", "get", "clustergateways", "health");
    world.hub.allow("prober", "update", "clustergateways", "health");
    let refused = put(&world.user("reader", &[]), "", &object(true, "")).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert_eq!(world.hub.patches().len(), 0);
    assert_eq!(put(&world.user("prober", &[]), "", &object(true, "")).await.status, 200);
}
