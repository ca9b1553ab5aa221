//! Which clusters exist: a source of Secrets (the hub, or a directory), turned into immutable snapshots behind one pointer.
//!
//! One task writes, also where it follows two kinds of objects; readers take no lock. A snapshot is never modified. An entry that cannot be used is kept with the
//! reason, so that it can be shown, and hurts no other entry. A broken watch leaves the last snapshot in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

mod cluster;
mod data;
mod directory;
mod entry;
mod index;
mod managed_cluster;
mod ocm;
mod parse;
mod proxy_environment;
mod proxy_url;
mod source;
mod upstream;

pub use cluster::{Cluster, Unusable};
pub use directory::{ClustersDirectory, Contexts, DirectorySource};
pub use entry::Entry;
pub use index::Index;
pub use managed_cluster::{ClientConfig, ManagedCluster, ManagedClusterSpec};
pub use ocm::ManagedClusterSource;
pub use parse::ClusterPolicy;
pub use proxy_environment::ProxyEnvironment;
pub use source::SecretSource;
pub use upstream::{Certified, Upstream, Way};

use crate::status::Error;

/// The clusters, as everybody but the writer sees them.
#[derive(Debug, Default)]
pub struct Registry {
    snapshot: ArcSwap<Snapshot>,
    synced: AtomicBool,
}

/// All clusters at one moment, sorted by name. Those of which there is only a ManagedCluster are seen by nobody who does
/// not ask for them.
#[derive(Debug, Default)]
pub struct Snapshot {
    clusters: Vec<Arc<Cluster>>,
}

impl Registry {
    /// The clusters now. Cheap; keep it only as long as one request lasts.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// One cluster.
    ///
    /// # Errors
    /// [`Error::NoSuchCluster`] only if none of that name is registered (contract rule 178); while the clusters have
    /// not been read yet, [`Error::NotSynced`].
    pub fn get(&self, name: &str) -> Result<Arc<Cluster>, Error> {
        if let Some(cluster) = self.snapshot.load().get(name) {
            return Ok(Arc::clone(cluster));
        }
        if self.synced() {
            return Err(Error::NoSuchCluster(name.to_owned()));
        }
        Err(Error::NotSynced)
    }

    /// Whether the clusters have been read completely at least once.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    fn set_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }
}

impl Snapshot {
    /// Builds a snapshot from clusters in any order; of two with one name the later counts.
    #[must_use]
    pub fn new(clusters: impl IntoIterator<Item = Arc<Cluster>>) -> Self {
        let by_name: std::collections::BTreeMap<_, _> =
            clusters.into_iter().map(|cluster| (cluster.name.clone(), cluster)).collect();
        Self { clusters: by_name.into_values().collect() }
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
    pub fn iter_virtual(&self) -> impl Iterator<Item = &Arc<Cluster>> {
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
}

#[cfg(test)]
mod tests;
