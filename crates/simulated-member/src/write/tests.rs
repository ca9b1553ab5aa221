//! What writes do to objects.

use super::*;
use crate::clock::Clock;
use crate::store::{HISTORY, Store};

fn store() -> Store {
    let store = Store::new(Clock::start(), HISTORY);
    write(&store, |writer| writer.create(named("namespaces"), "", json!({"metadata": {"name": "a"}})))
        .unwrap();
    store
}

fn write<T>(store: &Store, run: impl FnOnce(&mut Writer<'_>) -> T) -> T {
    let now = store.clock.now();
    store.transact(|state| run(&mut Writer { state, now, rehearsal: false }))
}

fn create(store: &Store, object: Value) -> Result<Arc<Value>> {
    write(store, |writer| writer.create(named("configmaps"), "a", object))
}

fn update(store: &Store, object: Value, part: Part) -> Result<Arc<Value>> {
    let name = object::name(&object).to_owned();
    write(store, |writer| writer.update(named("configmaps"), "a", &name, object, part))
}

#[test]
fn names_are_generated_when_asked_for() {
    let store = store();
    let made = create(&store, json!({"metadata": {"generateName": "x-"}})).unwrap();
    let name = object::name(&made);
    assert!(name.starts_with("x-") && name.len() == 7, "{name}");
    assert_ne!(create(&store, json!({"metadata": {"generateName": "x-"}})).unwrap(), made);
}

#[test]
fn a_new_object_needs_its_namespace_and_a_free_name() {
    let store = store();
    let object = json!({"metadata": {"name": "x"}});
    let elsewhere = write(&store, |writer| writer.create(named("configmaps"), "b", object.clone()));
    assert_eq!(elsewhere.unwrap_err().message, r#"namespaces "b" not found"#);
    create(&store, object.clone()).unwrap();
    assert_eq!(create(&store, object).unwrap_err().reason, "AlreadyExists");
    let status = create(&store, json!({"metadata": {"name": "y", "resourceVersion": "1"}})).unwrap_err();
    assert_eq!(status.code, 400);
}

#[test]
fn an_update_of_an_old_version_is_a_conflict() {
    let store = store();
    let first = create(&store, json!({"metadata": {"name": "x"}})).unwrap();
    let mut object = (*first).clone();
    object["data"] = json!({"a": "1"});
    let second = update(&store, object.clone(), Part::Main).unwrap();
    assert_ne!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(update(&store, object.clone(), Part::Main).unwrap_err().reason, "Conflict");
    unset(&mut object["metadata"], "resourceVersion");
    object["data"] = json!({"a": "2"});
    assert_eq!(update(&store, object, Part::Main).unwrap()["data"]["a"], "2");
}

#[test]
fn an_update_that_changes_nothing_has_no_new_version() {
    let store = store();
    let first = create(&store, json!({"metadata": {"name": "x"}})).unwrap();
    assert_eq!(update(&store, (*first).clone(), Part::Main).unwrap(), first);
}

#[test]
fn clients_cannot_set_what_is_the_servers() {
    let store = store();
    let first = create(&store, json!({"metadata": {"name": "x"}})).unwrap();
    let object =
        json!({"metadata": {"name": "x", "creationTimestamp": "2000-01-01T00:00:00Z", "labels": {"a": "b"}}});
    let second = update(&store, object, Part::Main).unwrap();
    assert_eq!(second["metadata"]["creationTimestamp"], first["metadata"]["creationTimestamp"]);
    assert_eq!(second["metadata"]["uid"], first["metadata"]["uid"]);
    let other = json!({"metadata": {"name": "x", "uid": "another"}});
    assert_eq!(update(&store, other, Part::Main).unwrap_err().reason, "Conflict");
}

#[test]
fn status_and_the_rest_are_written_apart() {
    let store = store();
    let namespaces = named("namespaces");
    let put =
        |object, part| write(&store, |writer| writer.update(namespaces, "", "a", object, part)).unwrap();
    let object = json!({"metadata": {"name": "a", "labels": {"x": "y"}}, "status": {"phase": "Odd"}});
    let kept = put(object.clone(), Part::Main);
    assert_eq!((&kept["status"]["phase"], &kept["metadata"]["labels"]["x"]), (&json!("Active"), &json!("y")));
    let object = json!({"metadata": {"name": "a", "labels": {"x": "z"}}, "status": {"phase": "Odd"}});
    let kept = put(object, Part::Status);
    assert_eq!((&kept["status"]["phase"], &kept["metadata"]["labels"]["x"]), (&json!("Odd"), &json!("y")));
}

#[test]
fn the_generation_counts_changes_of_the_spec() {
    let store = store();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "c:1"}]}});
    let pods = named("pods");
    let made = write(&store, |writer| writer.create(pods, "a", pod)).unwrap();
    let mut labelled = (*made).clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    let labelled = write(&store, |writer| writer.update(pods, "a", "p", labelled, Part::Main)).unwrap();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let mut changed = (*labelled).clone();
    changed["spec"]["containers"][0]["image"] = "c:2".into();
    let changed = write(&store, |writer| writer.update(pods, "a", "p", changed, Part::Main)).unwrap();
    assert_eq!(changed["metadata"]["generation"], 2);
}

#[test]
fn finalizers_hold_a_deletion_up() {
    let store = store();
    create(&store, json!({"metadata": {"name": "x", "finalizers": ["f"]}})).unwrap();
    let delete =
        || write(&store, |writer| writer.delete(named("configmaps"), "a", "x", &Preconditions::default()));
    let marked = delete().unwrap();
    assert!(!object::meta(&marked, "deletionTimestamp").is_empty());
    assert_eq!(delete().unwrap(), marked);
    let mut free = (*marked).clone();
    unset(&mut free["metadata"], "finalizers");
    update(&store, free, Part::Main).unwrap();
    assert_eq!(delete().unwrap_err().code, 404);
}

#[test]
fn deletions_keep_to_their_preconditions() {
    let store = store();
    create(&store, json!({"metadata": {"name": "x"}})).unwrap();
    let wanted = Preconditions { uid: "another".to_owned(), ..Preconditions::default() };
    let delete =
        |wanted: &Preconditions| write(&store, |writer| writer.delete(named("configmaps"), "a", "x", wanted));
    assert_eq!(delete(&wanted).unwrap_err().code, 409);
    assert_eq!(
        delete(&Preconditions { version: "0".to_owned(), ..Preconditions::default() }).unwrap_err().code,
        409
    );
    assert!(delete(&Preconditions::default()).is_ok());
}

#[test]
fn what_must_not_change_does_not() {
    let store = store();
    create(&store, json!({"metadata": {"name": "x"}, "immutable": true, "data": {"a": "1"}})).unwrap();
    let object = json!({"metadata": {"name": "x"}, "immutable": true, "data": {"a": "2"}});
    assert_eq!(update(&store, object, Part::Main).unwrap_err().code, 422);
}
