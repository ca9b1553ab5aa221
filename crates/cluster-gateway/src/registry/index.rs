//! The writer's side of the registry: plain data that events are applied to.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;

use super::history::{Change, History};
use super::{Cluster, ClusterPolicy, Entry, Registry, Snapshot, Unusable};

mod listing;
mod managed;
mod versions;

pub use listing::Listing;
use managed::Managed;
use versions::{At, Versions};

/// All clusters by name, with what is needed to read the next Secret.
#[derive(Debug)]
pub struct Index {
    registry: Arc<Registry>,
    policy: ClusterPolicy,
    clusters: BTreeMap<String, Arc<Cluster>>,
    managed: Managed,
    /// Whether the Secrets have been read completely.
    complete: bool,
    versions: Versions,
    history: History,
}

impl Index {
    /// An index that publishes to `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>, policy: ClusterPolicy) -> Self {
        let managed = Managed::new(policy.merge_managed_clusters);
        let (clusters, versions, history) = Default::default();
        Self { registry, policy, clusters, managed, complete: false, versions, history }
    }

    /// A Secret was created or changed. Not visible before [`Index::publish`].
    pub fn apply(&mut self, entry: impl Into<Entry>) {
        let entry = entry.into();
        let at = self.versions.next(entry.secret.metadata.resource_version.as_deref().unwrap_or_default());
        if let Some(entry) = self.managed.join(entry) {
            let cluster = self.read(entry);
            self.put(cluster, at);
        }
    }

    /// A Secret is gone, at this `resourceVersion`. Not visible before [`Index::publish`].
    pub fn delete(&mut self, name: &str, resource_version: &str) {
        let at = self.versions.next(resource_version);
        self.unregister(name, at);
    }

    /// The source has come to this `resourceVersion`, with no change. Not visible before [`Index::publish`].
    pub fn advance(&mut self, resource_version: &str) {
        self.versions.advance(resource_version);
    }

    /// Makes everything applied so far visible at once; as long as it is not known which clusters the hub accepts,
    /// nothing (rule 248).
    pub fn publish(&mut self) {
        if !self.managed.known() {
            return;
        }
        if self.versions.settle() || !self.registry.synced() {
            self.history.restart(self.versions.current());
        }
        self.registry.publish(Snapshot::at_version(
            self.clusters.values().cloned().collect(),
            self.versions.current(),
            self.versions.numbering(),
            self.history.clone(),
        ));
        if self.complete {
            self.report_beginning();
            self.registry.set_synced();
        }
    }

    fn report_beginning(&self) {
        if self.registry.synced() {
            return;
        }
        let registered = self.clusters.values().filter(|cluster| cluster.registered);
        let (usable, unusable): (Vec<_>, Vec<_>) = registered.partition(|cluster| cluster.upstream.is_ok());
        tracing::info!(usable = usable.len(), unusable = unusable.len(), "the clusters have been read");
    }

    fn read(&self, entry: Entry) -> Cluster {
        let name = entry.secret.metadata.name.as_deref().unwrap_or_default();
        let previous = self.clusters.get(name).map(AsRef::as_ref);
        self.policy.read(entry, previous)
    }

    fn put(&mut self, cluster: impl Into<Arc<Cluster>>, at: At) {
        let mut cluster = cluster.into();
        if let Some(cluster) = Arc::get_mut(&mut cluster) {
            cluster.version = at.version;
        }
        let before = self.clusters.insert(cluster.name.clone(), Arc::clone(&cluster));
        if cluster.registered {
            report(&cluster, before.as_deref(), !self.registry.synced());
        }
        self.record(at, before, Some(cluster));
    }

    /// A cluster has no Secret any more. Its ManagedCluster may be left.
    fn unregister(&mut self, name: &str, at: At) {
        self.managed.forget(name);
        if self.is_registered(name) {
            tracing::info!(cluster = name, "cluster removed");
            self.stand_in(name, at);
        }
    }

    /// What was there from the beginning is no change.
    fn record(&mut self, at: At, before: Option<Arc<Cluster>>, after: Option<Arc<Cluster>>) {
        if self.registry.synced() {
            self.history.push(Change { version: at.version, resume: at.resume, before, after });
        }
    }

    fn is_registered(&self, name: &str) -> bool {
        self.clusters.get(name).is_some_and(|cluster| cluster.registered)
    }

    fn unchanged(&self, secret: &Secret) -> bool {
        let metadata = &secret.metadata;
        let known = metadata.name.as_ref().and_then(|name| self.clusters.get(name));
        known.is_some_and(|cluster| {
            cluster.registered
                && metadata.resource_version.as_deref() == Some(cluster.resource_version.as_str())
                && metadata.uid.as_deref() == Some(cluster.uid.as_str())
        })
    }
}

/// One line per cluster that changes between usable and not, or between reasons. Of those that can be used from the
/// beginning the number will be said: they may be thousands.
fn report(cluster: &Cluster, previous: Option<&Cluster>, beginning: bool) {
    let previous = previous.filter(|previous| previous.registered);
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
    if let Ok(rules) = &cluster.identity_rules {
        let known = previous.and_then(|previous| previous.identity_rules.as_ref().ok());
        rules.warn_of_loose_privileges(Some(&cluster.name), known);
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
            "cluster cannot be used; other clusters are not affected; mend its Secret, ManagedCluster or file"
        ),
        None if beginning => {
            tracing::debug!(cluster = cluster.name, endpoint = cluster.address, "cluster ready for use");
        }
        None => tracing::info!(cluster = cluster.name, endpoint = cluster.address, "cluster ready for use"),
    }
    if cluster.upstream.as_ref().is_ok_and(|upstream| upstream.insecure) {
        tracing::warn!(
            cluster = cluster.name,
            "the certificate of this cluster is NOT verified, as its Secret or file asks"
        );
    }
}
