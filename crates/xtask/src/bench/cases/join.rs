//! A cluster that joins: from the hub's answer to whoever made its Secret, to the first answer of the cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::registration;

use super::super::contender::{Protocol, Upstream};
use super::super::report::{Report, short};
use super::super::rig::{Rig, SMALL, cluster, create};
use super::super::stats::percentile;

const NAMESPACE: &str = "bench-join";
const JOINS: u32 = 200;
const PAUSE: Duration = Duration::from_micros(500);
const TIMEOUT: Duration = Duration::from_secs(10);

const NOTE: &str = "One after the other; from the hub's 201 for the Secret to the first 200 of the member, asked every half \
                    millisecond, the first connection to the member included.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    eprintln!("bench: {JOINS} clusters join");
    rig.hub.namespace(NAMESPACE)?;
    let gateway = rig.gateway_with("joined", NAMESPACE, &[])?;
    let port = gateway.endpoint(Upstream::Files, Protocol::Http2)?.port;
    let mut times = rig.runtime.block_on(joins(rig, port))?;
    let (p50, p99) = (percentile(&mut times, 50.0), percentile(&mut times, 99.0));
    report.at_most("join to routable, p99", 50.0, p99, " ms");
    let section = report.section("Join to routable", NOTE, &["clusters", "p50 ms", "p99 ms"]);
    section.row([JOINS.to_string(), short(p50), short(p99)]);
    Ok(())
}

async fn joins(rig: &Rig, port: u16) -> Result<Vec<f64>> {
    let member = rig.member_port(Upstream::Files, Protocol::Http2)?;
    let hub = rig.hub.dialer()?.http2(rig.hub.port()).await?;
    let gateway = rig.dialer.http2(port).await?;
    let (secrets, headers) = (format!("/api/v1/namespaces/{NAMESPACE}/secrets"), rig.headers()?);
    let mut times = Vec::new();
    for number in 0..JOINS {
        let name = format!("join-{number:03}");
        let path = format!("{}{SMALL}", registration::proxy_path(&name));
        create(&hub, &secrets, cluster(NAMESPACE, &name, member, &rig.ca()).to_string()).await?;
        let begun = Instant::now();
        while let Err(error) = gateway.get(&path, &headers).await {
            if begun.elapsed() > TIMEOUT {
                return Err(error).context("a cluster did not become routable");
            }
            tokio::time::sleep(PAUSE).await;
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}
