//! Clusters from the files of a directory, where there is no hub: Secret manifests as in the hub, and kubeconfigs.
//!
//! Whatever a file holds becomes an [`Entry`] and is read like a Secret of the hub: there is no second reader.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::{Entry, Index, Unusable};
use crate::manifest::{Directory, Fields, OpenError};

mod files;
mod identity;
mod kubeconfig;
mod name;
mod rewrite;
mod secret;

use files::ClusterFiles;

/// Which clusters of a kubeconfig are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Contexts {
    /// One for each context.
    #[default]
    All,
    /// Only that of `current-context`.
    Current,
}

/// Settings of clusters from a directory, as plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClustersDirectory {
    /// `--clusters-dir`: all its files are read but hidden ones and those whose ending says that they are something else
    /// than YAML, JSON or a kubeconfig.
    pub directory: PathBuf,
    /// Which contexts of a kubeconfig become clusters. Default: all.
    pub contexts: Contexts,
    /// Whether kubeconfigs may name programs to run for a credential. Default: no. Allowed or
    /// not, only those of [`ExecPolicy`](crate::credential::ExecPolicy) are run.
    pub allow_exec: bool,
    /// How often the directory is looked at. Default 1 s.
    pub poll: Duration,
}

impl Default for ClustersDirectory {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            contexts: Contexts::All,
            allow_exec: false,
            poll: Duration::from_secs(1),
        }
    }
}

/// The cluster that `current-context` of a kubeconfig means, as a Secret; a program may give its credential.
///
/// # Errors
/// Why it cannot be used, without a part of the kubeconfig.
pub fn secret_of_kubeconfig(kubeconfig: &Value) -> Result<Secret, String> {
    let fields = Fields::of(kubeconfig, "")?;
    let (entries, notes) = kubeconfig::read(&fields, Contexts::Current, true)?;
    match entries.into_iter().next() {
        Some(Entry { unusable: Some(Unusable(reason)), .. }) => Err(reason),
        Some(entry) => Ok(entry.secret),
        None => Err(notes.join("; ")),
    }
}

/// A name for a cluster made of what somebody calls it; `None` if nothing usable is in it.
#[must_use]
pub fn name_of(text: &str) -> Option<String> {
    name::slug(text)
}

/// The directory as a source of clusters.
#[derive(Debug)]
pub struct DirectorySource {
    directory: Directory<ClusterFiles>,
    poll: Duration,
    /// What was complained of last; the same is not said twice in a row.
    complaints: Vec<String>,
}

impl DirectorySource {
    /// Reads the directory once, at start. Files that cannot be used are reported. It blocks for as long as reading takes.
    ///
    /// # Errors
    /// [`OpenError`]: the directory does not exist or cannot be listed.
    pub fn load(config: ClustersDirectory) -> Result<Self, OpenError> {
        let files = ClusterFiles { contexts: config.contexts, allow_exec: config.allow_exec };
        let directory = Directory::open(config.directory, files)?;
        Ok(Self { directory, poll: config.poll, complaints: Vec::new() })
    }

    /// Names of the clusters that stand in the directory, sorted.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.directory.files().flat_map(|(_, entries)| entries.keys().cloned()).collect()
    }

    /// Feeds `index` until the process ends. A file that can no longer be used leaves its last good clusters in force; a
    /// file that is gone takes its clusters with it.
    pub async fn run(mut self, mut index: Index) {
        loop {
            index.reset(self.entries());
            match self.directory.changed(self.poll).await {
                Some(directory) => self.directory = directory,
                None => return,
            }
        }
    }

    /// All clusters by name, each with the name of its file. Of two with one name that in the first file counts.
    #[must_use]
    pub fn placed(&self) -> BTreeMap<&str, (&str, &Entry)> {
        let mut first = BTreeMap::new();
        for (file, entries) in self.directory.files() {
            for (name, entry) in entries {
                first.entry(name.as_str()).or_insert((file, entry));
            }
        }
        first
    }

    /// All clusters, for the registry; what is odd is reported.
    fn entries(&mut self) -> Vec<Entry> {
        let mut complaints = Vec::new();
        let first = self.placed();
        for (file, entries) in self.directory.files() {
            let others = entries.keys().filter_map(|name| Some((name, first.get(name.as_str())?.0)));
            complaints.extend(others.filter(|(_, winner)| *winner != file).map(|(name, winner)| {
                let (winner, file) = (winner.escape_debug(), file.escape_debug());
                format!("cluster {name} stands in {winner} and in {file}; the first one counts")
            }));
        }
        let entries: Vec<Entry> = first.into_values().map(|(_, entry)| entry.clone()).collect();
        if self.directory.is_empty() {
            complaints.push(
                "it holds no file: there is no cluster; put Secret manifests or kubeconfigs there".to_owned(),
            );
        }
        self.complain(complaints);
        entries
    }

    fn complain(&mut self, complaints: Vec<String>) {
        for complaint in complaints.iter().filter(|complaint| !self.complaints.contains(complaint)) {
            tracing::warn!(directory = %self.directory.path().display(), "clusters: {complaint}");
        }
        self.complaints = complaints;
    }
}

#[cfg(test)]
mod tests;
