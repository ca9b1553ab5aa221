//! What is counted, and what `/metrics` shows of credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

use super::keeper;
use super::token::Life;
use crate::record::{LabelPairs, Reading, ReadingKind};
use crate::registry::{Cluster, Snapshot};

/// How a renewal came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The new token is in the Secret.
    Renewed,
    /// The member cannot be reached.
    MemberUnreachable,
    /// The member refuses.
    MemberRefused,
    /// The Secret was changed meanwhile; it is looked at again.
    Conflict,
    /// The Secret may not, or cannot, be written.
    StoreRefused,
    /// The hub does not answer.
    StoreUnreachable,
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Renewed,
        Self::MemberUnreachable,
        Self::MemberRefused,
        Self::Conflict,
        Self::StoreRefused,
        Self::StoreUnreachable,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::MemberUnreachable => "member_unreachable",
            Self::MemberRefused => "member_refused",
            Self::Conflict => "conflict",
            Self::StoreRefused => "store_refused",
            Self::StoreUnreachable => "store_unreachable",
        }
    }
}

/// Renewals of this process, counted.
#[derive(Debug, Default)]
pub struct RenewalStats {
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

impl RenewalStats {
    pub(super) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// What there is to say of the credentials of the clusters in `snapshot`: one series each, for those whose end is known.
#[must_use]
pub fn readings(snapshot: &Snapshot, stats: &RenewalStats) -> [Reading; 2] {
    let ends = snapshot.iter().filter_map(|cluster| Some((cluster, ends(cluster)?)));
    let seconds =
        |end: SystemTime| end.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    [
        Reading {
            kind: ReadingKind::Gauge,
            name: "cluster_gateway_cluster_credential_not_after_seconds",
            help: "When the credential of a cluster ends, in seconds since 1970, of those of which it is known",
            values: ends.map(|(cluster, end)| (label("cluster", cluster), seconds(end))).collect(),
        },
        Reading {
            kind: ReadingKind::Counter,
            name: "cluster_gateway_credential_renewals",
            help: "Tokens of clusters that this process was to renew, by how that came out",
            values: Outcome::ALL
                .map(|outcome| {
                    let count = stats.outcomes[outcome as usize].load(Ordering::Relaxed);
                    (vec![("outcome", outcome.as_str().to_owned())], count)
                })
                .to_vec(),
        },
    ]
}

fn label(name: &'static str, cluster: &Arc<Cluster>) -> LabelPairs {
    vec![(name, cluster.name.clone())]
}

/// When a cluster's credential ends, if it can be known: as it says itself, or as was written down when it was issued.
pub(super) fn ends(cluster: &Cluster) -> Option<SystemTime> {
    let said = not_after(cluster);
    let written = keeper::account(cluster).and_then(|_| Life::of(&cluster.annotations)).map(|life| life.ends);
    said.into_iter().chain(written).min()
}

/// The end that a credential says itself.
pub(super) fn not_after(cluster: &Cluster) -> Option<SystemTime> {
    let end: OffsetDateTime = cluster.credential_facts.not_after?;
    let seconds = u64::try_from(end.unix_timestamp()).unwrap_or_default();
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
