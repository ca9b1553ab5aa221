//! Clusters come, change and go with their files; nothing is restarted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::{Alone, CLUSTERS, TOKEN, answered, listed, proxy, secret, standalone};
use crate::support::caller::Caller;
use crate::support::fake_member::{FakeMember, Options};
use crate::support::world::until;

/// A kubeconfig with one context.
fn kubeconfig(context: &str, member: &FakeMember, user: &Value) -> String {
    let cluster = json!({
        "server": format!("https://{}", member.address),
        "certificate-authority-data": STANDARD.encode(member.ca.pem()),
    });
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
    })
    .to_string()
}

/// Tokens with which the member was asked for `path`.
fn tokens(member: &FakeMember, path: &str) -> Vec<String> {
    let requests = member.recorder.requests().into_iter().filter(|request| request.target == path);
    requests.map(|request| request.headers["authorization"].to_str().unwrap().to_owned()).collect()
}

async fn gone(caller: &Caller, cluster: &str) {
    let expected = format!("no such cluster {cluster}");
    until(|| async { caller.get(&proxy(cluster, "/plain")).await.message() == expected }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_appear_change_and_vanish_with_their_files() {
    let alone = Alone::start().await;
    let admin = alone.admin();
    assert_eq!(admin.get(&proxy("m", "/plain")).await.text(), "plain");
    gone(&admin, "n").await;

    let second = FakeMember::start(Options::default()).await;
    alone.files.write("clusters/n.json", &secret("n", &second, TOKEN).to_string());
    answered(&admin, &proxy("n", "/plain"), 200).await;
    assert_eq!(listed(&admin).await, ["m", "n"]);
    assert_eq!(tokens(&second, "/plain").len(), 1, "only the new cluster was asked");

    alone.files.write("clusters/n.json", &secret("n", &second, "rotated").to_string());
    until(|| async {
        admin.get(&proxy("n", "/echo/token")).await;
        tokens(&second, "/echo/token").last().is_some_and(|token| token == "Bearer rotated")
    })
    .await;

    alone.files.remove("clusters/n.json");
    gone(&admin, "n").await;
    assert_eq!(listed(&admin).await, ["m"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_parse_leaves_its_last_good_version_in_force() {
    let alone = Alone::start().await;
    let admin = alone.admin();
    alone.files.write("clusters/m.json", "{\"kind\": \"Secret\", ");
    // A second file shows when the directory has been read again.
    alone.files.write("clusters/n.json", &secret("n", &alone.member, TOKEN).to_string());
    answered(&admin, &proxy("n", "/plain"), 200).await;
    assert_eq!(admin.get(&proxy("m", "/plain")).await.text(), "plain");

    // What is mended counts again.
    let renamed = secret("renamed", &alone.member, TOKEN).to_string();
    alone.files.write("clusters/m.json", &renamed);
    answered(&admin, &proxy("renamed", "/plain"), 200).await;
    gone(&admin, "m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_documents_and_kubeconfigs_are_clusters_too() {
    let alone = Alone::start().await;
    let documents = format!(
        "# two\n{}\n---\n{}\n",
        secret("two", &alone.member, TOKEN),
        secret("three", &alone.member, TOKEN)
    );
    alone.files.write("clusters/several.yaml", &documents);
    let kubeconfig = kubeconfig("Prod@eu", &alone.member, &json!({"token": "of-kubeconfig"}));
    alone.files.write("clusters/config", &kubeconfig);
    let admin = alone.admin();
    for cluster in ["two", "three", "prod-eu"] {
        answered(&admin, &proxy(cluster, "/plain"), 200).await;
    }
    admin.get(&proxy("prod-eu", "/echo/kubeconfig")).await;
    assert_eq!(tokens(&alone.member, "/echo/kubeconfig"), ["Bearer of-kubeconfig"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_clusters_with_one_name_the_first_file_counts_until_it_is_gone() {
    let alone = Alone::start().await;
    let second = FakeMember::start(Options::default()).await;
    alone.files.write("clusters/z.json", &secret("m", &second, TOKEN).to_string());
    alone.files.write("clusters/n.json", &secret("n", &second, TOKEN).to_string());
    let admin = alone.admin();
    answered(&admin, &proxy("n", "/plain"), 200).await;
    admin.get(&proxy("m", "/echo/who")).await;
    assert_eq!((tokens(&alone.member, "/echo/who").len(), tokens(&second, "/echo/who").len()), (1, 0));

    alone.files.remove("clusters/m.json");
    until(|| async {
        admin.get(&proxy("m", "/echo/who")).await;
        !tokens(&second, "/echo/who").is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_213_a_kubeconfig_that_wants_to_run_a_program_is_listed_with_the_reason() {
    let alone = Alone::with(|files, config| {
        standalone(config).clusters.allow_exec = false;
        let exec = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws-login"}});
        let (cluster, user) = (json!({"server": "https://10.0.0.1:6443"}), exec);
        let config = json!({
            "kind": "Config", "apiVersion": "v1",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "eks", "context": {"cluster": "c", "user": "u"}}],
        });
        files.write("clusters/config", &config.to_string());
    })
    .await;
    let admin = alone.admin();
    assert_eq!(listed(&admin).await, ["eks", "m"]);
    let shown = admin.get(&format!("{CLUSTERS}/eks")).await.json();
    assert_eq!(shown["status"]["healthy"], false, "{shown}");
    let reason = shown["status"]["healthyReason"].as_str().unwrap_or_default();
    assert!(reason.contains("\"aws-login\"") && reason.contains("put the token"), "{shown}");
    let refused = admin.get(&proxy("eks", "/plain")).await;
    assert!(refused.message().contains("\"aws-login\""), "{}", refused.text());
    assert!(!refused.message().contains("no such cluster"), "{}", refused.text());
    assert_eq!(admin.get(&proxy("m", "/plain")).await.status, 200, "a bad neighbour hurts nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_starts_and_is_ready() {
    let alone = Alone::with(|files, _| files.remove("clusters/m.json")).await;
    let admin = alone.admin();
    assert!(listed(&admin).await.is_empty());
    assert_eq!(admin.get(&proxy("m", "/plain")).await.message(), "no such cluster m");
    alone.files.write("clusters/m.json", &secret("m", &alone.member, TOKEN).to_string());
    answered(&admin, &proxy("m", "/plain"), 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_shows_a_members_credential() {
    let alone = Alone::start().await;
    let admin = alone.admin();
    for path in [CLUSTERS.to_owned(), format!("{CLUSTERS}/m"), "/metrics".to_owned()] {
        let answer = admin.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains(TOKEN), "{path}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_232_without_a_hub_health_is_not_recorded_and_the_answer_says_why() {
    let alone = Alone::start().await;
    let path = format!("{CLUSTERS}/m/health");
    assert_eq!(alone.admin().get(&path).await.status, 200);
    let body = json!({"metadata": {"name": "m"}, "status": {"healthy": true}}).to_string();
    let answer = alone.admin().send(Method::PUT, &path, &body).await;
    assert_eq!(
        (answer.status, &answer.json()["reason"]),
        (405, &json!("MethodNotAllowed")),
        "{}",
        answer.text()
    );
    assert!(answer.message().contains("this server runs without one"), "{}", answer.text());
}
