//! What follows from writing workloads.

use super::*;
use crate::clock::Clock;
use crate::store::{HISTORY, Store};
use crate::write::{Part, Preconditions};

fn store() -> Store {
    let store = Store::new(Clock::start(), HISTORY);
    write(&store, |writer| {
        writer.create(named("nodes"), "", json!({"metadata": {"name": "node"}})).unwrap();
        writer.create(named("namespaces"), "", json!({"metadata": {"name": "a"}})).unwrap();
        writer.create(named("deployments"), "a", deployment("1", 3)).unwrap();
    });
    store
}

fn write<T>(store: &Store, run: impl FnOnce(&mut Writer<'_>) -> T) -> T {
    let now = store.clock.now();
    store.transact(|state| run(&mut Writer { state, now, rehearsal: false }))
}

fn deployment(image: &str, replicas: u32) -> Value {
    json!({"metadata": {"name": "web"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}},
    }})
}

fn replace(store: &Store, object: Value) -> Arc<Value> {
    write(store, |writer| writer.update(named("deployments"), "a", "web", object, Part::Main)).unwrap()
}

fn list(store: &Store, plural: &str) -> Vec<Arc<Value>> {
    store.transact(|state| state.list(named(plural), Some("a")))
}

fn images(store: &Store) -> Vec<String> {
    list(store, "pods")
        .iter()
        .map(|pod| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_deployment_has_its_pods_ready_at_once() {
    let store = store();
    let pods = list(&store, "pods");
    assert_eq!(pods.len(), 3);
    for pod in &pods {
        assert_eq!(pod["status"]["phase"], "Running");
        assert_eq!(pod["spec"]["nodeName"], "node");
        assert_eq!(pod["metadata"]["labels"]["app"], "web");
        assert_eq!(pod["status"]["containerStatuses"][0]["ready"], true);
    }
    let deployment = &list(&store, "deployments")[0];
    assert_eq!(deployment["status"]["availableReplicas"], 3);
    assert_eq!(deployment["status"]["observedGeneration"], deployment["metadata"]["generation"]);
    assert_eq!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert!(list(&store, "events").iter().any(|event| event["reason"] == "Scheduled"));
}

#[test]
fn scaling_makes_and_removes_pods() {
    let store = store();
    assert_eq!(replace(&store, deployment("1", 5))["status"]["readyReplicas"], 5);
    assert_eq!(list(&store, "pods").len(), 5);
    replace(&store, deployment("1", 0));
    assert!(list(&store, "pods").is_empty());
    assert_eq!(list(&store, "replicasets").len(), 1);
}

#[test]
fn another_template_moves_the_pods_and_the_first_one_brings_them_back() {
    let store = store();
    replace(&store, deployment("2", 3));
    assert_eq!(images(&store), ["2", "2", "2"]);
    assert_eq!(list(&store, "replicasets").len(), 2);
    let back = replace(&store, deployment("1", 3));
    assert_eq!(images(&store), ["1", "1", "1"]);
    assert_eq!(list(&store, "replicasets").len(), 2);
    assert_eq!(back["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
}

#[test]
fn a_paused_deployment_keeps_its_pods() {
    let store = store();
    let mut paused = deployment("2", 3);
    paused["spec"]["paused"] = true.into();
    replace(&store, paused);
    assert_eq!(images(&store), ["1", "1", "1"]);
}

#[test]
fn only_as_many_old_sets_stay_as_asked_for() {
    let store = store();
    for image in 2..8 {
        let mut next = deployment(&image.to_string(), 1);
        next["spec"]["revisionHistoryLimit"] = 2.into();
        replace(&store, next);
    }
    assert_eq!(list(&store, "replicasets").len(), 3);
}

#[test]
fn a_pod_that_is_deleted_is_replaced() {
    let store = store();
    let name = object::name(&list(&store, "pods")[0]).to_owned();
    write(&store, |writer| writer.delete(named("pods"), "a", &name, &Preconditions::default())).unwrap();
    let pods = list(&store, "pods");
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|pod| object::name(pod) != name));
}

#[test]
fn what_a_deployment_owns_goes_with_it() {
    let store = store();
    write(&store, |writer| writer.delete(named("deployments"), "a", "web", &Preconditions::default()))
        .unwrap();
    assert!(list(&store, "pods").is_empty() && list(&store, "replicasets").is_empty());
}

#[test]
fn a_namespace_is_furnished_and_takes_everything_with_it() {
    let store = store();
    assert_eq!(object::name(&list(&store, "serviceaccounts")[0]), "default");
    write(&store, |writer| writer.delete(named("namespaces"), "", "a", &Preconditions::default())).unwrap();
    for resource in RESOURCES.iter().filter(|resource| resource.namespaced) {
        assert!(list(&store, resource.plural).is_empty(), "{}", resource.plural);
    }
}

#[test]
fn services_get_different_addresses() {
    let store = store();
    let make = |name: &str| {
        let service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
        write(&store, |writer| writer.create(named("services"), "a", service)).unwrap()["spec"]["clusterIP"]
            .clone()
    };
    assert_ne!(make("one"), make("two"));
}

#[test]
fn events_do_not_pile_up() {
    let store = store();
    let about = json!({"metadata": {"name": "x", "namespace": "a"}});
    write(&store, |writer| {
        for _ in 0..3_000 {
            tell(writer, named("pods"), &about, "test", "Test", "text").unwrap();
        }
    });
    assert!(list(&store, "events").len() <= MAX_EVENTS + MAX_EVENTS / 10);
}
