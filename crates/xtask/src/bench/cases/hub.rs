//! Small GETs that come through the hub's aggregator.

use anyhow::Result;
use e2e::registration;

use super::super::contender::{Endpoint, Protocol, Upstream};
use super::super::load::Load;
use super::super::report::Report;
use super::super::rig::{Rig, SMALL};
use super::super::turns::brief_rounds;
use super::small::cells;

const IN_FLIGHT: [u32; 2] = [1, 32];

const NOTE: &str = "The same GET, sent to kube-apiserver, which passes it on to the gateway, beside the same gateway asked \
                    directly. Processor time is the gateway's alone.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let gateway = [rig.gateway()?];
    let endpoint = gateway[0].endpoint(Upstream::Files, Protocol::Http2)?.clone();
    registration::register_at(&rig.hub.control_plane, endpoint.port, &rig.ca())?;
    let section = report.section(
        "Through the hub",
        NOTE,
        &["in flight", "via", "requests/s", "requests/s per core", "CPU µs/request", "p50 µs", "p99 µs"],
    );
    let through = Endpoint { port: rig.hub.port(), prefix: endpoint.prefix.clone() };
    for in_flight in IN_FLIGHT {
        for (name, endpoint) in [("gateway", &endpoint), ("hub and gateway", &through)] {
            eprintln!("bench: small GETs through the hub, {name}, {in_flight} at once");
            let summaries = brief_rounds(rig, &gateway, |_, turn| {
                let url = endpoint.url(SMALL);
                let protocol = Protocol::Http2;
                let load = Load { protocol, url, token: rig.hub.token(), in_flight, upload: None, turn };
                load.run(&rig.file("h2load.log"))
            })?;
            let start = [in_flight.to_string(), name.to_owned()];
            section.row(start.into_iter().chain(cells(&summaries[0])));
        }
    }
    Ok(())
}
