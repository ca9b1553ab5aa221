//! Making a cluster known.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::ocm::Side;
use super::preflight::ANNOTATION_VERSION;
use super::{
    AccountRequest, Change, ClusterVersion, CredentialOutlook, Detail, KubeconfigSource, LifecycleError,
    NamespaceOutcome, Plan, Snapshot, Store, Verb,
};
use crate::diagnosis::Watcher;
use crate::registry::ClusterPolicy;

mod keep;
mod look;
mod request;
mod write;

use look::Looked;
pub use write::Committed;

/// Which cluster to make known, and how.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// How it is reached.
    pub kubeconfig: KubeconfigSource,
    /// Context of the kubeconfig. Default: its current one.
    pub context: Option<String>,
    /// Its name. Default: made of what the kubeconfig calls the cluster.
    pub name: Option<String>,
    /// Labels to set.
    pub labels: BTreeMap<String, String>,
    /// Name for people.
    pub alias: Option<String>,
    /// Namespace to make in the cluster. Default: none.
    pub create_namespace: Option<String>,
    /// Whether a cluster of this name may be replaced. Default: no.
    pub overwrite: bool,
    /// Whether the kubeconfig may say that the cluster is not verified. Default: no.
    pub allow_insecure: bool,
    /// A service account to make in it for the gateway. Default: none, the credential of the kubeconfig is registered.
    pub account: Option<AccountRequest>,
    /// Whether the cluster is looked at from here before. Default: yes; no, where only the gateway can reach it.
    pub preflight: bool,
}

/// A cluster that is ready to be made known.
pub struct Join {
    secret: Secret,
    before: Snapshot,
    plan: Plan,
    /// The credential that it brings along.
    credential: CredentialOutlook,
    namespace: Option<String>,
    version: Option<ClusterVersion>,
    account: Option<Account>,
}

/// A cluster that is known now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// Its name.
    pub cluster: String,
    /// Its address.
    pub endpoint: String,
    /// What proves the gateway to it.
    pub credential_type: String,
    /// The service account whose token that is, if one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Whether there was one of this name before.
    pub replaced: bool,
    /// Whether it was seen to answer through the gateway.
    pub answers: bool,
    /// The namespace in it.
    pub namespace: NamespaceOutcome,
    /// Its version, if it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ClusterVersion>,
}

impl std::fmt::Debug for Join {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Join").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Join {
    /// Looks at everything and writes nothing. `policy` says what may be done on the way to the cluster from here.
    ///
    /// # Errors
    /// [`LifecycleError`]; [`LifecycleError::Interrupted`] as soon as `stop` is cancelled.
    pub async fn prepare(
        store: &Store,
        policy: &ClusterPolicy,
        request: &JoinRequest,
        stop: &CancellationToken,
    ) -> Result<Self, LifecycleError> {
        let looked = stop.run_until_cancelled(Box::pin(Looked::at(store, policy, request, &|_| ()))).await;
        let Looked { join, obstacle } = looked.unwrap_or(Err(LifecycleError::Interrupted))?;
        obstacle.map_or(Ok(join), Err)
    }

    /// What [`Join::prepare`] would come to, also where it would fail: what is in the way of joining is a failed finding, of which
    /// `watcher` is told like of all others, and the plan is what can be known without it. A name that is taken fails
    /// [`Hop::Secret`](crate::diagnosis::Hop::Secret).
    ///
    /// # Errors
    /// [`LifecycleError`], if what is asked for is no join at all: the kubeconfig, the name or a label cannot be understood, or
    /// the clusters cannot be read; [`LifecycleError::Interrupted`] as soon as `stop` is cancelled.
    pub async fn survey(
        store: &Store,
        policy: &ClusterPolicy,
        request: &JoinRequest,
        stop: &CancellationToken,
        watcher: Watcher<'_>,
    ) -> Result<Plan, LifecycleError> {
        let looked = stop.run_until_cancelled(Box::pin(Looked::at(store, policy, request, watcher))).await;
        looked.unwrap_or(Err(LifecycleError::Interrupted)).map(|looked| looked.join.plan)
    }

    /// What would be written.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The cluster as it would be written, with its credential.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Changes what would be written, before it is: another credential than that of the kubeconfig, say.
    pub fn adjust(&mut self, store: &Store, change: impl FnOnce(&mut Secret)) {
        change(&mut self.secret);
        self.replan(store);
    }

    /// The cluster that would be replaced, as it is now.
    #[must_use]
    pub fn replaces(&self) -> Option<&Secret> {
        self.before.cluster()
    }

    fn replan(&mut self, store: &Store) {
        let cluster = &self.plan.cluster;
        let mut changes: Vec<_> = self.account.iter().flat_map(Account::changes).collect();
        let (place, side) = (store.place(cluster), store.side());
        let mut secret = Change::of(place, side, self.before.cluster(), Some(&self.secret));
        if self.account.is_some() {
            secret
                .details
                .push(Detail { after: Some("made on joining".to_owned()), ..Detail::only("data token") });
        }
        changes.push(secret);
        if let Some(namespace) = &self.namespace {
            let details = vec![Detail::only("if it is not there")];
            let object = format!("Namespace {namespace}");
            changes.push(Change { details, ..Change::plain(Verb::Create, object, Some(Side::Member)) });
        }
        self.plan.changes = changes;
        self.plan.credential =
            Some(self.account.as_ref().map_or_else(|| self.credential.clone(), Account::outlook));
        self.seal();
    }

    fn seal(&mut self) {
        let metadata = &self.secret.metadata;
        let annotations: BTreeMap<_, _> =
            metadata.annotations.iter().flatten().filter(|(key, _)| *key != ANNOTATION_VERSION).collect();
        // Of the one that is replaced: that it is still the same cluster.
        let before = self.replaces().map(|before| {
            json!({
                "uid": before.metadata.uid,
                "endpoint": before.data.as_ref().and_then(|data| data.get("endpoint")),
            })
        });
        let written = json!({
            "labels": metadata.labels,
            "annotations": annotations,
            "data": self.secret.data,
            "account": self.account.as_ref().map(Account::asked),
            "before": before,
        });
        self.plan.seal(&written);
    }
}

fn text(secret: &Secret, key: &str) -> String {
    let bytes: Option<&ByteString> = secret.data.as_ref().and_then(|data| data.get(key));
    bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
}
