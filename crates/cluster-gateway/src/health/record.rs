//! Health written to the clusters' Secrets, by one of the replicas: the one that holds the Lease.
//!
//! What is written is what has changed. Somebody else's records are not fought: as long as a cluster stays as it is, what
//! others write about it stays.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON, ANNOTATION_LAST_PROBE_TIME, ANNOTATION_LATENCY,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::track::Tracked;
use super::{HEALTH_LEASE, HealthConfig};
use crate::hub::{Annotate, CallError, Leadership, SecretMetadata, Standing, WriteError};
use crate::registry::Cluster;
use crate::transport::{Condition, State};

/// Writes under way at once.
const MOST_WRITES: usize = 8;
/// How soon other words for the same state are written.
const REWORD: Duration = Duration::from_secs(60);
/// When a write that failed is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// Bytes of a reason.
const MOST_BYTES: usize = 1024;

/// Records health at the hub.
#[derive(Debug)]
pub struct HealthRecorder {
    secrets: SecretMetadata,
    leadership: Leadership,
    writes: JoinSet<(String, Result<(), WriteError>)>,
    /// What was last complained about.
    complaint: Option<String>,
}

/// What a Secret was made to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    said: Said,
    at: Instant,
    /// A write is under way, or has failed and is not to be repeated before this.
    pending: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    healthy: bool,
    reason: String,
}

impl HealthRecorder {
    /// A recorder that writes as long as `leadership` is held.
    #[must_use]
    pub fn new(secrets: SecretMetadata, leadership: Leadership) -> Self {
        Self { secrets, leadership, writes: JoinSet::new(), complaint: None }
    }

    pub(super) fn look<'m>(&mut self, config: &HealthConfig, members: impl Iterator<Item = &'m mut Tracked>) {
        let mut written = HashMap::new();
        while let Some(done) = self.writes.try_join_next() {
            if let Ok((name, result)) = done {
                written.insert(name, result);
            }
        }
        self.complain(written.values());
        let held = self.leadership.is_held();
        for member in members {
            if let (Some(result), Some(recorded)) =
                (written.remove(&member.cluster.name), &mut member.recorded)
            {
                recorded.ended(&result);
            }
            if !held {
                // Another writes now; what it has written is read when this one does again.
                member.recorded = None;
            } else if self.writes.len() < MOST_WRITES {
                self.record(member, config);
            }
        }
    }

    fn record(&mut self, member: &mut Tracked, config: &HealthConfig) {
        let condition = member.condition();
        let Some(said) = Said::of(&condition) else { return };
        let now = Instant::now();
        if let Some(recorded) = &member.recorded {
            if recorded.pending.is_some_and(|until| now < until) {
                return;
            }
            let age = now.duration_since(recorded.at);
            let due = match recorded.pending.is_some() || recorded.said.healthy != said.healthy {
                true => true,
                false if recorded.said != said => age >= REWORD,
                false => age >= config.record_age,
            };
            if !due {
                return;
            }
        } else if Said::recorded(&member.cluster).as_ref() == Some(&said) {
            member.recorded = Some(Recorded { said, at: now, pending: None });
            return;
        }
        if now.duration_since(member.known) < config.settle {
            return;
        }
        self.write(&member.cluster, annotations(&said, &condition));
        member.recorded = Some(Recorded { said, at: now, pending: Some(now + AGAIN * 3) });
    }

    fn write(&mut self, cluster: &Cluster, annotations: BTreeMap<String, String>) {
        let (secrets, name) = (self.secrets.clone(), cluster.name.clone());
        let change = Annotate {
            annotations,
            // A Secret that was changed, or registered anew, in the meantime is left for the next look.
            resource_version: cluster.resource_version.clone(),
            field_manager: "cluster-gateway-health".to_owned(),
            dry_run: false,
        };
        self.writes.spawn(async move {
            let result = secrets.annotate(&name, &change).await.map(drop);
            (name, result)
        });
    }

    /// Says once what keeps health from being recorded, and that it no longer does.
    fn complain<'r>(&mut self, results: impl Iterator<Item = &'r Result<(), WriteError>>) {
        let mut complaint = match self.leadership.standing() {
            Standing::Fails(CallError::Refused(cause) | CallError::Forbidden(cause)) => Some(format!(
                "the Lease {HEALTH_LEASE} cannot be had: {cause}; the gateway needs the rights to create, get and \
                 update it"
            )),
            _ => None,
        };
        let mut wrote = false;
        for result in results {
            match result {
                Err(WriteError::Refused(cause)) => {
                    let namespace = self.secrets.namespace();
                    complaint = Some(format!(
                        "{cause}; the gateway needs the right to patch secrets in namespace {namespace}"
                    ));
                }
                Ok(()) => wrote = true,
                Err(error) => tracing::debug!(%error, "health was not recorded; it is tried again"),
            }
        }
        if complaint.is_some() && complaint != self.complaint {
            tracing::warn!(cause = complaint, "health of clusters is not recorded in their Secrets");
            self.complaint = complaint;
        } else if wrote && complaint.is_none() && self.complaint.take().is_some() {
            tracing::info!("health of clusters is recorded in their Secrets again");
        }
    }
}

impl Recorded {
    fn ended(&mut self, result: &Result<(), WriteError>) {
        self.pending = match result {
            Ok(()) => None,
            // The next look knows the Secret as it is by then, or that it is gone.
            Err(WriteError::Conflict | WriteError::NotFound) => Some(Instant::now()),
            Err(_) => Some(Instant::now() + AGAIN),
        };
    }
}

impl Said {
    /// What is to be said of a cluster, if anything is known.
    fn of(condition: &Condition) -> Option<Self> {
        let healthy = match condition.state {
            State::Unknown => return None,
            State::Healthy => true,
            State::Unhealthy | State::Open => false,
        };
        let mut reason = condition.reason.clone();
        reason.truncate(reason.floor_char_boundary(MOST_BYTES));
        Some(Self { healthy, reason })
    }

    /// What its Secret says.
    fn recorded(cluster: &Cluster) -> Option<Self> {
        let healthy = cluster.annotations.get(ANNOTATION_HEALTHY)?.parse().ok()?;
        let reason = cluster.annotations.get(ANNOTATION_HEALTHY_REASON).cloned().unwrap_or_default();
        Some(Self { healthy, reason })
    }
}

fn annotations(said: &Said, condition: &Condition) -> BTreeMap<String, String> {
    let mut annotations = BTreeMap::from([
        (ANNOTATION_HEALTHY.to_owned(), said.healthy.to_string()),
        (ANNOTATION_HEALTHY_REASON.to_owned(), said.reason.clone()),
    ]);
    if let Some(time) = condition.probed.and_then(timestamp) {
        annotations.insert(ANNOTATION_LAST_PROBE_TIME.to_owned(), time);
    }
    if let Some(latency) = condition.latency.filter(|_| said.healthy) {
        // Never `0ms`: that looks like nothing measured.
        annotations.insert(ANNOTATION_LATENCY.to_owned(), format!("{}ms", latency.as_millis().max(1)));
    }
    annotations
}

fn timestamp(time: SystemTime) -> Option<String> {
    OffsetDateTime::from(time).replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(state: State, reason: &str) -> Condition {
        Condition {
            state,
            reason: reason.to_owned(),
            probed: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500)),
            latency: Some(Duration::from_micros(120)),
            ..Condition::default()
        }
    }

    #[test]
    fn rule_211_what_is_written_is_the_state_its_reason_and_the_probe() {
        let written = |state, reason| {
            let condition = condition(state, reason);
            Said::of(&condition).map(|said| annotations(&said, &condition).into_values().collect::<Vec<_>>())
        };
        assert_eq!(written(State::Unknown, ""), None);
        assert_eq!(written(State::Healthy, "").unwrap(), ["true", "", "1970-01-01T00:00:01Z", "1ms"]);
        for state in [State::Unhealthy, State::Open] {
            assert_eq!(
                written(state, "dial tcp: x").unwrap(),
                ["false", "dial tcp: x", "1970-01-01T00:00:01Z"]
            );
        }
        let long = Said::of(&condition(State::Open, &"é".repeat(2000))).unwrap();
        assert_eq!(long.reason.len(), MOST_BYTES);
    }
}
