//! Detach: the record goes, then the Secret; if that cannot go, the record comes back.

use std::sync::Arc;

use axum::extract::{Request, State};

use super::model::ClusterBase;
use super::modify::immutable;
use super::{condition, shown, to_the_end};
use crate::lifecycle::{Detach, LifecycleError, StoreError, is_cluster};
use crate::manage::cluster_name::no_cluster;
use crate::manage::store::{LOCAL, Record};
use crate::manage::{Caller, ClusterName, Code, Json, Manage, Refusal, Right, is_reachable, needs_force};
use crate::registry::Cluster;

/// `DELETE /api/v1/clusters/{name}`
pub(super) async fn delete(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
    request: Request,
) -> Result<Json<ClusterBase>, Refusal> {
    manage.may(&caller, Right::Detach(&name)).await?;
    if name == LOCAL {
        return Err(immutable());
    }
    let expected = condition::if_match(request.headers())?;
    let force = condition::force(request.uri())?;
    let held = manage.busy.hold(&name)?;
    let gone = to_the_end(async move {
        let gone = detach(&manage, &caller, &name, expected.as_deref(), force).await;
        drop(held);
        gone
    });
    Ok(Json(ClusterBase(gone.await?)))
}

async fn detach(
    manage: &Arc<Manage>,
    caller: &Caller,
    name: &str,
    expected: Option<&str>,
    force: bool,
) -> Result<Record, Refusal> {
    let store = manage.clusters_as(caller)?;
    let recorded = manage.records.find(name).await?;
    let Some(entry) = store.get(name).await?.filter(|entry| is_cluster(&entry.secret)) else {
        return without_secret(manage, name, recorded).await;
    };
    condition::holds(expected, &entry.secret)?;
    let hub = manage.hub_as(caller)?;
    let detach = Detach::prepare(&store, hub.as_ref(), name).await?;
    if expected.is_some() {
        // It is still what it was before it was prepared, so that is what was prepared.
        let now = store.cluster(name).await.map_err(LifecycleError::from)?;
        condition::holds(expected, &now.secret)?;
    }
    let read = || Arc::new(manage.policy.read(entry, None));
    let cluster = manage.gateway.registry.snapshot().get(name).cloned().unwrap_or_else(read);
    if !force {
        must_be_free(&detach, &cluster).await?;
    }
    let gone = shown::cluster(&cluster, recorded.as_ref());
    manage.records.remove(name).await?;
    let Err(failure) = detach.commit(&store, force, &manage.stopping).await else {
        manage.resources.forget(name);
        return Ok(if recorded.is_some() { gone } else { Record::new(name) });
    };
    let vanished = matches!(failure.cause, LifecycleError::Store(StoreError::NotFound(_)));
    if let Some(record) = recorded.filter(|_| !vanished)
        && let Err(error) = manage.records.restore(record).await
    {
        tracing::error!(
            cluster = name,
            "{error}; the cluster could not be detached either and is without alias, description and icon now: set them again"
        );
    }
    Err(failure.into())
}

/// Whether it can go without force.
async fn must_be_free(detach: &Detach, cluster: &Cluster) -> Result<(), Refusal> {
    let name = &cluster.name;
    let message = if needs_force(detach, cluster, true) {
        format!("cluster \"{name}\" is still in use: {}", detach.references().summary())
    } else if needs_force(detach, cluster, false) && !is_reachable(cluster).await {
        format!("cluster \"{name}\" does not answer, and something of ours is in it that would stay there")
    } else {
        return Ok(());
    };
    Err(Refusal::new(Code::NeedsForce, message)
        .remedy("Change what names it, or let it answer; or detach it all the same: ?force=true."))
}

/// What is left of a detach that was broken off is removed.
async fn without_secret(manage: &Manage, name: &str, recorded: Option<Record>) -> Result<Record, Refusal> {
    let snapshot = manage.gateway.registry.snapshot();
    if snapshot.get_virtual(name).is_some_and(|cluster| !cluster.registered) {
        let message = format!(
            "Open Cluster Management manages cluster \"{name}\", and this route has no way to its agent"
        );
        return Err(Refusal::new(Code::Value, message).remedy(
            "cluster-gateway detach NAME --kubeconfig-path FILE removes the agent and the ManagedCluster.",
        ));
    }
    if recorded.is_some() && manage.records.remove(name).await? {
        return Ok(Record::new(name));
    }
    Err(no_cluster(name))
}
