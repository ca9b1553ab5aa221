//! What a running gateway knows, for those who manage it: its latest requests, how members are and were, their certificates.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::config::FeatureGates;
use cluster_gateway::health::{HealthConfig, Standing, Status};
use cluster_gateway::record::{Recent, RecentRequest, RefusedBy, RequestOutcome};
use cluster_gateway::registry::{Cluster, Registry};
use cluster_gateway::transport::{CertificateRole, Certificates, VerificationKind};
use http::Method;

use crate::support::fake_member::TestCa;
use crate::support::gate::{Gate, Way};
use crate::support::world::{PROXY, Setup, World, until};

const CG: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

fn managed() -> Setup<'static> {
    Setup { manage: true, ..Setup::default() }
}

fn recent(world: &World) -> &Arc<Recent> {
    world.server.gateway().recorder.recent.as_ref().unwrap()
}

/// The latest request for `path`, once it has come to what is expected.
async fn seen(world: &World, path: &str, is_so: impl Fn(&RecentRequest) -> bool) -> RecentRequest {
    let of = || recent(world).of("m").into_iter().find(|request| request.path == path).filter(&is_so);
    until(|| async { of().is_some() }).await;
    of().unwrap()
}

fn registry(world: &World) -> &Registry {
    &world.server.gateway().registry
}

fn cluster(world: &World, name: &str) -> Arc<Cluster> {
    registry(world).get(name).unwrap()
}

fn certificates(world: &World, name: &str) -> Certificates {
    cluster(world, name).upstream.as_ref().unwrap().certificates()
}

#[tokio::test]
async fn rule_137_requests_are_kept_with_their_fate_and_without_their_query() {
    let world = World::with(managed()).await;
    let answer =
        world.masters().get(&format!("{PROXY}/api/v1/namespaces/default/pods/p?secret=sesame")).await;
    assert_eq!(answer.status, 200);
    let ended = |request: &RecentRequest| request.took_milliseconds.is_some();
    let request = seen(&world, "/api/v1/namespaces/default/pods/p", ended).await;
    assert_eq!((request.user.as_str(), request.verb, request.code), ("admin", "get", Some(200)));
    assert_eq!(
        (request.outcome, request.refused_by, request.reason.as_str()),
        (RequestOutcome::Answered, None, "")
    );
    assert_eq!(answer.header("audit-id"), Some(request.id.as_str()));
    assert!(!serde_json::to_string(&recent(&world).of("m")).unwrap().contains("sesame"));

    world.masters().get(&format!("{PROXY}/status/503")).await;
    let request = seen(&world, "/status/503", ended).await;
    assert_eq!(
        (request.code, request.outcome),
        (Some(503), RequestOutcome::Answered),
        "the member's own word"
    );

    let broken = world.masters().get(&format!("{PROXY}/close-before-head")).await;
    let request = seen(&world, "/close-before-head", ended).await;
    assert_eq!((request.code, request.outcome), (Some(broken.status), RequestOutcome::Failed));
    assert!(!request.reason.is_empty());
}

#[tokio::test]
async fn refusals_are_kept_of_clusters_that_there_are() {
    let world = World::with(managed()).await;
    let ann = world.user("ann", &[]);
    assert_eq!(ann.get(&format!("{PROXY}/plain")).await.status, 403);
    assert_eq!(ann.get(&format!("{CG}/nowhere/proxy/plain")).await.status, 403);
    let request = seen(&world, "/plain", |request| request.user == "ann" && request.code.is_some()).await;
    assert_eq!((request.code, request.outcome), (Some(403), RequestOutcome::Refused));
    assert_eq!(request.refused_by, Some(RefusedBy::Authorization));
    assert!(request.reason.contains("ann"), "{request:?}");
    let wrong = world.nobody().header("authorization", "Bearer wrong");
    assert_eq!(wrong.get(&format!("{PROXY}/plain")).await.status, 401);
    let request = seen(&world, "/plain", |request| request.code == Some(401)).await;
    assert_eq!((request.user.as_str(), request.refused_by), ("", Some(RefusedBy::Authentication)));
    assert_eq!(recent(&world).of("nowhere"), []);
}

#[tokio::test]
async fn a_request_is_there_as_long_as_it_runs() {
    let world = World::with(managed()).await;
    let mut told = recent(&world).subscribe();
    let open = world.masters().open(Method::GET, &format!("{PROXY}/api/v1/pods?watch=true"), "").await;
    let running = seen(&world, "/api/v1/pods", |_| true).await;
    assert_eq!((running.verb, running.code, running.took_milliseconds), ("watch", None, None));
    drop(open);
    let ended = seen(&world, "/api/v1/pods", |request| request.took_milliseconds.is_some()).await;
    assert_eq!((&ended.id, ended.code), (&running.id, Some(200)));
    let (first, second) = (told.recv().await.unwrap(), told.recv().await.unwrap());
    assert_eq!((first.cluster(), first.shown().id, second.shown().id), ("m", running.id.clone(), running.id));
}

#[tokio::test]
async fn without_management_nothing_is_kept() {
    let world = World::start().await;
    assert_eq!(world.masters().get(&format!("{PROXY}/plain")).await.status, 200);
    assert!(world.server.gateway().recorder.recent.is_none());
    assert_eq!(certificates(&world, "m").served, []);
    assert!(!certificates(&world, "m").verified);
}

#[tokio::test]
async fn how_a_member_is_and_was_is_known_and_changes_are_told() {
    let health = HealthConfig {
        interval: Duration::from_millis(50),
        look: Duration::from_millis(10),
        settle: Duration::from_secs(3600),
        ..HealthConfig::default()
    };
    let gates = FeatureGates { healthiness_check: true, ..FeatureGates::default() };
    let world = World::with(Setup { health, gates, ..Setup::default() }).await;
    let before = registry(&world).generation();
    let mut samples = registry(&world).samples();
    let gate = Gate::before(world.member.address, Way::Open).await;
    world.register("g", &[("endpoint", &format!("https://{}", gate.address))]);
    world.listed("g").await;
    let standing = || Standing::of(&cluster(&world, "g"));
    until(|| async { standing().status == Status::Healthy && standing().latency.len() > 2 }).await;
    assert!(
        standing().latency.len() <= 24 && standing().latency.iter().any(Option::is_some),
        "{:?}",
        standing()
    );
    assert!(standing().since.is_some());
    let round = samples.recv().await.unwrap();
    assert!(round.iter().all(|sample| ["g", "m"].contains(&sample.cluster.as_str())), "{round:?}");
    let changes = registry(&world).changes(&before).unwrap();
    assert!(changes.changed.contains("g") && changes.removed.is_empty(), "{changes:?}");

    gate.set(Way::Shut);
    until(|| async { standing().status == Status::Unhealthy }).await;
    assert!(!standing().reason.is_empty());
    let told = || {
        let changes = registry(&world).changes(&changes.generation);
        changes.is_some_and(|changes| changes.changed.contains("g"))
    };
    until(|| async { told() }).await;
    until(|| async { standing().latency.last() == Some(&None) }).await;
}

#[tokio::test]
async fn a_cluster_whose_secret_cannot_be_understood_is_unhealthy() {
    let world = World::with(managed()).await;
    world.register("bad", &[("endpoint", "nonsense:")]);
    world.listed("bad").await;
    let standing = Standing::of(&cluster(&world, "bad"));
    assert_eq!((standing.status, standing.since), (Status::Unhealthy, None));
    assert!(standing.reason.contains("endpoint"), "{standing:?}");
    assert_eq!(Standing::of(&cluster(&world, "m")).status, Status::Unknown, "nobody probes");
}

#[tokio::test]
async fn the_certificates_of_the_last_handshake_are_shown_with_their_issuer() {
    let world = World::with(managed()).await;
    let shown = certificates(&world, "m");
    assert_eq!((shown.verification, shown.verified, shown.problem), (VerificationKind::Bundle, true, None));
    let roles: Vec<_> = shown.served.iter().map(|one| (one.role, one.facts.subject.as_str())).collect();
    assert_eq!(roles[0], (CertificateRole::Leaf, "CN=member"));
    assert_eq!(roles.last().unwrap().0, CertificateRole::Root);
    assert_eq!(shown.served[0].facts.issuer, shown.served.last().unwrap().facts.subject);
    let json = serde_json::to_value(certificates(&world, "m")).unwrap();
    assert_eq!((&json["served"][0]["role"], &json["verification"]), (&"Leaf".into(), &"Bundle".into()));
    assert!(json["served"][0]["notAfter"].is_string() && json["client"].is_null(), "{json}");
}

#[tokio::test]
async fn a_chain_that_is_not_accepted_is_shown_with_the_reason() {
    let world = World::with(managed()).await;
    world.register("stranger", &[("ca.crt", &TestCa::new("another").pem())]);
    let leaf = TestCa::new("clients").client("gateway");
    world.register_certificate("shows", &leaf);
    world.listed("stranger").await;
    world.listed("shows").await;
    assert_eq!(certificates(&world, "stranger").served, [], "no handshake yet");
    let answer = world.masters().get(&format!("{CG}/stranger/proxy/plain")).await;
    let shown = certificates(&world, "stranger");
    assert!(!shown.verified && shown.served.len() == 1, "{shown:?}");
    let problem = shown.problem.unwrap();
    assert!(problem.contains("signed by unknown authority"), "{problem}");
    assert!(answer.message().contains(&problem), "the same words as callers get: {}", answer.message());
    assert_eq!(certificates(&world, "shows").client.unwrap().subject, "CN=gateway");
}
