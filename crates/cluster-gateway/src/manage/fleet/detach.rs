//! What still refers to a cluster, and what detaching it would do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use cluster_gateway_client::v1alpha1::ANNOTATION_SERVICE_ACCOUNT;
use serde_json::{Value, json};

use crate::health::probe;
use crate::lifecycle::Detach;
use crate::manage::{Caller, ClusterName, Json, Manage, Refusal};
use crate::registry::Cluster;

/// How long the member is waited for.
const LIMIT: Duration = Duration::from_secs(3);

/// Whether detaching must be forced: Applications name the cluster, or it does not answer while something of the gateway's is
/// in it that nobody can remove later.
#[must_use]
pub fn needs_force(detach: &Detach, cluster: &Cluster, reachable: bool) -> bool {
    let ours = cluster.annotations.contains_key(ANNOTATION_SERVICE_ACCOUNT)
        || !detach.references().trackers.is_empty();
    !detach.references().applications.is_empty() || (ours && !reachable)
}

/// Whether the member answers, whatever it says. Waits for three seconds at most.
pub async fn is_reachable(cluster: &Cluster) -> bool {
    let Ok(upstream) = &cluster.upstream else { return false };
    probe(upstream, LIMIT, false).await.is_some_and(|finding| finding.latency.is_some())
}

pub(super) async fn references(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
) -> Result<Json<Value>, Refusal> {
    let cluster = manage.seen(&caller, &name).await?;
    let (store, hub) = (manage.clusters_as(&caller)?, manage.hub_as(&caller)?);
    let (detach, reachable) =
        tokio::join!(Detach::prepare(&store, hub.as_ref(), &name), is_reachable(&cluster));
    let detach = detach?;
    Ok(Json(json!({
        "references": detach.references(),
        "plan": detach.plan(),
        "reachable": reachable,
        "needsForce": needs_force(&detach, &cluster, reachable),
    })))
}
