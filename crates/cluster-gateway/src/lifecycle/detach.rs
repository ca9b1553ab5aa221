//! Taking a cluster out of the set. The cluster itself is not asked: it may be dead.

use cluster_gateway_client::v1alpha1::ANNOTATION_SERVICE_ACCOUNT;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::ocm::Side;
use super::step::Steps;
use super::trackers::Cleaned;
use super::{
    Change, Detail, Failure, LOCAL, LifecycleError, NameError, Plan, References, Snapshot, StepWatcher,
    Store, TrackerUse, Transaction, Undo, Verb,
};

/// A cluster that is ready to be taken out.
pub struct Detach {
    before: Snapshot,
    references: References,
    hub: Option<Client>,
    plan: Plan,
}

/// A cluster that has been taken out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detached {
    /// Its name.
    pub cluster: String,
    /// ResourceTrackers from which its resources have been taken out.
    pub cleaned: Vec<String>,
    /// Applications that still name it, `NAMESPACE/NAME`.
    pub still_named_by: Vec<String>,
}

impl std::fmt::Debug for Detach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detach").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Detach {
    /// Looks for the cluster, and for what refers to it (`hub`: where KubeVela may be). Writes nothing.
    ///
    /// # Errors
    /// [`LifecycleError`].
    pub async fn prepare(store: &Store, hub: Option<&Client>, name: &str) -> Result<Self, LifecycleError> {
        if name == LOCAL {
            return Err(NameError::Local.into());
        }
        let before = store.snapshot(name).await?;
        before.clone().known(store)?;
        let references = match hub {
            Some(client) => References::find(client, name).await,
            None => References::default(),
        };
        let mut changes: Vec<_> = references.trackers.iter().map(|tracker| cleaning(tracker, name)).collect();
        changes.push(Change::of(store.place(name), store.side(), before.cluster(), None));
        let mut plan = Plan::new(name, changes);
        plan.notes.clone_from(&references.notes);
        let named = references.applications.iter();
        plan.notes.extend(
            named.map(|application| format!("Application {application} names the cluster in a policy")),
        );
        plan.notes.extend(before.cluster().and_then(note_account));
        Ok(Self { before, references, hub: hub.cloned(), plan })
    }

    /// What would be written.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What refers to the cluster.
    #[must_use]
    pub fn references(&self) -> &References {
        &self.references
    }

    /// Takes it out of the ResourceTrackers, then deletes it. `force`: even if Applications still name it. If anything
    /// fails, or `stop` is cancelled before the end, everything is put back.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit(
        self,
        store: &Store,
        force: bool,
        stop: &CancellationToken,
    ) -> Result<Detached, Failure> {
        self.commit_with(store, force, stop, &|_| ()).await
    }

    /// As [`Detach::commit`], and tells `watcher` each step.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit_with(
        self,
        store: &Store,
        force: bool,
        stop: &CancellationToken,
        watcher: StepWatcher<'_>,
    ) -> Result<Detached, Failure> {
        let Self { before, references, hub, plan } = self;
        if !force && !references.applications.is_empty() {
            return Err(Failure {
                cause: LifecycleError::InUse(Box::new(references)),
                undo: Undo::Untouched,
            });
        }
        let mut transaction = Transaction::watched(store, watcher);
        let mut cleaned = hub.as_ref().map(|hub| Cleaned::new(hub, Steps::new(watcher)));
        let outcome = async {
            for tracker in &references.trackers {
                running(stop)?;
                if let Some(cleaned) = &mut cleaned {
                    cleaned.clean(tracker, &plan.cluster).await.map_err(LifecycleError::Invalid)?;
                }
            }
            running(stop)?;
            Ok(transaction.delete(before).await?)
        };
        let outcome = outcome.await;
        if outcome.is_ok() {
            return Ok(Detached {
                cluster: plan.cluster,
                cleaned: references.trackers.into_iter().map(|tracker| tracker.name).collect(),
                still_named_by: references.applications,
            });
        }
        // The cluster comes back before what refers to it.
        let ended = transaction.end(outcome).await;
        let touched = cleaned.as_ref().is_some_and(|cleaned| !cleaned.is_empty());
        let left = match cleaned {
            Some(cleaned) => cleaned.undo().await,
            None => Vec::new(),
        };
        Err(combined(ended, touched, left, &plan.cluster))
    }
}

fn running(stop: &CancellationToken) -> Result<(), LifecycleError> {
    if stop.is_cancelled() { Err(LifecycleError::Interrupted) } else { Ok(()) }
}

fn cleaning(tracker: &TrackerUse, cluster: &str) -> Change {
    let resources = Detail {
        what: format!("resources in {cluster}"),
        before: Some(tracker.resources.to_string()),
        after: Some("0".to_owned()),
    };
    let object = format!("ResourceTracker {}", tracker.name);
    Change { details: vec![resources], ..Change::plain(Verb::Replace, object, Some(Side::Hub)) }
}

/// What joining has made in the cluster outlives its Secret.
fn note_account(secret: &Secret) -> Option<String> {
    let account = secret.metadata.annotations.as_ref()?.get(ANNOTATION_SERVICE_ACCOUNT)?;
    Some(format!(
        "service account {} stays on the cluster with its rights; remove it there if nobody else uses it",
        account.escape_debug()
    ))
}

/// One failure of both undoings.
fn combined(ended: Result<(), Failure>, touched: bool, left: Vec<String>, cluster: &str) -> Failure {
    let mut failure = match ended {
        Err(failure) => failure,
        Ok(()) => Failure {
            cause: LifecycleError::Invalid(format!("{cluster} could not be detached")),
            undo: Undo::Untouched,
        },
    };
    failure.undo = match failure.undo {
        Undo::Incomplete(mut what) => {
            what.extend(left);
            Undo::Incomplete(what)
        }
        _ if !left.is_empty() => Undo::Incomplete(left),
        Undo::Untouched if touched => Undo::Restored,
        other => other,
    };
    failure
}
