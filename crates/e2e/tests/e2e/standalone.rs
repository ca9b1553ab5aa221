//! Without a hub: clusters, users and rights from files, with a real API server as the member.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use e2e::kubectl::Kubectl;
use e2e::{Access, Standalone, registration, wait};
use serde_json::json;

use crate::pods::{self, Upgrade};
use crate::world::{config_map, config_map_path, planes, whoami};

const SOON: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(20);
/// The cluster that stands in a Secret manifest.
const BY_SECRET: &str = "by-secret";
/// The cluster that stands in a kubeconfig, named by its context.
const BY_KUBECONFIG: &str = "e2e";
const MEMBER_USER: &str = "gateway-without-hub";

/// What `bob` may do: read in one cluster.
const BOB: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- apiGroups: [cluster.core.oam.dev]
  resources: [clustergateways/proxy]
  resourceNames: [by-secret]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bob-reads}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: bob}]
";

/// The member as a Secret manifest.
fn manifest(name: &str) -> Result<String> {
    let user = planes()?.member1.user(MEMBER_USER, &["system:masters"])?;
    Ok(registration::secret(name, &user)?.to_string())
}

/// The member's own kubeconfig, made fit as the gateway says that it must be.
fn flattened() -> Result<String> {
    let kubeconfig = planes()?.member1.admin().kubeconfig();
    Kubectl::new(&kubeconfig, ["config", "view", "--flatten", "--raw"]).run()?.success()
}

/// A server with the same member twice.
fn started() -> Result<Standalone> {
    let mut server = Standalone::new()?;
    server.write("clusters/member.json", &manifest(BY_SECRET)?)?;
    server.write("clusters/config", &flattened()?)?;
    server.write("rbac/bob.yaml", BOB)?;
    server.start()?;
    Ok(server)
}

/// The one that most scenarios share.
fn shared() -> Result<&'static Standalone> {
    static SHARED: LazyLock<Result<Standalone>> = LazyLock::new(started);
    SHARED.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// The administrator in a context of the kubeconfig that the gateway has written.
fn admin(context: &str) -> Result<Access> {
    static ADMIN: LazyLock<Result<std::path::PathBuf>> =
        LazyLock::new(|| shared()?.write_kubeconfig("admin.kubeconfig", &[]));
    let kubeconfig = ADMIN.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    Access::of_context(kubeconfig, context)
}

#[test]
fn kubectl_creates_reads_watches_and_deletes_in_every_context() -> Result<()> {
    let member = planes()?.member1.admin();
    for context in [BY_SECRET, BY_KUBECONFIG] {
        let name = format!("standalone-{context}");
        let cluster = admin(context)?;
        let watch = cluster.kubectl(["get", "configmaps", "--watch", "-o", "name"]).spawn()?;
        for value in ["one", "two"] {
            let object = config_map(&name, &json!({"key": value})).to_string();
            cluster.kubectl(["apply", "-f", "-"]).stdin(&object).run()?.success()?;
            let seen = member.request("GET", &config_map_path(&name)).send()?.json(200)?;
            ensure!(seen["data"]["key"] == value, "{seen}");
        }
        watch.wait_for(&format!("configmap/{name}\n"), TIMEOUT)?;
        let text = cluster.kubectl(["get", "configmap", &name, "-o", "jsonpath={.data.key}"]);
        ensure!(text.clone().run()?.success()? == "two", "{text:?}");
        cluster.kubectl(["delete", "configmap", &name]).run()?.success()?;
        member.request("GET", &config_map_path(&name)).send()?.expect(404)?;
    }
    Ok(())
}

#[test]
fn rule_162_the_member_sees_the_credential_of_the_file() -> Result<()> {
    ensure!(whoami(&admin(BY_SECRET)?)? == MEMBER_USER);
    ensure!(whoami(&admin(BY_KUBECONFIG)?)? == "admin");
    Ok(())
}

#[test]
fn rule_182_rule_184_exec_without_a_hub() -> Result<()> {
    let cluster = admin(BY_SECRET)?;
    pods::exec_reports(&cluster, Upgrade::WebSocket)?;
    pods::exec_reports(&cluster, Upgrade::Spdy)?;
    pods::exec_pipes(&cluster, Upgrade::WebSocket)?;
    pods::exec_reports(&admin(BY_KUBECONFIG)?, Upgrade::WebSocket)
}

#[test]
fn rule_173_rule_184_logs_and_port_forward_without_a_hub() -> Result<()> {
    let cluster = admin(BY_SECRET)?;
    pods::logs_follow(&cluster)?;
    pods::port_forward_carries(&cluster, Upgrade::WebSocket)?;
    pods::port_forward_carries(&cluster, Upgrade::Spdy)
}

#[test]
fn the_servers_own_context_lists_the_clusters() -> Result<()> {
    let own = admin("cluster-gateway")?;
    let text = own.kubectl(["get", "clustergateways", "-o", "name"]).run()?.success()?;
    for cluster in [BY_SECRET, BY_KUBECONFIG] {
        ensure!(text.contains(&format!("clustergateway.cluster.core.oam.dev/{cluster}\n")), "{text}");
    }
    let current = Kubectl::new(&shared()?.path("admin.kubeconfig"), ["config", "current-context"]);
    ensure!(current.run()?.success()? == "by-secret\n", "the first cluster is the current context");
    Ok(())
}

#[test]
fn rule_096_another_user_has_the_rights_of_the_manifests_and_no_more() -> Result<()> {
    let flags = ["--user", "bob", "--group", "team", "--ttl", "1h"];
    let kubeconfig = shared()?.write_kubeconfig("bob.kubeconfig", &flags)?;
    let bob = Access::of_context(&kubeconfig, BY_SECRET)?;
    bob.kubectl(["get", "configmaps"]).run()?.success()?;
    for refused in [&["create", "configmap", "bobs"][..], &["exec", e2e::pods::POD, "--", "true"]] {
        let text = bob.kubectl(refused).run()?.failure()?;
        ensure!(text.to_lowercase().contains("forbidden"), "{text}");
    }
    planes()?.member1.admin().request("GET", &config_map_path("bobs")).send()?.expect(404)?;

    let elsewhere = Access::of_context(&kubeconfig, BY_KUBECONFIG)?;
    let text = elsewhere.kubectl(["get", "configmaps"]).run()?.failure()?;
    ensure!(text.to_lowercase().contains("forbidden"), "{text}");
    let message = elsewhere.request("GET", "/api").send()?.status_message(403)?;
    ensure!(message.contains(r#""e2e" is forbidden: User "bob" cannot get"#), "{message}");
    let nobody = bob.with(e2e::Credential::Anonymous)?;
    let message = nobody.request("GET", "/api").send()?.status_message(401)?;
    ensure!(message.contains("`cluster-gateway kubeconfig`"), "{message}");
    Ok(())
}

#[test]
fn a_file_that_is_added_while_it_runs_is_a_cluster_soon() -> Result<()> {
    let mut server = Standalone::new()?;
    server.start()?;
    ensure!(server.log().contains("there is no cluster"), "an empty directory is said:\n{}", server.log());
    let kubeconfig = server.write_kubeconfig("kubeconfig", &[])?;
    let added = Access::of_context(&kubeconfig, "cluster-gateway")?.through("added")?;
    let message = added.request("GET", "/healthz").send()?.status_message(500)?;
    ensure!(message == "no such cluster added", "{message}");

    let (manifest, begun) = (manifest("added")?, Instant::now());
    server.write("clusters/added.json", &manifest)?;
    wait::eventually("the new cluster", SOON, || {
        added.request("GET", "/healthz").send()?.expect(200).map(Some)
    })?;
    eprintln!("first 200 of a new file's cluster after {:.0?}", begun.elapsed());
    server.write_kubeconfig("kubeconfig", &["--overwrite"])?;
    let args = ["--context", "added", "get", "namespace", "default", "-o", "name"];
    let text = Kubectl::new(&kubeconfig, args).run()?.success()?;
    ensure!(text == "namespace/default\n", "{text}");
    server.stop()
}

#[test]
fn rule_178_a_kubeconfig_that_names_files_is_listed_with_the_remedy() -> Result<()> {
    let mut server = Standalone::new()?;
    let admins = fs::read_to_string(planes()?.member1.admin().kubeconfig())?;
    server.write("clusters/admin.conf", &admins)?;
    server.start()?;
    let kubeconfig = server.write_kubeconfig("kubeconfig", &[])?;
    let own = Access::of_context(&kubeconfig, "cluster-gateway")?;
    let args = ["get", "clustergateway", "e2e", "-o", "jsonpath={.status.healthyReason}"];
    let reason = own.kubectl(args).run()?.success()?;
    ensure!(reason.contains("kubectl config view --flatten --raw"), "{reason:?}");
    let cluster = Access::of_context(&kubeconfig, "e2e")?;
    let message = cluster.request("GET", "/api").send()?.status_message(503)?;
    ensure!(message.contains("kubectl config view --flatten --raw"), "{message}");
    Ok(())
}

#[test]
fn rule_131_a_stop_is_clean_while_a_watch_runs() -> Result<()> {
    let mut server = started()?;
    let cluster = Access::of_context(&server.write_kubeconfig("kubeconfig", &[])?, BY_SECRET)?;
    let watch = cluster.kubectl(["get", "namespaces", "-w", "-o", "name"]).spawn()?;
    watch.wait_for("namespace/default", TIMEOUT)?;
    let begun = Instant::now();
    server.stop()?;
    eprintln!("stopped in {:.1?}", begun.elapsed());
    ensure!(std::net::TcpStream::connect(("127.0.0.1", server.port())).is_err(), "the port is still open");
    watch.finish(TIMEOUT)?;
    Ok(())
}

#[test]
fn what_keeps_it_from_starting_is_said_and_ends_it() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = format!("--secure-port={}", taken.local_addr()?.port());
    let missing = "--cluster-gateway-proxy-config=/nowhere";
    for (flag, code, expected) in
        [(port.as_str(), 1, "is the port taken"), (missing, 2, "--cluster-gateway-proxy-config: cannot read")]
    {
        let mut server = Standalone::new()?;
        let status = server.launch(&[flag])?.process().wait(TIMEOUT)?;
        ensure!(status.code() == Some(code), "{flag}: {status}\n{}", server.log());
        ensure!(server.log().contains(expected), "{flag}:\n{}", server.log());
    }
    Ok(())
}

#[test]
fn a_kubeconfig_is_for_its_owner_and_replaces_nothing_unasked() -> Result<()> {
    let server = Standalone::new()?;
    let path = server.write_kubeconfig("mine", &[])?;
    ensure!(fs::metadata(&path)?.permissions().mode() & 0o777 == 0o600, "others can read the key");
    let written = fs::read_to_string(&path)?;
    let output = path.to_str().context("a path in UTF-8")?;
    let text = server.kubeconfig(&["--output", output])?.failure()?;
    ensure!(text.contains("is there already; add --overwrite"), "{text}");
    ensure!(fs::read_to_string(&path)? == written, "it was replaced");
    let shown = server.kubeconfig(&[])?.success()?;
    ensure!(shown.contains("client-key-data"), "without --output it goes to standard output: {shown}");
    for (flags, expected) in [
        (&["--user", ""][..], "user"),
        (&["--group", "g"], "--user"),
        (&["--ttl", "0s"], "not be valid at all"),
        (&["--certificate-authority", "/nowhere"], "cannot read /nowhere"),
    ] {
        let text = server.kubeconfig(flags)?.failure()?;
        ensure!(text.contains(expected), "{flags:?}: {text}");
    }
    Ok(())
}

/// As docs/limits.md shows it.
#[test]
fn rule_126_a_cluster_whose_places_are_taken_answers_429_until_one_is_free() -> Result<()> {
    let mut server = Standalone::new()?;
    server.write("clusters/member.json", &manifest(BY_SECRET)?)?;
    server.write("rbac/bob.yaml", BOB)?;
    server.start_with(&["--max-proxied-requests-per-cluster=1"])?;
    let kubeconfig = server.write_kubeconfig("bob.kubeconfig", &["--user", "bob"])?;
    let bob = Access::of_context(&kubeconfig, BY_SECRET)?;
    let watch = bob.kubectl(["get", "configmaps", "--all-namespaces", "--watch", "--output=name"]).spawn()?;
    watch.wait_for("configmap/", TIMEOUT)?;
    // The list comes first, and then the watch.
    let message = wait::eventually("a refusal", SOON, || {
        bob.request("GET", "/api/v1/namespaces").send()?.status_message(429).map(Some)
    })?;
    ensure!(message.contains("--max-proxied-requests-per-cluster"), "{message}");
    let admin = Access::of_context(&server.write_kubeconfig("admin.kubeconfig", &[])?, BY_SECRET)?;
    admin.kubectl(["get", "namespaces"]).run()?.success()?;
    watch.interrupt()?;
    wait::eventually("a free place", SOON, || {
        bob.request("GET", "/api/v1/namespaces").send()?.expect(200).map(Some)
    })?;
    server.stop()
}
