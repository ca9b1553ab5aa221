//! `DELETE /api/v1/clusters/{name}`

use super::names::application;
use super::*;
use crate::support::fake_hub::Fault;

#[tokio::test]
async fn a_detached_cluster_leaves_nothing_behind() {
    let fleet = Fleet::start().await;
    let before = fleet.content();
    fleet.join("edge").await;
    let answer = fleet.delete("edge").await;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("edge")), "{}", answer.text());
    assert_eq!(answer.json()["apiServerURL"], json!(fleet.member.url()));
    assert_eq!(fleet.content(), before);
    assert_eq!(refused(&fleet.delete("edge").await), (404, 40003, None));
    // One that has no record.
    let answer = fleet.delete("m").await;
    assert_eq!(
        (answer.status, &answer.json()["name"], &answer.json()["apiServerURL"]),
        (200, &json!("m"), &json!(""))
    );
}

#[tokio::test]
async fn local_is_40008_and_force_is_yes_or_no() {
    let fleet = Fleet::start().await;
    assert_eq!(refused(&fleet.delete("local").await), (400, 40008, None));
    assert_eq!(refused(&fleet.delete("m?force=perhaps").await), (400, 41003, Some("force".to_owned())));
}

#[tokio::test]
async fn a_cluster_that_applications_name_goes_only_with_force() {
    let fleet = Fleet::start().await;
    fleet.world.hub.install_kubevela();
    fleet.join("edge").await;
    fleet.world.hub.put("applications", application("edge"));
    let before = fleet.content();
    let answer = fleet.delete("edge").await;
    assert_eq!(refused(&answer), (409, 41410, None));
    assert!(refusal(&answer).1.contains("shop/checkout"), "{}", answer.text());
    assert_eq!(fleet.content(), before);
    assert_eq!(fleet.delete("edge?force=true").await.status, 200);
    assert!(fleet.secret("edge").is_none() && fleet.record("edge").is_none());
}

#[tokio::test]
async fn a_detach_that_fails_at_any_step_leaves_cluster_and_record_as_they_were() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let before = fleet.content();
    for (fault, code) in [
        ("GET /api/v1/namespaces/kubevela/configmaps", 41500),
        ("DELETE /api/v1/namespaces/kubevela/configmaps", 41500),
        ("DELETE /api/v1/namespaces/vela-system/secrets", 41500),
    ] {
        fleet.world.hub.fault(fault, Fault::Status(503));
        let answer = fleet.delete("edge").await;
        assert_eq!(refused(&answer), (503, code, None), "{fault}");
        assert!(answer.header("retry-after").is_some());
        fleet.world.hub.heal();
        let after = fleet.content();
        assert_eq!(after.0, before.0, "{fault}");
        assert_eq!(after.1, before.1, "{fault}");
    }
    fleet.world.hub.fault("DELETE /api/v1/namespaces/vela-system/secrets", Fault::Status(403));
    assert_eq!(refused(&fleet.delete("edge").await), (403, 41403, None));
    fleet.world.hub.heal();
    assert_eq!(fleet.content(), before);
    assert_eq!(fleet.delete("edge").await.status, 200);
}

#[tokio::test]
async fn a_detach_that_was_broken_off_is_finished_by_the_next() {
    let fleet = Fleet::start().await;
    // After the record, before the Secret.
    fleet.join("edge").await;
    fleet.forget_record("edge");
    assert_eq!(fleet.delete("edge").await.status, 200);
    assert!(fleet.secret("edge").is_none());
    // A record whose Secret somebody else has deleted.
    fleet.join("edge").await;
    fleet.world.hub.delete_secret(NAMESPACE, "edge");
    assert_eq!(fleet.delete("edge").await.json()["name"], "edge");
    assert!(fleet.record("edge").is_none());
    fleet.join("edge").await;
}

#[tokio::test]
async fn what_open_cluster_management_has_is_refused_with_the_way_to_do_it() {
    let fleet = Fleet::with(Setup { ocm_integration: true, ..Setup::default() }).await;
    fleet.world.hub.put_managed_cluster(
        "spoke",
        &json!({
        "hubAcceptsClient": true, "managedClusterClientConfigs": [{"url": "https://spoke.test"}]}),
    );
    until(|| async { fleet.get("spoke").await.status == 200 }).await;
    let answer = fleet.delete("spoke").await;
    assert_eq!(refused(&answer), (400, 41003, None));
    assert!(answer.text().contains("cluster-gateway detach"), "{}", answer.text());
    assert_eq!(refused(&fleet.post(CLUSTERS, &fleet.body("spoke")).await).1, 40006);
    // What is recorded of it can be changed; what is its own cannot.
    let shown = fleet.get("spoke").await.json();
    let mut body =
        json!({"name": "spoke", "alias": shown["alias"], "labels": shown["labels"], "description": "d"});
    assert_eq!(fleet.put("spoke", &body).await.json()["description"], "d");
    body["labels"] = json!({"x": "y"});
    assert_eq!(refused(&fleet.put("spoke", &body).await), (400, 41003, None));
}
