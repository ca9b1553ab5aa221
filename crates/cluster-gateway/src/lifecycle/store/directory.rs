//! Clusters as files of a standalone server's directory: a Secret manifest `NAME.yaml` each.
//!
//! All files that the server reads are seen; only those are written that hold one Secret and nothing else.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::{Value, json};

use super::{Snapshot, StoreError, name_of, same};
use crate::manifest::{Document, Fields};
use crate::registry::{ClustersDirectory, DirectorySource, Entry};

/// A directory of clusters.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    path: PathBuf,
}

/// A file as it was. It may hold a credential.
#[derive(Clone)]
pub(super) struct FileCopy {
    name: String,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for FileCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileCopy").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DirectoryStore {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.aside(|this| {
            let source = this.source()?;
            Ok(source.placed().into_values().map(|(_, entry)| entry.clone()).collect())
        })
        .await
    }

    pub(super) async fn snapshot(&self, name: &str) -> Result<Snapshot, StoreError> {
        let name = name.to_owned();
        self.aside(move |this| this.look(&name)).await
    }

    pub(super) async fn create(&self, secret: &Secret) -> Result<Secret, StoreError> {
        let secret = secret.clone();
        self.aside(move |this| {
            let _lock = this.lock()?;
            let name = name_of(&secret).to_owned();
            let (before, file) = (this.look(&name)?, format!("{name}.yaml"));
            let taken = this.path.join(&file).symlink_metadata().is_ok();
            if before.entry.is_some() || taken {
                let file = before.file.map_or(file, |found| found.name);
                return Err(StoreError::Exists(format!(
                    "{} is there already",
                    this.path.join(file).display()
                )));
            }
            this.write(&file, &secret)?;
            this.read_back(&name)
        })
        .await
    }

    pub(super) async fn replace(&self, secret: &Secret) -> Result<Secret, StoreError> {
        let secret = secret.clone();
        self.aside(move |this| {
            let _lock = this.lock()?;
            let file = this.unchanged(&secret)?;
            this.write(&file, &secret)?;
            this.read_back(name_of(&secret))
        })
        .await
    }

    pub(super) async fn delete(&self, secret: &Secret) -> Result<(), StoreError> {
        let secret = secret.clone();
        self.aside(move |this| {
            let _lock = this.lock()?;
            let file = this.unchanged(&secret)?;
            this.remove(&file)
        })
        .await
    }

    pub(super) async fn restore(
        &self,
        before: &Snapshot,
        written: Option<&Secret>,
    ) -> Result<(), StoreError> {
        let (before, written) = (before.clone(), written.cloned());
        self.aside(move |this| {
            let _lock = this.lock()?;
            let now = this.look(&before.name)?;
            let equal =
                before.file.as_ref().map(|file| &file.bytes) == now.file.as_ref().map(|file| &file.bytes);
            let ours = match (&now.entry, &written) {
                (Some(now), Some(written)) => same(&now.secret, written),
                (None, None) => true,
                _ => false,
            };
            match (&before.file, now.file) {
                _ if equal => Ok(()),
                (Some(file), _) if ours => this.put(&file.name, &file.bytes),
                (None, Some(file)) if ours => this.remove(&file.name),
                _ => Err(StoreError::Refused(format!(
                    "{} has been changed by somebody else meanwhile, and is left as it is now",
                    this.path.join(format!("{}.yaml", before.name)).display()
                ))),
            }
        })
        .await
    }

    /// The file of a cluster that is still as it was read.
    fn unchanged(&self, secret: &Secret) -> Result<String, StoreError> {
        let name = name_of(secret);
        let now = self.look(name)?;
        let (Some(entry), Some(file)) = (now.entry, now.file) else {
            return Err(StoreError::NotFound(format!("cluster {name} is no longer there")));
        };
        let shown = self.path.join(&file.name).display().to_string();
        if entry.secret.metadata.resource_version != secret.metadata.resource_version {
            return Err(StoreError::Changed(format!("{shown} has just been changed by somebody else")));
        }
        alone(&file).map_err(|why| {
            StoreError::Foreign(format!("{shown} {why}; change cluster {name} there by hand"))
        })?;
        Ok(file.name)
    }

    /// The cluster of a name, and its file.
    fn look(&self, name: &str) -> Result<Snapshot, StoreError> {
        let source = self.source()?;
        let found = source.placed().remove(name).map(|(file, entry)| (file.to_owned(), entry.clone()));
        let mut snapshot = Snapshot { name: name.to_owned(), entry: None, file: None };
        if let Some((name, entry)) = found {
            let bytes =
                fs::read(self.path.join(&name)).map_err(|error| self.failed("read", &name, &error))?;
            (snapshot.entry, snapshot.file) = (Some(entry), Some(FileCopy { name, bytes }));
        }
        Ok(snapshot)
    }

    fn source(&self) -> Result<DirectorySource, StoreError> {
        let config = ClustersDirectory {
            directory: self.path.clone(),
            allow_exec: true,
            ..ClustersDirectory::default()
        };
        DirectorySource::load(config).map_err(|error| StoreError::NotFound(error.to_string()))
    }

    fn read_back(&self, name: &str) -> Result<Secret, StoreError> {
        let entry = self.look(name)?.entry;
        entry.map(|entry| entry.secret).ok_or_else(|| {
            StoreError::Refused(format!("cluster {name} has been written and is not read; remove its file"))
        })
    }

    fn write(&self, file: &str, secret: &Secret) -> Result<(), StoreError> {
        let manifest = manifest(secret);
        let text = if file.ends_with(".json") {
            serde_json::to_string_pretty(&manifest).map_err(|error| error.to_string())
        } else {
            serde_saphyr::to_string(&manifest).map_err(|error| error.to_string())
        };
        let text = text.map_err(|error| StoreError::Refused(format!("{file} cannot be written: {error}")))?;
        self.put(file, text.as_bytes())
    }

    /// Puts a file there as a whole, for its owner's eyes only.
    fn put(&self, file: &str, bytes: &[u8]) -> Result<(), StoreError> {
        // Hidden, so that no server reads it.
        let draft = self.path.join(format!(".{file}.{}", std::process::id()));
        let written = (|| {
            let mut open = OpenOptions::new();
            let mut draft_file = open.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            draft_file.write_all(bytes)?;
            draft_file.sync_all()?;
            fs::rename(&draft, self.path.join(file))
        })();
        written.map_err(|error| {
            // There may be a credential in it; why it could not be put in place is what matters.
            let _ = fs::remove_file(&draft);
            self.failed("write", file, &error)
        })
    }

    fn remove(&self, file: &str) -> Result<(), StoreError> {
        fs::remove_file(self.path.join(file)).map_err(|error| self.failed("remove", file, &error))
    }

    /// Keeps others who write through this type out until it is dropped.
    fn lock(&self) -> Result<File, StoreError> {
        let directory = File::open(&self.path).map_err(|error| self.failed("open", ".", &error))?;
        directory.lock().map_err(|error| self.failed("lock", ".", &error))?;
        Ok(directory)
    }

    fn failed(&self, what: &str, file: &str, error: &std::io::Error) -> StoreError {
        let words = format!("cannot {what} {}: {error}", self.path.join(file).display());
        match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::Forbidden(words),
            ErrorKind::NotFound => StoreError::NotFound(words),
            _ => StoreError::Refused(words),
        }
    }

    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.unwrap_or_else(|error| Err(StoreError::Unreachable(error.to_string())))
    }
}

/// Whether a file holds one Secret and nothing else, so that it can be written anew.
fn alone(file: &FileCopy) -> Result<(), &'static str> {
    const OTHERS: &str = "holds more than this one Secret";
    let text = std::str::from_utf8(&file.bytes).map_err(|_| OTHERS)?;
    let documents = Document::all(&file.name, text).map_err(|_| OTHERS)?;
    let [document] = documents.as_slice() else { return Err(OTHERS) };
    let value = document.value().map_err(|_| OTHERS)?;
    let kind =
        Fields::of(&value, "").ok().and_then(|fields| fields.text("kind").ok().flatten().map(str::to_owned));
    match kind.as_deref() {
        Some("Secret") => Ok(()),
        None | Some("Config") => Err("is a kubeconfig"),
        Some(_) => Err(OTHERS),
    }
}

/// The manifest of a Secret, without what only an API server knows.
fn manifest(secret: &Secret) -> Value {
    let ObjectMeta { name, labels, annotations, creation_timestamp, .. } = secret.metadata.clone();
    let now = || Time(k8s_openapi::jiff::Timestamp::now());
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "creationTimestamp": creation_timestamp.unwrap_or_else(now),
            "labels": labels.unwrap_or_default(),
            "annotations": annotations.unwrap_or_default(),
        },
        "data": secret.data.clone().unwrap_or_default(),
    })
}
