//! Identity webhooks: good answers, and every kind of bad one.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_gateway::config::FeatureGates;
use cluster_gateway::identity::{IdentityConfig, Rules, RulesFile, WebhookHosts};
use serde_json::json;

use crate::support::caller::Answer;
use crate::support::fake_member::TestCa;
use crate::support::fake_webhook::{FakeWebhook, Reply, allowed, document, review};
use crate::support::world::{PROXY, Setup, World, until};

const ANNOTATION: &str = "cluster.core.oam.dev/cluster-gateway-proxy-configuration";

/// A world that passes identities on by these settings, and allows everything.
async fn world(identity: IdentityConfig) -> World {
    let gates = FeatureGates { client_identity_penetration: true, ..FeatureGates::default() };
    let world =
        World::with(Setup { gates, identity, poll: Duration::from_millis(20), ..Setup::default() }).await;
    world.hub.allow_if(|_| true);
    world
}

async fn by_rule(rule: &str) -> World {
    let rules = Rules::global(&document(rule)).unwrap();
    world(IdentityConfig { rules, ..IdentityConfig::default() }).await
}

/// Registers the member as `name`, with rules of its own.
fn annotate(world: &World, name: &str, rule: &str) {
    let mut secret = world.secret(name, &[]);
    secret.metadata.annotations = Some(BTreeMap::from([(ANNOTATION.to_owned(), document(rule))]));
    world.hub.put_secret(&secret);
}

fn proxy(cluster: &str) -> String {
    format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{cluster}/proxy/echo")
}

async fn echo(world: &World, user: &str) -> Answer {
    world.user(user, &["team"]).get(&format!("{PROXY}/echo")).await
}

/// Impersonation headers that the member saw, sorted.
fn impersonation(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let echoed = answer.json();
    let pairs = echoed["headers"].as_array().unwrap().iter();
    let mut seen: Vec<String> = pairs
        .map(|pair| format!("{}={}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .filter(|pair| pair.starts_with("impersonate"))
        .collect();
    seen.sort();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_151_the_member_sees_whom_the_webhook_names() {
    let user =
        json!({"username": "m-alice", "uid": "7", "groups": ["a", "b"], "extra": {"Scope/x": ["1", "2"]}});
    let webhook = FakeWebhook::start(allowed(&user)).await;
    let world = by_rule(&webhook.rule("")).await;
    assert_eq!(
        impersonation(&echo(&world, "corp-alice").await),
        [
            "impersonate-extra-scope%2fx=1",
            "impersonate-extra-scope%2fx=2",
            "impersonate-group=a",
            "impersonate-group=b",
            "impersonate-uid=7",
            "impersonate-user=m-alice"
        ]
    );
    assert_eq!(impersonation(&echo(&world, "bob").await)[2], "impersonate-user=bob");
    assert_eq!(webhook.asked(), 1, "of bob no rule speaks");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_is_told_who_asks_and_never_what_proves_it() {
    let webhook = FakeWebhook::start(allowed(&json!({"username": "x"}))).await;
    let world = by_rule(&webhook.rule("")).await;
    let caller =
        world.user("corp-alice", &["team"]).header("x-remote-extra-scope", "s").header("cookie", "c=1");
    assert_eq!(caller.get(&format!("{PROXY}/echo")).await.status, 200);
    let direct = world.token("corp-token", "secret-token");
    assert_eq!(direct.get(&format!("{PROXY}/echo")).await.status, 200);
    let questions = webhook.take_questions();
    assert_eq!(questions.len(), 2);
    assert_eq!(questions[0].line, "POST /exchange");
    let expected = json!({
        "apiVersion": "cluster.core.oam.dev/v1alpha1", "kind": "IdentityExchangeReview",
        "spec": {"cluster": "m", "user": {
            "username": "corp-alice", "groups": ["team", "system:authenticated"], "extra": {"scope": ["s"]},
        }},
    });
    assert_eq!(questions[0].body, expected);
    for question in &questions {
        let names: Vec<_> = question.headers.keys().map(http::HeaderName::as_str).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ["accept", "content-length", "content-type", "host", "user-agent"], "{names:?}");
        assert!(!format!("{:?}{}", question.headers, question.body).contains("secret-token"));
    }
    assert_eq!(questions[1].body["spec"]["user"]["username"], "corp-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_a_403_with_the_webhooks_reason() {
    let reason = json!({"allowed": false, "reason": "not on call\n"});
    let webhook = FakeWebhook::start(Reply::Text(200, review(&reason).to_string())).await;
    let world = by_rule(&webhook.rule("")).await;
    for _ in 0..2 {
        let answer = echo(&world, "corp-alice").await;
        assert_eq!(answer.status, 403);
        assert_eq!(
            answer.message(),
            "clustergateways.cluster.core.oam.dev \"m\" is forbidden: User \"corp-alice\" cannot use resource \
             \"clustergateways/proxy\" in API group \"cluster.core.oam.dev\" at the cluster scope: identity rule \
             \"corp\": not on call"
        );
    }
    assert_eq!(webhook.asked(), 1, "a denial is remembered, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_154_whatever_a_webhook_does_wrong_closes_the_request_and_is_explained() {
    let webhook = FakeWebhook::start(Reply::Hang).await;
    let world = by_rule(&webhook.rule(", timeout: 300ms")).await;
    let text = |code, text: &str| Reply::Text(code, text.to_owned());
    let status = |status: serde_json::Value| Reply::Text(200, review(&status).to_string());
    let user = |user: serde_json::Value| allowed(&user);
    for (reply, expected) in [
        (Reply::Hang, "no answer within 300ms"),
        (Reply::Abort, "broke before an answer began"),
        (text(500, "oops"), "it answered 500 Internal Server Error"),
        (text(204, ""), "it answered 204"),
        (text(302, ""), "redirects are not followed"),
        (text(200, "<html>"), "it is not JSON at line 1 column 1"),
        (text(200, ""), "it is not JSON"),
        (text(200, &"x".repeat(64 * 1024 + 1)), "larger than 65536 bytes"),
        (text(200, "{}"), "missing field `apiVersion`"),
        (
            text(
                200,
                r#"{"apiVersion": "v1", "kind": "IdentityExchangeReview", "status": {"allowed": false}}"#,
            ),
            "apiVersion cluster.core",
        ),
        (status(json!({})), "missing field `allowed`"),
        (status(json!({"allowed": "yes-please"})), "a value is of the wrong type"),
        (status(json!({"allowed": true})), "names no user"),
        (status(json!({"allowed": false, "user": {"username": "x"}})), "denies the request and names a user"),
        (
            status(json!({"allowed": true, "privileged": true, "user": {"username": "x"}})),
            "unknown field `privileged`",
        ),
        (user(json!({"username": ""})), "it has no user name"),
        (user(json!({"groups": ["a"]})), "missing field `username`"),
        (user(json!({"username": "x", "groups": [""]})), "a group is empty"),
        (user(json!({"username": "x", "groups": ["system:masters"]})), "system:masters"),
        (user(json!({"username": "x\r\nimpersonate-group: system:masters"})), "control character"),
        (user(json!({"username": "x "})), "blank"),
        (user(json!({"username": "x", "uid": "a\u{0}"})), "control character"),
        (user(json!({"username": "x", "extra": {"k": ["a\nb"]}})), "control character"),
    ] {
        webhook.reply(reply);
        let answer = echo(&world, "corp-alice").await;
        let message = answer.message();
        assert_eq!(answer.status, 500, "{expected}: {}", answer.text());
        let start = format!("cluster m: identity rule \"corp\": webhook https://{}: ", webhook.host());
        assert!(message.starts_with(&start) && message.contains(expected), "{expected}: {message}");
        assert!(
            !message.contains("yes-please") && !message.contains("oops"),
            "the reply is not quoted: {message}"
        );
        assert_eq!(answer.json()["reason"], "InternalError");
    }
    assert!(!webhook.take_questions().iter().any(|question| question.line.contains("elsewhere")));
    webhook.reply(allowed(&json!({"username": "x"})));
    assert_eq!(
        impersonation(&echo(&world, "corp-alice").await),
        ["impersonate-user=x"],
        "no failure is remembered"
    );
    let metrics = world.masters().get("/metrics").await.text();
    assert!(metrics.contains("cluster_gateway_failed_requests_total{blame=\"webhook\"} 23"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_not_the_end_of_a_question() {
    let again = Box::new(allowed(&json!({"username": "x"})));
    let webhook = FakeWebhook::start(Reply::AbortThen(again)).await;
    let world = by_rule(&webhook.rule("")).await;
    assert_eq!(impersonation(&echo(&world, "corp-alice").await), ["impersonate-user=x"]);
    assert_eq!(webhook.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_cannot_be_verified_or_reached_is_not_believed() {
    let webhook = FakeWebhook::start(allowed(&json!({"username": "x"}))).await;
    let world = by_rule(&webhook.rule_with_ca(&TestCa::new("another"), "")).await;
    let answer = echo(&world, "corp-alice").await;
    assert_eq!(answer.status, 500);
    let expected = "not issued by the CA that is given for it";
    assert!(answer.message().contains(expected), "{}", answer.message());
    let wrong_name = webhook.rule("").replace("localhost", "127.0.0.1");
    let nowhere = webhook.rule("").replace(&webhook.host(), "127.0.0.1:1");
    for (rule, expected) in [
        (wrong_name, "certificate is valid for localhost, not 127.0.0.1; correct its URL"),
        (nowhere, "dial tcp 127.0.0.1:1: connect: connection refused"),
    ] {
        let message = echo(&by_rule(&rule).await, "corp-alice").await.message();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(webhook.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown_where_the_operator_gives_one_and_its_absence_explained() {
    let ca = TestCa::new("gateways");
    let webhook = FakeWebhook::with(allowed(&json!({"username": "x"})), Some(&ca)).await;
    let message = echo(&by_rule(&webhook.rule("")).await, "corp-alice").await.message();
    assert!(message.contains("clientCertificateFile"), "{message}");

    let directory = tempfile::tempdir().unwrap();
    let leaf = ca.client("gateway");
    let file = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    file("tls.crt", &leaf.certificate);
    file("tls.key", &leaf.key);
    file("ca.crt", &webhook.ca.pem());
    let rule = format!(
        "{{type: ExternalIdentityExchanger, source: {{userPattern: '^corp-'}}, url: 'https://{}/', caFile: ca.crt, \
         clientCertificateFile: tls.crt, clientKeyFile: tls.key}}",
        webhook.host()
    );
    file("rules.yaml", &document(&rule));
    let (_, rules) = RulesFile::load(&directory.path().join("rules.yaml")).unwrap();
    let world = world(IdentityConfig { rules, ..IdentityConfig::default() }).await;
    assert_eq!(impersonation(&echo(&world, "corp-alice").await), ["impersonate-user=x"]);
    for (name, text, expected) in [
        ("tls.crt", "x", "clientCertificateFile holds no PEM certificate"),
        ("tls.key", "x", "clientKeyFile holds no PEM private key"),
        ("tls.key", &*TestCa::new("a").client("b").key, "do not belong together"),
        ("ca.crt", "", "caFile holds no PEM certificate"),
    ] {
        let before = std::fs::read_to_string(directory.path().join(name)).unwrap();
        file(name, text);
        let error = RulesFile::load(&directory.path().join("rules.yaml")).unwrap_err();
        assert!(error.contains(expected) && error.contains("rules.yaml"), "{error}");
        file(name, &before);
    }
    std::fs::remove_file(directory.path().join("tls.key")).unwrap();
    let error = RulesFile::load(&directory.path().join("rules.yaml")).unwrap_err();
    assert!(error.contains("clientKeyFile: cannot read"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_question_serves_all_who_have_it_and_is_not_asked_again_for_a_while() {
    let webhook = FakeWebhook::start(Reply::Of(|question| {
        review(&json!({"allowed": true, "user": {
            "username": format!("{}@{}", question["spec"]["user"]["username"].as_str().unwrap(),
                question["spec"]["cluster"].as_str().unwrap()),
        }}))
    }))
    .await;
    let world = by_rule(&webhook.rule(", cacheTTL: 1h")).await;
    world.register("n", &[]);
    until(|| async { world.masters().get(&proxy("n")).await.status == 200 }).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let caller = world.user("corp-alice", &["team"]);
        tasks.spawn(async move { impersonation(&caller.get(&format!("{PROXY}/echo")).await) });
    }
    while let Some(seen) = tasks.join_next().await {
        assert_eq!(seen.unwrap(), ["impersonate-user=corp-alice@m"]);
    }
    assert_eq!(webhook.asked(), 1);
    // Every part of the question tells it from others.
    let other = world.user("corp-alice", &["team"]).get(&proxy("n")).await;
    assert_eq!(impersonation(&other), ["impersonate-user=corp-alice@n"]);
    assert_eq!(impersonation(&echo(&world, "corp-bob").await), ["impersonate-user=corp-bob@m"]);
    assert_eq!(world.user("corp-alice", &["other"]).get(&proxy("m")).await.status, 200);
    let extra = world.user("corp-alice", &["team"]).header("x-remote-extra-a", "b");
    assert_eq!(extra.get(&proxy("m")).await.status, 200);
    assert_eq!(webhook.asked(), 5);
    assert_eq!(echo(&world, "corp-alice").await.status, 200);
    assert_eq!(webhook.asked(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_time_to_live_every_request_asks() {
    let webhook = FakeWebhook::start(allowed(&json!({"username": "x"}))).await;
    let world = by_rule(&webhook.rule(", cacheTTL: 0s")).await;
    for asked in 1..4 {
        assert_eq!(echo(&world, "corp-alice").await.status, 200);
        assert_eq!(webhook.asked(), asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_webhook_hurts_nobody_but_those_who_need_it() {
    let dead = FakeWebhook::start(Reply::Hang).await;
    let alive = FakeWebhook::start(allowed(&json!({"username": "x"}))).await;
    let world =
        by_rule(&format!("{}, {}", dead.rule(", timeout: 30s"), alive.rule("").replace("corp", "firm")))
            .await;
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..64 {
        let caller = world.user(&format!("corp-{number}"), &[]);
        waiting.spawn(async move { caller.get(&format!("{PROXY}/echo")).await.status });
    }
    until(|| async { dead.asked() == 64 }).await;
    // All its places are taken: the next one is told so and does not queue.
    let answer = tokio::time::timeout(Duration::from_secs(60), echo(&world, "corp-more")).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")), "{}", answer.text());
    assert!(answer.message().contains("identity rule \"corp\""), "{}", answer.message());
    assert_eq!(impersonation(&echo(&world, "firm-alice").await), ["impersonate-user=x"]);
    assert_eq!(echo(&world, "bob").await.status, 200);
    assert!(waiting.try_join_next().is_none(), "the others still wait");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annotation_asks_a_webhook_that_the_operator_allows_and_takes_effect_at_once() {
    let webhook = FakeWebhook::start(allowed(&json!({"username": "x"}))).await;
    let webhook_hosts = WebhookHosts::parse(&[webhook.host()]).unwrap();
    let world = world(IdentityConfig { webhook_hosts, ..IdentityConfig::default() }).await;
    annotate(&world, "own", &webhook.rule(", cacheTTL: 1h"));
    let alice = world.user("corp-alice", &[]);
    until(|| async { alice.get(&proxy("own")).await.status == 200 }).await;
    assert_eq!(impersonation(&alice.get(&proxy("own")).await), ["impersonate-user=x"]);
    assert_eq!(impersonation(&alice.get(&proxy("m")).await)[1], "impersonate-user=corp-alice");
    assert_eq!(webhook.asked(), 1);

    // A change of the Secret that leaves the rule as it is loses nothing.
    let mut secret = world.secret("own", &[("token", "another")]);
    secret.metadata.annotations =
        Some(BTreeMap::from([(ANNOTATION.to_owned(), document(&webhook.rule(", cacheTTL: 1h")))]));
    world.hub.put_secret(&secret);
    until(|| async { alice.get(&proxy("own")).await.text().contains("Bearer another") }).await;
    assert_eq!(webhook.asked(), 1);

    annotate(
        &world,
        "own",
        "{type: StaticMappingIdentityExchanger, source: {user: corp-alice}, target: {user: y}}",
    );
    until(|| async { impersonation(&alice.get(&proxy("own")).await) == ["impersonate-user=y"] }).await;

    let elsewhere = webhook.rule("").replace("localhost", "127.0.0.1");
    annotate(&world, "own", &elsewhere);
    until(|| async { alice.get(&proxy("own")).await.status == 500 }).await;
    let message = alice.get(&proxy("own")).await.message();
    assert!(
        message.contains("invalid proxy configuration: rule \"corp\"")
            && message.contains("--identity-webhook-hosts"),
        "{message}"
    );
    assert_eq!(alice.get(&proxy("m")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_file_is_read_again_and_a_bad_one_leaves_the_last_good_rules() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yaml");
    let write = |user: &str| {
        let rule = format!(
            "{{type: StaticMappingIdentityExchanger, source: {{user: a}}, target: {{user: {user}}}}}"
        );
        std::fs::write(&path, document(&rule)).unwrap();
    };
    write("one");
    let (file, rules) = RulesFile::load(&path).unwrap();
    let world = world(IdentityConfig { rules, file: Some(file), ..IdentityConfig::default() }).await;
    let seen = || async { impersonation(&echo(&world, "a").await) };
    assert_eq!(seen().await, ["impersonate-user=one"]);
    write("two");
    until(|| async { seen().await == ["impersonate-user=two"] }).await;
    std::fs::write(&path, "spec: {clientIdentityExchanger: {rules: [{type: Nonsense}]}}").unwrap();
    for _ in 0..10 {
        assert_eq!(seen().await, ["impersonate-user=two"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_file(&path).unwrap();
    for _ in 0..10 {
        assert_eq!(seen().await, ["impersonate-user=two"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    write("three");
    until(|| async { seen().await == ["impersonate-user=three"] }).await;
}
