//! All clusters at a moment, and since when each is as it is. Looked at anew when somebody asks and the last look is old;
//! nothing runs by itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::card::Card;
use crate::manage::records;
use crate::registry::Snapshot;

/// How old a look may be for those who follow changes.
const FRESH: Duration = Duration::from_millis(500);
/// Removals that are remembered, at most.
const MOST_REMOVED: usize = 4096;

/// How old an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is of now.
    None,
    /// It may be a moment old.
    Moment,
}

/// The clusters of this process, as they are shown.
#[derive(Debug)]
pub(super) struct Board {
    /// What tells this process' generations from those of another.
    epoch: String,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    looked: Option<Instant>,
    snapshot: Arc<Snapshot>,
    view: View,
}

/// All clusters at a moment.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// Number of the latest change of anything.
    pub(super) moment: u64,
    /// Number of the latest change of what is no latency.
    pub(super) generation: u64,
    /// By name.
    pub(super) cards: Arc<Vec<Arc<Card>>>,
    /// What was removed, and when; the oldest first.
    removed: Arc<Vec<(u64, String)>>,
    /// All removals after this one are in `removed`.
    forgotten: u64,
}

impl Default for Board {
    fn default() -> Self {
        let epoch = Uuid::new_v4().simple().to_string()[..12].to_owned();
        let kept = Kept { looked: None, snapshot: Arc::default(), view: View::default() };
        Self { epoch, kept: Mutex::new(kept) }
    }
}

impl Board {
    /// The clusters.
    pub(super) fn look(&self, snapshot: &Arc<Snapshot>, records: &records::View, patience: Patience) -> View {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = kept.looked.is_some_and(|looked| looked.elapsed() < FRESH);
        if !(fresh && patience == Patience::Moment) {
            kept.view.renew(snapshot, records);
            kept.looked = Some(Instant::now());
            // So that what is shown of it lives no longer than it must.
            kept.snapshot = Arc::clone(snapshot);
        }
        kept.view.clone()
    }

    /// A place in the history of changes, for the wire.
    pub(super) fn generation(&self, number: u64) -> String {
        format!("{}-{number}", self.epoch)
    }

    /// The place that a text names, if it is one of this process.
    pub(super) fn place(&self, text: &str) -> Option<u64> {
        text.strip_prefix(&self.epoch)?.strip_prefix('-')?.parse().ok()
    }
}

impl View {
    fn renew(&mut self, snapshot: &Snapshot, records: &records::View) {
        let now = self.moment + 1;
        let mut cards = Vec::with_capacity(self.cards.len());
        let (mut before, mut removed) = (self.cards.iter().peekable(), Vec::new());
        let (mut new, mut changed) = (false, false);
        for cluster in snapshot.iter() {
            while let Some(gone) = before.next_if(|card| card.name() < cluster.name.as_str()) {
                removed.push(gone.name().to_owned());
            }
            let known = before.next_if(|card| card.name() == cluster.name);
            let card = Card::of(cluster, records.get(&cluster.name), known, now);
            new |= known.is_none_or(|known| !Arc::ptr_eq(known, &card));
            changed |= card.changed == now;
            cards.push(card);
        }
        removed.extend(before.map(|gone| gone.name().to_owned()));
        if new || !removed.is_empty() {
            self.moment = now;
            self.cards = Arc::new(cards);
        }
        if changed || !removed.is_empty() {
            self.generation = now;
        }
        if !removed.is_empty() {
            self.forget(removed.into_iter().map(|name| (now, name)));
        }
    }

    fn forget(&mut self, names: impl Iterator<Item = (u64, String)>) {
        let mut removed: Vec<_> = self.removed.iter().cloned().chain(names).collect();
        let surplus = removed.len().saturating_sub(MOST_REMOVED);
        if let Some((last, _)) = removed.drain(..surplus).next_back() {
            self.forgotten = last;
        }
        self.removed = Arc::new(removed);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Card>> {
        let index = self.cards.binary_search_by(|card| card.name().cmp(name)).ok()?;
        self.cards.get(index)
    }

    /// Whether all changes since then are known.
    pub(super) fn knows(&self, since: u64) -> bool {
        (self.forgotten..=self.moment).contains(&since)
    }

    /// Clusters that have become what they are after `since`.
    pub(super) fn changed(&self, since: u64) -> impl Iterator<Item = &Arc<Card>> {
        let any = self.generation > since;
        self.cards.iter().filter(move |card| any && card.changed > since)
    }

    /// Clusters that were removed after `since` and have not come back.
    pub(super) fn removed(&self, since: u64) -> impl Iterator<Item = &str> {
        let later = self.removed.partition_point(|(at, _)| *at <= since);
        self.removed[later..].iter().map(|(_, name)| name.as_str()).filter(|name| self.get(name).is_none())
    }

    /// Clusters that were measured after `since`.
    pub(super) fn measured(&self, since: u64) -> impl Iterator<Item = &Arc<Card>> {
        let any = self.moment > since;
        self.cards.iter().filter(move |card| any && card.measured > since)
    }
}

#[cfg(test)]
mod tests;
