//! Detaching.

use cluster_gateway::lifecycle::{Detach, LifecycleError, Undo};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Hub, SECRETS};
use crate::support::fake_hub::Fault;

pub(super) fn install(hub: &Hub) {
    hub.fake.install_kubevela();
    for name in ["a", "b", "untouched"] {
        let cluster = if name == "untouched" { "other" } else { "old" };
        let resources = json!([{"cluster": cluster, "name": "x"}, {"cluster": "other", "name": "y"}]);
        hub.fake.put(
            "resourcetrackers",
            json!({"apiVersion": "core.oam.dev/v1beta1", "kind": "ResourceTracker",
                "metadata": {"namespace": "", "name": name}, "spec": {"type": "root", "managedResources": resources}}),
        );
    }
}

fn application(hub: &Hub) {
    let policy = json!({"name": "p", "type": "topology", "properties": {"clusters": ["old", "other"]}});
    let metadata = json!({"namespace": "default", "name": "shop"});
    hub.fake.put("applications", json!({"metadata": metadata, "spec": {"policies": [policy]}}));
}

async fn prepare(hub: &Hub, name: &str) -> Result<Detach, LifecycleError> {
    let client = hub.fake.client().await;
    Detach::prepare(&hub.store, Some(&client), name).await
}

fn resources(hub: &Hub, name: &str) -> Value {
    hub.fake.get("resourcetrackers", "", name).unwrap()["spec"]["managedResources"].clone()
}

#[tokio::test]
async fn without_kubevela_a_cluster_simply_goes() {
    let hub = Hub::start().await;
    let detach = prepare(&hub, "old").await.unwrap();
    assert!(detach.plan().notes.is_empty(), "{:?}", detach.plan().notes);
    detach.commit(&hub.store, false, &CancellationToken::new()).await.unwrap();
    assert_eq!(hub.writes(), [format!("DELETE {SECRETS}/old")]);
    assert!(hub.fake.secret("vela-system", "old").is_none());
    assert_eq!(hub.fake.requests("clustergateways"), 0, "the cluster itself is not asked: it may be dead");
}

#[tokio::test]
async fn resource_trackers_are_cleaned_and_applications_are_shown() {
    let hub = Hub::start().await;
    install(&hub);
    application(&hub);
    let before = hub.fake.content();
    let detach = prepare(&hub, "old").await.unwrap();
    let plan = serde_json::to_string(detach.plan()).unwrap();
    assert!(
        plan.contains("ResourceTracker a") && plan.contains("default/shop") && !plan.contains("untouched"),
        "{plan}"
    );
    let failure = detach.commit(&hub.store, false, &CancellationToken::new()).await.unwrap_err();
    assert!(failure.to_string().contains("--force"), "{failure}");
    assert_eq!((hub.fake.content(), hub.writes().len()), (before, 0));

    let detach = prepare(&hub, "old").await.unwrap();
    let detached = detach.commit(&hub.store, true, &CancellationToken::new()).await.unwrap();
    assert_eq!(
        (detached.cleaned, detached.still_named_by),
        (vec!["a".into(), "b".into()], vec!["default/shop".into()])
    );
    assert_eq!(resources(&hub, "a"), json!([{"cluster": "other", "name": "y"}]));
    assert_eq!(resources(&hub, "untouched").as_array().unwrap().len(), 2);
    assert!(hub.fake.secret("vela-system", "old").is_none());
}

#[tokio::test]
async fn whatever_fails_cluster_and_trackers_are_as_they_were() {
    for part in ["resourcetrackers/a", "resourcetrackers/b", "DELETE /api"] {
        for fault in
            [Fault::Status(403), Fault::Status(409), Fault::Status(500), Fault::Reset, Fault::ResetAfter]
        {
            let hub = Hub::start().await;
            install(&hub);
            let before = hub.fake.content();
            let detach = prepare(&hub, "old").await.unwrap();
            hub.fake.fault_once(part, fault);
            let failure = detach.commit(&hub.store, false, &CancellationToken::new()).await.unwrap_err();
            assert!(!matches!(failure.undo, Undo::Incomplete(_)), "{part} {fault:?}: {failure}");
            assert_eq!(hub.fake.content(), before, "{part} {fault:?}: {failure}");
        }
    }
    let hub = Hub::start().await;
    install(&hub);
    let before = hub.fake.content();
    let stop = CancellationToken::new();
    stop.cancel();
    let failure = prepare(&hub, "old").await.unwrap().commit(&hub.store, false, &stop).await.unwrap_err();
    assert_eq!((failure.cause, failure.undo), (LifecycleError::Interrupted, Undo::Untouched));
    assert_eq!(hub.fake.content(), before);
}

#[tokio::test]
async fn name_and_existence_come_first_and_missing_rights_are_a_note() {
    let hub = Hub::start().await;
    install(&hub);
    let before = hub.fake.content();
    for (name, why) in
        [("local", "reserved"), ("foreign", "is not a cluster"), ("nowhere", "there is no cluster nowhere")]
    {
        let error = prepare(&hub, name).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert_eq!((hub.fake.content(), hub.fake.requests("core.oam.dev/v1beta1")), (before, 0));
    hub.fake.fault("core.oam.dev/v1beta1", Fault::Status(403));
    let detach = prepare(&hub, "old").await.unwrap();
    assert_eq!(detach.plan().notes.len(), 2, "{:?}", detach.plan().notes);
    assert!(detach.plan().notes[0].contains("applications cannot be looked at"), "{:?}", detach.plan().notes);
    detach.commit(&hub.store, false, &CancellationToken::new()).await.unwrap();
    assert!(hub.fake.secret("vela-system", "old").is_none());
}
