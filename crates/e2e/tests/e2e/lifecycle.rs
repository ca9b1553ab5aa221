//! How the process starts, is not ready, and stops.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::forwarder::Forwarder;
use e2e::scratch::free_port;
use e2e::{Gateway, wait};

use crate::world::{planes, world};

#[test]
fn rule_131_a_stop_is_quick_and_clean_while_a_watch_runs() -> Result<()> {
    // Not the shared one: it has the same Secrets, and nobody else uses it.
    let mut gateway = Gateway::start(&planes()?.gateway_user)?;
    world()?;
    let access = gateway.access(world()?.hub.admin().credential().clone())?;
    let watch = access.through("member1")?.kubectl(["get", "namespaces", "-w", "-o", "name"]).spawn()?;
    watch.wait_for("namespace/default", Duration::from_secs(20))?;

    let begun = Instant::now();
    gateway.terminate()?;
    wait::eventually("the listener to be closed", Duration::from_secs(5), || {
        Ok(std::net::TcpStream::connect(("127.0.0.1", gateway.port())).is_err().then_some(()))
    })?;
    gateway.wait_stopped()?;
    eprintln!("stopped in {:.1?}", begun.elapsed());
    watch.finish(Duration::from_secs(10))?;
    Ok(())
}

#[test]
fn rule_016_without_its_hub_it_stays_up_and_becomes_ready_with_it() -> Result<()> {
    let port = free_port()?;
    // Whoever connects is cut off, which is how retries can be counted.
    let hub = Forwarder::start(port, &format!("127.0.0.1:{}", free_port()?))?;
    let mut gateway =
        Gateway::launch(&planes()?.gateway_user.at(&format!("https://127.0.0.1:{port}"))?, &[])?;
    let anonymous = gateway.access(e2e::Credential::Anonymous)?;
    let retried = |times: usize| {
        wait::eventually("retries", Duration::from_secs(60), || Ok((hub.accepted() >= times).then_some(())))
    };
    retried(4)?;
    let said = gateway.log().lines().count();
    retried(12)?;
    let log = gateway.log();
    ensure!(log.lines().count() <= said + 2, "a retry is no news:\n{log}");
    anonymous.request("GET", "/livez").send()?.expect(200)?;
    anonymous.request("GET", "/readyz").send()?.expect(500)?;
    ensure!(gateway.ended()?.is_none(), "it must keep trying");

    hub.lead_to(planes()?.gateway_user.server().trim_start_matches("https://"));
    gateway.wait_ready(Duration::from_secs(45))
}

#[test]
fn a_hub_that_cannot_be_reached_is_named_in_the_log() -> Result<()> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let gateway = Gateway::launch(&planes()?.gateway_user.at(&format!("https://{address}"))?, &[])?;
    wait::eventually("a line that names the hub", Duration::from_secs(10), || {
        let log = gateway.log();
        ensure!(log.lines().any(|line| line.contains("hub") && line.contains(&address)), "{log}");
        Ok(Some(()))
    })
}

#[test]
fn rule_135_the_flags_of_the_charts_are_taken() -> Result<()> {
    let configuration = e2e::scratch::directory("configuration")?;
    let file = configuration.path().join("config.yaml");
    std::fs::write(
        &file,
        "apiVersion: cluster.core.oam.dev/v1alpha1\nkind: ClusterGatewayProxyConfiguration\nspec:\n  clientIdentityExchanger:\n    rules: []\n",
    )?;
    let file = format!("--cluster-gateway-proxy-config={}", file.display());
    let mut gateway = Gateway::launch(
        &planes()?.gateway_user,
        &[
            "--feature-gates=APIPriorityAndFairness=false",
            &file,
            "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics",
            "--user-agent=e2e",
            "--ocm-integration=false",
            "-v=2",
        ],
    )?;
    gateway.wait_ready(Duration::from_secs(30))?;
    let anonymous = gateway.access(e2e::Credential::Anonymous)?;
    anonymous.request("GET", "/metrics").send()?.expect(200).map(drop)
}

#[test]
fn rule_135_an_unknown_flag_ends_it_at_once() -> Result<()> {
    let mut gateway = Gateway::launch(&planes()?.gateway_user, &["--no-such-flag=1"])?;
    let status = wait::eventually("the process to end", Duration::from_secs(10), || gateway.ended())?;
    ensure!(!status.success(), "{status}");
    ensure!(gateway.log().contains("--no-such-flag"), "{}", gateway.log());
    Ok(())
}
