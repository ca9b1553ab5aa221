//! A member whose API server is killed and comes back, under two replicas of the gateway.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::registration::{self, BASE, NAMESPACE};
use e2e::{Access, ControlPlane, Gateway, wait};
use serde_json::Value;

use crate::world::planes;

const CLUSTER: &str = "mortal";
const FLAGS: [&str; 2] = ["--feature-gates=HealthinessCheck=true", "--health-probe-interval=2s"];
/// What counts as found within seconds, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(30);

fn secret(admin: &Access) -> Result<Value> {
    admin.request("GET", &format!("/api/v1/namespaces/{NAMESPACE}/secrets/{CLUSTER}")).send()?.json(200)
}

fn annotation(secret: &Value, key: &str) -> String {
    let value = &secret["metadata"]["annotations"][format!("status.cluster.core.oam.dev/{key}")];
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn rule_126_rule_177_rule_211_a_killed_member_is_found_refused_recorded_and_found_again() -> Result<()> {
    let mut member = ControlPlane::start(CLUSTER)?;
    let planes = planes()?;
    let hub = &planes.hub;
    registration::add_member(hub, CLUSTER, member.admin())?;
    let mut replicas =
        [Gateway::launch(&planes.gateway_user, &FLAGS)?, Gateway::launch(&planes.gateway_user, &FLAGS)?];
    replicas.iter_mut().try_for_each(|replica| replica.wait_ready(SOON))?;
    let ways = replicas
        .iter()
        .map(|replica| replica.access(hub.admin().credential().clone()))
        .collect::<Result<Vec<_>>>()?;
    let healthy = |wanted: &str| {
        wait::eventually(&format!("healthy to be recorded as {wanted}"), SOON, || {
            let secret = secret(hub.admin())?;
            Ok((annotation(&secret, "healthy") == wanted).then_some(secret))
        })
    };
    let first = healthy("true")?;
    ensure!(annotation(&first, "latency").ends_with("ms"), "{}", first["metadata"]);
    let path = format!("{BASE}/clustergateways/{CLUSTER}/proxy/api/v1/namespaces");
    for way in &ways {
        way.request("GET", &path).send()?.expect(200)?;
    }

    member.kill_apiserver()?;
    let sick = healthy("false")?;
    ensure!(annotation(&sick, "healthy-reason").contains("dial tcp 127.0.0.1:"), "{}", sick["metadata"]);
    for way in &ways {
        let message = wait::eventually("the breaker to answer", SOON, || {
            let answer = way.request("GET", &path).send()?;
            Ok((answer.code == 503).then_some(answer))
        })?
        .status_message(503)?;
        ensure!(message.contains("cluster mortal:") && message.contains("dial tcp 127.0.0.1:"), "{message}");
        let shown = way.request("GET", &format!("{BASE}/clustergateways/{CLUSTER}")).send()?.json(200)?;
        ensure!(shown["status"]["healthy"] == false, "{shown}");
    }

    member.start_apiserver()?;
    let well = healthy("true")?;
    for way in &ways {
        wait::eventually("the member to be used again", SOON, || {
            Ok((way.request("GET", &path).send()?.code == 200).then_some(()))
        })?;
    }
    // Three states, three writes, by one of the two: each is a version of the Secret.
    let managers = well["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    ensure!(
        managers.iter().filter(|entry| entry["manager"] == "cluster-gateway-health").count() == 1,
        "{managers:?}"
    );
    let said = |text: &str| replicas.iter().filter(|replica| replica.log().contains(text)).count();
    ensure!(said("cluster cannot be reached") == 2, "both know it");
    for replica in &replicas {
        let lines = replica.log().lines().filter(|line| line.contains("cluster cannot be reached")).count();
        ensure!(lines == 1, "one line per change: {}", replica.log());
    }
    registration::remove_member(hub, CLUSTER)
}
