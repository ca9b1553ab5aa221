//! What stands in the events, and when they are written.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use cluster_gateway::audit::Auditor;
use cluster_gateway::authn::{Connection, UserInfo};
use cluster_gateway::body::{Body, BodyError};
use cluster_gateway::record::{Recorder, Recording};
use cluster_gateway::request::RequestInfo;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{EVERYTHING, Log, audited, stages};
use crate::support::caller::Caller;
use crate::support::fake_hub::Fault;
use crate::support::world::{PROXY, World, until};

const CLUSTERS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
const GOLDEN: &str = include_str!("../../data/audit/events.jsonl");

/// A line as it is compared: everything but the moment, in the order in which it was written.
fn normalized(line: &str) -> String {
    let mut text = line.to_owned();
    for key in ["requestReceivedTimestamp", "stageTimestamp"] {
        let start = text.find(key).unwrap() + key.len() + 3;
        let time = &text[start..start + 27];
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.', "{time}");
        text.replace_range(start..start + 27, "TIME");
    }
    text
}

fn as_(caller: Caller, id: &str) -> Caller {
    caller.header("audit-id", id).header("user-agent", "kubectl/v1.34.0")
}

/// Sends an exec and ends it.
async fn exec(caller: &Caller, path: &str) {
    let mut socket = caller.connect().await;
    let head = caller.head(&format!("POST {PROXY}{path} HTTP/1.1"));
    socket
        .write_all(
            format!("{head}connection: Upgrade\r\nupgrade: SPDY/3.1\r\ncontent-length: 0\r\n\r\n").as_bytes(),
        )
        .await
        .unwrap();
    socket.flush().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    socket.shutdown().await.unwrap();
    socket.read_to_end(&mut head).await.unwrap();
}

async fn script(world: &World, log: &Log) {
    world.hub.allow_if(|spec| spec.user.as_deref() == Some("alice"));
    let alice = || world.user("alice", &["dev"]);
    let chain = as_(alice(), "list").header("x-forwarded-for", "192.0.2.7, 198.51.100.1");
    assert_eq!(chain.get(&format!("{CLUSTERS}?labelSelector=a&token=s3cret")).await.status, 200);
    log.events("list", 2).await;
    let get = format!("{PROXY}/apis/apps/v1/namespaces/shop/deployments/web/scale");
    assert_eq!(as_(alice(), "proxied-get").get(&get).await.status, 200);
    log.events("proxied-get", 2).await;
    assert_eq!(as_(alice(), "proxied-path").get(&format!("{PROXY}/version?x=s3cret")).await.status, 200);
    log.events("proxied-path", 2).await;
    exec(&as_(alice(), "exec"), "/api/v1/namespaces/shop/pods/p/exec?command=s3cret&container=c").await;
    log.events("exec", 3).await;
    assert_eq!(
        as_(world.user("eve", &[]), "forbidden").get(&format!("{PROXY}/api/v1/secrets")).await.status,
        403
    );
    log.events("forbidden", 2).await;
    let wrong = world.nobody().header("authorization", "Bearer s3cret");
    assert_eq!(as_(wrong, "unauthorized").get(CLUSTERS).await.status, 401);
    log.events("unauthorized", 1).await;
    let bob = as_(alice(), "impersonated").header("impersonate-user", "bob");
    assert_eq!(bob.get(CLUSTERS).await.status, 403);
    log.events("impersonated", 2).await;
    let carol = as_(world.user("eve", &[]), "may-not-impersonate").header("impersonate-user", "carol");
    assert_eq!(carol.get(CLUSTERS).await.status, 403);
    log.events("may-not-impersonate", 2).await;
    assert_eq!(as_(world.masters(), "document").get("/version").await.status, 200);
    log.events("document", 2).await;
    world.hub.fault("subjectaccessreviews", Fault::Status(403));
    assert_eq!(
        as_(world.user("dan", &[]), "unknown").get(&format!("{CLUSTERS}?token=s3cret")).await.status,
        500
    );
    log.events("unknown", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_136_rule_137_events_are_those_of_kube_apiserver() {
    let (world, log) = audited(EVERYTHING).await;
    script(&world, &log).await;
    let own = |line: &&str| line.contains("\"userAgent\":\"kubectl");
    let lines: Vec<String> = log.text().lines().filter(own).map(normalized).collect();
    let text = format!("{}\n", lines.join("\n"));
    assert!(!text.contains("s3cret"), "{text}");
    assert!(text == GOLDEN, "tests/data/audit/events.jsonl differs from\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_115_rule_136_an_event_carries_the_id_that_the_caller_is_told() {
    let (world, log) = audited(EVERYTHING).await;
    for path in ["/version", &format!("{PROXY}/plain")] {
        let answer = world.masters().get(path).await;
        let events = log.events(answer.header("audit-id").unwrap(), 2).await;
        assert_eq!(stages(&events), ["RequestReceived", "ResponseComplete"]);
        assert_eq!(events[0]["requestReceivedTimestamp"], events[0]["stageTimestamp"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_136_a_watch_is_told_of_when_it_starts_and_when_it_ends() {
    let (world, log) = audited(EVERYTHING).await;
    let path = format!("{PROXY}/api/v1/pods?watch=1");
    let ended = |events: &[Value]| {
        (
            events[2]["responseStatus"]["code"].clone(),
            events[2]["annotations"]["cluster.core.oam.dev/ending"].clone(),
        )
    };
    for (id, ending) in
        [("ends", json!(null)), ("breaks", json!("broken off")), ("left", json!("caller left"))]
    {
        let answer = world.masters().header("audit-id", id).open(Method::GET, &path, "").await;
        let watch = world.member.recorder.watch().await;
        let events = log.events(id, 2).await;
        assert_eq!(stages(&events), ["RequestReceived", "ResponseStarted"], "the watch is open");
        assert_eq!(events[1]["annotations"]["cluster.core.oam.dev/proxied-verb"], "watch");
        match id {
            "ends" => {
                drop(watch);
                answer.into_body().collect().await.unwrap();
            }
            "breaks" => {
                watch.fail().await;
                answer.into_body().collect().await.unwrap_err();
            }
            _ => drop(answer),
        }
        let events = log.events(id, 3).await;
        assert_eq!(events[2]["stage"], "ResponseComplete");
        assert_eq!(ended(&events), (json!(200), ending), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_136_a_caller_that_leaves_before_the_answer_is_told_of() {
    let (world, log) = audited(EVERYTHING).await;
    let caller = world.masters().header("audit-id", "early");
    let asking = tokio::spawn(async move { caller.get(&format!("{PROXY}/slow-head")).await });
    log.events("early", 1).await;
    asking.abort();
    let events = log.events("early", 2).await;
    assert_eq!(events[1]["responseStatus"]["message"], "Connection closed early");
    assert_eq!(events[1]["annotations"]["cluster.core.oam.dev/ending"], "caller left");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_136_the_policy_decides_who_and_which_stages() {
    let rules = "omitStages: [RequestReceived]\nrules:\n- level: Metadata\n  users: [alice]\n  omitStages: [ResponseComplete]\n  \
                 resources: [{group: cluster.core.oam.dev, resources: [clustergateways/proxy]}]\n- level: RequestResponse\n  \
                 users: [bob]\n- level: Metadata\n  users: [\"\"]\n";
    let (world, log) = audited(rules).await;
    world.hub.allow_if(|_| true);
    let path = format!("{PROXY}/api/v1/pods");
    for (id, user, path) in [
        ("quiet", "alice", path.as_str()),
        ("bob", "bob", &path),
        ("unseen", "eve", &path),
        ("alice", "alice", "/version"),
    ] {
        assert_eq!(world.user(user, &[]).header("audit-id", id).get(path).await.status, 200);
    }
    assert_eq!(
        world
            .nobody()
            .header("authorization", "Bearer x")
            .header("audit-id", "401")
            .get("/version")
            .await
            .status,
        401
    );
    let caller = world.user("alice", &[]).header("audit-id", "watch");
    let watch = caller.open(Method::GET, &format!("{path}?watch=1"), "").await;
    let events = log.events("watch", 1).await;
    assert_eq!(stages(&events), ["ResponseStarted"]);
    drop(watch);
    let bob = log.events("bob", 1).await;
    assert_eq!(stages(&bob), ["ResponseComplete"]);
    assert_eq!(bob[0]["level"], "Metadata", "bodies are never recorded, whatever the policy asks for");
    assert!(bob[0].get("requestObject").is_none() && bob[0].get("responseObject").is_none());
    for id in ["quiet", "unseen", "alice", "401"] {
        assert_eq!(log.of(id), Vec::<Value>::new(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_it_is_understood_is_no_event() {
    let (world, log) = audited(EVERYTHING).await;
    for (id, path, status) in [
        ("dots", format!("{PROXY}/a/../b"), 400),
        ("verb", "/apis/g/v/watch".to_owned(), 500),
        ("late", format!("{CLUSTERS}?timeout=soon"), 400),
    ] {
        assert_eq!(world.masters().header("audit-id", id).get(&path).await.status, status);
    }
    assert_eq!(stages(&log.events("late", 1).await), ["ResponseStarted"], "as kube-apiserver does");
    for id in ["dots", "verb"] {
        assert_eq!(log.of(id), Vec::<Value>::new(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_136_without_a_policy_there_are_no_events_and_no_metrics_of_them() {
    let world = World::start().await;
    assert!(!world.masters().get("/metrics").await.text().contains("apiserver_audit"));
    let (world, log) = audited(EVERYTHING).await;
    let answer = world.masters().header("audit-id", "x").get("/version").await;
    assert_eq!(answer.status, 200);
    log.events("x", 2).await;
    let metrics = world.masters().get("/metrics").await.text();
    let events =
        metrics.lines().find_map(|line| line.strip_prefix("apiserver_audit_event_total{} ")).unwrap();
    assert!(events.parse::<u64>().unwrap() >= 2, "{events}");
    assert!(metrics.contains("apiserver_audit_error_total{plugin=\"log\"} 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_no_event_unwritten() {
    let (mut world, log) = audited(EVERYTHING).await;
    for number in 0..50 {
        let id = format!("n{number}");
        assert_eq!(world.masters().header("audit-id", &id).get("/version").await.status, 200);
    }
    world.server.stop(std::time::Duration::ZERO).await;
    for number in 0..50 {
        assert_eq!(log.of(&format!("n{number}")).len(), 2, "{number}");
    }
}

/// A body that panics.
struct Panicking;

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        panic!("made to fail")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_117_rule_136_a_panic_in_a_body_is_a_stage_of_its_own() {
    let log = Log::new();
    let auditor = Arc::new(Auditor::start(log.config(EVERYTHING)).await.unwrap());
    let recorder = Arc::new(Recorder { audit: Some(auditor), ..Recorder::default() });
    let parts = Request::get("/version").header("audit-id", "p").body(()).unwrap().into_parts().0;
    let connection = Connection::new(([127, 0, 0, 1], 1).into(), Vec::new());
    let recording = Recording::start(&recorder, &parts);
    recording.received(&connection, &RequestInfo::parse(&parts).unwrap(), &parts);
    assert!(recording.authenticated(&UserInfo::anonymous()).is_none());
    let body = recording.finish(Response::new(Body::boxed(Panicking))).into_body();
    let reading = tokio::spawn(AssertUnwindSafe(body.collect()));
    assert!(reading.await.unwrap_err().is_panic());
    let events = log.events("p", 2).await;
    assert_eq!(stages(&events), ["RequestReceived", "Panic"]);
    assert_eq!(events[1]["responseStatus"]["code"], 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_fails_loses_events_and_not_requests() {
    let log = Log::new();
    let mut config = log.config(EVERYTHING);
    config.log.as_mut().unwrap().target = cluster_gateway::audit::LogTarget::File("/dev/full".into());
    let setup = crate::support::world::Setup { audit: Some(config), ..Default::default() };
    let world = World::with(setup).await;
    assert_eq!(world.masters().get("/version").await.status, 200);
    until(|| async {
        let metrics = world.masters().get("/metrics").await.text();
        metrics.lines().any(|line| {
            line.strip_prefix("apiserver_audit_error_total{plugin=\"log\"} ").is_some_and(|lost| lost != "0")
        })
    })
    .await;
}
