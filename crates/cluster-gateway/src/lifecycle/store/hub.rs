//! Clusters as Secrets of a hub.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams, Preconditions};

use super::{Snapshot, StoreError, is_cluster, name_of, same};
use crate::hub::{CallError, call};
use crate::registry::Entry;

/// Secrets in one answer of the hub.
const PAGE: u32 = 500;
/// How often putting something back is tried.
const TRIES: usize = 5;
/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(500);

/// The Secrets of one namespace.
#[derive(Clone)]
pub struct HubStore {
    secrets: Api<Secret>,
    namespace: String,
}

impl HubStore {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(client, namespace), namespace: namespace.to_owned() }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        let mut parameters = ListParams::default().labels(LABEL_CREDENTIAL_TYPE).limit(PAGE);
        loop {
            let page = self.asked(call(self.secrets.list(&parameters)).await)?;
            entries.extend(page.items.into_iter().map(Entry::from));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => break,
            }
        }
        entries.sort_by(|one, other| one.secret.metadata.name.cmp(&other.secret.metadata.name));
        Ok(entries)
    }

    pub(super) async fn get(&self, name: &str) -> Result<Option<Secret>, StoreError> {
        self.asked(call(self.secrets.get_opt(name)).await)
    }

    pub(super) async fn create(&self, secret: &Secret) -> Result<Secret, StoreError> {
        let secret = fresh(secret);
        match call(self.secrets.create(&PostParams::default(), &secret)).await {
            Err(CallError::Conflict(_)) => Err(StoreError::Exists(format!(
                "Secret {}/{} exists already: somebody else has just made it",
                self.namespace,
                name_of(&secret)
            ))),
            Err(CallError::NotFound(_)) => Err(StoreError::NotFound(format!(
                "the hub has no namespace {}; create it, or name that of the gateway's Secrets with --secret-namespace",
                self.namespace
            ))),
            answer => self.asked(answer),
        }
    }

    pub(super) async fn replace(&self, secret: &Secret) -> Result<Secret, StoreError> {
        let name = name_of(secret);
        if secret.metadata.resource_version.is_none() {
            return Err(StoreError::Refused(format!("{} was not read before", self.shown(name))));
        }
        self.must_still_be_cluster(name).await?;
        let answer = call(self.secrets.replace(name, &PostParams::default(), secret)).await;
        self.written(name, answer)
    }

    pub(super) async fn delete(&self, secret: &Secret) -> Result<(), StoreError> {
        let name = name_of(secret);
        let preconditions = Preconditions {
            resource_version: secret.metadata.resource_version.clone(),
            uid: secret.metadata.uid.clone(),
        };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let answer = call(self.secrets.delete(name, &parameters)).await;
        self.written(name, answer.map(drop))
    }

    /// A label can be taken off between two looks; with the version as condition, one look is enough.
    async fn must_still_be_cluster(&self, name: &str) -> Result<(), StoreError> {
        match self.get(name).await? {
            Some(found) if !is_cluster(&found) => Err(StoreError::Foreign(format!(
                "{} is no longer a cluster (it has lost the label {LABEL_CREDENTIAL_TYPE}) and is left alone",
                self.shown(name)
            ))),
            _ => Ok(()),
        }
    }

    pub(super) async fn restore(
        &self,
        before: &Snapshot,
        written: Option<&Secret>,
    ) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for _ in 0..TRIES {
            outcome = self.restore_once(before, written).await;
            match &outcome {
                Err(StoreError::Changed(_) | StoreError::Unreachable(_) | StoreError::Exists(_)) => {
                    tokio::time::sleep(PAUSE).await;
                }
                _ => break,
            }
        }
        outcome
    }

    async fn restore_once(&self, before: &Snapshot, written: Option<&Secret>) -> Result<(), StoreError> {
        let name = before.name.as_str();
        let now = self.get(name).await?;
        let ours = |now: &Secret| written.is_some_and(|written| is_of(now, written));
        match (before.entry.as_ref().map(|entry| &entry.secret), now) {
            (None, None) => Ok(()),
            (Some(before), Some(now)) if same(before, &now) => Ok(()),
            (None, Some(now)) if ours(&now) => match self.delete(&now).await {
                Err(StoreError::NotFound(_)) => Ok(()),
                other => other,
            },
            (Some(before), Some(now)) if ours(&now) => {
                let metadata = ObjectMeta {
                    labels: before.metadata.labels.clone(),
                    annotations: before.metadata.annotations.clone(),
                    ..now.metadata
                };
                let secret = Secret { metadata, ..before.clone() };
                let answer = call(self.secrets.replace(name, &PostParams::default(), &secret)).await;
                self.written(name, answer.map(drop))
            }
            (Some(before), None) if written.is_none() => self.create(before).await.map(drop),
            _ => Err(StoreError::Refused(format!(
                "{} has been changed by somebody else meanwhile, and is left as it is now",
                self.shown(name)
            ))),
        }
    }

    fn shown(&self, name: &str) -> String {
        format!("Secret {}/{name}", self.namespace)
    }

    fn written<T>(&self, name: &str, answer: Result<T, CallError>) -> Result<T, StoreError> {
        match answer {
            Err(CallError::Conflict(_)) => Err(StoreError::Changed(format!(
                "{} has just been changed by somebody else",
                self.shown(name)
            ))),
            Err(CallError::NotFound(_)) => {
                Err(StoreError::NotFound(format!("{} is no longer there", self.shown(name))))
            }
            answer => self.asked(answer),
        }
    }

    fn asked<T>(&self, answer: Result<T, CallError>) -> Result<T, StoreError> {
        answer.map_err(|error| match error {
            CallError::NotFound(words) => StoreError::NotFound(words),
            CallError::Conflict(words) => StoreError::Changed(words),
            CallError::Forbidden(words) => StoreError::Forbidden(format!(
                "the hub refuses: {words}; somebody must grant get, list, create, update and delete of Secrets in namespace {}",
                self.namespace
            )),
            CallError::Refused(words) => StoreError::Refused(format!("the hub refuses: {words}")),
            CallError::Unreachable(_) => StoreError::Unreachable(error.to_string()),
        })
    }
}

impl std::fmt::Debug for HubStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubStore").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// What a new object may carry of an old one.
fn fresh(secret: &Secret) -> Secret {
    let metadata = ObjectMeta {
        name: secret.metadata.name.clone(),
        labels: secret.metadata.labels.clone(),
        annotations: secret.metadata.annotations.clone(),
        ..ObjectMeta::default()
    };
    Secret { metadata, ..secret.clone() }
}

/// Whether what stands there is what was written. Annotations do not count: the gateway writes some on its own.
fn is_of(now: &Secret, written: &Secret) -> bool {
    let same_object = match (&now.metadata.uid, &written.metadata.uid) {
        (Some(now), Some(written)) => now == written,
        _ => true,
    };
    same_object && is_cluster(now) && now.data == written.data
}
