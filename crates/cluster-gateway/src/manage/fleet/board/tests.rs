use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::*;
use crate::manage::records::View as Records;
use crate::registry::{Cluster, ClusterPolicy, Entry};

fn cluster(name: &str, label: &str) -> Arc<Cluster> {
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": name, "resourceVersion": "7", "creationTimestamp": "2025-01-02T03:04:05Z",
            "labels": {"cluster.core.oam.dev/cluster-credential-type": "ServiceAccountToken", "env": label},
            "annotations": {"cluster.core.oam.dev/cluster-alias": "An \"alias\" <b>"}},
        "data": {"endpoint": "aHR0cHM6Ly9oOjY0NDM=", "token": "c2VzYW1l"},
    }))
    .unwrap();
    Arc::new(ClusterPolicy::default().read(Entry::from(secret), None))
}

fn snapshot(clusters: &[&Arc<Cluster>]) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(clusters.iter().map(|cluster| Arc::clone(cluster))))
}

#[test]
fn a_cluster_is_shown_as_the_api_says() {
    let board = Board::default();
    let cards = board.all(&snapshot(&[&cluster("a", "prod")]), &Records::empty());
    let shown: Value = serde_json::from_str(&cards[0].to_json()).unwrap();
    assert_eq!(
        shown,
        json!({
            "name": "a", "alias": "An \"alias\" <b>", "description": "", "icon": "", "dashboardURL": "",
            "labels": {"env": "prod"}, "status": "Unknown", "reason": "", "since": null, "latency": [], "version": "",
            "apiServerURL": "https://h:6443", "endpointType": "Const",
            "credential": {"type": "ServiceAccountToken", "expires": null, "renewal": "None"},
            "engine": "cluster-gateway", "createTime": "2025-01-02T03:04:05Z", "resourceVersion": "7",
        })
    );
}

#[test]
fn a_cluster_is_written_anew_only_when_something_of_it_is_another() {
    let board = Board::default();
    let all = |clusters: &[&Arc<Cluster>]| board.all(&snapshot(clusters), &Records::empty());
    let (a, b) = (cluster("a", "1"), cluster("b", "1"));
    let first = all(&[&a, &b]);
    let other = cluster("a", "2");
    let second = all(&[&other, &b]);
    assert!(Arc::ptr_eq(&first[1], &second[1]) && !Arc::ptr_eq(&first[0], &second[0]));
    assert!(second[0].to_json().contains("\"env\":\"2\""));
    let transport = &b.upstream.as_ref().unwrap().transport;
    let condition = transport.condition();
    let latencies = condition.latencies.and(Some(std::time::Duration::from_micros(12_480))).and(None);
    transport.set_condition(crate::transport::Condition { latencies, ..condition });
    let third = all(&[&other, &b]);
    assert!(third[1].to_json().contains("\"latency\":[12.4,null]}"), "{}", third[1].to_json());
    assert!(Arc::ptr_eq(&second[0], &third[0]));
    // Who is gone leaves nothing behind.
    assert_eq!(all(&[&a]).len(), 1);
    assert_eq!(board.kept().cards.len(), 1);
    let names = ["a".to_owned(), "b".to_owned()];
    assert_eq!(board.some(&names, &snapshot(&[&a]), &Records::empty()).len(), 1);
}
