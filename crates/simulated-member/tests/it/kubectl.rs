//! The stock kubectl against a simulated member.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use simulated_member::{Member, User};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// A member with a deployment of two pods and one pod alone, and kubectl set up for it.
struct World {
    member: Member,
    home: TempDir,
}

impl World {
    async fn new() -> Result<Self> {
        let alone = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone", "labels": {"app": "alone"}},
            "spec": {"containers": [{"name": "c", "image": "busybox:1", "env": [{"name": "COLOUR", "value": "red"}]}]},
        });
        let member = Member::builder().name("member1").token("t", User::new("ann").group("dev"));
        let member = member.objects([deployment("web", "nginx:1"), alone]).start().await?;
        let home = tempfile::tempdir()?;
        std::fs::write(home.path().join("kubeconfig"), member.kubeconfig("t"))?;
        Ok(Self { member, home })
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(kubectl()?);
        command
            .args(args)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("kubeconfig"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    /// What kubectl writes, if it succeeds.
    async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let output = self.command(args)?.output().await.context("run kubectl")?;
        ensure!(output.status.success(), "kubectl {args:?}: {}", text(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn with_input(&self, args: &[&str], input: &str) -> Result<Output> {
        let mut child = self.command(args)?.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        Ok(child.wait_with_output().await?)
    }

    async fn apply(&self, args: &[&str], object: &Value) -> Result<String> {
        let output = self.with_input(&[args, &["-f", "-"]].concat(), &object.to_string()).await?;
        ensure!(output.status.success(), "{args:?}: {}", text(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// One value of an object.
    async fn value(&self, object: &str, path: &str) -> Result<String> {
        self.kubectl(&["get", object, "-o", &format!("jsonpath={{{path}}}")]).await
    }
}

fn text(output: &Output) -> String {
    format!(
        "{} {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// kubectl from the path, or the one that the end-to-end tests have built.
fn kubectl() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().context("the target directory")?;
    let built = std::fs::read_dir(target.join("controlplane")).into_iter().flatten().flatten();
    let mut candidates = built.map(|entry| entry.path().join("kubectl"));
    let on_path = ["/usr/local/bin/kubectl", "/usr/bin/kubectl"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file());
    on_path
        .or_else(|| candidates.find(|path| path.is_file()))
        .context("kubectl is missing: install it, or run `cargo test -p e2e`, which builds it")
}

fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    })
}

/// The words of a line.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test]
async fn get_shows_the_usual_columns() -> Result<()> {
    let world = World::new().await?;
    let pods = world.kubectl(&["get", "pods"]).await?;
    assert_eq!(words(pods.lines().next().unwrap()), ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    assert_eq!(words(pods.lines().nth(1).unwrap())[..4], ["alone", "1/1", "Running", "0"]);
    assert_eq!(pods.lines().count(), 4);
    let wide = world.kubectl(&["get", "deploy", "-o", "wide"]).await?;
    assert_eq!(
        words(wide.lines().next().unwrap()),
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
    );
    assert!(wide.contains("member1") || wide.contains("nginx:1"), "{wide}");
    let selected = world
        .kubectl(&[
            "get",
            "pods",
            "-A",
            "-l",
            "app=web",
            "--field-selector=status.phase=Running",
            "-o",
            "name",
        ])
        .await?;
    assert_eq!(selected.lines().count(), 2);
    let chunked = world.kubectl(&["get", "pods", "--chunk-size=1", "-o", "name"]).await?;
    assert_eq!(chunked.lines().count(), 3);
    for all in ["all", "nodes", "ns", "cm,secrets,sa,svc", "events", "rs"] {
        world.kubectl(&["get", all]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn get_watches() -> Result<()> {
    let world = World::new().await?;
    let mut child = world.command(&["get", "configmaps", "--watch", "--output-watch-events"])?.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for (args, event) in [
        (["create", "configmap", "x", "--from-literal=a=b"], "ADDED"),
        (["label", "configmap", "x", "l=m"], "MODIFIED"),
        (["delete", "configmap", "x", "--wait=false"], "DELETED"),
    ] {
        if event == "ADDED" {
            // The list comes first, and is empty: what is made now is in it or comes after.
            world.kubectl(&args).await?;
            assert_eq!(words(&lines.next_line().await?.unwrap())[..2], ["EVENT", "NAME"]);
        } else {
            world.kubectl(&args).await?;
        }
        let line = lines.next_line().await?.unwrap();
        assert_eq!(words(&line)[..2], [event, "x"], "{line}");
    }
    Ok(())
}

#[tokio::test]
async fn typed_creates_go_through() -> Result<()> {
    let world = World::new().await?;
    world.kubectl(&["create", "namespace", "shop"]).await?;
    world.kubectl(&["create", "secret", "generic", "s", "--from-literal=p=q", "-n", "shop"]).await?;
    world.kubectl(&["create", "serviceaccount", "robot", "-n", "shop"]).await?;
    world.kubectl(&["create", "deployment", "d", "--image=i", "--replicas=3", "-n", "shop"]).await?;
    world.kubectl(&["rollout", "status", "deployment/d", "-n", "shop", "--timeout=20s"]).await?;
    world.kubectl(&["expose", "deployment", "d", "--port=80", "-n", "shop"]).await?;
    world.kubectl(&["run", "p", "--image=i", "-n", "shop"]).await?;
    let all = world.kubectl(&["get", "all", "-n", "shop", "-o", "name"]).await?;
    assert_eq!(all.lines().count(), 7, "{all}");
    let twice = world.command(&["create", "namespace", "shop"])?.output().await?;
    assert!(text(&twice).contains("already exists"), "{}", text(&twice));
    world.kubectl(&["delete", "namespace", "shop", "--timeout=20s"]).await?;
    assert_eq!(world.kubectl(&["get", "all", "-n", "shop"]).await?, "");
    Ok(())
}

#[tokio::test]
async fn apply_creates_changes_and_differs() -> Result<()> {
    let world = World::new().await?;
    let mut object = deployment("app", "i:1");
    assert_eq!(world.apply(&["apply"], &object).await?, "deployment.apps/app created\n");
    assert_eq!(world.apply(&["apply"], &object).await?, "deployment.apps/app unchanged\n");
    object["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2".into();
    let diff = world.with_input(&["diff", "-f", "-"], &object.to_string()).await?;
    assert!(diff.status.code() == Some(1) && text(&diff).contains("+      - image: i:2"), "{}", text(&diff));
    assert_eq!(
        world.apply(&["apply", "--dry-run=server"], &object).await?,
        "deployment.apps/app configured (server dry run)\n"
    );
    assert_eq!(world.value("deploy/app", ".spec.template.spec.containers[0].image").await?, "i:1");
    assert_eq!(world.apply(&["apply"], &object).await?, "deployment.apps/app configured\n");
    object["spec"]["template"]["spec"]["containers"] = json!([{"name": "other", "image": "j:1"}]);
    world.apply(&["apply"], &object).await?;
    assert_eq!(world.value("deploy/app", ".spec.template.spec.containers[*].name").await?, "other");

    let mut object = deployment("server", "i:1");
    assert_eq!(
        world.apply(&["apply", "--server-side"], &object).await?,
        "deployment.apps/server serverside-applied\n"
    );
    object["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2".into();
    world.apply(&["apply", "--server-side"], &object).await?;
    assert_eq!(world.value("deploy/server", ".spec.template.spec.containers[0].image").await?, "i:2");
    Ok(())
}

#[tokio::test]
async fn misspelt_fields_are_found() -> Result<()> {
    let world = World::new().await?;
    let mut object = deployment("app", "i:1");
    object["spec"]["replics"] = 2.into();
    let output = world.with_input(&["create", "-f", "-"], &object.to_string()).await?;
    assert!(
        !output.status.success() && text(&output).contains(r#"unknown field "spec.replics""#),
        "{}",
        text(&output)
    );
    Ok(())
}

#[tokio::test]
async fn patches_of_three_kinds_and_edits() -> Result<()> {
    let world = World::new().await?;
    let strategic =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"A","value":"1"}]}]}}}}"#;
    world.kubectl(&["patch", "deploy", "web", "-p", strategic]).await?;
    assert_eq!(world.value("deploy/web", ".spec.template.spec.containers[0].image").await?, "nginx:1");
    world.kubectl(&["patch", "deploy", "web", "--type=merge", "-p", r#"{"spec":{"replicas":3}}"#]).await?;
    assert_eq!(world.value("deploy/web", ".status.readyReplicas").await?, "3");
    world
        .kubectl(&[
            "patch",
            "deploy",
            "web",
            "--type=json",
            "-p",
            r#"[{"op":"replace","path":"/spec/replicas","value":1}]"#,
        ])
        .await?;
    assert_eq!(world.value("deploy/web", ".status.readyReplicas").await?, "1");
    world.kubectl(&["annotate", "pod", "alone", "a=b"]).await?;
    world.kubectl(&["set", "image", "deploy/web", "c=nginx:2"]).await?;
    let mut edit = world.command(&["edit", "deploy", "web"])?;
    let edited = edit.env("EDITOR", "sed -i s/nginx:2/nginx:3/").output().await?;
    ensure!(edited.status.success(), "{}", text(&edited));
    assert_eq!(
        world.value("pods", ".items[?(@.metadata.labels.app==\"web\")].spec.containers[0].image").await?,
        "nginx:3"
    );
    Ok(())
}

#[tokio::test]
async fn deployments_scale_roll_and_go_back() -> Result<()> {
    let world = World::new().await?;
    world.kubectl(&["scale", "deploy/web", "--replicas=4"]).await?;
    assert_eq!(world.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]).await?.lines().count(), 4);
    world.kubectl(&["scale", "deploy/web", "--replicas=0"]).await?;
    assert_eq!(world.value("deploy/web", ".spec.replicas").await?, "0");
    world.kubectl(&["scale", "deploy/web", "--current-replicas=0", "--replicas=1"]).await?;
    world.kubectl(&["set", "image", "deploy/web", "c=nginx:2"]).await?;
    world.kubectl(&["rollout", "status", "deploy/web", "--timeout=20s"]).await?;
    world.kubectl(&["rollout", "undo", "deploy/web"]).await?;
    assert_eq!(world.value("deploy/web", ".spec.template.spec.containers[0].image").await?, "nginx:1");
    world.kubectl(&["rollout", "restart", "deploy/web"]).await?;
    let history = world.kubectl(&["rollout", "history", "deploy/web"]).await?;
    assert!(history.contains("\n4 "), "{history}");
    world.kubectl(&["delete", "pods", "--all", "--timeout=20s"]).await?;
    assert_eq!(world.kubectl(&["get", "pods", "-o", "name"]).await?.lines().count(), 1);
    world.kubectl(&["delete", "deploy", "web", "--timeout=20s"]).await?;
    assert_eq!(world.kubectl(&["get", "pods,rs,deploy"]).await?, "");
    Ok(())
}

#[tokio::test]
async fn discovery_and_documentation_are_there() -> Result<()> {
    let world = World::new().await?;
    let resources = world.kubectl(&["api-resources", "-o", "name"]).await?;
    for name in ["pods", "deployments.apps", "selfsubjectreviews.authentication.k8s.io"] {
        assert!(resources.lines().any(|line| line == name), "{resources}");
    }
    let versions = world.kubectl(&["api-versions"]).await?;
    assert!(versions.lines().any(|line| line == "apps/v1"), "{versions}");
    let explained = world.kubectl(&["explain", "pods.spec"]).await?;
    assert!(
        explained.contains("KIND:       Pod") && explained.contains("containers\t<[]Container>"),
        "{explained}"
    );
    let explained = world.kubectl(&["explain", "deploy.spec.template.spec.volumes.configMap.items"]).await?;
    assert!(explained.contains("<[]KeyToPath>"), "{explained}");
    assert!(world.kubectl(&["version"]).await?.contains("simulated"));
    assert_eq!(world.kubectl(&["get", "--raw", "/readyz"]).await?, "ok");
    Ok(())
}

#[tokio::test]
async fn whoami_shows_whom_the_member_sees() -> Result<()> {
    let world = World::new().await?;
    let own = world.kubectl(&["auth", "whoami"]).await?;
    assert!(own.contains("ann") && own.contains("[dev system:authenticated]"), "{own}");
    let other = world.kubectl(&["auth", "whoami", "--as=eve", "--as-group=ops"]).await?;
    assert!(other.contains("eve") && other.contains("[ops system:authenticated]"), "{other}");
    assert_eq!(world.kubectl(&["auth", "can-i", "delete", "pods"]).await?, "yes\n");
    let last = world.member.requests();
    let reviews = last.iter().filter(|request| request.target.ends_with("/selfsubjectreviews"));
    let users: Vec<&str> = reviews.map(|request| request.user.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(users, ["ann", "eve"]);
    let identity = world.member.client_certificate("bob", None)?;
    std::fs::write(
        world.home.path().join("kubeconfig"),
        world.member.kubeconfig_with_certificate(&identity),
    )?;
    assert!(world.kubectl(&["auth", "whoami"]).await?.contains("bob"));
    Ok(())
}

#[tokio::test]
async fn logs_are_followed() -> Result<()> {
    let world = World::new().await?;
    let log = world.kubectl(&["logs", "alone", "--tail=2"]).await?;
    assert_eq!(log.lines().count(), 2, "{log}");
    let mut child = world.command(&["logs", "alone", "--follow", "--tail=1"])?.spawn()?;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (first, second) = (lines.next_line().await?.unwrap(), lines.next_line().await?.unwrap());
    assert!(first.starts_with("alone/c: line ") && second != first, "{first} {second}");
    world.kubectl(&["delete", "pod", "alone", "--timeout=20s"]).await?;
    while lines.next_line().await?.is_some() {}
    assert!(child.wait().await?.success());
    Ok(())
}

#[tokio::test]
async fn exec_and_attach_reach_the_shell() -> Result<()> {
    let world = World::new().await?;
    let script = ["exec", "alone", "--", "sh", "-c", "echo out; echo err >&2; exit 3"];
    let output = world.command(&script)?.output().await?;
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"out\n"[..]));
    assert!(output.stderr.starts_with(b"err\n"), "{}", text(&output));
    let input = "line\n".repeat(20_000);
    let output = world.with_input(&["exec", "-i", "alone", "--", "cat"], &input).await?;
    assert!(output.status.success() && output.stdout == input.as_bytes(), "{} bytes", output.stdout.len());
    assert_eq!(world.kubectl(&["exec", "alone", "--", "printenv", "COLOUR"]).await?, "red\n");
    let output = world.with_input(&["exec", "-i", "alone", "--", "sh"], "hostname\nexit 4\n").await?;
    assert_eq!((output.status.code(), &*output.stdout), (Some(4), &b"alone\n"[..]));
    let output = world.with_input(&["attach", "-i", "alone"], "typed\n").await?;
    assert_eq!(output.stdout, b"typed\n", "{}", text(&output));
    assert_eq!(world.kubectl(&["exec", "deploy/web", "--", "seq", "100000"]).await?.lines().count(), 100_000);
    Ok(())
}

#[tokio::test]
async fn sessions_end_when_they_are_cut_and_with_the_member() -> Result<()> {
    let world = World::new().await?;
    let command = ["exec", "alone", "--", "sh", "-c", "echo up; sleep 100000"];
    let mut children = Vec::new();
    for _ in 0..2 {
        let mut child = world.command(&command)?.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next_line().await?.unwrap(), "up");
        children.push((child, lines));
        if children.len() == 1 {
            world.member.faults().disconnect();
            assert!(!children[0].0.wait().await?.success());
        }
    }
    world.member.stop().await;
    assert!(!children[1].0.wait().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_done_is_said() -> Result<()> {
    let world = World::new().await?;
    let output = world.command(&["port-forward", "alone", ":80"])?.output().await?;
    assert!(!output.status.success() && text(&output).contains("forwards no ports"), "{}", text(&output));
    let output = world.command(&["exec", "nobody", "--", "true"])?.output().await?;
    assert!(text(&output).contains(r#"pods "nobody" not found"#), "{}", text(&output));
    let mut spdy = world.command(&["exec", "alone", "--", "true"])?;
    let output = spdy.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false").output().await?;
    assert!(text(&output).contains("WebSocket only"), "{}", text(&output));
    Ok(())
}

#[tokio::test]
async fn describe_tells_the_whole_story() -> Result<()> {
    let world = World::new().await?;
    let pod = world.kubectl(&["describe", "pod", "alone"]).await?;
    for part in [
        "Node:             member1-node/127.0.0.1",
        "COLOUR:  red",
        "Successfully assigned default/alone",
        "Status:           Running",
    ] {
        assert!(pod.contains(part), "{part} in {pod}");
    }
    let deployment = world.kubectl(&["describe", "deploy", "web"]).await?;
    assert!(deployment.contains("2 desired | 2 updated | 2 total | 2 available"), "{deployment}");
    world.kubectl(&["describe", "nodes,ns,svc"]).await?;
    Ok(())
}
