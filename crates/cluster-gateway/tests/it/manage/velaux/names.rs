//! Names: those that others have given, and new ones.

use super::*;
use crate::support::fake_hub::Fault;

#[tokio::test]
async fn clusters_whose_names_could_not_be_made_here_are_changed_and_detached_all_the_same() {
    let fleet = Fleet::start().await;
    let long = "x".repeat(253);
    for name in ["a", "eu.west.1", &"y".repeat(60), &long] {
        fleet.world.register(name, &[]);
        fleet.world.listed(name).await;
        let answer = fleet.put(name, &json!({"name": name, "alias": "An alias"})).await;
        assert_eq!((answer.status, &answer.json()["alias"]), (200, &json!("An alias")), "{}", answer.text());
        assert_eq!(fleet.secret(name).unwrap()["metadata"]["annotations"][ALIAS], "An alias");
        if name == long {
            let body = json!({"name": name, "description": "nowhere to put it"});
            assert_eq!(refused(&fleet.put(name, &body).await), (400, 41003, Some("description".to_owned())));
        }
        assert_eq!(fleet.delete(name).await.status, 200);
        assert!(fleet.secret(name).is_none());
    }
}

#[tokio::test]
async fn a_cluster_takes_another_name_with_all_that_is_known_of_it() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let mut body =
        json!({"name": "edge", "alias": "An alias", "description": "d", "labels": {"env": "prod"}});
    assert_eq!(fleet.put("edge", &body).await.status, 200);
    body["name"] = json!("other");
    body["alias"] = json!("Another one");
    let answer = fleet.put("edge", &body).await;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("other")), "{}", answer.text());
    assert!(fleet.secret("edge").is_none() && fleet.record("edge").is_none());
    assert_eq!(fleet.record("other").unwrap()["description"], "d");
    let metadata = fleet.secret("other").unwrap()["metadata"].clone();
    assert_eq!(
        (&metadata["annotations"][ALIAS], &metadata["labels"]["env"]),
        (&json!("Another one"), &json!("prod"))
    );
}

#[tokio::test]
async fn a_name_that_is_taken_or_in_use_is_kept_and_so_is_one_that_cannot_be_recorded() {
    let fleet = Fleet::start().await;
    fleet.world.hub.install_kubevela();
    fleet.join("edge").await;
    fleet.world.hub.put("applications", application("edge"));
    fleet.world.register("taken", &[]);
    let before = fleet.content();
    let name = |to: &str| json!({"name": to});
    assert_eq!(refused(&fleet.put("edge", &name("taken")).await), (400, 40006, Some("name".to_owned())));
    assert_eq!(refused(&fleet.put("edge", &name("other")).await), (409, 41410, None));
    assert_eq!(refused(&fleet.put("edge", &name("other.dotted")).await), (400, 400, Some("name".to_owned())));
    let both = json!({"name": "other", "kubeConfig": fleet.world.member.address.to_string()});
    assert_eq!(refused(&fleet.put("edge", &both).await).0, 400);
    assert_eq!(fleet.content(), before);
    for fault in
        ["POST /api/v1/namespaces/kubevela/configmaps", "POST /api/v1/namespaces/vela-system/secrets"]
    {
        fleet.world.hub.fault(fault, Fault::Status(503));
        assert_eq!(refused(&fleet.put("edge?force=true", &name("other")).await), (503, 41500, None));
        fleet.world.hub.heal();
        assert_eq!(fleet.content(), before);
    }
    assert_eq!(fleet.put("edge?force=true", &name("other")).await.status, 200);
}

#[tokio::test]
async fn a_rename_that_was_broken_off_is_finished_by_the_next() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    assert_eq!(
        fleet.put("edge", &json!({"name": "edge", "alias": "Edge", "description": "d"})).await.status,
        200
    );
    // Its last write was the new Secret.
    let mut copy = fleet.secret("edge").unwrap();
    copy["metadata"]["name"] = json!("other");
    fleet.world.hub.put("secrets", copy.clone());
    let body = json!({"name": "other", "alias": "Edge", "description": "d"});
    let answer = fleet.put("edge", &body).await;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("other")), "{}", answer.text());
    assert!(fleet.secret("edge").is_none() && fleet.record("edge").is_none());
    assert_eq!(fleet.record("other").unwrap()["description"], "d");
    // Somebody may be at it.
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    copy["metadata"]["name"] = json!("third");
    copy["metadata"]["creationTimestamp"] = json!(now);
    fleet.world.hub.put("secrets", copy);
    let body = json!({"name": "third", "alias": "Edge"});
    assert_eq!(refused(&fleet.put("other", &body).await), (409, 41409, None));
    assert!(fleet.secret("other").is_some());
}

pub(super) fn application(cluster: &str) -> Value {
    let policy = json!({"type": "topology", "name": "t", "properties": {"clusters": [cluster]}});
    json!({
        "apiVersion": "core.oam.dev/v1beta1", "kind": "Application",
        "metadata": {"namespace": "shop", "name": "checkout"}, "spec": {"policies": [policy]},
    })
}
