//! Whether this process is the one that acts.

use std::time::Duration;

use tokio::task::JoinSet;

use super::CREDENTIALS_LEASE;
use crate::hub::{Hub, Leadership, Lease, Standing};

/// How long whoever renews does so after the last sign of life.
const LEASE_DURATION: Duration = Duration::from_secs(15);

/// Who acts, of several processes that could.
#[derive(Debug)]
pub enum Turn {
    /// There is only this one.
    Alone,
    /// The holder of a Lease; boxed, because it is large.
    Lease(Box<Candidacy>),
}

/// Becomes a candidate for the Lease when there is something to do for the first time: a gateway without such clusters writes
/// nothing.
#[derive(Debug)]
pub struct Candidacy {
    lease: Option<Lease>,
    leadership: Leadership,
    task: JoinSet<()>,
}

impl Turn {
    /// The holder of the Lease [`CREDENTIALS_LEASE`] in `namespace`.
    #[must_use]
    pub fn by_lease(hub: &Hub, namespace: &str) -> Self {
        let (lease, leadership) = Lease::new(hub, namespace, CREDENTIALS_LEASE, LEASE_DURATION);
        Self::Lease(Box::new(Candidacy { lease: Some(lease), leadership, task: JoinSet::new() }))
    }

    /// Whether it is this process' turn now. The first call makes it a candidate.
    pub(super) fn is_ours(&mut self) -> bool {
        match self {
            Self::Alone => true,
            Self::Lease(candidacy) => {
                if let Some(lease) = candidacy.lease.take() {
                    candidacy.task.spawn(lease.run());
                }
                candidacy.leadership.is_held()
            }
        }
    }

    /// How the candidate stands, if there is a Lease.
    pub(super) fn standing(&self) -> Option<Standing> {
        match self {
            Self::Alone => None,
            Self::Lease(candidacy) => Some(candidacy.leadership.standing()),
        }
    }
}
