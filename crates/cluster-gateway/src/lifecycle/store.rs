//! Where clusters are kept: Secrets of a hub, or manifests in the directory of a standalone server.

use std::path::PathBuf;

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;

use super::ocm::Side;
use crate::registry::Entry;

mod directory;
mod hub;

pub use directory::DirectoryStore;
pub use hub::HubStore;

/// Where clusters are kept. Cheap to clone.
///
/// A Secret without the credential type's label is foreign: it can be seen with [`Store::get`], and is never written. Every
/// write of something that is there has the `resourceVersion` that was read as its condition.
#[derive(Debug, Clone)]
pub enum Store {
    /// Secrets in one namespace of a hub.
    Hub(Box<HubStore>),
    /// Files in the directory of clusters of a standalone server.
    Directory(DirectoryStore),
}

/// Why clusters could not be read or written. Never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is nothing of this name, or no place for it.
    #[error("{0}")]
    NotFound(String),
    /// Something of this name is there already.
    #[error("{0}")]
    Exists(String),
    /// What is there is not a cluster, or not one that may be written here.
    #[error("{0}")]
    Foreign(String),
    /// Somebody else has changed it meanwhile.
    #[error("{0}")]
    Changed(String),
    /// A right is missing.
    #[error("{0}")]
    Forbidden(String),
    /// It is not accepted for another reason; nothing has been written.
    #[error("{0}")]
    Refused(String),
    /// No answer: whether something has been written is not known.
    #[error("{0}")]
    Unreachable(String),
}

/// What stood under a name at one moment, to be put back.
#[derive(Debug, Clone)]
pub struct Snapshot {
    name: String,
    entry: Option<Entry>,
    file: Option<directory::FileCopy>,
}

impl Snapshot {
    /// Nothing stands there.
    pub(super) fn nothing(name: &str) -> Self {
        Self { name: name.to_owned(), entry: None, file: None }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stood there; also a foreign Secret.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// The cluster that stood there; `None` also for a foreign Secret.
    #[must_use]
    pub fn cluster(&self) -> Option<&Secret> {
        self.entry.as_ref().map(|entry| &entry.secret).filter(|secret| is_cluster(secret))
    }
}

/// Whether a Secret is a cluster: only those may be written.
#[must_use]
pub fn is_cluster(secret: &Secret) -> bool {
    secret.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL_CREDENTIAL_TYPE))
}

impl Store {
    /// The clusters of a hub.
    #[must_use]
    pub fn hub(client: Client, namespace: &str) -> Self {
        Self::Hub(Box::new(HubStore::new(client, namespace)))
    }

    /// The clusters of a standalone server (`--clusters-dir`).
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::Directory(DirectoryStore::new(path.into()))
    }

    /// Where a cluster of this name is kept, for messages.
    #[must_use]
    pub fn place(&self, name: &str) -> String {
        match self {
            Self::Hub(hub) => format!("Secret {}/{name}", hub.namespace()),
            Self::Directory(directory) => format!("{}/{name}.yaml", directory.path().display()),
        }
    }

    /// At which end that is, if there are two.
    #[must_use]
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Hub(_) => Some(Side::Hub),
            Self::Directory(_) => None,
        }
    }

    /// All clusters, by name. One that cannot be used says why in its entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Hub(hub) => hub.list().await,
            Self::Directory(directory) => directory.list().await,
        }
    }

    /// What has this name, if anything does: a cluster or a foreign Secret.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, name: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.snapshot(name).await?.entry)
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Foreign`], and those of [`Store::get`].
    pub async fn cluster(&self, name: &str) -> Result<Entry, StoreError> {
        self.snapshot(name).await?.known(self)
    }

    /// As [`Store::get`], and so that it can be put back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn snapshot(&self, name: &str) -> Result<Snapshot, StoreError> {
        match self {
            Self::Hub(hub) => {
                let entry = hub.get(name).await?.map(Entry::from);
                Ok(Snapshot { name: name.to_owned(), entry, file: None })
            }
            Self::Directory(directory) => directory.snapshot(name).await,
        }
    }

    /// Writes a new cluster; returns it as it is kept.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Unreachable`] it may have been written all the same.
    pub async fn create(&self, secret: &Secret) -> Result<Secret, StoreError> {
        self.must_be_cluster(secret)?;
        match self {
            Self::Hub(hub) => hub.create(secret).await,
            Self::Directory(directory) => directory.create(secret).await,
        }
    }

    /// Replaces a cluster by this Secret, whose `resourceVersion` must be that of the one that is there.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Unreachable`] it may have been written all the same.
    pub async fn replace(&self, secret: &Secret) -> Result<Secret, StoreError> {
        self.must_be_cluster(secret)?;
        match self {
            Self::Hub(hub) => hub.replace(secret).await,
            Self::Directory(directory) => directory.replace(secret).await,
        }
    }

    /// Deletes a cluster, if it is still the one that was read.
    ///
    /// # Errors
    /// [`StoreError`]; after [`StoreError::Unreachable`] it may have been deleted all the same.
    pub async fn delete(&self, secret: &Secret) -> Result<(), StoreError> {
        self.must_be_cluster(secret)?;
        match self {
            Self::Hub(hub) => hub.delete(secret).await,
            Self::Directory(directory) => directory.delete(secret).await,
        }
    }

    /// Puts back what a snapshot holds, whatever has become of a write of `written` (`None`: of a deletion). What somebody
    /// else has made of it meanwhile is left alone.
    ///
    /// # Errors
    /// [`StoreError`]: it could not be put back, and what stands there now is not known.
    pub async fn restore(&self, snapshot: &Snapshot, written: Option<&Secret>) -> Result<(), StoreError> {
        match self {
            Self::Hub(hub) => hub.restore(snapshot, written).await,
            Self::Directory(directory) => directory.restore(snapshot, written).await,
        }
    }

    fn must_be_cluster(&self, secret: &Secret) -> Result<(), StoreError> {
        if is_cluster(secret) { Ok(()) } else { Err(self.foreign(name_of(secret))) }
    }

    /// The error about something that is not ours.
    pub(super) fn foreign(&self, name: &str) -> StoreError {
        StoreError::Foreign(format!(
            "{} is not a cluster (it has no label {LABEL_CREDENTIAL_TYPE}) and is left alone; choose another name",
            self.place(name)
        ))
    }
}

impl Snapshot {
    /// The cluster.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Foreign`].
    pub fn known(self, store: &Store) -> Result<Entry, StoreError> {
        match self.entry {
            Some(entry) if is_cluster(&entry.secret) => Ok(entry),
            Some(_) => Err(store.foreign(&self.name)),
            None => Err(StoreError::NotFound(format!(
                "there is no cluster {}: {} does not exist",
                self.name,
                store.place(&self.name)
            ))),
        }
    }
}

fn name_of(secret: &Secret) -> &str {
    secret.metadata.name.as_deref().unwrap_or_default()
}

/// Whether two Secrets say the same, whoever keeps them.
fn same(one: &Secret, other: &Secret) -> bool {
    let empty = Default::default();
    let labels = |secret: &Secret| secret.metadata.labels.clone().unwrap_or_default();
    let annotations = |secret: &Secret| secret.metadata.annotations.clone().unwrap_or_default();
    labels(one) == labels(other)
        && annotations(one) == annotations(other)
        && one.data.as_ref().unwrap_or(&empty) == other.data.as_ref().unwrap_or(&empty)
}

#[cfg(test)]
mod tests;
