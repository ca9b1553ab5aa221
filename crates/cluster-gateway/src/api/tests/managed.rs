//! Virtual clusters that come from ManagedClusters, and the one that stands for the hub.

use kube::core::DynamicObject;
use serde_json::json;

use super::*;
use crate::registry::{ClusterPolicy, Index, ManagedCluster, Registry};

fn managed(name: &str, accepted: bool, configs: &Value) -> ManagedCluster {
    let object = json!({
        "apiVersion": "cluster.open-cluster-management.io/v1", "kind": "ManagedCluster",
        "metadata": {
            "name": name, "creationTimestamp": "2026-02-01T00:00:00Z",
            "labels": {"vendor": "x", "cluster.core.oam.dev/hidden": "1"},
            "annotations": {"cluster.core.oam.dev/cluster-alias": format!("alias-{name}")},
        },
        "spec": {"hubAcceptsClient": accepted, "managedClusterClientConfigs": configs},
    });
    ManagedCluster::read(serde_json::from_value::<DynamicObject>(object).unwrap())
}

fn unregistered(managed: ManagedCluster) -> Option<Arc<Cluster>> {
    let registry = Arc::new(Registry::default());
    let name = managed.name.clone();
    Index::new(Arc::clone(&registry), ClusterPolicy::default()).reset_managed(vec![managed]);
    registry.snapshot().get_virtual(&name).cloned()
}

fn fixture() -> Fixture {
    let config = json!([{"url": "https://m"}]);
    let with = |registered: Cluster, managed: ManagedCluster, names_endpoint| Cluster {
        managed_cluster: Some(Arc::new(managed)),
        names_endpoint,
        ..registered
    };
    let token = CredentialType::ServiceAccountToken;
    let mut tunnelled = cluster("tunnelled", token, "2026-01-08T00:00:00Z");
    tunnelled.endpoint_type = EndpointType::ClusterProxy;
    let clusters = [
        with(cluster("merged", token, "2026-01-09T00:00:00Z"), managed("merged", true, &config), true),
        with(cluster("refused", token, "2026-01-07T00:00:00Z"), managed("refused", false, &config), true),
        with(unusable("placeless", "no endpoint"), managed("placeless", true, &config), false),
        with(unusable("addressless", "no endpoint"), managed("addressless", true, &json!([])), false),
        tunnelled,
    ];
    let unregistered =
        ["local", "yes", "no"].map(|name| managed(name, name != "no", &config)).map(unregistered);
    let all = clusters.into_iter().map(Arc::new).chain(unregistered.into_iter().flatten());
    Fixture::of(Snapshot::new(all), false)
}

#[test]
fn rule_214_managed_clusters_without_a_secret_are_virtual_clusters() {
    let fixture = fixture();
    let list = fixture.get(VC).json();
    let expected = ["local", "no", "placeless", "yes", "merged", "tunnelled", "refused", "addressless"];
    assert_eq!(names(&list), expected);
    let no = fixture.get(&format!("{VC}/no")).json();
    assert_eq!(
        no["metadata"]["labels"],
        json!({ "vendor": "x", "cluster.core.oam.dev/control-plane": "false" })
    );
    let spec = json!({ "alias": "alias-no", "endpoint": "-", "credential-type": "ManagedCluster" });
    assert_eq!(no["spec"], spec, "the hub does not accept it");
    assert_eq!(fixture.get(&format!("{VC}/yes")).json()["spec"]["accepted"], true);
    let table = fixture.accept(VC, TABLE).json();
    let labels = "cluster.core.oam.dev/control-plane=false,vendor=x";
    let created = "2026-02-01T00:00:00Z";
    let cells = json!(["no", "alias-no", "ManagedCluster", "-", false, labels, created]);
    assert_eq!(table["rows"][1]["cells"], cells);
    let selected = fixture.get(&format!("{VC}?labelSelector=vendor%3Dx")).json();
    assert_eq!(names(&selected), ["no", "placeless", "yes"]);
    // They are no clusters that anybody could go to.
    let registered = ["addressless", "merged", "placeless", "refused", "tunnelled"];
    assert_eq!(names(&fixture.get(CG).json()), registered);
    assert_eq!(fixture.get(&format!("{CG}/yes")).status, StatusCode::NOT_FOUND);
}

#[test]
fn rule_214_a_secret_counts_unless_it_does_not_say_where_the_cluster_is() {
    let fixture = fixture();
    for (name, credential_type, endpoint, accepted) in [
        ("merged", "ServiceAccountToken", "https://127.0.0.1:16444", true),
        ("refused", "ServiceAccountToken", "https://127.0.0.1:16444", false),
        ("tunnelled", "ServiceAccountToken", "ClusterProxy", true),
        ("placeless", "ManagedCluster", "-", true),
        ("addressless", "ServiceAccountToken", "-", true),
        ("local", "Internal", "-", true),
    ] {
        let spec = &fixture.get(&format!("{VC}/{name}")).json()["spec"];
        assert_eq!(spec["credential-type"], credential_type, "{name}");
        assert_eq!(spec["endpoint"], endpoint, "{name}");
        assert_eq!(spec.get("accepted").is_some_and(|value| value == true), accepted, "{name}");
    }
}

#[test]
fn rule_214_a_managed_cluster_without_an_address_is_none() {
    assert!(unregistered(managed("m", true, &json!([]))).is_none());
    assert!(unregistered(managed("m", true, &json!("x"))).is_none(), "nor one that is not understood");
    assert!(unregistered(managed("m", true, &json!([{}]))).is_some(), "the original counts, and no more");
}

#[test]
fn rule_214_the_hub_itself_need_not_be_listed_and_can_be_asked_for_all_the_same() {
    let mut fixture = fixture();
    fixture.api.list_control_plane = false;
    let list = fixture.get(VC).json();
    assert_eq!(names(&list)[0], "no");
    assert!(!names(&list).contains(&"local"), "{list}");
    assert_eq!(fixture.get(&format!("{VC}/local")).json()["spec"]["credential-type"], "Internal");
}
