//! Watches of the gateway's own resources, as the stock kubectl makes them through the hub.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::registration::{NAMESPACE, add_member, put_secret, remove_member, secret};
use e2e::{Gateway, wait};
use serde_json::json;

use crate::world::world;

const LIMIT: Duration = Duration::from_secs(30);
const CG: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

#[test]
fn rule_230_rule_231_kubectl_sees_clusters_come_change_and_go() -> Result<()> {
    let hub = world()?.hub;
    let member = world()?.member1.admin();
    let all = hub.admin().kubectl(["get", "clustergateways", "-w", "--output-watch-events"]).spawn()?;
    let labelled = hub.admin().kubectl(["get", "cgw", "-w", "-l", "watched=yes", "-o", "name"]).spawn()?;
    let virtuals = hub.admin().kubectl(["get", "virtualclusters", "-w"]).spawn()?;
    all.wait_for("member1", LIMIT)?;
    virtuals.wait_for("local", LIMIT)?;
    add_member(hub, "watched", member)?;
    all.wait_until("ADDED", LIMIT, |text| events(text, "watched") == ["ADDED"])?;
    virtuals.wait_for("watched", LIMIT)?;

    // A label makes it selected, and its end not.
    let mut changed = secret("watched", member)?;
    changed["metadata"]["labels"]["watched"] = json!("yes");
    put_secret(hub, "watched", &changed)?;
    labelled.wait_for("clustergateway.cluster.core.oam.dev/watched", LIMIT)?;
    all.wait_until("MODIFIED", LIMIT, |text| events(text, "watched") == ["ADDED", "MODIFIED"])?;
    remove_member(hub, "watched")?;
    let text =
        all.wait_until("DELETED", LIMIT, |text| events(text, "watched") == ["ADDED", "MODIFIED", "DELETED"])?;
    let heading = text.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    ensure!(
        heading
            == ["EVENT", "NAME", "PROVIDER", "CREDENTIAL-TYPE", "ENDPOINT-TYPE", "HEALTHY", "REASON", "AGE"],
        "{text}"
    );
    ensure!(text.matches("CREDENTIAL-TYPE").count() == 1, "the columns are named once: {text}");
    for running in [all, labelled, virtuals] {
        running.interrupt()?;
    }
    Ok(())
}

/// Types of the events about a cluster.
fn events<'t>(text: &'t str, cluster: &str) -> Vec<&'t str> {
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.get(1) == Some(&cluster)).filter_map(|row| row.first().copied()).collect()
}

#[test]
fn rule_230_kubectl_waits_for_a_field_and_for_a_deletion() -> Result<()> {
    let hub = world()?.hub;
    // A replica that shows recorded health; it is asked directly.
    let mut gateway =
        Gateway::launch(&crate::world::planes()?.gateway_user, &["--feature-gates=HealthinessCheck=true"])?;
    gateway.wait_ready(LIMIT)?;
    let direct = gateway.access(hub.admin().credential().clone())?;
    add_member(hub, "recovering", world()?.member1.admin())?;
    let there = direct.request("GET", &format!("{CG}/recovering"));
    wait::eventually("the cluster", LIMIT, || Ok((there.clone().send()?.code == 200).then_some(())))?;
    let waits = |args: &[&str]| {
        let args = ["wait", "clustergateway/recovering", "--timeout=60s"].iter().chain(args).copied();
        direct.kubectl(args.collect::<Vec<_>>()).spawn()
    };
    let healthy = waits(&["--for=jsonpath={.status.healthy}=true"])?;
    let annotation = "status.cluster.core.oam.dev/healthy=true";
    let annotate = ["annotate", "secret", "recovering", "-n", NAMESPACE, "--overwrite", annotation];
    hub.admin().kubectl(annotate).run()?.success()?;
    healthy.wait_for("condition met", LIMIT)?;
    healthy.finish(LIMIT)?.success()?;

    let deleted = waits(&["--for=delete"])?;
    remove_member(hub, "recovering")?;
    deleted.finish(LIMIT)?.success()?;
    Ok(())
}

#[test]
fn rule_203_rule_228_kubectl_reads_wide_tables_in_pages_and_by_category() -> Result<()> {
    let hub = world()?.hub.admin();
    let wide = hub.kubectl(["get", "clustergateways", "-o", "wide", "--chunk-size=1"]).run()?.success()?;
    let heading = wide.lines().next().unwrap_or_default();
    for column in ["ENDPOINT", "CREDENTIAL-EXPIRY", "LAST-PROBE", "LATENCY"] {
        ensure!(heading.split_whitespace().any(|word| word == column), "{wide}");
    }
    ensure!(wide.contains("member1") && wide.contains("member2"), "{wide}");
    let both = hub.kubectl(["get", "cluster-gateway", "-o", "name", "--chunk-size=1"]).run()?.success()?;
    for name in ["clustergateway.cluster.core.oam.dev/member1", "virtualcluster.cluster.core.oam.dev/local"] {
        ensure!(both.lines().any(|line| line == name), "{both}");
    }
    Ok(())
}
