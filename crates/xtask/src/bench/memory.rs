//! Memory with many clusters.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{registration, wait};
use serde_json::json;

use super::rig::Rig;

pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// Registers `count` further clusters, each with a CA and a token of the usual size, and waits until the gateway has them.
pub(super) fn register_clusters(rig: &mut Rig, count: u32) -> Result<()> {
    let hub = rig.hub.as_ref().context("there is no hub")?;
    eprintln!("bench: registering {count} clusters");
    let ca = hub.control_plane.ca().pem();
    let secrets: Vec<_> = (0..count).map(|number| json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": format!("member-{number:05}"), "namespace": registration::NAMESPACE, "labels": {
            format!("{}/cluster-credential-type", registration::GROUP): "ServiceAccountToken",
        }},
        "stringData": {"endpoint": format!("https://10.0.0.1:{}", 10_000 + number), "ca.crt": ca, "token": "t".repeat(900)},
    })).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": secrets}).to_string();
    let create = hub.control_plane.admin().kubectl(["create", "-f", "-"]).stdin(&list);
    create.timeout(TIMEOUT * 10).run()?.success()?;

    let gateway = rig.contenders.last().context("there is no gateway")?;
    let address = gateway.http2.split("/apis/").next().context("an address without a path")?;
    let list = format!("{}/clustergateways", registration::BASE);
    let access = hub.caller.at(address)?;
    wait::eventually("the gateway to have every cluster", TIMEOUT, || {
        // The CA is that of the hub, and the gateway has its own.
        let answer = access.request("GET", &list).args(["--insecure"]).send()?.json(200)?;
        let known = answer["items"].as_array().map_or(0, Vec::len);
        ensure!(known >= count as usize, "it has {known}");
        Ok(Some(()))
    })
}
