//! Another name for a cluster: there is no moment at which it has neither Secret nor record.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Client;

use super::create::busy_elsewhere;
use super::kubeconfig::is_same_credential;
use super::modify::{Change, metadata, save, updated};
use super::{condition, shown};
use crate::lifecycle::{Detach, LifecycleError, Rename, Store, is_cluster};
use crate::manage::store::Record;
use crate::manage::{Caller, Code, Manage, Refusal};

/// Gives the cluster the name of the request. A cluster that KubeVela still refers to keeps its name, unless `force`.
pub(super) async fn rename(
    manage: &Arc<Manage>,
    caller: &Caller,
    store: &Store,
    change: Change,
    force: bool,
) -> Result<Record, Refusal> {
    let Change { request, expected, current, recorded } = change;
    let (from, to) = (current.name.clone(), request.name.clone());
    let _held = [manage.busy.hold(&from)?, manage.busy.hold(&to)?];
    let hub = manage.hub_as(caller)?;
    let step = Step::of(store, hub.as_ref(), &from, &to, force).await?;
    if expected.is_some() {
        let entry = store.cluster(&from).await.map_err(LifecycleError::from)?;
        condition::holds(expected.as_deref(), &entry.secret)?;
    }
    // The record first: without a cluster it is seen by nobody.
    let former = manage.records.find(&to).await?;
    let saved = save(manage, Record { name: to.clone(), ..updated(current, &request) }).await?;
    let done = match step {
        Step::Rename(rename) => rename.commit(store, force, &manage.stopping).await.map(|_| ()),
        Step::Finish(detach) => detach.commit(store, force, &manage.stopping).await.map(|_| ()),
    };
    if let Err(failure) = done {
        let put_back = match former {
            Some(former) => manage.records.restore(former).await,
            None => manage.records.remove(&to).await.map(|_| ()),
        };
        note(put_back.err(), &to);
        return Err(failure.into());
    }
    manage.resources.forget(&from);
    if recorded {
        note(manage.records.remove(&from).await.err(), &from);
    }
    // What was asked for besides the name.
    metadata(manage, store, Change { request, expected: None, current: saved, recorded: true }).await
}

/// What there is to do.
enum Step {
    Rename(Box<Rename>),
    /// The cluster has the new name already, from a rename that was broken off: the old one is to go.
    Finish(Box<Detach>),
}

impl Step {
    async fn of(
        store: &Store,
        hub: Option<&Client>,
        from: &str,
        to: &str,
        force: bool,
    ) -> Result<Self, Refusal> {
        let old = store.cluster(from).await.map_err(LifecycleError::from)?;
        let new = store.get(to).await?.filter(|entry| is_cluster(&entry.secret));
        let Some(new) = new.filter(|new| is_copy(&new.secret, &old.secret)) else {
            let taken = |error| match error {
                LifecycleError::Invalid(message) => {
                    Refusal::new(Code::ExistsInKubernetes, message).field("name")
                }
                error => error.into(),
            };
            let rename = Rename::prepare(store, hub, from, to).await.map_err(taken)?;
            return Ok(Self::Rename(Box::new(rename)));
        };
        busy_elsewhere(to, &new.secret)?;
        let detach = Detach::prepare(store, hub, from).await?;
        if !force && !detach.references().is_empty() {
            let error = LifecycleError::InUse(Box::new(detach.references().clone()));
            return Err(error.into());
        }
        Ok(Self::Finish(Box::new(detach)))
    }
}

/// Whether one Secret is what renaming makes of the other.
fn is_copy(one: &Secret, other: &Secret) -> bool {
    let labels = |secret: &Secret| secret.metadata.labels.clone().unwrap_or_default();
    is_same_credential(one, other)
        && labels(one) == labels(other)
        && shown::alias(&one.metadata) == shown::alias(&other.metadata)
}

fn note(error: Option<crate::manage::store::StoreError>, name: &str) {
    if let Some(error) = error {
        tracing::warn!(cluster = name, "{error}; a record without a cluster stays there, and does no harm");
    }
}
