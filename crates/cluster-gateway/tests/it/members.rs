//! Members that die and come back, behind a whole server: what callers get, what is known, and who records it.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::config::{Config, FeatureGates};
use cluster_gateway::health::HealthConfig;
use cluster_gateway::serve::Server;
use futures_util::future::join_all;
use serde_json::Value;

use crate::support::caller::Caller;
use crate::support::gate::{Gate, Way};
use crate::support::world::{NAMESPACE, PROXY, Setup, World, until};

const CG: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
const STATUS: &str = "status.cluster.core.oam.dev";

fn proxy(cluster: &str) -> String {
    format!("{CG}/{cluster}/proxy/plain")
}

/// Looks and probes as fast as a test wants to wait.
fn quick() -> HealthConfig {
    HealthConfig {
        interval: Duration::from_millis(50),
        look: Duration::from_millis(10),
        settle: Duration::ZERO,
        ..HealthConfig::default()
    }
}

/// A server that probes and shows what it finds, and a member `g` behind a gate.
async fn gated(health: HealthConfig, way: Way) -> (World, Gate) {
    let gates = FeatureGates { healthiness_check: true, ..FeatureGates::default() };
    let world = World::with(Setup { gates, health, ..Setup::default() }).await;
    let gate = Gate::before(world.member.address, way).await;
    register(&world, "g", &gate);
    (world, gate)
}

fn register(world: &World, name: &str, gate: &Gate) {
    world.register(name, &[("endpoint", &format!("https://{}", gate.address))]);
}

fn annotation(world: &World, name: &str, key: &str) -> Option<String> {
    let secret = world.hub.secret(NAMESPACE, name)?;
    secret["metadata"]["annotations"][format!("{STATUS}/{key}")].as_str().map(str::to_owned)
}

async fn recorded(world: &World, healthy: &str, words: &str) {
    until(|| async {
        annotation(world, "g", "healthy").as_deref() == Some(healthy)
            && annotation(world, "g", "healthy-reason").is_some_and(|reason| reason.contains(words))
    })
    .await;
}

#[tokio::test]
async fn rule_126_rule_177_requests_to_a_dead_member_are_answered_without_dialling() {
    let world = World::start().await;
    let gate = Gate::before(world.member.address, Way::Shut).await;
    register(&world, "g", &gate);
    // Nobody listens there: Go's words, which KubeVela looks for.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    world.register("dead", &[("endpoint", &format!("https://127.0.0.1:{port}"))]);
    let caller = world.masters();
    until(|| async { !caller.get(&proxy("dead")).await.text().contains("no such cluster") }).await;
    until(|| async { caller.get(&proxy("dead")).await.status == 503 }).await;
    let answer = caller.get(&proxy("dead")).await;
    let status = answer.json();
    assert_eq!((answer.status, status["reason"].as_str()), (503, Some("ServiceUnavailable")));
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    assert_eq!(status["details"]["retryAfterSeconds"], seconds);
    let message = answer.message();
    for words in ["cluster dead:", "not been reachable since 2", "dial tcp 127.0.0.1:", "connection refused"]
    {
        assert!(message.contains(words), "{message}");
    }
    assert!(!message.contains("no such cluster"));

    until(|| async { caller.get(&proxy("g")).await.status == 503 }).await;
    let before = gate.accepted();
    assert!(before >= 3);
    assert_eq!(caller.get(&format!("{PROXY}/plain")).await.status, 200, "another cluster");
}

#[tokio::test]
async fn rule_126_one_dead_cluster_of_many_holds_up_nobody() {
    let (world, gate) = gated(quick(), Way::Silent).await;
    for number in 0..100 {
        register(&world, &format!("silent-{number}"), &gate);
    }
    let caller = world.masters();
    until(|| async { caller.get(&format!("{CG}/silent-99")).await.status == 200 }).await;
    // Probes of all of them hang, and requests to one.
    until(|| async { gate.accepted() >= 50 }).await;
    let waiting = Arc::new(world.masters());
    let stuck: Vec<_> = (0..20)
        .map(|number| {
            let (caller, path) = (Arc::clone(&waiting), proxy(&format!("silent-{number}")));
            tokio::spawn(async move { caller.get(&path).await })
        })
        .collect();
    let path = format!("{PROXY}/plain");
    for _ in 0..3 {
        let answers = join_all((0..20).map(|_| caller.get(&path))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
    }
    stuck.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn rule_180_a_member_that_was_given_up_is_found_again_without_probes() {
    let world = World::start().await;
    let gate = Gate::before(world.member.address, Way::Shut).await;
    register(&world, "g", &gate);
    let caller = world.masters();
    until(|| async { caller.get(&proxy("g")).await.status == 503 }).await;
    gate.set(Way::Open);
    // A check from outside goes the way of all requests; one of them is the trial.
    until(|| async { caller.get(&format!("{CG}/g/proxy/healthz")).await.status == 200 }).await;
    assert_eq!(caller.get(&proxy("g")).await.status, 200);
}

#[tokio::test]
async fn rule_211_rule_126_what_probes_find_is_shown_recorded_and_counted() {
    let (world, gate) = gated(quick(), Way::Open).await;
    let caller = world.masters();
    recorded(&world, "true", "").await;
    assert!(annotation(&world, "g", "latency").is_some_and(|text| text.ends_with("ms")));
    assert!(annotation(&world, "g", "last-probe-time").is_some_and(|text| text.ends_with('Z')));
    gate.set(Way::Shut);
    recorded(&world, "false", "TLS handshake").await;
    until(|| async {
        let object = caller.get(&format!("{CG}/g")).await.json();
        object["status"]["healthy"] == Value::Bool(false)
            && object["status"]["healthyReason"]
                .as_str()
                .is_some_and(|reason| reason.contains("TLS handshake"))
    })
    .await;
    until(|| async {
        let metrics = caller.get("/metrics").await.text();
        metrics.contains("cluster_gateway_cluster_healthy{cluster=\"g\"} 0")
            && metrics.contains("cluster_gateway_cluster_states{state=\"open\"} 1")
            && metrics.contains("cluster_gateway_cluster_healthy{cluster=\"m\"} 1")
            && metrics.contains("cluster_gateway_cluster_probe_latency_microseconds{cluster=\"m\"} ")
    })
    .await;
    gate.set(Way::Open);
    recorded(&world, "true", "").await;
    // A change of the Secret that changes no connection loses nothing.
    until(|| async { caller.get(&proxy("g")).await.status == 200 }).await;
    let probes = world.member.recorder.requests();
    let probe = probes.iter().find(|request| request.target == "/readyz").unwrap();
    assert_eq!(probe.headers["authorization"], "Bearer member-token");
}

#[tokio::test]
async fn nothing_is_recorded_while_a_cluster_is_still_being_registered() {
    let (world, gate) = gated(HealthConfig { settle: Duration::from_secs(3600), ..quick() }, Way::Open).await;
    let caller = world.masters();
    until(|| async {
        caller.get("/metrics").await.text().contains("cluster_gateway_cluster_healthy{cluster=\"g\"} 1")
    })
    .await;
    let probes =
        || world.member.recorder.requests().iter().filter(|request| request.target == "/readyz").count();
    let before = probes();
    until(|| async { probes() > before + 20 }).await;
    assert_eq!(world.hub.patches(), [], "whoever registers it writes there");
    drop(gate);
}

#[tokio::test]
async fn rule_211_one_replica_records_and_only_what_changes() {
    let (world, gate) = gated(quick(), Way::Open).await;
    let other = Server::start(world.config.clone()).await.unwrap();
    other.ready().await;
    recorded(&world, "true", "").await;
    until(|| async { annotation(&world, "m", "healthy").is_some() }).await;
    let probes =
        || world.member.recorder.requests().iter().filter(|request| request.target == "/readyz").count();
    let before = probes();
    until(|| async { probes() > before + 20 }).await;
    assert_eq!(world.hub.patches().len(), 2, "one for each cluster: {:?}", world.hub.patches());
    gate.set(Way::Shut);
    recorded(&world, "false", "TLS handshake").await;
    let before = probes();
    until(|| async { probes() > before + 20 }).await;
    let patches = world.hub.patches();
    assert_eq!(patches.len(), 3, "{patches:?}");
    assert!(patches.iter().all(|(query, _)| query.contains("fieldManager=cluster-gateway-health")));
    let holder = world.hub.get("leases", NAMESPACE, "cluster-gateway-health").unwrap();
    assert!(holder["spec"]["holderIdentity"].as_str().is_some_and(|holder| !holder.is_empty()));
    drop(other);
}

#[tokio::test]
async fn rule_211_without_the_gate_nothing_is_recorded_and_nobody_is_probed_who_is_well() {
    let health = HealthConfig { look: Duration::from_millis(10), ..HealthConfig::default() };
    let world = World::with(Setup { health, ..Setup::default() }).await;
    let gate = Gate::before(world.member.address, Way::Shut).await;
    register(&world, "g", &gate);
    let caller = world.masters();
    until(|| async { caller.get(&proxy("g")).await.status == 503 }).await;
    let dials = gate.accepted();
    // Probes go on by themselves until it is back, and then end.
    until(|| async { gate.accepted() > dials }).await;
    gate.set(Way::Open);
    let targets = || world.member.recorder.requests().into_iter().map(|request| request.target);
    until(|| async { targets().any(|target| target == "/readyz") }).await;
    until(|| async { caller.get(&proxy("g")).await.status == 200 }).await;
    assert!(targets().filter(|target| target == "/readyz").count() <= 2);
    assert!(world.hub.patches().is_empty() && world.hub.requests("leases") == 0);
}

#[tokio::test]
async fn a_member_that_says_that_it_is_not_ready_is_unhealthy_and_still_served() {
    let (world, gate) = gated(quick(), Way::Open).await;
    // This base path makes every probe a failure of the member's own.
    world.register("sick", &[("endpoint", &format!("https://{}/status/500", gate.address))]);
    let caller = world.masters();
    until(|| async {
        let object = caller.get(&format!("{CG}/sick")).await.json();
        let reason = object["status"]["healthyReason"].as_str().unwrap_or_default().to_owned();
        reason.contains("/readyz answered 500")
    })
    .await;
    for _ in 0..10 {
        assert_eq!(caller.get(&format!("{CG}/sick/proxy/plain")).await.status, 500);
    }
}

#[tokio::test]
async fn rule_120_rule_188_only_ordinary_requests_are_cut_when_no_answer_begins() {
    let world = World::start().await;
    let config = Config { response_header_timeout: Some(Duration::from_millis(100)), ..world.config.clone() };
    let server = Server::start(config).await.unwrap();
    server.ready().await;
    let caller = Caller::new(server.address(), &world.serving.der());
    let caller = caller.certificate(&world.front_proxy.client("front-proxy-client"));
    let caller = caller.header("x-remote-user", "admin").header("x-remote-group", "system:masters");
    let watch = tokio::spawn({
        let caller = caller.clone();
        async move { caller.get(&format!("{PROXY}/slow-head?watch=true")).await }
    });
    until(|| async {
        world.member.recorder.requests().iter().any(|seen| seen.target.contains("watch=true"))
    })
    .await;
    let answer = caller.get(&format!("{PROXY}/slow-head")).await;
    assert_eq!(answer.status, 504);
    assert!(answer.message().contains("not begun to answer within 100ms"), "{}", answer.message());
    assert!(!watch.is_finished());
    watch.abort();
}
