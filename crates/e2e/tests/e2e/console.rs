//! The console in a real browser, at a real hub, with a real member: as `deploy/manage.yaml` runs it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::running::Running;
use e2e::switch::{Position, Switch};
use e2e::{Access, ControlPlane, Credential, binaries, process, scratch, wait};

use tempfile::TempDir;

use crate::world::planes;

const NAME: &str = "berlin";
const CLUSTERS: &str = "cluster-gateway-clusters";
const SYSTEM: &str = "cluster-gateway-system";
const STEP: Duration = Duration::from_secs(90);
const WHOLE: Duration = Duration::from_secs(240);

/// A hub with what `deploy/` installs, and a process of management that has the rights of its service account.
struct Managed {
    hub: ControlPlane,
    url: String,
    running: Running,
    _files: TempDir,
}

impl Managed {
    fn start() -> Result<Self> {
        let hub = ControlPlane::start("console")?;
        for file in ["cluster-gateway.yaml", "manage.yaml"] {
            let path = scratch::workspace().join("deploy").join(file);
            let manifest =
                std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            hub.admin().kubectl(["apply", "-f", "-"]).stdin(&manifest).run()?.success()?;
        }
        let token = ["create", "token", "cluster-gateway-manage", "--namespace", SYSTEM];
        let token = hub.admin().kubectl(token).run()?.success()?;
        let account = hub.admin().with(Credential::Token(token.trim().to_owned()))?;
        let port = scratch::free_port()?;
        // Outside of a cluster it would look for the Secret with the keys among the clusters, where it may write nothing.
        let files = scratch::directory("manage")?;
        let keys = files.path().join("session-keys");
        std::fs::write(&keys, BASE64.encode([7; 32]))?;
        let mut command = manage(&account, port)?;
        command.arg("--session-key-file").arg(&keys);
        let running = Running::start(command)?;
        let url = format!("http://127.0.0.1:{port}");
        let managed = Self { hub, url, running, _files: files };
        let asked = format!("{}/readyz", managed.url);
        wait::eventually("management to be ready", STEP, || {
            let answer = Running::start(curl(&asked))?.finish(STEP)?;
            ensure!(answer.stdout == "ok", "{answer}\n{}", managed.running.stdout());
            Ok(Some(()))
        })?;
        Ok(managed)
    }
}

fn manage(account: &Access, port: u16) -> Result<std::process::Command> {
    let mut command = process::command(binaries::gateway()?);
    command.args(["manage", "--manage-http", "--health-probe-interval=1s"]);
    command.arg(format!("--bind-address=127.0.0.1:{port}"));
    command.arg("--kubeconfig").arg(account.kubeconfig());
    command.args([
        &format!("--secret-namespace={CLUSTERS}"),
        &format!("--datastore-database={SYSTEM}"),
        "--manage-name=hub.example.com",
    ]);
    Ok(command)
}

fn curl(url: &str) -> std::process::Command {
    let mut command = process::command("curl");
    command.args(["-sS", "--max-time", "10", url]);
    command
}

/// A kubeconfig as people have it: everything in one file.
fn kubeconfig(member: &Access) -> Result<String> {
    member.kubectl(["config", "view", "--raw", "--flatten", "-o", "yaml"]).run()?.success()
}

#[test]
fn a_cluster_lives_its_whole_life_in_a_real_browser() -> Result<()> {
    let managed = Managed::start()?;
    let member = &planes()?.member1;
    let way = Switch::start(member.admin().server().trim_start_matches("https://"))?;
    let member = member.admin().at(&format!("https://{}", way.address()))?;
    let user = managed.hub.service_account("default", "console-user", "cluster-admin")?;
    let Credential::Token(token) = user.credential() else { anyhow::bail!("a token") };
    let files = scratch::directory("console")?;
    let file = files.path().join("member.kubeconfig");
    std::fs::write(&file, kubeconfig(&member)?)?;

    let mut command = process::command("node");
    command.arg(scratch::workspace().join("console/test/real/life.js")).args([managed.url.as_str(), NAME]);
    command.env("CONSOLE_TOKEN", token).env("CONSOLE_KUBECONFIG", &file);
    let mut browser = Running::start(command)?;
    for (what, position) in [("break", Position::Off), ("repair", Position::On)] {
        let asked = browser.wait_for(&format!("please {what}\n"), STEP);
        // Not the error itself: it shows the environment of the browser, and so the token.
        ensure!(asked.is_ok(), "{}\nmanagement said: {}", browser.stderr(), managed.running.stderr());
        way.turn(position);
        browser.write(&format!("done {what}\n"))?;
    }
    let seen = browser.finish(WHOLE)?.success()?;
    for page in ["login", "empty", "plan", "joined", "cluster", "broken", "doctor", "fleet", "detach"] {
        ensure!(seen.lines().any(|line| line == format!("seen {page}")), "{page} in {seen}");
    }
    ensure!(seen.ends_with("the whole life\n"), "{seen}");
    let left =
        managed.hub.admin().kubectl(["get", "secrets", "--namespace", CLUSTERS, "-o", "name"]).run()?;
    ensure!(left.success()?.is_empty(), "the cluster's Secret is left");
    let log = managed.running.stderr();
    ensure!(!log.contains(token) && !log.contains("client-key-data"), "a credential in the log: {log}");
    Ok(())
}
