//! The gateway's own resources, followed by the reflectors of kube-rs through the whole server.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use cluster_gateway::serve::Server;
use futures_util::StreamExt;
use http::Method;
use http_body_util::BodyExt;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::config::AuthInfo;
use kube::core::ResourceExt;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Config;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::support::caller::Caller;
use crate::support::fake_hub::Fault;
use crate::support::world::{NAMESPACE, Setup, TOKEN, World, config, until};

const CG: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// A hub user who may list and watch, as a client of kube-rs.
fn client(world: &World, server: &Server, resource: &str) -> Api<DynamicObject> {
    let _ = world.token("alice", "alices-token");
    for verb in ["list", "watch"] {
        world.hub.allow("alice", verb, resource, "");
    }
    let address = format!("https://localhost:{}", server.address().port());
    let mut config = kube::Config::new(address.parse().unwrap());
    config.root_cert = Some(vec![world.serving.der().to_vec()]);
    config.auth_info = AuthInfo { token: Some("alices-token".to_owned().into()), ..AuthInfo::default() };
    let kind = if resource == "clustergateways" { "ClusterGateway" } else { "VirtualCluster" };
    let kind = GroupVersionKind::gvk("cluster.core.oam.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, resource);
    Api::all_with(Client::try_from(config).unwrap(), &resource)
}

/// A reflector that runs until it is dropped.
struct Reflected {
    store: Store<DynamicObject>,
    task: JoinHandle<()>,
}

impl Reflected {
    fn start(api: Api<DynamicObject>, resource: &str, config: Config) -> Self {
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "", ""), resource);
        let writer = reflector::store::Writer::new(kind);
        let store = writer.as_reader();
        let task = tokio::spawn(async move {
            let mut events = pin!(watcher(api, config).reflect(writer).default_backoff());
            while events.next().await.is_some() {}
        });
        Self { store, task }
    }

    fn names(&self) -> BTreeSet<String> {
        self.store.state().iter().map(|object| object.name_any()).collect()
    }

    async fn becomes(&self, names: &[&str]) {
        until(|| async { self.names().iter().eq(names.iter()) }).await;
    }
}

impl Drop for Reflected {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_230_rule_231_reflectors_follow_what_the_hub_has() {
    let world = World::start().await;
    let server = &world.server;
    world.register("a", &[]);
    let api = || client(&world, server, "clustergateways");
    let lists = Reflected::start(api(), "clustergateways", Config::default().page_size(1));
    let streams = Reflected::start(api(), "clustergateways", Config::default().streaming_lists());
    let some = Reflected::start(api(), "clustergateways", Config::default().labels("env=prod"));
    let virtuals =
        Reflected::start(client(&world, server, "virtualclusters"), "virtualclusters", Config::default());
    for all in [&lists, &streams] {
        all.becomes(&["a", "m"]).await;
    }
    let mut labelled = world.secret("b", &[]);
    labelled.metadata.labels.as_mut().unwrap().insert("env".to_owned(), "prod".to_owned());
    world.hub.put_secret(&labelled);
    some.becomes(&["b"]).await;
    virtuals.becomes(&["a", "b", "local", "m"]).await;
    let object = some.store.state().remove(0);
    let in_hub = world.hub.secret(NAMESPACE, "b").unwrap();
    assert_eq!(object.resource_version().as_deref(), in_hub["metadata"]["resourceVersion"].as_str());
    assert!(!serde_json::to_string(&*object).unwrap().contains(TOKEN));

    // Another value of the label, and no longer a cluster at all.
    labelled.metadata.labels.as_mut().unwrap().insert("env".to_owned(), "test".to_owned());
    world.hub.put_secret(&labelled);
    some.becomes(&[]).await;
    labelled.metadata.labels = None;
    world.hub.put_secret(&labelled);
    world.hub.delete_secret(NAMESPACE, "a");
    for all in [&lists, &streams] {
        all.becomes(&["m"]).await;
    }
    virtuals.becomes(&["local", "m"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_230_what_happened_while_the_hub_was_away_is_told_to_running_watches() {
    let world = World::start().await;
    world.register("a", &[]);
    let streams = Reflected::start(
        client(&world, &world.server, "clustergateways"),
        "clustergateways",
        Config::default().streaming_lists(),
    );
    streams.becomes(&["a", "m"]).await;
    let caller = world.masters();
    let mut watch = Lines::open(&caller, "?watch=true&allowWatchBookmarks=true").await;
    assert_eq!(watch.until("m").await, ["ADDED a", "ADDED m"]);
    // The hub comes back without knowing what happened since.
    let before = caller.get(CG).await.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let asked = world.hub.requests("/secrets?");
    world.hub.fault("secrets", Fault::Reset);
    world.hub.cut_watches();
    until(|| async { world.hub.requests("/secrets?") > asked }).await;
    world.hub.delete_secret(NAMESPACE, "a");
    world.register("b", &[]);
    world.hub.forget();
    world.hub.heal();
    streams.becomes(&["b", "m"]).await;
    assert_eq!(watch.until("b").await, ["DELETED a", "ADDED b"]);
    // A client from elsewhere, who may have missed something, lists again.
    let mut late = Lines::open(&caller, &format!("?watch=true&resourceVersion={before}")).await;
    assert_eq!(late.until("too old resource version").await, ["ERROR "]);
}

/// Two replicas, one row of versions: whoever loses one goes on at the other.
#[tokio::test(flavor = "multi_thread")]
async fn rule_230_a_watch_goes_on_at_another_replica() {
    let world = World::start().await;
    let other = Server::start(config(&world.hub, Setup::default())).await.unwrap();
    other.ready().await;
    let first = world.masters();
    let second = first.clone().at(other.address());
    world.register("a", &[]);
    let version = |list: &Value| list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let seen = |caller: Caller| async move { caller.get(CG).await.json() };
    until(|| async { seen(first.clone()).await["items"].as_array().unwrap().len() == 2 }).await;
    let at = version(&seen(first.clone()).await);
    world.register("b", &[]);
    let mut watch = Lines::open(&second, &format!("?watch=true&resourceVersion={at}")).await;
    assert_eq!(watch.until("b").await, ["ADDED b"]);
    let at = watch.last_version();
    let list = format!("{CG}?resourceVersion={at}&resourceVersionMatch=NotOlderThan");
    assert_eq!(first.get(&list).await.json()["items"].as_array().unwrap().len(), 3);

    // A replica that has just started knows nothing of what was before.
    let third = Server::start(config(&world.hub, Setup::default())).await.unwrap();
    third.ready().await;
    let mut watch = Lines::open(&first.clone().at(third.address()), "?watch=true&resourceVersion=1").await;
    assert_eq!(watch.until("410").await, ["ERROR "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_120_rule_134_a_stop_neither_waits_for_watches_nor_ends_them_cleanly() {
    let mut world = World::start().await;
    let mut watch = Lines::open(&world.masters(), "?watch=true").await;
    assert_eq!(watch.until("m").await, ["ADDED m"]);
    tokio::time::timeout(Duration::from_secs(20), world.server.stop(Duration::ZERO)).await.unwrap();
    // The end of the process cuts what is still open; until then nothing says that this was all.
    let end = tokio::time::timeout(Duration::from_millis(100), watch.body.frame()).await;
    assert!(matches!(end, Err(_) | Ok(Some(Err(_)))), "{end:?}");
}

/// Lines of a watch.
struct Lines {
    body: hyper::body::Incoming,
    text: String,
    version: String,
}

impl Lines {
    async fn open(caller: &Caller, query: &str) -> Self {
        let response = caller.open(Method::GET, &format!("{CG}{query}"), "").await;
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), text: String::new(), version: String::new() }
    }

    /// Type and name of the events up to the one that holds `text`.
    async fn until(&mut self, text: &str) -> Vec<String> {
        let mut events = Vec::new();
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let event: Value = serde_json::from_str(line).unwrap();
                let metadata = &event["object"]["metadata"];
                let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                self.version = word(&metadata["resourceVersion"]);
                events.push(format!("{} {}", word(&event["type"]), word(&metadata["name"])));
                let found = metadata["name"] == text
                    || event["object"].to_string().contains(text) && word(&event["type"]) == "ERROR";
                self.text = rest.to_owned();
                if found {
                    return events;
                }
            }
            let frame = tokio::time::timeout(Duration::from_secs(60), self.body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("only {events:?}")).unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }

    fn last_version(&self) -> String {
        self.version.clone()
    }
}
