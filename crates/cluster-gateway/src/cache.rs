//! Answers of the hub, remembered for a while: bounded, one question at a time per key, failures never kept, and nobody
//! can keep everybody else from asking.
//!
//! What it will never do: decide how long an answer holds. Whoever asks says so.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

mod shares;

use shares::Shares;
pub use shares::{Share, Standing};

/// Bytes that all entries of a memory may take. The original keeps 8192 answers of whatever size (rule 94), which are too
/// few for ten thousand users who come in turn: each would be forgotten just before he comes again.
const CAPACITY: u64 = 32 << 20;
/// Bytes of an entry besides what its asker counts: the structures of key and answer, their place in the table, the
/// allocator's rounding.
const OVERHEAD: usize = 512;
/// How long one question may take, retries included (rule 79).
const LOOK_UP_LIMIT: Duration = Duration::from_secs(30);

/// An answer and how it is to be kept.
#[derive(Debug, Clone)]
pub struct Answer<V> {
    /// The answer.
    pub value: V,
    /// For how long it may be given again; zero: not at all.
    pub ttl: Duration,
    /// About how much memory key and value take, in bytes.
    pub bytes: usize,
}

/// Why there is no answer. Cheap to clone: everybody who waits gets one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It was asked for, and could not be found out; the cause.
    #[error("{0}")]
    Unknown(Arc<str>),
    /// It was not asked for: too much is being asked already; whose share is used up.
    #[error("too many look-ups at the hub are under way for {0}; try again later")]
    Busy(&'static str),
}

impl Failure {
    /// A failure with its cause in words.
    pub fn new(cause: impl fmt::Display) -> Self {
        Self::Unknown(cause.to_string().into())
    }
}

type Outcome<V> = Option<Result<V, Failure>>;

/// Remembered answers. The table's hash is keyed at random, so nobody outside can choose keys that collide.
pub struct Answers<K, V> {
    kept: Cache<K, Entry<V>, ByBytes, RandomState>,
    flights: Mutex<Flights<K, V>>,
}

/// The questions under way.
struct Flights<K, V> {
    outcomes: HashMap<K, watch::Receiver<Outcome<V>>>,
    shares: Shares,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    expires: Instant,
    bytes: u64,
}

#[derive(Clone)]
struct ByBytes;

impl<K, V> Weighter<K, Entry<V>> for ByBytes {
    fn weight(&self, _: &K, entry: &Entry<V>) -> u64 {
        entry.bytes
    }
}

impl<K, V> Answers<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty memory.
    #[must_use]
    pub fn new() -> Self {
        // Memory is taken as entries come; the number is for how many of the forgotten it knows that they were there.
        let entries = usize::try_from(CAPACITY).unwrap_or(usize::MAX) / (2 * OVERHEAD);
        let kept = Cache::with(entries, CAPACITY, ByBytes, RandomState::new(), DefaultLifecycle::default());
        Self { kept, flights: Mutex::new(Flights { outcomes: HashMap::new(), shares: Shares::default() }) }
    }

    /// The remembered answer, if it still holds. Neither waits nor asks; `key` may be borrowed.
    pub fn get<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q) -> Option<V> {
        self.kept.get(key).filter(|entry| Instant::now() < entry.expires).map(|entry| entry.value)
    }

    /// The remembered answer, or a new one. Callers with the same key share one question; it runs on by itself when the
    /// caller who started it goes away, and for 30 s at most. A new question counts against `share`: it waits for its turn
    /// within that, and is refused when too many wait already.
    ///
    /// # Errors
    /// Whatever `ask` fails with; that it took too long, broke off, or [`Failure::Busy`].
    pub async fn get_or_ask<F>(
        self: &Arc<Self>,
        key: K,
        share: Share,
        ask: impl FnOnce() -> F + Send,
    ) -> Result<V, Failure>
    where
        F: Future<Output = Result<Answer<V>, Failure>> + Send + 'static,
    {
        let mut outcome = match self.join(key, share, ask)? {
            Joined::Known(value) => return Ok(value),
            Joined::Waiting(outcome) => outcome,
        };
        let broken = || Failure::new("the look-up broke off");
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| broken())?;
        outcome.clone().unwrap_or_else(|| Err(broken()))
    }

    /// Joins the question that is under way, or starts one.
    fn join<F>(self: &Arc<Self>, key: K, share: Share, ask: impl FnOnce() -> F) -> Result<Joined<V>, Failure>
    where
        F: Future<Output = Result<Answer<V>, Failure>> + Send + 'static,
    {
        let mut flights = self.flights();
        // Under the lock: a question that ended since the caller looked has left its answer.
        if let Some(value) = self.get(&key) {
            return Ok(Joined::Known(value));
        }
        if let Some(outcome) = flights.outcomes.get(&key) {
            return Ok(Joined::Waiting(outcome.clone()));
        }
        let turns = flights.shares.enter(&share)?;
        let (sender, outcome) = watch::channel(None);
        flights.outcomes.insert(key.clone(), outcome.clone());
        drop(flights);
        let flight = Flight { answers: Arc::clone(self), key, share };
        let question = ask();
        let in_turn = async move {
            // Closed never: a failure to acquire cannot happen, and asking out of turn would do no harm.
            let _turn = turns.acquire().await;
            question.await
        };
        tokio::spawn(flight.fly(in_turn, sender));
        Ok(Joined::Waiting(outcome))
    }

    fn keep(&self, key: K, answer: Answer<V>) {
        if answer.ttl.is_zero() {
            return;
        }
        let bytes = u64::try_from(answer.bytes.saturating_add(OVERHEAD)).unwrap_or(u64::MAX);
        let expires = Instant::now() + answer.ttl;
        self.kept.insert(key, Entry { value: answer.value, expires, bytes });
    }
}

impl<K, V> Answers<K, V> {
    fn flights(&self) -> MutexGuard<'_, Flights<K, V>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Default for Answers<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for Answers<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

enum Joined<V> {
    Known(V),
    Waiting(watch::Receiver<Outcome<V>>),
}

/// A question under way; dropping it, also by a panic, lets the next caller ask again.
struct Flight<K: Hash + Eq, V> {
    answers: Arc<Answers<K, V>>,
    key: K,
    share: Share,
}

impl<K, V> Flight<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    async fn fly(
        self,
        question: impl Future<Output = Result<Answer<V>, Failure>>,
        sender: watch::Sender<Outcome<V>>,
    ) {
        let result = match timeout(LOOK_UP_LIMIT, question).await {
            Ok(Ok(answer)) => {
                let value = answer.value.clone();
                self.answers.keep(self.key.clone(), answer);
                Ok(value)
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::new(format_args!("no answer within {} s", LOOK_UP_LIMIT.as_secs()))),
        };
        // Landed before it is told: who asks after a failure asks anew.
        drop(self);
        sender.send_replace(Some(result));
    }
}

impl<K: Hash + Eq, V> Drop for Flight<K, V> {
    fn drop(&mut self) {
        let mut flights = self.answers.flights();
        flights.outcomes.remove(&self.key);
        flights.shares.leave(&self.share);
    }
}

#[cfg(test)]
mod tests;
