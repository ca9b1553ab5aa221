//! What changes in the fleet, as it changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::list::clusters;
use super::sight::Sight;
use crate::manage::events::{Gone, Teller, endless, signs_of_life};
use crate::manage::{Caller, Code, Manage, Refusal};
use crate::registry::{Changes, Generation, Sample};

/// For how long changes are collected before they are told together.
const COLLECT: Duration = Duration::from_millis(250);
/// Time between two looks at records and rights.
const LOOK: Duration = Duration::from_secs(1);
/// Clusters in one event.
const MOST: usize = 200;
/// Measurements in one event.
const MOST_SAMPLES: usize = 2000;

#[derive(Debug, Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    since: String,
}

pub(super) async fn follow(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    Query(Since { since }): Query<Since>,
) -> Result<Response, Refusal> {
    if !manage.gateway.registry.synced() {
        return Err(Refusal::new(Code::Unavailable, "the clusters have not been read yet"));
    }
    let place = manage.fleet.streams.begin(&caller)?;
    let sight = Sight::of(&manage, &caller).await;
    let following = Following { sight, manage: Arc::clone(&manage) };
    Ok(endless(&manage, &caller, async move |teller| {
        let _place = place;
        following.follow(since.parse().ok(), &teller).await
    }))
}

/// One who follows.
struct Following {
    manage: Arc<Manage>,
    sight: Sight,
}

impl Following {
    async fn follow(mut self, since: Option<Generation>, teller: &Teller) -> Result<(), Gone> {
        let manage = Arc::clone(&self.manage);
        let registry = &manage.gateway.registry;
        let mut samples = registry.samples();
        let Some(mut seen) = since.filter(|since| registry.changes(since).is_some()) else {
            return teller.tell("gone", &json!({})).await;
        };
        let (mut look, mut alive) = (interval(LOOK), signs_of_life());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        teller.alive().await?;
        alive.reset();
        loop {
            tokio::select! {
                biased;
                _ = alive.tick() => teller.alive().await?,
                _ = look.tick() => {
                    manage.fleet.board.note(registry, &manage.records.view().await);
                    if !self.sight.is_the_same(&manage).await {
                        return teller.tell("gone", &json!({})).await;
                    }
                }
                () = registry.changed(&seen) => {
                    sleep(COLLECT).await;
                    let Some(changes) = registry.changes(&seen) else {
                        return teller.tell("gone", &json!({})).await;
                    };
                    self.tell(&seen, &changes, teller).await?;
                    seen = changes.generation;
                }
                round = samples.recv() => match round {
                    Ok(round) => self.measured(&round, teller).await?,
                    // What is late is not repeated.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                }
            }
        }
    }

    async fn tell(&mut self, before: &Generation, changes: &Changes, teller: &Teller) -> Result<(), Gone> {
        let Self { manage, sight } = self;
        let records = manage.records.view().await;
        let snapshot = manage.gateway.registry.snapshot();
        let changed = manage.fleet.board.some(&changes.changed, &snapshot, &records);
        drop(snapshot);
        let changed = sight.only(manage, changed).await;
        let removed = sight.names(manage, changes.removed.iter().cloned().collect()).await;
        let (before, now) = (before.to_string(), changes.generation.to_string());
        let chunks = changed.chunks(MOST).count();
        for (index, chunk) in changed.chunks(MOST).enumerate() {
            // Whoever breaks off in between goes on from before all of them.
            let last = index + 1 == chunks && removed.is_empty();
            let mut text = format!("{{\"generation\":\"{}\",", if last { &now } else { &before });
            clusters(&mut text, chunk);
            text.push('}');
            teller.tell_written("changed", &text).await?;
        }
        if !removed.is_empty() {
            teller.tell("removed", &json!({ "generation": now, "names": removed })).await?;
        }
        Ok(())
    }

    async fn measured(&mut self, round: &[Sample], teller: &Teller) -> Result<(), Gone> {
        let Self { manage, sight } = self;
        for chunk in round.chunks(MOST_SAMPLES) {
            let names = chunk.iter().map(|sample| sample.cluster.clone()).collect();
            let seen = sight.names(manage, names).await;
            let all: BTreeMap<_, _> =
                chunk.iter().map(|sample| (&sample.cluster, milliseconds(sample))).collect();
            let samples: BTreeMap<_, _> =
                seen.iter().filter_map(|name| Some((name, all.get(name)?))).collect();
            if !samples.is_empty() {
                teller.tell("measured", &json!({ "samples": samples })).await?;
            }
        }
        Ok(())
    }
}

/// With one digit behind the point.
fn milliseconds(sample: &Sample) -> Option<f64> {
    sample.latency.map(|latency| (latency.as_secs_f64() * 1e4).round() / 10.0)
}
