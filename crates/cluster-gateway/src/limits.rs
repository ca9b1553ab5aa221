//! How much may be under way at once (contract rules 124-126), and for how long.
//!
//! Whoever is let in holds a [`Place`] for as long as its bytes flow: it is tied to the body of the answer, or to the
//! upgraded stream. Counting costs a few atomic operations; a limit that is off costs less.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mod chance;
mod in_flight;
mod users;

use chance::Chance;
use in_flight::{Counted, enter};
pub use in_flight::{InFlight, Kind};
use users::Users;

use crate::authn::{GROUP_MASTERS, UserInfo};
use crate::request::{RequestInfo, ResourceTarget, Verb};
use crate::status::Error;

/// Headers of one request. HTTP/2 bounds their bytes only, which leaves room for tens of thousands of tiny ones; on
/// HTTP/1.1 the server takes no more than these. A user of many groups needs one per group.
pub const MAX_HEADERS: usize = 1024;

/// The limits, 0 meaning none.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitsConfig {
    /// Requests for the gateway's own resources and documents that change nothing (`--max-requests-inflight`).
    /// Default 400.
    pub read_only: usize,
    /// The same that change something (`--max-mutating-requests-inflight`). Default 200.
    pub mutating: usize,
    /// Proxied requests of one user, over all clusters (`--max-proxied-requests-per-user`). Default 20,000: a
    /// controller watches ten thousand clusters as one user.
    pub requests_per_user: usize,
    /// Upgraded streams of one user, over all clusters (`--max-upgrades-per-user`). Default 1,000.
    pub upgrades_per_user: usize,
    /// Proxied requests to one cluster (`--max-proxied-requests-per-cluster`). Default 10,000.
    pub requests_per_cluster: usize,
    /// Upgraded streams to one cluster (`--max-upgrades-per-cluster`). Default 2,000.
    pub upgrades_per_cluster: usize,
    /// Longest time for a request for the gateway's own resources (`--request-timeout`, rule 122). Default 60 s.
    pub request_timeout: Duration,
    /// Chance that a request on HTTP/2 makes its connection end after its open streams (`--goaway-chance`, rule 133),
    /// from 0 to 1. Default 0.
    pub goaway_chance: f64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            read_only: 400,
            mutating: 200,
            requests_per_user: 20_000,
            upgrades_per_user: 1_000,
            requests_per_cluster: 10_000,
            upgrades_per_cluster: 2_000,
            request_timeout: Duration::from_secs(60),
            goaway_chance: 0.0,
        }
    }
}

/// A limit that can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Own requests that change nothing.
    ReadOnly,
    /// Own requests that change something.
    Mutating,
    /// Proxied requests of a user.
    UserRequests,
    /// Upgrades of a user.
    UserUpgrades,
    /// Proxied requests to a cluster.
    ClusterRequests,
    /// Upgrades to a cluster.
    ClusterUpgrades,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ReadOnly,
        Self::Mutating,
        Self::UserRequests,
        Self::UserUpgrades,
        Self::ClusterRequests,
        Self::ClusterUpgrades,
    ];

    /// The flag that sets it, without dashes; also its label in metrics.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::ReadOnly => "max-requests-inflight",
            Self::Mutating => "max-mutating-requests-inflight",
            Self::UserRequests => "max-proxied-requests-per-user",
            Self::UserUpgrades => "max-upgrades-per-user",
            Self::ClusterRequests => "max-proxied-requests-per-cluster",
            Self::ClusterUpgrades => "max-upgrades-per-cluster",
        }
    }
}

/// Lets requests in, or not.
#[derive(Debug)]
pub struct Limits {
    config: LimitsConfig,
    read_only: Arc<InFlight>,
    mutating: Arc<InFlight>,
    users: Users,
    goaway: Chance,
    rejected: [AtomicU64; Limit::ALL.len()],
}

/// Held while a request is under way.
#[derive(Debug, Default)]
pub struct Place {
    _own_or_user: Option<Counted>,
    _cluster: Option<Counted>,
}

impl Limits {
    /// Limits with nothing under way.
    #[must_use]
    pub fn new(config: LimitsConfig) -> Self {
        Self {
            goaway: Chance::new(config.goaway_chance),
            config,
            read_only: Arc::default(),
            mutating: Arc::default(),
            users: Users::default(),
            rejected: Default::default(),
        }
    }

    /// Longest time for a request for the gateway's own resources (rule 122).
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.config.request_timeout
    }

    /// Whether this request's HTTP/2 connection is to end after its open streams (rule 133).
    pub fn says_goaway(&self) -> bool {
        self.goaway.strikes()
    }

    /// Lets a request in before it is known what its user may: proxied ones by user (rule 126), own ones by kind
    /// (rule 125), except own watches (rule 120). Members of `system:masters` are counted and never refused.
    ///
    /// # Errors
    /// [`Error::Overloaded`], [`Error::TooManyRequests`].
    pub fn admit(&self, info: &RequestInfo, user: &UserInfo) -> Result<Place, Error> {
        let counted = match info {
            RequestInfo::Proxy(target) => self.admit_user(Kind::of_upgrade(target.upgrade), user)?,
            RequestInfo::Resource(ResourceTarget { verb: Verb::Watch, .. }) => None,
            RequestInfo::Resource(target) => {
                self.admit_own(matches!(target.verb, Verb::Get | Verb::List), user)?
            }
            RequestInfo::Document(target) => self.admit_own(target.verb == "get", user)?,
        };
        Ok(Place { _own_or_user: counted, _cluster: None })
    }

    /// Lets a request that was let in and authorized on to its cluster (rule 126).
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn admit_to(
        &self,
        place: Place,
        cluster: &str,
        in_flight: &Arc<InFlight>,
        user: &UserInfo,
        upgrade: bool,
    ) -> Result<Place, Error> {
        let kind = Kind::of_upgrade(upgrade);
        let (most, limit) = match kind {
            Kind::Request => (self.config.requests_per_cluster, Limit::ClusterRequests),
            Kind::Upgrade => (self.config.upgrades_per_cluster, Limit::ClusterUpgrades),
        };
        let counted = enter(in_flight, kind, most, is_master(user))
            .ok_or_else(|| self.refuse(limit, &format!("cluster {cluster}"), most))?;
        Ok(Place { _cluster: Some(counted), ..place })
    }

    /// How many own requests are under way: those that change nothing, and those that change something.
    #[must_use]
    pub fn own_in_flight(&self) -> (usize, usize) {
        (self.read_only.count(Kind::Request), self.mutating.count(Kind::Request))
    }

    /// How many requests `limit` has refused.
    #[must_use]
    pub fn rejected(&self, limit: Limit) -> u64 {
        self.rejected[limit as usize].load(Ordering::Relaxed)
    }

    fn admit_own(&self, read_only: bool, user: &UserInfo) -> Result<Option<Counted>, Error> {
        let (in_flight, most, limit) = if read_only {
            (&self.read_only, self.config.read_only, Limit::ReadOnly)
        } else {
            (&self.mutating, self.config.mutating, Limit::Mutating)
        };
        if let Some(counted) = enter(in_flight, Kind::Request, most, is_master(user)) {
            return Ok(Some(counted));
        }
        self.count_rejection(limit);
        Err(Error::Overloaded)
    }

    fn admit_user(&self, kind: Kind, user: &UserInfo) -> Result<Option<Counted>, Error> {
        let (most, limit) = match kind {
            Kind::Request => (self.config.requests_per_user, Limit::UserRequests),
            Kind::Upgrade => (self.config.upgrades_per_user, Limit::UserUpgrades),
        };
        if most == 0 {
            return Ok(None);
        }
        let in_flight = self.users.get(&user.name);
        enter(&in_flight, kind, most, is_master(user))
            .map(Some)
            .ok_or_else(|| self.refuse(limit, &format!("user \"{}\"", user.name), most))
    }

    fn refuse(&self, limit: Limit, whose: &str, most: usize) -> Error {
        self.count_rejection(limit);
        let what = match limit {
            Limit::UserUpgrades | Limit::ClusterUpgrades => "upgraded streams (exec, attach, port-forward)",
            _ => "proxied requests (watches included)",
        };
        Error::TooManyRequests(format!(
            "{whose} has {most} {what} in flight, as many as the gateway's --{} allows; end some, or raise it",
            limit.flag()
        ))
    }

    fn count_rejection(&self, limit: Limit) {
        self.rejected[limit as usize].fetch_add(1, Ordering::Relaxed);
        tracing::debug!(limit = limit.flag(), "a limit is reached");
    }
}

/// Rule 125: the last who may be locked out is who can mend it.
fn is_master(user: &UserInfo) -> bool {
    user.in_group(GROUP_MASTERS)
}

#[cfg(test)]
mod tests;
