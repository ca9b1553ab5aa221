//! The latest requests to a cluster: everybody's for those who look after it, else the caller's own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::manage::events::{Gone, Teller, endless, signs_of_life};
use crate::manage::{Caller, ClusterName, Json, Manage, Refusal, Right};
use crate::record::{Recent, Request};

/// Events about requests in a second.
const MOST: u32 = 20;
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
        let (mut all, mut pace) = (false, Pace::new());
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
                    Ok(request) if self.is_for(&request, all) && pace.allows() => {
                        teller.tell("request", &request.shown()).await?;
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                }
            }
        }
    }

    fn is_for(&self, request: &Request, all: bool) -> bool {
        request.cluster() == self.name && (all || request.user() == self.caller.user.name)
    }
}

/// So many events in a second, and no more.
struct Pace {
    begun: Instant,
    told: u32,
}

impl Pace {
    fn new() -> Self {
        Self { begun: Instant::now(), told: 0 }
    }

    fn allows(&mut self) -> bool {
        if self.begun.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        self.told += 1;
        self.told <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn twenty_in_a_second() {
        let mut pace = Pace::new();
        let told = (0..50).filter(|_| pace.allows()).count();
        assert_eq!(told, 20);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(pace.allows());
    }
}
