//! Secrets of the hub as events: list, then watch, for ever. Its ManagedClusters come in between: one task writes.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};

use super::Index;
use super::ocm::{ManagedClusterSource, Reader};

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
        let config = watcher::Config::default().labels(LABEL_CREDENTIAL_TYPE).page_size(500);
        let secrets = watch(secrets, config).default_backoff().map(Change::Secret);
        let changes = stream::select(secrets, managed.changes(client).map(Change::ManagedCluster));
        self.consume(changes, index, Reader::new(managed)).await;
    }

    async fn consume(self, changes: impl Stream<Item = Change> + Send, mut index: Index, mut reader: Reader) {
        let mut changes = std::pin::pin!(changes);
        let mut listed = Vec::new();
        let mut failures = Failures::default();
        while let Some(change) = changes.next().await {
            let mut next = Some(change);
            let mut changed = false;
            while let Some(change) = next {
                match change {
                    Change::Secret(Ok(event)) => {
                        // A watch that starts over says `Init` before it has reached anybody.
                        if !matches!(event, Event::Init) {
                            failures.recovered(&self);
                        }
                        changed |= handle(event, &mut index, &mut listed);
                    }
                    Change::Secret(Err(error)) => failures.failed(&self, &error),
                    Change::ManagedCluster(item) => changed |= reader.handle(item, &mut index),
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
    Secret(Result<Event<Secret>, watcher::Error>),
    ManagedCluster(Result<Event<DynamicObject>, watcher::Error>),
}

/// Returns whether the index must be published.
fn handle(event: Event<Secret>, index: &mut Index, listed: &mut Vec<Secret>) -> bool {
    match event {
        Event::Apply(secret) => {
            index.apply(secret);
            return true;
        }
        Event::Delete(secret) => {
            index.delete(secret.metadata.name.as_deref().unwrap_or_default());
            return true;
        }
        Event::Init => listed.clear(),
        Event::InitApply(secret) => listed.push(secret),
        Event::InitDone => index.reset(std::mem::take(listed)),
    }
    false
}

/// Reports the first failure of a row, and then one a minute, not each.
#[derive(Default)]
struct Failures {
    since: Option<tokio::time::Instant>,
    reported: Option<tokio::time::Instant>,
}

impl Failures {
    fn failed(&mut self, source: &SecretSource, error: &watcher::Error) {
        let now = tokio::time::Instant::now();
        let since = *self.since.get_or_insert(now);
        if self.reported.is_some_and(|last| now - last < Duration::from_secs(60)) {
            return;
        }
        self.reported = Some(now);
        tracing::warn!(
            hub = source.hub,
            namespace = source.namespace,
            failing_for_seconds = (now - since).as_secs(),
            error = %chain(error),
            "cannot read cluster Secrets from the hub; the last known clusters stay in force; trying again"
        );
    }

    fn recovered(&mut self, source: &SecretSource) {
        if self.since.take().is_some() {
            self.reported = None;
            tracing::info!(
                hub = source.hub,
                namespace = source.namespace,
                "reading cluster Secrets from the hub again"
            );
        }
    }
}

/// An error with all its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some libraries print their causes themselves.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
