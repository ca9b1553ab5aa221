//! Which clusters a caller may see: all, or each by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::card::Card;
use crate::manage::{Caller, Manage, Right};

/// Questions about one caller's rights at once.
const AT_ONCE: usize = 16;
/// How long rights are believed while somebody follows changes.
const BELIEVED: Duration = Duration::from_secs(30);

/// What one caller may see.
#[derive(Debug)]
pub(super) struct Sight {
    caller: Caller,
    all: bool,
    known: HashMap<String, bool>,
    asked: Instant,
}

impl Sight {
    pub(super) async fn of(manage: &Manage, caller: &Caller) -> Self {
        let all = manage.would(caller, Right::List).await;
        Self { caller: caller.clone(), all, known: HashMap::new(), asked: Instant::now() }
    }

    /// Of these cards, those that may be seen.
    pub(super) async fn only(&mut self, manage: &Manage, cards: Vec<Arc<Card>>) -> Vec<Arc<Card>> {
        if self.all {
            return cards;
        }
        self.ask(manage, cards.iter().map(|card| card.name()).collect()).await;
        cards.into_iter().filter(|card| self.known.get(card.name()) == Some(&true)).collect()
    }

    /// Of these names, those that may be seen.
    pub(super) async fn names(&mut self, manage: &Manage, names: Vec<String>) -> Vec<String> {
        if self.all {
            return names;
        }
        self.ask(manage, names.iter().map(String::as_str).collect()).await;
        names.into_iter().filter(|name| self.known.get(name) == Some(&true)).collect()
    }

    /// Whether the caller may still see what they saw, and nothing else. Asks only now and then.
    pub(super) async fn is_the_same(&mut self, manage: &Manage) -> bool {
        if self.asked.elapsed() < BELIEVED {
            return true;
        }
        self.asked = Instant::now();
        if manage.would(&self.caller, Right::List).await != self.all {
            return false;
        }
        // Of those that are gone nobody asks any more.
        let snapshot = manage.gateway.registry.snapshot();
        let mut before = std::mem::take(&mut self.known);
        before.retain(|name, _| snapshot.get(name).is_some());
        drop(snapshot);
        self.ask(manage, before.keys().map(String::as_str).collect()).await;
        before == self.known
    }

    async fn ask(&mut self, manage: &Manage, names: Vec<&str>) {
        let caller = &self.caller;
        let unknown = names.into_iter().filter(|name| !self.known.contains_key(*name));
        let questions = unknown
            .map(|name| async move { (name.to_owned(), manage.would(caller, Right::Get(name)).await) });
        let questions: Vec<_> = questions.collect();
        let answers: Vec<_> = stream::iter(questions).buffer_unordered(AT_ONCE).collect().await;
        self.known.extend(answers);
    }
}
