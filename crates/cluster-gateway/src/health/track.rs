//! What the monitor remembers of one member: when to probe it next, and what it has found so far.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use uuid::Uuid;

use super::HealthConfig;
use super::probe::Finding;
use super::record::Recorded;
use crate::registry::{Cluster, Upstream};
use crate::transport::{Condition, State, Transport};

/// Longest time until a failed probe is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a member's version is believed.
const VERSION_AGE: Duration = Duration::from_secs(600);

/// One member.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) cluster: Arc<Cluster>,
    /// What its Secret was last made to say, and since when.
    pub(super) recorded: Option<Recorded>,
    /// Since when it is reached as it is.
    pub(super) known: Instant,
    schedule: Schedule,
    /// Probes that have failed in a row.
    failures: u32,
    version_read: Option<Instant>,
    /// What was last said of it in the log.
    reported: State,
    /// What was last shown of it, digested.
    shown: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Schedule {
    /// Nothing is to be done before something fails.
    Never,
    At(Instant),
    UnderWay,
}

impl Tracked {
    pub(super) fn new(cluster: Arc<Cluster>, config: &HealthConfig) -> Self {
        let probed = !config.interval.is_zero();
        Self {
            cluster,
            recorded: None,
            known: Instant::now(),
            schedule: if probed { Schedule::At(Instant::now()) } else { Schedule::Never },
            failures: 0,
            version_read: None,
            reported: State::Unknown,
            shown: digest(&Condition::default()),
        }
    }

    /// The same member after a change of its Secret; from the beginning if it is reached in another way now.
    pub(super) fn adopt(self, cluster: &Arc<Cluster>, config: &HealthConfig) -> Self {
        let same = match (transport(&self.cluster), transport(cluster)) {
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            _ => false,
        };
        let cluster = Arc::clone(cluster);
        if same {
            Self { cluster, ..self }
        } else {
            Self { recorded: self.recorded, ..Self::new(cluster, config) }
        }
    }

    /// What is known of it.
    pub(super) fn condition(&self) -> Condition {
        transport(&self.cluster).map(|transport| transport.condition()).unwrap_or_default()
    }

    /// Since when it should be probed, if it should.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, Arc<Cluster>)> {
        // What has failed is looked at at once, whatever the interval.
        if self.failures == 0 && self.schedule != Schedule::UnderWay && self.is_in_trouble() {
            self.schedule = Schedule::At(now);
            // From now on the pauses count.
            self.failures = 1;
        }
        match self.schedule {
            Schedule::At(at) if at <= now => Some((at, Arc::clone(&self.cluster))),
            _ => None,
        }
    }

    fn is_in_trouble(&self) -> bool {
        transport(&self.cluster).is_some_and(|transport| transport.consecutive_failures() > 0)
    }

    /// A probe begins. Returns whether it is to ask for the version, too.
    pub(super) fn begin(&mut self, interval: Duration) -> bool {
        self.schedule = Schedule::UnderWay;
        let old = self.version_read.is_none_or(|read| read.elapsed() >= VERSION_AGE);
        !interval.is_zero() && (old || self.failures > 0)
    }

    /// A probe of `cluster` has ended.
    pub(super) fn found(&mut self, cluster: &Arc<Cluster>, finding: Option<Finding>, config: &HealthConfig) {
        let (Some(transport), Some(probed)) = (transport(&self.cluster), transport(cluster)) else { return };
        if !Arc::ptr_eq(transport, probed) {
            // It is reached in another way by now, and has been scheduled anew.
            return;
        }
        let transport = Arc::clone(transport);
        match finding.as_ref().map(|finding| finding.ready.is_ok()) {
            Some(true) => self.failures = 0,
            Some(false) => self.failures = self.failures.saturating_add(1),
            None => {}
        }
        if let Some(finding) = finding.filter(|_| !config.interval.is_zero()) {
            if finding.version.is_some() {
                self.version_read = Some(Instant::now());
            }
            let condition = transport.condition();
            transport.set_condition(next(condition, finding, self.failures, config.failures));
        }
        if config.interval.is_zero() && transport.consecutive_failures() == 0 {
            self.failures = 0;
            self.schedule = Schedule::Never;
            return;
        }
        let pause = match self.failures {
            0 => config.interval,
            failures => (config.look * (1 << (failures - 1).min(8))).min(LONGEST_PAUSE),
        };
        self.schedule = Schedule::At(Instant::now() + jittered(pause));
    }

    /// One line in the log per change. Returns whether anything that is shown of it is another than the last time.
    pub(super) fn report(&mut self) -> bool {
        let condition = self.condition();
        let shown = digest(&condition);
        let differs = std::mem::replace(&mut self.shown, shown) != shown;
        let Condition { state, reason, since, version, .. } = condition;
        let before = std::mem::replace(&mut self.reported, state);
        if before == state {
            return differs;
        }
        let cluster = &self.cluster.name;
        let since = since.and_then(|since| since.elapsed().ok()).map(|ago| ago.as_secs());
        match (before, state) {
            (State::Unknown, State::Healthy) => {
                tracing::debug!(cluster, version, reason, "cluster is healthy")
            }
            (_, State::Healthy | State::Unknown) => {
                tracing::info!(cluster, version, reason, was = before.as_str(), "cluster can be used again");
            }
            (_, State::Unhealthy) => tracing::warn!(
                cluster,
                reason,
                since_seconds = since,
                "cluster is unhealthy; requests are still sent to it"
            ),
            (_, State::Open) => tracing::warn!(
                cluster,
                reason,
                since_seconds = since,
                "cluster cannot be reached; requests are answered 503 at once until a trial succeeds; other clusters \
                 are not affected"
            ),
        }
        differs
    }
}

/// Of everything that is shown but measurements.
fn digest(condition: &Condition) -> u64 {
    let mut hasher = DefaultHasher::new();
    (condition.state, &condition.reason, condition.since, &condition.version).hash(&mut hasher);
    hasher.finish()
}

fn transport(cluster: &Cluster) -> Option<&Arc<Transport>> {
    cluster.upstream.as_ref().ok().map(|Upstream { transport, .. }| transport)
}

/// What is known after a finding.
fn next(before: Condition, finding: Finding, failures: u32, threshold: u32) -> Condition {
    let Finding { ready, latency, version } = finding;
    let (state, reason) = match ready {
        Ok(note) => (State::Healthy, note),
        // The breaker says so as long as it is so; when it closes, nothing is known.
        Err(_) if before.state == State::Open => (State::Unknown, String::new()),
        Err(reason) if failures >= threshold => (State::Unhealthy, reason),
        Err(_) => (before.state, before.reason),
    };
    let now = SystemTime::now();
    let since = if state == before.state { before.since } else { Some(now) };
    let version = version.or(before.version);
    Condition {
        state,
        reason,
        since,
        probed: Some(now),
        latency: latency.or(before.latency),
        latencies: before.latencies.and(latency),
        version,
    }
}

/// A little less or more, so that members probed together do not stay together.
fn jittered(pause: Duration) -> Duration {
    let [byte, ..] = *Uuid::new_v4().as_bytes();
    pause.mul_f64(0.9 + f64::from(byte) / 255.0 * 0.2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{ClusterPolicy, Entry};

    #[test]
    fn what_is_shown_is_told_when_it_is_another_and_what_is_measured_is_not() {
        let secret: Result<k8s_openapi::api::core::v1::Secret, _> = serde_json::from_value(
            serde_json::json!({
                "metadata": {"name": "c", "labels": {"cluster.core.oam.dev/cluster-credential-type": "ServiceAccountToken"}},
                "data": {"endpoint": "aHR0cHM6Ly9o", "token": "dA=="},
            }),
        );
        let cluster = Arc::new(ClusterPolicy::default().read(Entry::from(secret.unwrap()), None));
        let member = transport(&cluster).map(Arc::clone).unwrap();
        let mut tracked = Tracked::new(cluster, &HealthConfig::default());
        assert!(!tracked.report());
        let well = Condition { state: State::Healthy, ..Condition::default() };
        member.set_condition(well.clone());
        assert_eq!([tracked.report(), tracked.report()], [true, false]);
        let latency = Some(Duration::from_millis(1));
        member.set_condition(Condition { latency, latencies: well.latencies.and(latency), ..well.clone() });
        assert!(!tracked.report());
        member.set_condition(Condition { reason: "odd".to_owned(), ..well.clone() });
        assert!(tracked.report(), "the reason alone");
        member.set_condition(Condition { version: Some("v1".to_owned()), reason: "odd".to_owned(), ..well });
        assert!(tracked.report(), "the version alone");
    }
}
