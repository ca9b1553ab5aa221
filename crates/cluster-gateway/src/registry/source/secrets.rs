//! The hub's Secrets, listed and watched.
//!
//! Written out rather than left to kube's `watcher`, which does not tell the version of a list: without it nobody can
//! say from where on our own watchers have seen everything (contract rule 230).

use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::DefaultBackoff;
use tokio::time::Instant;

/// Secrets in one page of a list.
const PAGE: u32 = 500;
/// A watch that ends sooner and without a word is not taken up again at once.
const BRIEF: Duration = Duration::from_secs(1);

/// What the hub has told of its Secrets.
pub(super) enum Told {
    /// A page of a list. `last`: the version of the list, which is complete now.
    Page { first: bool, secrets: Vec<Secret>, last: Option<String> },
    /// An event of a watch; never an error.
    Event(Box<WatchEvent<Secret>>),
}

/// How far the Secrets have been read.
pub(super) struct Following {
    secrets: Api<Secret>,
    label: &'static str,
    stage: Stage,
    backoff: DefaultBackoff,
    /// Whether to wait before the hub is asked again.
    tired: bool,
}

enum Stage {
    /// The page of this token is next; `None`: the first.
    List(Option<String>),
    /// A watch is to begin behind this version.
    Behind(String),
    Watching(Watching),
}

struct Watching {
    version: String,
    events: BoxStream<'static, kube::Result<WatchEvent<Secret>>>,
    begun: Instant,
    silent: bool,
}

impl Following {
    /// What the hub tells of the Secrets with this label, for ever. After a failure it is asked again, with growing
    /// pauses.
    pub(super) fn changes(
        secrets: Api<Secret>,
        label: &'static str,
    ) -> impl Stream<Item = kube::Result<Told>> + Send {
        let (stage, backoff) = (Stage::List(None), DefaultBackoff::default());
        let following = Self { secrets, label, stage, backoff, tired: false };
        stream::unfold(following, |mut following| async {
            let told = following.next().await;
            Some((told, following))
        })
        .boxed()
    }

    async fn next(&mut self) -> kube::Result<Told> {
        loop {
            if std::mem::take(&mut self.tired) {
                tokio::time::sleep(self.backoff.next().unwrap_or(BRIEF)).await;
            }
            let told = match std::mem::replace(&mut self.stage, Stage::List(None)) {
                Stage::List(token) => self.list(token).await.map(Some),
                Stage::Behind(version) => self.watch(version).await.map(|()| None),
                Stage::Watching(watching) => self.follow(watching).await,
            };
            match told {
                Ok(Some(told)) => {
                    self.backoff.reset();
                    return Ok(told);
                }
                Ok(None) => {}
                Err(error) => {
                    self.tired = true;
                    return Err(error);
                }
            }
        }
    }

    /// A list that fails begins anew.
    async fn list(&mut self, token: Option<String>) -> kube::Result<Told> {
        let mut parameters = ListParams::default().labels(self.label).limit(PAGE);
        if let Some(token) = &token {
            parameters = parameters.continue_token(token);
        }
        let page = self.secrets.list(&parameters).await?;
        let last = match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(next) => {
                self.stage = Stage::List(Some(next));
                None
            }
            None => {
                let version = page.metadata.resource_version.unwrap_or_default();
                self.stage = Stage::Behind(version.clone());
                Some(version)
            }
        };
        Ok(Told::Page { first: token.is_none(), secrets: page.items, last })
    }

    async fn watch(&mut self, version: String) -> kube::Result<()> {
        let parameters = WatchParams::default().labels(self.label);
        match self.secrets.watch(&parameters, &version).await {
            Ok(events) => {
                let (events, begun) = (events.boxed(), Instant::now());
                self.stage = Stage::Watching(Watching { version, events, begun, silent: true });
                Ok(())
            }
            Err(error) => self.broken(version, error),
        }
    }

    async fn follow(&mut self, mut watching: Watching) -> kube::Result<Option<Told>> {
        let event = match watching.events.next().await {
            Some(Ok(WatchEvent::Error(status))) => Err(kube::Error::Api(status)),
            Some(event) => event,
            None => {
                self.tired = watching.silent && watching.begun.elapsed() < BRIEF;
                self.stage = Stage::Behind(watching.version);
                return Ok(None);
            }
        };
        match event {
            Ok(event) => {
                watching.silent = false;
                watching.version = version(&event).unwrap_or(watching.version);
                self.stage = Stage::Watching(watching);
                Ok(Some(Told::Event(Box::new(event))))
            }
            Err(error) => self.broken(watching.version, error).map(|()| None),
        }
    }

    /// A watch has failed. It goes on where it was, unless the hub no longer knows what happened since.
    fn broken(&mut self, version: String, error: kube::Error) -> kube::Result<()> {
        if matches!(&error, kube::Error::Api(status) if status.code == 410) {
            self.stage = Stage::List(None);
            return Ok(());
        }
        self.stage = Stage::Behind(version);
        Err(error)
    }
}

fn version(event: &WatchEvent<Secret>) -> Option<String> {
    match event {
        WatchEvent::Added(secret) | WatchEvent::Modified(secret) | WatchEvent::Deleted(secret) => {
            secret.metadata.resource_version.clone()
        }
        WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version.clone()),
        WatchEvent::Error(_) => None,
    }
}
