//! All objects, and what changed lately: enough to watch from a resource version and to read the state of an earlier one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::object;
use crate::resources::Resource;
use crate::status::{Result, Status};

/// How many changes are remembered, unless the builder says otherwise. A watch that is further behind is `410 Gone`.
pub(crate) const HISTORY: usize = 10_000;
/// How many objects there may be.
const MAX_OBJECTS: usize = 100_000;

/// An object's place. Plural names are unique in the table of resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) plural: &'static str,
    /// Empty for what is in no namespace.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: &Resource, namespace: &str, name: &str) -> Self {
        Self { plural: resource.plural, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// One change. `object` is the last state of what was deleted.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) key: Key,
    pub(crate) object: Option<Arc<Value>>,
    pub(crate) previous: Option<Arc<Value>>,
}

/// What a transaction reads and writes.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// The resource version of the last change.
    pub(crate) version: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    log: VecDeque<Arc<Change>>,
    history: usize,
    /// The last version whose change has been forgotten.
    forgotten: u64,
}

/// The state behind its lock, and a bell that rings with each change.
#[derive(Debug)]
pub(crate) struct Store {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    pub(crate) clock: Clock,
}

impl Store {
    pub(crate) fn new(clock: Clock, history: usize) -> Self {
        let state =
            State { version: 1, objects: BTreeMap::new(), log: VecDeque::new(), history, forgotten: 1 };
        Self { state: Mutex::new(state), version: watch::Sender::new(1), clock }
    }

    /// Reads, or writes what belongs together.
    pub(crate) fn transact<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = run(&mut state);
        let version = state.version;
        drop(state);
        self.version.send_if_modified(|known| std::mem::replace(known, version) != version);
        result
    }

    /// What a transaction would do; nothing of it stays.
    pub(crate) fn rehearse<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let mut copy = self.lock().clone();
        run(&mut copy)
    }

    /// Rings when there is a version that the receiver has not seen.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked has been reported; what he left is whole, for each write is one insertion.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.objects.get(&Key::new(resource, namespace, name)).cloned()
    }

    /// All objects of a resource, in one namespace or in all, in the order of their keys.
    pub(crate) fn list(&self, resource: &Resource, namespace: Option<&str>) -> Vec<Arc<Value>> {
        in_range(&self.objects, resource, namespace)
    }

    /// The same as they were at an earlier version.
    pub(crate) fn list_at(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        version: u64,
    ) -> Result<Vec<Arc<Value>>> {
        if version < self.forgotten {
            return Err(Status::expired(
                "The provided continue parameter is too old to display a consistent list result.",
            ));
        }
        let mut objects: BTreeMap<Key, Arc<Value>> = range(&self.objects, resource, namespace)
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        for change in self.log.iter().rev().take_while(|change| change.version > version) {
            match &change.previous {
                Some(previous) => objects.insert(change.key.clone(), Arc::clone(previous)),
                None => objects.remove(&change.key),
            };
        }
        Ok(in_range(&objects, resource, namespace))
    }

    /// The changes after `version`, or `410 Gone`.
    pub(crate) fn changes_after(&self, version: u64) -> Result<Vec<Arc<Change>>> {
        if version < self.forgotten {
            let message = format!("too old resource version: {version} ({})", self.forgotten);
            return Err(Status::expired(message));
        }
        let first = self.log.partition_point(|change| change.version <= version);
        Ok(self.log.range(first..).cloned().collect())
    }

    /// Creates or replaces an object and gives it the next version.
    pub(crate) fn put(&mut self, resource: &Resource, mut object: Value) -> Result<Arc<Value>> {
        let key = Key::new(resource, object::namespace(&object), object::name(&object));
        let previous = self.objects.get(&key).cloned();
        if previous.is_none() && self.objects.len() >= MAX_OBJECTS {
            return Err(Status::internal("etcdserver: mvcc: database space exceeded"));
        }
        self.version += 1;
        object::set_meta(&mut object, "resourceVersion", self.version.to_string());
        let object = Arc::new(object);
        self.objects.insert(key.clone(), Arc::clone(&object));
        self.remember(Change { version: self.version, key, object: Some(Arc::clone(&object)), previous });
        Ok(object)
    }

    /// Takes an object away; the answer is its last state, with the version of its deletion.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let last = self.objects.remove(key)?;
        self.version += 1;
        let mut gone = (*last).clone();
        object::set_meta(&mut gone, "resourceVersion", self.version.to_string());
        self.remember(Change { version: self.version, key: key.clone(), object: None, previous: Some(last) });
        Some(Arc::new(gone))
    }

    fn remember(&mut self, change: Change) {
        self.log.push_back(Arc::new(change));
        while self.log.len() > self.history {
            if let Some(oldest) = self.log.pop_front() {
                self.forgotten = oldest.version;
            }
        }
    }
}

fn range<'o>(
    objects: &'o BTreeMap<Key, Arc<Value>>,
    resource: &Resource,
    namespace: Option<&str>,
) -> impl Iterator<Item = (&'o Key, &'o Arc<Value>)> {
    let (plural, namespace) = (resource.plural, namespace.map(str::to_owned));
    let first = Key::new(resource, namespace.as_deref().unwrap_or_default(), "");
    objects.range((Bound::Included(first), Bound::Unbounded)).take_while(move |(key, _)| {
        key.plural == plural && namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    })
}

fn in_range(
    objects: &BTreeMap<Key, Arc<Value>>,
    resource: &Resource,
    namespace: Option<&str>,
) -> Vec<Arc<Value>> {
    range(objects, resource, namespace).map(|(_, object)| Arc::clone(object)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::named;

    fn store(history: usize) -> Store {
        Store::new(Clock::start(), history)
    }

    fn put(store: &Store, namespace: &str, name: &str, value: u8) {
        let object = json!({"metadata": {"name": name, "namespace": namespace}, "data": value});
        store.transact(|state| state.put(named("configmaps"), object)).unwrap();
    }

    fn names(objects: &[Arc<Value>]) -> Vec<String> {
        objects.iter().map(|object| format!("{}={}", object::name(object), object["data"])).collect()
    }

    #[test]
    fn lists_stay_within_their_namespace_and_resource() {
        let store = store(100);
        for (namespace, name) in [("a", "x"), ("b", "x"), ("b", "y"), ("ba", "z")] {
            put(&store, namespace, name, 0);
        }
        let list = |namespace| store.transact(|state| names(&state.list(named("configmaps"), namespace)));
        assert_eq!(list(Some("b")), ["x=0", "y=0"]);
        assert_eq!(list(None).len(), 4);
        assert!(store.transact(|state| state.list(named("events"), None)).is_empty());
    }

    #[test]
    fn an_earlier_version_can_be_read_until_it_is_forgotten() {
        let store = store(3);
        put(&store, "a", "x", 1);
        let version = store.transact(|state| state.version);
        put(&store, "a", "x", 2);
        put(&store, "a", "y", 1);
        store.transact(|state| state.remove(&Key::new(named("configmaps"), "a", "x"))).unwrap();
        let then = store.transact(|state| state.list_at(named("configmaps"), Some("a"), version)).unwrap();
        assert_eq!(names(&then), ["x=1"]);
        put(&store, "a", "z", 1);
        let gone = store.transact(|state| state.list_at(named("configmaps"), Some("a"), version));
        assert_eq!(gone.unwrap_err().code, 410);
    }

    #[test]
    fn changes_are_told_from_a_version_on_until_forgotten() {
        let store = store(2);
        let mut bell = store.subscribe();
        put(&store, "a", "x", 1);
        assert!(bell.has_changed().unwrap());
        assert_eq!(*bell.borrow_and_update(), 2);
        put(&store, "a", "x", 2);
        put(&store, "a", "x", 3);
        let after = |version| store.transact(|state| state.changes_after(version));
        let versions: Vec<u64> = after(3).unwrap().iter().map(|change| change.version).collect();
        assert_eq!(versions, [4]);
        assert_eq!(after(2).unwrap().len(), 2);
        let status = after(1).unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (410, "too old resource version: 1 (2)"));
    }

    #[test]
    fn a_rehearsal_leaves_nothing() {
        let store = store(10);
        let bell = store.subscribe();
        let object = json!({"metadata": {"name": "x", "namespace": "a"}});
        store.rehearse(|state| state.put(named("configmaps"), object)).unwrap();
        assert!(store.transact(|state| state.list(named("configmaps"), None)).is_empty());
        assert!(!bell.has_changed().unwrap());
    }
}
