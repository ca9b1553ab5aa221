//! Small changes of one cluster: labels, and the name for people.

use std::collections::BTreeMap;

use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use k8s_openapi::api::core::v1::Secret;

use super::{
    Failure, LOCAL, LifecycleError, NameError, Store, StoreError, Transaction, Undo, check_label_key,
};

/// How often a change is made anew on what somebody else has just written.
const TRIES: usize = 5;
/// Longest alias, in characters.
const MOST_ALIAS: usize = 253;

/// What to change of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Set these labels.
    AddLabels(BTreeMap<String, String>),
    /// Remove these labels; each must be there.
    RemoveLabels(Vec<String>),
    /// Set the name for people; empty: remove it.
    Alias(String),
}

/// Changes a cluster; returns it as it is afterwards. What somebody else changes of it at the same time is kept.
///
/// # Errors
/// [`Failure`].
pub async fn edit(store: &Store, name: &str, edit: &Edit) -> Result<Secret, Failure> {
    let untouched = |cause| Failure { cause, undo: Undo::Untouched };
    if name == LOCAL {
        return Err(untouched(NameError::Local.into()));
    }
    edit.check().map_err(untouched)?;
    let mut tries = 1;
    loop {
        let before = store.snapshot(name).await.map_err(|error| untouched(error.into()))?;
        let entry = before.clone().known(store).map_err(|error| untouched(error.into()))?;
        let mut secret = entry.secret.clone();
        edit.apply(name, &mut secret).map_err(untouched)?;
        if secret == entry.secret {
            return Ok(secret);
        }
        let mut transaction = Transaction::new(store);
        match transaction.replace(before, &secret).await {
            Err(StoreError::Changed(_)) if tries < TRIES => tries += 1,
            outcome => return transaction.end(outcome.map_err(LifecycleError::from)).await,
        }
    }
}

impl Edit {
    fn check(&self) -> Result<(), LifecycleError> {
        match self {
            Self::AddLabels(labels) => labels.keys().try_for_each(|key| check_label_key(key))?,
            Self::RemoveLabels(keys) => keys.iter().try_for_each(|key| check_label_key(key))?,
            Self::Alias(alias) => check_alias(alias)?,
        }
        Ok(())
    }

    fn apply(&self, name: &str, secret: &mut Secret) -> Result<(), LifecycleError> {
        let metadata = &mut secret.metadata;
        match self {
            Self::AddLabels(labels) => {
                metadata.labels.get_or_insert_default().extend(labels.clone());
            }
            Self::RemoveLabels(keys) => {
                let labels = metadata.labels.get_or_insert_default();
                for key in keys {
                    if labels.remove(key).is_none() {
                        return Err(LifecycleError::Invalid(format!("cluster {name} has no label {key}")));
                    }
                }
            }
            Self::Alias(alias) if alias.is_empty() => {
                metadata.annotations.get_or_insert_default().remove(ANNOTATION_ALIAS);
            }
            Self::Alias(alias) => {
                metadata
                    .annotations
                    .get_or_insert_default()
                    .insert(ANNOTATION_ALIAS.to_owned(), alias.clone());
            }
        }
        Ok(())
    }
}

/// Checks a name for people.
pub(super) fn check_alias(alias: &str) -> Result<(), LifecycleError> {
    if alias.chars().any(char::is_control) || alias.chars().count() > MOST_ALIAS {
        return Err(LifecycleError::Invalid(format!(
            "an alias has at most {MOST_ALIAS} characters, and none that steer a terminal"
        )));
    }
    Ok(())
}
