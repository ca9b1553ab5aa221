//! The fleet: lists, and what changes.

use std::collections::BTreeMap;
use std::io::Read;

use cluster_gateway::health::HealthConfig;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::*;
use crate::support::world::{NAMESPACE, TOKEN, until};

const FLEET: &str = "/api/v1/fleet";

/// Registers the member with labels and an alias.
fn register(world: &World, name: &str, alias: &str) {
    let mut secret = world.secret(name, &[]);
    secret.metadata.labels.as_mut().unwrap().insert("env".to_owned(), "prod".to_owned());
    let alias = ("cluster.core.oam.dev/cluster-alias".to_owned(), alias.to_owned());
    secret.metadata.annotations = Some(BTreeMap::from([alias]));
    world.hub.put_secret(&secret);
}

async fn names(caller: &Caller) -> Vec<String> {
    let list = caller.get(FLEET).await.json();
    let clusters = list["clusters"].as_array().unwrap_or_else(|| panic!("{list}")).iter();
    clusters.map(|cluster| cluster["name"].as_str().unwrap().to_owned()).collect()
}

async fn generation(caller: &Caller) -> String {
    caller.get(FLEET).await.json()["generation"].as_str().unwrap().to_owned()
}

fn events(since: &str) -> String {
    format!("/api/v1/events?since={since}")
}

#[tokio::test]
async fn a_cluster_is_listed_in_the_shape_of_the_api() {
    let world = hub().await;
    register(&world, "edge", "The <b>edge</b>");
    world.listed("edge").await;
    let caller = world.managing(world.masters());
    let mut one = caller.get(&format!("{FLEET}/edge")).await.json();
    let list = caller.get(FLEET).await.json();
    assert_eq!(list["clusters"].as_array().unwrap().iter().find(|c| c["name"] == "edge").unwrap(), &one);
    assert!(!list.to_string().contains(TOKEN));
    let created = one["createTime"].take();
    assert!(created.as_str().unwrap().ends_with('Z'), "{created}");
    let version = world.hub.secret(NAMESPACE, "edge").unwrap()["metadata"]["resourceVersion"].clone();
    let expected = json!({
        "name": "edge", "alias": "The <b>edge</b>", "description": "", "icon": "", "dashboardURL": "",
        "labels": {"env": "prod"}, "status": "Unknown", "reason": "", "since": null, "latency": [], "version": "",
        "apiServerURL": format!("https://{}", world.member.address), "endpointType": "Const",
        "credential": {"type": "ServiceAccountToken", "expires": null, "renewal": "None"},
        "engine": "cluster-gateway", "createTime": null, "resourceVersion": version,
    });
    assert_eq!(one, expected);
}

#[tokio::test]
async fn a_cluster_that_cannot_be_understood_is_unhealthy_and_says_why() {
    let world = hub().await;
    world.register("bad", &[("endpoint", "ftp://nowhere")]);
    world.listed("bad").await;
    let shown = world.managing(world.masters()).get(&format!("{FLEET}/bad")).await.json();
    assert_eq!(shown["status"], "Unhealthy");
    assert!(shown["reason"].as_str().unwrap().contains("endpoint"), "{shown}");
}

#[tokio::test]
async fn names_that_are_none_are_clusters_that_there_are_not() {
    let world = hub().await;
    let caller = world.managing(world.masters());
    let longest = "a".repeat(254);
    for name in ["nothing", "..%2f..%2fsecrets", "a%2Fb", "A", "%00", "a_b", "%ff", "-a", longest.as_str()] {
        for rest in ["", "/references", "/diagnosis"] {
            let answer = caller.get(&format!("{FLEET}/{name}{rest}")).await;
            assert_eq!((answer.status, refusal(&answer).0), (404, 40003), "{name}{rest}: {}", answer.text());
        }
    }
    let answer = caller.get(&format!("{FLEET}/m/nothing")).await;
    assert_eq!((answer.status, refusal(&answer).0), (404, 404));
    let answer = caller.send(Method::DELETE, FLEET, "").await;
    assert_eq!((answer.status, refusal(&answer).0), (405, 405));
}

#[tokio::test]
async fn a_long_list_is_compressed_for_those_who_take_that() {
    let world = hub().await;
    for i in 0..40 {
        register(&world, &format!("c{i}"), "x");
    }
    world.listed("c39").await;
    let caller = world.managing(world.masters());
    let plain = caller.get(FLEET).await;
    assert_eq!(plain.header("content-encoding"), None);
    let packed = caller.clone().header("accept-encoding", "br, gzip").get(FLEET).await;
    assert_eq!(
        (packed.header("content-encoding"), packed.header("vary")),
        (Some("gzip"), Some("Accept-Encoding"))
    );
    assert!(packed.body.len() * 4 < plain.body.len());
    let mut text = String::new();
    GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    let unpacked: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(unpacked["clusters"], plain.json()["clusters"]);
}

/// Lets a user get one cluster and nothing else.
fn allow_one(world: &World, user: &'static str, cluster: &'static str) {
    world.hub.allow_if(move |spec| {
        let asked = spec.resource_attributes.as_ref();
        spec.user.as_deref() == Some(user)
            && asked.is_some_and(|asked| {
                asked.verb.as_deref() == Some("get")
                    && asked.resource.as_deref() == Some("clustergateways")
                    && asked.name.as_deref() == Some(cluster)
            })
    });
}

#[tokio::test]
async fn who_may_not_list_all_sees_what_they_may_get_and_hears_of_nothing_else() {
    let world = hub().await;
    for name in ["mine", "other"] {
        register(&world, name, "first");
        world.listed(name).await;
    }
    allow_one(&world, "ann", "mine");
    let ann = world.managing(world.user("ann", &[]));
    assert_eq!(names(&ann).await, ["mine"]);
    assert_eq!(ann.get(&format!("{FLEET}/mine")).await.status, 200);
    for rest in ["", "/references", "/diagnosis"] {
        let answer = ann.get(&format!("{FLEET}/other{rest}")).await;
        let (code, message) = refusal(&answer);
        assert_eq!((answer.status, code), (403, 41403));
        assert!(message.contains("ann") && message.contains("clustergateways"), "{message}");
    }
    let nobody = world.managing(world.user("bob", &[]));
    assert_eq!(names(&nobody).await, Vec::<String>::new());
    assert_eq!(world.managing(world.nobody()).get(FLEET).await.status, 401);

    let mut told = Events::get(&ann, &events(&generation(&ann).await)).await;
    register(&world, "other", "second");
    world.hub.delete_secret(NAMESPACE, "other");
    register(&world, "mine", "second");
    loop {
        let (event, data) = told.next().await.unwrap();
        assert!(!data.to_string().contains("other"), "{event}: {data}");
        if event == "changed" && data["clusters"][0]["alias"] == "second" {
            assert_eq!(data["clusters"].as_array().unwrap().len(), 1);
            break;
        }
    }
}

#[tokio::test]
async fn changes_are_told_as_they_come_and_what_was_missed_first() {
    let world = hub().await;
    let caller = world.managing(world.masters());
    let before = generation(&caller).await;
    register(&world, "missed", "");
    world.listed("missed").await;
    let mut told = Events::get(&caller, &events(&before)).await;
    let (first, data) = told.next().await.unwrap();
    assert_eq!(first, "alive");
    assert!(data["time"].as_str().unwrap().ends_with('Z'));
    let has = |name: &'static str| {
        move |data: &Value| data["clusters"].as_array().unwrap().iter().any(|cluster| cluster["name"] == name)
    };
    let changed = told.find("changed", has("missed")).await;
    assert_eq!(changed["clusters"].as_array().unwrap().len(), 1, "only what is new: {changed}");
    register(&world, "new", "");
    told.find("changed", has("new")).await;
    world.hub.delete_secret(NAMESPACE, "missed");
    let removed = told.find("removed", |_| true).await;
    assert_eq!(removed["names"], json!(["missed"]));
    // Whoever goes on from there has missed nothing.
    let mut again = Events::get(&caller, &events(removed["generation"].as_str().unwrap())).await;
    register(&world, "last", "");
    let changed = again.find("changed", |_| true).await;
    assert_eq!(changed["clusters"].as_array().unwrap().len(), 1);
    assert_eq!(changed["clusters"][0]["name"], "last");
}

#[tokio::test]
async fn whoever_comes_from_another_process_lists_again() {
    let (one, other) = (hub().await, hub().await);
    let elsewhere = generation(&other.managing(other.masters())).await;
    let caller = one.managing(one.masters());
    for since in [elsewhere.as_str(), "4711", "", "x-1"] {
        let all = Events::get(&caller, &events(since)).await.rest().await;
        assert_eq!(all, [("gone".to_owned(), json!({}))], "{since}");
    }
}

#[tokio::test]
async fn probes_are_told_and_health_is_shown() {
    let health = HealthConfig {
        interval: Duration::from_millis(200),
        look: Duration::from_millis(20),
        failures: 1,
        settle: Duration::ZERO,
        ..HealthConfig::default()
    };
    let world = World::with(Setup { manage: true, health, ..Setup::default() }).await;
    let caller = world.managing(world.masters());
    let mut told = Events::get(&caller, &events(&generation(&caller).await)).await;
    let measured = told.find("measured", |data| data["samples"]["m"].is_number()).await;
    assert_eq!(measured.as_object().unwrap().len(), 1, "{measured}");
    until(|| async { caller.get(&format!("{FLEET}/m")).await.json()["status"] == "Healthy" }).await;
    let shown = caller.get(&format!("{FLEET}/m")).await.json();
    assert!(
        shown["since"].as_str().unwrap().ends_with('Z') && !shown["latency"].as_array().unwrap().is_empty()
    );
    // Somebody else answers there.
    world.register("m", &[("endpoint", "https://127.0.0.1:1")]);
    let changed = told
        .find("changed", |data| {
            data["clusters"].as_array().unwrap().iter().any(|c| c["status"] == "Unhealthy")
        })
        .await;
    let reason = changed["clusters"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("refused"), "{reason}");
    told.find("measured", |data| data["samples"]["m"].is_null() && data["samples"].get("m").is_some()).await;
}

#[tokio::test]
async fn endless_answers_end_when_the_process_stops() {
    let mut world = hub().await;
    let caller = world.managing(world.masters());
    let mut told = Events::get(&caller, &events(&generation(&caller).await)).await;
    assert_eq!(told.next().await.unwrap().0, "alive");
    world.server.stop(Duration::ZERO).await;
    assert!(told.rest().await.iter().all(|(event, _)| event == "alive"));
}

#[tokio::test]
async fn one_user_has_so_many_endless_answers_and_no_more() {
    let world = hub().await;
    let caller = world.managing(world.masters());
    let since = events(&generation(&caller).await);
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Events::get(&caller, &since).await);
    }
    let answer = caller.get(&since).await;
    assert_eq!((answer.status, refusal(&answer).0), (429, 41429));
    assert!(answer.header("retry-after").is_some());
    open.pop();
    until(|| async {
        let answer = caller.open(Method::GET, &since, "").await;
        answer.status() == 200
    })
    .await;
}

#[tokio::test]
async fn what_refers_to_a_cluster_is_shown_with_what_detaching_would_do() {
    let world = hub().await;
    world.hub.install_kubevela();
    let policy = json!({"name": "p", "type": "topology", "properties": {"clusters": ["m"]}});
    world.hub.put(
        "applications",
        json!({"metadata": {"namespace": "shop", "name": "checkout"}, "spec": {"policies": [policy]}}),
    );
    let resources = json!([{"cluster": "m", "name": "x"}, {"cluster": "m", "name": "y"}]);
    world.hub.put(
        "resourcetrackers",
        json!({"apiVersion": "core.oam.dev/v1beta1", "kind": "ResourceTracker",
            "metadata": {"namespace": "", "name": "t"}, "spec": {"type": "root", "managedResources": resources}}),
    );
    let caller = world.managing(world.masters());
    let before = world.hub.content();
    let shown = caller.get(&format!("{FLEET}/m/references")).await.json();
    assert_eq!(shown["references"]["applications"], json!(["shop/checkout"]));
    assert_eq!(shown["references"]["trackers"], json!([{"name": "t", "resources": 2}]));
    assert_eq!((&shown["reachable"], &shown["needsForce"]), (&json!(true), &json!(true)));
    let changes = shown["plan"]["changes"].as_array().unwrap();
    let [tracker, secret] = &changes[..] else { panic!("{shown}") };
    assert_eq!((&tracker["verb"], &tracker["object"]), (&json!("Replace"), &json!("ResourceTracker t")));
    assert_eq!(secret, &json!({"verb": "Delete", "object": "Secret vela-system/m", "side": "hub"}));
    assert_eq!(world.hub.content(), before, "nothing is written");

    world.hub.delete("applications", "shop", "checkout");
    let shown = caller.get(&format!("{FLEET}/m/references")).await.json();
    assert_eq!(shown["needsForce"], false, "it answers, so that what is ours in it can be removed");
    world.register("m", &[("endpoint", "https://127.0.0.1:1")]);
    until(|| async {
        let shown = caller.get(&format!("{FLEET}/m/references")).await.json();
        shown["reachable"] == false && shown["needsForce"] == true
    })
    .await;
}

#[tokio::test]
async fn the_latest_requests_are_shown_and_told() {
    let world = hub().await;
    world.hub.allow("ann", "get", "clustergateways", "");
    world.hub.allow("ann", "get", "clustergateways", "proxy");
    let (admin, ann) = (world.managing(world.masters()), world.managing(world.user("ann", &[])));
    let path = format!("{FLEET}/m/requests");
    let mut all = Events::get(&admin, &format!("{FLEET}/m/events")).await;
    let mut own = Events::get(&ann, &format!("{FLEET}/m/events")).await;
    assert_eq!(
        (all.next().await.unwrap().0, own.next().await.unwrap().0),
        ("alive".to_owned(), "alive".to_owned())
    );
    // What there is already comes again, for who has listed before the stream began.
    assert_eq!(all.next().await.unwrap().0, "request");
    let of =
        |user: &'static str| move |request: &Value| request["user"] == user && request["code"].is_number();
    assert_eq!(
        world.masters().get(&format!("{}/plain?secret=1", crate::support::world::PROXY)).await.status,
        200
    );
    all.find("request", of("admin")).await;
    let mine = world.user("ann", &[]);
    assert_eq!(mine.get(&format!("{}/plain", crate::support::world::PROXY)).await.status, 200);
    assert_eq!(own.next().await.unwrap().1["user"], "ann", "others' are not theirs to see");
    let seen = all.find("request", of("ann")).await;
    assert_eq!(
        (&seen["path"], &seen["verb"], &seen["outcome"]),
        (&json!("/plain"), &json!("get"), &json!("Answered"))
    );
    let requests = admin.get(&path).await.json();
    let requests = requests["requests"].as_array().unwrap();
    assert_eq!(requests[0]["id"], seen["id"], "the newest first");
    assert!(requests.iter().any(|request| request["user"] == "admin"));
    assert!(!format!("{requests:?}").contains("secret=1"), "no query");
    let requests = ann.get(&path).await.json();
    let requests = requests["requests"].as_array().unwrap();
    assert!(!requests.is_empty() && requests.iter().all(|request| request["user"] == "ann"));
}

#[tokio::test]
async fn the_certificates_of_the_last_handshake_are_shown() {
    let world = hub().await;
    let caller = world.managing(world.masters());
    // A request has gone there to find out whether the server is ready.
    let shown = caller.get(&format!("{FLEET}/m/certificates")).await.json();
    let mut keys: Vec<_> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["client", "problem", "served", "verification", "verified"]);
    assert_eq!((&shown["verification"], &shown["verified"]), (&json!("Bundle"), &json!(true)), "{shown}");
    let mut keys: Vec<_> = shown["served"][0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["issuer", "notAfter", "notBefore", "publicKey", "role", "sha256", "subject", "subjectAltNames"]
    );
    assert_eq!(shown["served"][0]["role"], "Leaf");
    assert_eq!((&shown["problem"], &shown["client"]), (&Value::Null, &Value::Null));
    world.register("bad", &[("endpoint", "ftp://nowhere")]);
    world.listed("bad").await;
    let shown = caller.get(&format!("{FLEET}/bad/certificates?at=1")).await.json();
    assert_eq!((&shown["served"], &shown["verified"]), (&json!([]), &json!(false)));
    assert!(shown["problem"].is_string());
}

#[tokio::test]
async fn the_inventory_is_asked_as_the_caller_and_a_dead_member_is_said() {
    let world = hub().await;
    let member = simulated_member::Member::builder()
        .token(TOKEN, simulated_member::User::new("gw").group("system:masters"));
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker-1"},
        "status": {"capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "allocatable": {"cpu": "3500m", "memory": "7Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}]},
    });
    let member = member.objects([node]).start().await.unwrap();
    world.register("sim", &[("endpoint", member.url().as_str()), ("ca.crt", member.ca_pem().as_str())]);
    world.register("dead", &[("endpoint", "https://127.0.0.1:1")]);
    world.listed("sim").await;
    world.listed("dead").await;
    let caller = world.managing(world.masters());
    let found = caller.get(&format!("{FLEET}/sim/inventory")).await.json();
    let worker = found["nodes"].as_array().unwrap().iter().find(|node| node["name"] == "worker-1").unwrap();
    assert_eq!(worker["allocatable"], json!({"cpu": 3.5, "memory": 7_516_192_768_u64, "pods": 110}));
    assert!(found["at"].is_string() && found["tookMilliseconds"].is_number());
    let answer = caller.get(&format!("{FLEET}/dead/inventory")).await;
    assert_eq!((answer.status, refusal(&answer).0), (502, 41502), "{}", answer.text());
    assert!(refusal(&answer).1.contains("refused") && answer.json()["Remedy"].is_string());
    // Who may see the cluster, and not go there, is told so as a problem.
    world.hub.allow("ann", "get", "clustergateways", "");
    let ann = world.managing(world.user("ann", &[]));
    let found = ann.get(&format!("{FLEET}/sim/inventory")).await.json();
    assert_eq!(found["nodes"], json!([]));
    assert!(found["problems"][0]["message"].as_str().unwrap().contains("ann"), "{found}");
}
