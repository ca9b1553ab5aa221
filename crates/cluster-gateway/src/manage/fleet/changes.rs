//! What changes in the fleet, as it changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio::time::MissedTickBehavior;

use super::board::{Patience, View};
use super::list::clusters;
use super::sight::Sight;
use crate::manage::events::{Gone, Teller, endless, signs_of_life};
use crate::manage::{Caller, Code, Manage, Refusal};

/// Time between two looks; measurements are collected for as long.
const LOOK: Duration = Duration::from_secs(1);
/// Clusters in one event.
const MOST: usize = 200;

#[derive(Debug, Deserialize)]
pub(super) struct Since {
    since: Option<String>,
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
    let following = Following { sight, manage: Arc::clone(&manage), seen: 0, measured: 0 };
    Ok(endless(&manage, &caller, async move |teller| {
        let _place = place;
        following.follow(since, teller).await
    }))
}

/// One who follows.
struct Following {
    manage: Arc<Manage>,
    sight: Sight,
    /// Everything up to here has been told.
    seen: u64,
    measured: u64,
}

impl Following {
    async fn follow(mut self, since: Option<String>, teller: Teller) -> Result<(), Gone> {
        let view = self.look().await;
        self.measured = view.moment;
        let since = match &since {
            None => Some(view.moment),
            Some(since) => self.manage.fleet.board.place(since),
        };
        let Some(since) = since.filter(|since| view.knows(*since)) else {
            return teller.tell("gone", &json!({})).await;
        };
        self.seen = since;
        let (mut look, mut alive) = (tokio::time::interval(LOOK), signs_of_life());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = alive.tick() => teller.alive().await?,
                _ = look.tick() => {
                    let view = self.look().await;
                    if !view.knows(self.seen) || !self.sight.is_the_same(&self.manage).await {
                        return teller.tell("gone", &json!({})).await;
                    }
                    self.tell(&view, &teller).await?;
                }
            }
        }
    }

    async fn look(&self) -> View {
        let records = self.manage.records.view().await;
        let snapshot = self.manage.gateway.registry.snapshot();
        self.manage.fleet.board.look(&snapshot, &records, Patience::Moment)
    }

    async fn tell(&mut self, view: &View, teller: &Teller) -> Result<(), Gone> {
        let Self { manage, sight, .. } = self;
        let changed = view.changed(self.seen).cloned().collect();
        let changed = sight.only(manage, changed).await;
        let removed = view.removed(self.seen).map(str::to_owned).collect();
        let removed = sight.names(manage, removed).await;
        let (before, now) =
            (manage.fleet.board.generation(self.seen), manage.fleet.board.generation(view.moment));
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
        let measured = sight.only(manage, view.measured(self.measured).cloned().collect()).await;
        for chunk in measured.chunks(MOST * 10) {
            let samples: BTreeMap<_, _> = chunk.iter().map(|card| (card.name(), card.sample)).collect();
            teller.tell("measured", &json!({ "samples": samples })).await?;
        }
        (self.seen, self.measured) = (view.moment, view.moment);
        Ok(())
    }
}
