//! ManagedClusters in the index: kept beside the clusters, and laid over those of their name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::{Entry, ManagedCluster};
use super::Index;

/// What is known of the hub's ManagedClusters, and what it takes to read a cluster again when its own changes.
#[derive(Debug, Default)]
pub(super) struct Managed {
    clusters: BTreeMap<String, Arc<ManagedCluster>>,
    /// All of `clusters`, unless one has changed since.
    published: Option<Arc<[Arc<ManagedCluster>]>>,
    merged: Option<Merged>,
}

/// There only with `--ocm-integration`: it holds every Secret a second time.
#[derive(Debug, Default)]
struct Merged {
    /// Whether the ManagedClusters have been read, or there can be none.
    known: bool,
    /// The clusters as their Secrets describe them.
    entries: BTreeMap<String, Entry>,
}

impl Managed {
    /// Adds the ManagedCluster of its name to what a source says. `None`: it has to wait until those are known.
    pub(super) fn join(&mut self, entry: Entry) -> Option<Entry> {
        let Some(merged) = &mut self.merged else { return Some(entry) };
        let entry = slim(entry);
        let name = entry.secret.metadata.name.clone().unwrap_or_default();
        let managed_cluster = self.clusters.get(&name).cloned();
        merged.entries.insert(name, entry.clone());
        merged.known.then_some(Entry { managed_cluster, ..entry })
    }

    pub(super) fn forget(&mut self, name: &str) {
        if let Some(merged) = &mut self.merged {
            merged.entries.remove(name);
        }
    }

    pub(super) fn retain(&mut self, names: &BTreeSet<String>) {
        if let Some(merged) = &mut self.merged {
            merged.entries.retain(|name, _| names.contains(name));
        }
    }

    /// Whether clusters may be shown and used.
    pub(super) fn known(&self) -> bool {
        self.merged.as_ref().is_none_or(|merged| merged.known)
    }

    pub(super) fn snapshot(&mut self) -> Arc<[Arc<ManagedCluster>]> {
        Arc::clone(self.published.get_or_insert_with(|| self.clusters.values().cloned().collect()))
    }

    /// Returns whether anything changed that the gateway uses.
    fn put(&mut self, managed: ManagedCluster) -> bool {
        if self.clusters.get(&managed.name).is_some_and(|known| known.says_the_same(&managed)) {
            return false;
        }
        self.clusters.insert(managed.name.clone(), Arc::new(managed));
        self.published = None;
        true
    }

    fn remove(&mut self, name: &str) -> bool {
        let removed = self.clusters.remove(name).is_some();
        if removed {
            self.published = None;
        }
        removed
    }

    /// The cluster of this name as it is to be read now.
    fn entry(&self, name: &str) -> Option<Entry> {
        let merged = self.merged.as_ref().filter(|merged| merged.known)?;
        let managed_cluster = self.clusters.get(name).cloned();
        Some(Entry { managed_cluster, ..merged.entries.get(name)?.clone() })
    }
}

impl Index {
    /// Takes endpoint and CA of every cluster from the ManagedCluster of its name (rules 247, 248). No cluster is
    /// visible before [`Index::reset_managed`] has said which ManagedClusters there are: until then nobody knows which of
    /// them the hub does not accept.
    #[must_use]
    pub fn merging_managed_clusters(mut self) -> Self {
        self.managed.merged = Some(Merged::default());
        self
    }

    /// A ManagedCluster was created or changed. Not visible before [`Index::publish`]; returns whether there is anything
    /// to publish.
    pub fn apply_managed(&mut self, managed: ManagedCluster) -> bool {
        let name = managed.name.clone();
        let changed = self.managed.put(managed);
        if changed {
            self.read_again(&name);
        }
        changed
    }

    /// A ManagedCluster is gone. Returns as [`Index::apply_managed`] does.
    pub fn delete_managed(&mut self, name: &str) -> bool {
        let changed = self.managed.remove(name);
        if changed {
            self.read_again(name);
        }
        changed
    }

    /// All ManagedClusters were read anew, or there are none: those not in `all` are gone. Visible at once.
    pub fn reset_managed(&mut self, all: Vec<ManagedCluster>) {
        let names: BTreeSet<_> = all.iter().map(|managed| managed.name.as_str()).collect();
        let gone = self.managed.clusters.keys().filter(|name| !names.contains(name.as_str()));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.delete_managed(&name);
        }
        for managed in all {
            self.apply_managed(managed);
        }
        if let Some(merged) = self.managed.merged.as_mut().filter(|merged| !merged.known) {
            merged.known = true;
            let waiting: Vec<_> = merged.entries.keys().cloned().collect();
            waiting.iter().for_each(|name| self.read_again(name));
        }
        self.publish();
    }

    /// Whether any ManagedCluster is known.
    pub(in super::super) fn knows_managed(&self) -> bool {
        !self.managed.clusters.is_empty()
    }

    fn read_again(&mut self, name: &str) {
        let Some(entry) = self.managed.entry(name) else { return };
        let before = self.clusters.get(name).map(|cluster| cluster.address.clone());
        self.read(entry);
        let Some(cluster) = self.clusters.get(name) else { return };
        if cluster.upstream.is_ok() && before.is_some_and(|before| before != cluster.address) {
            let source = if cluster.managed_cluster.is_some() { "ManagedCluster" } else { "Secret" };
            tracing::info!(
                cluster = name,
                endpoint = cluster.address,
                source,
                "cluster has another endpoint"
            );
        }
    }
}

/// Drops what is never read: it can be as large as the rest.
fn slim(mut entry: Entry) -> Entry {
    let metadata = &mut entry.secret.metadata;
    metadata.managed_fields = None;
    metadata.annotations = metadata.annotations.take().map(super::super::parse::own);
    entry
}
