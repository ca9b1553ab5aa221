//! All clusters at one moment, and how they came to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Cluster;
use super::history::{History, Numbering, Position, TooOld};

/// All clusters at one moment, sorted by name.
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

    /// The cluster of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Cluster>> {
        let index = self.clusters.binary_search_by(|cluster| cluster.name.as_str().cmp(name)).ok()?;
        self.clusters.get(index)
    }

    /// All clusters, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Cluster>> {
        self.clusters.iter()
    }

    /// How many clusters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clusters.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clusters.is_empty()
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

    /// Where a watch that knows everything up to `version` goes on. A version of the hub's that lies ahead comes from a
    /// replica that is ahead: nothing was missed.
    ///
    /// # Errors
    /// [`TooOld`]; also for a version ahead of this process' own row, which can only be of an earlier process.
    pub fn follow(&self, version: u64) -> Result<Position, TooOld> {
        if version > self.version && self.numbering == Numbering::Own {
            return Err(TooOld(self.version));
        }
        self.history.after(version)
    }

    /// The clusters as they were at `version`, sorted by name.
    ///
    /// # Errors
    /// [`TooOld`]. A version that lies ahead is answered as it is now.
    pub fn at(&self, version: u64) -> Result<Vec<Arc<Cluster>>, TooOld> {
        let behind = self.history.after(version)?;
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
