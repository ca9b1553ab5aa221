//! Looks after the members: probes them, keeps what it finds with their transports, and has one replica record it in
//! their Secrets (contract rules 126, 180, 211).
//!
//! One task for all clusters. It looks at them every second; how many probes are under way at once, and how many begin
//! per second, is limited, so that ten thousand clusters cost no more than that. A cluster that cannot be probed, or is
//! slow to answer, keeps no other waiting.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::registry::{Cluster, Registry, Sample, Snapshot};

mod probe;
mod readings;
mod record;
mod standing;
mod track;

use probe::Finding;
pub(crate) use probe::probe;
pub use readings::readings;
pub use record::HealthRecorder;
pub use standing::{Standing, Status};
use track::Tracked;

/// Name of the Lease that says which replica records health. It lies in the gateway's own namespace;
/// outside of a cluster, in that of the credential Secrets.
pub const HEALTH_LEASE: &str = "cluster-gateway-health";

/// Probes under way at once.
const MOST_PROBES: usize = 64;
/// Probes that begin per look.
const MOST_PER_LOOK: usize = 50;

/// How members are looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// Time between two probes of a member that is well (`--health-probe-interval`). Zero: only members are probed to
    /// which connections fail, until they can be reached again. Default zero.
    pub interval: Duration,
    /// How long a probe may take. Default 5 s.
    pub timeout: Duration,
    /// Probes that must fail in a row before a member counts as unhealthy. Default 3.
    pub failures: u32,
    /// Time between two looks at the clusters, and before a failed probe is repeated for the first time. Default 1 s.
    pub look: Duration,
    /// How old the recorded time of the last probe may become before it is written anew. Default 10 min.
    pub record_age: Duration,
    /// How long a cluster must have been known as it is before its health is recorded. Whoever registers one reads its Secret and
    /// writes it back (`vela cluster join` notes the version there), and would fail if somebody wrote in between. Default 5 s.
    pub settle: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            interval: Duration::ZERO,
            timeout: Duration::from_secs(5),
            failures: 3,
            look: Duration::from_secs(1),
            record_age: Duration::from_secs(600),
            settle: Duration::from_secs(5),
        }
    }
}

/// Looks after all members.
#[derive(Debug)]
pub struct Monitor {
    registry: Arc<Registry>,
    config: HealthConfig,
    recorder: Option<HealthRecorder>,
    seen: Arc<Snapshot>,
    members: BTreeMap<String, Tracked>,
    probes: JoinSet<(Arc<Cluster>, Option<Finding>)>,
    /// What was measured since the last look; empty while nobody listens.
    samples: Vec<Sample>,
}

impl Monitor {
    /// A monitor of the clusters in `registry`. What it finds is recorded by `recorder`, if there is one.
    #[must_use]
    pub fn new(registry: Arc<Registry>, config: HealthConfig, recorder: Option<HealthRecorder>) -> Self {
        Self {
            registry,
            config,
            recorder,
            seen: Arc::default(),
            members: BTreeMap::new(),
            probes: JoinSet::new(),
            samples: Vec::new(),
        }
    }

    /// Looks after them, for ever.
    pub async fn run(mut self) {
        let mut look = tokio::time::interval(self.config.look);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.look(),
                Some(probed) = self.probes.join_next() => {
                    // A probe that panicked is one that was not made.
                    if let Ok((cluster, finding)) = probed {
                        self.found(&cluster, finding);
                    }
                }
            }
        }
    }

    fn look(&mut self) {
        self.adopt();
        let now = Instant::now();
        let mut due: Vec<_> = self.members.values_mut().filter_map(|member| member.due(now)).collect();
        due.sort_by_key(|(since, _)| *since);
        let room = MOST_PROBES.saturating_sub(self.probes.len()).min(MOST_PER_LOOK);
        let begin: Vec<_> = due.into_iter().take(room).map(|(_, cluster)| cluster).collect();
        for cluster in begin {
            self.probe(cluster);
        }
        let others = self.members.values_mut().filter_map(|member| {
            let differs = member.report();
            differs.then(|| member.cluster.name.clone())
        });
        self.registry.learnt(others.collect::<Vec<_>>());
        if !self.samples.is_empty() {
            self.registry.measured(std::mem::take(&mut self.samples));
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.look(&self.config, self.members.values_mut());
        }
    }

    /// Takes over what has changed in the registry.
    fn adopt(&mut self) {
        let snapshot = self.registry.snapshot();
        if Arc::ptr_eq(&snapshot, &self.seen) {
            return;
        }
        let mut known = std::mem::take(&mut self.members);
        for cluster in snapshot.iter().filter(|cluster| cluster.upstream.is_ok()) {
            let member = match known.remove(&cluster.name) {
                Some(member) => member.adopt(cluster, &self.config),
                None => Tracked::new(Arc::clone(cluster), &self.config),
            };
            self.members.insert(cluster.name.clone(), member);
        }
        self.seen = snapshot;
    }

    fn probe(&mut self, cluster: Arc<Cluster>) {
        let Some(member) = self.members.get_mut(&cluster.name) else { return };
        let version = member.begin(self.config.interval);
        let limit = self.config.timeout;
        self.probes.spawn(async move {
            let finding = match &cluster.upstream {
                Ok(upstream) => probe::probe(upstream, limit, version).await,
                Err(_) => None,
            };
            (cluster, finding)
        });
    }

    fn found(&mut self, cluster: &Arc<Cluster>, finding: Option<Finding>) {
        if let Some(finding) = &finding
            && !self.config.interval.is_zero()
            && self.registry.has_listeners()
        {
            self.samples.push(Sample { cluster: cluster.name.clone(), latency: finding.latency });
        }
        if let Some(member) = self.members.get_mut(&cluster.name) {
            member.found(cluster, finding, &self.config);
        }
    }
}
