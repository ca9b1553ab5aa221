//! How much may be under way at once, and for how long.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cluster_gateway::limits::LimitsConfig;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::support::caller::{Answer, Caller};
use crate::support::fake_hub::Fault;
use crate::support::session::Session;
use crate::support::world::{PROXY, Setup, World, until};

const GATEWAYS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
const OTHER: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/other/proxy";

async fn limited(limits: LimitsConfig) -> World {
    let world = World::with(Setup { limits, ..Setup::default() }).await;
    world.hub.allow_if(|_| true);
    world.register("other", &[]);
    until(|| async { world.masters().get(&format!("{OTHER}/plain")).await.status == 200 }).await;
    world
}

async fn watch(caller: &Caller, proxy: &str) -> Response<Incoming> {
    let answer = caller.open(Method::GET, &format!("{proxy}/watch"), "").await;
    assert_eq!(answer.status(), 200);
    answer
}

/// An upgrade request; the stream is open as long as the answer to a 101 is kept.
async fn upgrade(caller: &Caller, proxy: &str) -> Response<Incoming> {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.headers_mut() = caller.headers();
    request.headers_mut().insert("connection", "Upgrade".parse().unwrap());
    request.headers_mut().insert("upgrade", "SPDY/3.1".parse().unwrap());
    caller.exchange(request, &format!("{proxy}/upgrade")).await.expect("an answer")
}

fn assert_is_refusal(answer: &Answer, flag: &str) {
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{}", answer.text());
    let status = answer.json();
    assert_eq!((&status["kind"], &status["reason"]), (&"Status".into(), &"TooManyRequests".into()));
    assert_eq!(status["details"]["retryAfterSeconds"], 1);
    assert!(answer.message().contains(flag), "{}", answer.message());
}

async fn metric(world: &World, line: &str) -> bool {
    world.masters().get("/metrics").await.text().lines().any(|own| own == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_124_rule_125_more_own_requests_than_allowed_are_told_to_come_back() {
    let world = limited(LimitsConfig { read_only: 1, ..LimitsConfig::default() }).await;
    let bob = world.user("bob", &[]);
    world.hub.deny_everything();
    world.hub.fault("subjectaccessreviews", Fault::Hang);
    let asked = world.hub.requests("subjectaccessreviews");
    let hanging = tokio::spawn({
        let bob = bob.clone();
        async move { bob.get(&format!("{GATEWAYS}?x=1")).await.status }
    });
    until(|| async { world.hub.requests("subjectaccessreviews") > asked }).await;
    for (caller, path) in [(&bob, GATEWAYS), (&bob, "/version"), (&world.nobody(), "/healthz")] {
        let answer = caller.get(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{path}");
        assert_eq!(answer.text(), "Too many requests, please try again later.\n");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(world.masters().get(GATEWAYS).await.status, 200, "administrators are never refused");
    assert_eq!(world.masters().get(&format!("{PROXY}/plain")).await.status, 200);
    // The reader of the metrics is one more.
    assert!(metric(&world, "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 2").await);
    assert!(
        metric(&world, "cluster_gateway_rejected_requests_total{limit=\"max-requests-inflight\"} 3").await
    );
    world.hub.heal();
    hanging.abort();
    until(|| async { bob.get("/version").await.status == 403 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_126_a_watch_holds_its_place_at_the_cluster_until_it_ends() {
    let world = limited(LimitsConfig { requests_per_cluster: 1, ..LimitsConfig::default() }).await;
    let (bob, alice) = (world.user("bob", &[]), world.user("alice", &[]));
    let held = watch(&bob, PROXY).await;
    for caller in [&bob, &alice] {
        let answer = caller.get(&format!("{PROXY}/plain")).await;
        assert_is_refusal(&answer, "--max-proxied-requests-per-cluster");
        assert!(answer.message().contains("cluster m"), "{}", answer.message());
        assert_eq!(
            caller.get(&format!("{OTHER}/plain")).await.status,
            200,
            "another cluster is not affected"
        );
    }
    assert_eq!(world.masters().get(&format!("{PROXY}/plain")).await.status, 200);
    assert!(metric(&world, "cluster_gateway_proxied_requests_in_flight{cluster=\"m\"} 1").await);
    drop(held);
    until(|| async { alice.get(&format!("{PROXY}/plain")).await.status == 200 }).await;
    until(|| metric(&world, "cluster_gateway_proxied_requests_in_flight{cluster=\"m\"} 0")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_126_a_cluster_keeps_count_when_its_secret_changes() {
    let world = limited(LimitsConfig { requests_per_cluster: 1, ..LimitsConfig::default() }).await;
    let bob = world.user("bob", &[]);
    let held = watch(&bob, PROXY).await;
    world.register("m", &[("token", "renewed")]);
    let seen = || world.member.recorder.requests().pop().unwrap().headers["authorization"].clone();
    until(|| async {
        world.masters().get(&format!("{PROXY}/plain")).await;
        seen() == "Bearer renewed"
    })
    .await;
    assert_eq!(bob.get(&format!("{PROXY}/plain")).await.status, 429);
    drop(held);
    until(|| async { bob.get(&format!("{PROXY}/plain")).await.status == 200 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_126_a_users_requests_are_limited_over_all_clusters() {
    let world = limited(LimitsConfig { requests_per_user: 1, ..LimitsConfig::default() }).await;
    let (bob, alice) = (world.user("bob", &[]), world.user("alice", &[]));
    let held = watch(&bob, PROXY).await;
    let answer = bob.get(&format!("{OTHER}/plain")).await;
    assert_is_refusal(&answer, "--max-proxied-requests-per-user");
    assert!(answer.message().contains("user \"bob\""), "{}", answer.message());
    assert_eq!(alice.get(&format!("{OTHER}/plain")).await.status, 200, "another user is not affected");
    assert_eq!(bob.get(GATEWAYS).await.status, 200, "own resources are counted apart");
    drop(held);
    until(|| async { bob.get(&format!("{OTHER}/plain")).await.status == 200 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_126_an_upgraded_stream_holds_its_places_until_it_ends() {
    for (limits, flag) in [
        (LimitsConfig { upgrades_per_user: 1, ..LimitsConfig::default() }, "--max-upgrades-per-user"),
        (LimitsConfig { upgrades_per_cluster: 1, ..LimitsConfig::default() }, "--max-upgrades-per-cluster"),
    ] {
        let world = limited(limits).await;
        let bob = world.user("bob", &[]);
        let held = upgrade(&bob, PROXY).await;
        assert_eq!(held.status(), 101);
        let connections = world.member.recorder.connections();
        for _ in 0..5 {
            let (parts, body) = upgrade(&bob, PROXY).await.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
            assert_is_refusal(&answer, flag);
        }
        assert_eq!(world.member.recorder.connections(), connections, "a refused upgrade dials nobody");
        assert!(metric(&world, "cluster_gateway_upgrades_in_flight{cluster=\"m\"} 1").await);
        assert_eq!(bob.get(&format!("{PROXY}/plain")).await.status, 200, "requests are counted apart");
        drop(held);
        until(|| async { upgrade(&bob, PROXY).await.status() == 101 }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_126_a_refused_upgrade_gives_its_places_back() {
    let world =
        limited(LimitsConfig { upgrades_per_user: 1, upgrades_per_cluster: 1, ..LimitsConfig::default() })
            .await;
    let bob = world.user("bob", &[]);
    for path in ["upgrade-refused", "upgrade-status/200"] {
        for _ in 0..3 {
            let mut caller = bob.clone();
            caller = caller.header("connection", "Upgrade").header("upgrade", "SPDY/3.1");
            let answer = caller.get(&format!("{PROXY}/{path}")).await;
            assert!([403, 500].contains(&answer.status), "{path}: {}", answer.text());
        }
    }
}

/// Half of a cluster's requests hang; the other cluster answers as if nothing were.
#[tokio::test(flavor = "multi_thread")]
async fn rule_126_a_cluster_that_does_not_answer_takes_no_more_than_its_places() {
    let world = Arc::new(limited(LimitsConfig { requests_per_cluster: 20, ..LimitsConfig::default() }).await);
    let hanging: Vec<_> = (0..50)
        .map(|_| {
            let caller = world.user("bob", &[]);
            tokio::spawn(async move { caller.get(&format!("{PROXY}/slow-head")).await.status })
        })
        .collect();
    let line = "cluster_gateway_rejected_requests_total{limit=\"max-proxied-requests-per-cluster\"} 30";
    until(|| metric(&world, line)).await;
    for _ in 0..20 {
        assert_eq!(world.user("bob", &[]).get(&format!("{OTHER}/plain")).await.status, 200);
    }
    assert_eq!(world.user("bob", &[]).get(&format!("{PROXY}/plain")).await.status, 429);
    hanging.iter().for_each(tokio::task::JoinHandle::abort);
    until(|| async { world.user("bob", &[]).get(&format!("{PROXY}/plain")).await.status == 200 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_133_by_chance_http2_connections_end_after_their_open_streams() {
    let world = limited(LimitsConfig { goaway_chance: 1.0, ..LimitsConfig::default() }).await;
    for path in [&format!("{PROXY}/plain"), GATEWAYS] {
        let mut session = Session::open(&world.masters().http2()).await;
        assert_eq!(session.get(path).await.status, 200);
        assert!(session.ends().await, "no GOAWAY after {path}");
        let mut session = Session::open(&world.masters()).await;
        for _ in 0..3 {
            assert_eq!(session.get(path).await.status, 200, "HTTP/1.1 stays open");
        }
    }
    let mut open = watch(&world.masters().http2(), PROXY).await;
    let upstream = world.member.recorder.watch().await;
    upstream.send("still here\n").await;
    assert_eq!(open.frame().await.unwrap().unwrap().into_data().unwrap(), "still here\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_122_rule_133_the_deadline_of_own_requests_can_be_set() {
    let limit = Duration::from_millis(30);
    let world = limited(LimitsConfig { request_timeout: limit, ..LimitsConfig::default() }).await;
    let watching = watch(&world.masters(), PROXY).await;
    world.hub.fault("subjectaccessreviews", Fault::Hang);
    for query in ["", "?timeout=1h", "?timeout=0s"] {
        let answer = world.user("bob", &[]).get(&format!("{GATEWAYS}{query}")).await;
        assert_eq!(answer.status, 504, "{query}");
    }
    world.member.recorder.watch().await.send("proxied requests have none\n").await;
    assert!(watching.into_body().frame().await.unwrap().is_ok());
}
