//! `GET /api/v1/clusters`

use super::*;
use crate::support::fake_hub::Fault;

fn names(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let clusters = list["clusters"].as_array().unwrap_or_else(|| panic!("{list}")).iter();
    clusters.map(|cluster| cluster["name"].as_str().unwrap().to_owned()).collect()
}

/// Clusters of the control plane that were made at these times.
fn register(fleet: &Fleet, clusters: &[(&str, &str)]) {
    for (name, created) in clusters {
        let mut secret = serde_json::to_value(fleet.world.secret(name, &[])).unwrap();
        secret["metadata"]["creationTimestamp"] = json!(created);
        fleet.world.hub.put("secrets", secret);
    }
}

#[tokio::test]
async fn the_hub_comes_first_then_the_newest_and_the_total_counts_all() {
    let fleet = Fleet::start().await;
    let old = "2024-01-01T00:00:00Z";
    register(
        &fleet,
        &[("b.with.dots", old), ("a", old), ("new", "2025-01-01T00:00:00Z"), ("m", "2020-01-01T00:00:00Z")],
    );
    register(&fleet, &[(&"x".repeat(253), "2019-01-01T00:00:00Z")]);
    fleet.world.listed(&"x".repeat(253)).await;
    let fleet_ref = &fleet;
    let get = |query: &'static str| async move { fleet_ref.admin.get(&format!("{CLUSTERS}{query}")).await };
    let all = get("?page=0&pageSize=10&query=").await;
    assert_eq!(all.status, 200);
    assert_eq!(names(&all)[..5], ["local", "new", "a", "b.with.dots", "m"]);
    assert_eq!((names(&all).len(), all.json()["total"].as_u64()), (6, Some(6)));
    let local = &all.json()["clusters"][0];
    assert_eq!(
        (&local["status"], &local["description"]),
        (&json!("Healthy"), &json!("The hub manage cluster where KubeVela runs on."))
    );
    let page = get("?page=2&pageSize=5").await;
    assert_eq!((names(&page), page.json()["total"].as_u64()), (vec!["x".repeat(253)], Some(6)));
    assert_eq!(names(&get("?page=9").await), Vec::<String>::new());
    assert_eq!(get("?page=9").await.json()["clusters"], json!([]), "never null");
    let found = get("?query=with").await;
    assert_eq!((names(&found), found.json()["total"].as_u64()), (vec!["b.with.dots".to_owned()], Some(6)));
    assert_eq!(names(&get("/?page=-1").await).len(), 6, "with a slash, too");
    for (bad, field) in [("?page=one", "page"), ("?pageSize=1.5", "pageSize")] {
        assert_eq!(refused(&get(bad).await), (400, 400, Some(field.to_owned())));
    }
}

#[tokio::test]
async fn records_of_velaux_show_where_the_control_plane_says_nothing_and_only_there() {
    let fleet = Fleet::start().await;
    let record = json!({"name": "m", "alias": "From VelaUX", "description": "d", "icon": "i", "labels": {"team": "x",
        "cluster.core.oam.dev/cluster-credential-type": "X"}, "status": "Unhealthy", "reason": "as it was",
        "provider": {"provider": "aliyun", "clusterID": "c1", "zone": "z"},
        "dashboardURL": "https://d", "apiServerURL": "https://old", "kubeConfig": "a clear text credential"});
    fleet.velaux_writes("m", &record);
    fleet.velaux_writes("gone", &json!({"name": "gone"}));
    let m = |answer: Answer| {
        let list = answer.json();
        assert!(!answer.text().contains("clear text") && !names(&answer).contains(&"gone".to_owned()));
        list["clusters"].as_array().unwrap().iter().find(|cluster| cluster["name"] == "m").unwrap().clone()
    };
    let shown = m(fleet.admin.get(CLUSTERS).await);
    assert_eq!((&shown["alias"], &shown["labels"]), (&json!("From VelaUX"), &json!({"team": "x"})));
    assert_eq!(
        shown["providerInfo"],
        json!({"provider": "aliyun", "clusterID": "c1", "zone": "z", "labels": null})
    );
    assert_eq!(shown["apiServerURL"], json!(format!("https://{}", fleet.world.member.address)));
    // kubectl has the last word.
    let mut secret = fleet.secret("m").unwrap();
    secret["metadata"]["labels"]["team"] = json!("y");
    secret["metadata"]["annotations"] = json!({ALIAS: "From kubectl"});
    fleet.world.hub.put("secrets", secret);
    until(|| async { m(fleet.admin.get(CLUSTERS).await)["alias"] == "From kubectl" }).await;
    assert_eq!(m(fleet.admin.get(CLUSTERS).await)["labels"], json!({"team": "y"}));
}

#[tokio::test]
async fn without_the_store_clusters_are_listed_all_the_same_and_the_answer_says_so() {
    let fleet = Fleet::start().await;
    fleet.world.hub.fault(RECORDS, Fault::Status(503));
    let answer = fleet.admin.get(CLUSTERS).await;
    assert_eq!((answer.status, names(&answer)), (200, vec!["local".to_owned(), "m".to_owned()]));
    let warning = answer.header("warning").unwrap();
    assert!(warning.starts_with("199 cluster-gateway \"") && warning.contains("store"), "{warning}");
    assert_eq!(
        fleet.world.masters().get(&format!("{}/plain", crate::support::world::PROXY)).await.status,
        200
    );
}

#[tokio::test]
async fn a_store_that_is_silent_keeps_only_the_first_waiting_and_no_proxied_request() {
    let fleet = Fleet::start().await;
    fleet.world.hub.fault(RECORDS, Fault::Hang);
    let (list, proxied) = tokio::join!(fleet.admin.get(CLUSTERS), async {
        fleet.world.masters().get(&format!("{}/plain", crate::support::world::PROXY)).await
    });
    assert_eq!((list.status, proxied.status), (200, 200));
    assert!(list.header("warning").unwrap().contains("has not answered"));
    let asked = fleet.world.hub.requests(&format!("GET /api/v1{RECORDS}"));
    assert_eq!(fleet.admin.get(CLUSTERS).await.status, 200);
    assert_eq!(
        fleet.world.hub.requests(&format!("GET /api/v1{RECORDS}")),
        asked,
        "nobody asks twice meanwhile"
    );
}

#[tokio::test]
async fn lists_do_not_ask_the_store_each_time() {
    let fleet = Fleet::start().await;
    fleet.admin.get(CLUSTERS).await;
    let asked = fleet.world.hub.requests(RECORDS);
    for _ in 0..20 {
        assert_eq!(fleet.admin.get(CLUSTERS).await.status, 200);
    }
    assert_eq!(fleet.world.hub.requests(RECORDS), asked);
}
