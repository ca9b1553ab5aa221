//! Everything read anew, beside what is in force until it is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::{Cluster, Entry, Numbering};
use super::Index;
use super::versions::At;

/// All clusters of a source, while they are being read anew.
#[derive(Debug, Default)]
pub struct Listing {
    changed: BTreeMap<String, Arc<Cluster>>,
    /// Those that are as they were, or have to wait until it is known whether the hub accepts them.
    others: BTreeSet<String>,
}

impl Index {
    /// One of the clusters of a source that is being read anew. Nothing becomes visible yet.
    pub fn list(&mut self, listing: &mut Listing, entry: impl Into<Entry>) {
        let entry = entry.into();
        let name = entry.secret.metadata.name.clone().unwrap_or_default();
        let joined = if self.unchanged(&entry.secret) { None } else { self.managed.join(entry) };
        match joined {
            Some(entry) => drop(listing.changed.insert(name, Arc::new(self.read(entry)))),
            None => drop(listing.others.insert(name)),
        }
    }

    /// Everything was read anew: clusters that are not in `listing` are gone. `resource_version` is that of the hub's
    /// list; without one the versions are this process' own. Visible at once.
    pub fn replace(&mut self, listing: Listing, resource_version: Option<&str>) {
        let before = self.versions.current();
        let goes_on = self.versions.listed(resource_version);
        self.take(listing, before);
        self.complete = true;
        // Not before the changes are numbered: they are older than the list.
        self.versions.advance(resource_version.unwrap_or_default());
        let now = self.versions.current();
        if !goes_on {
            self.history.restart(now);
        } else if self.versions.numbering() == Numbering::Hub && now > before {
            // What came and went between the two lists is not known.
            self.history.gap(now);
        }
        self.publish();
    }

    /// [`Index::replace`] by clusters that no API server keeps.
    pub fn reset<E: Into<Entry>>(&mut self, entries: Vec<E>) {
        let mut listing = Listing::default();
        for entry in entries {
            self.list(&mut listing, entry);
        }
        self.replace(listing, None);
    }

    /// Removals come first, and a client that has seen one of them goes on from before all of them: when they happened
    /// is not known, and a replica that knows tells it again.
    fn take(&mut self, listing: Listing, before: u64) {
        let kept = |name: &String| listing.others.contains(name) || listing.changed.contains_key(name);
        let replaced = |old: &Cluster| listing.changed.get(&old.name).is_some_and(|new| new.uid != old.uid);
        let registered = self.clusters.iter().filter(|(_, cluster)| cluster.registered);
        let gone = registered.filter(|(name, cluster)| !kept(name) || replaced(cluster));
        for (name, replaced) in gone.map(|(name, _)| (name.clone(), kept(name))).collect::<Vec<_>>() {
            let at = self.removal(before);
            if replaced { self.stand_in(&name, at) } else { self.unregister(&name, at) }
        }
        self.managed.retain(kept);
        let mut changed: Vec<_> = listing.changed.into_values().collect();
        changed.sort_by_key(|cluster| cluster.version);
        for cluster in changed {
            let at = self.versions.next_own(cluster.version);
            let cluster = self.joined(cluster);
            self.put(cluster, at);
        }
    }

    /// When a removal happened that the hub did not tell of.
    fn removal(&mut self, before: u64) -> At {
        match self.versions.listed_at() {
            Some(version) => At { version, resume: before },
            None => self.versions.next(""),
        }
    }

    /// The cluster with the ManagedCluster of now: another may have come while the list was read.
    fn joined(&self, cluster: Arc<Cluster>) -> Arc<Cluster> {
        let pointer = |cluster: &Option<Arc<_>>| cluster.as_ref().map(Arc::as_ptr);
        match self.managed.entry(&cluster.name) {
            Some(entry) if pointer(&entry.managed_cluster) != pointer(&cluster.managed_cluster) => {
                Arc::new(self.read(entry))
            }
            _ => cluster,
        }
    }
}
