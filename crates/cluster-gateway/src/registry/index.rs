//! The writer's side of the registry: plain data that events are applied to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use k8s_openapi::api::core::v1::Secret;

use super::history::{Change, History, Numbering};
use super::{Cluster, ClusterPolicy, Entry, Registry, Snapshot, Unusable};

/// All clusters by name, with what is needed to read the next Secret.
#[derive(Debug)]
pub struct Index {
    registry: Arc<Registry>,
    policy: ClusterPolicy,
    clusters: BTreeMap<String, Arc<Cluster>>,
    /// Version of the collection.
    version: u64,
    numbering: Numbering,
    history: History,
}

/// All clusters of a source, while they are being read anew.
#[derive(Debug, Default)]
pub struct Listing {
    changed: BTreeMap<String, Arc<Cluster>>,
    unchanged: BTreeSet<String>,
}

/// When a change took effect, and from where a client that has seen it may go on.
#[derive(Clone, Copy)]
struct At {
    version: u64,
    resume: u64,
}

impl Index {
    /// An index that publishes to `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>, policy: ClusterPolicy) -> Self {
        let (clusters, history) = Default::default();
        Self { registry, policy, clusters, version: 0, numbering: Numbering::Own, history }
    }

    /// A Secret was created or changed. Not visible before [`Index::publish`].
    pub fn apply(&mut self, entry: impl Into<Entry>) {
        let cluster = self.read(entry.into());
        let at = self.next(&cluster.resource_version);
        self.put(cluster, at);
    }

    /// A Secret is gone, at this `resourceVersion`. Not visible before [`Index::publish`].
    pub fn delete(&mut self, name: &str, resource_version: &str) {
        let at = self.next(resource_version);
        self.remove(name, at);
    }

    /// The source has come to this `resourceVersion`, with no change. Not visible before [`Index::publish`].
    pub fn advance(&mut self, resource_version: &str) {
        if self.numbering == Numbering::Hub {
            self.next(resource_version);
        }
    }

    /// One of the clusters of a source that is being read anew. Nothing happens to the index yet.
    pub fn list(&self, listing: &mut Listing, entry: impl Into<Entry>) {
        let entry = entry.into();
        if self.unchanged(&entry.secret) {
            listing.unchanged.extend(entry.secret.metadata.name);
        } else {
            let cluster = self.read(entry);
            listing.changed.insert(cluster.name.clone(), Arc::new(cluster));
        }
    }

    /// Everything was read anew: clusters that are not in `listing` are gone. `resource_version` is that of the hub's
    /// list; without one the versions are this process' own. Visible at once.
    pub fn replace(&mut self, listing: Listing, resource_version: Option<&str>) {
        let before = self.version;
        let of_hub: Option<u64> = resource_version.and_then(|version| version.parse().ok());
        let numbering = if of_hub.is_some() { Numbering::Hub } else { Numbering::Own };
        let goes_on = self.registry.synced()
            && numbering == self.numbering
            && of_hub.is_none_or(|version| version >= before);
        self.numbering = numbering;
        self.take(listing, of_hub);
        self.version = of_hub.unwrap_or(self.version);
        match of_hub {
            // What came and went between the two lists is not known.
            Some(version) if goes_on && version > before => self.history.gap(version),
            _ if goes_on => {}
            _ => self.history.restart(self.version),
        }
        self.publish();
        self.registry.set_synced();
    }

    /// [`Index::replace`] by clusters that no API server keeps.
    pub fn reset<E: Into<Entry>>(&mut self, entries: Vec<E>) {
        let mut listing = Listing::default();
        for entry in entries {
            self.list(&mut listing, entry);
        }
        self.replace(listing, None);
    }

    /// Makes everything applied so far visible at once.
    pub fn publish(&self) {
        let clusters = self.clusters.values().cloned().collect();
        let history = self.history.clone();
        self.registry.publish(Snapshot::at_version(clusters, self.version, self.numbering, history));
    }

    /// Removals come first, and a client that has seen one of them goes on from before all of them: when they happened
    /// is not known, and a replica that knows tells it again.
    fn take(&mut self, listing: Listing, of_hub: Option<u64>) {
        let before = self.version;
        let replaced = |cluster: &Cluster| {
            listing.changed.get(&cluster.name).map(|new| new.uid != cluster.uid).unwrap_or_default()
        };
        let kept = |name: &String| listing.unchanged.contains(name) || listing.changed.contains_key(name);
        let gone: Vec<_> = self
            .clusters
            .iter()
            .filter(|(name, cluster)| !kept(name) || replaced(cluster))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            let at = match of_hub {
                Some(version) => At { version, resume: before },
                None => self.next(""),
            };
            self.remove(&name, at);
        }
        let mut changed: Vec<_> = listing.changed.into_values().collect();
        changed.sort_by_key(|cluster| cluster.version);
        for cluster in changed {
            let at = match of_hub {
                Some(_) => At { version: cluster.version, resume: cluster.version },
                None => self.next(""),
            };
            self.put(cluster, at);
        }
    }

    fn read(&self, entry: Entry) -> Cluster {
        let name = entry.secret.metadata.name.as_deref().unwrap_or_default();
        let previous = self.clusters.get(name).map(AsRef::as_ref);
        self.policy.read(entry, previous)
    }

    /// The version of the next change: the hub's, or one more. Own versions start from the time, so that those of an
    /// earlier process are smaller.
    fn next(&mut self, resource_version: &str) -> At {
        self.version = match self.numbering {
            // A version that is no number, or goes back, must not stop the row.
            Numbering::Hub => resource_version.parse().unwrap_or(self.version + 1).max(self.version),
            Numbering::Own => microseconds().max(self.version + 1),
        };
        At { version: self.version, resume: self.version }
    }

    fn put(&mut self, cluster: impl Into<Arc<Cluster>>, at: At) {
        let mut cluster = cluster.into();
        if let Some(cluster) = Arc::get_mut(&mut cluster) {
            cluster.version = at.version;
        }
        let before = self.clusters.insert(cluster.name.clone(), Arc::clone(&cluster));
        report(&cluster, before.as_deref());
        self.record(at, before, Some(cluster));
    }

    fn remove(&mut self, name: &str, at: At) {
        if let Some(before) = self.clusters.remove(name) {
            tracing::info!(cluster = name, "cluster removed");
            self.record(at, Some(before), None);
        }
    }

    /// What was there from the beginning is no change.
    fn record(&mut self, at: At, before: Option<Arc<Cluster>>, after: Option<Arc<Cluster>>) {
        if self.registry.synced() {
            self.history.push(Change { version: at.version, resume: at.resume, before, after });
        }
    }

    fn unchanged(&self, secret: &Secret) -> bool {
        let metadata = &secret.metadata;
        let known = metadata.name.as_ref().and_then(|name| self.clusters.get(name));
        known.is_some_and(|cluster| {
            metadata.resource_version.as_deref() == Some(cluster.resource_version.as_str())
                && metadata.uid.as_deref() == Some(cluster.uid.as_str())
        })
    }
}

fn microseconds() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX / 2)
}

/// One line per cluster that changes between usable and not, or between reasons.
fn report(cluster: &Cluster, previous: Option<&Cluster>) {
    let reason = |cluster: &Cluster| cluster.upstream.as_ref().err().map(|Unusable(reason)| reason.clone());
    if let Err(error) = &cluster.identity_rules
        && previous.is_none_or(|previous| previous.identity_rules.as_ref().err() != Some(error))
    {
        tracing::warn!(
            cluster = cluster.name,
            %error,
            "the identity rules of this cluster are refused; it is closed to requests that pass an identity on"
        );
    }
    let before = previous.map(reason);
    let now = reason(cluster);
    if before.as_ref() == Some(&now) {
        return;
    }
    match now {
        Some(reason) => tracing::warn!(
            cluster = cluster.name,
            reason,
            "cluster cannot be used; other clusters are not affected; mend its Secret or file"
        ),
        None => tracing::info!(cluster = cluster.name, endpoint = cluster.address, "cluster ready for use"),
    }
    if cluster.upstream.as_ref().is_ok_and(|upstream| upstream.insecure) {
        tracing::warn!(
            cluster = cluster.name,
            "the certificate of this cluster is NOT verified, as its Secret or file asks"
        );
    }
}
