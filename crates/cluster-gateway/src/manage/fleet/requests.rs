//! The latest requests to a cluster: everybody's for those who look after it, else the caller's own.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::manage::events::{Gone, Teller, endless, signs_of_life};
use crate::manage::{Caller, ClusterName, Json, Manage, Refusal, Right};
use crate::record::{Recent, RecentRequest, Request};

/// Events about requests in a second.
const MOST: u32 = 20;
/// Requests whose end is waited for, at most: watches may run for ever.
const MOST_OPEN: usize = 10_000;
/// How long rights are believed.
const BELIEVED: Duration = Duration::from_secs(30);

pub(super) async fn requests(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
) -> Result<Json<Value>, Refusal> {
    manage.seen(&caller, &name).await?;
    let all = manage.would(&caller, Right::Update(&name)).await;
    let mut requests =
        manage.gateway.recorder.recent.as_ref().map(|recent| recent.of(&name)).unwrap_or_default();
    requests.retain(|request| all || request.user == caller.user.name);
    Ok(Json(json!({ "requests": requests })))
}

pub(super) async fn follow(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
) -> Result<Response, Refusal> {
    manage.seen(&caller, &name).await?;
    let place = manage.fleet.streams.begin(&caller)?;
    let following = Following { manage: Arc::clone(&manage), caller: caller.clone(), name };
    Ok(endless(&manage, &caller, async move |teller| {
        let _place = place;
        following.follow(&teller).await
    }))
}

/// One who follows the requests to a cluster.
struct Following {
    manage: Arc<Manage>,
    caller: Caller,
    name: String,
}

impl Following {
    async fn follow(self, teller: &Teller) -> Result<(), Gone> {
        let mut requests = self.manage.gateway.recorder.recent.as_deref().map(Recent::subscribe);
        let mut alive = signs_of_life();
        let mut rights = interval(BELIEVED);
        rights.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut all = self.manage.would(&self.caller, Right::Update(&self.name)).await;
        let mut pace = Pace::new();
        alive.tick().await;
        teller.alive().await?;
        // Whoever has listed them before this stream began must not miss what has ended in between.
        for request in self.lately(all) {
            teller.tell("request", &request).await?;
        }
        loop {
            tokio::select! {
                biased;
                _ = alive.tick() => teller.alive().await?,
                _ = rights.tick() => {
                    // The next attempt says why.
                    if !self.manage.would(&self.caller, Right::Get(&self.name)).await {
                        return Ok(());
                    }
                    all = self.manage.would(&self.caller, Right::Update(&self.name)).await;
                }
                request = async {
                    match &mut requests {
                        Some(requests) => requests.recv().await,
                        None => std::future::pending().await,
                    }
                } => match request {
                    Ok(request) if self.is_for(&request, all) => {
                        let request = request.shown();
                        if pace.allows(&request) {
                            teller.tell("request", &request).await?;
                        }
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                }
            }
        }
    }

    /// The latest of them, the oldest first.
    fn lately(&self, all: bool) -> Vec<RecentRequest> {
        let recent = self.manage.gateway.recorder.recent.as_deref();
        let mut requests = recent.map(|recent| recent.of(&self.name)).unwrap_or_default();
        requests.retain(|request| all || request.user == self.caller.user.name);
        requests.truncate(MOST as usize);
        requests.reverse();
        requests
    }

    fn is_for(&self, request: &Request, all: bool) -> bool {
        request.cluster() == self.name && (all || request.user() == self.caller.user.name)
    }
}

/// So many requests in a second, and no more. Whoever has been told that one began is told its end, too.
struct Pace {
    begun: Instant,
    told: u32,
    open: HashSet<String>,
}

impl Pace {
    fn new() -> Self {
        Self { begun: Instant::now(), told: 0, open: HashSet::new() }
    }

    fn allows(&mut self, request: &RecentRequest) -> bool {
        let ended = request.took_milliseconds.is_some();
        if ended && self.open.remove(&request.id) {
            return true;
        }
        if self.begun.elapsed() >= Duration::from_secs(1) {
            (self.begun, self.told) = (Instant::now(), 0);
        }
        self.told += 1;
        let allowed = self.told <= MOST;
        if allowed && !ended && self.open.len() < MOST_OPEN {
            self.open.insert(request.id.clone());
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RequestOutcome;

    fn request(id: usize, took: Option<f64>) -> RecentRequest {
        RecentRequest {
            id: id.to_string(),
            at: String::new(),
            user: String::new(),
            verb: "get",
            path: "/".to_owned(),
            code: None,
            took_milliseconds: took,
            outcome: RequestOutcome::Answered,
            refused_by: None,
            reason: String::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn twenty_in_a_second_and_the_end_of_each() {
        let mut pace = Pace::new();
        let told = (0..50).filter(|id| pace.allows(&request(*id, None))).count();
        assert_eq!(told, 20);
        let ended = (0..50).filter(|id| pace.allows(&request(*id, Some(1.0)))).count();
        assert_eq!(ended, 20, "the ends of those that were told, and of no others");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(pace.allows(&request(51, Some(1.0))), "one whose beginning was not told");
    }
}
