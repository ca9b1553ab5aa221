//! `GET /api/v1/clusters/{name}`

use super::*;
use crate::support::fake_hub::Fault;

#[tokio::test]
async fn a_cluster_is_shown_with_what_it_has_and_without_its_credential() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let answer = fleet.get("edge").await;
    let detail = answer.json();
    let all = [
        "alias",
        "apiServerURL",
        "createTime",
        "dashboardURL",
        "description",
        "icon",
        "kubeConfig",
        "kubeConfigSecret",
        "labels",
        "name",
        "provider",
        "reason",
        "resourceInfo",
        "status",
        "updateTime",
    ];
    assert_eq!((answer.status, keys(&detail)), (200, sorted(&all)));
    assert_eq!(
        detail["resourceInfo"],
        json!({"workerNumber": 1, "masterNumber": 0, "memoryCapacity": 8_589_934_592_i64, "cpuCapacity": 4,
            "podCapacity": 1000, "memoryUsed": 0, "cpuUsed": 0, "podUsed": 0})
    );
    assert_eq!((&detail["status"], &detail["labels"]), (&json!("Healthy"), &Value::Null));
    let kubeconfig = detail["kubeConfig"].as_str().unwrap();
    assert!(
        kubeconfig.contains("/clustergateways/edge/proxy") && !answer.text().contains(TOKEN),
        "{kubeconfig}"
    );
    // Asked as the caller, through the gateway, and remembered for a minute.
    let asked =
        || fleet.member.requests().iter().filter(|it| format!("{it:?}").contains("/api/v1/nodes")).count();
    let before = asked();
    assert!(before > 0);
    fleet.get("edge").await;
    assert_eq!(asked(), before);
}

#[tokio::test]
async fn what_is_no_cluster_is_40003_whatever_tricks_the_name_holds() {
    let fleet = Fleet::start().await;
    let long = "a".repeat(254);
    for name in [
        "nowhere",
        "cloud_clusters",
        "..%2fm",
        "m%2f",
        "%2e%2e",
        "m%00",
        "m%0d%0ax",
        "M",
        "m%20",
        "%ff",
        "m%252f",
        "a..b",
        "-m",
        "%3Cscript%3E",
        long.as_str(),
        "m;x",
        "m%23",
    ] {
        let answer = fleet.get(name).await;
        assert_eq!(refused(&answer), (404, 40003, None), "{name}: {}", answer.text());
        assert!(!refusal(&answer).1.contains(['\n', '\r', '\0']), "{name}");
    }
    for path in ["/api/v1/clusters/m/x", "/api/v1/clusters//namespaces/x", "/api/v1/clusters/../clusters/m/y"]
    {
        let answer = fleet.admin.get(path).await;
        assert_eq!((answer.status, refusal(&answer).0), (404, 404), "{path}");
    }
    assert_eq!(refused(&fleet.post(&format!("{CLUSTERS}/m"), &json!({})).await), (405, 405, None));
}

#[tokio::test]
async fn a_member_that_is_away_is_shown_with_the_reason() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    fleet.put("edge", &json!({"name": "edge", "description": "kept"})).await;
    fleet.member.faults().set_for("/api/v1/nodes", simulated_member::Fault::Reset { after: None });
    fleet.world.hub.fault_once("nothing", Fault::Reset);
    // What was seen lately counts for a minute, for this caller; somebody else looks for themselves.
    let other = fleet.world.managing(fleet.world.user("other", &["system:masters"]));
    let detail = other.get(&format!("{CLUSTERS}/edge")).await;
    let shown = detail.json();
    assert_eq!((detail.status, &shown["status"]), (200, &json!("Unhealthy")), "{shown}");
    assert!(
        shown["reason"].as_str().unwrap().starts_with("Failed to get cluster resource info: "),
        "{shown}"
    );
    assert_eq!((&shown["description"], &shown["resourceInfo"]["workerNumber"]), (&json!("kept"), &json!(0)));
    assert_eq!(fleet.record("edge").unwrap()["status"], "Unhealthy", "for those who read only the record");
}

#[tokio::test]
async fn clusters_of_any_name_and_without_a_record_are_shown_also_while_the_store_is_away() {
    let fleet = Fleet::start().await;
    let long = "x".repeat(253);
    for name in ["a.b.c", &long] {
        fleet.world.register(name, &[]);
        fleet.world.listed(name).await;
        assert_eq!(fleet.get(name).await.json()["name"], json!(name));
    }
    fleet.world.hub.fault(RECORDS, Fault::Status(500));
    for name in ["a.b.c", "m", "local"] {
        let answer = fleet.get(name).await;
        assert_eq!((answer.status, &answer.json()["name"]), (200, &json!(name)), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_record_of_velaux_shows_no_credential_and_is_left_as_it_is() {
    let fleet = Fleet::start().await;
    let record =
        json!({"name": "m", "alias": "A", "kubeConfig": "token: clear-text-credential", "status": "Healthy"});
    fleet.velaux_writes("m", &record);
    let answer = fleet.get("m").await;
    assert!(answer.status == 200 && !answer.text().contains("clear-text"), "{}", answer.text());
    assert_eq!(fleet.record("m").unwrap(), record);
}

#[tokio::test]
async fn without_a_hub_there_is_no_local() {
    let (_alone, admin) = super::super::alone().await;
    assert_eq!(refused(&admin.get(&format!("{CLUSTERS}/local")).await), (404, 40003, None));
    let list = admin.get(CLUSTERS).await.json();
    let names: Vec<_> = list["clusters"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["m"]);
    assert_eq!(admin.get(&format!("{CLUSTERS}/m")).await.status, 200);
}
