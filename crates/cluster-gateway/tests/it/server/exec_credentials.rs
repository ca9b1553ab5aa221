//! Clusters whose credential a program gives, and clusters behind a proxy, in a whole server.

use std::path::Path;
use std::time::Duration;

use cluster_gateway::credential::ExecPolicy;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::support::caller::{Answer, Caller};
use crate::support::fake_member::{Leaf, Options, TestCa};
use crate::support::fake_proxy::{self, FakeProxy};
use crate::support::world::{Setup, World, until};

const VERSION: &str = "client.authentication.k8s.io/v1";

fn path(cluster: &str) -> String {
    format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{cluster}/proxy")
}

fn allowed() -> ExecPolicy {
    let environment = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
    ExecPolicy { commands: vec!["/bin/sh".into()], environment, ..ExecPolicy::default() }
}

async fn world(exec: ExecPolicy) -> World {
    World::with(Setup { exec, ..Setup::default() }).await
}

/// Registers the member with a script that gives the credential.
fn register(world: &World, name: &str, script: &str) {
    let exec = json!({"apiVersion": VERSION, "command": "sh", "args": ["-c", script]}).to_string();
    let mut secret = world.secret(name, &[("exec", &exec)]);
    let labels = secret.metadata.labels.as_mut().unwrap();
    labels.insert("cluster.core.oam.dev/cluster-credential-type".to_owned(), "Dynamic".to_owned());
    secret.data.as_mut().unwrap().insert("token".to_owned(), ByteString(b"not-this-one".to_vec()));
    world.hub.put_secret(&secret);
}

/// A script that says what stands in `file` as its status, and counts its runs beside it.
fn says(file: &Path, status: &Value) -> String {
    let answer = json!({"apiVersion": VERSION, "kind": "ExecCredential", "status": status});
    std::fs::write(file, answer.to_string()).unwrap();
    format!("echo run >> {0}.runs; cat {0}", file.display())
}

fn runs(file: &Path) -> usize {
    std::fs::read_to_string(format!("{}.runs", file.display())).unwrap_or_default().lines().count()
}

/// Waits until the cluster is known.
async fn known(caller: &Caller, cluster: &str) -> Answer {
    let path = format!("{}/echo", path(cluster));
    until(|| async { !caller.get(&path).await.message().contains("no such cluster") }).await;
    caller.get(&path).await
}

fn certificate(leaf: &Leaf) -> Value {
    json!({"clientCertificateData": leaf.certificate, "clientKeyData": leaf.key})
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_162_rule_273_a_token_from_a_program_reaches_the_member_and_nobody_else() {
    let world = world(allowed()).await;
    let file = world.hub.dir().join("answer");
    register(&world, "dynamic", &says(&file, &json!({"token": "from-the-program"})));
    let caller = world.masters();
    let answer = known(&caller, "dynamic").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.member.recorder.requests().pop().unwrap();
    assert_eq!(seen.headers["authorization"], "Bearer from-the-program");
    for _ in 0..10 {
        caller.get(&format!("{}/echo", path("dynamic"))).await;
    }
    assert_eq!(runs(&file), 1, "kept");

    let shown = caller.get("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/dynamic").await;
    assert_eq!(shown.json()["spec"]["access"]["credential"], json!({"type": "Dynamic"}), "{}", shown.text());
    assert!(!shown.text().contains("from-the-program") && !shown.text().contains("sh"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_162_rule_163_rule_273_a_certificate_from_a_program_has_connections_of_its_own() {
    let clients = TestCa::new("clients of the member");
    let world = World::with(Setup {
        member: Options { client_ca: Some(&clients), ..Options::default() },
        certificate: Some(clients.client("gateway")),
        exec: allowed(),
        ..Setup::default()
    })
    .await;
    let file = world.hub.dir().join("answer");
    register(&world, "dynamic", &says(&file, &certificate(&clients.client("first"))));
    let caller = world.masters();
    let answer = known(&caller, "dynamic").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let first = world.member.recorder.requests().pop().unwrap();
    assert!(first.certificate && !first.headers.contains_key("authorization"), "{first:?}");
    caller.get(&format!("{}/echo", path("dynamic"))).await;
    assert_eq!(world.member.recorder.requests().pop().unwrap().connection, first.connection, "shared");

    // Another program: another certificate, and no connection of the first.
    register(&world, "dynamic", &format!("true; {}", says(&file, &certificate(&clients.client("second")))));
    until(|| async {
        caller.get(&format!("{}/echo", path("dynamic"))).await;
        world.member.recorder.requests().pop().unwrap().connection != first.connection
    })
    .await;
    assert_eq!(runs(&file), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_178_rule_273_a_program_that_fails_closes_its_cluster_only_and_says_why() {
    let world = world(allowed()).await;
    let caller = world.masters();
    register(&world, "broken", "echo 'the session has expired' >&2; exit 7");
    let answer = known(&caller, "broken").await;
    assert_eq!(answer.status, 503);
    let message = answer.message();
    assert!(
        message.starts_with("cluster broken cannot be used: the credential program /bin/sh failed"),
        "{message}"
    );
    assert!(message.contains("exit status: 7") && message.contains("the session has expired"), "{message}");
    assert_eq!(caller.get(&format!("{}/plain", path("m"))).await.status, 200);
    assert!(world.member.recorder.requests().iter().all(|request| request.target == "/plain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_of_the_member_makes_the_program_give_another_credential() {
    let world = world(ExecPolicy { least_age: Duration::ZERO, ..allowed() }).await;
    let file = world.hub.dir().join("answer");
    register(&world, "dynamic", &says(&file, &json!({"token": "refused"})));
    let caller = world.masters();
    assert_eq!(known(&caller, "dynamic").await.status, 200);
    let answer = caller.get(&format!("{}/status/403", path("dynamic"))).await;
    assert_eq!((answer.status, runs(&file)), (403, 1), "only a 401 says that");
    says(&file, &json!({"token": "renewed"}));
    let answer = caller.get(&format!("{}/status/401", path("dynamic"))).await;
    assert_eq!(answer.status, 401, "the client sees it");
    until(|| async {
        caller.get(&format!("{}/echo", path("dynamic"))).await;
        let seen = world.member.recorder.requests().pop().unwrap();
        seen.headers["authorization"] == "Bearer renewed"
    })
    .await;
    assert_eq!(runs(&file), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_273_nothing_is_run_unless_the_operator_allows_it() {
    let world = world(ExecPolicy::default()).await;
    let file = world.hub.dir().join("answer");
    register(&world, "dynamic", &says(&file, &json!({"token": "t"})));
    let answer = known(&world.masters(), "dynamic").await;
    assert_eq!(answer.status, 503);
    assert!(answer.message().contains("--allow-exec-credential-command"), "{}", answer.message());
    assert_eq!(runs(&file), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_164_another_program_counts_at_once_and_an_unrelated_change_keeps_what_was_given() {
    let world = world(allowed()).await;
    let caller = world.masters();
    let [first, second] = ["first", "second"].map(|name| world.hub.dir().join(name));
    let script = says(&first, &json!({"token": "first"}));
    register(&world, "dynamic", &script);
    assert_eq!(known(&caller, "dynamic").await.status, 200);
    // As it was, but for its resource version.
    register(&world, "dynamic", &script);
    register(&world, "marker", &script);
    known(&caller, "marker").await;
    assert_eq!(caller.get(&format!("{}/echo", path("dynamic"))).await.status, 200);
    assert_eq!(runs(&first), 2, "one for each cluster");
    register(&world, "dynamic", &says(&second, &json!({"token": "second"})));
    until(|| async {
        caller.get(&format!("{}/echo", path("dynamic"))).await;
        let seen = world.member.recorder.requests().pop().unwrap();
        seen.headers["authorization"] == "Bearer second"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_191_rule_268_a_proxied_cluster_is_reached_through_its_proxy_with_its_identity() {
    let world = World::start().await;
    let login = Some(("gateway", "hunter2"));
    let proxy = FakeProxy::start(fake_proxy::Options { login, ..Default::default() }).await;
    let url = |password: &str| format!("socks5://gateway:{password}@{}", proxy.address);
    world.register("proxied", &[("proxy-url", &url("hunter2"))]);
    world.register("refused", &[("proxy-url", &url("hunter1"))]);
    let caller = world.masters();
    assert_eq!(known(&caller, "proxied").await.status, 200);
    assert_eq!(proxy.targets(), [world.member.address.to_string()]);
    let seen = world.member.recorder.requests().pop().unwrap();
    assert_eq!(seen.headers["authorization"], "Bearer member-token");

    let refused = known(&caller, "refused").await;
    assert_eq!(refused.status, 500);
    let message = refused.message();
    assert!(message.contains("dial tcp ") && message.contains("refuses the user or password"), "{message}");
    assert!(!message.contains("hunter"), "{message}");
    let shown = caller.get("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/proxied").await;
    let endpoint = &shown.json()["spec"]["access"]["endpoint"]["const"];
    assert_eq!(endpoint["proxy-url"], format!("socks5://{}", proxy.address));
    let metrics = caller.get("/metrics").await;
    assert!(!metrics.text().contains("hunter"));
}
