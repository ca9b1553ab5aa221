//! Health of members, for the metrics.

use crate::record::{LabelPairs, Reading, ReadingKind};
use crate::registry::{Snapshot, Upstream};
use crate::transport::State;

/// What is known of the members in `snapshot`: one series each, for those of which something is known.
#[must_use]
pub fn readings(snapshot: &Snapshot) -> [Reading; 3] {
    let mut states = State::ALL.map(|state| (state, 0));
    let (mut healthy, mut latencies) = (Vec::new(), Vec::new());
    for cluster in snapshot.iter() {
        let Ok(Upstream { transport, .. }) = &cluster.upstream else { continue };
        let condition = transport.condition();
        for (state, count) in &mut states {
            *count += u64::from(*state == condition.state);
        }
        if condition.state == State::Unknown {
            continue;
        }
        let name = || label("cluster", &cluster.name);
        healthy.push((name(), u64::from(condition.state == State::Healthy)));
        if let Some(latency) = condition.latency {
            latencies.push((name(), u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)));
        }
    }
    [
        Reading {
            kind: ReadingKind::Gauge,
            name: "cluster_gateway_cluster_states",
            help: "Usable clusters, by state: open means that they cannot be reached and requests are answered 503",
            values: states.map(|(state, count)| (label("state", state.as_str()), count)).to_vec(),
        },
        Reading {
            kind: ReadingKind::Gauge,
            name: "cluster_gateway_cluster_healthy",
            help: "Whether a cluster is healthy (1) or not (0), of those of which it is known",
            values: healthy,
        },
        Reading {
            kind: ReadingKind::Gauge,
            name: "cluster_gateway_cluster_probe_latency_microseconds",
            help: "From the last probe of a cluster to the head of its answer",
            values: latencies,
        },
    ]
}

fn label(name: &'static str, value: &str) -> LabelPairs {
    vec![(name, value.to_owned())]
}
