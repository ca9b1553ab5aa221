//! The hops below TLS: names, addresses, tunnels.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::Hop;
use super::finding::Verdict;
use super::walk::Walk;
use crate::transport::{Route, Transport, TransportError};

const BEHIND_AGENT: &str = "none here: the cluster's agent connects, through the konnectivity proxy server";

/// Looks at all three.
pub(super) async fn look(walk: &mut Walk<'_>, transport: &Transport) {
    let mut addresses = Vec::new();
    let names = async {
        let (verdict, found) = names(transport).await;
        addresses = found;
        verdict
    };
    walk.step(Hop::Dns, names).await;
    walk.step(Hop::Connect, connect(transport, &addresses)).await;
    walk.step(Hop::Tunnel, tunnel(transport)).await;
}

async fn names(transport: &Transport) -> (Verdict, Vec<SocketAddr>) {
    let Some((host, _)) = transport.first_hop() else { return (Verdict::skipped(BEHIND_AGENT), Vec::new()) };
    let found = match transport.look_up().await {
        Ok(found) => found,
        Err(error) => return (unknown_name(transport, host, &error), Vec::new()),
    };
    let allowed: Vec<_> =
        found.iter().filter(|(_, denied)| denied.is_none()).map(|(address, _)| *address).collect();
    let denied: Vec<_> = found
        .iter()
        .filter_map(|(address, kind)| kind.map(|kind| format!("{} ({kind})", address.ip())))
        .collect();
    let ips: Vec<_> = allowed.iter().map(|address| address.ip().to_string()).collect();
    let verdict = match (allowed.is_empty(), denied.is_empty()) {
        (true, true) => {
            unknown_name(transport, host, &TransportError::Dial(format!("lookup {host}: no such host")))
        }
        (true, false) => forbidden(host, &denied),
        (false, false) => Verdict::warned(
            format!(
                "{host} has {}, and these, which are never dialled: {}",
                ips.join(", "),
                denied.join(", ")
            ),
            "take the forbidden addresses out of the name's records",
        ),
        (false, true) if ips.len() == 1 && ips[0] == host => Verdict::passed(format!("{host} is an address")),
        (false, true) => Verdict::passed(format!("{host} has {}", ips.join(", "))),
    };
    (verdict, allowed)
}

fn unknown_name(transport: &Transport, host: &str, error: &TransportError) -> Verdict {
    let place = place(transport);
    let remedy = match error.to_string() {
        text if text.ends_with("i/o timeout") => {
            format!(
                "the name servers do not answer: see /etc/resolv.conf where this runs, or write an address into {place}"
            )
        }
        _ => format!(
            "correct the host in {place}, or make \"{host}\" known to the name servers of where this runs"
        ),
    };
    Verdict::failed(error.to_string(), remedy)
}

fn forbidden(host: &str, denied: &[String]) -> Verdict {
    let remedy = if denied.iter().all(|address| address.ends_with("(loopback)")) {
        "a loopback address means the gateway's own pod: register an address at which the gateway can reach the cluster (for \
         trials on one machine: --allow-loopback-clusters)"
    } else {
        "register an address of the cluster: link-local, unspecified, multicast and metadata addresses are never dialled"
    };
    Verdict::failed(
        format!("{host} has only addresses that may not be dialled: {}", denied.join(", ")),
        remedy,
    )
}

/// Where the address stands that is dialled.
fn place(transport: &Transport) -> &'static str {
    match transport.spec().route {
        Route::Proxy(_) => "key \"proxy-url\" of the Secret",
        Route::Direct | Route::Konnectivity => "key \"endpoint\" of the Secret",
    }
}

async fn connect(transport: &Transport, addresses: &[SocketAddr]) -> Verdict {
    if transport.first_hop().is_none() {
        return Verdict::skipped(BEHIND_AGENT);
    }
    let tries = join_all(addresses.iter().map(|&address| async move {
        let begun = Instant::now();
        let result = transport.connect_to(address).await;
        (address, begun.elapsed(), result)
    }));
    let (mut answered, mut failures) = (Vec::new(), Vec::new());
    for (address, took, result) in tries.await {
        match result {
            Ok(()) => answered.push(format!("{address} in {}", milliseconds(took))),
            Err(error) => failures.push(error.to_string()),
        }
    }
    match (answered.is_empty(), failures.is_empty()) {
        (false, true) => Verdict::passed(format!("connected to {}", answered.join(", "))),
        (false, false) => Verdict::warned(
            format!("connected to {}, but: {}", answered.join(", "), failures.join("; ")),
            "requests use the address that answers; mend the other, or take it out of the name's records",
        ),
        (true, _) => {
            let remedy = unreachable(transport, &failures);
            Verdict::failed(failures.join("; "), remedy)
        }
    }
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1e3)
}

/// What to do, by Go's words for it (rule 177).
fn unreachable(transport: &Transport, failures: &[String]) -> String {
    let place = place(transport);
    let peer = if matches!(transport.spec().route, Route::Proxy(_)) { "proxy" } else { "API server" };
    let all = |words: &str| failures.iter().all(|failure| failure.contains(words));
    if all("connection refused") {
        format!(
            "the machine is there, but nothing listens on that port: see whether the {peer} runs, and correct the port in {place}"
        )
    } else if all("i/o timeout") {
        format!(
            "packets get lost: look for a firewall, security group or NetworkPolicy between here and the {peer}, see whether \
             the machine is up, and whether the address in {place} is one that can be reached from here"
        )
    } else {
        format!("see the routes from here to the {peer}, and the address in {place}")
    }
}

async fn tunnel(transport: &Transport) -> Verdict {
    let endpoint = transport.spec().endpoint.authority();
    let through = match &transport.spec().route {
        Route::Direct => return Verdict::skipped("none: the cluster is reached directly"),
        Route::Proxy(proxy) => format!("proxy {proxy} connects to {endpoint}"),
        Route::Konnectivity => format!("the konnectivity proxy server and the agent connect to {endpoint}"),
    };
    match transport.reach().await {
        Ok(()) => Verdict::passed(through),
        Err(error) => Verdict::failed(error.to_string(), dead_end(transport)),
    }
}

fn dead_end(transport: &Transport) -> &'static str {
    match transport.spec().route {
        Route::Konnectivity => {
            "see, in this order: that the proxy server runs where --proxy-host and --proxy-port say, that it takes the \
             certificate of --proxy-cert, that the cluster's agent is connected to it, and that the agent reaches its API server"
        }
        Route::Proxy(_) | Route::Direct => {
            "see that the proxy lets the gateway in (key \"proxy-url\" of the Secret: kind, address, user and password) and may \
             connect to the member's host and port"
        }
    }
}
