//! Secrets of the hub as events: list, then watch, for ever.
//!
//! Written out rather than left to kube's `watcher`, which does not tell the version of a list: without it nobody can
//! say from where on our own watchers have seen everything (contract rule 230).

use std::time::Duration;

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use futures_util::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::DefaultBackoff;
use tokio::time::Instant;

use super::{Index, Listing};

mod failures;

use failures::Failures;

/// Secrets in one page of a list.
const PAGE: u32 = 500;
/// A watch that ends sooner and without a word is not taken up again at once.
const BRIEF: Duration = Duration::from_secs(1);

/// The labelled Secrets of one namespace.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// Namespace of the credential Secrets (`--secret-namespace`).
    pub namespace: String,
    /// URL of the hub, for messages.
    pub hub: String,
}

/// What is known of the hub's Secrets.
struct Follower {
    source: SecretSource,
    secrets: Api<Secret>,
    index: Index,
    /// The version that has been reached; `None`: everything must be read first.
    version: Option<String>,
    failures: Failures,
    backoff: DefaultBackoff,
}

impl SecretSource {
    /// Feeds `index` until the process ends. A broken watch is taken up again with backoff; until then the last
    /// snapshot stays in force.
    pub async fn run(self, client: kube::Client, index: Index) {
        let secrets = Api::namespaced(client, &self.namespace);
        let (version, failures, backoff) = Default::default();
        let mut follower = Follower { source: self, secrets, index, version, failures, backoff };
        loop {
            if let Err(error) = follower.step().await {
                follower.failures.failed(&follower.source, &error);
                follower.pause().await;
            }
        }
    }
}

impl Follower {
    /// One list, or one watch to its end.
    async fn step(&mut self) -> kube::Result<()> {
        let Some(version) = self.version.clone() else { return self.list().await };
        let begun = Instant::now();
        let parameters = WatchParams::default().labels(LABEL_CREDENTIAL_TYPE);
        match self.secrets.watch(&parameters, &version).await {
            Ok(events) => self.consume(events).await?,
            Err(error) if is_expired(&error) => self.version = None,
            Err(error) => return Err(error),
        }
        if self.version.as_ref() == Some(&version) && begun.elapsed() < BRIEF {
            self.pause().await;
        }
        Ok(())
    }

    async fn list(&mut self) -> kube::Result<()> {
        let mut parameters = ListParams::default().labels(LABEL_CREDENTIAL_TYPE).limit(PAGE);
        let mut listing = Listing::default();
        let version = loop {
            let page = self.secrets.list(&parameters).await?;
            for secret in page.items {
                self.index.list(&mut listing, secret);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => break page.metadata.resource_version.unwrap_or_default(),
            }
        };
        self.index.replace(listing, Some(&version));
        self.version = Some(version);
        self.recovered();
        Ok(())
    }

    /// Takes what comes; what has come together becomes visible together.
    async fn consume(
        &mut self,
        events: impl Stream<Item = kube::Result<WatchEvent<Secret>>> + Send,
    ) -> kube::Result<()> {
        let mut events = std::pin::pin!(events.fuse());
        while let Some(event) = events.next().await {
            let mut taken = event.and_then(|event| self.handle(event));
            while taken.is_ok() {
                let Some(Some(event)) = events.next().now_or_never() else { break };
                taken = event.and_then(|event| self.handle(event));
            }
            self.index.publish();
            match taken {
                Err(error) if is_expired(&error) => {
                    self.version = None;
                    return Ok(());
                }
                taken => taken?,
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: WatchEvent<Secret>) -> kube::Result<()> {
        let version = match event {
            WatchEvent::Added(secret) | WatchEvent::Modified(secret) => {
                let version = secret.metadata.resource_version.clone();
                self.index.apply(secret);
                version
            }
            WatchEvent::Deleted(secret) => {
                let version = secret.metadata.resource_version;
                let name = secret.metadata.name.unwrap_or_default();
                self.index.delete(&name, version.as_deref().unwrap_or_default());
                version
            }
            WatchEvent::Bookmark(bookmark) => {
                self.index.advance(&bookmark.metadata.resource_version);
                Some(bookmark.metadata.resource_version)
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        self.version = version.or(self.version.take());
        self.recovered();
        Ok(())
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        self.failures.recovered(&self.source);
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.backoff.next().unwrap_or(BRIEF)).await;
    }
}

/// Whether the hub no longer knows what happened since the version: everything must be read anew.
fn is_expired(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}
