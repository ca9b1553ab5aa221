//! VelaUX' routes for clusters, so that its front end can work with this server unchanged (`/api/v1/clusters…`).
//!
//! The control plane's Secrets say which clusters there are; records hold what people say of them besides. What differs from
//! VelaUX, and why, is told in `docs/management-api.md`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequest, Request, State};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;

use super::store::{LOCAL, StoreError};
use super::{Caller, Code, Json, Manage, Place, Refusal, Right};
use crate::lifecycle::Undo;

mod check;
mod condition;
mod create;
mod delete;
mod detail;
mod kubeconfig;
mod list;
mod model;
mod modify;
mod namespace;
mod rename;
mod resources;
mod shown;

pub use resources::Resources;

/// The routes.
pub(super) fn router() -> Router<Arc<Manage>> {
    Router::new()
        .route("/v1/clusters", get(list::list).post(create::create))
        .route("/v1/clusters/", get(list::list).post(create::create))
        .route("/v1/clusters/{name}", get(detail::detail).put(modify::modify).delete(delete::delete))
        .route("/v1/clusters/{name}/namespaces", post(namespace::create))
        .route("/v1/clusters/cloud_clusters/{provider}", post(cloud))
        .route("/v1/clusters/cloud_clusters/{provider}/connect", post(cloud))
        .route("/v1/clusters/cloud_clusters/{provider}/create", post(cloud))
        .route("/v1/clusters/cloud_clusters/{provider}/creation", get(cloud))
        .route("/v1/clusters/cloud_clusters/{provider}/creation/{name}", get(cloud).delete(cloud))
}

/// Clusters of a cloud: there is no provider.
async fn cloud(State(manage): State<Arc<Manage>>, caller: Caller) -> Result<(), Refusal> {
    manage.may(&caller, Right::Join).await?;
    Err(Refusal::new(Code::CloudProvider, "provider is not support")
        .remedy("Make the cluster with the cloud's own tools, and join it with its kubeconfig."))
}

/// The body, which is looked at when it is known that the caller may.
async fn body<T: DeserializeOwned>(manage: &Arc<Manage>, request: Request) -> Result<T, Refusal> {
    Json::from_request(request, manage).await.map(|Json(body)| body)
}

/// Work that goes on to its end although whoever asked for it has gone away: what is begun is finished or taken back.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        Err(Refusal::new(Code::Internal, "this request made the server stumble; its log says more"))
    })
}

/// A failure after which clusters were put back.
fn undone(cause: Refusal, undo: Undo) -> Refusal {
    match undo {
        Undo::Untouched => cause,
        Undo::Restored => {
            let message = format!("{}; what was there before has been put back", cause.message);
            Refusal { message, ..cause }
        }
        Undo::Incomplete(left) => {
            let message = format!(
                "{}; NOT everything could be put back, look at it yourself: {}",
                cause.message,
                left.join("; ")
            );
            Refusal { code: Code::JoinRemains, message, ..cause }
        }
    }
}

impl Manage {
    /// Sees to it that the hub has a record, as VelaUX expects it; goes on trying while the store is away. Nobody waits for it.
    pub async fn record_hub(&self) {
        if matches!(self.place, Place::Hub { .. }) {
            let mut pause = Duration::from_secs(1);
            while let Err(error) = self.has_hub_record().await {
                tracing::warn!("the hub has no record of its own yet: {error}; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(60));
            }
        }
        std::future::pending().await
    }

    async fn has_hub_record(&self) -> Result<(), StoreError> {
        if self.records.find(LOCAL).await?.is_none() {
            self.records.save(shown::local_record(&self.place)).await?;
        }
        Ok(())
    }
}
