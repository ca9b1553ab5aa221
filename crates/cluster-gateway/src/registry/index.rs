//! The writer's side of the registry: plain data that events are applied to.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;

use super::{Cluster, ClusterPolicy, Entry, Registry, Snapshot, Unusable};

mod managed;

use managed::Managed;

/// All clusters by name, with what is needed to read the next Secret.
#[derive(Debug)]
pub struct Index {
    registry: Arc<Registry>,
    policy: ClusterPolicy,
    clusters: BTreeMap<String, Arc<Cluster>>,
    managed: Managed,
    /// Whether the Secrets have been read completely.
    complete: bool,
}

impl Index {
    /// An index that publishes to `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>, policy: ClusterPolicy) -> Self {
        let managed = Managed::new(policy.merge_managed_clusters);
        Self { registry, policy, clusters: BTreeMap::new(), managed, complete: false }
    }

    /// A Secret was created or changed. Not visible before [`Index::publish`].
    pub fn apply(&mut self, entry: impl Into<Entry>) {
        if let Some(entry) = self.managed.join(entry.into()) {
            self.read(entry);
        }
    }

    fn read(&mut self, entry: Entry) {
        let name = entry.secret.metadata.name.as_deref().unwrap_or_default();
        let previous = self.clusters.get(name);
        let cluster = Arc::new(self.policy.read(entry, previous.map(AsRef::as_ref)));
        report(&cluster, previous.map(AsRef::as_ref));
        self.clusters.insert(cluster.name.clone(), cluster);
    }

    /// A Secret is gone.
    pub fn delete(&mut self, name: &str) {
        self.managed.forget(name);
        if self.is_registered(name) {
            self.clusters.remove(name);
            tracing::info!(cluster = name, "cluster removed");
        }
        self.show_unregistered(name);
    }

    /// Everything was read anew: clusters not in `entries` are gone.
    pub fn reset<E: Into<Entry>>(&mut self, entries: Vec<E>) {
        let entries: Vec<Entry> = entries.into_iter().map(Into::into).collect();
        let names: std::collections::BTreeSet<_> =
            entries.iter().filter_map(|entry| entry.secret.metadata.name.clone()).collect();
        let gone =
            self.clusters.iter().filter(|(name, cluster)| cluster.registered && !names.contains(*name));
        for name in gone.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.delete(&name);
        }
        self.managed.retain(&names);
        for entry in entries {
            if !self.unchanged(&entry.secret) {
                self.apply(entry);
            }
        }
        self.complete = true;
        self.publish();
    }

    /// Makes everything applied so far visible at once; as long as it is not known which clusters the hub accepts,
    /// nothing (rule 248).
    pub fn publish(&self) {
        if !self.managed.known() {
            return;
        }
        self.registry.publish(Snapshot { clusters: self.clusters.values().cloned().collect() });
        if self.complete {
            self.registry.set_synced();
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

/// One line per cluster that changes between usable and not, or between reasons.
fn report(cluster: &Cluster, previous: Option<&Cluster>) {
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
        None => tracing::info!(cluster = cluster.name, endpoint = cluster.address, "cluster ready for use"),
    }
    if cluster.upstream.as_ref().is_ok_and(|upstream| upstream.insecure) {
        tracing::warn!(
            cluster = cluster.name,
            "the certificate of this cluster is NOT verified, as its Secret or file asks"
        );
    }
}
