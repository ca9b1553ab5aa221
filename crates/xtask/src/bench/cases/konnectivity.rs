//! A member behind the real konnectivity proxy server and its agent.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::konnectivity::{Agent, ProxyServer, address};
use e2e::registration::{self, GROUP, NAMESPACE};
use e2e::{Access, Credential};
use serde_json::json;

use super::super::contender::{Contender, Endpoint, Protocol, Upstream};
use super::super::load::Load;
use super::super::report::Report;
use super::super::rig::{Rig, SMALL, cluster};
use super::super::turns::brief_rounds;
use super::small::cells;

const IN_FLIGHT: [u32; 3] = [1, 32, 256];
/// An agent needs a moment until the server knows it.
const CONNECTED: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

const NOTE: &str = "The same small GET, h2→h2, to the same member with and without the tunnel (gRPC mode). Server, agent, and a relay \
                    that gives the member a name without a name server share the other core with member and load: what they \
                    take is in the times and not in the gateway's processor time.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let server = ProxyServer::start("grpc")?;
    let (_agent, tunnelled) = tunnelled(rig, &server)?;
    let contenders = [rig.gateway()?, tunnelled];
    let mut rows = Vec::new();
    for in_flight in IN_FLIGHT {
        eprintln!("bench: konnectivity, {in_flight} at once");
        let summaries = brief_rounds(rig, &contenders, |contender, turn| {
            let protocol = Protocol::Http2;
            let url = contender.endpoint(Upstream::Files, protocol)?.url(SMALL);
            Load { protocol, url, token: rig.hub.token(), in_flight, upload: None, turn }
                .run(&rig.file("h2load.log"))
        })?;
        for (way, summary) in ["no tunnel", "konnectivity"].into_iter().zip(&summaries) {
            rows.push(
                [in_flight.to_string(), way.to_owned()].into_iter().chain(cells(summary)).collect::<Vec<_>>(),
            );
        }
    }
    let columns =
        ["in flight", "way", "requests/s", "requests/s per core", "CPU µs/request", "p50 µs", "p99 µs"];
    let section = report.section("Konnectivity", NOTE, &columns);
    rows.into_iter().for_each(|row| section.row(row));
    Ok(())
}

/// A gateway that reaches the member through `server`, once it does.
fn tunnelled(rig: &Rig, server: &ProxyServer) -> Result<(Agent, Contender)> {
    let port = rig.member_port(Upstream::Files, Protocol::Http2)?;
    let member = Access::new(&format!("https://127.0.0.1:{port}"), &rig.ca(), Credential::Anonymous)?;
    let name = address(0, &member)?;
    let agent = server.agent(&name)?;
    let mut secret = cluster(NAMESPACE, &name, port, &rig.ca());
    secret["metadata"]["labels"][format!("{GROUP}/cluster-endpoint-type")] = json!("ClusterProxy");
    secret["metadata"]["annotations"] = json!({format!("{GROUP}/tls-server-name"): "localhost"});
    registration::put_secret(&rig.hub.control_plane, &name, &secret)?;
    let mut gateway = rig.gateway_with("konnectivity", NAMESPACE, &server.flags())?;
    let port = gateway.endpoint(Upstream::Files, Protocol::Http2)?.port;
    let endpoint = Endpoint { port, prefix: registration::proxy_path(&name) };
    rig.runtime.block_on(reached(rig, &endpoint))?;
    gateway.endpoints.insert((Upstream::Files, Protocol::Http2), endpoint);
    Ok((agent, gateway))
}

async fn reached(rig: &Rig, endpoint: &Endpoint) -> Result<()> {
    let (connection, headers, begun) =
        (rig.dialer.http2(endpoint.port).await?, rig.headers()?, Instant::now());
    while let Err(error) = connection.get(&endpoint.path(SMALL), &headers).await {
        if begun.elapsed() > CONNECTED {
            return Err(error).context("the member behind the tunnel does not answer");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
