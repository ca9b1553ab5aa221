//! Tokens renewed by the whole server: what reaches the member, what reaches the hub, and what does not.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cluster_gateway::renewal::CREDENTIALS_LEASE;
use cluster_gateway::serve::Server;
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::support::fake_hub::Fault;
use crate::support::world::{NAMESPACE, PROXY, TOKEN, World, until};

const ACCOUNT: &str = "cluster.core.oam.dev/service-account";
const ISSUED: &str = "cluster.core.oam.dev/token-issued-at";
const ENDS: &str = "cluster.core.oam.dev/token-ends-at";

/// Registers the member as `name` with these annotations and a token of its own.
fn register(world: &World, name: &str, token: &str, annotations: &[(&str, &str)]) {
    let mut secret = world.secret(name, &[("token", token)]);
    let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    secret.metadata.annotations = Some(annotations.collect::<BTreeMap<_, _>>());
    world.hub.put_secret(&secret);
}

fn secret(world: &World, name: &str) -> Value {
    world.hub.secret(NAMESPACE, name).unwrap()
}

fn token(world: &World, name: &str) -> String {
    let token = secret(world, name)["data"]["token"].as_str().unwrap().to_owned();
    String::from_utf8(STANDARD.decode(token).unwrap()).unwrap()
}

fn time(from_now: i64) -> String {
    let time = time::OffsetDateTime::from(SystemTime::now()) + time::Duration::seconds(from_now);
    time.replace_nanosecond(0).unwrap().format(&time::format_description::well_known::Rfc3339).unwrap()
}

/// A token that says when it ends.
fn jwt(from_now: i64) -> String {
    let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64 + from_now;
    format!("e30.{}.{}", URL_SAFE_NO_PAD.encode(json!({ "exp": end }).to_string()), "s".repeat(40))
}

/// How often the member was asked for a token of this account.
fn asked(world: &World, account: &str) -> usize {
    let path = format!("/serviceaccounts/{account}/token");
    world.member.recorder.requests().iter().filter(|request| request.target.ends_with(&path)).count()
}

async fn metric(world: &World, line: &str) -> bool {
    world.masters().get("/metrics").await.text().contains(line)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_with_itself_and_nothing_else_of_the_secret_changes() {
    let world = World::start().await;
    let caller = world.masters();
    let watch = caller.open(Method::GET, &format!("{PROXY}/watch"), "").await;
    let upstream = world.member.recorder.watch().await;
    // `m` itself, so that the watch runs on what is renewed.
    register(&world, "m", TOKEN, &[(ACCOUNT, "ns/a"), ("other/annotation", "stays")]);
    let before = secret(&world, "m");
    until(|| async { token(&world, "m") == format!("{TOKEN}+") }).await;

    let request = world.member.recorder.requests();
    let request = request.iter().find(|request| request.target.ends_with("/token")).unwrap();
    assert_eq!(request.target, "/api/v1/namespaces/ns/serviceaccounts/a/token");
    assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
    let (_, patch) = world.hub.patches().pop().unwrap();
    assert_eq!(patch["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    let mut after = secret(&world, "m");
    let annotations = after["metadata"]["annotations"].clone();
    assert_eq!(
        (&annotations[ACCOUNT], &annotations["other/annotation"]),
        (&json!("ns/a"), &json!("stays")),
        "{annotations}"
    );
    let ends = annotations[ENDS].as_str().unwrap();
    assert!(ends > time(86_000).as_str() && ends <= time(86_400).as_str(), "{ends}");
    for key in ["annotations", "resourceVersion"] {
        after["metadata"][key] = before["metadata"][key].clone();
    }
    after["data"]["token"] = before["data"]["token"].clone();
    assert_eq!(after, before);

    // The gateway uses it at once, and what was under way goes on.
    until(|| async {
        let seen = caller.get(&format!("{PROXY}/x")).await.json()["headers"].to_string();
        seen.contains(&format!("Bearer {TOKEN}+"))
    })
    .await;
    upstream.send("event\n").await;
    let frame = watch.into_body().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "event\n");
    assert_eq!(asked(&world, "a"), 1, "once is enough");
    until(|| metric(&world, "cluster_gateway_credential_renewals_total{outcome=\"renewed\"} 1")).await;
    assert!(metric(&world, "cluster_gateway_cluster_credential_not_after_seconds{cluster=\"m\"} ").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_token_that_is_due_and_is_a_service_accounts_is_renewed() {
    let world = World::start().await;
    let (past, soon, later) = (time(-900), time(100), time(10_000));
    register(&world, "fresh", "fresh", &[(ACCOUNT, "ns/fresh"), (ISSUED, &time(-1)), (ENDS, &later)]);
    register(&world, "odd", "odd", &[(ACCOUNT, "ns/../../x")]);
    register(&world, "plain", "plain", &[(ISSUED, &past), (ENDS, &soon)]);
    register(&world, "due", "due", &[(ACCOUNT, "ns/due"), (ISSUED, &past), (ENDS, &soon)]);
    until(|| async { token(&world, "due") == "due+" }).await;
    let asked: Vec<_> = ["fresh", "x", "plain"].into_iter().filter(|name| asked(&world, name) > 0).collect();
    assert_eq!(asked, [""; 0]);
    assert_eq!(["fresh", "odd", "plain"].map(|name| token(&world, name)), ["fresh", "odd", "plain"]);
    // A cluster with a bad annotation is used on.
    world.listed("odd").await;
    assert_eq!(world.masters().get(&format!("{}/plain", PROXY.replace("/m/", "/odd/"))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_hold_the_lease_renews_nothing() {
    let world = World::start().await;
    let spec = json!({"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "leaseTransitions": 0});
    world.hub.put(
        "leases",
        json!({"metadata": {"namespace": NAMESPACE, "name": CREDENTIALS_LEASE}, "spec": spec}),
    );
    assert_eq!(
        world.hub.requests(&format!("leases/{CREDENTIALS_LEASE}")),
        0,
        "nothing to do, nothing written"
    );
    register(&world, "m", TOKEN, &[(ACCOUNT, "ns/a")]);
    until(|| async {
        world.hub.requests(&format!(
            "GET /apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{CREDENTIALS_LEASE}"
        )) >= 2
    })
    .await;
    assert_eq!((asked(&world, "a"), world.hub.patches().len()), (0, 0));
    assert_eq!(token(&world, "m"), TOKEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_counted_and_hurts_no_other_cluster() {
    let world = World::start().await;
    world.hub.fault("/secrets/unwritable", Fault::Status(403));
    register(&world, "refused", "r", &[(ACCOUNT, "ns/refused")]);
    register(&world, "unwritable", "u", &[(ACCOUNT, "ns/a")]);
    register(&world, "well", "w", &[(ACCOUNT, "ns/a")]);
    until(|| async { token(&world, "well") == "w+" }).await;
    for outcome in ["member_refused", "store_refused"] {
        until(|| async {
            metric(&world, &format!("cluster_gateway_credential_renewals_total{{outcome=\"{outcome}\"}} 1"))
                .await
        })
        .await;
    }
    assert_eq!(["refused", "unwritable"].map(|name| token(&world, name)), ["r", "u"]);
    // It is tried again with pauses, not at every look.
    assert_eq!(asked(&world, "refused"), 1);
    world.hub.heal();
    until(|| async { token(&world, "unwritable") == "u+" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_credential_that_nobody_renews_is_an_event_once() {
    let world = World::start().await;
    let about = |name: &'static str| {
        let hub = &world.hub;
        move || {
            let events = hub.all("events").into_iter();
            events.filter(|event| event["involvedObject"]["name"] == name).collect::<Vec<_>>()
        }
    };
    let (soon, late) = (about("soon"), about("late"));
    register(&world, "soon", &jwt(6 * 24 * 3600), &[]);
    register(&world, "late", &jwt(60 * 24 * 3600), &[]);
    register(&world, "renewed", &jwt(3600), &[(ACCOUNT, "ns/a"), (ISSUED, &time(-1)), (ENDS, &time(3600))]);
    until(|| async { !soon().is_empty() }).await;
    let event = soon().remove(0);
    assert_eq!(
        (&event["reason"], &event["type"]),
        (&json!("CredentialExpires"), &json!("Warning")),
        "{event}"
    );
    assert_eq!(event["involvedObject"]["kind"], "Secret");
    assert_eq!(event["involvedObject"]["uid"], secret(&world, "soon")["metadata"]["uid"]);
    let message = event["message"].as_str().unwrap();
    assert!(
        message.contains("in less than 7 days; give it another with: cluster-gateway rotate soon"),
        "{message}"
    );

    // Another process says it again, and the hub has it already.
    let posts = || world.hub.requests("POST /api/v1/namespaces/vela-system/events");
    let before = posts();
    world.hub.delete("leases", NAMESPACE, CREDENTIALS_LEASE);
    let _second = Server::start(world.config.clone()).await.unwrap();
    drop(world.server);
    until(|| async { posts() > before }).await;
    assert_eq!((soon().len(), late().len(), about("renewed")().len()), (1, 0, 0));
}
