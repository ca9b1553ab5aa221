//! What `/metrics` shows of the process as a whole, at the moment when it is asked.

use std::sync::Arc;
use std::time::SystemTime;

use crate::limits::{Kind, Limit, Limits};
use crate::record::{LabelPairs, Reading, ReadingKind, Recorder};
use crate::registry::{Cluster, Snapshot};
use crate::renewal::RenewalStats;

/// Everything in Prometheus' text form.
pub(super) fn metrics(
    recorder: &Recorder,
    snapshot: &Snapshot,
    limits: &Limits,
    renewals: &RenewalStats,
    not_after: Option<SystemTime>,
) -> String {
    recorder.metrics.retain_clusters(|name| snapshot.get(name).is_some());
    let mut readings = Vec::from(clusters(snapshot));
    readings.push(serving_certificate(not_after));
    readings.extend(crate::health::readings(snapshot));
    readings.extend(crate::renewal::readings(snapshot, renewals));
    readings.extend(in_flight(snapshot, limits));
    recorder.encode(readings)
}

fn clusters(snapshot: &Snapshot) -> [Reading; 2] {
    let usable = snapshot.iter().filter(|cluster| cluster.upstream.is_ok()).count();
    let insecure = snapshot.iter().filter_map(|cluster| cluster.upstream.as_ref().ok());
    let insecure = insecure.filter(|upstream| upstream.insecure).count();
    [
        Reading {
            name: "cluster_gateway_clusters",
            help: "Registered clusters, by whether they can be used",
            kind: ReadingKind::Gauge,
            values: vec![
                (label("state", "usable"), usable as u64),
                (label("state", "unusable"), (snapshot.len() - usable) as u64),
            ],
        },
        Reading {
            name: "cluster_gateway_insecure_clusters",
            help: "Clusters whose certificate is not verified",
            kind: ReadingKind::Gauge,
            values: vec![(LabelPairs::new(), insecure as u64)],
        },
    ]
}

fn serving_certificate(not_after: Option<SystemTime>) -> Reading {
    let seconds = not_after.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
    Reading {
        name: "cluster_gateway_serving_certificate_not_after_seconds",
        help: "When the serving certificate expires, in seconds since 1970",
        kind: ReadingKind::Gauge,
        values: seconds.map(|end| (LabelPairs::new(), end.as_secs())).into_iter().collect(),
    }
}

fn in_flight(snapshot: &Snapshot, limits: &Limits) -> [Reading; 4] {
    // A cluster that nobody has asked for anything is not worth a line.
    let asked = |cluster: &&Arc<Cluster>| {
        cluster.upstream.as_ref().is_ok_and(|upstream| upstream.transport.counters().dials() > 0)
    };
    let by_cluster = |kind| {
        let clusters = snapshot.iter().filter(asked);
        clusters
            .map(|cluster| (label("cluster", &cluster.name), cluster.in_flight.count(kind) as u64))
            .collect()
    };
    let (read_only, mutating) = limits.own_in_flight();
    [
        Reading {
            name: "apiserver_current_inflight_requests",
            help: "Requests for the gateway's own resources under way, by kind",
            kind: ReadingKind::Gauge,
            values: vec![
                (label("request_kind", "readOnly"), read_only as u64),
                (label("request_kind", "mutating"), mutating as u64),
            ],
        },
        Reading {
            name: "cluster_gateway_proxied_requests_in_flight",
            help: "Proxied requests under way, watches included, by cluster",
            kind: ReadingKind::Gauge,
            values: by_cluster(Kind::Request),
        },
        Reading {
            name: "cluster_gateway_upgrades_in_flight",
            help: "Upgraded streams under way (exec, attach, port-forward), by cluster",
            kind: ReadingKind::Gauge,
            values: by_cluster(Kind::Upgrade),
        },
        Reading {
            name: "cluster_gateway_rejected_requests",
            help: "Requests answered 429 by the gateway, by the flag of the limit that they met",
            kind: ReadingKind::Counter,
            values: Limit::ALL.map(|limit| (label("limit", limit.flag()), limits.rejected(limit))).to_vec(),
        },
    ]
}

fn label(name: &'static str, value: &str) -> LabelPairs {
    vec![(name, value.to_owned())]
}
