//! The manifests of `deploy/` on a real API server: they are taken as the README applies them, and they give the gateway
//! the rights that it needs and no other.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Access, ControlPlane, scratch};

const GATEWAY: &str = "system:serviceaccount:cluster-gateway-system:cluster-gateway";

#[test]
fn rule_100_the_manifests_apply_and_grant_the_least_rights_that_work() -> Result<()> {
    let hub = ControlPlane::start("deploy")?;
    install(hub.admin())?;

    for needed in [
        "get secrets --namespace cluster-gateway-clusters",
        "list secrets --namespace cluster-gateway-clusters",
        "watch secrets --namespace cluster-gateway-clusters",
        "patch secrets --namespace cluster-gateway-clusters",
        "create tokenreviews.authentication.k8s.io",
        "create subjectaccessreviews.authorization.k8s.io",
        "get configmaps/extension-apiserver-authentication --namespace kube-system",
        "watch configmaps/extension-apiserver-authentication --namespace kube-system",
    ] {
        ensure!(may(hub.admin(), needed)?, "the gateway needs to {needed}");
    }
    for refused in [
        "get secrets --namespace cluster-gateway-system",
        "get secrets --namespace kube-system",
        "list secrets --all-namespaces",
        "patch secrets --namespace cluster-gateway-system",
        "patch secrets --namespace kube-system",
        "create secrets --namespace cluster-gateway-clusters",
        "update secrets --namespace cluster-gateway-clusters",
        "delete secrets --namespace cluster-gateway-clusters",
        "get configmaps/anything-else --namespace kube-system",
        "impersonate users",
        "create pods --namespace cluster-gateway-system",
        "get clustergateways.cluster.core.oam.dev --subresource proxy",
    ] {
        ensure!(!may(hub.admin(), refused)?, "the gateway has no use for {refused}");
    }
    Ok(())
}

#[test]
fn a_certificate_is_made_for_the_name_that_the_aggregator_asks_for() -> Result<()> {
    let directory = scratch::directory("certificate")?;
    let folder = make_certificate(directory.path())?;
    for (name, good) in [("cluster-gateway.cluster-gateway-system.svc", true), ("other.example.com", false)] {
        let mut command = Command::new("openssl");
        command.args(["verify", "-purpose", "sslserver", "-verify_hostname", name, "-CAfile"]);
        let verified =
            command.arg(folder.join("ca.crt")).arg(folder.join("tls.crt")).output().context("openssl")?;
        ensure!(verified.status.success() == good, "{name}: {verified:?}");
    }
    let files = std::fs::read_dir(&folder)?.count();
    ensure!(files == 3, "the CA's key is thrown away, but there are {files} files");
    Ok(())
}

/// What deploy/README.md says, with its own commands.
fn install(admin: &Access) -> Result<()> {
    let directory = scratch::directory("certificate")?;
    let folder = make_certificate(directory.path())?;
    let manifest = read("cluster-gateway.yaml")?;
    let refused = admin.kubectl(["apply", "-f", "-"]).stdin(&manifest).run()?.failure()?;
    let names_it = refused.contains("APIService") && refused.contains("base64");
    ensure!(names_it, "without its CA the APIService is not what is refused: {refused}");

    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    let secret = [
        "create".into(),
        "secret".into(),
        "tls".into(),
        "cluster-gateway-tls".into(),
        "--namespace=cluster-gateway-system".into(),
        format!("--cert={}", certificate.display()),
        format!("--key={}", key.display()),
    ];
    admin.kubectl(secret).run()?.success()?;
    let encoded =
        Command::new("base64").arg("--wrap=0").arg(folder.join("ca.crt")).output().context("base64")?;
    let manifest = manifest.replace("CA_BUNDLE", std::str::from_utf8(&encoded.stdout)?);
    for text in [manifest, read("example-member.yaml")?, read("example-roles.yaml")?] {
        // Strictly: a field that the API server does not know is a mistake.
        let applied = admin.kubectl(["apply", "--validate=strict", "-f", "-"]).stdin(&text).run()?;
        // What the namespace's pod security would not let run, and what is out of date.
        ensure!(!applied.stderr.contains("Warning"), "{applied}");
        applied.success()?;
    }
    Ok(())
}

fn make_certificate(directory: &Path) -> Result<std::path::PathBuf> {
    let folder = directory.join("certificate");
    let made = Command::new(deploy().join("make-certificate.sh"))
        .arg(&folder)
        .output()
        .context("make-certificate.sh")?;
    ensure!(made.status.success(), "{made:?}");
    Ok(folder)
}

fn may(admin: &Access, question: &str) -> Result<bool> {
    let words = ["auth", "can-i", "--as", GATEWAY].into_iter().chain(question.split(' '));
    let answer = admin.kubectl(words).run()?;
    match answer.stdout.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => anyhow::bail!("{answer}"),
    }
}

fn read(file: &str) -> Result<String> {
    let path = deploy().join(file);
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

fn deploy() -> std::path::PathBuf {
    scratch::workspace().join("deploy")
}
