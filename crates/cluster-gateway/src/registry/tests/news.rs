//! What whoever shows all clusters is told.

use std::time::Duration;

use super::*;
use crate::registry::{Generation, Sample};

fn index() -> (Arc<Registry>, Index) {
    let registry = Arc::new(Registry::default());
    let mut index = Index::new(Arc::clone(&registry), ClusterPolicy::default());
    index.reset(vec![bare("a"), bare("b")]);
    (registry, index)
}

fn bare(name: &str) -> Secret {
    labelled(name, "1")
}

fn labelled(name: &str, version: &str) -> Secret {
    serde_json::from_value(serde_json::json!({
        "metadata": {"name": name, "uid": name, "resourceVersion": version,
            "labels": {"cluster.core.oam.dev/cluster-credential-type": "ServiceAccountToken"}},
        "data": {"endpoint": "aHR0cHM6Ly9o", "token": "dA=="},
    }))
    .unwrap()
}

/// Changed and removed since then, and the generation of now.
fn since(registry: &Registry, generation: &Generation) -> (Vec<String>, Vec<String>, Generation) {
    let changes = registry.changes(generation).unwrap();
    assert_eq!(changes.generation, registry.generation());
    (changes.changed.into_iter().collect(), changes.removed.into_iter().collect(), changes.generation)
}

#[test]
fn changes_of_secrets_and_of_health_are_told_together_and_once() {
    let (registry, mut index) = index();
    let begin = registry.generation();
    assert_eq!(since(&registry, &begin), (vec![], vec![], begin));
    index.apply(labelled("a", "2"));
    index.apply(labelled("a", "3"));
    index.apply(bare("c"));
    index.delete("b", "");
    index.publish();
    registry.learnt(["a".to_owned(), "b".to_owned()]);
    let (changed, removed, now) = since(&registry, &begin);
    assert_eq!((changed, removed), (vec!["a".to_owned(), "c".to_owned()], vec!["b".to_owned()]));
    assert_ne!(now, begin);
    assert_eq!(since(&registry, &now), (vec![], vec![], now));
    registry.learnt(["c".to_owned()]);
    assert_eq!(since(&registry, &now).0, ["c"]);
    // Gone and there again.
    index.delete("a", "");
    index.apply(labelled("a", "4"));
    index.publish();
    assert_eq!(since(&registry, &now).0, ["a", "c"]);
}

#[test]
fn what_is_no_longer_known_is_gone() {
    let (registry, mut index) = index();
    let begin = registry.generation();
    let other = Registry::default().generation();
    assert_eq!(registry.changes(&other), None, "another process");
    registry.learnt((0..20_000).map(|i| format!("c{i}")));
    assert_eq!(registry.changes(&begin), None, "too much was learnt");
    let now = registry.generation();
    for version in 0..10_000 {
        index.apply(labelled("a", &format!("x{version}")));
    }
    index.publish();
    assert_eq!(registry.changes(&now), None, "too much has changed");
    let ahead = "ffff-999999-0".parse::<Generation>().unwrap();
    assert_eq!(registry.changes(&ahead), None);
}

#[test]
fn a_generation_is_the_same_after_a_journey_as_text() {
    let (registry, _index) = index();
    registry.learnt(["a".to_owned()]);
    let now = registry.generation();
    assert_eq!(now.to_string().parse(), Ok(now));
    for bad in ["", "1", "1-2", "1-2-3-4", "g-1-2", "1--2", "1-2-x", "99999999999999999999999-1-1"] {
        assert!(bad.parse::<Generation>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn who_waits_is_woken_by_either_kind_of_change() {
    let (registry, mut index) = index();
    let begin = registry.generation();
    let waits = |since: Generation| {
        let registry = Arc::clone(&registry);
        tokio::spawn(async move { registry.changed(&since).await })
    };
    let waiting = waits(begin);
    tokio::task::yield_now().await;
    // A snapshot with nothing new wakes nobody for good.
    index.publish();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    registry.learnt(["a".to_owned()]);
    waiting.await.unwrap();
    let waiting = waits(registry.generation());
    tokio::task::yield_now().await;
    index.apply(labelled("a", "2"));
    index.publish();
    waiting.await.unwrap();
    waits(begin).await.unwrap();
}

#[tokio::test]
async fn measurements_go_to_who_listens() {
    let (registry, _index) = index();
    let sample = |latency| Sample { cluster: "a".to_owned(), latency };
    assert!(!registry.has_listeners());
    registry.measured(vec![sample(None)]);
    let mut samples = registry.samples();
    assert!(registry.has_listeners());
    registry.measured(vec![sample(Some(Duration::from_millis(3)))]);
    assert_eq!(*samples.recv().await.unwrap(), [sample(Some(Duration::from_millis(3)))]);
}
