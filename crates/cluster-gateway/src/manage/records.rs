//! The records of all clusters, read from memory: a store is slow, and may be away.
//!
//! Lists are answered from what was read last; while they are asked for, the store is read again in the background. What this
//! process writes shows at once. What it will never do: keep anybody waiting for a store that has already been found silent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::store::{Expect, Listing, Record, Store, StoreError};

/// Up to which age what was read is taken for the present.
const FRESH: Duration = Duration::from_secs(10);
/// Up to which age it is given out while it is read again; older, it is waited for.
const USABLE: Duration = Duration::from_secs(60);
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The records.
#[derive(Debug)]
pub struct Records(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    view: ArcSwapOption<View>,
    loading: AtomicBool,
    /// Sends when a load has ended.
    loaded: watch::Sender<()>,
    /// What was written lately: a load that had begun before does not know it.
    writes: Mutex<Vec<Write>>,
}

#[derive(Debug)]
struct Write {
    at: Instant,
    name: String,
    /// `None`: it was deleted.
    record: Option<Arc<Record>>,
}

/// All records as they were at one moment.
#[derive(Debug, Clone)]
pub struct View {
    records: BTreeMap<String, Arc<Record>>,
    looked: Instant,
    problem: Option<String>,
}

impl View {
    /// The record of a cluster.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Record>> {
        self.records.get(name)
    }

    /// Why there may be more, or others, in the store.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

impl Records {
    /// The records of a store. Nothing is sent.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(Arc::new(Shared {
            store,
            view: ArcSwapOption::empty(),
            loading: AtomicBool::new(false),
            loaded: watch::channel(()).0,
            writes: Mutex::default(),
        }))
    }

    /// All records. Waits only if nothing is known that can be used, and then for three seconds at most. Always answers; what is
    /// wrong stands in the view. Needs a tokio runtime.
    pub async fn view(&self) -> Arc<View> {
        let shared = &self.0;
        let mut loaded = shared.loaded.subscribe();
        let known = shared.view.load_full();
        match known.as_ref().map(|view| view.looked.elapsed()) {
            Some(age) if age <= FRESH => {}
            Some(age) if age <= USABLE => Shared::load(shared),
            _ => {
                Shared::load(shared);
                if timeout(PATIENCE, loaded.changed()).await.is_err() {
                    let silent = format!("the store of cluster records has not answered within {PATIENCE:?}");
                    shared.publish(Instant::now(), Err(silent));
                }
                return shared.view.load_full().unwrap_or_else(|| Arc::new(View::empty()));
            }
        }
        known.unwrap_or_else(|| Arc::new(View::empty()))
    }

    /// What was read last, if anything was: never waits, and lets the store be read again if that is old.
    #[must_use]
    pub fn known(&self) -> Option<Arc<View>> {
        let known = self.0.view.load_full();
        if known.as_ref().is_none_or(|view| view.looked.elapsed() > FRESH) {
            Shared::load(&self.0);
        }
        known
    }

    /// The record of a cluster, from the store; `None`: there is none. One that cannot be read is as good as none: it can only be
    /// written over.
    ///
    /// # Errors
    /// What a store can say.
    pub async fn find(&self, name: &str) -> Result<Option<Record>, StoreError> {
        match self.0.store.get(name).await {
            Ok(record) => Ok(Some(record)),
            Err(StoreError::Missing(_)) => Ok(None),
            Err(error @ StoreError::Unreadable { .. }) => {
                tracing::warn!(cluster = name, "{error}; the next change of the cluster replaces it");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a record, whether or not there is one, and returns it as it is stored.
    ///
    /// # Errors
    /// What a store can say.
    pub async fn save(&self, record: Record) -> Result<Record, StoreError> {
        let store = &self.0.store;
        let saved = match store.put(record.clone(), Expect::Any).await {
            Err(StoreError::Missing(_)) => match store.add(record.clone()).await {
                Err(StoreError::Exists(_)) => store.put(record, Expect::Any).await,
                other => other,
            },
            other => other,
        }?;
        self.0.wrote(&saved.name, Some(&saved));
        Ok(saved)
    }

    /// Writes a record over the one that was read; without one it does nothing.
    ///
    /// # Errors
    /// [`StoreError::Changed`], and what a store can say.
    pub async fn refresh(&self, record: Record) -> Result<(), StoreError> {
        let expect = Expect::UpdatedAt(record.update_time);
        let saved = self.0.store.put(record, expect).await?;
        self.0.wrote(&saved.name, Some(&saved));
        Ok(())
    }

    /// Puts back a record that was deleted, with the time at which it was made.
    ///
    /// # Errors
    /// What a store can say.
    pub async fn restore(&self, record: Record) -> Result<(), StoreError> {
        let made = self.save(record.clone()).await?;
        self.save(Record { update_time: made.update_time, ..record }).await.map(|_| ())
    }

    /// Deletes a record; says whether there was one.
    ///
    /// # Errors
    /// What a store can say.
    pub async fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let removed = match self.0.store.delete(name).await {
            Ok(()) => true,
            Err(StoreError::Missing(_)) => false,
            Err(error) => return Err(error),
        };
        self.0.wrote(name, None);
        Ok(removed)
    }
}

impl View {
    pub(super) fn empty() -> Self {
        Self { records: BTreeMap::new(), looked: Instant::now(), problem: None }
    }

    fn write(&mut self, write: &Write) {
        match &write.record {
            Some(record) => self.records.insert(write.name.clone(), Arc::clone(record)),
            None => self.records.remove(&write.name),
        };
    }
}

/// Ends a load, however it ends.
struct Loading(Arc<Shared>);

impl Drop for Loading {
    fn drop(&mut self) {
        self.0.loading.store(false, Ordering::Release);
        self.0.loaded.send_replace(());
    }
}

impl Shared {
    /// Reads the store in the background, unless somebody does.
    fn load(shared: &Arc<Self>) {
        if shared.loading.swap(true, Ordering::AcqRel) {
            return;
        }
        let loading = Loading(Arc::clone(shared));
        tokio::spawn(async move {
            let began = Instant::now();
            let listing = loading.0.store.list().await;
            loading.0.publish(began, listing.map_err(|error| error.to_string()));
        });
    }

    /// One writer at a time; what was written since `began` is newer than what was read.
    fn publish(&self, began: Instant, listing: Result<Listing, String>) {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.view.load_full();
        let known_problem = before.as_ref().and_then(|view| view.problem.clone());
        let mut view = match listing {
            Ok(listing) => {
                for bad in &listing.unreadable {
                    tracing::debug!(cluster = bad.name, "its record cannot be read: {}", bad.cause);
                }
                if known_problem.is_some() {
                    tracing::info!("the store of cluster records answers again");
                }
                let records = listing.records.into_iter();
                let records = records.map(|record| (record.name.clone(), Arc::new(lean(record)))).collect();
                View { records, looked: Instant::now(), problem: None }
            }
            Err(problem) => {
                if known_problem.as_ref() != Some(&problem) {
                    tracing::warn!(
                        "{problem}; clusters are listed all the same, with what was last known of their records"
                    );
                }
                let records = before.map(|view| view.records.clone()).unwrap_or_default();
                View { records, looked: Instant::now(), problem: Some(problem) }
            }
        };
        writes.iter().filter(|write| write.at >= began).for_each(|write| view.write(write));
        self.view.store(Some(Arc::new(view)));
    }

    fn wrote(&self, name: &str, record: Option<&Record>) {
        let record = record.map(|record| Arc::new(lean(record.clone())));
        let write = Write { at: Instant::now(), name: name.to_owned(), record };
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        // No load takes longer.
        writes.retain(|write| write.at.elapsed() < USABLE);
        if let Some(view) = self.view.load_full() {
            let mut view = View::clone(&view);
            view.write(&write);
            self.view.store(Some(Arc::new(view)));
        }
        writes.push(write);
    }
}

/// Without the credential that VelaUX may have written into it: it is not for memory.
fn lean(record: Record) -> Record {
    Record { kube_config: Default::default(), ..record }
}
