//! What a watch says, and when.

use futures_util::StreamExt;

use super::*;
use crate::clock::Clock;
use crate::object;
use crate::resources::named;
use crate::store::Key;

struct Watched {
    store: Arc<Store>,
    lines: std::pin::Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
}

impl Watched {
    fn new(store: &Arc<Store>, query: &str, form: Form) -> Self {
        let query = Query::parse(query);
        let selector = Selector::parse(named("configmaps"), query.text("labelSelector"), "").unwrap();
        let view = View {
            resource: named("configmaps"),
            namespace: Some("a".to_owned()),
            selector,
            form,
            include: Include::Metadata,
        };
        let lines = watch(store, view, &query).unwrap();
        Self { store: Arc::clone(store), lines: Box::pin(lines) }
    }

    async fn event(&mut self) -> Value {
        serde_json::from_slice(&self.lines.next().await.unwrap().unwrap()).unwrap()
    }

    /// Type, name and version of the next event.
    async fn next(&mut self) -> (String, String, u64) {
        let event = self.event().await;
        let version = object::meta(&event["object"], "resourceVersion").parse().unwrap();
        (event["type"].as_str().unwrap().to_owned(), object::name(&event["object"]).to_owned(), version)
    }
}

fn store(history: usize) -> Arc<Store> {
    Arc::new(Store::new(Clock::start(), history))
}

fn put(store: &Store, namespace: &str, name: &str, label: &str) -> u64 {
    let object = json!({"metadata": {"name": name, "namespace": namespace, "labels": {"l": label}}});
    let kept = store.transact(|state| state.put(named("configmaps"), object)).unwrap();
    object::meta(&kept, "resourceVersion").parse().unwrap()
}

fn remove(store: &Store, name: &str) {
    store.transact(|state| state.remove(&Key::new(named("configmaps"), "a", name))).unwrap();
}

fn told(kind: &str, name: &str, version: u64) -> (String, String, u64) {
    (kind.to_owned(), name.to_owned(), version)
}

#[tokio::test(start_paused = true)]
async fn without_a_version_it_begins_with_what_is_there() {
    let store = store(100);
    let first = put(&store, "a", "x", "1");
    put(&store, "b", "elsewhere", "1");
    let mut watched = Watched::new(&store, "watch=true", Form::Object);
    assert_eq!(watched.next().await, told("ADDED", "x", first));
    let second = put(&store, "a", "x", "2");
    assert_eq!(watched.next().await, told("MODIFIED", "x", second));
    remove(&store, "x");
    assert_eq!(watched.next().await, told("DELETED", "x", second + 1));
}

#[tokio::test(start_paused = true)]
async fn with_a_version_it_goes_on_from_there() {
    let store = store(100);
    let first = put(&store, "a", "x", "1");
    let second = put(&store, "a", "x", "2");
    let mut watched = Watched::new(&store, &format!("resourceVersion={first}"), Form::Object);
    assert_eq!(watched.next().await, told("MODIFIED", "x", second));
}

#[tokio::test(start_paused = true)]
async fn objects_come_and_go_with_their_labels() {
    let store = store(100);
    let mut watched = Watched::new(&store, "labelSelector=l%3Dyes", Form::Object);
    put(&store, "a", "x", "no");
    let second = put(&store, "a", "x", "yes");
    let third = put(&store, "a", "x", "no");
    assert_eq!(watched.next().await, told("ADDED", "x", second));
    assert_eq!(
        watched.event().await["object"]["metadata"],
        json!({
            "name": "x", "namespace": "a", "labels": {"l": "yes"}, "resourceVersion": third.to_string(),
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_forgotten_is_gone() {
    let store = store(2);
    for _ in 0..4 {
        put(&store, "a", "x", "1");
    }
    let mut watched = Watched::new(&store, "resourceVersion=2", Form::Object);
    let event = watched.event().await;
    assert_eq!(
        (&event["type"], &event["object"]["code"], &event["object"]["reason"]),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
    assert!(watched.lines.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_too_far_behind_is_told() {
    let store = store(2);
    let mut watched = Watched::new(&store, "resourceVersion=1", Form::Object);
    for _ in 0..5 {
        put(&store, "a", "x", "1");
    }
    assert_eq!(watched.event().await["object"]["code"], 410);
}

#[tokio::test(start_paused = true)]
async fn initial_events_end_with_a_bookmark() {
    let store = store(100);
    put(&store, "a", "x", "1");
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watched = Watched::new(&store, query, Form::Object);
    assert_eq!(watched.next().await.0, "ADDED");
    let event = watched.event().await;
    assert_eq!(event["type"], "BOOKMARK");
    assert_eq!(event["object"]["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(event["object"]["kind"], "ConfigMap");
    let query = Query::parse("sendInitialEvents=true");
    assert_eq!(check_initial_events(&query).unwrap_err().code, 422);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_when_allowed_and_tell_the_newest_version() {
    let store = store(100);
    let mut watched = Watched::new(&store, "resourceVersion=1&allowWatchBookmarks=true", Form::Object);
    let elsewhere = put(&store, "b", "y", "1");
    let begun = Instant::now();
    assert_eq!(watched.next().await, told("BOOKMARK", "", elsewhere));
    assert_eq!(begun.elapsed(), BOOKMARKS);
}

#[tokio::test(start_paused = true)]
async fn it_ends_after_the_time_that_was_asked_for() {
    let store = store(100);
    let begun = Instant::now();
    let mut watched = Watched::new(&store, "resourceVersion=1&timeoutSeconds=7", Form::Object);
    assert!(watched.lines.next().await.is_none());
    assert_eq!(begun.elapsed(), Duration::from_secs(7));
    let mut watched =
        Watched::new(&store, "resourceVersion=1&timeoutSeconds=7&allowWatchBookmarks=1", Form::Object);
    assert_eq!(watched.next().await, told("BOOKMARK", "", 1));
    assert!(watched.lines.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn tables_name_their_columns_once() {
    let store = store(100);
    put(&store, "a", "x", "1");
    put(&store, "a", "y", "1");
    let mut watched = Watched::new(&store, "", Form::Table);
    assert_eq!(watched.event().await["object"]["columnDefinitions"].as_array().unwrap().len(), 3);
    let second = watched.event().await;
    assert_eq!(second["object"]["columnDefinitions"], json!([]));
    assert_eq!(second["object"]["rows"][0]["cells"][0], "y");
    assert_eq!(watched.store.transact(|state| state.version), 3);
}
