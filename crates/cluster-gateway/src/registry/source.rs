//! Secrets of the hub as events: list, then watch, for ever.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use futures_util::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};

use super::Index;

/// The labelled Secrets of one namespace.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// Namespace of the credential Secrets (`--secret-namespace`).
    pub namespace: String,
    /// URL of the hub, for messages.
    pub hub: String,
}

impl SecretSource {
    /// Feeds `index` until the process ends. A broken watch is taken up again with backoff; until then the last
    /// snapshot stays in force.
    pub async fn run(self, client: kube::Client, index: Index) {
        let secrets: Api<Secret> = Api::namespaced(client, &self.namespace);
        let config = watcher::Config::default().labels(LABEL_CREDENTIAL_TYPE).page_size(500);
        let events = watch(secrets, config).default_backoff();
        self.consume(events, index).await;
    }

    async fn consume(
        self,
        events: impl Stream<Item = Result<Event<Secret>, watcher::Error>> + Send,
        mut index: Index,
    ) {
        let mut events = std::pin::pin!(events);
        let mut listed = Vec::new();
        let mut failures = Failures::default();
        while let Some(event) = events.next().await {
            let mut next = Some(event);
            let mut changed = false;
            while let Some(event) = next {
                match event {
                    Ok(event) => {
                        // A watch that starts over says `Init` before it has reached anybody.
                        if !matches!(event, Event::Init) {
                            failures.recovered(&self);
                        }
                        changed |= handle(event, &mut index, &mut listed);
                    }
                    Err(error) => failures.failed(&self, &error),
                }
                next = events.next().now_or_never().flatten();
            }
            if changed {
                index.publish();
            }
        }
    }
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
fn chain(error: &dyn std::error::Error) -> String {
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
