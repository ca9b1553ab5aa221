//! `cluster-gateway doctor` at a real hub and with real members, from here and from the gateway.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::running::{Output, Running};
use e2e::{Access, Credential, Standalone, binaries, process, registration, wait};
use serde_json::{Value, json};

use crate::world::{planes, world};

const TIMEOUT: Duration = Duration::from_secs(120);

/// A gateway lets few clusters be diagnosed at once.
fn in_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn doctor(flags: &[&str]) -> Result<Output> {
    let mut command = process::command(binaries::gateway()?);
    command.arg("doctor").args(flags);
    Running::start(command)?.finish(TIMEOUT)
}

/// What the hub's administrator, or somebody else, sees.
fn at_hub(who: &Access, flags: &[&str]) -> Result<Output> {
    let kubeconfig = who.kubeconfig();
    let kubeconfig = text(&kubeconfig)?;
    doctor(&[&["--kubeconfig", kubeconfig, "--secret-namespace", registration::NAMESPACE], flags].concat())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// The report of a doctor who ended with `code`.
fn report(output: &Output, code: i32) -> Result<Value> {
    ensure!(output.code == Some(code), "{output}");
    serde_json::from_str(&output.stdout).with_context(|| output.to_string())
}

/// What was found at one hop from one place.
fn found(report: &Value, place: &str, hop: &str) -> Result<(String, String)> {
    let findings =
        report[place]["findings"].as_array().with_context(|| format!("nothing from {place}: {report}"))?;
    let finding = findings.iter().find(|finding| finding["hop"] == hop).context("a finding per hop")?;
    let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    Ok((word("outcome"), format!("{} | {}", word("found"), word("remedy"))))
}

/// Registers a cluster until the end of a test, and waits until the gateway knows it.
struct Registered(&'static str);

impl Registered {
    fn new(name: &'static str, member: &Access, change: impl Fn(&mut Value)) -> Result<Self> {
        let mut secret = registration::secret(name, member)?;
        change(&mut secret);
        let world = world()?;
        registration::put_secret(world.hub, name, &secret)?;
        let registered = Self(name);
        let path = format!("{}/clustergateways/{name}", registration::BASE);
        wait::eventually("the gateway to know a cluster", Duration::from_secs(20), || {
            world.hub.admin().request("GET", &path).send()?.expect(200).map(Some)
        })?;
        Ok(registered)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Ok(planes) = planes() {
            let _ = registration::remove_member(&planes.hub, self.0);
        }
    }
}

#[test]
fn a_good_cluster_is_well_from_both_places() -> Result<()> {
    let _turn = in_turn();
    let world = world()?;
    for cluster in ["member1", "member2"] {
        let report = report(&at_hub(world.hub.admin(), &[cluster, "-o", "json"])?, 0)?;
        for place in ["here", "gateway"] {
            for hop in
                ["Secret", "Parse", "Dns", "Connect", "Tls", "Authentication", "Authorization", "Version"]
            {
                let (outcome, what) = found(&report, place, hop)?;
                ensure!(
                    outcome == "Passed" || outcome == "Warned",
                    "{cluster} {place} {hop}: {outcome} {what}"
                );
            }
            let (outcome, what) = found(&report, place, "Upgrade")?;
            ensure!(outcome == "Passed" && what.contains("agrees to a WebSocket"), "{what}");
        }
    }
    let who = report(&at_hub(world.hub.admin(), &["member2", "-o", "json", "--from=gateway"])?, 0)?;
    ensure!(who["here"].is_null(), "{who}");
    let (_, what) = found(&who, "gateway", "Authentication")?;
    ensure!(what.contains(crate::world::MEMBER2_USER), "{what}");
    let text = at_hub(world.hub.admin(), &["member1"])?.success()?;
    ensure!(text.starts_with("Cluster member1\n") && text.contains("Requests come through."), "{text}");
    Ok(())
}

#[test]
fn a_broken_secret_a_dead_member_and_an_expired_token_are_told_apart() -> Result<()> {
    let _turn = in_turn();
    let world = world()?;
    let admin = world.hub.admin();
    world.member2.admin().apply(&json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "doctor-reader"},
        "rules": [{"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": ["get", "list", "watch"]}],
    }))?;
    let member = world.member2.service_account("kube-system", "doctor", "doctor-reader")?;

    let _broken = Registered::new("doctor-broken", &member, |secret| {
        secret["stringData"]["endpoint"] = "ftp://somewhere".into();
    })?;
    let broken = report(&at_hub(admin, &["doctor-broken", "-o", "json"])?, 12)?;
    let _dead = Registered::new("doctor-dead", &member, |secret| {
        secret["stringData"]["endpoint"] = "https://127.0.0.1:1".into();
    })?;
    let dead = report(&at_hub(admin, &["doctor-dead", "-o", "json"])?, 14)?;
    let over =
        format!("{0}.{1}.{0}", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("{\"exp\":1000000000}"));
    let _over = Registered::new("doctor-over", &member, |secret| {
        secret["stringData"]["token"] = over.as_str().into();
    })?;
    let expired = report(&at_hub(admin, &["doctor-over", "-o", "json"])?, 17)?;
    for place in ["here", "gateway"] {
        let (outcome, what) = found(&broken, place, "Parse")?;
        ensure!(outcome == "Failed" && what.contains("endpoint"), "{what}");
        let (outcome, what) = found(&dead, place, "Connect")?;
        ensure!(outcome == "Failed" && what.contains("connection refused"), "{what}");
        let (outcome, what) = found(&expired, place, "Authentication")?;
        ensure!(outcome == "Failed" && what.contains("the token has expired"), "{what}");
        ensure!(!expired.to_string().contains(&over), "the token stands nowhere");
    }
    let _limited = Registered::new("doctor-limited", &member, |_| {})?;
    let limited = report(&at_hub(admin, &["doctor-limited", "-o", "json"])?, 0)?;
    let (outcome, what) = found(&limited, "gateway", "Authorization")?;
    ensure!(outcome == "Warned" && what.contains("resources: [\"pods/exec\"]"), "{what}");

    // All together: the exit code is that of the first hop on the way.
    let all = at_hub(admin, &["-o", "json", "--from=gateway"])?;
    ensure!(all.code == Some(12), "{all}");
    let all: Value = serde_json::from_str(&all.stdout)?;
    for subject in ["Hub", "Secrets", "APIService", "Service", "Certificate", "Gateway", "Rights"] {
        let checks = all["hub"].as_array().context("checks of the hub")?;
        let check = checks.iter().find(|check| check["subject"] == subject);
        ensure!(check.is_some_and(|check| check["outcome"] == "Passed"), "{subject}: {check:?}");
    }
    let names = at_hub(admin, &["-o", "name", "--from=here"])?.stdout;
    ensure!(names.lines().any(|name| name == "doctor-dead") && !names.contains("member1\n"), "{names}");
    Ok(())
}

#[test]
fn who_may_not_ask_the_gateway_is_told_so_and_who_may_read_no_secret_asks_it() -> Result<()> {
    let _turn = in_turn();
    let world = world()?;
    let user = world.user("doctor-of-nothing", &["get"])?;
    let output = at_hub(&user, &["member1", "-o", "json"])?;
    let refused = report(&output, 10)?;
    let error = refused["gateway"]["error"].as_str().unwrap_or_default();
    ensure!(error.contains("clustergateways/diagnosis"), "{refused}");
    let direct = world.gateway.access(Credential::Anonymous)?;
    let path = format!("{}/clustergateways/member1/diagnosis", registration::BASE);
    ensure!([401, 403].contains(&direct.request("GET", &path).send()?.code), "nobody may ask");
    Ok(())
}

#[test]
fn a_hub_that_is_not_there_is_exit_code_10_and_nothing_to_ask_is_1() -> Result<()> {
    let away = world()?.hub.admin().at("https://127.0.0.1:1")?;
    let output = at_hub(&away, &["-o", "json"])?;
    let hub = report(&output, 10)?;
    ensure!(hub["hub"][0]["outcome"] == "Failed", "{hub}");
    let output = doctor(&["--kubeconfig", "/nowhere/at/all", "member1"])?;
    ensure!(output.code == Some(1) && output.stderr.contains("/nowhere/at/all"), "{output}");
    let output = doctor(&["--from", "nowhere"])?;
    ensure!(output.code == Some(2), "{output}");
    Ok(())
}

#[test]
fn a_standalone_server_is_asked_with_its_own_kubeconfig() -> Result<()> {
    let mut server = Standalone::new()?;
    let member = planes()?.member1.user("doctor-without-hub", &["system:masters"])?;
    server.write("clusters/m.json", &registration::secret("m", &member)?.to_string())?;
    server.start()?;
    let kubeconfig = server.write_kubeconfig("doctor.kubeconfig", &[])?;
    let clusters = server.path("clusters");
    let here = ["m", "-o", "json", "--clusters-dir", text(&clusters)?];
    let alone = report(&doctor(&here)?, 0)?;
    ensure!(alone["gateway"].is_null(), "{alone}");
    let both = report(&doctor(&[&here[..], &["--gateway-kubeconfig", text(&kubeconfig)?]].concat())?, 0)?;
    for place in ["here", "gateway"] {
        let (outcome, what) = found(&both, place, "Authentication")?;
        ensure!(outcome != "Failed" && what.contains("doctor-without-hub"), "{what}");
    }
    let missing = report(&doctor(&["nobody", "-o", "json", "--clusters-dir", text(&clusters)?])?, 11)?;
    let (_, what) = found(&missing, "here", "Secret")?;
    ensure!(what.contains("nobody.yaml"), "{what}");
    Ok(())
}
