//! Authorization by RBAC manifests in a directory, where there is no hub to ask.
//!
//! `ClusterRole`, `ClusterRoleBinding`, `Role` and `RoleBinding` of `rbac.authorization.k8s.io/v1`, with the meaning that
//! Kubernetes gives them: what no rule grants is denied. Built in is only that the group `system:masters` may do everything, as everywhere.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::{Attributes, Policy};
use crate::authn::UserInfo;
use crate::manifest::{Directory, OpenError};

mod check;
mod compile;
mod grants;
mod manifests;
mod rule;
mod schema;

use grants::Grants;
use manifests::RbacReader;

/// Settings of authorization by manifests, as plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RbacConfig {
    /// `--rbac-dir`: all its files `*.yaml`, `*.yml` and `*.json` are read.
    pub directory: PathBuf,
    /// How often the directory is looked at. Default 3 s.
    pub poll: Duration,
}

impl Default for RbacConfig {
    fn default() -> Self {
        Self { directory: PathBuf::new(), poll: Duration::from_secs(3) }
    }
}

/// What is granted now. Deciding takes no lock and allocates nothing.
#[derive(Debug, Default)]
pub struct RbacPolicy {
    grants: ArcSwap<Grants>,
}

impl RbacPolicy {
    /// Whether some rule grants it.
    #[must_use]
    pub fn allows(&self, user: &UserInfo, attributes: &Attributes<'_>) -> bool {
        self.grants.load().allow(user, attributes)
    }
}

/// The directory behind an [`RbacPolicy`].
#[derive(Debug)]
pub struct RbacDirectory {
    directory: Directory<RbacReader>,
    poll: Duration,
    policy: Arc<RbacPolicy>,
    /// What was complained of last; the same is not said twice in a row.
    complaints: Vec<String>,
}

impl RbacDirectory {
    /// Reads the directory once, at start. Files that cannot be used are reported and grant nothing; so are, unless
    /// `policy` has proxied requests asked about, objects of a namespace: nothing else is of one. It blocks for as long as
    /// reading takes.
    ///
    /// # Errors
    /// [`OpenError`]: the directory does not exist or cannot be listed.
    pub fn load(config: RbacConfig, policy: Policy) -> Result<Self, OpenError> {
        let directory =
            Directory::open(config.directory, RbacReader { namespaces: policy.proxied_requests })?;
        let mut this = Self { directory, poll: config.poll, policy: Arc::default(), complaints: Vec::new() };
        this.publish();
        Ok(this)
    }

    /// What is granted, now and after every change.
    #[must_use]
    pub fn policy(&self) -> Arc<RbacPolicy> {
        Arc::clone(&self.policy)
    }

    /// Follows the directory until the process ends. A file that can no longer be used leaves its last good version in
    /// force; a file that is gone takes its grants with it.
    pub async fn watch(mut self) {
        while let Some(directory) = self.directory.changed(self.poll).await {
            self.directory = directory;
            self.publish();
        }
    }

    fn publish(&mut self) {
        let (grants, mut complaints) = compile::compile(self.directory.files());
        if self.directory.is_empty() {
            complaints.push("it holds no manifest: only system:masters may do anything".to_owned());
        }
        let directory = self.directory.path().display();
        for complaint in complaints.iter().filter(|complaint| !self.complaints.contains(complaint)) {
            tracing::warn!(%directory, "authorization: {complaint}");
        }
        self.complaints = complaints;
        let (subjects, rules) = grants.size();
        tracing::info!(%directory, subjects, rules, "authorization policy in force");
        self.policy.grants.store(Arc::new(grants));
    }
}

#[cfg(test)]
mod tests;
