//! What was asked for, checked and added to what the kubeconfig says.

use cluster_gateway_client::v1alpha1::{ANNOTATION_ALIAS, ANNOTATION_INSECURE};
use k8s_openapi::api::core::v1::Secret;

use super::JoinRequest;
use crate::lifecycle::account::{Account, AccountChoice};
use crate::lifecycle::change::{check_alias, check_labels};
use crate::lifecycle::{LifecycleError, Snapshot, Store, is_cluster};
use crate::registry::ClusterPolicy;

/// Bytes that a Secret may hold.
const MAX_SECRET: usize = 1024 * 1024;

impl JoinRequest {
    /// Adds what stands in no kubeconfig.
    pub(super) fn complete(&self, name: &str, secret: &mut Secret) -> Result<(), LifecycleError> {
        let metadata = &mut secret.metadata;
        metadata.name = Some(name.to_owned());
        let annotations = metadata.annotations.get_or_insert_default();
        if annotations.contains_key(ANNOTATION_INSECURE) && !self.allow_insecure {
            return Err(LifecycleError::Kubeconfig(
                "it says insecure-skip-tls-verify: whoever stands in between gets the credential; put the cluster's CA into \
                 it (certificate-authority-data), or say it again here with --insecure-skip-tls-verify"
                    .to_owned(),
            ));
        }
        if let Some(alias) = &self.alias {
            check_alias(alias)?;
            annotations.insert(ANNOTATION_ALIAS.to_owned(), alias.clone());
        }
        if annotations.get(ANNOTATION_ALIAS).is_some_and(|alias| alias.is_empty() || alias == name) {
            annotations.remove(ANNOTATION_ALIAS);
        }
        check_labels(&self.labels)?;
        for (key, value) in &self.labels {
            metadata.labels.get_or_insert_default().insert(key.clone(), value.clone());
        }
        secret.type_ = Some("Opaque".to_owned());
        let size: usize = secret.data.iter().flatten().map(|(key, value)| key.len() + value.0.len()).sum();
        if size > MAX_SECRET {
            return Err(LifecycleError::Kubeconfig(format!(
                "what it says takes {size} bytes; a Secret holds 1 MiB"
            )));
        }
        Ok(())
    }

    /// The service account that is to be made, if it can be.
    pub(super) async fn account(
        &self,
        secret: &Secret,
        store: &Store,
        policy: &ClusterPolicy,
        notes: &mut Vec<String>,
    ) -> Result<Option<Account>, LifecycleError> {
        match &self.account {
            Some(request) if self.preflight || request.choice != AccountChoice::WhereAllowed => {
                Account::prepare(secret, policy, request, store, notes).await
            }
            _ => Ok(None),
        }
    }

    pub(super) fn may_take(
        &self,
        store: &Store,
        name: &str,
        before: &Snapshot,
    ) -> Result<(), LifecycleError> {
        match before.entry() {
            Some(entry) if !is_cluster(&entry.secret) => Err(store.foreign(name).into()),
            Some(_) if !self.overwrite => Err(LifecycleError::Taken(name.to_owned())),
            _ => Ok(()),
        }
    }
}
