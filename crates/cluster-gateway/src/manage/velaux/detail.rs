//! One cluster, with what it has.

use std::sync::Arc;

use axum::extract::State;

use super::model::DetailCluster;
use super::resources::{self, ResourceInfo, Seen};
use super::{kubeconfig, shown};
use crate::manage::cluster_name::no_cluster;
use crate::manage::store::{LOCAL, Record, Status};
use crate::manage::{Caller, ClusterName, Json, Manage, Place, Refusal, Right};
use crate::status;

/// `GET /api/v1/clusters/{name}`
///
/// Answered from what the control plane knows, also while the store of records is away, or the cluster.
pub(super) async fn detail(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
) -> Result<Json<DetailCluster>, Refusal> {
    manage.may(&caller, Right::Get(&name)).await?;
    let recorded = manage.records.find(&name).await.unwrap_or_else(|error| {
        tracing::warn!(cluster = name, "{error}; the cluster is shown as the control plane knows it");
        manage.records.known().and_then(|view| view.get(&name).map(|record| Record::clone(record)))
    });
    let mut record = present(&manage, &name, recorded.as_ref())?;
    let seen = resources::seen(&manage, &caller, &name).await;
    let resource_info = match seen {
        Seen::Info(info) => {
            if record.status == Status::Unknown {
                (record.status, record.reason) = (Status::Healthy, String::new());
            }
            info
        }
        Seen::Withheld => ResourceInfo::default(),
        Seen::Failed(reason) => {
            (record.status, record.reason) = (Status::Unhealthy, reason);
            ResourceInfo::default()
        }
    };
    note(&manage, recorded, &record).await;
    let kube_config = kubeconfig::shown(&manage.place, &name);
    Ok(Json(DetailCluster { record, kube_config, resource_info }))
}

/// The cluster as the control plane has it.
fn present(manage: &Manage, name: &str, recorded: Option<&Record>) -> Result<Record, Refusal> {
    if name == LOCAL {
        return match &manage.place {
            Place::Hub { .. } => Ok(shown::local(recorded, &manage.place)),
            Place::Directory(_) => Err(no_cluster(name)),
        };
    }
    let registry = &manage.gateway.registry;
    let snapshot = registry.snapshot();
    match snapshot.get_virtual(name).filter(|cluster| cluster.accepted()) {
        Some(cluster) => Ok(shown::cluster(cluster, recorded)),
        None if !registry.synced() => Err(status::Error::NotSynced.into()),
        None => Err(no_cluster(name)),
    }
}

/// Keeps in the record what was seen, for those who read only that. It is no failure if it cannot be kept. A record that VelaUX
/// has made is left alone until somebody changes the cluster: its kubeconfig goes with the next write.
async fn note(manage: &Manage, recorded: Option<Record>, seen: &Record) {
    let Some(recorded) = recorded.filter(|recorded| recorded.kube_config.is_empty()) else { return };
    let lasting = |record: &Record| Record { update_time: recorded.update_time, ..record.clone() };
    let seen = lasting(seen);
    if seen == lasting(&recorded) {
        return;
    }
    let name = seen.name.clone();
    if let Err(error) = manage.records.refresh(seen).await {
        tracing::debug!(cluster = name, "{error}; its record is not brought up to date");
    }
}
