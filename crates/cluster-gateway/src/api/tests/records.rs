//! Secrets' metadata in memory, as the hub would keep it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;
use crate::hub::{Annotate, WriteError};

/// The metadata, and every change that was asked for.
pub(super) struct Records(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    pub(super) secrets: BTreeMap<String, ObjectMeta>,
    pub(super) changes: Vec<Annotate>,
    /// What the next requests come to, before anything is looked at.
    pub(super) failures: Vec<WriteError>,
    /// How many of the next writes somebody else comes before.
    pub(super) overtaken: usize,
}

impl Records {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let metadata = |cluster: &Cluster| ObjectMeta {
            name: Some(cluster.name.clone()),
            uid: Some(format!("uid-{}", cluster.name)),
            resource_version: Some("1".to_owned()),
            labels: Some(cluster.labels.clone()),
            annotations: Some(cluster.annotations.clone()),
            ..ObjectMeta::default()
        };
        let secrets = snapshot.iter().map(|cluster| (cluster.name.clone(), metadata(cluster))).collect();
        Self(Mutex::new(State { secrets, ..State::default() }))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn annotation(&self, name: &str, key: &str) -> Option<String> {
        self.state().secrets[name].annotations.as_ref()?.get(key).cloned()
    }
}

fn grow(metadata: &mut ObjectMeta) {
    let version: u64 = metadata.resource_version.as_deref().unwrap().parse().unwrap();
    metadata.resource_version = Some((version + 1).to_string());
}

impl HealthRecords for Records {
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<ObjectMeta, WriteError>> {
        let mut state = self.state();
        let found = match state.failures.pop() {
            Some(failure) => Err(failure),
            None => state.secrets.get(name).cloned().ok_or(WriteError::NotFound),
        };
        Box::pin(async { found })
    }

    fn annotate<'a>(
        &'a self,
        name: &'a str,
        change: &'a Annotate,
    ) -> BoxFuture<'a, Result<ObjectMeta, WriteError>> {
        let mut state = self.state();
        state.changes.push(change.clone());
        let overtaken = state.overtaken > 0;
        state.overtaken = state.overtaken.saturating_sub(1);
        let metadata = state.secrets.get_mut(name).unwrap();
        if overtaken {
            grow(metadata);
        }
        if metadata.resource_version.as_ref() != Some(&change.resource_version) {
            return Box::pin(async { Err(WriteError::Conflict) });
        }
        let mut changed = metadata.clone();
        changed.annotations.get_or_insert_default().extend(change.annotations.clone());
        if !change.dry_run {
            grow(&mut changed);
            *metadata = changed.clone();
        }
        Box::pin(async { Ok(changed) })
    }

    fn namespace(&self) -> &str {
        "vela-system"
    }
}
