//! What is remembered of one cluster whose credential is renewed or ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use uuid::Uuid;

use super::ask::{AskError, ask};
use super::expiry::Notice;
use super::keeper::{self, KeepError, Keeper};
use super::stats::{ends, not_after};
use super::token::Life;
use super::{RenewalConfig, ServiceAccountRef, schedule};
use crate::hub::{CallError, Events, Warning};
use crate::registry::Cluster;

/// When an Event that was not written is tried again.
const EVENT_AGAIN: Duration = Duration::from_secs(60);
/// When a cluster whose Secret has changed meanwhile is tried again: the change has come by then.
const CHANGED_AGAIN: Duration = Duration::from_secs(2);

/// When something that was begun is no longer waited for: its parts have limits that are much shorter.
const LOST: Duration = Duration::from_secs(120);

/// A credential's end that was told of, and how.
type Told = (SystemTime, Notice);

/// One cluster.
#[derive(Debug)]
pub(super) struct Tracked {
    cluster: Arc<Cluster>,
    /// Whose token is renewed; `None`: nobody renews the credential.
    account: Option<ServiceAccountRef>,
    /// A number from 0 to 1 that keeps clusters apart.
    chance: f64,
    failures: u32,
    failure: Option<String>,
    /// Nothing is tried before this.
    not_before: Instant,
    /// A renewal is under way; at the latest then it is not, whatever became of it.
    renewing: Option<Instant>,
    logged: Option<Told>,
    recorded: Option<Told>,
    /// The same of an Event.
    recording: Option<Instant>,
    record_not_before: Instant,
}

/// What has ended.
#[derive(Debug)]
pub(super) enum Done {
    Renewal(Result<Renewed, Failure>),
    Event(Told, Result<(), CallError>),
}

/// A renewal that is done.
#[derive(Debug, Clone)]
pub(super) struct Renewed {
    pub(super) account: ServiceAccountRef,
    pub(super) life: Life,
}

/// Why a token was not renewed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Ask(AskError),
    #[error("the new token could not be written: {0}")]
    Keep(KeepError),
}

impl Tracked {
    /// What is to be remembered of a cluster, if anything; `before` is what was before its Secret changed.
    pub(super) fn adopt(before: Option<Self>, cluster: &Arc<Cluster>) -> Option<Self> {
        let account = match keeper::account(cluster) {
            Some(Ok(account)) if cluster.upstream.is_ok() => Some(account),
            Some(Err(reason)) => {
                let new =
                    before.as_ref().is_none_or(|b| b.cluster.resource_version != cluster.resource_version);
                if new {
                    tracing::warn!(
                        cluster = cluster.name,
                        reason,
                        "the credential of the cluster is not renewed"
                    );
                }
                None
            }
            // A cluster that cannot be used is not renewed, but its end is told.
            Some(Ok(_)) | None => None,
        };
        if account.is_none() && ends(cluster).is_none() {
            return None;
        }
        let same = |before: &Self| before.account == account && before.cluster.uid == cluster.uid;
        Some(match before.filter(same) {
            Some(before) => {
                let changed = before.cluster.resource_version != cluster.resource_version;
                // Somebody has taken away what was written down, to have the token renewed now.
                let asked = changed && before.failures == 0 && Life::of(&cluster.annotations).is_none();
                let not_before = if asked { Instant::now() } else { before.not_before };
                Self { cluster: Arc::clone(cluster), not_before, ..before }
            }
            None => Self::new(Arc::clone(cluster), account),
        })
    }

    fn new(cluster: Arc<Cluster>, account: Option<ServiceAccountRef>) -> Self {
        let now = Instant::now();
        Self {
            cluster,
            account,
            chance: chance(),
            failures: 0,
            failure: None,
            not_before: now,
            renewing: None,
            logged: None,
            recorded: None,
            recording: None,
            record_not_before: now,
        }
    }

    fn due(&self, config: &RenewalConfig) -> SystemTime {
        let life = Life::of(&self.cluster.annotations);
        schedule::due(life, not_after(&self.cluster), config.percent, self.chance)
    }

    /// What is to be told of the end of its credential now.
    pub(super) fn notice(&self, config: &RenewalConfig, now: SystemTime) -> Option<Notice> {
        let ends = ends(&self.cluster)?;
        match self.account {
            Some(_) => Notice::of_renewed(self.due(config), ends, self.failures > 0, now),
            None => Notice::of_static(ends, now),
        }
    }

    /// Says it in the log, once.
    pub(super) fn log(&mut self, notice: Notice) {
        let Some(told) = ends(&self.cluster).map(|ends| (ends, notice)) else { return };
        if self.logged == Some(told) {
            return;
        }
        self.logged = Some(told);
        let cluster = &self.cluster.name;
        let message = notice.message(cluster, told.0, self.failure.as_deref());
        match notice {
            Notice::Ended => tracing::error!(cluster, "{message}"),
            Notice::Within(_) | Notice::Unrenewed => tracing::warn!(cluster, "{message}"),
        }
    }

    /// Writes it as an Event, if that has not been done.
    pub(super) fn event(
        &mut self,
        notice: Option<Notice>,
        events: &Events,
    ) -> Option<impl Future<Output = (String, Done)> + Send + use<>> {
        let told = (ends(&self.cluster)?, notice?);
        if under_way(self.recording) || self.recorded == Some(told) || Instant::now() < self.record_not_before
        {
            return None;
        }
        self.recording = Some(Instant::now() + LOST);
        let (ends, notice) = told;
        let warning = Warning {
            secret: self.cluster.name.clone(),
            uid: self.cluster.uid.clone(),
            reason: notice.reason(),
            message: notice.message(&self.cluster.name, ends, self.failure.as_deref()),
            key: format!("{} {}", notice.key(), super::token::written(ends)),
        };
        let events = events.clone();
        Some(async move {
            let result = events.warn(&warning).await;
            (warning.secret, Done::Event(told, result))
        })
    }

    /// Renews its token, if that is due.
    pub(super) fn renewal(
        &mut self,
        config: &RenewalConfig,
        keeper: &Keeper,
        now: SystemTime,
    ) -> Option<impl Future<Output = (String, Done)> + Send + use<>> {
        let account = self.account.clone()?;
        if under_way(self.renewing) || now < self.due(config) || Instant::now() < self.not_before {
            return None;
        }
        self.renewing = Some(Instant::now() + LOST);
        let (cluster, keeper, lifetime) = (Arc::clone(&self.cluster), keeper.clone(), config.lifetime);
        Some(async move {
            let renewed = renew(&cluster, account, &keeper, lifetime).await;
            (cluster.name.clone(), Done::Renewal(renewed))
        })
    }

    /// Something that it began has ended.
    pub(super) fn done(&mut self, done: Done, config: &RenewalConfig) {
        let now = Instant::now();
        match done {
            Done::Renewal(result) => {
                self.renewing = None;
                self.not_before = match result {
                    Ok(Renewed { life, .. }) => {
                        (self.failures, self.failure, self.chance) = (0, None, chance());
                        now + schedule::rest(&life, config.percent)
                    }
                    Err(Failure::Keep(KeepError::Changed)) => now + CHANGED_AGAIN,
                    Err(failure) => {
                        self.failures = self.failures.saturating_add(1);
                        self.failure = Some(failure.to_string());
                        now + schedule::pause(self.failures, chance())
                    }
                };
            }
            Done::Event(told, result) => {
                self.recording = None;
                match result {
                    Ok(()) => self.recorded = Some(told),
                    Err(_) => self.record_not_before = now + EVENT_AGAIN,
                }
            }
        }
    }

    /// When it must be looked at again at the latest. What is told of in days is left to the look that comes anyway.
    pub(super) fn next(&self, config: &RenewalConfig, now: SystemTime) -> Instant {
        let far = Instant::now() + super::LOOK_AGAIN;
        if self.account.is_none() || under_way(self.renewing) {
            return far;
        }
        let left = self.due(config).duration_since(now).unwrap_or_default().min(super::LOOK_AGAIN);
        (Instant::now() + left).max(self.not_before).min(far)
    }
}

async fn renew(
    cluster: &Cluster,
    account: ServiceAccountRef,
    keeper: &Keeper,
    lifetime: Duration,
) -> Result<Renewed, Failure> {
    let Ok(upstream) = &cluster.upstream else { return Err(Failure::Keep(KeepError::Changed)) };
    let token = ask(upstream, &account, lifetime).await.map_err(Failure::Ask)?;
    let life = token.life;
    keeper.keep(cluster, &account, token).await.map_err(Failure::Keep)?;
    Ok(Renewed { account, life })
}

fn under_way(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

/// A number from 0 to 1.
fn chance() -> f64 {
    let [byte, ..] = *Uuid::new_v4().as_bytes();
    f64::from(byte) / 255.0
}
