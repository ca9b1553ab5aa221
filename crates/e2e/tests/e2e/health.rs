//! Health, recorded through the real hub.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::registration::{self, BASE, GROUP, NAMESPACE};
use e2e::{Access, Gateway, wait};
use serde_json::{Value, json};

use crate::world::{planes, world};

const HEALTHY: &str = "status.cluster.core.oam.dev/healthy";
const REASON: &str = "status.cluster.core.oam.dev/healthy-reason";

fn health(cluster: &str) -> String {
    format!("{BASE}/clustergateways/{cluster}/health")
}

fn object(cluster: &str, healthy: bool, reason: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "ClusterGateway", "metadata": {"name": cluster},
        "status": {"healthy": healthy, "healthyReason": reason},
    })
}

fn secret(admin: &Access, name: &str) -> Result<Value> {
    admin.request("GET", &format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}")).send()?.json(200)
}

/// A cluster of its own, so that others' clusters stay as they are.
fn add_cluster(name: &str) -> Result<()> {
    let world = world()?;
    registration::add_member(world.hub, name, world.member2.admin())?;
    let through = world.through(name)?;
    wait::eventually(name, Duration::from_secs(20), || {
        Ok((through.request("GET", "/healthz").send()?.code == 200).then_some(()))
    })
}

#[test]
fn rule_232_rule_233_kubectl_records_health_and_conflicts_are_noticed() -> Result<()> {
    add_cluster("probed")?;
    let admin = world()?.hub.admin();
    let before = secret(admin, "probed")?;
    let replace = ["replace", "--raw", &health("probed"), "-f", "-"];
    let text = admin.kubectl(replace).stdin(&object("probed", true, "Fine").to_string()).run()?.success()?;
    let answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    ensure!(answer["status"]["healthy"] == true && answer["status"]["healthyReason"] == "Fine", "{answer}");

    let after = secret(admin, "probed")?;
    ensure!(
        after["data"] == before["data"] && after["metadata"]["labels"] == before["metadata"]["labels"],
        "{after}"
    );
    let annotations = &after["metadata"]["annotations"];
    ensure!(annotations[HEALTHY] == "true" && annotations[REASON] == "Fine", "{annotations}");
    let managers = after["metadata"]["managedFields"].as_array().context("managed fields")?.clone();
    ensure!(managers.iter().any(|entry| entry["manager"] == "cluster-gateway"), "{managers:?}");

    // A version that is no longer there.
    let stale = json!({"metadata": {"resourceVersion": before["metadata"]["resourceVersion"]}, "status": {"healthy": false}});
    let patch = |content_type: &str, body: &Value, query: &str| {
        let path = format!("{}{query}", health("probed"));
        admin.request("PATCH", &path).body(content_type, &body.to_string()).send()
    };
    let merge = "application/merge-patch+json";
    let message = patch(merge, &stale, "")?.status_message(409)?;
    ensure!(message.contains("the object has been modified"), "{message}");
    patch(merge, &json!({"status": {"healthyReason": "NotYet"}}), "?dryRun=All")?.expect(200)?;
    ensure!(secret(admin, "probed")?["metadata"]["annotations"][REASON] == "Fine");
    let operations = json!([
        {"op": "test", "path": "/status/healthy", "value": true},
        {"op": "replace", "path": "/status/healthy", "value": false},
    ]);
    let patched = patch("application/json-patch+json", &operations, "")?.json(200)?;
    ensure!(patched["status"] == json!({"healthy": false, "healthyReason": "Fine"}), "{patched}");
    let strategic = patch("application/strategic-merge-patch+json", &json!({}), "")?.status_message(415)?;
    ensure!(strategic.contains("application/merge-patch+json"), "{strategic}");
    Ok(())
}

#[test]
fn rule_234_health_is_written_by_who_may_and_to_clusters_only() -> Result<()> {
    add_cluster("guarded")?;
    let hub = world()?.hub;
    let rbac = "rbac.authorization.k8s.io";
    let prober = hub.user("prober", &[])?;
    hub.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": "prober"},
            "rules": [{"apiGroups": [GROUP], "resources": ["clustergateways/health"], "verbs": ["update"]}],
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "prober"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "prober"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "prober"}],
        },
        // A Secret that is no cluster.
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "private", "namespace": NAMESPACE}},
    ]}))?;
    let put = |name: &str| prober.request("PUT", &health(name)).json(&object(name, true, "")).send();
    wait::eventually("the right to count", Duration::from_secs(30), || {
        Ok((put("guarded")?.code == 200).then_some(()))
    })?;
    prober
        .request("PATCH", &health("guarded"))
        .body("application/merge-patch+json", "{}")
        .send()?
        .expect(403)?;
    for name in ["private", "nosuch"] {
        let message = put(name)?.status_message(404)?;
        ensure!(message == format!("clustergateways.{GROUP} \"{name}\" not found"), "{message}");
    }
    ensure!(
        secret(hub.admin(), "private")?["metadata"]
            .get("annotations")
            .is_none_or(|all| all.get(HEALTHY).is_none())
    );
    Ok(())
}

#[test]
fn rule_211_the_gate_shows_recorded_health() -> Result<()> {
    add_cluster("shown")?;
    let mut gateway = Gateway::launch(&planes()?.gateway_user, &["--feature-gates=HealthinessCheck=true"])?;
    gateway.wait_ready(Duration::from_secs(30))?;
    let access = gateway.access(world()?.hub.admin().credential().clone())?;
    access.request("PUT", &health("shown")).json(&object("shown", true, "Fine")).send()?.expect(200)?;
    wait::eventually("health in the list", Duration::from_secs(10), || {
        let table = access.kubectl(["get", "clustergateways", "shown", "--no-headers"]).run()?.success()?;
        Ok(table.split_whitespace().any(|word| word == "true").then_some(()))
    })?;
    let without =
        world()?.hub.admin().kubectl(["get", "clustergateways", "shown", "--no-headers"]).run()?.success()?;
    ensure!(without.split_whitespace().any(|word| word == "false"), "{without}");
    Ok(())
}
