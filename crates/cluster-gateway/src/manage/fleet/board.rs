//! All clusters as they are shown, each written once and again only when something of it is another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::card::{Card, is_same};
use crate::manage::records;
use crate::registry::{Registry, Snapshot};

/// The clusters of this process, as they are shown.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    cards: HashMap<String, Arc<Card>>,
    /// The records that those who follow changes have been told of.
    told: Option<Arc<records::View>>,
}

impl Board {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All clusters, by name.
    pub(super) fn all(&self, snapshot: &Snapshot, records: &records::View) -> Vec<Arc<Card>> {
        let mut kept = self.kept();
        let cards: Vec<_> =
            snapshot.iter().filter_map(|cluster| kept.card(&cluster.name, snapshot, records)).collect();
        if kept.cards.len() > cards.len() {
            kept.cards.retain(|name, _| snapshot.get(name).is_some());
        }
        cards
    }

    /// The clusters of these names that there are.
    pub(super) fn some<'n>(
        &self,
        names: impl IntoIterator<Item = &'n String>,
        snapshot: &Snapshot,
        records: &records::View,
    ) -> Vec<Arc<Card>> {
        let mut kept = self.kept();
        names.into_iter().filter_map(|name| kept.card(name, snapshot, records)).collect()
    }

    /// Tells those who follow changes of other records: what is shown of a cluster may be another without its Secret being.
    pub(super) fn note(&self, registry: &Registry, records: &Arc<records::View>) {
        let snapshot = registry.snapshot();
        let mut kept = self.kept();
        let Some(before) = kept.told.replace(Arc::clone(records)) else { return };
        drop(kept);
        if Arc::ptr_eq(&before, records) {
            return;
        }
        let other = snapshot.iter().map(|cluster| &cluster.name);
        registry.learnt(other.filter(|name| !is_same(before.get(name), records.get(name))).cloned());
    }
}

impl Kept {
    fn card(&mut self, name: &str, snapshot: &Snapshot, records: &records::View) -> Option<Arc<Card>> {
        let cluster = snapshot.get(name)?;
        let before = self.cards.get(name);
        let card = Card::of(cluster, records.get(name), before);
        if before.is_none_or(|before| !Arc::ptr_eq(before, &card)) {
            self.cards.insert(name.to_owned(), Arc::clone(&card));
        }
        Some(card)
    }
}

#[cfg(test)]
mod tests;
