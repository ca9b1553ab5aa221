//! ManagedClusters in the index: kept beside the clusters, and joined with those of their name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::{Cluster, Entry, ManagedCluster};
use super::Index;
use super::versions::At;

/// What is known of the hub's ManagedClusters, and what it takes to read a cluster again when its own changes.
#[derive(Debug)]
pub(super) struct Managed {
    clusters: BTreeMap<String, Arc<ManagedCluster>>,
    /// Whether they have a say in how every cluster is reached.
    merge: bool,
    /// Whether they have been read, or there can be none. Nobody waits for it unless they are merged.
    known: bool,
    /// The clusters in which a ManagedCluster has a say, as their Secrets describe them.
    entries: BTreeMap<String, Entry>,
}

impl Managed {
    pub(super) fn new(merge: bool) -> Self {
        Self { clusters: BTreeMap::new(), merge, known: !merge, entries: BTreeMap::new() }
    }

    /// Adds the ManagedCluster of its name to what a source says. `None`: it has to wait until those are known.
    pub(super) fn join(&mut self, entry: Entry) -> Option<Entry> {
        let name = entry.secret.metadata.name.clone().unwrap_or_default();
        if !self.merge && entry.names_endpoint() {
            self.entries.remove(&name);
            return Some(entry);
        }
        let entry = slim(entry);
        let managed_cluster = self.clusters.get(&name).cloned();
        self.entries.insert(name, entry.clone());
        self.known.then_some(Entry { managed_cluster, ..entry })
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.entries.remove(name);
    }

    pub(super) fn retain(&mut self, kept: impl Fn(&String) -> bool) {
        self.entries.retain(|name, _| kept(name));
    }

    /// Whether clusters may be shown and used.
    pub(super) fn known(&self) -> bool {
        self.known
    }

    /// Returns whether anything changed that the gateway uses.
    fn put(&mut self, managed: ManagedCluster) -> bool {
        if self.clusters.get(&managed.name).is_some_and(|known| known.says_the_same(&managed)) {
            return false;
        }
        self.clusters.insert(managed.name.clone(), Arc::new(managed));
        true
    }

    /// The cluster of this name as it is to be read now.
    pub(super) fn entry(&self, name: &str) -> Option<Entry> {
        let managed_cluster = self.clusters.get(name).cloned();
        Some(Entry { managed_cluster, ..self.entries.get(name)?.clone() })
    }
}

impl Index {
    /// A ManagedCluster was created or changed. Not visible before [`Index::publish`]; returns whether there is anything
    /// to publish.
    pub fn apply_managed(&mut self, managed: ManagedCluster) -> bool {
        let name = managed.name.clone();
        let changed = self.managed.put(managed);
        if changed {
            self.versions.leave_hub();
            self.join_again(&name);
        }
        changed
    }

    /// A ManagedCluster is gone. Returns as [`Index::apply_managed`] does.
    pub fn delete_managed(&mut self, name: &str) -> bool {
        let changed = self.managed.clusters.remove(name).is_some();
        if changed {
            self.join_again(name);
        }
        changed
    }

    /// All ManagedClusters were read anew, or there are none: those not in `all` are gone. Visible at once.
    ///
    /// Where they are merged, no cluster is visible before this has been called for the first time: until then nobody
    /// knows which of them the hub does not accept.
    pub fn reset_managed(&mut self, all: Vec<ManagedCluster>) {
        self.managed.known = true;
        let names: BTreeSet<_> = all.iter().map(|managed| managed.name.as_str()).collect();
        let gone = self.managed.clusters.keys().filter(|name| !names.contains(name.as_str()));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.delete_managed(&name);
        }
        for managed in all {
            self.apply_managed(managed);
        }
        let waiting = self.managed.entries.keys().filter(|name| !self.is_registered(name));
        for name in waiting.cloned().collect::<Vec<_>>() {
            self.join_again(&name);
        }
        self.publish();
    }

    /// Whether any ManagedCluster is known.
    pub(in super::super) fn knows_managed(&self) -> bool {
        !self.managed.clusters.is_empty()
    }

    /// In the place of a cluster that has no Secret stands its ManagedCluster, if that names an address (rule 214).
    pub(super) fn stand_in(&mut self, name: &str, at: At) {
        match self.managed.clusters.get(name).filter(|managed| managed.has_address()) {
            Some(managed) => self.put(Cluster::unregistered(Arc::clone(managed)), at),
            None => {
                if let Some(before) = self.clusters.remove(name) {
                    self.record(at, Some(before), None);
                }
            }
        }
    }

    fn join_again(&mut self, name: &str) {
        let Some(entry) = self.managed.entry(name) else {
            if !self.is_registered(name) {
                let at = self.versions.next_own(self.versions.current());
                self.stand_in(name, at);
            }
            return;
        };
        let usable = |cluster: &&Arc<Cluster>| cluster.upstream.is_ok();
        let before = self.clusters.get(name).filter(usable).map(|cluster| cluster.address.clone());
        let cluster = self.read(entry);
        let at = self.versions.next_own(cluster.version);
        self.put(cluster, at);
        let Some(cluster) = self.clusters.get(name).filter(usable) else { return };
        if before.is_some_and(|before| before != cluster.address) {
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
