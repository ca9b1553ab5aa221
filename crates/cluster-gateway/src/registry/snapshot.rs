//! All clusters at one moment, and how they came to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Cluster;
use super::history::{History, Numbering, Position, TooOld};

/// All clusters at one moment, sorted by name. Those of which there is only a ManagedCluster are seen by nobody who does
/// not ask for them.
#[derive(Debug, Default)]
pub struct Snapshot {
    clusters: Vec<Arc<Cluster>>,
    version: u64,
    numbering: Numbering,
    history: History,
    superseded: CancellationToken,
}

impl Snapshot {
    /// Builds a snapshot from clusters in any order; of two with one name the later counts. Its version is that of the
    /// latest change of any of them.
    #[must_use]
    pub fn new(clusters: impl IntoIterator<Item = Arc<Cluster>>) -> Self {
        let by_name: BTreeMap<_, _> =
            clusters.into_iter().map(|cluster| (cluster.name.clone(), cluster)).collect();
        let version = by_name.values().map(|cluster| cluster.version).max().unwrap_or_default();
        let mut history = History::default();
        history.gap(version);
        Self {
            clusters: by_name.into_values().collect(),
            version,
            numbering: Numbering::Own,
            history,
            ..Self::default()
        }
    }

    pub(super) fn at_version(
        clusters: Vec<Arc<Cluster>>,
        version: u64,
        numbering: Numbering,
        history: History,
    ) -> Self {
        Self { clusters, version, numbering, history, ..Self::default() }
    }

    /// The registered cluster of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.get_virtual(name).filter(|cluster| cluster.registered)
    }

    /// All registered clusters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.iter_virtual().filter(|cluster| cluster.registered)
    }

    /// The cluster of this name, registered or not: what there is a virtual cluster of (rule 214).
    #[must_use]
    pub fn get_virtual(&self, name: &str) -> Option<&Arc<Cluster>> {
        let index = self.clusters.binary_search_by(|cluster| cluster.name.as_str().cmp(name)).ok()?;
        self.clusters.get(index)
    }

    /// All clusters, registered or not, sorted by name.
    pub fn iter_virtual(&self) -> impl ExactSizeIterator<Item = &Arc<Cluster>> {
        self.clusters.iter()
    }

    /// How many clusters are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The `resourceVersion` of the collection.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The latest changes.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Is cancelled once there is a newer snapshot. It does not keep this one.
    #[must_use]
    pub fn superseded(&self) -> CancellationToken {
        self.superseded.clone()
    }

    pub(super) fn supersede(&self) {
        self.superseded.cancel();
    }

    /// Whether a version that lies ahead can be one that another replica has told of, and will come.
    #[must_use]
    pub fn may_come(&self, version: u64) -> bool {
        version > self.version && self.numbering == Numbering::Hub
    }

    /// Where a watch that knows everything up to `version` goes on. A version of the hub's that lies ahead comes from a
    /// replica that is ahead: nothing was missed.
    ///
    /// # Errors
    /// [`TooOld`]; also for a version that is not of this process' own row, which no other can go on from.
    pub fn follow(&self, version: u64) -> Result<Position, TooOld> {
        let foreign = self.numbering == Numbering::Own
            && version != self.version
            && version != self.history.since()
            && !self.history.knows(version);
        if foreign {
            return Err(TooOld(self.history.since()));
        }
        self.history.after(version)
    }

    /// All clusters, registered or not, as they were at `version`, sorted by name.
    ///
    /// # Errors
    /// As [`Snapshot::follow`]. A version that lies ahead is answered as it is now.
    pub fn at(&self, version: u64) -> Result<Vec<Arc<Cluster>>, TooOld> {
        let behind = self.follow(version)?;
        let changes = self.history.from(behind).ok_or(TooOld(self.history.since()))?;
        // Backwards, so that of several changes of one cluster the first has the last word.
        let mut before: BTreeMap<&str, Option<&Arc<Cluster>>> = BTreeMap::new();
        for change in changes.rev() {
            let either = change.before.as_ref().or(change.after.as_ref());
            if let Some(cluster) = either {
                before.insert(&cluster.name, change.before.as_ref());
            }
        }
        let unchanged = self.clusters.iter().filter(|cluster| !before.contains_key(cluster.name.as_str()));
        let mut clusters: Vec<_> = unchanged.chain(before.values().copied().flatten()).cloned().collect();
        clusters.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(clusters)
    }
}
