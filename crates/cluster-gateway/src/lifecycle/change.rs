//! Small changes of one cluster: labels, and the name for people.

use std::collections::BTreeMap;

use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::labels::is_own_label;
use super::{
    Failure, LOCAL, LifecycleError, NameError, Store, StoreError, Transaction, check_label, check_label_key,
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
    /// Several at once, in one write.
    Metadata {
        /// All labels that it is to have, but for those of the gateway itself, which stay. `None`: they stay, too.
        labels: Option<BTreeMap<String, String>>,
        /// The name for people; empty: remove it. `None`: it stays.
        alias: Option<String>,
    },
}

/// Changes a cluster; returns it as it is afterwards. What somebody else changes of it at the same time is kept.
///
/// # Errors
/// [`Failure`].
pub async fn edit(store: &Store, name: &str, edit: &Edit) -> Result<Secret, Failure> {
    let mut transaction = Transaction::new(store);
    let outcome = edit_in(&mut transaction, name, edit, None).await;
    transaction.end(outcome).await
}

/// As [`edit`], as a part of more: `transaction` can take it back. With `expected` it is made only of the cluster that has this
/// `resourceVersion`.
///
/// # Errors
/// [`LifecycleError`]; [`StoreError::Changed`] if it is not (any more) the one that was expected. Whoever has an error must end the
/// transaction with it: without an answer nobody knows what was written.
pub async fn edit_in(
    transaction: &mut Transaction<'_>,
    name: &str,
    edit: &Edit,
    expected: Option<&str>,
) -> Result<Secret, LifecycleError> {
    if name == LOCAL {
        return Err(NameError::Local.into());
    }
    edit.check()?;
    let store = transaction.store();
    let mut tries = 1;
    loop {
        let before = store.snapshot(name).await?;
        let entry = before.clone().known(store)?;
        if expected
            .is_some_and(|expected| entry.secret.metadata.resource_version.as_deref() != Some(expected))
        {
            let place = store.place(name);
            return Err(StoreError::Changed(format!("{place} is no longer as it was when you looked")).into());
        }
        let mut secret = entry.secret.clone();
        edit.apply(name, &mut secret)?;
        if secret == entry.secret {
            return Ok(secret);
        }
        match transaction.replace(before, &secret).await {
            Err(StoreError::Changed(_)) if tries < TRIES && expected.is_none() => tries += 1,
            outcome => return Ok(outcome?),
        }
    }
}

impl Edit {
    fn check(&self) -> Result<(), LifecycleError> {
        match self {
            Self::AddLabels(labels) => check_labels(labels)?,
            Self::RemoveLabels(keys) => keys.iter().try_for_each(|key| check_label_key(key))?,
            Self::Alias(alias) => check_alias(alias)?,
            Self::Metadata { labels, alias } => {
                labels.as_ref().map_or(Ok(()), check_labels)?;
                alias.as_deref().map_or(Ok(()), check_alias)?;
            }
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
            Self::Alias(alias) => set_alias(metadata, alias),
            Self::Metadata { labels, alias } => {
                if let Some(labels) = labels {
                    let all = metadata.labels.get_or_insert_default();
                    all.retain(|key, _| is_own_label(key));
                    all.extend(labels.clone());
                }
                if let Some(alias) = alias {
                    set_alias(metadata, alias);
                }
            }
        }
        Ok(())
    }
}

fn set_alias(metadata: &mut ObjectMeta, alias: &str) {
    let annotations = metadata.annotations.get_or_insert_default();
    if alias.is_empty() {
        annotations.remove(ANNOTATION_ALIAS);
    } else {
        annotations.insert(ANNOTATION_ALIAS.to_owned(), alias.to_owned());
    }
}

/// Checks labels that people may set.
pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), LifecycleError> {
    labels.iter().try_for_each(|(key, value)| check_label(key, value))?;
    Ok(())
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
