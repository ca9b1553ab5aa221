//! Tokens of service accounts of a real member, renewed while they are used.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::registration::{self, GROUP, NAMESPACE};
use e2e::running::Running;
use e2e::{Access, Standalone, wait};
use serde_json::{Value, json};

use crate::world::{config_map, config_map_path, planes, whoami, world};

const LIMIT: Duration = Duration::from_secs(90);

fn annotation(name: &str) -> String {
    format!("{GROUP}/{name}")
}

/// The Secret of a cluster whose token the gateway is to renew at once.
fn renewable(name: &str, account: &str) -> Result<Value> {
    let member = planes()?.member2.service_account("renewal", account, "cluster-admin")?;
    let mut secret = registration::secret(name, &member)?;
    secret["metadata"]["annotations"] = json!({annotation("service-account"): format!("renewal/{account}")});
    Ok(secret)
}

/// The cluster's Secret as the hub keeps it.
fn kept(name: &str) -> Result<Value> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}");
    world()?.hub.admin().request("GET", &path).send()?.json(200)
}

/// Waits until the token is not this one, and is written down as renewed.
fn renewed(name: &str, token: &Value) -> Result<Value> {
    wait::eventually("the token to be renewed", LIMIT, || {
        let secret = kept(name)?;
        let annotations = &secret["metadata"]["annotations"];
        let known =
            ["token-issued-at", "token-ends-at"].iter().all(|key| annotations[annotation(key)].is_string());
        Ok((known && secret["data"]["token"] != *token).then_some(secret["data"]["token"].clone()))
    })
}

/// A watch that has seen what is there.
fn watching(cluster: &Access, label: &str) -> Result<Running> {
    create(cluster, &format!("{label}-before"), label)?;
    let watch = cluster
        .kubectl(["get", "configmaps", "-w", "-l", &format!("watch={label}"), "-o", "name"])
        .spawn()?;
    watch.wait_for(&format!("{label}-before"), LIMIT)?;
    Ok(watch)
}

fn create(cluster: &Access, name: &str, label: &str) -> Result<()> {
    let mut object = config_map(name, &json!({}));
    object["metadata"]["labels"] = json!({"watch": label});
    cluster.request("POST", &config_map_path("")).json(&object).send()?.expect(201).map(drop)
}

#[test]
fn a_token_is_renewed_under_a_running_watch_without_a_break() -> Result<()> {
    let world = world()?;
    let secret = renewable("renewed", "watched")?;
    registration::put_secret(world.hub, "renewed", &secret)?;
    let cluster = world.through("renewed")?;
    let first = renewed("renewed", &kept_token(&secret))?;
    let watch = watching(&cluster, "renewed")?;

    // Whoever takes away what was written down asks for another one.
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets/renewed");
    let patch = json!({"metadata": {"annotations": {annotation("token-issued-at"): null}}});
    let patch = patch.to_string();
    let admin = world.hub.admin();
    admin
        .kubectl(["patch", "secret", "renewed", "-n", NAMESPACE, "--type=merge", "-p", &patch])
        .run()?
        .success()?;
    let second = renewed("renewed", &first)?;
    ensure!(second != first);
    let user = wait::eventually("the new token to be used", LIMIT, || whoami(&cluster).map(Some))?;
    ensure!(user == "system:serviceaccount:renewal:watched", "{user}");
    create(&cluster, "renewed-after", "renewed")?;
    watch.wait_for("renewed-after", LIMIT)?;
    watch.interrupt()?;

    let metrics = world.gateway.access(admin.credential().clone())?.request("GET", "/metrics").send()?.body;
    ensure!(metrics.contains("cluster_gateway_cluster_credential_not_after_seconds{cluster=\"renewed\"}"));
    let row = admin.kubectl(["get", "clustergateways", "renewed", "-o", "yaml"]).run()?.success()?;
    ensure!(row.contains("notAfter:"), "{row}");
    let token = admin.request("GET", &path).send()?.json(200)?["data"]["token"]
        .as_str()
        .context("a token")?
        .to_owned();
    ensure!(!world.gateway.log().contains(&token), "the token is in the log");
    Ok(())
}

/// The token that a Secret which was not sent yet will have.
fn kept_token(secret: &Value) -> Value {
    use base64::Engine as _;
    let token = secret["stringData"]["token"].as_str().unwrap_or_default();
    json!(base64::engine::general_purpose::STANDARD.encode(token))
}

#[test]
fn without_a_hub_tokens_are_renewed_in_the_manifest_again_and_again() -> Result<()> {
    let mut server = Standalone::new()?;
    let secret = renewable("alone", "alone")?;
    server.write("clusters/alone.json", &secret.to_string())?;
    // A member gives no token for less than ten minutes: one percent of that is six seconds.
    server.start_with(&["--credential-renewal-percent=1", "--credential-lifetime=10m"])?;
    let kubeconfig = server.write_kubeconfig("kubeconfig", &[])?;
    let cluster = Access::of_context(&kubeconfig, "alone")?;
    let watch = watching(&cluster, "alone")?;
    let read = || -> Result<Value> {
        let text = std::fs::read_to_string(server.path("clusters/alone.json"))?;
        Ok(serde_json::from_str::<Value>(&text)?["data"]["token"].clone())
    };
    let mut tokens = vec![kept_token(&secret)];
    wait::eventually("three tokens one after the other", LIMIT, || {
        let token = read()?;
        if token.is_string() && !tokens.contains(&token) {
            tokens.push(token);
        }
        Ok((tokens.len() > 3).then_some(()))
    })?;
    let user = whoami(&cluster)?;
    ensure!(user == "system:serviceaccount:renewal:alone", "{user}");
    create(&cluster, "alone-after", "alone")?;
    watch.wait_for("alone-after", LIMIT)?;
    watch.interrupt()?;
    Ok(())
}
