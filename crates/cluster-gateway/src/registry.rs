//! Which clusters exist: a source of Secrets (the hub, or a directory), turned into immutable snapshots behind one pointer.
//!
//! One task writes, also where it follows two kinds of objects; readers take no lock. A snapshot is never modified. An entry that cannot be used is kept with the
//! reason, so that it can be shown, and hurts no other entry. A broken watch leaves the last snapshot in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

mod cluster;
mod credentials;
mod data;
mod directory;
mod entry;
mod history;
mod index;
mod managed_cluster;
mod news;
mod ocm;
mod parse;
mod proxy_environment;
mod proxy_url;
mod snapshot;
mod source;
mod upstream;

pub use cluster::{Cluster, Unusable};
pub use directory::{ClustersDirectory, Contexts, DirectorySource, name_of, secret_of_kubeconfig};
pub use entry::Entry;
pub use history::{Change, History, Numbering, Position, TooOld};
pub use index::{Index, Listing};
pub use managed_cluster::{ClientConfig, ManagedCluster, ManagedClusterSpec};
pub use news::{Changes, Generation, NoGeneration, Sample};
pub use ocm::ManagedClusterSource;
pub use parse::ClusterPolicy;
pub use proxy_environment::ProxyEnvironment;
pub use snapshot::Snapshot;
pub use source::SecretSource;
pub use upstream::{Certified, Upstream, Way};

use crate::status::Error;

/// The clusters, as everybody but the writer sees them.
#[derive(Debug, Default)]
pub struct Registry {
    snapshot: ArcSwap<Snapshot>,
    synced: AtomicBool,
    news: news::News,
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
        self.snapshot.swap(Arc::new(snapshot)).supersede();
    }

    fn set_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
