//! Secrets of the hub as events: list, then watch, for ever. Its ManagedClusters come in between: one task writes.

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, WatchEvent};
use kube::runtime::watcher::{self, Event};

use super::ocm::{ManagedClusterSource, Reader};
use super::{Index, Listing};

mod failures;
mod secrets;

use failures::Failures;
pub(super) use failures::chain;
use secrets::{Following, Told};

/// The labelled Secrets of one namespace.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// Namespace of the credential Secrets (`--secret-namespace`).
    pub namespace: String,
    /// URL of the hub, for messages.
    pub hub: String,
}

impl SecretSource {
    /// Feeds `index` with the Secrets, and the ManagedClusters as `managed` says, until the process ends. A broken watch
    /// is taken up again with backoff; until then the last snapshot stays in force.
    pub async fn run(self, client: kube::Client, index: Index, managed: ManagedClusterSource) {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
        let secrets = Following::changes(secrets, LABEL_CREDENTIAL_TYPE).map(Change::Secrets);
        let changes = stream::select(
            secrets,
            managed.changes(client).map(|item| Change::ManagedCluster(Box::new(item))),
        );
        self.consume(changes, index, Reader::new(managed)).await;
    }

    /// Takes what comes; what has come together becomes visible together.
    async fn consume(self, changes: impl Stream<Item = Change> + Send, mut index: Index, mut reader: Reader) {
        let mut changes = std::pin::pin!(changes);
        let mut listing = Listing::default();
        let mut failures = Failures::default();
        while let Some(change) = changes.next().await {
            let mut next = Some(change);
            let mut changed = false;
            while let Some(change) = next {
                match change {
                    Change::Secrets(Ok(told)) => {
                        failures.recovered(&self);
                        changed |= handle(told, &mut index, &mut listing);
                    }
                    Change::Secrets(Err(error)) => failures.failed(&self, &error),
                    Change::ManagedCluster(item) => changed |= reader.handle(*item, &mut index),
                }
                next = changes.next().now_or_never().flatten();
            }
            if changed {
                index.publish();
            }
        }
    }
}

/// What the writer learns from the hub.
enum Change {
    Secrets(kube::Result<Told>),
    ManagedCluster(Box<Result<Event<DynamicObject>, watcher::Error>>),
}

/// Returns whether the index must be published.
fn handle(told: Told, index: &mut Index, listing: &mut Listing) -> bool {
    match told {
        Told::Page { first, secrets, last } => {
            if first {
                *listing = Listing::default();
            }
            for secret in secrets {
                index.list(listing, secret);
            }
            if let Some(version) = last {
                index.replace(std::mem::take(listing), Some(&version));
            }
            false
        }
        Told::Event(event) => {
            apply(*event, index);
            true
        }
    }
}

fn apply(event: WatchEvent<Secret>, index: &mut Index) {
    match event {
        WatchEvent::Added(secret) | WatchEvent::Modified(secret) => index.apply(secret),
        WatchEvent::Deleted(secret) => {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            index.delete(name, secret.metadata.resource_version.as_deref().unwrap_or_default());
        }
        WatchEvent::Bookmark(bookmark) => index.advance(&bookmark.metadata.resource_version),
        // Errors do not get here: they end the watch.
        WatchEvent::Error(_) => {}
    }
}
