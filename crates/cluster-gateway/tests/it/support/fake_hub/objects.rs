//! The hub's objects and their history.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Which objects a list or a watch is about.
pub(super) struct Selection {
    pub(super) plural: String,
    pub(super) namespace: String,
    /// `metadata.name=…` of the field selector.
    pub(super) name: Option<String>,
    /// Terms of the label selector: `key`, `!key` or `key=value`.
    pub(super) labels: Vec<String>,
}

impl Selection {
    fn covers(&self, plural: &str, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.plural == plural
            && (self.namespace == "*" || metadata["namespace"] == self.namespace.as_str())
            && self.name.as_ref().is_none_or(|name| metadata["name"] == name.as_str())
    }

    fn labels_match(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|term| match (term.split_once('='), term.strip_prefix('!')) {
            (Some((key, value)), _) => labels[key.trim_end_matches('=')] == value.trim_start_matches('='),
            (None, Some(key)) => labels[key].is_null(),
            (None, None) => !labels[term].is_null(),
        })
    }
}

#[derive(Default)]
pub(super) struct Objects {
    now: BTreeMap<(&'static str, String, String), Value>,
    /// Type, plural and object of each change; the resource version is the index plus one.
    history: Vec<(&'static str, &'static str, Value)>,
    /// Changes up to this version are no longer told.
    forgotten: usize,
}

impl Objects {
    pub(super) fn version(&self) -> usize {
        self.history.len()
    }

    pub(super) fn put(&mut self, plural: &'static str, mut object: Value) {
        let key = (plural, text(&object, "namespace"), text(&object, "name"));
        let before = self.now.get(&key);
        let fresh = json!(format!("uid-{}", self.history.len()));
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!((self.history.len() + 1).to_string());
        metadata["uid"] = before.map_or(fresh, |before| before["metadata"]["uid"].clone());
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = json!("2026-01-02T03:04:05Z");
        }
        let change = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.history.push((change, plural, object.clone()));
        self.now.insert(key, object);
    }

    pub(super) fn delete(&mut self, plural: &'static str, namespace: &str, name: &str) {
        if let Some(mut object) = self.now.remove(&(plural, namespace.to_owned(), name.to_owned())) {
            object["metadata"]["resourceVersion"] = json!((self.history.len() + 1).to_string());
            self.history.push(("DELETED", plural, object));
        }
    }

    pub(super) fn delete_all(&mut self, plural: &'static str) {
        let keys: Vec<_> = self.now.keys().filter(|(own, ..)| *own == plural).cloned().collect();
        keys.iter().for_each(|(plural, namespace, name)| self.delete(plural, namespace, name));
    }

    pub(super) fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let found = self.now.iter().find(|((own, ns, n), _)| *own == plural && ns == namespace && n == name);
        found.map(|(_, object)| object.clone())
    }

    pub(super) fn all(&self, plural: &str) -> Vec<Value> {
        self.now.iter().filter(|((own, ..), _)| *own == plural).map(|(_, object)| object.clone()).collect()
    }

    pub(super) fn list(&self, selection: &Selection) -> Vec<Value> {
        let all = self.now.iter().filter(|((plural, ..), object)| selection.covers(plural, object));
        all.map(|(_, object)| object).filter(|object| selection.labels_match(object)).cloned().collect()
    }

    /// Objects of these kinds, without what changes with every write.
    pub(super) fn content(&self, plurals: &[&str]) -> Vec<Value> {
        let wanted = self.now.iter().filter(|((plural, ..), _)| plurals.contains(plural));
        wanted
            .map(|(_, object)| {
                let mut object = object.clone();
                for key in ["resourceVersion", "uid", "creationTimestamp"] {
                    object["metadata"].as_object_mut().unwrap().remove(key);
                }
                object
            })
            .collect()
    }

    pub(super) fn forget(&mut self) {
        self.forgotten = self.history.len();
    }

    pub(super) fn knows(&self, version: usize) -> bool {
        version >= self.forgotten
    }

    /// Watch events after a resource version. What stops matching is deleted for the watcher.
    pub(super) fn since(&self, version: usize, selection: &Selection) -> Vec<Value> {
        let new = self.history.iter().skip(version);
        new.filter(|(_, plural, object)| selection.covers(plural, object))
            .map(|(change, _, object)| {
                let change = if selection.labels_match(object) { *change } else { "DELETED" };
                json!({"type": change, "object": object})
            })
            .collect()
    }
}

fn text(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().expect("namespace and name are set").to_owned()
}
