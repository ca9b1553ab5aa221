//! Which version the next change has.

use std::time::SystemTime;

use super::super::Numbering;

/// The row of versions. It is the hub's as long as the hub's Secrets are all that counts. Once there are ManagedClusters
/// it is this process' own: two rows of events come in an order that another replica need not see.
#[derive(Debug, Default)]
pub(super) struct Versions {
    current: u64,
    /// How far the hub's Secrets have been read; `None`: they come from elsewhere, or their versions are no numbers.
    hub: Option<u64>,
    /// Whether ManagedClusters have been seen.
    managed: bool,
    /// What the versions handed out so far are.
    numbering: Numbering,
}

/// When a change took effect, and from where a client that has seen it may go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) version: u64,
    pub(super) resume: u64,
}

impl At {
    pub(super) fn exactly(version: u64) -> Self {
        Self { version, resume: version }
    }
}

impl Versions {
    pub(super) fn current(&self) -> u64 {
        self.current
    }

    /// What the next version will be.
    pub(super) fn numbering(&self) -> Numbering {
        if self.hub.is_some() && !self.managed { Numbering::Hub } else { Numbering::Own }
    }

    /// There are ManagedClusters, or were: going back would only make everybody list once more.
    pub(super) fn leave_hub(&mut self) {
        self.managed = true;
    }

    /// The version of a change of a Secret.
    pub(super) fn next(&mut self, resource_version: &str) -> At {
        self.advance(resource_version);
        if self.numbering() == Numbering::Own {
            self.count();
        }
        At::exactly(self.current)
    }

    /// The version of a change that the hub's row does not know; `read` is that of the Secret.
    pub(super) fn next_own(&mut self, read: u64) -> At {
        match self.numbering() {
            Numbering::Own => self.next(""),
            Numbering::Hub => At::exactly(read),
        }
    }

    /// The hub's Secrets have been read up to here. A version that is no number, or goes back, does not stop the row.
    pub(super) fn advance(&mut self, resource_version: &str) {
        if let (Some(hub), Ok(version)) = (&mut self.hub, resource_version.parse::<u64>()) {
            *hub = version.max(*hub);
        }
        if let (Numbering::Hub, Some(hub)) = (self.numbering(), self.hub) {
            self.current = hub;
        }
    }

    /// The Secrets have been listed, by the hub at this version or elsewhere. Returns whether the row goes on: if not,
    /// the hub was set back, or it is another row.
    pub(super) fn listed(&mut self, resource_version: Option<&str>) -> bool {
        let version = resource_version.and_then(|version| version.parse().ok());
        let goes_on = match (self.hub, version) {
            (Some(before), Some(now)) => before <= now,
            (before, now) => before.is_none() && now.is_none(),
        };
        self.hub = version;
        goes_on
    }

    /// The version of the hub's last list, if the row is the hub's.
    pub(super) fn listed_at(&self) -> Option<u64> {
        self.hub.filter(|_| self.numbering() == Numbering::Hub)
    }

    /// Makes the current version one of the row that is now in force; returns whether it is another row.
    pub(super) fn settle(&mut self) -> bool {
        let numbering = self.numbering();
        let other = std::mem::replace(&mut self.numbering, numbering) != numbering;
        match (numbering, self.hub) {
            (Numbering::Hub, Some(hub)) => self.current = hub,
            _ if other || self.current == 0 => self.count(),
            _ => {}
        }
        other
    }

    /// Own versions start from the time, so that those of an earlier process are smaller.
    fn count(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or_default();
        self.current = now.max(self.current + 1);
    }
}
