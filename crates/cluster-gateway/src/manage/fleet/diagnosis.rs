//! Why a cluster does not work, hop by hop, from the gateway's own place.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::json;

use super::streams::{Place, UnderWay, too_many};
use crate::diagnosis::{Depth, Diagnosis, Event, diagnose_cluster_with};
use crate::manage::events::{Teller, finite, wanted};
use crate::manage::{Caller, ClusterName, Json, Manage, Refusal};
use crate::registry::Cluster;

/// Of one user at once; each makes a handful of connections.
const MOST_OF_ONE: usize = 2;
/// Of all.
const MOST: usize = 64;

/// Those under way.
#[derive(Debug, Default)]
pub(super) struct Diagnoses(UnderWay);

impl Diagnoses {
    pub(super) fn begin(&self, caller: &Caller) -> Result<Place, Refusal> {
        self.0.begin(caller, MOST_OF_ONE, MOST).ok_or_else(|| {
            let message =
                format!("{MOST_OF_ONE} diagnoses of yours are under way already, or {MOST} of all users");
            too_many(message).remedy("Wait until one has ended, or close the page that shows it.")
        })
    }
}

/// Tells of hops and findings as they come.
pub(in crate::manage) fn tell(teller: &Teller, event: &Event) {
    match event {
        Event::Hop(hop) => teller.mention("hop", &json!({ "hop": hop })),
        Event::Finding(finding) => teller.mention("finding", finding),
    }
}

pub(super) async fn diagnosis(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let cluster = manage.seen(&caller, &name).await?;
    let place = manage.fleet.diagnoses.begin(&caller)?;
    if !wanted(&headers) {
        let diagnosis = diagnosed(&manage, &cluster, None).await;
        return Ok(Json(diagnosis).into_response());
    }
    Ok(finite(async move |teller| {
        let _place = place;
        let diagnosis = diagnosed(&manage, &cluster, Some(&teller)).await;
        teller.mention("done", &diagnosis);
    }))
}

async fn diagnosed(manage: &Manage, cluster: &Cluster, teller: Option<&Teller>) -> Diagnosis {
    let depth = Depth { impersonates: manage.gateway.identity.passes_all(), ..Depth::default() };
    let watch = |event: Event| {
        if let Some(teller) = teller {
            tell(teller, &event);
        }
    };
    diagnose_cluster_with(cluster, &depth, &watch).await
}
