//! A member that is reached through a proxy: everything that kubectl does, upgrades too.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::proxies::{Kind, Proxy};
use e2e::{registration, wait};
use serde_json::json;

use crate::pods::{self, Upgrade};
use crate::world::{MEMBER1_USER, world};

fn everything_goes_through(kind: Kind, cluster: &str) -> Result<()> {
    let world = world()?;
    let proxy = Proxy::start(kind)?;
    let member = world.member1.user(MEMBER1_USER, &["system:masters"])?;
    let mut secret = registration::secret(cluster, &member)?;
    secret["stringData"]["proxy-url"] = json!(proxy.url());
    registration::put_secret(world.hub, cluster, &secret)?;
    let access = world.through(cluster)?;
    wait::eventually(cluster, Duration::from_secs(20), || {
        access.request("GET", "/healthz").send()?.expect(200).map(Some)
    })?;
    let plain = proxy.tunnels();
    ensure!(plain > 0, "the proxy was not asked");
    access.kubectl(["get", "pods"]).run()?.success()?;
    for upgrade in [Upgrade::WebSocket, Upgrade::Spdy] {
        let before = proxy.tunnels();
        pods::exec_reports(&access, upgrade)?;
        pods::exec_pipes(&access, upgrade)?;
        pods::attach_echoes(&access, upgrade)?;
        pods::port_forward_carries(&access, upgrade)?;
        let tunnels = proxy.tunnels() - before;
        ensure!(tunnels >= 4, "{upgrade:?}: {tunnels} tunnels for the upgrades of four commands");
    }
    pods::logs_follow(&access)?;

    secret["stringData"]["proxy-url"] = json!(proxy.url_with("wrong"));
    registration::put_secret(world.hub, cluster, &secret)?;
    let refused = wait::eventually("the proxy to refuse", Duration::from_secs(20), || {
        let output = access.kubectl(["get", "pods"]).run()?;
        Ok((output.code != Some(0)).then_some(output))
    })?;
    ensure!(refused.stderr.contains("dial tcp "), "{refused}");
    ensure!(refused.stderr.contains("in key \"proxy-url\" of the Secret"), "{refused}");
    ensure!(!refused.stderr.contains("wrong"), "{refused}");
    registration::remove_member(world.hub, cluster)
}

#[test]
fn rule_191_rule_268_kubectl_reaches_pods_through_http_connect_with_a_password() -> Result<()> {
    everything_goes_through(Kind::HttpConnect, "behind-connect")
}

#[test]
fn rule_191_rule_268_kubectl_reaches_pods_through_socks5_with_a_password() -> Result<()> {
    everything_goes_through(Kind::Socks5, "behind-socks")
}
