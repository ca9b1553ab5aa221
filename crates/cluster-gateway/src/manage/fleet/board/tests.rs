use std::collections::BTreeMap;

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

fn names<'v>(cards: impl Iterator<Item = &'v Arc<Card>>) -> Vec<&'v str> {
    cards.map(|card| card.name()).collect()
}

#[test]
fn a_cluster_is_shown_as_the_api_says() {
    let board = Board::default();
    let view = board.look(&snapshot(&[&cluster("a", "prod")]), &Records::empty(), Patience::None);
    let shown: Value = serde_json::from_str(&view.get("a").unwrap().to_json()).unwrap();
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
fn each_change_is_told_once_to_those_who_have_not_seen_it() {
    let board = Board::default();
    let look =
        |clusters: &[&Arc<Cluster>]| board.look(&snapshot(clusters), &Records::empty(), Patience::None);
    let (a, b, c) = (cluster("a", "1"), cluster("b", "1"), cluster("c", "1"));
    let first = look(&[&a, &b]);
    let again = look(&[&a, &b]);
    assert_eq!(first.moment, again.moment, "nothing has happened");
    assert!(again.changed(first.moment).next().is_none());
    // The same in other clothes: a new version of the registry's object, in which nothing shown is new.
    let same = look(&[&cluster("a", "1"), &b]);
    assert!(same.changed(first.moment).next().is_none());
    let other = cluster("a", "2");
    let changed = look(&[&other, &b, &c]);
    assert_eq!(names(changed.changed(first.moment)), ["a", "c"]);
    assert_eq!(names(changed.changed(0)), ["a", "b", "c"]);
    let gone = look(&[&other, &c]);
    assert_eq!(gone.removed(first.moment).collect::<Vec<_>>(), ["b"]);
    assert!(gone.removed(gone.moment).next().is_none());
    let back = look(&[&other, &b, &c]);
    assert!(back.removed(first.moment).next().is_none(), "it is there again");
    assert_eq!(names(back.changed(gone.moment)), ["b"]);
}

#[test]
fn only_this_processs_own_places_can_be_gone_on_from_and_not_for_ever() {
    let (board, other) = (Board::default(), Board::default());
    assert_eq!(board.place(&board.generation(7)), Some(7));
    assert_eq!(other.place(&board.generation(7)), None);
    for wrong in ["", "7", "-7", "x-7"] {
        assert_eq!(board.place(wrong), None);
    }
    let all: BTreeMap<_, _> = (0..=MOST_REMOVED).map(|i| (i, cluster(&format!("c{i:05}"), ""))).collect();
    let view = board.look(&snapshot(&all.values().collect::<Vec<_>>()), &Records::empty(), Patience::None);
    assert!(view.knows(view.moment) && view.knows(0) && !view.knows(view.moment + 1));
    let empty = board.look(&snapshot(&[]), &Records::empty(), Patience::None);
    assert!(!empty.knows(view.moment), "more was removed than is remembered");
    assert!(empty.knows(empty.moment));
}

#[test]
fn who_has_patience_gets_what_is_there() {
    let board = Board::default();
    let (a, b) = (cluster("a", "1"), cluster("b", "1"));
    let _ = board.look(&snapshot(&[&a]), &Records::empty(), Patience::None);
    let patient = board.look(&snapshot(&[&a, &b]), &Records::empty(), Patience::Moment);
    assert_eq!(patient.cards.len(), 1);
    assert_eq!(board.look(&snapshot(&[&a, &b]), &Records::empty(), Patience::None).cards.len(), 2);
}
