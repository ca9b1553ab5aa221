//! Which of several replicas is to do what one of them does for all: who holds a Lease of the hub.
//!
//! A Lease advises, it does not exclude: after a pause of the process or of the network two may believe for a moment that
//! they hold it. What a holder writes must therefore bear a second writer, by resource versions.
//!
//! Clocks are never compared. A Lease counts as abandoned when *this* process has seen it unchanged for its duration.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::{CallError, Hub, call};

/// However long a Lease says that it lasts: nobody waits longer for one that is abandoned.
const LONGEST: Duration = Duration::from_secs(60);

/// One candidate's part in a Lease.
#[derive(Debug)]
pub struct Lease {
    objects: Api<Object>,
    name: String,
    identity: String,
    duration: Duration,
    /// What was last seen of another's Lease, and since when.
    seen: Option<(LeaseSpec, Instant)>,
    standing: watch::Sender<Standing>,
}

/// How a candidate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds the Lease until this moment, unless it renews it.
    Holds(Instant),
    /// Another holds the Lease, or nobody is known to.
    Waits,
    /// The hub does not let it be a candidate, or does not answer.
    Fails(CallError),
}

/// What others may know of a candidate: whether it holds the Lease. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Leadership(watch::Receiver<Standing>);

impl Leadership {
    /// Whether the Lease is held now. That ends by itself when it cannot be renewed.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(*self.0.borrow(), Standing::Holds(until) if Instant::now() < until)
    }

    /// How the candidate stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.borrow().clone()
    }

    /// Completes when the Lease has been taken or lost, or cannot be had for another reason than before.
    pub async fn changed(&mut self) {
        let kind = |standing: &Standing| match standing {
            Standing::Holds(_) => (true, None),
            Standing::Waits => (false, None),
            Standing::Fails(error) => (false, Some(error.clone())),
        };
        let before = kind(&self.0.borrow_and_update());
        // Without its candidate nothing changes any more.
        if self.0.wait_for(|now| kind(now) != before).await.is_err() {
            std::future::pending().await
        }
    }
}

impl Lease {
    /// A candidate for the Lease `namespace/name`, which is made when it is missing. It is renewed three times within
    /// `duration`; another takes over when it has not been for that long. 15 s are usual.
    #[must_use]
    pub fn new(hub: &Hub, namespace: &str, name: &str, duration: Duration) -> (Self, Leadership) {
        let (standing, leadership) = watch::channel(Standing::Waits);
        let lease = Self {
            objects: Api::namespaced(hub.client(), namespace),
            name: name.to_owned(),
            identity: format!("{}_{}", host(), Uuid::new_v4()),
            duration,
            seen: None,
            standing,
        };
        (lease, Leadership(leadership))
    }

    /// Takes the Lease as soon as it is free and renews it, for ever.
    pub async fn run(mut self) {
        loop {
            let asked = Instant::now();
            let standing = match self.round().await {
                Ok(true) => Standing::Holds(asked + self.duration),
                // Somebody was quicker; the next look tells who.
                Ok(false) | Err(CallError::Conflict(_)) => Standing::Waits,
                // As long as others must wait for us, a hub that does not answer takes nothing away.
                Err(CallError::Unreachable(_)) if self.still_holds() => self.standing.borrow().clone(),
                Err(error) => Standing::Fails(error),
            };
            self.tell(standing);
            tokio::time::sleep(self.duration / 3).await;
        }
    }

    fn still_holds(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Holds(until) if Instant::now() < until)
    }

    fn tell(&self, standing: Standing) {
        let held = |standing: &Standing| matches!(standing, Standing::Holds(_));
        if held(&standing) != held(&self.standing.borrow()) {
            let what = if held(&standing) { "taken" } else { "lost" };
            tracing::debug!(lease = self.name, identity = self.identity, "the lease was {what}");
        }
        self.standing.send_replace(standing);
    }

    /// Whether the Lease is held after it.
    async fn round(&mut self) -> Result<bool, CallError> {
        let Some(mut object) = call(self.objects.get_opt(&self.name)).await? else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            let object = Object { metadata, spec: Some(self.claim(None)) };
            call(self.objects.create(&PostParams::default(), &object)).await?;
            return Ok(true);
        };
        let spec = object.spec.take().unwrap_or_default();
        if !self.may_take(&spec) {
            return Ok(false);
        }
        object.spec = Some(self.claim(Some(spec)));
        // The object's resource version goes with it: of two that try, one fails.
        call(self.objects.replace(&self.name, &PostParams::default(), &object)).await?;
        Ok(true)
    }

    /// Whether the Lease is ours, nobody's, or abandoned.
    fn may_take(&mut self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let since = match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => {
                self.seen = Some((spec.clone(), Instant::now()));
                return false;
            }
        };
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(self.duration, Duration::from_secs).min(LONGEST);
        since.elapsed() >= duration
    }

    fn claim(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let made = before.is_none();
        let before = before.unwrap_or_default();
        let ours = made || before.holder_identity.as_ref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            // A whole number of seconds, and not zero.
            lease_duration_seconds: Some(i32::try_from(self.duration.as_secs().max(1)).unwrap_or(i32::MAX)),
            acquire_time: before.acquire_time.filter(|_| ours).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(
                before.lease_transitions.unwrap_or_default().saturating_add(i32::from(!ours)),
            ),
            ..LeaseSpec::default()
        }
    }
}

/// The pod's name, for whoever looks at the Lease.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "cluster-gateway".to_owned() } else { name.to_owned() }
}
