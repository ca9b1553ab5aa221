//! Several writes of which all or none shall stand.

use k8s_openapi::api::core::v1::Secret;

use super::step::Steps;
use super::{Failure, LifecycleError, Snapshot, StepWatcher, Store, StoreError, Undo, Verb};

/// Writes to a store that can be taken back. Dropping it keeps them.
pub struct Transaction<'s> {
    store: &'s Store,
    steps: Steps<'s>,
    done: Vec<Done>,
}

/// A write that was made, or may have been made.
struct Done {
    before: Snapshot,
    /// What was written; `None`: it was deleted.
    written: Option<Secret>,
}

impl std::fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.done.iter().map(|done| done.before.name()).collect();
        f.debug_struct("Transaction").field("done", &names).finish_non_exhaustive()
    }
}

impl<'s> Transaction<'s> {
    /// Nothing has been written yet.
    #[must_use]
    pub fn new(store: &'s Store) -> Self {
        Self { store, steps: Steps::untold(), done: Vec::new() }
    }

    /// The same, with somebody who is told of each write, and of each that is taken back.
    #[must_use]
    pub fn watched(store: &'s Store, watcher: StepWatcher<'s>) -> Self {
        Self { steps: Steps::new(watcher), ..Self::new(store) }
    }

    /// Where it writes.
    pub(super) fn store(&self) -> &'s Store {
        self.store
    }

    fn step(&self, verb: Verb, name: &str) -> String {
        format!("{} {}", verb.title(), self.store.place(name))
    }

    /// Writes a new cluster where `before` says that there was none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create(&mut self, before: Snapshot, secret: &Secret) -> Result<Secret, StoreError> {
        let step = self.step(Verb::Create, before.name());
        let answer = self.steps.make(step, Box::pin(self.store.create(secret))).await;
        self.note(before, Some(secret), &answer);
        answer
    }

    /// Replaces the cluster that `before` holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace(&mut self, before: Snapshot, secret: &Secret) -> Result<Secret, StoreError> {
        let step = self.step(Verb::Replace, before.name());
        let answer = self.steps.make(step, Box::pin(self.store.replace(secret))).await;
        self.note(before, Some(secret), &answer);
        answer
    }

    /// Deletes the cluster that `before` holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete(&mut self, before: Snapshot) -> Result<(), StoreError> {
        let secret = before.entry().map(|entry| entry.secret.clone()).unwrap_or_default();
        let step = self.step(Verb::Delete, before.name());
        let answer = self.steps.make(step, Box::pin(self.store.delete(&secret))).await;
        match &answer {
            Ok(()) | Err(StoreError::Unreachable(_)) => self.done.push(Done { before, written: None }),
            Err(_) => {}
        }
        answer
    }

    /// What was refused has not been written; without an answer nobody knows.
    fn note(&mut self, before: Snapshot, sent: Option<&Secret>, answer: &Result<Secret, StoreError>) {
        let written = match answer {
            Ok(kept) => Some(kept.clone()),
            Err(StoreError::Unreachable(_)) => sent.cloned(),
            Err(_) => return,
        };
        self.done.push(Done { before, written });
    }

    /// Takes everything back, the last write first.
    pub async fn undo(self) -> Undo {
        if self.done.is_empty() {
            return Undo::Untouched;
        }
        let mut left = Vec::new();
        for Done { before, written } in self.done.into_iter().rev() {
            let place = self.store.place(before.name());
            let step = match before.entry() {
                Some(_) => format!("Put {place} back as it was"),
                None => format!("Remove {place} again"),
            };
            let restored = self.steps.make(step, Box::pin(self.store.restore(&before, written.as_ref())));
            if let Err(error) = restored.await {
                left.push(format!("{place}: {error}"));
            }
        }
        if left.is_empty() { Undo::Restored } else { Undo::Incomplete(left) }
    }

    /// Ends it: what failed is taken back.
    ///
    /// # Errors
    /// [`Failure`], if `outcome` is an error.
    pub async fn end<T>(self, outcome: Result<T, LifecycleError>) -> Result<T, Failure> {
        match outcome {
            Ok(done) => Ok(done),
            Err(cause) => Err(Failure { cause, undo: self.undo().await }),
        }
    }
}
