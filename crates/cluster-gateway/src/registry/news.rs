//! What has changed since a moment, for whoever shows all clusters at once: the history that watches read, and beside it what
//! is learnt of clusters without a change of their Secrets.
//!
//! A [`Generation`] is a place in both. Health is written by one task and read by few, none of them on the way of a request, so
//! there is a lock; nobody holds it for longer than it takes to copy names.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use super::history::Position;
use super::{Registry, Snapshot};

/// Names of clusters that are kept at most.
const MOST: usize = 16 * 1024;
/// Rounds of measurements that a slow reader may fall behind.
const ROUNDS: usize = 16;

/// A place in the history of the clusters, of this process alone. Its text is opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    process: u64,
    position: u64,
    learnt: u64,
}

/// What has changed since a generation. A cluster is in one of both sets, by what it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The generation of now.
    pub generation: Generation,
    /// Clusters that are new, or of which something shown is another.
    pub changed: BTreeSet<String>,
    /// Clusters that are gone.
    pub removed: BTreeSet<String>,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The cluster.
    pub cluster: String,
    /// From a probe to the head of its answer; `None`: there was none.
    pub latency: Option<Duration>,
}

/// A text that is no generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no generation of the clusters")]
pub struct NoGeneration;

/// What is learnt of clusters besides their Secrets.
#[derive(Debug)]
pub(super) struct News {
    process: u64,
    log: Mutex<Log>,
    /// How much has ever been learnt.
    count: watch::Sender<u64>,
    samples: broadcast::Sender<Arc<[Sample]>>,
}

#[derive(Debug, Default)]
struct Log {
    names: VecDeque<String>,
    /// How many have been forgotten.
    first: u64,
}

impl Default for News {
    fn default() -> Self {
        Self {
            process: uuid::Uuid::new_v4().as_u64_pair().0,
            log: Mutex::default(),
            count: watch::Sender::new(0),
            samples: broadcast::Sender::new(ROUNDS),
        }
    }
}

impl News {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn end(&self) -> u64 {
        self.first + self.names.len() as u64
    }

    /// The names behind a place; `None`: some of them have been forgotten, or it is no place.
    fn from(&self, place: u64) -> Option<impl Iterator<Item = &String>> {
        let skipped = usize::try_from(place.checked_sub(self.first)?).ok()?;
        (skipped <= self.names.len()).then(|| self.names.range(skipped..))
    }
}

impl Registry {
    /// The generation of now. Whoever lists the clusters must ask for it first: what changes in between is told again then.
    #[must_use]
    pub fn generation(&self) -> Generation {
        let learnt = self.news.log().end();
        self.place(&self.snapshot.load(), learnt)
    }

    fn place(&self, snapshot: &Snapshot, learnt: u64) -> Generation {
        Generation { process: self.news.process, position: snapshot.history().end().number(), learnt }
    }

    /// What has changed since `since`: Secrets, ManagedClusters, health and its reason, version; not what is measured. `None`: it
    /// is no longer known, or `since` is of another process.
    #[must_use]
    pub fn changes(&self, since: &Generation) -> Option<Changes> {
        if since.process != self.news.process {
            return None;
        }
        let (learnt, names) = {
            let log = self.news.log();
            (log.end(), log.from(since.learnt)?.cloned().collect::<BTreeSet<_>>())
        };
        let snapshot = self.snapshot.load();
        let mut touched = names;
        for change in snapshot.history().from(Position::at(since.position))? {
            let registered = |cluster: &Option<Arc<_>>| {
                cluster
                    .as_ref()
                    .filter(|cluster: &&Arc<super::Cluster>| cluster.registered)
                    .map(|cluster| cluster.name.clone())
            };
            touched.extend(registered(&change.before).or_else(|| registered(&change.after)));
        }
        let (changed, removed) = touched.into_iter().partition(|name| snapshot.get(name).is_some());
        Some(Changes { generation: self.place(&snapshot, learnt), changed, removed })
    }

    /// Completes when the generation is no longer `since`; at once if it is not.
    pub async fn changed(&self, since: &Generation) {
        let mut learnt = self.news.count.subscribe();
        loop {
            let superseded = self.snapshot.load().superseded();
            if self.generation() != *since {
                return;
            }
            tokio::select! {
                () = superseded.cancelled() => {}
                changed = learnt.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Each round of measurements, about once a second, from now on. Who falls behind misses some.
    #[must_use]
    pub fn samples(&self) -> broadcast::Receiver<Arc<[Sample]>> {
        self.news.samples.subscribe()
    }

    /// Something that is shown of these clusters is another, though their Secrets are not.
    pub(crate) fn learnt(&self, names: impl IntoIterator<Item = String>) {
        let count = {
            let mut log = self.news.log();
            let before = log.end();
            log.names.extend(names);
            let forgotten = log.names.len().saturating_sub(MOST);
            log.names.drain(..forgotten);
            log.first += forgotten as u64;
            if log.end() == before {
                return;
            }
            log.end()
        };
        self.news.count.send_replace(count);
    }

    /// Whether anybody listens to measurements.
    pub(crate) fn has_listeners(&self) -> bool {
        self.news.samples.receiver_count() > 0
    }

    /// A round of measurements.
    pub(crate) fn measured(&self, samples: Vec<Sample>) {
        // Nobody listens: nobody misses it.
        let _ = self.news.samples.send(samples.into());
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}-{}", self.process, self.position, self.learnt)
    }
}

impl FromStr for Generation {
    type Err = NoGeneration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let (Some(process), Some(position), Some(learnt), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoGeneration);
        };
        let process = u64::from_str_radix(process, 16).map_err(|_| NoGeneration)?;
        let number = |text: &str| text.parse().map_err(|_| NoGeneration);
        Ok(Self { process, position: number(position)?, learnt: number(learnt)? })
    }
}
