//! The manifests of `deploy/` on a real API server: they are taken as the README applies them, and they give the gateway
//! the rights that it needs and no other.

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
        "create secrets --namespace cluster-gateway-system",
        "get secrets/cluster-gateway-certificate --namespace cluster-gateway-system",
        "update secrets/cluster-gateway-certificate --namespace cluster-gateway-system",
        "create leases.coordination.k8s.io --namespace cluster-gateway-system",
        "get leases.coordination.k8s.io/cluster-gateway-certificate --namespace cluster-gateway-system",
        "update leases.coordination.k8s.io/cluster-gateway-certificate --namespace cluster-gateway-system",
        "get leases.coordination.k8s.io/cluster-gateway-health --namespace cluster-gateway-system",
        "update leases.coordination.k8s.io/cluster-gateway-health --namespace cluster-gateway-system",
        "get leases.coordination.k8s.io/cluster-gateway-credentials --namespace cluster-gateway-system",
        "update leases.coordination.k8s.io/cluster-gateway-credentials --namespace cluster-gateway-system",
        "create events --namespace cluster-gateway-clusters",
        "get apiservices.apiregistration.k8s.io/v1alpha1.cluster.core.oam.dev",
        "patch apiservices.apiregistration.k8s.io/v1alpha1.cluster.core.oam.dev",
        "create tokenreviews.authentication.k8s.io",
        "create subjectaccessreviews.authorization.k8s.io",
        "get configmaps/extension-apiserver-authentication --namespace kube-system",
        "watch configmaps/extension-apiserver-authentication --namespace kube-system",
    ] {
        ensure!(may(hub.admin(), needed)?, "the gateway needs to {needed}");
    }
    for refused in [
        "get secrets --namespace cluster-gateway-system",
        "get secrets/another --namespace cluster-gateway-system",
        "list secrets --namespace cluster-gateway-system",
        "delete secrets/cluster-gateway-certificate --namespace cluster-gateway-system",
        "get leases.coordination.k8s.io --namespace kube-system",
        "update leases.coordination.k8s.io/another --namespace cluster-gateway-system",
        "get apiservices.apiregistration.k8s.io/v1.apps",
        "patch apiservices.apiregistration.k8s.io/v1.apps",
        "create apiservices.apiregistration.k8s.io",
        "delete apiservices.apiregistration.k8s.io/v1alpha1.cluster.core.oam.dev",
        "get secrets --namespace kube-system",
        "list secrets --all-namespaces",
        "patch secrets --namespace cluster-gateway-system",
        "patch secrets --namespace kube-system",
        "create secrets --namespace cluster-gateway-clusters",
        "update secrets --namespace cluster-gateway-clusters",
        "delete secrets --namespace cluster-gateway-clusters",
        "list events --namespace cluster-gateway-clusters",
        "create events --namespace cluster-gateway-system",
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
fn management_has_the_least_rights_that_work() -> Result<()> {
    const MANAGEMENT: &str = "system:serviceaccount:cluster-gateway-system:cluster-gateway-manage";
    let hub = ControlPlane::start("deploy-manage")?;
    install(hub.admin())?;
    apply(hub.admin(), "manage.yaml")?;
    for needed in [
        "list secrets --namespace cluster-gateway-clusters",
        "watch secrets --namespace cluster-gateway-clusters",
        "impersonate users/alice",
        "impersonate groups/platform",
        "impersonate serviceaccounts --all-namespaces",
        "create tokenreviews.authentication.k8s.io",
        "create subjectaccessreviews.authorization.k8s.io",
        "get configmaps/extension-apiserver-authentication --namespace kube-system",
        "create secrets --namespace cluster-gateway-system",
        "get secrets/cluster-gateway-session-key --namespace cluster-gateway-system",
        "update configmaps --namespace cluster-gateway-system",
    ] {
        ensure!(can(hub.admin(), MANAGEMENT, needed)?, "management needs to {needed}");
    }
    for part in ["uids", "userextras/authentication.kubernetes.io/credential-id"] {
        ensure!(impersonates(hub.admin(), MANAGEMENT, part)?, "management needs to impersonate {part}");
    }
    for refused in [
        "create secrets --namespace cluster-gateway-clusters",
        "update secrets --namespace cluster-gateway-clusters",
        "delete secrets --namespace cluster-gateway-clusters",
        "get secrets/cluster-gateway-certificate --namespace cluster-gateway-system",
        "list secrets --namespace cluster-gateway-system",
        "patch apiservices.apiregistration.k8s.io/v1alpha1.cluster.core.oam.dev",
        "get clustergateways.cluster.core.oam.dev --subresource proxy",
        "get secrets --namespace kube-system",
    ] {
        ensure!(!can(hub.admin(), MANAGEMENT, refused)?, "management has no use for {refused}");
    }
    ensure!(!may(hub.admin(), "impersonate users/alice")?, "the gateway itself has no such right");
    Ok(())
}

#[test]
fn nothing_that_is_shipped_lets_the_hub_skip_verifying() -> Result<()> {
    for entry in std::fs::read_dir(deploy())? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        ensure!(!text.contains("insecureSkipTLSVerify"), "{}", path.display());
    }
    Ok(())
}

/// What deploy/README.md says, with its own commands.
fn install(admin: &Access) -> Result<()> {
    for file in ["cluster-gateway.yaml", "example-member.yaml", "example-roles.yaml"] {
        apply(admin, file)?;
    }
    Ok(())
}

fn apply(admin: &Access, file: &str) -> Result<()> {
    // Strictly: a field that the API server does not know is a mistake.
    let applied = admin.kubectl(["apply", "--validate=strict", "-f", "-"]).stdin(&read(file)?).run()?;
    // What the namespace's pod security would not let run, and what is out of date.
    ensure!(!applied.stderr.contains("Warning"), "{applied}");
    applied.success()?;
    Ok(())
}

fn may(admin: &Access, question: &str) -> Result<bool> {
    can(admin, GATEWAY, question)
}

fn can(admin: &Access, who: &str, question: &str) -> Result<bool> {
    let words = ["auth", "can-i", "--as", who].into_iter().chain(question.split(' '));
    let answer = admin.kubectl(words).run()?;
    match answer.stdout.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => anyhow::bail!("{answer}"),
    }
}

/// Asks about parts of identities, which are no resources that kubectl knows.
fn impersonates(admin: &Access, who: &str, part: &str) -> Result<bool> {
    let (resource, subresource) = part.split_once('/').unwrap_or((part, ""));
    let review = serde_json::json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": {
            "verb": "impersonate", "group": "authentication.k8s.io", "version": "v1",
            "resource": resource, "subresource": subresource,
        }},
    });
    let asked = admin.kubectl(["create", "-f", "-", "-o", "jsonpath={.status.allowed}"]);
    Ok(asked.stdin(&review.to_string()).run()?.success()?.trim() == "true")
}

fn read(file: &str) -> Result<String> {
    let path = deploy().join(file);
    std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

fn deploy() -> std::path::PathBuf {
    scratch::workspace().join("deploy")
}
