//! Service accounts of the gateway on a real member: made by `join`, replaced by `rotate`, and undone.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::registration::{GROUP, NAMESPACE};
use e2e::running::{Output, Running};
use e2e::{Access, Credential, binaries, process};
use serde_json::{Value, json};

use crate::world::{planes, whoami, world};

const TIMEOUT: Duration = Duration::from_secs(120);

/// The program, for the clusters of the hub.
fn run(args: &[&str]) -> Result<Output> {
    let mut command = process::command(binaries::gateway()?);
    command.args(args).arg("--kubeconfig").arg(planes()?.hub.admin().kubeconfig());
    command.args(["--secret-namespace", NAMESPACE]);
    Running::start(command)?.finish(TIMEOUT)
}

fn admin_of_member(name: &str) -> Result<PathBuf> {
    Ok(planes()?.member2.user(name, &["system:masters"])?.kubeconfig())
}

/// What the hub keeps under a name; `Null`: nothing.
fn kept(name: &str) -> Result<Value> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}");
    let answer = world()?.hub.admin().request("GET", &path).send()?;
    if answer.code == 404 { Ok(Value::Null) } else { answer.json(200) }
}

fn annotation<'v>(secret: &'v Value, name: &str) -> &'v Value {
    &secret["metadata"]["annotations"][format!("{GROUP}/{name}")]
}

/// The member, as whoever holds the token in the Secret.
fn holder(secret: &Value) -> Result<Access> {
    let token = secret["data"]["token"].as_str().context("a token")?;
    let token = String::from_utf8(STANDARD.decode(token)?)?;
    planes()?.member2.admin().with(Credential::Token(token))
}

/// An object of the member.
fn at_member(path: &str) -> Result<Option<Value>> {
    let answer = planes()?.member2.admin().request("GET", path).send()?;
    if answer.code == 404 { Ok(None) } else { answer.json(200).map(Some) }
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

#[test]
fn join_makes_a_service_account_that_may_act_as_others_and_nothing_else() -> Result<()> {
    world()?;
    let (file, name) = (admin_of_member("joins-least")?, "least");
    let file = file.to_str().context("a path")?;
    let flags = [
        "join",
        file,
        "--name=least",
        "--service-account=impersonate",
        "--service-account-namespace=least",
        "--create-namespace=",
    ];
    let plan = run(&[&flags[..], &["--plan"]].concat())?.success()?;
    for object in [
        "ServiceAccount least/cluster-gateway",
        "ClusterRole cluster-gateway:least:cluster-gateway:impersonate",
    ] {
        ensure!(plan.contains(&format!("create {object} in least")), "{plan}");
    }
    ensure!(at_member("/api/v1/namespaces/least")?.is_none() && kept(name)?.is_null(), "a plan does nothing");
    let said = run(&flags)?.success()?;
    ensure!(said.contains("a token of service account least/cluster-gateway"), "{said}");

    let secret = kept(name)?;
    ensure!(annotation(&secret, "service-account") == "least/cluster-gateway", "{secret}");
    ensure!(annotation(&secret, "token-ends-at").is_string());
    ensure!(
        secret["data"]["tls.key"].is_null() && secret["data"]["tls.crt"].is_null(),
        "the kubeconfig's own"
    );
    let account = holder(&secret)?;
    ensure!(whoami(&account)? == "system:serviceaccount:least:cluster-gateway");
    for (method, path, body) in [
        ("GET", "/api/v1/namespaces/kube-system/secrets", json!(null)),
        ("GET", "/api/v1/namespaces/default/configmaps", json!(null)),
        ("POST", "/api/v1/namespaces/least/serviceaccounts/default/token", token_request()),
        ("POST", "/api/v1/namespaces/kube-system/serviceaccounts/cluster-gateway/token", token_request()),
        ("GET", "/api/v1/namespaces/least/serviceaccounts/cluster-gateway", json!(null)),
        ("POST", &format!("{RBAC}/clusterrolebindings"), json!({"metadata": {"name": "x"}})),
        (
            "DELETE",
            &format!("{RBAC}/clusterroles/cluster-gateway:least:cluster-gateway:impersonate"),
            json!(null),
        ),
    ] {
        let request = account.request(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        request.send()?.status_message(403).with_context(|| format!("{method} {path}"))?;
    }
    let own = "/api/v1/namespaces/least/serviceaccounts/cluster-gateway/token";
    account.request("POST", own).json(&token_request()).send()?.expect(201)?;
    let masters = ["get", "secrets", "-A", "--as=somebody", "--as-group=system:masters", "--as-uid=7"];
    account.kubectl(masters).run()?.success()?;
    let other =
        account.kubectl(["get", "secrets", "--as=system:serviceaccount:default:default"]).run()?.failure()?;
    ensure!(other.contains("User \"system:serviceaccount:default:default\" cannot list"), "{other}");
    let extra = account.request("GET", "/api/v1/namespaces");
    let extra = extra.args(["-H", "Impersonate-User: a", "-H", "Impersonate-Group: system:masters"]);
    extra.args(["-H", "Impersonate-Extra-Example.com%2fscopes: b"]).send()?.expect(200)?;

    // Once more is no more.
    let path = format!("{RBAC}/clusterroles/cluster-gateway:least:cluster-gateway:impersonate");
    let before = at_member(&path)?.context("the role")?;
    run(&[&flags[..], &["--overwrite", "--yes"]].concat())?.success()?;
    ensure!(at_member(&path)?.context("the role")?["metadata"] == before["metadata"]);
    Ok(())
}

fn token_request() -> Value {
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}})
}

#[test]
fn join_gives_the_account_everything_where_the_gateway_passes_no_identities_on() -> Result<()> {
    world()?;
    let file = admin_of_member("joins-auto")?;
    let file = file.to_str().context("a path")?;
    // Nobody has asked for an account: whoever may make one gets one.
    run(&["join", file, "--name=auto-account", "--service-account-namespace=auto"])?.success()?;
    ensure!(whoami(&world()?.through("auto-account")?)? == "system:serviceaccount:auto:cluster-gateway");
    let bound =
        at_member(&format!("{RBAC}/clusterrolebindings/cluster-gateway:auto:cluster-gateway:cluster-admin"))?;
    ensure!(bound.context("a binding")?["roleRef"]["name"] == "cluster-admin");
    world()?.through("auto-account")?.kubectl(["get", "secrets", "-A"]).run()?.success().map(drop)
}

#[test]
fn a_join_that_fails_takes_the_account_back() -> Result<()> {
    world()?;
    let file = admin_of_member("joins-badly")?;
    let file = file.to_str().context("a path")?;
    let flags = ["--service-account", "--service-account-namespace=undone", "--create-namespace=Not_A_Name"];
    let failed = run(&[&["join", file, "--name=undone"][..], &flags].concat())?.failure()?;
    ensure!(
        failed.contains("cannot create namespace Not_A_Name") && failed.contains("has been put back"),
        "{failed}"
    );
    ensure!(kept("undone")?.is_null());
    for role in ["impersonate", "cluster-admin"] {
        let name = format!("cluster-gateway:undone:cluster-gateway:{role}");
        ensure!(at_member(&format!("{RBAC}/clusterrolebindings/{name}"))?.is_none(), "{name}");
        ensure!(at_member(&format!("{RBAC}/clusterroles/{name}"))?.is_none(), "{name}");
    }
    ensure!(at_member("/api/v1/namespaces/undone/serviceaccounts/cluster-gateway")?.is_none());
    // What empties a namespace is not part of this control plane.
    let namespace = at_member("/api/v1/namespaces/undone")?;
    ensure!(namespace.is_none_or(|namespace| namespace["metadata"]["deletionTimestamp"].is_string()));
    Ok(())
}

#[test]
fn rotate_gives_another_token_another_credential_and_an_account() -> Result<()> {
    world()?;
    let file = admin_of_member("rotates")?;
    let file = file.to_str().context("a path")?;
    run(&["join", file, "--name=rotated", "--service-account=none"])?.success()?;
    let cluster = world()?.through("rotated")?;
    ensure!(whoami(&cluster)? == "rotates");
    let before = kept("rotated")?;
    let refused = run(&["rotate", "rotated"])?.failure()?;
    ensure!(refused.contains("--service-account"), "{refused}");
    // A certificate of another cluster.
    let foreign = planes()?.member1.user("foreigner", &["system:masters"])?.kubeconfig();
    let refused = run(&["rotate", "rotated", foreign.to_str().context("a path")?, "--yes"])?.failure()?;
    ensure!(refused.contains("nothing has been changed"), "{refused}");
    ensure!(kept("rotated")?["data"] == before["data"]);

    run(&["rotate", "rotated", "--service-account", "--service-account-namespace=rotated", "--yes"])?
        .success()?;
    ensure!(whoami(&cluster)? == "system:serviceaccount:rotated:cluster-gateway");
    let with_account = kept("rotated")?;
    ensure!(with_account["data"]["tls.key"].is_null());
    run(&["rotate", "rotated"])?.success()?;
    let renewed = kept("rotated")?;
    ensure!(renewed["data"]["token"] != with_account["data"]["token"]);
    ensure!(annotation(&renewed, "service-account") == "rotated/cluster-gateway");

    let other = admin_of_member("rotates-too")?;
    let said = run(&["rotate", "rotated", other.to_str().context("a path")?, "--yes"])?;
    ensure!(
        said.stderr.contains("service account rotated/cluster-gateway stays on the cluster"),
        "{}",
        said.stderr
    );
    said.success()?;
    ensure!(whoami(&cluster)? == "rotates-too");
    let last = kept("rotated")?;
    ensure!(annotation(&last, "service-account").is_null() && last["data"]["token"].is_null(), "{last}");
    Ok(())
}
