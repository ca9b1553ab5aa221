//! Watches, from the registry to the lines.

use futures_util::future::Either;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::*;
use crate::registry::{ClusterPolicy, Index, Listing, ManagedCluster, Registry};

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// An API over a registry that changes.
struct Live {
    api: Api,
    index: Index,
}

/// A watch that is being read.
struct Watching {
    body: Body,
    ended: bool,
}

impl Live {
    /// Clusters `a` and `b`, of versions 10 and 20 of a hub that has come to 100.
    fn new() -> Self {
        let mut live = Self::empty();
        live.list(&[secret("a", "10"), secret("b", "20")], Some("100"));
        live
    }

    fn empty() -> Self {
        let registry = Arc::new(Registry::default());
        let clusters = Arc::clone(&registry);
        let [synced, stopping] = [true, false].map(|flag| Arc::new(AtomicBool::new(flag)));
        let records = Arc::new(Records::of(&Snapshot::default()));
        let api = api(true, [&synced, &stopping], Arc::new(move || clusters.snapshot()), records);
        Self { api, index: Index::new(registry, ClusterPolicy::default()) }
    }

    fn list(&mut self, secrets: &[Secret], version: Option<&str>) {
        let mut listing = Listing::default();
        for secret in secrets {
            self.index.list(&mut listing, secret.clone());
        }
        self.index.replace(listing, version);
    }

    fn put(&mut self, secret: Secret) {
        self.index.apply(secret);
        self.index.publish();
    }

    fn delete(&mut self, name: &str, version: &str) {
        self.index.delete(name, version);
        self.index.publish();
    }

    async fn ask(&self, uri: &str, accept: &str) -> Response<Body> {
        ask(&self.api, uri, accept).await
    }

    async fn version(&self) -> u64 {
        let list = self.ask(CG, "").await.into_body().collect().await.unwrap().to_bytes();
        let list: Value = serde_json::from_slice(&list).unwrap();
        list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    }

    async fn watch_as(&self, accept: &str, uri: &str) -> Watching {
        let response = self.ask(uri, accept).await;
        assert_eq!(response.status(), StatusCode::OK, "{uri}");
        assert_eq!(response.headers()["content-type"], "application/json");
        Watching { body: response.into_body(), ended: false }
    }

    async fn watch(&self, query: &str) -> Watching {
        self.watch_as("application/json;stream=watch", &format!("{CG}?watch=true&{query}")).await
    }
}

impl Watching {
    /// What has been said since.
    async fn lines(&mut self) -> Vec<Value> {
        let mut text = Vec::new();
        while let Either::Left((frame, _)) =
            futures_util::future::select(self.body.frame(), std::pin::pin!(tokio::task::yield_now())).await
        {
            match frame {
                Some(frame) => text.extend_from_slice(&frame.unwrap().into_data().unwrap()),
                None => {
                    self.ended = true;
                    break;
                }
            }
        }
        String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Type, name and version of what has been said since.
    async fn events(&mut self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lines = self.lines().await;
        let events = lines.iter().map(|line| {
            let metadata = &line["object"]["metadata"];
            let shown = [&line["type"], &metadata["name"], &metadata["resourceVersion"]].map(text);
            shown.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" ")
        });
        events.collect()
    }
}

async fn ask(api: &Api, uri: &str, accept: &str) -> Response<Body> {
    let (parts, ()) = Request::get(uri).header("accept", accept).body(()).unwrap().into_parts();
    let RequestInfo::Resource(target) = RequestInfo::parse(&parts).unwrap() else { panic!("a resource") };
    api.resource(&target, &parts).await.unwrap_or_else(|error| error.into_response(false))
}

fn secret(name: &str, version: &str) -> Secret {
    labelled(name, version, &[])
}

fn labelled(name: &str, version: &str, labels: &[(&str, &str)]) -> Secret {
    let mut all = BTreeMap::from([(LABEL_CREDENTIAL_TYPE.to_owned(), "ServiceAccountToken".to_owned())]);
    all.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let data = [("endpoint", "https://h:6443"), ("token", TOKEN)];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(format!("uid-{name}")),
            resource_version: Some(version.to_owned()),
            labels: Some(all),
            ..ObjectMeta::default()
        },
        data: Some(data.map(|(key, value)| (key.to_owned(), ByteString(value.into()))).into()),
        ..Secret::default()
    }
}

#[tokio::test]
async fn rule_230_a_watch_without_a_version_begins_with_what_is_there() {
    for query in ["", "resourceVersion=0", "resourceVersion="] {
        let mut live = Live::new();
        let mut watch = live.watch(query).await;
        assert_eq!(watch.events().await, ["ADDED a 10", "ADDED b 20"], "{query}");
        live.put(secret("b", "101"));
        live.put(secret("c", "102"));
        live.delete("a", "103");
        assert_eq!(watch.events().await, ["MODIFIED b 101", "ADDED c 102", "DELETED a 103"], "{query}");
        assert!(!watch.ended && watch.events().await.is_empty());
    }
}

#[tokio::test]
async fn rule_230_a_watch_goes_on_behind_the_version_of_a_list_or_an_object() {
    let mut live = Live::new();
    let list = live.ask(CG, "").await.into_body().collect().await.unwrap().to_bytes();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["metadata"]["resourceVersion"], "100");
    live.put(secret("b", "101"));
    live.put(secret("c", "105"));
    for (version, expected) in [
        ("100", vec!["MODIFIED b 101", "ADDED c 105"]),
        ("101", vec!["ADDED c 105"]),
        ("104", vec!["ADDED c 105"]),
        ("105", vec![]),
    ] {
        let mut watch = live.watch(&format!("resourceVersion={version}")).await;
        assert_eq!(watch.events().await, expected, "{version}");
    }
}

#[tokio::test]
async fn rule_230_older_than_the_history_is_gone() {
    let live = Live::new();
    let mut watch = live.watch("resourceVersion=99").await;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version: 99 (100)", "reason": "Expired", "code": 410,
    });
    assert_eq!(watch.lines().await, [json!({ "type": "ERROR", "object": status })]);
    assert!(watch.ended);
}

/// A replica that is behind another has nothing to add until it has caught up.
#[tokio::test(start_paused = true)]
async fn rule_230_a_version_ahead_of_this_replica_is_waited_for() {
    let mut live = Live::new();
    let mut watch = live.watch("resourceVersion=102").await;
    live.put(secret("c", "101"));
    live.put(secret("d", "102"));
    live.put(secret("e", "103"));
    assert_eq!(watch.events().await, ["ADDED e 103"]);

    let uris = [
        format!("{CG}?resourceVersion=200&resourceVersionMatch=NotOlderThan"),
        format!("{CG}?resourceVersion=200&resourceVersionMatch=Exact"),
        format!("{CG}?resourceVersion=200"),
        format!("{VC}/e?resourceVersion=200"),
    ];
    for uri in uris {
        let response = live.ask(&uri, "").await;
        assert_eq!(
            (response.status(), &response.headers()["retry-after"]),
            (StatusCode::GATEWAY_TIMEOUT, &"1".parse().unwrap())
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let status: Value = serde_json::from_slice(&body).unwrap();
        let details = json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
            "retryAfterSeconds": 1,
        });
        assert_eq!((&status["reason"], &status["details"]), (&"Timeout".into(), &details));
        assert_eq!(status["message"], "Timeout: Too large resource version: 200, current: 103");
    }
    let query = "resourceVersion=200&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    assert_eq!(live.watch(query).await.lines().await[0]["object"]["code"], 504);

    let Live { api, mut index } = live;
    let uri = format!("{CG}?resourceVersion=200");
    let arrives = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        index.advance("200");
        index.publish();
    };
    let (answer, ()) = tokio::join!(ask(&api, &uri, ""), arrives);
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn rule_230_versions_of_an_earlier_process_are_gone() {
    let mut live = Live::empty();
    live.list(&[secret("a", "9999999999999999999")], None);
    let mut watch = live.watch("").await;
    let first = watch.lines().await;
    let version: u64 = first[0]["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    live.list(&[secret("a", "1"), secret("b", "1")], None);
    live.list(&[secret("b", "1")], None);
    let lines = watch.lines().await;
    let versions: Vec<u64> = lines
        .iter()
        .map(|line| line["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(
        versions.len() == 3 && version < versions[0] && versions.is_sorted_by(|a, b| a < b),
        "{versions:?}"
    );
    for version in [version - 1, versions[2] + 1] {
        let line = live.watch(&format!("resourceVersion={version}")).await.lines().await.remove(0);
        assert_eq!((&line["type"], &line["object"]["code"]), (&"ERROR".into(), &410.into()));
    }
    let mut again = live.watch(&format!("resourceVersion={version}")).await;
    assert_eq!(again.lines().await.len(), 3, "nothing of this process is lost");
}

#[tokio::test]
async fn rule_230_rule_231_what_is_no_longer_selected_is_deleted_and_what_is_now_is_added() {
    let mut live = Live::new();
    let mut prod = live.watch("labelSelector=env%3Dprod").await;
    let mut one = live.watch("fieldSelector=metadata.name%3Da").await;
    let mut other = live.watch("fieldSelector=metadata.name!%3Da").await;
    assert_eq!(prod.events().await, [""; 0]);
    assert_eq!(
        (one.events().await, other.events().await),
        (vec!["ADDED a 10".into()], vec!["ADDED b 20".into()])
    );
    live.put(labelled("a", "101", &[("env", "prod")]));
    live.put(labelled("b", "102", &[("env", "test")]));
    live.put(labelled("a", "103", &[("env", "prod"), ("x", "y")]));
    live.put(labelled("a", "104", &[("env", "test")]));
    live.put(labelled("a", "105", &[("env", "prod")]));
    // A Secret that has lost the label of its kind is deleted for whoever watches the label.
    live.delete("a", "106");
    assert_eq!(
        prod.events().await,
        ["ADDED a 101", "MODIFIED a 103", "DELETED a 104", "ADDED a 105", "DELETED a 106"]
    );
    assert_eq!(one.events().await.len(), 5);
    assert_eq!(other.events().await, ["MODIFIED b 102"]);
}

#[tokio::test]
async fn rule_092_rule_230_one_object_is_watched_by_its_name_and_got_by_its_path() {
    let live = Live::new();
    let response = live.ask(&format!("{CG}/a?watch=true"), "").await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["metadata"]["name"], "a");

    let uri = format!("{CG}?watch=true");
    let (parts, ()) = Request::get(&uri).body(()).unwrap().into_parts();
    let RequestInfo::Resource(mut target) = RequestInfo::parse(&parts).unwrap() else { panic!("a resource") };
    target.name = "b".to_owned();
    let body = live.api.resource(&target, &parts).await.unwrap().into_body();
    assert_eq!(Watching { body, ended: false }.events().await, ["ADDED b 20"]);
}

#[tokio::test]
async fn rule_229_rule_230_initial_events_end_with_a_bookmark() {
    let mut live = Live::new();
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    for version in ["", "&resourceVersion=50", "&resourceVersion=100"] {
        let mut watch = live.watch(&format!("{initial}&allowWatchBookmarks=true{version}")).await;
        let lines = watch.lines().await;
        assert_eq!(lines.len(), 3);
        let bookmark = json!({ "type": "BOOKMARK", "object": {
            "kind": "ClusterGateway", "apiVersion": "cluster.core.oam.dev/v1alpha1", "metadata": {
                "resourceVersion": "100", "creationTimestamp": null,
                "annotations": { "k8s.io/initial-events-end": "true" },
            },
        } });
        assert_eq!(lines[2], bookmark);
    }
    assert_eq!(live.watch(initial).await.events().await, ["ADDED a 10", "ADDED b 20"], "not allowed");
    let without = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = live.watch(without).await;
    assert_eq!(watch.events().await, [""; 0]);
    live.put(secret("c", "101"));
    assert_eq!(watch.events().await, ["ADDED c 101"]);
}

#[tokio::test(start_paused = true)]
async fn rule_230_bookmarks_come_every_minute_and_before_the_end() {
    let mut live = Live::new();
    let mut watch = live.watch("resourceVersion=100&allowWatchBookmarks=true&timeoutSeconds=90").await;
    let mut silent = live.watch("resourceVersion=100&timeoutSeconds=90").await;
    assert_eq!(watch.events().await, [""; 0]);
    live.index.advance("150");
    live.index.publish();
    let second = std::time::Duration::from_secs(1);
    tokio::time::sleep(59 * second).await;
    assert_eq!(watch.events().await, [""; 0]);
    tokio::time::sleep(2 * second).await;
    assert_eq!(watch.events().await, ["BOOKMARK 150"]);
    live.put(secret("c", "160"));
    assert_eq!(watch.events().await, ["ADDED c 160"]);
    tokio::time::sleep(30 * second).await;
    assert_eq!((watch.events().await, watch.ended), (vec!["BOOKMARK 160".to_owned()], true));
    assert_eq!((silent.events().await, silent.ended), (vec!["ADDED c 160".to_owned()], true));
}

#[tokio::test(start_paused = true)]
async fn rule_230_a_watch_ends_by_itself_after_30_to_60_minutes() {
    let live = Live::new();
    let mut watches = Vec::new();
    for query in [
        "resourceVersion=100",
        "resourceVersion=100&timeoutSeconds=0",
        "resourceVersion=100&timeoutSeconds=-1",
    ] {
        watches.push(live.watch(query).await);
    }
    let minute = std::time::Duration::from_secs(60);
    for watch in &mut watches {
        assert!(watch.events().await.is_empty());
    }
    tokio::time::sleep(29 * minute).await;
    for watch in &mut watches {
        assert!(watch.events().await.is_empty() && !watch.ended);
    }
    tokio::time::sleep(32 * minute).await;
    for watch in &mut watches {
        assert!(watch.events().await.is_empty() && watch.ended);
    }
    let mut longest = live.watch("resourceVersion=100&timeoutSeconds=9223372036854775807").await;
    assert!(longest.events().await.is_empty() && !longest.ended);
}

#[tokio::test]
async fn rule_230_tables_name_their_columns_once() {
    let mut live = Live::new();
    for (round, include) in ["Object", "Metadata", "None"].into_iter().enumerate() {
        let mut watch = live.watch_as(TABLE, &format!("{CG}?watch=true&includeObject={include}")).await;
        let lines = watch.lines().await;
        assert_eq!(lines.len(), 2);
        for (index, line) in lines.iter().enumerate() {
            let table = &line["object"];
            assert_eq!((&table["kind"], &table["apiVersion"]), (&"Table".into(), &"meta.k8s.io/v1".into()));
            assert_eq!(table["columnDefinitions"].is_array(), index == 0, "{table}");
            assert_eq!(table["rows"].as_array().unwrap().len(), 1);
        }
        assert_eq!(lines[0]["object"]["metadata"], json!({ "resourceVersion": "10" }));
        let object = &lines[0]["object"]["rows"][0]["object"];
        assert_eq!(object.is_null(), include == "None");
        assert_eq!(object["spec"].is_object(), include == "Object");
        let version = 101 + 2 * round;
        live.put(secret("z", &version.to_string()));
        assert!(watch.lines().await[0]["object"]["columnDefinitions"].is_null());
        live.delete("z", &(version + 1).to_string());
    }
    assert_eq!(
        live.ask(&format!("{CG}?watch=1&includeObject=x"), TABLE).await.status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn rule_205_rule_230_metadata_can_be_watched_alone() {
    let live = Live::new();
    let initial =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = live.watch_as(METADATA, &format!("{VC}?{initial}")).await;
    let lines = watch.lines().await;
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert_eq!(line["object"]["kind"], "PartialObjectMetadata");
        assert!(line["object"].get("spec").is_none());
    }
    let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    for accept in [list, "application/yaml"] {
        let answer = live.ask(&format!("{CG}?watch=true"), accept).await;
        assert_eq!(answer.status(), StatusCode::NOT_ACCEPTABLE, "{accept}");
    }
}

#[tokio::test]
async fn rule_214_rule_230_local_is_watched_too_and_never_changes() {
    let mut live = Live::new();
    let mut watch = live.watch_as("", &format!("{VC}?watch=true")).await;
    let lines = watch.lines().await;
    let local = &lines[0]["object"];
    assert_eq!(
        (&local["metadata"]["name"], &local["metadata"]["resourceVersion"]),
        (&"local".into(), &"1".into())
    );
    assert_eq!(lines.len(), 3);
    // A Secret of that name would be a second object of the same name.
    live.put(secret("local", "101"));
    live.put(labelled("a", "102", &[("env", "prod")]));
    let lines = watch.lines().await;
    assert_eq!((lines.len(), &lines[0]["object"]["metadata"]["labels"]["env"]), (1, &"prod".into()));
    let selector = "labelSelector=cluster.core.oam.dev%2Fcontrol-plane%3Dtrue";
    let mut only = live.watch_as("", &format!("{VC}?watch=true&{selector}")).await;
    assert_eq!(only.events().await, ["ADDED local 1"]);
}

#[tokio::test]
async fn rule_231_no_event_holds_a_credential() {
    let mut live = Live::new();
    let mut all = Vec::new();
    for uri in [CG, VC] {
        for accept in ["", TABLE, METADATA] {
            let uri = format!("{uri}?watch=true&includeObject=Object");
            all.push(live.watch_as(accept, &uri).await);
        }
    }
    live.put(secret("a", "101"));
    live.delete("a", "102");
    for watch in &mut all {
        let lines = watch.lines().await;
        assert!(lines.len() >= 4);
        for line in lines {
            assert!(!line.to_string().contains(TOKEN), "{line}");
        }
    }
}

#[tokio::test]
async fn rule_230_who_falls_too_far_behind_is_told_to_list_again() {
    let mut live = Live::new();
    let mut watch = live.watch("resourceVersion=100").await;
    let mut quick = live.watch("resourceVersion=100").await;
    for version in 101..5101 {
        live.index.apply(secret("a", &version.to_string()));
        if version == 4000 {
            live.index.publish();
            assert_eq!(quick.lines().await.len(), 3900);
        }
    }
    live.index.publish();
    let lines = watch.lines().await;
    assert_eq!(
        (&lines[0]["type"], &lines[0]["object"]["code"], lines.len()),
        (&"ERROR".into(), &410.into(), 1)
    );
    assert_eq!(lines[0]["object"]["message"], "too old resource version: 100 (1004)");
    assert!(watch.ended);
    assert_eq!(quick.lines().await.len(), 1100, "the others are not disturbed");
}

/// What happened between two lists of the hub is not known: who watched all the time is told the difference, and who
/// comes from elsewhere lists again.
#[tokio::test]
async fn rule_230_a_gap_in_what_the_hub_told_is_no_gap_for_watchers() {
    let mut live = Live::new();
    let mut watch = live.watch("resourceVersion=100").await;
    let mut recreated = secret("c", "150");
    live.put(secret("c", "110"));
    assert_eq!(watch.events().await, ["ADDED c 110"]);
    recreated.metadata.uid = Some("another".to_owned());
    live.list(&[secret("b", "120"), recreated], Some("200"));
    // After the removals it would go on from before the gap: elsewhere they may be told again.
    assert_eq!(watch.events().await, ["DELETED a 110", "DELETED c 110", "MODIFIED b 120", "ADDED c 150"]);
    for version in ["110", "199"] {
        assert_eq!(live.watch(&format!("resourceVersion={version}")).await.events().await, ["ERROR"]);
    }
    assert_eq!(live.watch("resourceVersion=200").await.events().await, [""; 0]);
    // The same list again is no gap.
    live.put(secret("b", "210"));
    live.list(&[secret("b", "210"), secret("c", "150")], Some("210"));
    assert!(live.watch("resourceVersion=200").await.events().await.contains(&"MODIFIED b 210".to_owned()));
}

#[tokio::test]
async fn rule_230_a_hub_that_was_set_back_makes_everybody_list_again() {
    let mut live = Live::new();
    let mut watch = live.watch("resourceVersion=100").await;
    assert_eq!(watch.events().await, [""; 0]);
    live.list(&[secret("a", "10")], Some("50"));
    assert_eq!((watch.events().await, watch.ended), (vec!["ERROR".to_owned()], true));
    assert_eq!(live.watch("resourceVersion=49").await.events().await, ["ERROR"]);
    assert_eq!(live.watch("").await.events().await, ["ADDED a 10"]);
}

fn managed(name: &str, url: &str) -> ManagedCluster {
    let object = json!({
        "metadata": { "name": name, "uid": format!("managed-{name}"), "resourceVersion": "7" },
        "spec": { "hubAcceptsClient": true, "managedClusterClientConfigs": [{ "url": url }] },
    });
    ManagedCluster::read(serde_json::from_value(object).unwrap())
}

/// Two rows of events have no order that every replica sees, so the versions are the process' own from then on.
#[tokio::test]
async fn rule_214_rule_230_managed_clusters_are_watched_in_versions_of_this_process() {
    let mut live = Live::new();
    let uri = format!("{VC}?watch=true");
    let mut before = live.watch_as("", &uri).await;
    assert_eq!(before.events().await.len(), 3);
    live.index.reset_managed(vec![managed("x", "https://x")]);
    assert_eq!((before.events().await, before.ended), (vec!["ERROR".to_owned()], true), "another row begins");

    let mut virtuals = live.watch_as("", &uri).await;
    let mut gateways = live.watch("").await;
    assert_eq!(virtuals.events().await.iter().filter(|event| event.contains(" x ")).count(), 1);
    assert_eq!(
        gateways.events().await,
        ["ADDED a 10", "ADDED b 20"],
        "without a Secret there is no way to it"
    );
    live.put(secret("x", "101"));
    let types = |events: Vec<String>| -> Vec<String> {
        events.iter().map(|event| event.rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    assert_eq!(types(virtuals.events().await), ["MODIFIED x"]);
    assert_eq!(types(gateways.events().await), ["ADDED x"]);
    live.delete("x", "102");
    live.index.delete_managed("x");
    live.index.publish();
    assert_eq!(types(virtuals.events().await), ["MODIFIED x", "DELETED x"]);
    assert_eq!(types(gateways.events().await), ["DELETED x"]);
}

#[tokio::test]
async fn rule_230_a_version_that_this_process_has_not_given_is_gone() {
    let mut live = Live::new();
    live.index.reset_managed(vec![managed("x", "https://x")]);
    let at = live.version().await;
    live.put(secret("c", "101"));
    for (version, expected) in [(at, "ADDED c"), (at + 1, "ERROR"), (at - 1, "ERROR"), (101, "ERROR")] {
        let events = live.watch(&format!("resourceVersion={version}")).await.events().await;
        assert!(events[0].starts_with(expected), "{version}: {events:?}");
    }
}

#[tokio::test]
async fn rule_214_the_hub_itself_is_left_out_of_watches_and_lists_and_can_be_got() {
    let mut live = Live::new();
    live.api.list_control_plane = false;
    let mut watch = live.watch_as("", &format!("{VC}?watch=true")).await;
    assert_eq!(watch.events().await, ["ADDED a 10", "ADDED b 20"]);
    let list = live.ask(&format!("{VC}?limit=1"), "").await.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&list).unwrap()["metadata"]["remainingItemCount"], 1);
    assert_eq!(live.ask(&format!("{VC}/local"), "").await.status(), StatusCode::OK);
}
