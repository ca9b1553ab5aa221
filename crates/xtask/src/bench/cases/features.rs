//! What each feature costs.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use e2e::registration::NAMESPACE;

use super::super::contender::{Contender, Protocol, Upstream};
use super::super::load::Load;
use super::super::report::{Report, short};
use super::super::rig::{Rig, SMALL};
use super::super::turns::brief_rounds;

const IN_FLIGHT: u32 = 256;
const POLICY: &str =
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n";

const NOTE: &str = "h2→h2, 256 at once, one gateway for each, paired rounds. Metrics are always on; what they cost is in every \
                    line, and a scrape is measured by itself.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    eprintln!("bench: features");
    let contenders = features(rig)?;
    let summaries = brief_rounds(rig, &contenders, |contender, turn| {
        let protocol = Protocol::Http2;
        let url = contender.endpoint(Upstream::Files, protocol)?.url(SMALL);
        let load = Load { protocol, url, token: rig.hub.token(), in_flight: IN_FLIGHT, upload: None, turn };
        load.run(&rig.file("h2load.log"))
    })?;
    let scrape = rig.runtime.block_on(scrape(rig, &contenders[0]))?;
    let section = report.section("Features", NOTE, &["", "CPU µs/request", "of without", "p99 µs"]);
    let plain = summaries[0];
    for (contender, summary) in contenders.iter().zip(&summaries) {
        let cells = [summary.cpu, summary.cpu / plain.cpu, summary.p99].map(short);
        section.row([contender.name.clone()].into_iter().chain(cells));
    }
    section.row(["a scrape of /metrics, µs".to_owned(), String::new(), String::new(), short(scrape)]);
    Ok(())
}

fn features(rig: &Rig) -> Result<[Contender; 4]> {
    let policy = rig.file("audit-policy.yaml");
    fs::write(&policy, POLICY).context("write an audit policy")?;
    let audit = [
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", rig.file("audit.log").display()),
        "--audit-log-mode=batch".to_owned(),
        "--audit-log-maxsize=100".to_owned(),
        "--audit-log-maxbackup=1".to_owned(),
    ];
    let identity = ["--feature-gates=ClientIdentityPenetration=true".to_owned()];
    Ok([
        rig.gateway_with("none", NAMESPACE, &[])?,
        rig.gateway_with("audit to a file", NAMESPACE, &audit)?,
        rig.gateway_with("--authorize-proxy-subpath", NAMESPACE, &["--authorize-proxy-subpath".to_owned()])?,
        rig.gateway_with("the caller's identity passed on", NAMESPACE, &identity)?,
    ])
}

/// Microseconds.
async fn scrape(rig: &Rig, gateway: &Contender) -> Result<f64> {
    let port = gateway.endpoint(Upstream::Files, Protocol::Http2)?.port;
    let (connection, headers) = (rig.dialer.http2(port).await?, rig.headers()?);
    connection.get("/metrics", &headers).await?;
    let begun = Instant::now();
    connection.get("/metrics", &headers).await?;
    Ok(begun.elapsed().as_secs_f64() * 1e6)
}
