//! Doing what was seen.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Wanted;
use crate::lifecycle::{Committed, Failure, Join, JoinRequest, Joined, Step, StepOutcome, Store, Undo};
use crate::manage::events::{Teller, persist};
use crate::manage::store::Record;
use crate::manage::{Caller, Code, Json, Manage, Refusal, Right};

/// The last step.
const RECORD: &str = "Record the cluster";

pub(super) async fn join(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    Json(wanted): Json<Wanted>,
) -> Result<Response, Refusal> {
    manage.may(&caller, Right::Join).await?;
    let digest = wanted.digest.clone();
    let request = wanted.request().await?;
    let held = manage.busy.hold(request.name.as_deref().unwrap_or_default())?;
    let store = manage.clusters_as(&caller)?;
    let tasks = manage.gateway.short.clone();
    let stop = manage.stopping.child_token();
    persist(&tasks, stop.clone(), async move |teller| {
        let _held = held;
        let joining = Joining { manage, caller, store, teller, stop };
        joining.join(&request, &digest).await
    })
    .await
}

/// A join under way.
struct Joining {
    manage: Arc<Manage>,
    caller: Caller,
    store: Store,
    teller: Teller,
    stop: CancellationToken,
}

impl Joining {
    async fn join(&self, request: &JoinRequest, digest: &str) -> Result<(), Refusal> {
        let Self { manage, caller, store, teller, stop } = self;
        let join = Join::prepare(store, &manage.policy, request, stop).await?;
        if join.plan().digest.as_deref() != Some(digest) {
            let message = "the plan is no longer the one that you have seen";
            return Err(Refusal::new(Code::Conflict, message).remedy("Look at it again, then join."));
        }
        let name = join.plan().cluster.clone();
        let gateway = manage.gateway_check(caller);
        let watch = |step: Step| teller.mention("step", &step);
        let committed = join.commit_with(store, Some(&gateway), stop, &watch).await;
        let (joined, committed) = match committed {
            Ok(done) => done,
            Err(failure) => {
                tracing::info!(cluster = name, user = caller.user.name, %failure, "joining a cluster has failed");
                return Err(failed(failure));
            }
        };
        self.record(request, &joined, committed).await?;
        tracing::info!(cluster = name, user = caller.user.name, endpoint = joined.endpoint, "cluster joined");
        let shown = manage.fleet_cluster(&name).await?;
        let _ = teller.tell_written("joined", &shown).await;
        Ok(())
    }

    /// Records it, as joining through VelaUX' route does; without a record it is not joined.
    async fn record(
        &self,
        request: &JoinRequest,
        joined: &Joined,
        committed: Committed<'_>,
    ) -> Result<(), Refusal> {
        let record = Record {
            alias: request.alias.clone().unwrap_or_default(),
            labels: request.labels.clone(),
            api_server_url: joined.endpoint.clone(),
            ..Record::new(&joined.cluster)
        };
        self.step(StepOutcome::Started, "");
        let Err(error) = self.manage.records.save(record).await else {
            self.step(StepOutcome::Passed, "");
            return Ok(());
        };
        self.step(StepOutcome::Failed, &error.to_string());
        let undo = committed.undo().await;
        Err(undone(&error.to_string(), &undo))
    }

    fn step(&self, outcome: StepOutcome, found: &str) {
        self.teller.mention("step", &json!({ "step": RECORD, "outcome": outcome, "found": found }));
    }
}

fn failed(failure: Failure) -> Refusal {
    let Failure { cause, undo } = failure;
    undone(&cause.to_string(), &undo)
}

/// What has become of it.
fn undone(cause: &str, undo: &Undo) -> Refusal {
    match undo {
        Undo::Untouched | Undo::Restored => Refusal::new(Code::JoinUndone, cause)
            .remedy("Everything is as it was before. Mend the cause, then look at the plan again."),
        Undo::Incomplete(left) => {
            let message = format!("{cause}; NOT everything could be put back: {}", left.join("; "));
            Refusal::new(Code::JoinRemains, message)
                .remedy("Look at what is named, and remove it yourself where it is still there.")
        }
    }
}
