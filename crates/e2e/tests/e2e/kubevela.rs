//! Requests in KubeVela's form (`clients/kubevela.go`): what `vela cluster …` writes is what the gateway reads, and what
//! the gateway answers is what KubeVela's words for it are found in. KubeVela itself does not run here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::registration::{self, NAMESPACE, remove_member};
use e2e::running::{Output, Running};
use e2e::{Access, Credential, binaries, clients, process, wait};
use serde_json::{Value, json};

use crate::world::{whoami, world};

const LIMIT: Duration = Duration::from_secs(60);
/// Rule 176 and its like: so soon a change of a Secret must have come to the gateway.
const NOTICED: Duration = Duration::from_secs(10);

/// One of KubeVela's commands as the hub's administrator; the lines that it reports.
fn vela(verb: &str, cluster: &str, args: &[&str]) -> Result<Vec<Value>> {
    let all: Vec<&str> = ["--verb", verb, "--cluster", cluster].iter().chain(args).copied().collect();
    let text = clients::run("kubevela", world()?.hub.admin(), &all, LIMIT)?.success()?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// The same where it must be refused, and in which words.
fn refused(verb: &str, cluster: &str, args: &[&str], words: &str) -> Result<()> {
    let all: Vec<&str> = ["--verb", verb, "--cluster", cluster].iter().chain(args).copied().collect();
    let error = clients::run("kubevela", world()?.hub.admin(), &all, LIMIT)?.failure()?;
    ensure!(error.contains(words), "{error}");
    Ok(())
}

fn join(cluster: &str, member: &Access) -> Result<()> {
    vela("join", cluster, &["--member", &member.kubeconfig().to_string_lossy()]).map(drop)
}

/// What `list` says about a cluster.
fn listed(cluster: &str) -> Result<Value> {
    let mut lines = vela("list", "", &[])?.into_iter();
    lines.find(|line| line["name"] == cluster).with_context(|| format!("{cluster} is not in the list"))
}

/// The Secret of a cluster, without what it proves.
fn metadata(cluster: &str) -> Result<Value> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets/{cluster}");
    Ok(world()?.hub.admin().request("GET", &path).send()?.json(200)?["metadata"].take())
}

/// The cluster as the gateway shows it.
fn virtual_cluster(cluster: &str) -> Result<Value> {
    let path = format!("{}/virtualclusters/{cluster}", registration::BASE);
    world()?.hub.admin().request("GET", &path).send()?.json(200)
}

/// Waits until the gateway shows the cluster so.
fn shown(cluster: &str, what: &str, so: impl Fn(&Value) -> bool) -> Result<()> {
    wait::eventually(what, NOTICED, || Ok(so(&virtual_cluster(cluster)?).then_some(())))
}

/// What KubeVela makes of the answer to a request in the cluster.
fn verdict(cluster: &str) -> Result<String> {
    let lines = vela("judge", cluster, &[])?;
    let says = &lines.first().context("one line")?["says"];
    let (verdict, error) = (says["verdict"].as_str().context("a verdict")?, &says["error"]);
    eprintln!("{cluster}: {verdict}: {error}");
    Ok(verdict.to_owned())
}

#[test]
fn a_cluster_lives_from_join_to_detach_by_requests_as_kubevela_makes_them() -> Result<()> {
    let member = world()?.member2.service_account("kube-system", "gateway-by-vela", "cluster-admin")?;
    // Join goes through the gateway as soon as the Secret is there, and gives up after two seconds.
    join("vela-token", &member)?;
    refused("join", "vela-token", &["--member", &member.kubeconfig().to_string_lossy()], "already exists")?;
    refused("join", "local", &["--member", &member.kubeconfig().to_string_lossy()], "reserved")?;
    let at_member = world()?.through("vela-token")?;
    ensure!(
        whoami(&at_member)? == "system:serviceaccount:kube-system:gateway-by-vela",
        "the credential is used"
    );
    at_member.kubectl(["get", "namespace", "vela-system"]).run()?.success()?;

    let line = listed("vela-token")?;
    ensure!(line["says"]["type"] == "ServiceAccountToken", "{line}");
    ensure!(line["says"]["endpoint"] == member.server(), "{line}");
    let version = line["says"]["version"].as_str().context("a version")?;
    ensure!(version.contains("gitVersion"), "{line}");

    vela("alias", "vela-token", &["--to", "Spoke in Oslo"])?;
    vela("label", "vela-token", &["--to", "region=north"])?;
    vela("label", "vela-token", &["--to", "stage=test"])?;
    vela("label", "vela-token", &["--to", "stage"])?;
    shown("vela-token", "alias and label", |cluster| {
        cluster["spec"]["alias"] == "Spoke in Oslo"
            && cluster["metadata"]["labels"]["region"] == "north"
            && cluster["metadata"]["labels"].get("stage").is_none()
    })?;
    vela("probe", "vela-token", &[])?;

    vela("rename", "vela-token", &["--to", "vela-renamed"])?;
    refused("rename", "vela-renamed", &["--to", "local"], "reserved")?;
    refused("rename", "vela-renamed", &["--to", "member1"], "already exists")?;
    shown("vela-renamed", "the new name", |cluster| {
        cluster["spec"]["alias"] == "Spoke in Oslo" && cluster["metadata"]["labels"]["region"] == "north"
    })?;
    vela("probe", "vela-renamed", &[])?;
    wait::eventually("the old name to be forgotten", NOTICED, || {
        Ok((verdict("vela-token")? == "no such cluster").then_some(()))
    })?;

    vela("detach", "vela-renamed", &[])?;
    refused("detach", "vela-renamed", &[], "not found")?;
    wait::eventually("the cluster to be gone", NOTICED, || {
        Ok((verdict("vela-renamed")? == "no such cluster").then_some(()))
    })
}

#[test]
fn a_certificate_joins_as_kubevela_writes_it() -> Result<()> {
    let member = world()?.member2.user("by-vela-certificate", &["system:masters"])?;
    join("vela-certificate", &member)?;
    ensure!(
        whoami(&world()?.through("vela-certificate")?)? == "by-vela-certificate",
        "the certificate is used"
    );
    let metadata = metadata("vela-certificate")?;
    let endpoint_type = metadata["labels"].get(format!("{}/cluster-endpoint-type", registration::GROUP));
    ensure!(endpoint_type.is_none(), "KubeVela does not write it: {metadata}");
    let credential = virtual_cluster("vela-certificate")?["spec"]["credential-type"].take();
    ensure!(credential == "X509Certificate", "{credential}");
    vela("detach", "vela-certificate", &[]).map(drop)
}

#[test]
fn rule_177_rule_178_kubevela_finds_the_words_that_it_decides_by() -> Result<()> {
    let hub = world()?.hub;
    ensure!(verdict("vela-nowhere")? == "no such cluster", "unknown");
    ensure!(verdict("member2")? == "object not found", "a cluster that works");

    let dead = world()?.member2.admin().at("https://127.0.0.1:1")?;
    registration::add_member(hub, "vela-dead", &dead)?;
    wait::eventually("the dead cluster", NOTICED, || {
        Ok((verdict("vela-dead")? == "disconnected").then_some(()))
    })?;
    remove_member(hub, "vela-dead")?;

    // A cluster whose Secret is broken is not gone: KubeVela would forget what it has deployed there.
    let mut broken = registration::secret("vela-broken", world()?.member2.admin())?;
    broken["stringData"].as_object_mut().context("data")?.remove("endpoint");
    registration::put_secret(hub, "vela-broken", &broken)?;
    wait::eventually("the broken cluster", NOTICED, || {
        Ok((verdict("vela-broken")? == "another error").then_some(()))
    })?;
    remove_member(hub, "vela-broken")
}

#[test]
fn a_service_account_with_kubevelas_role_goes_to_the_gateway_itself() -> Result<()> {
    let hub = world()?.hub;
    // KubeVela's chart gives its role to the group kubevela:client and to its own ServiceAccount, and its controllers go
    // straight to the gateway's Service with the token of the latter.
    let controller = hub.service_account("default", "as-vela-core", "system:discovery")?;
    let subject = json!({"kind": "ServiceAccount", "namespace": "default", "name": "as-vela-core"});
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
    crate::world::allow_proxy(hub, &controller, "as-vela-core", &subject, &verbs)?;
    let direct = world()?.direct("member2", &controller)?;
    direct.kubectl(["get", "namespace", "default"]).run()?.success()?;
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "by-vela-core", "namespace": "default"}, "data": {"a": "1"},
    });
    direct.apply(&object)?;
    direct.kubectl(["delete", "configmap", "by-vela-core"]).run()?.success()?;
    let stranger = hub.service_account("default", "not-vela-core", "system:discovery")?;
    ensure!(matches!(stranger.credential(), Credential::Token(_)), "by token");
    let path = format!("{}/api/v1/namespaces/default", registration::proxy_path("member2"));
    let stranger = world()?.gateway.access(stranger.credential().clone())?;
    stranger.request("GET", &path).send()?.expect(403).map(drop)
}

/// The program itself, at the hub.
fn gateway_command(args: &[&str]) -> Result<Output> {
    let mut command = process::command(binaries::gateway()?);
    command.args(args).arg("--kubeconfig").arg(world()?.hub.admin().kubeconfig());
    command.args(["--secret-namespace", NAMESPACE]);
    Running::start(command)?.finish(LIMIT)
}

#[test]
fn what_kubevelas_requests_have_joined_is_managed_by_the_program() -> Result<()> {
    let member = world()?.member2.user("by-both-one", &["system:masters"])?;
    join("both-1", &member)?;
    let shown = gateway_command(&["list", "-o", "name"])?.success()?;
    ensure!(shown.lines().any(|line| line.ends_with("both-1")), "{shown}");
    gateway_command(&["labels", "add", "both-1", "region=south,stage=test"])?.success()?;
    gateway_command(&["labels", "del", "both-1", "stage"])?.success()?;
    gateway_command(&["alias", "both-1", "Both ways"])?.success()?;
    gateway_command(&["rename", "both-1", "both-2", "--yes"])?.success()?;
    let line = listed("both-2")?;
    ensure!(line["says"]["alias"] == "Both ways" && line["labels"] == json!({"region": "south"}), "{line}");
    ensure!(line["says"]["version"].as_str().is_some_and(|version| !version.is_empty()), "kept: {line}");
    vela("probe", "both-2", &[])?;
    refused("join", "both-2", &["--member", &member.kubeconfig().to_string_lossy()], "already exists")?;
    gateway_command(&["detach", "both-2", "--yes"])?.success()?;
    wait::eventually("the cluster to be gone", NOTICED, || {
        Ok((verdict("both-2")? == "no such cluster").then_some(()))
    })
}

#[test]
fn what_the_program_has_joined_is_managed_by_kubevelas_requests() -> Result<()> {
    let member = world()?.member2.user("by-both-two", &["system:masters"])?;
    let kubeconfig = member.kubeconfig();
    let kubeconfig = kubeconfig.to_string_lossy();
    gateway_command(&["join", &kubeconfig, "--name", "both-3", "--labels", "region=east", "--yes"])?
        .success()?;
    let line = listed("both-3")?;
    ensure!(
        line["says"]["type"] == "X509Certificate" && line["says"]["endpoint"] == member.server(),
        "{line}"
    );
    ensure!(line["labels"] == json!({"region": "east"}), "{line}");
    vela("probe", "both-3", &[])?;
    vela("alias", "both-3", &["--to", "The third"])?;
    vela("label", "both-3", &["--to", "stage=test"])?;
    vela("rename", "both-3", &["--to", "both-4"])?;
    shown("both-4", "all of it under the new name", |cluster| {
        cluster["spec"]["alias"] == "The third"
            && cluster["metadata"]["labels"]["region"] == "east"
            && cluster["metadata"]["labels"]["stage"] == "test"
    })?;
    ensure!(whoami(&world()?.through("both-4")?)? == "by-both-two", "the credential came along");

    // The same refusals: of what is reserved, taken, or no cluster.
    for (args, words) in [
        (vec!["join", &kubeconfig, "--name", "local", "--yes"], "reserved"),
        (vec!["join", &kubeconfig, "--name", "both-4", "--yes"], "already"),
        (vec!["rename", "both-4", "local", "--yes"], "reserved"),
        (vec!["rename", "both-4", "member1", "--yes"], "member1"),
        (vec!["detach", "both-3", "--yes"], "both-3"),
    ] {
        let error = gateway_command(&args)?.failure()?;
        ensure!(error.contains(words), "{args:?}: {error}");
    }
    vela("detach", "both-4", &[]).map(drop)
}

#[test]
fn a_secret_that_is_no_cluster_is_nobodys_to_take() -> Result<()> {
    let hub = world()?.hub;
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "both-foreign", "namespace": NAMESPACE},
        "stringData": {"a": "b"},
    });
    registration::put_secret(hub, "both-foreign", &foreign)?;
    let before = metadata("both-foreign")?;
    let member = world()?.member2.user("by-both-three", &["system:masters"])?;
    let kubeconfig = member.kubeconfig();
    let kubeconfig = kubeconfig.to_string_lossy();
    for args in [
        vec!["join", &kubeconfig, "--name", "both-foreign", "--yes"],
        vec!["join", &kubeconfig, "--name", "both-foreign", "--overwrite", "--yes"],
        vec!["rename", "member1", "both-foreign", "--yes"],
        vec!["detach", "both-foreign", "--force", "--yes"],
    ] {
        gateway_command(&args)?.failure()?;
    }
    refused("detach", "both-foreign", &[], "no cluster")?;
    ensure!(metadata("both-foreign")? == before, "untouched");
    remove_member(hub, "both-foreign")
}
