//! The fleet as the console shows it: all clusters, each in its own JSON, and what has changed of them.
//!
//! What is shown is what the gateway of this process knows; no member and no store is asked for it. Nothing is done while
//! nobody looks.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, header};
use tokio::sync::Semaphore;

mod board;
mod card;
mod certificates;
mod changes;
mod detach;
mod diagnosis;
mod inventory;
mod kubeconfig;
mod list;
mod requests;
mod sight;
mod streams;

use board::Board;
pub use detach::{is_reachable, needs_force};
use diagnosis::Diagnoses;
pub(super) use diagnosis::tell;
pub use kubeconfig::{Route, SelfAddress};
use streams::{Place, Streams};

use super::cluster_name::no_cluster;
use super::{Caller, ClusterName, Code, Manage, Refusal, Right};
use crate::registry::Cluster;

/// Lists that are written at once; each takes memory for the whole fleet.
const LISTS: usize = 4;

/// What is kept of the fleet while people look at it.
#[derive(Debug)]
pub struct Fleet {
    board: Board,
    streams: Streams,
    diagnoses: Diagnoses,
    lists: Semaphore,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            board: Board::default(),
            streams: Streams::default(),
            diagnoses: Diagnoses::default(),
            lists: Semaphore::new(LISTS),
        }
    }
}

impl Fleet {
    /// A place to look at a cluster that is none yet: that is as much work as a diagnosis.
    pub(super) fn begin_survey(&self, caller: &Caller) -> Result<Place, Refusal> {
        self.diagnoses.begin(caller)
    }
}

/// The routes of the fleet.
pub(super) fn router() -> Router<Arc<Manage>> {
    Router::new()
        .route("/v1/fleet", get(list))
        .route("/v1/events", get(changes::follow))
        .route("/v1/fleet/{name}", get(one))
        .route("/v1/fleet/{name}/references", get(detach::references))
        .route("/v1/fleet/{name}/inventory", get(inventory::inventory))
        .route("/v1/fleet/{name}/certificates", get(certificates::certificates))
        .route("/v1/fleet/{name}/requests", get(requests::requests))
        .route("/v1/fleet/{name}/events", get(requests::follow))
        .route("/v1/fleet/{name}/diagnosis", get(diagnosis::diagnosis))
        .route("/v1/fleet/{name}/kubeconfig", post(kubeconfig::kubeconfig))
}

impl Manage {
    /// A cluster that the caller may see.
    ///
    /// # Errors
    /// The caller may not; there is none.
    pub(super) async fn seen(&self, caller: &Caller, name: &str) -> Result<Arc<Cluster>, Refusal> {
        self.may(caller, Right::Get(name)).await?;
        self.gateway.registry.get(name).map_err(|error| match Refusal::from(error) {
            refusal if refusal.code == Code::NoCluster => no_cluster(name),
            refusal => refusal,
        })
    }

    /// A cluster as the console shows it, from what is known this moment.
    ///
    /// # Errors
    /// There is none.
    pub(super) async fn fleet_cluster(&self, name: &str) -> Result<String, Refusal> {
        let records = self.records.view().await;
        let cards = self.fleet.board.some([&name.to_owned()], &self.gateway.registry.snapshot(), &records);
        cards.first().map(|card| card.to_json()).ok_or_else(|| no_cluster(name))
    }
}

async fn one(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
) -> Result<Response, Refusal> {
    manage.seen(&caller, &name).await?;
    let json = manage.fleet_cluster(&name).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

async fn list(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    list::list(&manage, &caller, &headers).await
}
