//! The cost of a request with ten clusters and users, and with thousands of both.

use std::sync::Arc;

use anyhow::Result;
use e2e::registration;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

use super::super::contender::{Contender, Protocol, Upstream};
use super::super::drive::{Make, Until, drive};
use super::super::report::{Report, short};
use super::super::rig::{Rig, SMALL, cluster, idle_clusters};
use super::super::turns::rounds;
use crate::wire::{self, Dialer, Http2};

const FEW: u64 = 10;
const GROUP: &str = "bench-users";
const CONNECTIONS: usize = 8;
const IN_FLIGHT: usize = 64;
/// The hub is asked about each user once.
const WARMING: usize = 16;

const NOTE: &str = "The callers come as a front proxy's users; each has been asked about at the hub before. Requests go to ten \
                    clusters in both cases, the others are registered and idle. Paired rounds, 64 at once.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let many = u64::from(rig.scale.clusters);
    eprintln!("bench: 10 clusters and users beside {many}");
    grant(rig)?;
    let (few, lots) = (side(rig, "10", FEW)?, side(rig, &many.to_string(), many)?);
    let users = |contender: &Contender| if contender.name == "10" { FEW } else { many };
    let contenders = [few, lots];
    let connections = rig.runtime.block_on(connect(rig, &contenders))?;
    for (contender, connections) in contenders.iter().zip(&connections) {
        let until = Until::Count(users(contender));
        rig.runtime.block_on(drive(connections, WARMING, until, make(users(contender))))?;
    }
    let summaries = rounds(rig, &contenders, |contender, turn| {
        let index = usize::from(contender.name != "10");
        let make = make(users(contender));
        rig.runtime.block_on(drive(&connections[index], IN_FLIGHT, Until::Time(turn), make))
    })?;
    let what = format!("CPU per request with {many} clusters and users, of that with 10");
    report.at_most(&what, 1.1, summaries[1].cpu / summaries[0].cpu, "x");
    let columns = ["clusters and users", "CPU µs/request", "p50 µs", "p99 µs"];
    let section = report.section("Many clusters and users", NOTE, &columns);
    for (contender, summary) in contenders.iter().zip(summaries) {
        let cells = [summary.cpu, summary.p50, summary.p99].map(short);
        section.row([contender.name.clone()].into_iter().chain(cells));
    }
    Ok(())
}

fn grant(rig: &Rig) -> Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    rig.hub.control_plane.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": GROUP},
            "rules": [{"apiGroups": [registration::GROUP], "resources": ["clustergateways/proxy"], "verbs": ["*"]}],
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": GROUP},
            "subjects": [{"apiGroup": rbac, "kind": "Group", "name": GROUP}],
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": GROUP},
        },
    ]}))
}

/// A gateway with so many clusters, of which ten are there.
fn side(rig: &Rig, name: &str, clusters: u64) -> Result<Contender> {
    let namespace = format!("bench-many-{name}");
    rig.hub.namespace(&namespace)?;
    let member = rig.member_port(Upstream::Files, Protocol::Http2)?;
    let mut secrets = idle_clusters(&namespace, u32::try_from(clusters.saturating_sub(FEW))?)?;
    secrets.extend((0..FEW).map(|number| cluster(&namespace, &format!("live-{number}"), member, &rig.ca())));
    rig.hub.create(&rig.runtime, &namespace, &secrets)?;
    let flags = ["--authorization-webhook-cache-authorized-ttl=1h".to_owned()];
    rig.gateway_with(name, &namespace, &flags)
}

async fn connect(rig: &Rig, contenders: &[Contender]) -> Result<Vec<Vec<Http2>>> {
    let front_proxy = rig.hub.control_plane.front_proxy_identity()?;
    let dialer = Dialer::new(&rig.ca(), Some(&front_proxy))?;
    let mut all = Vec::new();
    for contender in contenders {
        let port = contender.endpoint(Upstream::Files, Protocol::Http2)?.port;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(dialer.http2(port).await?);
        }
        all.push(connections);
    }
    Ok(all)
}

/// Every user in turn, each always at the same cluster.
fn make(users: u64) -> Make {
    Arc::new(move |number| {
        let user = number % users;
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", HeaderValue::try_from(format!("user-{user}"))?);
        headers.insert("x-remote-group", HeaderValue::from_static(GROUP));
        let path = format!("{}{SMALL}", registration::proxy_path(&format!("live-{}", user % FEW)));
        wire::request(Method::GET, &path, &headers)
    })
}
