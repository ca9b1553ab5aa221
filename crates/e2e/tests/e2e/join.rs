//! The life of a cluster by the commands of the program itself, at a real hub and at a standalone server.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::running::{Output, Running};
use e2e::{Access, Standalone, binaries, process, registration, scratch, wait};
use serde_json::{Value, json};

use crate::world::{config_map, planes, whoami, world};

const TIMEOUT: Duration = Duration::from_secs(60);
const GROUP: &str = "cluster.core.oam.dev";

/// The program, for the clusters of the hub.
fn start(args: &[&str]) -> Result<Running> {
    let mut command = process::command(binaries::gateway()?);
    command.args(args).arg("--kubeconfig").arg(planes()?.hub.admin().kubeconfig());
    if args.first() == Some(&"join") {
        // Accounts have scenarios of their own.
        command.arg("--service-account=none");
    }
    command.args(["--secret-namespace", registration::NAMESPACE]);
    Running::start(command)
}

fn run(args: &[&str]) -> Result<Output> {
    start(args)?.finish(TIMEOUT)
}

fn done(args: &[&str]) -> Result<String> {
    run(args)?.success()
}

/// What the hub keeps under a name; `Null`: nothing.
fn kept(name: &str) -> Result<Value> {
    let path = format!("/api/v1/namespaces/{}/secrets/{name}", registration::NAMESPACE);
    let answer = planes()?.hub.admin().request("GET", &path).send()?;
    if answer.code == 404 { Ok(Value::Null) } else { answer.json(200) }
}

/// What is not written anew by the gateway itself.
fn content(name: &str) -> Result<Value> {
    let mut secret = kept(name)?;
    let Some(metadata) = secret["metadata"].as_object_mut() else { return Ok(Value::Null) };
    metadata.retain(|key, _| ["name", "labels", "annotations"].contains(&key.as_str()));
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with("status."));
    }
    Ok(secret)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// Files of somebody at the second member.
fn kubeconfig_of(name: &str) -> Result<PathBuf> {
    Ok(planes()?.member2.user(name, &["system:masters"])?.kubeconfig())
}

/// A kubeconfig with a token, for a server that need not be there.
fn kubeconfig_at(directory: &Path, port: u16) -> Result<PathBuf> {
    let file = directory.join(format!("{port}.kubeconfig"));
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "elsewhere", "cluster": {"server": format!("https://127.0.0.1:{port}")}}],
        "users": [{"name": "u", "user": {"token": "sesame"}}],
        "contexts": [{"name": "c", "context": {"cluster": "elsewhere", "user": "u"}}],
    });
    fs::write(&file, text.to_string()).context("write a kubeconfig")?;
    Ok(file)
}

#[test]
fn a_cluster_lives_from_join_to_detach() -> Result<()> {
    let world = world()?;
    let (file, user) = (kubeconfig_of("joined-by-command")?, "joined-by-command");
    let file = text(&file)?;

    let plan = done(&["join", file, "--name=life", "--labels=region=eu", "--alias=Life itself", "--plan"])?;
    ensure!(plan.contains("create Secret vela-system/life") && plan.contains("+ label region: eu"), "{plan}");
    ensure!(!plan.contains("BEGIN") && kept("life")?.is_null(), "{plan}");

    let joined = done(&["join", file, "--name=life", "--labels=region=eu", "--alias=Life itself"])?;
    ensure!(joined.starts_with("cluster life joined (https://") && joined.contains("it answers"), "{joined}");
    let secret = kept("life")?;
    let annotations = &secret["metadata"]["annotations"];
    ensure!(annotations[format!("{GROUP}/cluster-alias")] == "Life itself", "{annotations}");
    let version = annotations[format!("{GROUP}/cluster-version")].as_str().context("a version")?;
    ensure!(serde_json::from_str::<Value>(version)?["major"] == "1", "{version}");
    ensure!(
        secret["type"] == "Opaque" && secret["metadata"]["labels"]["region"] == "eu",
        "{}",
        secret["metadata"]
    );
    ensure!(whoami(&world.through("life")?)? == user);
    // As `vela` does, the namespace has been made in the member.
    planes()?.member2.admin().request("GET", "/api/v1/namespaces/vela-system").send()?.expect(200)?;

    let refused = run(&["join", file, "--name=life"])?.failure()?;
    ensure!(refused.contains("add --overwrite"), "{refused}");
    let refused = run(&["join", file, "--name=life", "--overwrite"])?.failure()?;
    ensure!(refused.contains("add --yes"), "{refused}");
    let second = kubeconfig_of("second-by-command")?;
    done(&["join", text(&second)?, "--name=life", "--overwrite", "--yes"])?;
    ensure!(whoami(&world.through("life")?)? == "second-by-command");
    ensure!(kept("life")?["metadata"]["labels"]["region"] == "eu", "its labels stay");

    ensure!(done(&["labels", "add", "life", "tier=gold,owner=me"])? == "owner=me\nregion=eu\ntier=gold\n");
    ensure!(done(&["labels", "del", "life", "owner", "region"])? == "tier=gold\n");
    ensure!(run(&["labels", "del", "life", "owner"])?.failure()?.contains("has no label owner"));
    let edited: Value = serde_json::from_str(&done(&["alias", "life", "Other", "-o", "json"])?)?;
    ensure!(edited == json!({"cluster": "life", "alias": "Other", "labels": {"tier": "gold"}}), "{edited}");

    ensure!(run(&["rename", "life", "after-life"])?.failure()?.contains("add --yes"));
    done(&["rename", "life", "after-life", "--yes"])?;
    ensure!(kept("life")?.is_null());
    wait::eventually("the new name", TIMEOUT, || Ok(whoami(&world.through("after-life")?).ok()))?;

    ensure!(run(&["detach", "after-life"])?.failure()?.contains("add --yes"));
    let plan = done(&["detach", "after-life", "--plan"])?;
    ensure!(plan == "delete Secret vela-system/after-life\n", "{plan}");
    ensure!(done(&["detach", "after-life", "--yes"])? == "cluster after-life detached\n");
    ensure!(kept("after-life")?.is_null());
    ensure!(run(&["detach", "after-life", "--yes"])?.failure()?.contains("there is no cluster after-life"));
    Ok(())
}

#[test]
fn a_join_that_fails_or_is_interrupted_leaves_the_hub_as_it_was() -> Result<()> {
    world()?;
    let directory = scratch::directory("join")?;
    let former = planes()?.member2.user("former", &["system:masters"])?;
    registration::add_member(&planes()?.hub, "kept", &former)?;
    let before = content("kept")?;

    // Nobody there; then somebody else's cluster.
    let nobody = kubeconfig_at(directory.path(), scratch::free_port()?)?;
    let failure = run(&["join", text(&nobody)?, "--name=kept", "--overwrite", "--yes"])?.failure()?;
    ensure!(failure.contains("nothing has been changed") && failure.contains("Connect"), "{failure}");
    let stranger = planes()?.member1.user("stranger", &["system:masters"])?;
    let wrong = Access::new(former.server(), former.ca(), stranger.credential().clone())?.kubeconfig();
    let failure = run(&["join", text(&wrong)?, "--name=kept", "--overwrite", "--yes"])?.failure()?;
    ensure!(failure.contains("Authentication"), "{failure}");
    ensure!(content("kept")? == before);

    // Only the gateway finds out.
    for (name, flags) in [("kept", &["--overwrite", "--yes"][..]), ("fresh", &[])] {
        let before = content(name)?;
        let args = [&["join", text(&nobody)?, "--name", name, "--skip-preflight"], flags].concat();
        let failure = run(&args)?.failure()?;
        ensure!(failure.contains("does not answer through the gateway"), "{failure}");
        ensure!(failure.contains("has been put back") && !failure.contains("sesame"), "{failure}");
        ensure!(content(name)? == before, "{name}");
    }

    // Somebody accepts connections and says nothing: Ctrl-C while the cluster, and while the gateway is asked.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let silent = kubeconfig_at(directory.path(), listener.local_addr()?.port())?;
    let join = start(&["join", text(&silent)?, "--name=fresh"])?;
    // It is being looked at.
    let _held = listener.accept()?;
    join.interrupt()?;
    let ended = join.finish(TIMEOUT)?;
    ensure!(ended.code != Some(0) && kept("fresh")?.is_null(), "{ended}");
    let join = start(&["join", text(&silent)?, "--name=fresh", "--skip-preflight"])?;
    wait::eventually("the Secret", TIMEOUT, || {
        Ok(Some(()).filter(|()| kept("fresh").is_ok_and(|it| !it.is_null())))
    })?;
    join.interrupt()?;
    let failure = join.finish(TIMEOUT)?.failure()?;
    ensure!(failure.contains("has been put back") && kept("fresh")?.is_null(), "{failure}");

    // A cluster that `vela` has joined, and that is dead, can be detached.
    let dead = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "dead", "namespace": registration::NAMESPACE,
            "labels": {format!("{GROUP}/cluster-credential-type"): "ServiceAccountToken"}},
        "stringData": {"endpoint": "https://127.0.0.1:1", "ca.crt": former.ca(), "token": "t"},
    });
    registration::put_secret(&planes()?.hub, "dead", &dead)?;
    done(&["detach", "dead", "--yes"])?;
    done(&["detach", "kept", "--yes"])?;
    Ok(())
}

/// KubeVela's kinds, as far as they matter here.
fn kubevela_crd(plural: &str, kind: &str, scope: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.core.oam.dev")},
        "spec": {
            "group": "core.oam.dev", "scope": scope,
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
            "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}],
        },
    })
}

#[test]
fn what_kubevela_still_holds_is_shown_and_cleaned() -> Result<()> {
    let hub = planes()?.hub.admin();
    let crds =
        [("applications", "Application", "Namespaced"), ("resourcetrackers", "ResourceTracker", "Cluster")];
    for (plural, kind, scope) in crds {
        hub.apply(&kubevela_crd(plural, kind, scope))?;
        let name = format!("customresourcedefinition/{plural}.core.oam.dev");
        hub.kubectl(["wait", "--for=condition=Established", "--timeout=60s", &name]).run()?.success()?;
    }
    let member = planes()?.member2.user("held", &["system:masters"])?;
    registration::add_member(&planes()?.hub, "held", &member)?;
    let api = "core.oam.dev/v1beta1";
    hub.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": api, "kind": "Application", "metadata": {"name": "shop", "namespace": "default"},
            "spec": {"policies": [{"name": "p", "type": "topology", "properties": {"clusters": ["held"]}}]}},
        {"apiVersion": api, "kind": "ResourceTracker", "metadata": {"name": "shop-v1"}, "spec": {"managedResources": [
            {"cluster": "held", "kind": "Deployment", "name": "a"}, {"cluster": "other", "kind": "Deployment", "name": "b"},
        ]}},
    ]}))?;
    let path = "/apis/core.oam.dev/v1beta1/resourcetrackers/shop-v1";
    let tracker = || hub.request("GET", path).send()?.json(200);
    let before = tracker()?;
    let refused = run(&["detach", "held", "--yes"])?.failure()?;
    ensure!(refused.contains("default/shop") && refused.contains("--force"), "{refused}");
    ensure!(tracker()? == before && !kept("held")?.is_null());
    let detached = done(&["detach", "held", "--yes", "--force"])?;
    ensure!(detached == "cluster held detached; taken out of 1 ResourceTrackers\n", "{detached}");
    ensure!(tracker()?["spec"]["managedResources"].as_array().is_some_and(|left| left.len() == 1));
    ensure!(kept("held")?.is_null());
    for (plural, ..) in crds {
        hub.kubectl(["delete", "crd", &format!("{plural}.core.oam.dev")]).run()?.success()?;
    }
    Ok(())
}

#[test]
fn without_a_hub_a_cluster_lives_in_a_file() -> Result<()> {
    let mut server = Standalone::new()?;
    let (clusters, data) = (server.path("clusters"), server.path("data"));
    let url = format!("https://localhost:{}", server.port());
    let run = |args: &[&str]| -> Result<Output> {
        let mut command = process::command(binaries::gateway()?);
        command.args(args).arg("--clusters-dir").arg(&clusters).arg("--data-dir").arg(&data);
        if args[0] == "join" {
            command.args(["--server", &url, "--service-account=none"]);
        }
        Running::start(command)?.finish(TIMEOUT)
    };
    let file = kubeconfig_of("in-a-file")?;
    let file = text(&file)?;
    // Before the server has ever run.
    let early = run(&["join", file, "--name=early"])?;
    ensure!(early.stderr.contains("no standalone server answers"), "{early}");
    early.success()?;

    server.start()?;
    let joined =
        run(&["join", file, "--name=edge", "--labels=a=b", "--create-namespace=made-by-join"])?.success()?;
    ensure!(joined.contains("it answers through the gateway; its namespace has been made"), "{joined}");
    planes()?.member2.admin().request("GET", "/api/v1/namespaces/made-by-join").send()?.expect(200)?;
    let manifest = clusters.join("edge.yaml");
    let before = fs::read(&manifest)?;

    let directory = scratch::directory("join")?;
    let nobody = kubeconfig_at(directory.path(), scratch::free_port()?)?;
    let wrong = ["join", text(&nobody)?, "--name=edge", "--overwrite", "--yes", "--skip-preflight"];
    let failure = run(&wrong)?.failure()?;
    ensure!(failure.contains("has been put back"), "{failure}");
    ensure!(fs::read(&manifest)? == before, "the file is as it was");

    let second = kubeconfig_of("in-another-file")?;
    run(&["join", text(&second)?, "--name=edge", "--overwrite", "--yes"])?.success()?;
    let kubeconfig = server.write_kubeconfig("admin.kubeconfig", &[])?;
    ensure!(whoami(&Access::of_context(&kubeconfig, "edge")?)? == "in-another-file");

    ensure!(run(&["labels", "add", "edge", "c=d"])?.success()? == "a=b\nc=d\n");
    run(&["alias", "edge", "The edge"])?.success()?;
    run(&["rename", "edge", "rim", "--yes"])?.success()?;
    ensure!(!manifest.exists() && clusters.join("rim.yaml").exists());
    run(&["detach", "rim", "--yes"])?.success()?;
    run(&["detach", "early", "--yes"])?.success()?;
    ensure!(fs::read_dir(&clusters)?.next().is_none(), "nothing is left, no draft either");
    Ok(())
}

/// Many ways to hand over a kubeconfig, and what must not be taken.
#[test]
fn kubeconfigs_come_as_files_streams_and_contexts() -> Result<()> {
    let world = world()?;
    let (certificate, key) =
        planes()?.member2.user("by-files", &["system:masters"])?.identity_files().context("files")?;
    let directory = certificate.parent().context("a directory")?;
    let mut config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "arn:aws:eks:x:1:cluster/Two", "cluster": {
            "server": planes()?.member2.admin().server(), "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"client-certificate": "tls.crt", "client-key": key}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "gone", "user": "u"}},
            {"name": "two", "context": {"cluster": "arn:aws:eks:x:1:cluster/Two", "user": "u"}},
        ],
    });
    let file = directory.join("relative.kubeconfig");
    fs::write(&file, config.to_string())?;
    let name = "arn-aws-eks-x-1-cluster-two";
    let joined = done(&["join", text(&file)?, "--context=two", "-o", "name"])?;
    ensure!(joined == format!("{name}\n"), "{joined}");
    ensure!(whoami(&world.through(name)?)? == "by-files");
    done(&["detach", name, "--yes"])?;

    let mut from_stdin = start(&["join", "--from-stdin", "--name=streamed"])?;
    let admin = planes()?.member2.user("streamed", &["system:masters"])?;
    let flat = admin.kubectl(["config", "view", "--flatten", "--raw"]).run()?.success()?;
    from_stdin.write(&flat)?;
    from_stdin.finish(TIMEOUT)?.success()?;
    ensure!(whoami(&world.through("streamed")?)? == "streamed");
    // What is registered can be read, tried and thrown away again.
    through_works(&world.through("streamed")?)?;
    done(&["detach", "streamed", "--yes"])?;

    config["clusters"][0]["cluster"] =
        json!({"server": planes()?.member2.admin().server(), "insecure-skip-tls-verify": true});
    fs::write(&file, config.to_string())?;
    let refused = run(&["join", text(&file)?, "--context=two"])?.failure()?;
    ensure!(refused.contains("--insecure-skip-tls-verify"), "{refused}");
    let refused = run(&["join", text(&file)?, "--context=one"])?.failure()?;
    ensure!(refused.contains("it has no cluster \"gone\""), "{refused}");
    let refused =
        run(&["join", text(&file)?, "--context=two", "--name=local", "--insecure-skip-tls-verify"])?
            .failure()?;
    ensure!(refused.contains("reserved"), "{refused}");
    ensure!(kept(name)?.is_null());
    Ok(())
}

fn through_works(cluster: &Access) -> Result<()> {
    let object = config_map("made-through-a-joined-cluster", &json!({"key": "value"})).to_string();
    cluster.kubectl(["apply", "-f", "-"]).stdin(&object).run()?.success()?;
    cluster.kubectl(["delete", "configmap", "made-through-a-joined-cluster"]).run()?.success().map(drop)
}
