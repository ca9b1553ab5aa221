//! Who did what, as the gateway writes it down, for requests that come through a real hub.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wait;
use serde_json::{Value, json};

use crate::pods::{self, Upgrade};
use crate::world::{config_map_path, world};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The events that `wanted` picks, once there are `count` of them.
fn events(count: usize, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    wait::eventually("audit events", TIMEOUT, || {
        let events: Vec<_> = world()?.gateway.audit_events()?.into_iter().filter(&wanted).collect();
        Ok((events.len() >= count).then_some(events))
    })
}

#[test]
fn rule_115_rule_136_the_gateways_events_carry_the_id_that_the_hub_answers_with() -> Result<()> {
    let user = world()?.user("audited", &["get"])?;
    let request = user.through("member1")?.request("GET", &config_map_path(""));
    let answer = request.args(["--include"]).send()?.expect(200)?.to_lowercase();
    let ids: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("audit-id: ")).collect();
    // The hub's aggregator says its own and passes ours on.
    let [id, ours] = ids.as_slice() else { anyhow::bail!("{} audit ids in {answer}", ids.len()) };
    ensure!(id == ours, "the hub answers with {id}, the gateway with {ours}");
    let events = events(2, |event| event["auditID"] == *id)?;
    let stages: Vec<_> = events.iter().map(|event| &event["stage"]).collect();
    ensure!(stages == [&json!("RequestReceived"), &json!("ResponseComplete")], "{events:?}");
    let event = &events[1];
    ensure!(event["user"]["username"] == "audited" && event["responseStatus"]["code"] == 200, "{event}");
    let object = &event["objectRef"];
    ensure!(object["resource"] == "clustergateways" && object["subresource"] == "proxy", "{event}");
    let annotations = &event["annotations"];
    ensure!(annotations["cluster.core.oam.dev/cluster"] == "member1", "{event}");
    ensure!(annotations["cluster.core.oam.dev/proxied-resource"] == "configmaps", "{event}");
    ensure!(annotations["authorization.k8s.io/decision"] == "allow", "{event}");
    let reason = annotations["authorization.k8s.io/reason"].as_str().unwrap_or_default();
    ensure!(reason.starts_with("RBAC: allowed by ClusterRoleBinding"), "the hub's own reason: {event}");
    Ok(())
}

#[test]
fn rule_136_rule_137_an_exec_is_told_of_when_it_starts_and_when_it_ends_but_not_what_it_runs() -> Result<()> {
    let access = world()?.user("audited-exec", &["get", "create"])?.through("member1")?;
    for upgrade in [Upgrade::WebSocket, Upgrade::Spdy] {
        pods::exec_reports(&access, upgrade)?;
    }
    let of_exec = |event: &Value| {
        event["user"]["username"] == "audited-exec"
            && event["annotations"]["cluster.core.oam.dev/proxied-resource"] == "pods/exec"
    };
    let mut by_id = BTreeMap::<String, Vec<String>>::new();
    for event in events(6, of_exec)? {
        let uri = event["requestURI"].as_str().context("no URI")?;
        ensure!(uri.contains("command=REDACTED") && !uri.contains("echo"), "{uri}");
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        by_id.entry(text("auditID")).or_default().push(text("stage"));
        if event["stage"] != "RequestReceived" {
            ensure!(event["responseStatus"]["code"] == 101, "{event}");
        }
    }
    ensure!(by_id.len() == 2, "{by_id:?}");
    for stages in by_id.values() {
        ensure!(*stages == ["RequestReceived", "ResponseStarted", "ResponseComplete"], "{stages:?}");
    }
    Ok(())
}
