//! Counting what is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is under way for somebody: a user, a cluster, the gateway itself.
#[derive(Debug, Default)]
pub struct InFlight {
    requests: AtomicUsize,
    upgrades: AtomicUsize,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request, until the end of its answer.
    Request,
    /// A request to leave HTTP, until the end of its stream.
    Upgrade,
}

impl Kind {
    pub(super) fn of_upgrade(upgrade: bool) -> Self {
        if upgrade { Self::Upgrade } else { Self::Request }
    }
}

impl InFlight {
    /// How many are under way now.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.counter(kind).load(Ordering::Relaxed)
    }

    fn counter(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Request => &self.requests,
            Kind::Upgrade => &self.upgrades,
        }
    }
}

/// One that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    holder: Arc<InFlight>,
    kind: Kind,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.holder.counter(self.kind).fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts one more, unless `most` (0: no limit) are under way. Who is `exempt` is never refused.
pub(super) fn enter(holder: &Arc<InFlight>, kind: Kind, most: usize, exempt: bool) -> Option<Counted> {
    let before = holder.counter(kind).fetch_add(1, Ordering::Relaxed);
    let counted = Counted { holder: Arc::clone(holder), kind };
    (before < most || most == 0 || exempt).then_some(counted)
}
