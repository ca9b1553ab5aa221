//! ManagedClusters of the hub as events, whether or not Open Cluster Management is installed there (contract rule 249).
//!
//! Nothing says when a kind of object appears, so the hub is asked again and again. A hub that does not know the kind
//! has no ManagedCluster; one that refuses or fails says nothing about them, and what was known stays in force.

use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use tokio::time::Instant;

use super::managed_cluster::GROUP;
use super::source::chain;
use super::{Index, ManagedCluster};
use crate::hub::watcher_config;

/// How often in a row a hub must say that it does not know the kind before ManagedClusters that it had are believed to be
/// gone. One such answer may come from one of several API servers, or from something between; and whoever forgets them
/// forgets which clusters the hub does not accept. (Who removes the kind properly deletes them first.)
const BELIEVED_AFTER: u32 = 3;

/// A failure that lasts is reported again after this time.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The ManagedClusters of the hub.
#[derive(Debug, Clone)]
pub struct ManagedClusterSource {
    /// Whether endpoint and CA of clusters come from them (`--ocm-integration`). If not, they only appear among the
    /// virtual clusters, as in the original, and the right to read them is not needed.
    pub merge: bool,
    /// URL of the hub, for messages.
    pub hub: String,
    /// Pause before a hub that does not know them, or does not let them be read, is asked again.
    pub again: Duration,
}

type Item = Result<Event<DynamicObject>, watcher::Error>;

impl ManagedClusterSource {
    /// The events, for ever. After an answer 403 or 404 everything begins anew, so that nothing is missed of a kind that
    /// was away.
    pub(super) fn changes(&self, client: kube::Client) -> impl Stream<Item = Item> + Send + use<> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", "ManagedCluster"));
        let api = Api::<DynamicObject>::all_with(client, &kind);
        let again = self.again;
        let fresh = move || watch(api.clone(), watcher_config()).default_backoff().boxed();
        stream::unfold((fresh, Following::Anew), move |(fresh, following)| async move {
            let mut events = match following {
                Following::Events(events) => events,
                Following::Anew => fresh(),
                Following::After(pause) => {
                    tokio::time::sleep(pause).await;
                    fresh()
                }
            };
            let item = events.next().await?;
            let following = match &item {
                Err(error) if is_absent(error) || is_forbidden(error) => Following::After(again),
                _ => Following::Events(events),
            };
            Some((item, (fresh, following)))
        })
    }
}

enum Following {
    Anew,
    After(Duration),
    Events(BoxStream<'static, Item>),
}

/// Puts the events into an index, and says in the log what an operator has to know.
pub(super) struct Reader {
    source: ManagedClusterSource,
    listed: Vec<ManagedCluster>,
    /// How often in a row the hub has not known the kind.
    misses: u32,
    condition: Option<Condition>,
    reported: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Readable,
    Absent,
    Forbidden,
    Failing,
}

impl Reader {
    pub(super) fn new(source: ManagedClusterSource) -> Self {
        Self { source, listed: Vec::new(), misses: 0, condition: None, reported: None }
    }

    /// Returns whether the index must be published.
    pub(super) fn handle(&mut self, item: Item, index: &mut Index) -> bool {
        match item {
            Ok(Event::Apply(object)) => {
                self.report(Condition::Readable, "");
                return index.apply_managed(self.read(object));
            }
            Ok(Event::Delete(object)) => {
                self.report(Condition::Readable, "");
                return index.delete_managed(object.metadata.name.as_deref().unwrap_or_default());
            }
            // It is said before the hub has been reached.
            Ok(Event::Init) => self.listed.clear(),
            Ok(Event::InitApply(object)) => {
                let managed = self.read(object);
                self.listed.push(managed);
            }
            Ok(Event::InitDone) => {
                self.misses = 0;
                self.report(Condition::Readable, "");
                index.reset_managed(std::mem::take(&mut self.listed));
            }
            Err(error) if is_absent(&error) => self.absent(index),
            Err(error) if is_forbidden(&error) => self.report(Condition::Forbidden, &chain(&error)),
            Err(error) => self.report(Condition::Failing, &chain(&error)),
        }
        false
    }

    fn absent(&mut self, index: &mut Index) {
        self.misses = self.misses.saturating_add(1);
        if index.knows_managed() && self.misses < BELIEVED_AFTER {
            return;
        }
        self.report(Condition::Absent, "");
        index.reset_managed(Vec::new());
    }

    fn read(&self, object: DynamicObject) -> ManagedCluster {
        let mut managed = ManagedCluster::read(object);
        if let (false, Ok(spec)) = (self.source.merge, &mut managed.spec) {
            // Nobody will ask for them, and there may be thousands.
            spec.client_configs.iter_mut().for_each(|config| config.ca_bundle = [].into());
        }
        managed
    }

    /// Says what is new, and once a minute what is still wrong.
    fn report(&mut self, condition: Condition, error: &str) {
        let lasting = matches!(condition, Condition::Forbidden | Condition::Failing);
        let fresh = self.condition.replace(condition) != Some(condition);
        let due = lasting && self.reported.is_none_or(|last| last.elapsed() >= REPORT_EVERY);
        if !fresh && !due {
            return;
        }
        self.reported = Some(Instant::now());
        let hub = &self.source.hub;
        match (condition, self.source.merge) {
            (Condition::Readable, true) => {
                tracing::info!(hub, "--ocm-integration: endpoints and CAs come from ManagedClusters");
            }
            (Condition::Absent, true) => tracing::info!(
                hub,
                "--ocm-integration: the hub does not know ManagedClusters ({GROUP}/v1), so endpoints come from the \
                 Secrets; they will be used as soon as they appear"
            ),
            (Condition::Forbidden, true) => tracing::warn!(
                hub,
                error,
                "--ocm-integration: ManagedClusters cannot be read, so it is not known which clusters the hub accepts; \
                 what was known stays in force, and if nothing was, this server stays unready; grant get, list and watch \
                 on managedclusters.{GROUP} (deploy/ocm.yaml), or remove the flag"
            ),
            (Condition::Failing, true) => tracing::warn!(
                hub,
                error,
                "cannot read ManagedClusters from the hub; what was known stays in force, and if nothing was, this \
                 server stays unready; trying again"
            ),
            (Condition::Forbidden, false) if fresh => tracing::info!(
                hub,
                error,
                "ManagedClusters are not shown among the virtual clusters: this server may not read them; that is right \
                 where Open Cluster Management is not used, else grant get, list and watch on managedclusters.{GROUP}"
            ),
            // A hub that fails is reported with the Secrets.
            (_, false) => tracing::debug!(hub, error, ?condition, "ManagedClusters"),
        }
    }
}

fn is_absent(error: &watcher::Error) -> bool {
    code(error) == Some(404)
}

fn is_forbidden(error: &watcher::Error) -> bool {
    code(error) == Some(403)
}

fn code(error: &watcher::Error) -> Option<u16> {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => Some(status.code),
        _ => None,
    }
}
