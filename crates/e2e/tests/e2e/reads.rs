//! The commands that only look, and kubeconfigs: against a real hub with real members.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::cli;
use e2e::kubectl::Kubectl;
use e2e::running::Output;
use e2e::{Access, registration, scratch};
use serde_json::{Value, json};

use crate::world::{allow_proxy, planes, world};

fn admin() -> Result<&'static Access> {
    Ok(world()?.hub.admin())
}

fn json_of(output: Output) -> Result<Value> {
    let text = output.success()?;
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// A file with the standard output of a command that must succeed.
fn written(folder: &Path, name: &str, output: Output) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, output.success()?).context("write a kubeconfig")?;
    Ok(path)
}

fn kubectl(kubeconfig: &Path, args: &[&str]) -> Result<String> {
    Kubectl::new(kubeconfig, args).run()?.success()
}

/// What tells one control plane from another.
fn uid_of(access: &Access) -> Result<String> {
    access.kubectl(["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]).run()?.success()
}

fn uid_in(kubeconfig: &Path, way: &[&str]) -> Result<String> {
    kubectl(
        kubeconfig,
        &[way, &["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]].concat(),
    )
}

#[test]
fn list_shows_the_hub_and_its_clusters_in_every_form() -> Result<()> {
    let table = cli::of(admin()?, &["list"])?.success()?;
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    ensure!(rows[0].starts_with(&["NAME", "ALIAS", "TYPE", "ENDPOINT"]), "{table}");
    ensure!(rows[1][..2] == ["local", "Internal"], "{table}");
    ensure!(rows.iter().any(|row| row[0] == "member1" && row[1] == "X509Certificate"), "{table}");
    ensure!(!table.contains('\x1b'), "no colours in a pipe: {table:?}");

    let clusters = json_of(cli::of(admin()?, &["list", "-o", "json"])?)?;
    let clusters = clusters.as_array().context("a list")?;
    let named = |name: &str| clusters.iter().find(|cluster| cluster["name"] == name).context("a cluster");
    ensure!(named("member2")?["credentialType"] == "ServiceAccountToken", "{clusters:?}");
    ensure!(named("member2")?["credentialNotAfter"].is_string(), "the token's end is known: {clusters:?}");
    ensure!(named("local")?["health"] == "Healthy", "{clusters:?}");

    let names = cli::of(admin()?, &["list", "-o", "name"])?.success()?;
    ensure!(names.starts_with("local\n") && names.contains("\nmember1\n"), "{names}");
    let yaml = cli::of(admin()?, &["list", "-o", "yaml"])?.success()?;
    ensure!(yaml.contains("name: member1"), "{yaml}");
    ensure!(cli::of(admin()?, &["list", "-l", "nobody=has-this", "-o", "name"])?.success()?.is_empty());
    let hub = cli::of(admin()?, &["list", "-l", "cluster.core.oam.dev/control-plane=true", "-o", "name"])?;
    ensure!(hub.success()? == "local\n");
    Ok(())
}

/// A hub on which there is no gateway.
#[test]
fn without_a_gateway_list_reads_the_secrets_and_says_so() -> Result<()> {
    const NAMESPACE: &str = "clusters-of-nobody";
    let hub = planes()?.member2.admin();
    hub.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))?;
    let mut secret = registration::secret("lonely", &planes()?.member1.user("lonely", &[])?)?;
    secret["metadata"]["namespace"] = NAMESPACE.into();
    secret["metadata"]["labels"]["tier"] = "test".into();
    registration::put_secret_as(hub, "lonely", &secret)?;
    let foreign = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "foreign", "namespace": NAMESPACE}, "stringData": {"token": "x"}});
    registration::put_secret_as(hub, "foreign", &foreign)?;
    let args = ["list", "--secret-namespace", NAMESPACE, "-o", "json"];
    let output = cli::of(hub, &args)?;
    ensure!(output.stderr.contains("so this is read from the Secrets"), "{output}");
    let clusters = json_of(output)?;
    ensure!(clusters.as_array().is_some_and(|list| list.len() == 1), "{clusters}");
    ensure!(
        clusters[0]["name"] == "lonely" && clusters[0]["labels"] == json!({"tier": "test"}),
        "{clusters}"
    );
    ensure!(
        clusters[0]["health"] == "Unknown" && clusters[0]["credentialNotAfter"].is_string(),
        "{clusters}"
    );
    let none = cli::of(hub, &["list", "--secret-namespace", NAMESPACE, "-l", "tier!=test"])?.success()?;
    ensure!(none == "There is no such cluster.\n", "{none}");
    Ok(())
}

#[test]
fn probe_asks_through_the_gateway_and_ends_with_1_if_one_is_not_ready() -> Result<()> {
    let probes = json_of(cli::of(admin()?, &["probe", "member1", "member2", "local", "-o", "json"])?)?;
    for probe in probes.as_array().context("a list")? {
        ensure!(
            probe["ready"] == true && probe["version"].as_str().is_some_and(|v| v.starts_with('v')),
            "{probes}"
        );
        ensure!(probe["latencyMicroseconds"].as_u64().is_some_and(|time| time > 0), "{probes}");
    }
    let output = cli::of(admin()?, &["probe", "member1", "nosuch"])?;
    ensure!(output.code == Some(1), "{output}");
    ensure!(output.stdout.contains("no such cluster nosuch"), "{output}");
    ensure!(
        output.stdout.lines().any(|line| line.starts_with("member1") && line.contains("yes")),
        "{output}"
    );
    Ok(())
}

#[test]
fn an_exported_config_leads_through_the_hub_to_each_cluster() -> Result<()> {
    let folder = scratch::directory("export")?;
    let output = cli::of(admin()?, &["export-config"])?;
    ensure!(output.stderr.contains("member1"), "{output}");
    let file = written(folder.path(), "config", output)?;
    let (first, second) = (uid_of(planes()?.member1.admin())?, uid_of(planes()?.member2.admin())?);
    ensure!(uid_in(&file, &["--context", "member1"])? == first);
    ensure!(uid_in(&file, &["--cluster", "member2"])? == second, "as vela's users do it");
    ensure!(uid_in(&file, &[])? == uid_of(admin()?)?, "the current context is the hub");
    let none = cli::of(admin()?, &["export-config", "-l", "nobody=has-this"])?.failure()?;
    ensure!(none.contains("there is no such cluster"), "{none}");
    Ok(())
}

/// Somebody of the hub, by a service account's token, who may list the clusters and go to each.
fn account(name: &str) -> Result<Access> {
    let hub = &world()?.hub;
    let account = hub.service_account("default", name, "system:basic-user")?;
    let rbac = "rbac.authorization.k8s.io";
    let subject = json!({"kind": "ServiceAccount", "namespace": "default", "name": name});
    let role = format!("look-{name}");
    hub.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": role}, "rules": [
            {"apiGroups": [registration::GROUP], "resources": ["*"], "verbs": ["get", "list"]},
            {"apiGroups": ["apiregistration.k8s.io"], "resources": ["apiservices"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]},
        ]},
        {"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role}, "subjects": [subject]},
    ]}))?;
    allow_proxy(hub, &account, name, &subject, &["get"])?;
    Ok(account)
}

#[test]
fn a_direct_kubeconfig_goes_to_the_gateway_with_token_and_with_certificate() -> Result<()> {
    let folder = scratch::directory("direct")?;
    let port = world()?.gateway.port();
    let unsaid = cli::of(admin()?, &["kubeconfig", "--direct"])?.failure()?;
    let remedy = "kubectl -n vela-system annotate service cluster-gateway cluster.core.oam.dev/external-address=https://";
    ensure!(unsaid.contains(remedy), "{unsaid}");
    let wrong = cli::of(admin()?, &["kubeconfig", "--direct", "--server", admin()?.server()])?.failure()?;
    ensure!(wrong.contains("not with a certificate of the gateway"), "the hub's own address: {wrong}");
    let nobody =
        cli::of(admin()?, &["kubeconfig", "--direct", "--server", "https://127.0.0.1:1"])?.failure()?;
    ensure!(nobody.contains("cannot connect to 127.0.0.1:1"), "{nobody}");
    let misplaced = cli::of(admin()?, &["kubeconfig", "--server", "https://x"])?.failure()?;
    ensure!(misplaced.contains("--direct"), "{misplaced}");

    let expected = uid_of(planes()?.member1.admin())?;
    let server = format!("https://127.0.0.1:{port}");
    let output = cli::of(admin()?, &["kubeconfig", "--direct", "--server", &server])?;
    ensure!(output.stderr.contains("the hub's audit log has only"), "{output}");
    let by_certificate = written(folder.path(), "certificate", output)?;
    ensure!(uid_in(&by_certificate, &["--context", "member1"])? == expected);
    ensure!(uid_in(&by_certificate, &["--context", "local"])? == uid_of(admin()?)?, "local stays the hub");

    let address = format!("cluster.core.oam.dev/external-address=https://localhost:{port}");
    let annotate = |value: &str| {
        let service = ["-n", registration::NAMESPACE, "annotate", "service", registration::SERVICE, value];
        admin()?.kubectl(service).run()?.success()
    };
    annotate(&address)?;
    let output = cli::of(&account("direct-reader")?, &["kubeconfig", "--direct"])?;
    annotate("cluster.core.oam.dev/external-address-")?;
    let by_token = written(folder.path(), "token", output)?;
    ensure!(fs::read_to_string(&by_token)?.contains(&format!("https://localhost:{port}/apis/")));
    ensure!(uid_in(&by_token, &["--context", "member1"])? == expected);
    let seen = world()?.gateway.audit_events()?;
    let direct = |event: &Value| event["user"]["username"] == "system:serviceaccount:default:direct-reader";
    ensure!(seen.iter().any(direct), "the gateway's audit log has the request");
    Ok(())
}

#[test]
fn a_kubeconfig_through_the_hub_is_a_file_for_its_owner() -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = scratch::directory("kubeconfig")?;
    let file = folder.path().join("config");
    let path = file.to_str().context("a path in UTF-8")?;
    let who = account("hub-reader")?;
    let output = cli::of(&who, &["kubeconfig", "-o", path])?;
    ensure!(output.stderr.contains("Requests go through the hub"), "{output}");
    output.success()?;
    ensure!(fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600);
    ensure!(uid_in(&file, &["--context", "member2"])? == uid_of(planes()?.member2.admin())?);
    let again = cli::of(&who, &["kubeconfig", "-o", path])?.failure()?;
    ensure!(again.contains("is there already; add --overwrite"), "{again}");
    cli::of(&who, &["kubeconfig", "-o", path, "--overwrite"])?.success().map(drop)
}

#[test]
fn kubectl_runs_it_as_its_plugin() -> Result<()> {
    let folder = scratch::directory("plugin")?;
    let kubeconfig = admin()?.kubeconfig();
    let kubeconfig = kubeconfig.to_str().context("a path in UTF-8")?;
    let args = ["cluster-gateway", "list", "-o", "name", "--kubeconfig", kubeconfig];
    let names = cli::as_plugin(folder.path(), &args)?.success()?;
    ensure!(names.contains("member1\n"), "{names}");
    let help = cli::as_plugin(folder.path(), &["cluster-gateway", "probe", "--help"])?.success()?;
    ensure!(help.contains("Usage: kubectl cluster-gateway probe"), "{help}");
    let completed = cli::as_plugin(folder.path(), &["__complete", "cluster-gateway", "exp"])?.success()?;
    ensure!(completed.contains("export-config\t"), "{completed}");
    Ok(())
}

#[test]
fn the_versions_of_hub_and_gateway_are_told_apart() -> Result<()> {
    let output = cli::of(admin()?, &["version", "--server"])?;
    ensure!(output.stdout.contains("\nhub v1."), "{output}");
    let gateway = world()?.gateway.access(admin()?.credential().clone())?;
    let own = cli::of(&gateway, &["version", "--server"])?.success()?;
    ensure!(own.contains(&format!("\ngateway v{}\n", env!("CARGO_PKG_VERSION"))), "{own}");
    Ok(())
}

/// What stands in a standalone server's directory, without the server.
#[test]
fn a_directory_of_clusters_can_be_listed_and_probed() -> Result<()> {
    let folder = scratch::directory("directory")?;
    let directory = folder.path().to_str().context("a path in UTF-8")?;
    let member = planes()?.member1.user("directory", &["system:masters"])?;
    fs::write(folder.path().join("member.json"), registration::secret("by-file", &member)?.to_string())?;
    let mut broken = registration::secret("broken", &member)?;
    broken["stringData"]["endpoint"] = "no url".into();
    fs::write(folder.path().join("broken.json"), broken.to_string())?;
    let clusters = json_of(cli::run(["list", "--clusters-dir", directory, "-o", "json"])?)?;
    ensure!(clusters[0]["name"] == "broken" && clusters[0]["health"] == "Unhealthy", "{clusters}");
    ensure!(clusters[1]["name"] == "by-file" && clusters[1]["health"] == "Unknown", "{clusters}");
    let probed = json_of(cli::run(["probe", "by-file", "--clusters-dir", directory, "-o", "json"])?)?;
    ensure!(probed[0]["ready"] == true && probed[0]["version"].is_string(), "{probed}");
    let all = cli::run(["probe", "--all", "--clusters-dir", directory])?;
    ensure!(all.code == Some(1), "one of them cannot be reached: {all}");
    let missing = cli::run(["probe", "nosuch", "--clusters-dir", directory])?;
    ensure!(missing.code == Some(1) && missing.stdout.contains("there is no such cluster"), "{missing}");
    Ok(())
}

/// The numbers in docs/direct.md: `cargo test -p e2e --test e2e -- --ignored --nocapture hub_and_direct`.
#[test]
#[ignore = "it measures, and proves nothing"]
fn hub_and_direct_side_by_side() -> Result<()> {
    const REQUESTS: usize = 400;
    let hub = world()?.through("member1")?;
    let direct = world()?.direct("member1", admin()?)?;
    let member = planes()?.member1.admin().clone();
    for in_flight in [1, 16] {
        for (way, access) in [("hub", &hub), ("direct", &direct), ("member", &member)] {
            let mut times = Vec::new();
            for _ in 0..3 {
                let path = format!("/api/v1/namespaces/default?n=[1-{REQUESTS}]");
                let parallel = in_flight.to_string();
                // One connection, as kubectl and client-go use it.
                let line = ["--no-globoff", "--write-out", "\n%{time_total} %{num_connects}\n"];
                let curl = access.request("GET", &path).args(line);
                let curl =
                    if in_flight > 1 { curl.args(["--parallel", "--parallel-max", &parallel]) } else { curl };
                times.extend(seconds(&curl.spawn()?.finish(Duration::from_secs(120))?.success()?));
            }
            times.sort_by(f64::total_cmp);
            let at = |share: f64| {
                times.get((times.len() as f64 * share) as usize).map_or(0.0, |time| time * 1000.0)
            };
            eprintln!("{way} {in_flight}: n={} p50 {:.2} ms, p90 {:.2} ms", times.len(), at(0.5), at(0.9));
        }
    }
    Ok(())
}

/// The times of requests that made no connection.
fn seconds(output: &str) -> Vec<f64> {
    let lines = output.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(_, connects)| *connects == "0").filter_map(|(time, _)| time.parse().ok()).collect()
}
