//! Tokens of members' service accounts: made when a cluster is joined, renewed by the gateway before they end; and a warning in
//! time for the credentials that nobody renews.
//!
//! One task for all clusters. One replica acts, by Lease; where there is no hub, this process does. The token never leaves for
//! anywhere but the cluster's Secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

mod account;
mod ask;
mod client;
mod establish;
mod expiry;
mod keeper;
mod report;
mod schedule;
mod stats;
mod token;
mod track;
mod turn;

pub use account::ServiceAccountRef;
pub use ask::{AskError, ask};
pub use client::client;
pub use establish::{
    Change, DEFAULT_NAME, DEFAULT_NAMESPACE, EstablishError, Establishment, MemberObject, Role,
    missing_rights, survey,
};
pub use keeper::Keeper;
pub use stats::{RenewalStats, readings};
pub use token::{DEFAULT_LIFETIME, Life, SHORTEST_LIFETIME, Token};
pub use turn::Turn;

use crate::hub::Events;
use crate::registry::{Registry, Snapshot};
use report::Complaints;
use track::{Done, Tracked};

/// Name of the Lease that says which replica renews credentials and warns of their end. It lies in the gateway's own namespace;
/// outside of a cluster, in that of the credential Secrets.
pub const CREDENTIALS_LEASE: &str = "cluster-gateway-credentials";

/// Renewals and Events under way at once.
const MOST_AT_ONCE: usize = 8;
/// Longest time until all clusters are looked at again: the wall clock may have been set, or the machine have slept.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How tokens are renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalConfig {
    /// Percent of a token's life after which it is renewed, 1 to 95 (`--credential-renewal-percent`). Default 80.
    pub percent: u8,
    /// The life that is asked for; members may shorten it (`--credential-lifetime`). Default 24 h.
    pub lifetime: Duration,
    /// Time between two looks at whether something has changed or is due. Default 1 s.
    pub look: Duration,
}

impl Default for RenewalConfig {
    fn default() -> Self {
        Self { percent: 80, lifetime: DEFAULT_LIFETIME, look: Duration::from_secs(1) }
    }
}

/// Renews tokens, and warns of the end of credentials.
#[derive(Debug)]
pub struct Renewer {
    registry: Arc<Registry>,
    config: RenewalConfig,
    keeper: Keeper,
    events: Option<Events>,
    turn: Turn,
    stats: Arc<RenewalStats>,
    complaints: Complaints,
    seen: Arc<Snapshot>,
    members: BTreeMap<String, Tracked>,
    running: JoinSet<(String, Done)>,
    /// When something is due at the latest, as long as nothing changes.
    next: Instant,
    acted: bool,
}

impl Renewer {
    /// One that renews the tokens of the clusters in `registry` and keeps them in `keeper`; warnings also go to `events`, if
    /// there are any. It acts while it is its `turn`.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        config: RenewalConfig,
        keeper: Keeper,
        events: Option<Events>,
        turn: Turn,
        stats: Arc<RenewalStats>,
    ) -> Self {
        Self {
            registry,
            config,
            keeper,
            events,
            turn,
            stats,
            complaints: Complaints::default(),
            seen: Arc::default(),
            members: BTreeMap::new(),
            running: JoinSet::new(),
            next: Instant::now(),
            acted: false,
        }
    }

    /// Goes on for ever.
    pub async fn run(mut self) {
        let mut look = tokio::time::interval(self.config.look);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = look.tick() => self.look(),
                Some(done) = self.running.join_next() => {
                    // What panicked is found to be due again, later than what failed.
                    if let Ok((name, done)) = done {
                        self.done(&name, done);
                    }
                    self.next = Instant::now();
                }
            }
        }
    }

    fn look(&mut self) {
        let changed = self.adopt();
        if self.members.is_empty() {
            return;
        }
        let acting = self.turn.is_ours();
        self.complaints.lease(&self.turn);
        if !changed && acting == self.acted && Instant::now() < self.next {
            return;
        }
        self.acted = acting;
        let now = SystemTime::now();
        let mut next = Instant::now() + LOOK_AGAIN;
        for member in self.members.values_mut() {
            let notice = member.notice(&self.config, now);
            if let Some(notice) = notice {
                member.log(notice);
            }
            if acting {
                if let Some(events) = &self.events
                    && self.running.len() < MOST_AT_ONCE
                    && let Some(job) = member.event(notice, events)
                {
                    self.running.spawn(job);
                }
                if self.running.len() < MOST_AT_ONCE
                    && let Some(job) = member.renewal(&self.config, &self.keeper, now)
                {
                    self.running.spawn(job);
                }
            }
            next = next.min(member.next(&self.config, now));
        }
        self.next = next;
    }

    /// Takes over what has changed in the registry: the clusters whose credential is renewed or ends. Returns whether there was
    /// something.
    fn adopt(&mut self) -> bool {
        let snapshot = self.registry.snapshot();
        if Arc::ptr_eq(&snapshot, &self.seen) {
            return false;
        }
        let mut known = std::mem::take(&mut self.members);
        for cluster in snapshot.iter() {
            let before = known.remove(&cluster.name);
            if let Some(member) = Tracked::adopt(before, cluster) {
                self.members.insert(cluster.name.clone(), member);
            }
        }
        self.seen = snapshot;
        true
    }

    fn done(&mut self, name: &str, done: Done) {
        if let Done::Renewal(result) = &done {
            self.stats.count(report::outcome(result));
        }
        self.complaints.done(name, &done, &self.keeper);
        if let Some(member) = self.members.get_mut(name) {
            member.done(done, &self.config);
        }
    }
}

#[cfg(test)]
mod tests;
