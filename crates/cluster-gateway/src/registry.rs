//! Which clusters exist: a source of Secrets, turned into immutable snapshots behind one pointer.
//!
//! One task writes; readers take no lock. A snapshot is never modified. An entry that cannot be used is kept with the
//! reason, so it can be shown, and hurts no other entry. A broken watch leaves the last snapshot in force.

mod cluster;
mod parse;
mod source;

pub use cluster::{Cluster, Unusable, Upstream};

use std::collections::BTreeMap;
use std::sync::Arc;

/// The clusters at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    clusters: BTreeMap<String, Arc<Cluster>>,
    resource_version: String,
}

impl Snapshot {
    /// A snapshot of these clusters.
    #[must_use]
    pub fn new(clusters: impl IntoIterator<Item = Cluster>, resource_version: &str) -> Self {
        let clusters =
            clusters.into_iter().map(|cluster| (cluster.name.clone(), Arc::new(cluster))).collect();
        Self { clusters, resource_version: resource_version.to_owned() }
    }

    /// The cluster of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.clusters.get(name)
    }

    /// All clusters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.clusters.values()
    }

    /// Version of the collection.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }
}
