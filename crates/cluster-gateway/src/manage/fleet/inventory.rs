//! What a cluster has, asked through the gateway as the caller.

use std::sync::Arc;

use axum::extract::State;
use cluster_gateway_client::ProxyPath;

use crate::inventory::{CAPACITY_LIMIT, Capacity, CapacityError, capacity};
use crate::manage::{Caller, ClusterName, Code, Json, Manage, Refusal};

pub(super) async fn inventory(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
) -> Result<Json<Capacity>, Refusal> {
    manage.seen(&caller, &name).await?;
    let client = manage.through_gateway(&caller);
    let found = capacity(&client, &ProxyPath::prefix(&name), CAPACITY_LIMIT).await;
    found.map(Json).map_err(|error| {
        let code = match &error {
            CapacityError::Unreachable(_) => Code::Member,
            CapacityError::Timeout(_) => Code::MemberTimeout,
        };
        Refusal::new(code, error.to_string()).remedy("Run doctor: it shows which hop fails.")
    })
}
