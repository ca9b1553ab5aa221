//! What has changed lately: the bounded ring that all watches read from (contract rule 230).
//!
//! A version is a `resourceVersion`, a position counts changes. Clients name versions; a watch that runs remembers its
//! position.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Cluster;

/// Changes that are kept at most.
const MAX_CHANGES: usize = 4096;
/// Bytes that the clusters of the kept changes may take, counted as if nothing were shared.
const MAX_BYTES: usize = 8 << 20;

/// One cluster before and after a change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Version at which it took effect.
    pub version: u64,
    /// Version from which a client that has seen this change may go on. Less than `version` when the source told of
    /// several changes at once, in an order of its own.
    pub resume: u64,
    /// The cluster before; `None`: it was registered.
    pub before: Option<Arc<Cluster>>,
    /// The cluster after; `None`: it was removed.
    pub after: Option<Arc<Cluster>>,
}

/// Who numbers the versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Numbering {
    /// The hub: the versions of all replicas are of one row, and another replica may be ahead of this one.
    Hub,
    /// This process: no other knows of its versions.
    #[default]
    Own,
}

/// A place between two changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    pub(super) fn at(number: u64) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// The place behind the next change.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Not all changes after the version are known; the oldest version that can be gone on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOld(pub u64);

/// The latest changes.
#[derive(Debug, Clone, Default)]
pub struct History {
    changes: VecDeque<Change>,
    /// Position before the first change that is kept.
    first: u64,
    /// All changes after this version are known.
    since: u64,
    bytes: usize,
}

impl History {
    /// The place behind the last change.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.first + self.changes.len() as u64)
    }

    /// The oldest version from which all changes are known.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.since
    }

    /// The place behind all changes up to `version`.
    ///
    /// # Errors
    /// [`TooOld`].
    pub fn after(&self, version: u64) -> Result<Position, TooOld> {
        if version < self.since {
            return Err(TooOld(self.since));
        }
        let known = self.changes.partition_point(|change| change.version <= version);
        Ok(Position(self.first + known as u64))
    }

    /// Whether a change is kept that took effect at exactly this version.
    #[must_use]
    pub fn knows(&self, version: u64) -> bool {
        self.changes.binary_search_by_key(&version, |change| change.version).is_ok()
    }

    /// The changes behind `position`. `None`: some of them are no longer kept.
    pub fn from(&self, position: Position) -> Option<impl DoubleEndedIterator<Item = &Change>> {
        let skipped = usize::try_from(position.0.checked_sub(self.first)?).ok()?;
        (skipped <= self.changes.len()).then(|| self.changes.range(skipped..))
    }

    /// Writes a change down, and forgets the oldest if there are too many.
    pub(super) fn push(&mut self, change: Change) {
        self.bytes += change.weight();
        self.changes.push_back(change);
        while self.changes.len() > MAX_CHANGES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.changes.pop_front() else { return };
            self.bytes -= oldest.weight();
            self.first += 1;
            self.since = self.since.max(oldest.version);
        }
    }

    /// Something may have been missed up to `version`: who has not followed until now cannot go on from before it.
    pub(super) fn gap(&mut self, version: u64) {
        self.since = self.since.max(version);
    }

    /// The row of versions has begun anew: nobody can go on.
    pub(super) fn restart(&mut self, version: u64) {
        let first = self.end().0 + 1;
        *self = Self { first, since: version, ..Self::default() };
    }
}

impl Change {
    fn weight(&self) -> usize {
        self.before.as_deref().map_or(0, Cluster::weight) + self.after.as_deref().map_or(0, Cluster::weight)
    }
}
