//! Small GETs.

use anyhow::{Context, Result};

use super::super::contender::{Contender, DIRECT, GATEWAY, HAPROXY, NGINX, Protocol, Upstream};
use super::super::load::Load;
use super::super::report::{Report, short};
use super::super::rig::{Rig, SMALL};
use super::super::turns::{Summary, rounds};

const IN_FLIGHT: [u32; 3] = [1, 32, 256];

const NOTE: &str = "1 KiB. Processor time is the proxy's own; what it allows a core to do is what counts as requests/s per core: \
                    the load and the member share the other core and are the limit where a proxy is quick. The member \
                    itself has no processor time here.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let contenders = [rig.direct(), rig.haproxy()?, rig.nginx()?, rig.gateway()?];
    let mut results = Vec::new();
    for protocol in Protocol::ALL {
        for in_flight in IN_FLIGHT {
            eprintln!("bench: small GETs, {protocol}, {in_flight} at once");
            results.push((protocol, in_flight, measure(rig, &contenders, protocol, in_flight)?));
        }
    }
    for (protocol, in_flight, summaries) in &results {
        targets(report, &contenders, &format!("small GET {protocol}, {in_flight} in flight"), summaries)?;
    }
    let section = report.section(
        "Small GET",
        NOTE,
        &["", "in flight", "via", "requests/s", "requests/s per core", "CPU µs/request", "p50 µs", "p99 µs"],
    );
    for (protocol, in_flight, summaries) in results {
        for (contender, summary) in contenders.iter().zip(summaries) {
            let start = [protocol.to_string(), in_flight.to_string(), contender.name.clone()];
            section.row(start.into_iter().chain(cells(&summary)));
        }
    }
    Ok(())
}

/// The cells that every table of requests has.
pub(super) fn cells(summary: &Summary) -> [String; 5] {
    let (per_core, cpu) = match summary.cpu {
        0.0 => (String::new(), String::new()),
        cpu => (short(1e6 / cpu), short(cpu)),
    };
    [short(summary.rate), per_core, cpu, short(summary.p50), short(summary.p99)]
}

fn measure(rig: &Rig, contenders: &[Contender], protocol: Protocol, in_flight: u32) -> Result<Vec<Summary>> {
    rounds(rig, contenders, |contender, turn| {
        let url = contender.endpoint(Upstream::Files, protocol)?.url(SMALL);
        let load = Load { protocol, url, token: rig.hub.token(), in_flight, upload: None, turn };
        load.run(&rig.file("h2load.log"))
    })
}

fn targets(report: &mut Report, contenders: &[Contender], what: &str, summaries: &[Summary]) -> Result<()> {
    let of = |name: &str| {
        let index = contenders.iter().position(|contender| contender.name == name);
        index.map(|index| summaries[index]).context("a contender that is not there")
    };
    let (direct, haproxy, nginx, ours) = (of(DIRECT)?, of(HAPROXY)?, of(NGINX)?, of(GATEWAY)?);
    let better = haproxy.cpu.min(nginx.cpu);
    report.at_least(
        &format!("{what}: requests/s per core, of the better of HAProxy and nginx"),
        1.0,
        better / ours.cpu,
        "x",
    );
    report.at_most(&format!("{what}: CPU per request, of HAProxy's"), 1.0, ours.cpu / haproxy.cpu, "x");
    report.at_most(&format!("{what}: p99, of direct's"), 1.5, ours.p99 / direct.p99, "x");
    Ok(())
}
