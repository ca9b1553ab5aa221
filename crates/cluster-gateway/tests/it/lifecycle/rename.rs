//! Renaming.

use cluster_gateway::lifecycle::{Failure, LifecycleError, Rename, Renamed, Undo};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Hub, SECRETS};
use crate::support::fake_hub::Fault;

async fn rename(hub: &Hub, from: &str, to: &str) -> Result<Renamed, Failure> {
    let client = hub.fake.client().await;
    let rename = Rename::prepare(&hub.store, Some(&client), from, to).await.unwrap();
    rename.commit(&hub.store, false, &CancellationToken::new()).await
}

#[tokio::test]
async fn the_new_name_is_there_before_the_old_one_goes() {
    let hub = Hub::start().await;
    let before = hub.fake.secret("vela-system", "old").unwrap();
    rename(&hub, "old", "new").await.unwrap();
    assert_eq!(hub.writes(), [format!("POST {SECRETS}"), format!("DELETE {SECRETS}/old")]);
    assert!(hub.fake.secret("vela-system", "old").is_none());
    let after = hub.fake.secret("vela-system", "new").unwrap();
    for key in ["labels", "annotations"] {
        assert_eq!(after["metadata"][key], before["metadata"][key]);
    }
    assert_eq!(after["data"], before["data"]);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
}

#[tokio::test]
async fn whatever_fails_the_cluster_keeps_its_name() {
    for part in ["POST /api", "DELETE /api"] {
        for fault in
            [Fault::Status(403), Fault::Status(409), Fault::Status(500), Fault::Reset, Fault::ResetAfter]
        {
            let hub = Hub::start().await;
            let before = hub.fake.content();
            let client = hub.fake.client().await;
            let prepared = Rename::prepare(&hub.store, Some(&client), "old", "new").await.unwrap();
            hub.fake.fault_once(part, fault);
            let failure = prepared.commit(&hub.store, false, &CancellationToken::new()).await.unwrap_err();
            assert!(!matches!(failure.undo, Undo::Incomplete(_)), "{part} {fault:?}: {failure}");
            assert_eq!(hub.fake.content(), before, "{part} {fault:?}: {failure}");
        }
    }
    let hub = Hub::start().await;
    let prepared = Rename::prepare(&hub.store, None, "old", "new").await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    let failure = prepared.commit(&hub.store, false, &stop).await.unwrap_err();
    assert_eq!(failure, Failure { cause: LifecycleError::Interrupted, undo: Undo::Untouched });
}

#[tokio::test]
async fn names_are_looked_at_before_anything_is_touched() {
    let hub = Hub::start().await;
    let before = hub.fake.content();
    for (from, to, why) in [
        ("old", "other", "there is a cluster other already"),
        ("old", "foreign", "is not a cluster"),
        ("foreign", "new", "is not a cluster"),
        ("nowhere", "new", "there is no cluster nowhere"),
        ("old", "local", "reserved"),
        ("local", "new", "reserved"),
        ("old", "old", "is called old already"),
        ("old", "N", "DNS subdomain"),
    ] {
        let error = Rename::prepare(&hub.store, None, from, to).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!((hub.fake.content(), hub.writes().len()), (before, 0));
}

#[tokio::test]
async fn a_name_that_kubevela_uses_is_changed_only_by_force() {
    let hub = Hub::start().await;
    hub.fake.install_kubevela();
    let policy = json!({"name": "p", "type": "topology", "properties": {"clusters": ["old"]}});
    hub.fake.put(
        "applications",
        json!({"metadata": {"namespace": "default", "name": "shop"}, "spec": {"policies": [policy]}}),
    );
    let failure = rename(&hub, "old", "new").await.unwrap_err();
    assert!(
        failure.to_string().contains("default/shop") && failure.to_string().contains("--force"),
        "{failure}"
    );
    assert!(hub.writes().is_empty());
    let client = hub.fake.client().await;
    let prepared = Rename::prepare(&hub.store, Some(&client), "old", "new").await.unwrap();
    prepared.commit(&hub.store, true, &CancellationToken::new()).await.unwrap();
    assert!(hub.fake.secret("vela-system", "new").is_some());
}
